//! Logs an event in the service's own log.
//!
//! ```text
//! WARN  event raised bank=pytes battery=2 word=power bit=0x2 text="High voltage alarm"
//! INFO  event cleared bank=pytes battery=2 word=power bit=0x2 duration=1m0s
//! ```

use slog::{KV, Logger, Record, Serializer, debug, info, warn};

use crate::model::event::{Condition, Event, EventKind, EventLevel};
use crate::outage::HumanDuration;

/// Logs an event; one below the level `min` is logged at debug.
pub(crate) fn tell(log: &Logger, event: &Event, min: EventLevel) {
    let pairs = Pairs(event);
    let detail = event.level < min;
    match (event.kind, event.level) {
        (EventKind::Raised, _) if detail => debug!(log, "event raised"; pairs),
        (EventKind::Raised, EventLevel::Warning) => warn!(log, "event raised"; pairs),
        (EventKind::Raised, EventLevel::Info) => info!(log, "event raised"; pairs),
        (EventKind::Cleared, _) if detail => debug!(log, "event cleared"; pairs),
        (EventKind::Cleared, _) => info!(log, "event cleared"; pairs),
        (EventKind::Noted, _) if detail => debug!(log, "event noted"; pairs),
        (EventKind::Noted, _) => info!(log, "event noted"; pairs),
    }
}

/// The key-value pairs of an event, last to first, as slog chains them.
struct Pairs<'a>(&'a Event);

impl KV for Pairs<'_> {
    fn serialize(&self, _: &Record<'_>, serializer: &mut dyn Serializer) -> slog::Result {
        let Event { bank, battery, kind, word, condition: sign, text, duration, .. } = self.0;
        match (kind, duration) {
            (EventKind::Raised | EventKind::Noted, _) => serializer.emit_str("text", text)?,
            (EventKind::Cleared, None) => serializer.emit_str("duration", "unknown")?,
            (EventKind::Cleared, Some(duration)) => {
                serializer.emit_arguments("duration", &format_args!("{}", HumanDuration(*duration)))?;
            }
        }
        match sign {
            Condition::Bit(bit) => serializer.emit_arguments("bit", &format_args!("{bit:#x}"))?,
            Condition::State(state) => serializer.emit_str("state", state.as_str())?,
        }
        serializer.emit_str("word", word)?;
        if let Some(place) = battery {
            serializer.emit_u8("battery", place.number())?;
        }
        serializer.emit_str("bank", bank)
    }
}
