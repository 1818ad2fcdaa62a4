//! Converts `log` and `data event` to records of the battery's own device log.

use std::fmt::Write;

use crate::console::answers::data_event::DataEvent;
use crate::console::answers::log::{Log, LogRecord};
use crate::model::device_log::{DeviceLogEntry, DeviceLogKind};

/// Length of a snapshot's text, in characters.
const MAX_TEXT_LEN: usize = 240;

pub(crate) fn from_log(log: Log) -> impl Iterator<Item = DeviceLogEntry> {
    log.records.into_iter().map(|LogRecord { index, clock, module, code, info }| DeviceLogEntry {
        clock,
        kind: DeviceLogKind::Log,
        index,
        module,
        code,
        text: info,
    })
}

/// The record of a snapshot of the event memory; `None` if the snapshot has no number.
pub(crate) fn from_snapshot(snapshot: &DataEvent) -> Option<DeviceLogEntry> {
    Some(DeviceLogEntry {
        clock: snapshot.clock,
        kind: DeviceLogKind::Snapshot,
        index: snapshot.item?,
        module: None,
        code: None,
        text: Some(text(snapshot)),
    })
}

/// The values of a snapshot: `SysError, 52.916 V, -7.120 A, 25.4 °C, 81 %, battery 0x2 BHV, system 0x8`.
fn text(snapshot: &DataEvent) -> String {
    let mut text = String::new();
    let mut append = |value: Option<String>| {
        let comma = if text.is_empty() { "" } else { ", " };
        // Writing to a String does not fail.
        let _ = value.map(|value| write!(text, "{comma}{value}"));
    };
    append(snapshot.base_state.as_ref().map(ToString::to_string));
    append(snapshot.voltage.map(|voltage| voltage.to_string()));
    append(snapshot.current.map(|current| current.to_string()));
    append(snapshot.temperature.map(|temperature| temperature.to_string()));
    append(snapshot.soc.map(|soc| soc.to_string()));
    let words = [
        ("battery", &snapshot.battery_events),
        ("power", &snapshot.power_events),
        ("system", &snapshot.system_fault),
        ("units", &snapshot.unit_events),
        ("error", &snapshot.error_code),
    ];
    for (name, word) in words {
        append(word.as_ref().filter(|word| word.stands()).map(|word| format!("{name} {word}")));
    }
    match text.char_indices().nth(MAX_TEXT_LEN) {
        Some((end, _)) => text[..end].to_owned() + "…",
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event_word::EventWord;
    use crate::model::units::{Milliamps, Millivolts};
    use crate::model::word::Word;

    #[test]
    fn a_snapshot_is_one_line_of_limited_length() {
        let mut snapshot = DataEvent {
            item: Some(7),
            voltage: Some(Millivolts(52_916)),
            current: Some(Milliamps(-7_120)),
            base_state: Some(Word::new("SysError")),
            battery_events: Some(EventWord { bits: 2, names: vec!["BHV".into()] }),
            power_events: Some(EventWord::default()),
            ..DataEvent::default()
        };
        let text = |snapshot: &DataEvent| from_snapshot(snapshot).and_then(|record| record.text);
        assert_eq!(text(&snapshot).as_deref(), Some("SysError, 52.916 V, -7.120 A, battery 0x2 BHV"));
        snapshot.system_fault = Some(EventWord { bits: 8, names: vec!["X".repeat(900)] });
        assert_eq!(text(&snapshot).map(|text| text.chars().count()), Some(MAX_TEXT_LEN + 1));
        snapshot.item = None;
        assert_eq!(from_snapshot(&snapshot), None);
    }
}
