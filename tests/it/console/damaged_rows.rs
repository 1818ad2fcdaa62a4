//! A damaged or unusual row of a table loses only its own doubtful values: never another row, and never a battery.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bankwatch::internals::console::answers;
use bankwatch::internals::console::answers::parsed::Parsed;
use bankwatch::internals::console::assemble::assemble;
use bankwatch::internals::console::command::{Command, CommandName};
use bankwatch::internals::console::framing::answer::Answer;
use bankwatch::internals::console::transcript::{Exchange, Transcript};
use bankwatch::internals::model::facts::Facts;
use bankwatch::internals::model::place::Place;
use bankwatch::internals::model::reading::{BankReading, Presence, SweepKind};
use bankwatch::internals::model::statistics::BankStatistics;
use bankwatch::internals::simulator::{Console, Dialect, Simulation};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;
use support::framed_answers;
use support::scripted::Scripted;
use support::sweep_runner::{PATIENCE, restless, sweep};

const BATTERIES: u8 = 3;

fn place(number: u8) -> Place {
    Place::new(number).expect("a place")
}

fn console(dialect: Dialect) -> Console {
    let plan = Simulation::new(dialect).batteries(BATTERIES.into()).seed(5);
    let mut console = plan.console().expect("a console");
    console.bank_mut().set_soc(2, 1.0);
    console
}

fn text_of(console: &mut Console, question: &str) -> String {
    framed_answers::ask(console, question).received.into_iter().map(char::from).collect()
}

/// The tables of every dialect.
static TABLES: LazyLock<Vec<(Dialect, Command, String)>> = LazyLock::new(|| {
    let each = |dialect: &Dialect| {
        let mut console = console(*dialect);
        let tables = match dialect.is_stack() {
            true => [CommandName::Unit.bare(), CommandName::Bat.bare()],
            false => [CommandName::Pwr.bare(), CommandName::Bat.for_place(place(2))],
        };
        tables.map(|command| (*dialect, command, text_of(&mut console, &command.to_string())))
    };
    Dialect::ALL.iter().flat_map(each).collect()
});

/// A command and its answer.
type Answers = Vec<(Command, String)>;

/// The answers of every stack in a sweep, and their reading.
static STACKS: LazyLock<Vec<(Answers, BankReading)>> = LazyLock::new(|| {
    let each = |dialect: &Dialect| {
        let mut console = console(*dialect);
        let questions = [CommandName::Pwr.bare(), CommandName::Unit.bare(), CommandName::Bat.bare()];
        let answers = questions.map(|command| (command, text_of(&mut console, &command.to_string())));
        (answers.to_vec(), reading(&answers))
    };
    Dialect::ALL.iter().filter(|dialect| dialect.is_stack()).map(each).collect()
});

/// The numbers of the lines that are rows.
fn rows(text: &str) -> Vec<usize> {
    let heads = ["Power ", "Index ", "Battery ", "Bat "];
    let lines: Vec<&str> = text.split('\n').collect();
    let header = |line: &&str| heads.iter().any(|head| line.starts_with(head)) && line.contains("Tempr  ");
    let first = lines.iter().position(header).expect("a header") + 1;
    let is_row = |at: &usize| lines[*at].starts_with(|first: char| first.is_ascii_digit());
    (first..lines.len()).filter(|at| !lines[*at].trim().is_empty()).take_while(is_row).collect()
}

/// Damage to one row.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Damage {
    NumberForAWord,
    LetterInANumber,
    BlankInside,
    CutShort,
    LeftOut,
    Blanked,
    Removed,
    Extra(&'static str),
    Fused,
}

fn damages() -> impl Strategy<Value = Damage> {
    use Damage::{
        BlankInside, Blanked, CutShort, Extra, Fused, LeftOut, LetterInANumber, NumberForAWord, Removed,
    };
    prop_oneof![
        Just(NumberForAWord),
        Just(LetterInANumber),
        Just(BlankInside),
        Just(CutShort),
        Just(LeftOut),
        Just(Blanked),
        Just(Removed),
        prop_oneof![Just("7"), Just("x"), Just("Normal"), Just("80%"), Just("-")].prop_map(Extra),
        Just(Fused),
    ]
}

impl Damage {
    /// The row with damage at one of its tokens; `None` if the row is lost or cannot be damaged in this way.
    fn strike(self, row: &str, which: Index) -> Option<String> {
        let row = row.trim_end();
        let start = row.as_ptr() as usize;
        let own = |token: &&str| match self {
            Self::NumberForAWord => token.starts_with(|c: char| c.is_ascii_alphabetic()),
            Self::LetterInANumber => token.trim_end_matches('%').parse::<i64>().is_ok(),
            Self::BlankInside => token.len() > 1,
            _ => true,
        };
        let tokens: Vec<&str> = row.split_ascii_whitespace().filter(own).collect();
        let token = *tokens.get(which.index(tokens.len().max(1)))?;
        let (from, to) = (token.as_ptr() as usize - start, token.as_ptr() as usize - start + token.len());
        let middle = from + token.len().div_ceil(2);
        let (before, behind) = (&row[..from], &row[to..]);
        match self {
            Self::NumberForAWord => Some(format!("{before}80%{behind}")),
            Self::LetterInANumber => Some(format!("{}x{}", &row[..middle], &row[middle..])),
            Self::BlankInside if token.ends_with('%') => Some(format!("{} %{behind}", &row[..to - 1])),
            Self::BlankInside => Some(format!("{} {}", &row[..middle], &row[middle..])),
            Self::CutShort => Some(row[..middle].to_owned()),
            Self::LeftOut => Some(format!("{before}{}", behind.trim_start())),
            Self::Blanked => Some(format!("{before}{}{behind}", " ".repeat(token.len()))),
            Self::Removed => None,
            Self::Extra(token) => Some(format!("{before}{token} {}", &row[from..])),
            Self::Fused => Some(format!("{}{}", &row[..to], behind.trim_start())),
        }
    }
}

/// A table with one of its rows damaged, and the number of that row.
fn struck(text: &str, row: usize, damage: Damage, which: Index) -> String {
    let line_of = |(at, line): (usize, &str)| match at == row {
        true => damage.strike(line, which).map(|row| row + "\r"),
        false => Some(line.to_owned()),
    };
    text.split('\n').enumerate().filter_map(line_of).collect::<Vec<_>>().join("\n")
}

fn answer(text: &str) -> Answer {
    Answer::from_transcript(&text.chars().map(|c| c as u8).collect::<Vec<_>>())
}

/// The rows of a table by their numbers.
fn by_number(parsed: &Parsed) -> BTreeMap<u64, Value> {
    let value = serde_json::to_value(parsed).expect("plain values serialise");
    let (rows, number) = match parsed {
        Parsed::Table(_) => ("rows", "place"),
        Parsed::Units(_) => ("units", "place"),
        _ => ("cells", "number"),
    };
    let rows = value[rows].as_array().expect("rows").iter();
    rows.map(|row| (row[number].as_u64().expect("a number"), row.clone())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_row_changes_no_other_row_and_no_value(
        table in any::<Index>(), row in any::<Index>(), which in any::<Index>(), damage in damages(),
    ) {
        let (dialect, command, text) = &TABLES[table.index(TABLES.len())];
        let rows = rows(text);
        let row = rows[row.index(rows.len())];
        let line = text.split('\n').nth(row).expect("a row").trim();
        let own: u64 = line.split_ascii_whitespace().next().expect("a number").parse().expect("a number");
        let hit = struck(text, row, damage, which);
        let truth = by_number(&answers::parse(*command, &answer(text)).expect("a table"));
        let parsed = answers::parse(*command, &answer(&hit));
        let Ok(parsed) = parsed else { return Err(TestCaseError::fail(format!("{dialect} {command}: {parsed:?}"))) };
        let found = by_number(&parsed);
        for (number, truth) in &truth {
            let found = found.get(number);
            if *number != own {
                prop_assert_eq!(found, Some(truth), "{} {} row {}\n{}", dialect, command, number, hit);
                continue;
            }
            let fields = found.and_then(Value::as_object).into_iter().flatten();
            for (name, value) in fields {
                // A truncated text or word cannot be detected.
                let cut = damage == Damage::CutShort && truth[name].is_string();
                let right = value.is_null() || *value == truth[name] || cut;
                prop_assert!(right, "{} {}: {} is {}\n{}", dialect, command, name, value, hit);
            }
        }
        prop_assert!(found.keys().all(|number| truth.contains_key(number)), "{} {}\n{}", dialect, command, hit);
        if let Parsed::Table(table) = &parsed {
            let was_there = truth[&own]["absent"] == Value::Bool(false);
            // This console omits the rows of absent batteries.
            let left_out = damage == Damage::Removed && *dialect == Dialect::Us3000d;
            let shown = table.presence_at(place(u8::try_from(own).expect("a place")));
            prop_assert!(!was_there || left_out || shown != Some(false), "{} {}: absent\n{}", dialect, command, hit);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_row_of_a_stack_changes_no_other_module(
        dialect in any::<Index>(), of_cells in any::<bool>(), row in any::<Index>(), which in any::<Index>(), damage in damages(),
    ) {
        let (mut answers, truth) = STACKS[dialect.index(STACKS.len())].clone();
        let text = &mut answers[if of_cells { 2 } else { 1 }].1;
        let rows = rows(text);
        let row = row.index(rows.len());
        let last_module = !of_cells && row + 1 == rows.len();
        *text = struck(text, rows[row], damage, which);
        let found = reading(&answers);
        let each = truth.batteries[0].cells.as_ref().expect("cells").len();
        for (found, truth) in found.batteries.iter().zip(&truth.batteries) {
            let own_module = truth.place.index() == if of_cells { row / each } else { row };
            if !own_module {
                prop_assert_eq!(&found.measured, &truth.measured, "{:?}\n{}", damage, answers[1].1);
            }
            // A last module without any value cannot be detected.
            let Some(cells) = &found.cells else {
                prop_assert!(last_module, "{:?} {:?}\n{}", damage, found.place, answers[2].1);
                continue;
            };
            for (cell, (found, truth)) in cells.iter().zip(truth.cells.iter().flatten()).enumerate() {
                let own = of_cells && own_module && cell == row % each;
                prop_assert!(own || found == truth, "{:?} cell {}\n{}", damage, cell, answers[2].1);
            }
        }
    }
}

/// The reading of one sweep's answers.
fn reading(answers: &[(Command, String)]) -> BankReading {
    let exchange = |(command, text): &(Command, String)| Exchange {
        command: *command,
        outcome: Ok(answer(text)),
        attempts: 1,
    };
    assemble(&Transcript {
        bank: "bank".into(),
        kind: SweepKind::Full,
        started_at: jiff::Timestamp::UNIX_EPOCH,
        started: Instant::now(),
        took: Duration::ZERO,
        known_places: Vec::new(),
        exchanges: answers.iter().map(exchange).collect(),
    })
}

/// Sweeps a console; `change` modifies each answer and gets the command and how often it was sent.
fn sweeps(
    dialect: Dialect,
    count: usize,
    mut change: impl FnMut(&str, usize, String) -> String + Send + 'static,
) -> Vec<Transcript> {
    let mut console = console(dialect);
    let mut asked: BTreeMap<String, usize> = BTreeMap::new();
    let script = Scripted::start(move |line| {
        let times = asked.entry(line.to_owned()).or_default();
        *times += 1;
        let (received, _) = console.type_with_values(format!("{line}\n").as_bytes());
        let text = change(line, *times, received.into_iter().map(char::from).collect());
        text.chars().map(|c| c as u8).collect()
    });
    let mut all = Vec::new();
    sweep(
        &script.link(),
        PATIENCE,
        restless(),
        || {},
        |transcript| {
            all.push(transcript);
            all.len() == count
        },
    );
    all
}

/// The text with this change to row `number`.
fn with_row(text: String, number: &str, change: impl Fn(&str) -> String) -> String {
    let own = |line: &str| {
        line.split_ascii_whitespace().next() == Some(number) && line.split_ascii_whitespace().count() > 6
    };
    text.split('\n')
        .map(|line| if own(line) { change(line) } else { line.to_owned() })
        .collect::<Vec<_>>()
        .join("\n")
}

fn asked_twice(transcript: &Transcript) -> Vec<String> {
    let twice = transcript.exchanges.iter().filter(|exchange| exchange.attempts > 1);
    twice.map(|exchange| exchange.command.to_string()).collect()
}

#[test]
fn a_row_that_is_always_unusual_loses_two_values() {
    let all = sweeps(Dialect::Us2000, 6, |line, _, text| match line {
        "bat 2" => with_row(text, "14", |row| row.replace("Normal       100%", "100%         Normal")),
        _ => text,
    });
    for (number, transcript) in (1..).zip(&all) {
        let reading = assemble(transcript);
        let cells = reading.batteries[1].cells.as_ref().expect("cells");
        assert!(cells.iter().all(|cell| cell.voltage.is_some() && cell.current_state.is_some()), "{cells:?}");
        let missing = |cell: &usize| cells[*cell].soc.is_none() || cells[*cell].temp_state.is_none();
        assert_eq!((0..cells.len()).filter(missing).collect::<Vec<_>>(), [14]);
        assert_eq!(reading.missing.len(), 1, "{:?}", reading.missing);
        assert!(number == 1 || !asked_twice(transcript).contains(&"bat 2".to_owned()), "sweep {number}");
    }
}

fn totals(reading: &BankReading) -> BankStatistics {
    BankStatistics::of(reading, &vec![Facts::default(); reading.batteries.len()])
}

#[test]
fn a_current_that_fills_its_column_is_split_if_confirmed() {
    let minus_100_a = |line: &str, text: String| match line {
        "pwr" => with_row(text, "2", |row| format!("{}-100000{}", &row[..13], &row[20..])),
        "pwr 2" => {
            let change = |line: &str| {
                if line.starts_with(" Current  ") {
                    " Current         : -100000     mA\r\r".to_owned()
                } else {
                    line.to_owned()
                }
            };
            text.split('\n').map(change).collect::<Vec<_>>().join("\n")
        }
        _ => text,
    };
    // From the first sweep on, and from one sweep to the next.
    for begins in [1, 5] {
        let all = sweeps(
            Dialect::Us2000c,
            8,
            move |line, times, text| {
                if times >= begins { minus_100_a(line, text) } else { text }
            },
        );
        let reading = assemble(all.last().expect("a sweep"));
        assert_eq!((reading.missing.len(), asked_twice(&all[7])), (0, vec![]), "{:?}", reading.missing);
        let measured = &reading.batteries[1].measured;
        assert_eq!(
            (reading.batteries[1].presence, measured.current.map(|v| v.0)),
            (Presence::Present, Some(-100_000))
        );
        assert!(
            measured.cell_voltage_low.is_some() && measured.clock.is_some(),
            "what the table alone states"
        );
        let all: i32 = reading.batteries.iter().filter_map(|battery| Some(battery.measured.current?.0)).sum();
        assert_eq!(totals(&reading).current.map(|current| current.0), Some(all));
    }
    let disagree = move |line: &str, text: String| if line == "pwr" { minus_100_a(line, text) } else { text };
    let all = sweeps(
        Dialect::Us2000c,
        4,
        move |line, times, text| if times > 2 { disagree(line, text) } else { text },
    );
    let reading = assemble(all.last().expect("a sweep"));
    let battery = &reading.batteries[1];
    assert_eq!((reading.missing.len(), battery.presence), (1, Presence::Present));
    assert!(
        battery.measured.cell_voltage_low.is_none()
            && battery.measured.current.is_some_and(|v| v.0 > -90_000)
    );
}

#[test]
fn a_battery_with_an_unreadable_row_counts_in_the_totals() {
    for dialect in [Dialect::Us2000c, Dialect::Us3000d, Dialect::PytesV5] {
        let all = sweeps(dialect, 8, |line, times, text| match line {
            "pwr" if times > 3 => with_row(text, "2", |row| row.replacen("Normal", "N0rm@l", 1)),
            _ => text,
        });
        for transcript in &all {
            let reading = assemble(transcript);
            let there =
                reading.batteries.iter().filter(|battery| battery.presence == Presence::Present).count();
            assert_eq!(there, usize::from(BATTERIES), "{dialect}");
            let totals = totals(&reading);
            assert!(totals.current.is_some() && totals.power.is_some() && totals.soc.is_some(), "{dialect}");
        }
        let reasons: Vec<_> = assemble(&all[7]).missing.into_iter().map(|missing| missing.command).collect();
        assert_eq!(reasons, ["pwr"], "{dialect}");
    }
}

#[test]
fn many_new_batteries_are_accepted_when_two_sweeps_agree() {
    // Each table is requested again within its own sweep, so two tables are not two sweeps.
    let all = sweeps(Dialect::Us2000, 8, |line, times, text| {
        let phantoms = |text: String| {
            let rows: Vec<String> =
                text.split('\n').filter(|line| line.starts_with("1 ")).map(str::to_owned).collect();
            let more = (9..=40).map(|place| rows[0].replacen("1 ", &format!("{place:<2}"), 1));
            let end = text.find("\r\n\rCommand").unwrap_or(text.len());
            format!("{}\r\r\n{}{}", &text[..end], more.collect::<Vec<_>>().join("\n"), &text[end..])
        };
        if line == "pwr" && times > 4 { phantoms(text) } else { text }
    });
    let present = |transcript: &Transcript| {
        assemble(transcript).batteries.iter().filter(|battery| battery.presence == Presence::Present).count()
    };
    let counts: Vec<usize> = all.iter().map(present).collect();
    let first = counts.iter().position(|count| *count > 3).expect("accepted in the end");
    assert!(
        counts[..first].iter().all(|count| *count == 3) && counts[first..].iter().all(|count| *count == 35),
        "{counts:?}"
    );
    let held = assemble(&all[first - 1]).missing;
    assert!(held.iter().any(|missing| missing.reason.contains("32 batteries appeared at once")), "{held:?}");
}

#[test]
fn a_first_cell_lost_in_the_first_answer_shifts_no_other() {
    let questions = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&questions);
    let all = sweeps(Dialect::Us2000c, 3, move |line, times, text| match line {
        "bat 1" => {
            counted.fetch_add(1, Ordering::SeqCst);
            if times == 1 {
                text.split('\n').filter(|line| !line.starts_with("0 ")).collect::<Vec<_>>().join("\n")
            } else {
                text
            }
        }
        _ => text,
    });
    let cells = |transcript: &Transcript| assemble(transcript).batteries[0].cells.as_ref().map(Vec::len);
    assert_eq!(all.iter().map(cells).collect::<Vec<_>>(), vec![cells(&all[2]); 3]);
    assert!(questions.load(Ordering::SeqCst) > 3);
}
