//! Shows the newest reading of each bank as a table on the terminal, refreshed in place.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

use actix::{Actor, AsyncContext, Context, Handler, Supervised};
use jiff::tz::TimeZone;
use rustix::termios::tcgetwinsize;

use crate::messages::{LatestReports, SlotUpdated};
use crate::status::{StatusDocument, table};
use crate::supervise::{Flush, Ping};

pub(crate) struct TerminalActor {
    slot: LatestReports,
    /// The newest table of each bank.
    tables: BTreeMap<String, String>,
    /// The number of lines drawn last.
    drawn: usize,
}

impl TerminalActor {
    #[must_use]
    pub(crate) fn new(slot: LatestReports) -> Self {
        Self { slot, tables: BTreeMap::new(), drawn: 0 }
    }

    fn show(&mut self) -> io::Result<()> {
        for report in self.slot.take() {
            let status = StatusDocument::of(&report, &TimeZone::system());
            self.tables.insert(status.bank.clone(), table::render(&status, true));
        }
        let mut out = io::stdout().lock();
        let (rows, columns) = drawable_size(&out);
        if self.drawn > 0 && out.is_terminal() {
            // Move to the start of the previous table and clear from there.
            write!(out, "\x1b[{}A\x1b[J", self.drawn)?;
        }
        let lines = self.tables.values().flat_map(|table| table.lines().chain([""]));
        self.drawn = 0;
        for line in lines.take(rows) {
            writeln!(out, "{}", line.chars().take(columns).collect::<String>())?;
            self.drawn += 1;
        }
        out.flush()
    }
}

/// Returns how many lines and columns can be redrawn: the size of the terminal, because wrapped lines and lines that
/// have scrolled away can't be overwritten.
fn drawable_size(out: &impl AsFd) -> (usize, usize) {
    match tcgetwinsize(out) {
        Ok(size) if size.ws_row > 1 && size.ws_col > 0 => (usize::from(size.ws_row) - 1, size.ws_col.into()),
        // Not a terminal, or its size is unknown.
        _ => (usize::MAX, usize::MAX),
    }
}

impl Actor for TerminalActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.notify(SlotUpdated);
    }
}

impl Supervised for TerminalActor {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.tables.clear();
        self.drawn = 0;
    }
}

impl Handler<SlotUpdated> for TerminalActor {
    type Result = ();

    fn handle(&mut self, _: SlotUpdated, _: &mut Self::Context) {
        // If the terminal is closed, readings continue.
        let _ = self.show();
    }
}

impl Handler<Ping> for TerminalActor {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
}

impl Handler<Flush> for TerminalActor {
    type Result = ();

    fn handle(&mut self, _: Flush, _: &mut Self::Context) {}
}
