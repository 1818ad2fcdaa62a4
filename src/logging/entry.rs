//! A log event as plain values, independent of its format.

use std::fmt;

use jiff::Timestamp;
use serde_json::{Number, Value};
use slog::{KV, Key, Level, OwnedKVList, Record, Serializer};

/// The key that carries the time of the call to the log's thread, in milliseconds since 1970.
pub(crate) const TAKEN_AT: Key = "taken_at_ms";

pub(crate) struct LogEvent {
    pub(crate) at: Timestamp,
    pub(crate) level: Level,
    pub(crate) message: String,
    pub(crate) pairs: Vec<(Key, Value)>,
}

impl LogEvent {
    /// Collects a record: the loggers' keys from the root to the child, then those of the call. A repeated key keeps
    /// its position and takes the later value.
    pub(crate) fn from_record(record: &Record<'_>, values: &OwnedKVList) -> Self {
        let mut event = Self {
            at: Timestamp::now(),
            level: record.level(),
            message: record.msg().to_string(),
            pairs: vec![],
        };
        event.collect(|collector| values.serialize(record, collector));
        event.collect(|collector| record.kv().serialize(record, collector));
        event
    }

    /// An event of the log itself.
    pub(crate) fn own(level: Level, message: &str, pairs: Vec<(Key, Value)>) -> Self {
        Self { at: Timestamp::now(), level, message: message.to_owned(), pairs }
    }

    fn collect(&mut self, serialize: impl FnOnce(&mut KeyValueCollector) -> slog::Result) {
        let mut collector = KeyValueCollector(Vec::new());
        if let Err(error) = serialize(&mut collector) {
            collector.0.insert(0, ("unreadable", Value::String(error.to_string())));
        }
        // slog chains keys by prepending, so it passes the last key first.
        for (key, value) in collector.0.into_iter().rev() {
            match (key, value.as_i64().map(Timestamp::from_millisecond)) {
                (TAKEN_AT, Some(Ok(at))) => self.at = at,
                _ => match self.pairs.iter_mut().find(|(known, _)| *known == key) {
                    Some(pair) => pair.1 = value,
                    None => self.pairs.push((key, value)),
                },
            }
        }
    }
}

struct KeyValueCollector(Vec<(Key, Value)>);

impl KeyValueCollector {
    fn push(&mut self, key: Key, value: Value) -> slog::Result {
        self.0.push((key, value));
        Ok(())
    }
}

/// Keeps numbers as numbers in the JSON format.
macro_rules! emit {
    ($($method:ident: $kind:ty),* $(,)?) => {
        $(fn $method(&mut self, key: Key, value: $kind) -> slog::Result {
            self.push(key, Value::from(value))
        })*
    };
}

impl Serializer for KeyValueCollector {
    emit! {
        emit_bool: bool, emit_str: &str,
        emit_u8: u8, emit_u16: u16, emit_u32: u32, emit_u64: u64, emit_usize: usize,
        emit_i8: i8, emit_i16: i16, emit_i32: i32, emit_i64: i64, emit_isize: isize,
    }

    fn emit_f64(&mut self, key: Key, value: f64) -> slog::Result {
        // JSON has neither NaN nor infinity; they become text.
        self.push(key, Number::from_f64(value).map_or_else(|| Value::from(value.to_string()), Value::Number))
    }

    fn emit_f32(&mut self, key: Key, value: f32) -> slog::Result {
        // Converted by its text, so that 0.1 does not become 0.10000000149.
        match value.to_string().parse() {
            Ok(value) => self.emit_f64(key, value),
            Err(_) => self.push(key, Value::from(value.to_string())),
        }
    }

    fn emit_none(&mut self, key: Key) -> slog::Result {
        self.push(key, Value::Null)
    }

    fn emit_unit(&mut self, key: Key) -> slog::Result {
        self.push(key, Value::Null)
    }

    fn emit_arguments(&mut self, key: Key, value: &fmt::Arguments<'_>) -> slog::Result {
        self.push(key, Value::String(value.to_string()))
    }
}
