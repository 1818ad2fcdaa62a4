//! A logger that collects its lines for a test.

use std::fmt::{Arguments, Write};
use std::sync::{Arc, Mutex};

use slog::{Drain, KV, Key, Logger, Never, OwnedKVList, Record, Serializer, o};

/// The collected lines, each `LEVEL message key=value …` with the keys in alphabetical order.
#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    pub fn logger(&self) -> Logger {
        Logger::root(self.clone().fuse(), o!())
    }

    /// Discards all except the last `count`.
    #[allow(dead_code, reason = "for tests that run for hours")]
    pub fn keep_last(&self, count: usize) {
        let mut lines = self.0.lock().unwrap();
        let surplus = lines.len().saturating_sub(count);
        lines.drain(..surplus);
    }

    pub fn containing(&self, words: &str) -> Vec<String> {
        self.0.lock().unwrap().iter().filter(|line| line.contains(words)).cloned().collect()
    }
}

impl Drain for Lines {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        let mut pairs = Pairs(Vec::new());
        record.kv().serialize(record, &mut pairs).unwrap();
        values.serialize(record, &mut pairs).unwrap();
        pairs.0.sort();
        let mut line = format!("{} {}", record.level().as_short_str(), record.msg());
        for (key, value) in pairs.0 {
            write!(line, " {key}={value}").unwrap();
        }
        self.0.lock().unwrap().push(line);
        Ok(())
    }
}

struct Pairs(Vec<(String, String)>);

impl Serializer for Pairs {
    fn emit_arguments(&mut self, key: Key, value: &Arguments<'_>) -> slog::Result {
        self.0.push((key.to_string(), value.to_string()));
        Ok(())
    }
}
