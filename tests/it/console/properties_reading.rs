//! From answers to a reading: nothing is invented, and no value is assigned to another battery. Event words preserve
//! every bit, and only the known commands are commands.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bankwatch::internals::console::answers;
use bankwatch::internals::console::answers::parsed::Parsed;
use bankwatch::internals::console::assemble::assemble;
use bankwatch::internals::console::command::{Command, CommandName};
use bankwatch::internals::console::framing::answer::Answer;
use bankwatch::internals::console::transcript::{CommandError, Exchange, Transcript};
use bankwatch::internals::model::facts::Facts;
use bankwatch::internals::model::place::Place;
use bankwatch::internals::model::reading::{BankReading, BatteryReading, CellReading, Measured, SweepKind};
use bankwatch::internals::simulator::{Dialect, EventWordKind, Simulation};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use support::framed_answers::ask;

const SECOND: u8 = 2;

/// The commands of a sweep and the bytes of their answers.
fn sweep(dialect: Dialect, seed: u64) -> Vec<(Command, Vec<u8>)> {
    let mut console = Simulation::new(dialect).seed(seed).batteries(2).console().unwrap();
    // Different in everything that can differ.
    console.bank_mut().set_soc(1, 0.95);
    console.bank_mut().set_soc(2, 0.35);
    console.bank_mut().raise_event(1, EventWordKind::Battery, 0x2);
    console.bank_mut().raise_event(2, EventWordKind::Fault, 0x80);
    let places = [Place::FIRST, Place::new(SECOND).unwrap()];
    let each = [CommandName::Pwr, CommandName::Bat, CommandName::Info, CommandName::Stat];
    let of_each = places.into_iter().flat_map(|place| each.map(|verb| verb.for_place(place)));
    let commands = std::iter::once(CommandName::Pwr.bare()).chain(of_each);
    commands.map(|command| (command, ask(&mut console, &command.to_string()).received)).collect()
}

fn read(answers: Vec<(Command, Option<Vec<u8>>)>) -> BankReading {
    let exchange = |(command, bytes): (Command, Option<Vec<u8>>)| Exchange {
        command,
        outcome: bytes.map(|bytes| Answer::from_transcript(&bytes)).ok_or(CommandError::NoResponse),
        attempts: 1,
    };
    assemble(&Transcript {
        bank: "bank".into(),
        kind: SweepKind::Full,
        started_at: jiff::Timestamp::UNIX_EPOCH,
        started: Instant::now(),
        took: Duration::ZERO,
        known_places: Place::up_to(SECOND).collect(),
        exchanges: answers.into_iter().map(exchange).collect(),
    })
}

/// The losses in the second battery's answers.
#[derive(Clone, Debug)]
struct Loss {
    /// Complete answers, counted among those about the second battery; the table's row is the last of them.
    answers: BTreeSet<usize>,
    /// Lines of the others, by their number modulo the number of lines.
    lines: BTreeSet<usize>,
    /// The last columns of each of its cells.
    columns: usize,
}

fn losses() -> impl Strategy<Value = Loss> {
    (btree_set(0..5_usize, 0..3), btree_set(0..60_usize, 0..12), 0..4_usize)
        .prop_map(|(answers, lines, columns)| Loss { answers, lines, columns })
}

impl Loss {
    fn strike(&self, answers: Vec<(Command, Vec<u8>)>) -> Vec<(Command, Option<Vec<u8>>)> {
        let mut number = 0;
        let strike = |(command, bytes): (Command, Vec<u8>)| {
            let about_second = command.index == Some(u16::from(SECOND));
            if command.index.is_none() && self.answers.contains(&4) {
                return (command, Some(without(&bytes, |line| line.starts_with("2 "))));
            }
            if !about_second {
                return (command, Some(bytes));
            }
            number += 1;
            if self.answers.contains(&(number - 1)) {
                return (command, None);
            }
            let count = text(&bytes).split('\n').count();
            let mut at = 0;
            let mut kept = without(&bytes, |line| {
                at += 1;
                // Echo and end are up to the framing. A lost first cell is indistinguishable from numbering from 1.
                let body =
                    at > 3 && at + 4 < count && !(command.name == CommandName::Bat && line.starts_with("0 "));
                body && self.lines.iter().any(|line| line % count == at)
            });
            if command.name == CommandName::Bat {
                kept = shortened(&kept, self.columns);
            }
            (command, Some(kept))
        };
        answers.into_iter().map(strike).collect()
    }
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// The bytes without the lines of which `lost` is true.
fn without(bytes: &[u8], mut lost: impl FnMut(&str) -> bool) -> Vec<u8> {
    let text = text(bytes);
    let kept = text.split('\n').filter(|line| !lost(line.trim()));
    kept.collect::<Vec<_>>().join("\n").chars().map(|c| c as u8).collect()
}

/// Header and rows of a cell table without the last `columns` columns, like another firmware.
fn shortened(bytes: &[u8], columns: usize) -> Vec<u8> {
    let shorten = |line: &str| {
        let header = line.trim_start().starts_with("Battery");
        let row = line.starts_with(|c: char| c.is_ascii_digit());
        if !header && !row || columns == 0 {
            return line.to_owned();
        }
        // Words in the header and tokens in a row for: balancing, charge, percentage.
        let cut = if header { columns } else { [0, 1, 3, 4][columns] };
        let words: Vec<&str> = line.split_whitespace().collect();
        words[..words.len().saturating_sub(cut)].join(" ") + "\r"
    };
    text(bytes).split('\n').map(shorten).collect::<Vec<_>>().join("\n").chars().map(|c| c as u8).collect()
}

/// Checks that each field of `found` is equal to that of `truth`, or missing.
macro_rules! nothing_new {
    ($found:expr, $truth:expr, $kind:ident { $($field:ident),* $(,)? }) => {{
        let $kind { $($field: _),*, .. } = $found;
        $(assert!(
            $found.$field.is_none() || $found.$field == $truth.$field,
            "{}: {:?}, in truth {:?}", stringify!($field), $found.$field, $truth.$field
        );)*
    }};
}

fn measured(found: &Measured, truth: &Measured) {
    nothing_new!(
        found,
        truth,
        Measured {
            voltage,
            current,
            temperature,
            soc,
            remaining,
            energy,
            base_state,
            volt_state,
            current_state,
            temp_state,
            coulomb_state,
            soh_state,
            heater,
            charge_switch,
            discharge_switch,
            cell_volt_state,
            cell_temp_state,
            system_alarm,
            mos_temperature,
            cell_voltage_low,
            cell_voltage_high,
            cell_temperature_low,
            cell_temperature_high,
            battery_events,
            power_events,
            system_fault,
            clock,
        }
    );
    assert!(found.other_events.iter().all(|word| truth.other_events.contains(word)));
}

fn facts(found: &Facts, truth: &Facts) {
    nothing_new!(
        found,
        truth,
        Facts {
            barcode,
            manufacturer,
            model,
            firmware,
            nominal_capacity,
            usable_capacity,
            cells,
            soh,
            cycles,
            discharged,
            max_charge_current,
            max_discharge_current,
            max_voltage,
        }
    );
}

fn cell(found: &CellReading, truth: &CellReading) {
    nothing_new!(
        found,
        truth,
        CellReading {
            voltage,
            current,
            temperature,
            base_state,
            volt_state,
            current_state,
            temp_state,
            soc,
            coulomb,
            balancing,
        }
    );
}

fn battery(found: &BatteryReading, truth: &BatteryReading) {
    measured(&found.measured, &truth.measured);
    for (source, found) in &found.facts {
        let (_, truth) = truth.facts.iter().find(|(other, _)| other == source).unwrap();
        facts(found, truth);
    }
    let truth = truth.cells.iter().flatten();
    found.cells.iter().flatten().zip(truth).for_each(|(found, truth)| cell(found, truth));
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(120))]

    #[test]
    fn a_missing_value_is_never_taken_from_another_battery(which in any::<prop::sample::Index>(), seed in 0..6_u64, loss in losses()) {
        let packs: Vec<Dialect> = Dialect::ALL.iter().copied().filter(|dialect| !dialect.is_stack()).collect();
        let answers = sweep(packs[which.index(packs.len())], seed);
        let truth = read(answers.iter().cloned().map(|(command, bytes)| (command, Some(bytes))).collect());
        let found = read(loss.strike(answers));
        prop_assert_eq!(&found.batteries[0], &truth.batteries[0], "the other battery lost nothing");
        battery(&found.batteries[1], &truth.batteries[1]);
    }
}

const NAMES: [&str; 5] = ["BHV", "COULFULL", "PVNOR", "MTNOR", "X9_a"];

/// The words of a detail with this word at each of its three positions, as one console prints them.
fn words_of(word: &str) -> Parsed {
    let body = ["Bat Events", "Power Events", "System Fault", "System Alarm"]
        .map(|label| format!(" {label:<16}: {word}\r\r\n"));
    let text =
        format!("pwr 1\n\r@\r\r\n{}\r\n\rCommand completed successfully\r\n\r$$\r\n\rpylon>", body.concat());
    answers::parse("pwr 1".parse().unwrap(), &Answer::from_transcript(text.as_bytes())).unwrap()
}

fn survives(bits: u32, names: &[&str]) {
    let printed = names.join(" ");
    let Parsed::Detail(detail) = words_of(&format!("0x{bits:<9x}{printed}")) else { panic!("a detail") };
    let words = [detail.battery_events, detail.power_events, detail.system_fault];
    let alarm = detail.other_events.into_iter().map(|(_, word)| word);
    for word in words.into_iter().flatten().chain(alarm) {
        assert_eq!(word.bits, bits);
        if names.len() == bits.count_ones() as usize {
            assert_eq!(word.names, names);
        } else {
            // Two unknown words can be one name with a blank.
            assert!(word.names.is_empty() || word.names.join(" ") == printed, "{word:?}");
        }
    }
}

#[test]
fn every_bit_of_every_event_word_is_preserved() {
    for shift in 0..32 {
        survives(1 << shift, &[]);
        survives(1 << shift, &NAMES[..1]);
    }
}

proptest! {
    #![proptest_config(config(2_000))]

    #[test]
    fn event_words_preserve_bits_and_matching_names(bits in any::<u32>(), names in vec(0..NAMES.len(), 0..4)) {
        survives(bits, &names.into_iter().map(|name| NAMES[name]).collect::<Vec<_>>());
    }

    #[test]
    fn commands_parse_back_from_their_text(name in 0..10_usize, index in any::<u16>()) {
        let name = [CommandName::Pwr, CommandName::Bat, CommandName::Info, CommandName::Stat, CommandName::Soh, CommandName::DataEvent, CommandName::DataHistory, CommandName::Time, CommandName::Log, CommandName::Unit][name];
        let numbered = Command { name, index: Some(index) };
        let takes_none = matches!(name, CommandName::Time | CommandName::Log | CommandName::Unit);
        let expected = if takes_none { name.bare() } else { numbered };
        prop_assert_eq!(numbered.to_string().parse(), Ok(expected));
        prop_assert_eq!(name.bare().to_string().parse(), Ok(name.bare()));
    }

    #[test]
    fn no_other_text_is_a_command(text in prop_oneof![
        "[ -~]{0,20}",
        "(pwr|bat|info|stat|soh|time|log|data|data event|data history|unit)[ -~]{0,6}",
        "(shut|trst|tshut|tsleep|updata|datac|statc|config|ctrl|setprt|eepw|flaw|rtcw|socw|login|logout|time) ?[a-z0-9 ]{0,12}",
    ]) {
        if let Ok(command) = text.parse::<Command>() {
            let word = |text: &str| text.split_whitespace().map(|word| match word.parse::<u16>() {
                Ok(number) => number.to_string(),
                Err(_) => word.to_owned(),
            }).collect::<Vec<_>>();
            prop_assert_eq!(word(&command.to_string()), word(&text));
            let asks = command.to_string();
            let verb = asks.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end();
            prop_assert!(["pwr", "bat", "info", "stat", "soh", "data event", "data history", "time", "log", "unit"].contains(&verb));
            prop_assert!(!["time", "log", "unit"].contains(&verb) || verb == asks);
        }
    }
}
