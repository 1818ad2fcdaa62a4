//! Blanks serial numbers in recordings: the same length, so that columns stay where they are, and a number each,
//! so that batteries can still be told apart.

use std::collections::BTreeMap;

use crate::console::answers;
use crate::console::answers::parsed::Parsed;
use crate::console::command::{Command, Verb};
use crate::console::framing::answer::Answer;

/// Shorter values are no serial numbers, and blanking them would blank other things.
const LEAST: usize = 6;

/// Labels whose values name a device.
const LABELS: &[&str] = &["Barcode", "Module", "PCBA", "Board ID"];

/// The serial numbers found so far and what stands for them.
#[derive(Debug, Default)]
pub(crate) struct Blank {
    numbers: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Blank {
    /// Finds the serial numbers in an answer: behind the labels that announce one, and in the table's column.
    pub(crate) fn learn(&mut self, bytes: &[u8]) {
        let answer = Answer::from_transcript(bytes);
        for (_, line) in answer.lines() {
            let labelled =
                line.split_once(':').filter(|(label, _)| LABELS.iter().any(|known| label.contains(known)));
            if let Some((_, value)) = labelled {
                self.take(value.trim_matches([':', ' ']));
            }
        }
        let table: Command = Verb::Pwr.alone();
        if answer.command() == Some(table)
            && let Ok(Parsed::Table(table)) = answers::parse_text(table, &answer)
        {
            table.rows.iter().filter_map(|row| row.barcode.as_deref()).for_each(|barcode| self.take(barcode));
        }
    }

    fn take(&mut self, number: &str) {
        let bytes: Vec<u8> = number.chars().filter_map(|c| u8::try_from(u32::from(c)).ok()).collect();
        if bytes.len() < LEAST || self.numbers.contains_key(&bytes) {
            return;
        }
        let name = (self.numbers.len() + 1).to_string();
        let mut stand_in = vec![b'0'; bytes.len()];
        let start = bytes.len() - name.len().min(bytes.len());
        stand_in[start..].copy_from_slice(&name.as_bytes()[..bytes.len() - start]);
        self.numbers.insert(bytes, stand_in);
    }

    /// The same bytes with every serial number replaced, wherever it stands.
    #[must_use]
    pub(crate) fn out(&self, bytes: &[u8]) -> Vec<u8> {
        let mut blanked = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while let Some(first) = rest.first() {
            // The longest first: one number may begin another.
            let found = self
                .numbers
                .iter()
                .filter(|(number, _)| rest.starts_with(number))
                .max_by_key(|(number, _)| number.len());
            let taken = match found {
                Some((number, stand_in)) => {
                    blanked.extend_from_slice(stand_in);
                    number.len()
                }
                None => {
                    blanked.push(*first);
                    1
                }
            };
            rest = &rest[taken..];
        }
        blanked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_are_blanked_in_place_and_stay_apart() {
        let info = b"info 1\n\r@\r\n\rBarcode             : K221104000000001\r\n\rCommand completed successfully\r\n\r$$\r\n\rpylon>";
        let other = b"info 2\n\r@\r\n\rBarcode             : K221104000000002\r\n\rCommand completed successfully\r\n\r$$\r\n\rpylon>";
        let mut blank = Blank::default();
        blank.learn(info);
        blank.learn(other);
        let (first, second) = (blank.out(info), blank.out(other));
        assert_eq!(first.len(), info.len());
        let text = String::from_utf8_lossy(&[first, second].concat()).into_owned();
        assert!(text.contains("0000000000000001") && text.contains("0000000000000002"), "{text}");
        assert!(!text.contains("K2211"), "{text}");
    }
}
