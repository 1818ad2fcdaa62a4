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

/// The terminal's writer.
pub(crate) struct TerminalActor {
    slot: LatestReports,
    /// The newest table of each bank.
    tables: BTreeMap<String, String>,
    /// How many lines were drawn last.
    drawn: usize,
}

impl TerminalActor {
    /// Shows what `slot` holds.
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
        let (rows, columns) = room(&out);
        if self.drawn > 0 && out.is_terminal() {
            // Up to where the last table began, and clear from there.
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

/// How many lines and how many characters of each can be drawn over again: on a terminal, what it shows at once,
/// since a line that is wrapped or has scrolled away is out of reach.
fn room(out: &impl AsFd) -> (usize, usize) {
    match tcgetwinsize(out) {
        Ok(size) if size.ws_row > 1 && size.ws_col > 0 => (usize::from(size.ws_row) - 1, size.ws_col.into()),
        // No terminal, or one that does not know its size.
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
        // A terminal that is gone takes nothing with it: the readings go on.
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
