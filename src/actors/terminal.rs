//! Shows the newest reading of each bank as a table on the terminal, refreshed in place.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};

use actix::{Actor, AsyncContext, Context, Handler, Supervised};
use jiff::tz::TimeZone;

use crate::messages::{Nudge, Slot};
use crate::status::{Status, table};
use crate::supervise::{Flush, Ping};

/// The terminal's writer.
pub struct TerminalActor {
    slot: Slot,
    /// The table of each bank as shown last.
    shown: BTreeMap<String, String>,
}

impl TerminalActor {
    /// Shows what `slot` holds.
    #[must_use]
    pub fn new(slot: Slot) -> Self {
        Self { slot, shown: BTreeMap::new() }
    }

    fn show(&mut self) -> io::Result<()> {
        let lines: usize = self.shown.values().map(|table| table.lines().count() + 1).sum();
        for report in self.slot.take() {
            let status = Status::of(&report, &TimeZone::system());
            self.shown.insert(status.bank.clone(), table::render(&status, true));
        }
        let mut out = io::stdout().lock();
        if lines > 0 && out.is_terminal() {
            // Up to where the last table began, and clear from there.
            write!(out, "\x1b[{lines}A\x1b[J")?;
        }
        self.shown.values().try_for_each(|table| writeln!(out, "{table}"))?;
        out.flush()
    }
}

impl Actor for TerminalActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.notify(Nudge);
    }
}

impl Supervised for TerminalActor {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.shown.clear();
    }
}

impl Handler<Nudge> for TerminalActor {
    type Result = ();

    fn handle(&mut self, _: Nudge, _: &mut Self::Context) {
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
