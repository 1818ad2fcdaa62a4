//! Replaces serial numbers in recordings: with the same length, so that columns stay aligned, and with a number each,
//! so that batteries can still be distinguished.

use std::collections::BTreeMap;

use crate::console::answers;
use crate::console::answers::parsed::Parsed;
use crate::console::command::{Command, CommandName};
use crate::console::framing::answer::Answer;

/// Shorter values are not serial numbers, and would match unrelated text.
const MIN_LEN: usize = 6;

/// Labels of serial numbers.
const LABELS: &[&str] = &["Barcode", "Module", "PCBA", "Board ID"];

#[derive(Debug, Default)]
pub(crate) struct Redactor {
    /// The serial numbers found so far, with their replacements.
    replacements: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Redactor {
    /// Collects the serial numbers in an answer: after their labels, and in the barcode column of the table.
    pub(crate) fn collect(&mut self, bytes: &[u8]) {
        let answer = Answer::from_transcript(bytes);
        for (_, line) in answer.lines() {
            let labeled =
                line.split_once(':').filter(|(label, _)| LABELS.iter().any(|known| label.contains(known)));
            if let Some((_, value)) = labeled {
                self.add(value.trim_matches([':', ' ']));
            }
        }
        let table: Command = CommandName::Pwr.bare();
        if answer.command() == Some(table)
            && let Ok(Parsed::Table(table)) = answers::parse_text(table, &answer)
        {
            table.rows.iter().filter_map(|row| row.barcode.as_deref()).for_each(|barcode| self.add(barcode));
        }
    }

    fn add(&mut self, number: &str) {
        let bytes: Vec<u8> = number.chars().filter_map(|c| u8::try_from(u32::from(c)).ok()).collect();
        if bytes.len() < MIN_LEN || self.replacements.contains_key(&bytes) {
            return;
        }
        let name = (self.replacements.len() + 1).to_string();
        let mut replacement = vec![b'0'; bytes.len()];
        let start = bytes.len() - name.len().min(bytes.len());
        replacement[start..].copy_from_slice(&name.as_bytes()[..bytes.len() - start]);
        self.replacements.insert(bytes, replacement);
    }

    /// The same bytes with every collected serial number replaced.
    #[must_use]
    pub(crate) fn redact(&self, bytes: &[u8]) -> Vec<u8> {
        let mut redacted = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while let Some(first) = rest.first() {
            // The longest match: one number may be the prefix of another.
            let found = self
                .replacements
                .iter()
                .filter(|(number, _)| rest.starts_with(number))
                .max_by_key(|(number, _)| number.len());
            let taken = match found {
                Some((number, replacement)) => {
                    redacted.extend_from_slice(replacement);
                    number.len()
                }
                None => {
                    redacted.push(*first);
                    1
                }
            };
            rest = &rest[taken..];
        }
        redacted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_are_replaced_in_place_and_stay_distinct() {
        let info = b"info 1\n\r@\r\n\rBarcode             : K221104000000001\r\n\rCommand completed successfully\r\n\r$$\r\n\rpylon>";
        let other = b"info 2\n\r@\r\n\rBarcode             : K221104000000002\r\n\rCommand completed successfully\r\n\r$$\r\n\rpylon>";
        let mut redactor = Redactor::default();
        redactor.collect(info);
        redactor.collect(other);
        let (first, second) = (redactor.redact(info), redactor.redact(other));
        assert_eq!(first.len(), info.len());
        let text = String::from_utf8_lossy(&[first, second].concat()).into_owned();
        assert!(text.contains("0000000000000001") && text.contains("0000000000000002"), "{text}");
        assert!(!text.contains("K2211"), "{text}");
    }
}
