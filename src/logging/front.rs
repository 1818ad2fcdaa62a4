//! The side of the log that callers meet: asks the level, takes the time, and never waits.

use jiff::Timestamp;
use slog::{BorrowedKV, Drain, Level, Never, OwnedKVList, Record, RecordStatic, SingleKV};
use slog_async::AsyncCore;

use crate::logging::LogControl;
use crate::logging::entry::TAKEN_AT;

/// Hands records to the log's thread, with the time of the call: written late, a line still tells when.
pub(crate) struct QueueDrain {
    queue: AsyncCore,
    control: LogControl,
}

impl QueueDrain {
    pub(crate) fn new(queue: AsyncCore, control: LogControl) -> Self {
        Self { queue, control }
    }
}

impl Drain for QueueDrain {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        if !self.control.is_enabled(record.level()) {
            return Ok(());
        }
        let fixed = RecordStatic { location: record.location(), tag: record.tag(), level: record.level() };
        let timed = (record.kv(), SingleKV(TAKEN_AT, Timestamp::now().as_millisecond()));
        if self.queue.log(&Record::new(&fixed, record.msg(), BorrowedKV(&timed)), values).is_err() {
            self.control.count_dropped();
        }
        Ok(())
    }

    fn is_enabled(&self, level: Level) -> bool {
        self.control.is_enabled(level)
    }
}
