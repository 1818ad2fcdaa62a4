//! Every bit of every event word, alone and together, in each number format that consoles are reported to use.

use std::sync::LazyLock;

use bankwatch::internals::console::answers;
use bankwatch::internals::console::answers::parsed::Parsed;
use bankwatch::internals::console::command::Command;
use bankwatch::internals::console::framing::{FrameStatus, Framer};
use bankwatch::internals::events::catalogue::Catalogue;
use bankwatch::internals::events::decode::{ActiveCondition, EventSource, decode};
use bankwatch::internals::model::event::{Condition, EventLevel};
use bankwatch::internals::model::reading::Measured;
use proptest::prelude::*;

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::load(None).0);

/// The label that the console prints, and our name of the event word.
const WORDS: &[(&str, &str)] = &[
    ("Bat Events", "battery"),
    ("Power Events", "power"),
    ("System Fault", "system"),
    ("System Alarm", "System Alarm"),
    ("Bat Volt Status", "Bat Volt Status"),
    ("Bat Tmpr Status", "Bat Tmpr Status"),
    ("Pwr Volt Status", "Pwr Volt Status"),
    ("Pwr Tmpr Status", "Pwr Tmpr Status"),
    ("Pwr Curr Status", "Pwr Curr Status"),
    ("Pwr Base Status", "Pwr Base Status"),
    ("Pwr Coul Status", "Pwr Coul Status"),
    ("Mos Tmpr Status", "Mos Tmpr Status"),
    ("Env Tmpr Status", "Env Tmpr Status"),
    ("Cascade Status", "Cascade Status"),
    ("Unit Events", "Unit Events"),
];

/// The formats in which a console may print a number.
const SPELLINGS: [fn(u32) -> String; 3] =
    [|bits| format!("{bits:#x}"), |bits| format!("{bits:x}"), |bits| bits.to_string()];

/// The values parsed from an answer with these lines.
fn measured(lines: &[String]) -> Measured {
    let body: String = lines.iter().map(|line| format!(" {line}\r\r\n")).collect();
    let transcript =
        format!("pwr 1\n\r@\r\r\n Power  1\r\r\n{body}\rCommand completed successfully\r\n\r$$\r\n\rpylon>");
    let FrameStatus::Complete(answer) = Framer::new("pwr 1").push(transcript.as_bytes()) else {
        panic!("{transcript}")
    };
    let command: Command = "pwr 1".parse().unwrap();
    let Ok(Parsed::Detail(detail)) = answers::parse(command, &answer) else { panic!("{transcript}") };
    Measured {
        battery_events: detail.battery_events,
        power_events: detail.power_events,
        system_fault: detail.system_fault,
        other_events: detail.other_events,
        ..Measured::default()
    }
}

/// The conditions of one event word in an answer with these lines.
fn conditions(lines: &[String], word: &str) -> Vec<(u32, Option<String>, EventLevel, String)> {
    let measured = measured(lines);
    let decoded = decode(&measured, EventSource::Battery, &CATALOGUE);
    let found = decoded.into_iter().find(|decoded| decoded.word == word).expect("the word is in the answer");
    let plain = |condition: ActiveCondition<'_>| {
        let Condition::Bit(bit) = condition.condition else { panic!("{condition:?}") };
        (bit, condition.name.map(str::to_owned), condition.level, condition.text.into_owned())
    };
    found.conditions.into_iter().map(plain).collect()
}

#[test]
fn each_single_bit_is_decoded_in_every_spelling() {
    for (label, word) in WORDS {
        for bit in (0..32).map(|shift| 1_u32 << shift) {
            for spelling in SPELLINGS {
                let number = spelling(bit);
                let bare = conditions(&[format!("{label:<16}: {number}")], word);
                assert_eq!(bare.len(), 1, "{label} {number}");
                let meaning = CATALOGUE.bit(word, bit, None);
                assert_eq!(
                    bare[0],
                    (bit, None, meaning.level, meaning.text.into_owned()),
                    "{label} {number}"
                );
                let named = conditions(&[format!("{label:<16}: {number:<11}STRANGE")], word);
                assert_eq!(named[0].0, bit);
                assert_eq!((named[0].1.as_deref(), named[0].3.as_str()), (Some("STRANGE"), "STRANGE"));
            }
        }
    }
}

#[test]
fn no_bits_are_no_conditions_and_unknown_bits_are_named_unknown() {
    for spelling in ["0x0", "0", "0x00000000"] {
        assert_eq!(conditions(&[format!("Power Events    : {spelling}")], "power"), []);
    }
    let unknown = conditions(&["System Fault    : 0x80000000".to_owned()], "system");
    assert_eq!(
        unknown,
        [(0x8000_0000, None, EventLevel::Warning, "Unknown condition 0x80000000".to_owned())]
    );
}

#[test]
fn a_printed_name_takes_precedence_over_the_bit() {
    let of = |value: &str| conditions(&[format!("Power Events    : {value}")], "power").remove(0);
    assert_eq!(
        of("0x2        PHV"),
        (2, Some("PHV".into()), EventLevel::Warning, "High voltage alarm".into())
    );
    // A known name, printed for a bit that has another meaning in the catalogue.
    assert_eq!(
        of("0x2        COULFULL"),
        (2, Some("COULFULL".into()), EventLevel::Info, "Full charge".into())
    );
    // An unknown name: the level of the bit, the text of the console.
    assert_eq!(of("0x4        VNORM"), (4, Some("VNORM".into()), EventLevel::Info, "VNORM".into()));
}

#[test]
fn names_with_spaces_are_assigned_to_their_bits() {
    let found = conditions(&["System Fault    : 0x2100     ONLINE err InitVoltDiff".to_owned()], "system");
    let plain: Vec<_> = found.iter().map(|(bit, name, level, _)| (*bit, name.as_deref(), *level)).collect();
    let warning = EventLevel::Warning;
    assert_eq!(plain, [(0x100, Some("ONLINE err"), warning), (0x2000, Some("InitVoltDiff"), warning)]);
    assert!(found.iter().all(|(.., text)| !text.contains("Unknown")), "{found:?}");
    let [silent] =
        conditions(&["System Fault    : 0x1000     EXCOMMTIMEOUT".to_owned()], "system").try_into().unwrap();
    assert_eq!((silent.0, silent.1.as_deref()), (0x1000, Some("EXCOMMTIMEOUT")));
    // The power bits of a stack, by the names that it prints.
    for (bit, name, level) in [
        (0x80_u32, "PWRON", EventLevel::Warning),
        (0x200_0000, "IDLE", EventLevel::Info),
        (0x400_0000, "CHG", EventLevel::Info),
        (0x800_0000, "DSG", EventLevel::Info),
        (0x1000_0000, "SYSERR", EventLevel::Warning),
    ] {
        for printed in [name, ""] {
            let [found] =
                conditions(&[format!("Power Events    : {bit:#x} {printed}")], "power").try_into().unwrap();
            assert_eq!((found.0, found.2, found.3.contains("unconfirmed")), (bit, level, false));
        }
    }
}

proptest! {
    #[test]
    fn combined_bits_are_one_condition_each(bits in any::<u32>(), which in 0..WORDS.len()) {
        let (label, word) = WORDS[which];
        let names: Vec<String> = (0..bits.count_ones()).map(|number| format!("N{number}")).collect();
        let names = names.join(" ");
        for line in [format!("{label:<16}: {bits:#x}"), format!("{label:<16}: {bits:#x} {names}")] {
            let found = conditions(&[line], word);
            prop_assert_eq!(found.iter().map(|(bit, ..)| bit).sum::<u32>(), bits);
            prop_assert!(found.iter().all(|(bit, ..)| bit.is_power_of_two()));
            prop_assert!(found.windows(2).all(|pair| pair[0].0 < pair[1].0));
        }
        let named = conditions(&[format!("{label:<16}: {bits:#x} {names}")], word);
        for (position, (_, name, ..)) in named.iter().enumerate() {
            let expected = format!("N{position}");
            prop_assert_eq!(name.as_ref(), Some(&expected), "names are in bit order");
        }
    }

    /// Without a prefix the base is ambiguous; the decoded bits must match one of the two readings.
    #[test]
    fn digits_without_prefix_are_decimal_or_hexadecimal(digits in "[0-9]{1,9}") {
        let found = conditions(&[format!("Bat Events      : {digits}")], "battery");
        let decoded: u32 = found.iter().map(|(bit, ..)| bit).sum();
        let either = [u32::from_str_radix(&digits, 16).ok(), digits.parse().ok()];
        prop_assert!(either.contains(&Some(decoded)), "{digits} was decoded as {decoded:#x}");
    }

    #[test]
    fn names_are_ignored_unless_they_match_the_bit_count(bits in any::<u32>(), names in 0..6_usize) {
        prop_assume!(names != bits.count_ones() as usize);
        let names = vec!["BHV"; names].join(" ");
        let found = conditions(&[format!("Power Events    : {bits:#x} {names}")], "power");
        prop_assert!(found.iter().all(|(_, name, ..)| name.is_none()));
        prop_assert_eq!(found.iter().map(|(bit, ..)| bit).sum::<u32>(), bits);
    }

    /// Garbage in place of one event word does not change the others.
    #[test]
    fn a_damaged_word_leaves_other_words_intact(garbage in "[ -~]{0,24}", bits in any::<[u32; 2]>()) {
        let lines = [
            format!("Bat Events      : {:#x}", bits[0]),
            format!("Power Events    : {garbage}"),
            format!("System Fault    : {:#x}", bits[1]),
        ];
        for (word, bits) in [("battery", bits[0]), ("system", bits[1])] {
            let found = conditions(&lines, word);
            prop_assert_eq!(found.iter().map(|(bit, ..)| bit).sum::<u32>(), bits);
        }
    }
}
