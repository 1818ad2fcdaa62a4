//! Consoles with quirks: they contradict themselves, mishear the command, answer nonsense. The number of retries stays
//! limited, and their answers are accepted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bankwatch::internals::console::answers;
use bankwatch::internals::console::answers::parsed::Parsed;
use bankwatch::internals::console::answers::pwr_detail::PwrDetail;
use bankwatch::internals::console::assemble::assemble;
use bankwatch::internals::console::command::{Command, CommandName};
use bankwatch::internals::console::framing::answer::Answer;
use bankwatch::internals::console::transcript::{Exchange, Transcript};
use bankwatch::internals::console::validation::{AnswerValidator, ReviewDecision};
use bankwatch::internals::model::facts::FactSource;
use bankwatch::internals::model::lifetime::LifetimeFigure;
use bankwatch::internals::model::reading::{BankReading, BatteryReading, Presence, SweepKind};
use bankwatch::internals::simulator::{Console, Dialect, PrintedValues, Simulation};
use bankwatch::internals::sweep::client::ConsoleTimeouts;
use bankwatch::internals::sweep::poll_plan::PollSchedule;
use fastrand::Rng;
use jiff::Timestamp;
use support::captures::{Capture, discover, print_count};
use support::scripted::Scripted;
use support::sweep_runner::{PATIENCE, restless, sweep};

/// A bank with constant values.
fn console(dialect: Dialect, batteries: usize) -> Console {
    Simulation::new(dialect).batteries(batteries).seed(4).console().expect("a console")
}

/// Its answer to one line, and the values in it.
fn ask(console: &mut Console, line: &str) -> (String, Option<PrintedValues>) {
    let (received, printed) = console.type_with_values(format!("{line}\n").as_bytes());
    (received.into_iter().map(char::from).collect(), printed.into_iter().next().map(|(_, values)| values))
}

fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap_or(b'?')).collect()
}

/// Sweeps until this many are complete.
fn sweeps(link: &str, count: usize) -> Vec<Transcript> {
    let mut all = Vec::new();
    sweep(
        link,
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

/// Checks that all are complete, and that after the first two only `info` is due now and then, without any retry.
#[track_caller]
fn assert_accepted_without_retry(all: &[Transcript]) {
    for (number, transcript) in (1..).zip(all) {
        assert_eq!(assemble(transcript).missing, [], "sweep {number}");
        let again: Vec<String> = transcript
            .exchanges
            .iter()
            // The first value has to be confirmed; that comes after all other slow commands.
            .filter(|exchange| exchange.attempts > 1 && exchange.command != CommandName::Euro.bare())
            .map(|exchange| format!("{} {} times", exchange.command, exchange.attempts))
            .collect();
        assert!(number <= 2 || again.is_empty(), "sweep {number} asked {again:?}");
    }
}

/// The same text with a higher voltage of each battery, in the table's rows and in the details.
fn with_higher_voltage(text: String, values: Option<PrintedValues>, by: i32) -> String {
    let voltages = match values {
        Some(PrintedValues::Table(rows)) => {
            rows.iter().filter(|row| row.present).map(|row| row.voltage_mv).collect()
        }
        Some(PrintedValues::Detail(detail)) => vec![detail.voltage_mv],
        _ => Vec::new(),
    };
    let raise = |text: String, voltage: &i32| text.replace(&voltage.to_string(), &(voltage + by).to_string());
    voltages.iter().fold(text, raise)
}

#[test]
fn a_voltage_that_differs_from_the_cells_is_accepted_at_once() {
    for dialect in [Dialect::Us2000c, Dialect::PytesV5] {
        let mut console = console(dialect, 3);
        let script = Scripted::start(move |line| {
            let (text, values) = ask(&mut console, line);
            bytes(&with_higher_voltage(text, values, 2_500))
        });
        assert_accepted_without_retry(&sweeps(&script.link(), 20));
    }
}

#[test]
fn a_sum_that_no_longer_matches_causes_only_one_retry() {
    let mut console = console(Dialect::Us2000c, 2);
    let apart = Arc::new(AtomicUsize::new(0));
    let by = Arc::clone(&apart);
    let script = Scripted::start(move |line| {
        let (text, values) = ask(&mut console, line);
        bytes(&with_higher_voltage(text, values, by.load(Ordering::SeqCst) as i32))
    });
    let mut all = Vec::new();
    sweep(
        &script.link(),
        PATIENCE,
        restless(),
        || {},
        |transcript| {
            all.push(transcript);
            if all.len() == 5 {
                apart.store(2_500, Ordering::SeqCst);
            }
            all.len() == 20
        },
    );
    let again = |transcript: &Transcript| -> Vec<String> {
        let twice = transcript.exchanges.iter().filter(|exchange| exchange.attempts > 1);
        twice.map(|exchange| exchange.command.to_string()).collect()
    };
    assert!(again(&all[5]).contains(&"bat 1".to_owned()), "{:?}", again(&all[5]));
    assert_accepted_without_retry(&all[5..]);
}

#[test]
fn a_load_step_between_table_and_detail_is_accepted() {
    let mut console = console(Dialect::PytesR, 3);
    let script = Scripted::start(move |line| {
        let (text, values) = ask(&mut console, line);
        // A load step of 1.5 V and 50 A between the table and the details.
        let Some(PrintedValues::Detail(detail)) = values else { return bytes(&text) };
        let current = format!("Current         : {}", detail.current_ma);
        let loaded = format!("Current         : {}", detail.current_ma - 50_000);
        bytes(
            &with_higher_voltage(text, Some(PrintedValues::Detail(detail)), -1_500)
                .replace(&current, &loaded),
        )
    });
    let all = sweeps(&script.link(), 20);
    assert_accepted_without_retry(&all);
    let reading = assemble(all.last().expect("a sweep"));
    assert!(reading.batteries.iter().all(|b| b.measured.current.is_some_and(|current| current.0 < -20_000)));
}

#[test]
fn a_misheard_command_never_yields_another_batterys_values() {
    let mut inner = console(Dialect::Us2000c, 4);
    let own: BTreeMap<String, (i32, i32)> = (1..=4)
        .map(|place| {
            let mut of = |verb: &str| ask(&mut inner, &format!("{verb} {place}")).1;
            let (Some(PrintedValues::Detail(detail)), Some(PrintedValues::Cells { cells, .. })) =
                (of("pwr"), of("bat"))
            else {
                panic!("battery {place} has no values")
            };
            (place.to_string(), (detail.voltage_mv, cells[0].voltage_mv))
        })
        .collect();
    let (mut rng, mut mistaken) = (Rng::with_seed(8), 0);
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let script = Scripted::start(move |line| {
        let numbered = line.split_once(' ').and_then(|(verb, place)| Some((verb, place.parse::<u8>().ok()?)));
        let Some((verb, place)) = numbered.filter(|_| rng.f64() < 0.2) else {
            return bytes(&ask(&mut inner, line).0);
        };
        let other = (place - 1 + rng.u8(1..4)) % 4 + 1;
        let (text, _) = ask(&mut inner, &format!("{verb} {other}"));
        mistaken += 1;
        counted.store(mistaken, Ordering::SeqCst);
        match rng.u8(0..3) {
            // The console received another command, as its echo shows.
            0 => bytes(&text),
            // In addition, its echo is damaged.
            1 => bytes(&text.replacen(' ', "\u{a0}", 1)),
            // The echo is ours, but the answer states another battery's number, if it states one.
            _ if verb == "pwr" => bytes(&text.replacen(&other.to_string(), &place.to_string(), 1)),
            _ => bytes(&text),
        }
    });
    let mut full = 0;
    sweep(
        &script.link(),
        PATIENCE,
        restless(),
        || {},
        |transcript| {
            let reading = assemble(&transcript);
            for battery in &reading.batteries {
                let (voltage, cell) = own[&battery.place.number().to_string()];
                assert_eq!(battery.measured.voltage.map(|v| v.0), Some(voltage), "battery {}", battery.place);
                let first = battery.cells.as_ref().map(|cells| cells[0].voltage.map(|v| v.0));
                assert!(
                    first.is_none_or(|first| first == Some(cell)),
                    "battery {}: {first:?}",
                    battery.place
                );
            }
            full += 1;
            full == 60
        },
    );
    assert!(count.load(Ordering::SeqCst) > 50, "the console mistook enough of them");
}

#[test]
fn a_row_with_a_wrong_number_creates_no_battery() {
    let mut console = console(Dialect::Us3000d, 2);
    let mut tables = 0;
    let script = Scripted::start(move |line| {
        let (text, _) = ask(&mut console, line);
        tables += usize::from(line == "pwr");
        // The very first table, with nothing to compare it with.
        let damaged = line == "pwr" && tables == 1;
        bytes(&if damaged { text.replacen("\n2 ", "\n7 ", 1) } else { text })
    });
    let all = sweeps(&script.link(), 3);
    let reading = assemble(all.last().expect("a sweep"));
    assert_eq!(reading.batteries.len(), 2, "{:?}", all[0].known_places);
}

#[test]
fn a_damaged_header_causes_a_retry_and_hides_no_column() {
    let mut console = console(Dialect::Us2000c, 2);
    let mut asked = 0;
    let script = Scripted::start(move |line| {
        let (text, _) = ask(&mut console, line);
        asked += usize::from(line == "bat 2");
        bytes(&if asked == 3 { text.replacen("Volt. State", "Vo#t. State", 1) } else { text })
    });
    for transcript in sweeps(&script.link(), 5) {
        let reading = assemble(&transcript);
        let cells = reading.batteries[1].cells.as_ref().expect("cells");
        assert!(cells.iter().all(|cell| cell.volt_state.is_some()), "{:?}", cells[0]);
    }
}

/// Replaces the nth `needle` of a text.
fn nth_replaced(text: &str, needle: &str, nth: usize, by: &str) -> String {
    let at = text.match_indices(needle).nth(nth).map(|(at, _)| at).expect("so many of them");
    format!("{}{by}{}", &text[..at], &text[at + needle.len()..])
}

/// Sweeps of a console with two batteries. `change` modifies the answers to one command from the `from`th on; it gets
/// the number of times that the command was sent before.
fn changed(question: &'static str, from: usize, change: fn(usize, String) -> String) -> Vec<Transcript> {
    let (mut console, mut asked) = (console(Dialect::Us2000c, 2), 0);
    let script = Scripted::start(move |line| {
        let (text, _) = ask(&mut console, line);
        asked += usize::from(line == question);
        let now = line == question && asked >= from;
        bytes(&if now { change(asked - from, text) } else { text })
    });
    sweeps(&script.link(), 4)
}

#[test]
fn an_unknown_word_is_shown_if_every_answer_has_it() {
    let all = changed("bat 1", 3, |_, text| nth_replaced(&text, "Normal", 4, "Tilted"));
    let reading = assemble(all.last().expect("a sweep"));
    let cells = reading.batteries[0].cells.as_ref().expect("cells");
    let words: Vec<&str> =
        cells.iter().filter_map(|cell| Some(cell.current_state.as_ref()?.as_str())).collect();
    assert_eq!(words.iter().filter(|word| **word == "Tilted").count(), 1, "{words:?}");
    assert_eq!(words.len(), 15);
}

#[test]
fn an_unconfirmed_word_is_missing_and_the_rest_is_used() {
    // Each of the three answers in a sweep lost a letter of another word.
    let all = changed("bat 1", 3, |asked, text| nth_replaced(&text, "Normal", 3 * (asked % 5), "Norma"));
    for transcript in &all[2..] {
        let reading = assemble(transcript);
        assert_eq!(reading.missing, []);
        let cells = reading.batteries[0].cells.as_ref().expect("cells");
        assert!(cells.iter().all(|cell| cell.voltage.is_some() && cell.base_state.is_some()));
        let words: Vec<&str> =
            cells.iter().filter_map(|cell| Some(cell.volt_state.as_ref()?.as_str())).collect();
        assert_eq!(words, ["Normal"; 14]);
    }
}

#[test]
fn a_truncated_on_is_not_a_switch_state() {
    let all = changed("pwr 1", 3, |asked, text| {
        let heater = text.find("Heater Status").expect("a heater") + 18;
        let by = if asked % 2 == 0 { "N" } else { "Normal" };
        format!("{}{by}{}", &text[..heater], &text[heater + 3..])
    });
    let heaters = all.iter().map(|transcript| assemble(transcript).batteries[0].measured.heater.clone());
    let heaters: Vec<String> = heaters.flatten().map(|word| word.as_str().to_owned()).collect();
    assert!(heaters.iter().all(|word| word == "OFF"), "{heaters:?}");
}

#[test]
fn a_third_damaged_answer_adds_no_unconfirmed_word_or_event() {
    // Each answer has another damaged line, and another additional word.
    let all = changed("pwr 1", 3, |asked, text| {
        let lines = ["Charge Times", "Total Coulomb", "Max Voltage"];
        let damaged =
            text.replacen(&format!("{:<16}: ", lines[asked % 3]), &format!("{:<16}: x", lines[asked % 3]), 1);
        assert_ne!(damaged, text);
        let printed =
            damaged.replacen("Volt Status     : Normal", &format!("Volt Status     : Norma{asked}"), 1);
        assert_ne!(printed, damaged);
        let events = format!("Power Events    : {:#x}", 1 << (asked % 7));
        let printed = printed.replacen("Power Events    : 0x", &format!("{events}\rx{asked} : 0x"), 1);
        printed.replacen("System Fault", &format!("System F{asked}"), 1)
    });
    for transcript in &all[2..] {
        let reading = assemble(transcript);
        let measured = &reading.batteries[0].measured;
        assert!(measured.voltage.is_some());
        assert_eq!(measured.volt_state.as_ref().map(|word| word.as_str()), Some("Normal"), "the table's");
        assert_eq!(measured.power_events, None);
        assert_eq!(measured.other_events, []);
        let asked = transcript.exchanges.iter().find(|exchange| exchange.command.to_string() == "pwr 1");
        assert_eq!(asked.map(|exchange| exchange.attempts), Some(3));
        assert!(asked.is_some_and(|exchange| exchange.outcome.is_ok()), "{asked:?}");
    }
}

/// An echo in which one byte is lost or changed; no digit becomes another digit, which would be another command.
fn damaged_echo(rng: &mut Rng, line: &str) -> Vec<u8> {
    let mut echo = line.as_bytes().to_vec();
    let at = rng.usize(..echo.len());
    if rng.bool() {
        echo.remove(at);
    } else {
        echo[at] = *rng.choice(b"#~x\xfe\x80\x01").expect("there are some");
    }
    echo
}

#[test]
fn damage_to_30_percent_of_echoes_loses_no_battery_or_identity() {
    for dialect in [Dialect::Us2000c, Dialect::PytesV5] {
        let (mut console, mut rng) = (console(dialect, 4), Rng::with_seed(3));
        let damaged = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&damaged);
        let script = Scripted::start(move |line| {
            let answer = bytes(&ask(&mut console, line).0);
            if line.is_empty() || rng.f64() >= 0.3 {
                return answer;
            }
            count.fetch_add(1, Ordering::SeqCst);
            [damaged_echo(&mut rng, line), answer[line.len()..].to_vec()].concat()
        });
        for (number, transcript) in (1..).zip(sweeps(&script.link(), 40)) {
            let reading = assemble(&transcript);
            let missing = reading.missing.iter().filter(|missing| !missing.command.starts_with("bat"));
            assert_eq!(
                missing.collect::<Vec<_>>(),
                Vec::<&bankwatch::internals::model::reading::MissingAnswer>::new(),
                "{dialect}"
            );
            assert!(reading.batteries.iter().all(|battery| battery.measured.voltage.is_some()), "{dialect}");
            let identified = |battery: &bankwatch::internals::model::reading::BatteryReading| {
                battery
                    .facts
                    .iter()
                    .any(|(source, facts)| *source == FactSource::Info && facts.model.is_some())
            };
            assert!(number > 1 || reading.batteries.iter().all(identified), "{dialect}");
        }
        assert!(damaged.load(Ordering::SeqCst) > 50, "enough of them were damaged");
    }
}

#[test]
fn an_answer_to_another_client_never_counts() {
    let mut inner = console(Dialect::Us2000c, 4);
    let mut of = |line: &str| ask(&mut inner, line).1;
    let own: Vec<(i32, i32)> = (1..=4)
        .map(|place| match (of(&format!("pwr {place}")), of(&format!("bat {place}"))) {
            (Some(PrintedValues::Detail(detail)), Some(PrintedValues::Cells { cells, .. })) => {
                (detail.voltage_mv, cells[0].voltage_mv)
            }
            other => panic!("battery {place}: unexpected {other:?}"),
        })
        .collect();
    let mut rng = Rng::with_seed(5);
    let script = Scripted::start(move |line| {
        let place = line.split_once(' ').and_then(|(_, place)| place.parse::<u8>().ok());
        let Some(place) = place.filter(|_| rng.f64() < 0.4) else {
            return bytes(&ask(&mut inner, line).0);
        };
        // Another client sent a command for another battery; ours was not received at all.
        let other = (place - 1 + rng.u8(1..4)) % 4 + 1;
        let verb = *rng.choice(&["pwr", "bat", "info", "stat"]).expect("there are some");
        let theirs = format!("{verb} {other}");
        let answer = bytes(&ask(&mut inner, &theirs).0);
        [damaged_echo(&mut rng, &theirs), answer[theirs.len()..].to_vec()].concat()
    });
    for transcript in sweeps(&script.link(), 40) {
        for (battery, (voltage, cell)) in assemble(&transcript).batteries.iter().zip(&own) {
            let found = battery.measured.voltage.map(|volts| volts.0);
            assert!(found.is_none_or(|found| found == *voltage), "battery {}: {found:?}", battery.place);
            let first = battery.cells.as_ref().and_then(|cells| cells[0].voltage).map(|volts| volts.0);
            assert!(first.is_none_or(|first| first == *cell), "battery {}: {first:?}", battery.place);
        }
    }
}

/// A recording made of captures, and the commands it answers.
fn recording(of: impl Fn(&Capture) -> bool) -> (Vec<u8>, Vec<Capture>) {
    let captures: Vec<Capture> = discover().filter(|capture| of(capture)).collect();
    let bytes = captures.iter().flat_map(|capture| [capture.bytes.as_slice(), b"\n"].concat()).collect();
    (bytes, captures)
}

/// Full readings of a recording; none has missing parts, and retries end.
fn replayed(recording: &[u8]) -> Vec<BankReading> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("recording.txt");
    std::fs::write(&file, recording).expect("the recording can be written");
    let all = sweeps(&format!("replay:{}", file.display()), 6);
    assert_accepted_without_retry(&all);
    all.iter().map(assemble).collect()
}

fn details(captures: &[Capture]) -> BTreeMap<u8, PwrDetail> {
    let read = |capture: &Capture| {
        let command: Command = capture.command.parse().ok()?;
        let parsed = answers::parse(command, &Answer::from_transcript(&capture.bytes)).ok()?;
        match (command.place(), parsed) {
            (Some(place), Parsed::Detail(detail)) => Some((place.number(), *detail)),
            _ => None,
        }
    };
    captures.iter().filter_map(read).collect()
}

/// Checks that the reading of each battery matches its own capture.
fn holds(reading: &BankReading, details: &BTreeMap<u8, PwrDetail>) {
    for (place, detail) in details {
        let battery = &reading.batteries[usize::from(*place) - 1];
        assert_eq!(battery.measured.voltage, detail.voltage, "battery {place}");
        assert_eq!(battery.measured.current, detail.current, "battery {place}");
        assert_eq!(battery.measured.battery_events, detail.battery_events, "battery {place}");
        assert!(battery.cells.as_ref().is_some_and(|cells| cells.len() == 15), "battery {place}");
    }
}

#[test]
fn the_captured_us2000c_bank_is_read_completely() {
    let only = [
        "pwr", "bat", "pwr_1", "pwr_2", "pwr_3", "pwr_4", "pwr_5", "bat_1", "bat_2", "bat_3", "bat_4",
        "bat_5",
    ];
    let (bytes, captures) = recording(|capture| {
        let part = capture.name.strip_prefix("pylontech_US2000C-B67.5.0-hrabovszki_");
        part.is_some_and(|part| only.contains(&part))
    });
    print_count(captures.len(), "captures of a US2000C bank replayed");
    if captures.is_empty() {
        return;
    }
    let details = details(&captures);
    assert_eq!(details.len(), 5);
    replayed(&bytes).iter().for_each(|reading| holds(reading, &details));
}

#[test]
fn the_captured_us_bank_with_a_gap_is_read_completely() {
    let (mut bytes, captures) = recording(|capture| {
        let part = capture.name.strip_prefix("pylontech_plchome-US_");
        part.is_some_and(|part| ["pwr_", "bat_", "info_", "stat_"].iter().any(|verb| part.starts_with(verb)))
    });
    print_count(captures.len(), "captures of a US bank replayed");
    if captures.is_empty() {
        return;
    }
    let details = details(&captures);
    // Its table was not captured, so it is generated from the batteries' own answers.
    let mut table = String::from("pylon>pwr\n@\nPower Volt Curr Tempr Base.St Coulomb\n");
    for place in 1..=8_u8 {
        table += &match details.get(&place) {
            Some(PwrDetail {
                voltage: Some(v),
                current: Some(c),
                temperature: Some(t),
                soc: Some(soc),
                ..
            }) => {
                format!("{place} {} {} {} Charge {}%\n", v.0, c.0, t.0, soc.0)
            }
            _ => format!("{place} - - - Absent -\n"),
        };
    }
    bytes.extend(format!("{table}Command completed successfully\n$$\npylon>\n").into_bytes());
    assert_eq!(details.keys().copied().collect::<Vec<_>>(), [1, 2, 4]);
    let readings = replayed(&bytes);
    for reading in &readings {
        holds(reading, &details);
        assert_eq!(reading.batteries[2].presence, Presence::Absent);
    }
    let sources = readings[0].batteries[3].facts.iter().map(|(source, _)| *source);
    assert!(
        sources.into_iter().any(|source| source == FactSource::Info),
        "its info is asked in the first sweep"
    );
}

/// A sweep in which this command was sent.
fn asked(console: &mut Console, questions: &[&str]) -> Transcript {
    let exchanges = questions.iter().map(|question| {
        let answer = Answer::from_transcript(&bytes(&ask(console, question).0));
        Exchange { command: question.parse().expect("a command"), outcome: Ok(answer), attempts: 1 }
    });
    Transcript {
        bank: Arc::from("bank"),
        kind: SweepKind::Full,
        started_at: Timestamp::from_second(1_780_000_000).expect("a time"),
        started: Instant::now(),
        took: Duration::ZERO,
        known_places: Vec::new(),
        exchanges: exchanges.collect(),
    }
}

#[test]
fn euro_becomes_facts_of_the_connected_battery() {
    use LifetimeFigure as Figure;
    let apart =
        [Figure::Energy, Figure::RoundTrip, Figure::ChargeIn, Figure::EnergyDischarged, Figure::InService];
    let together = [Figure::EnergyThroughput, Figure::ChargeThroughput];
    let layouts: [(Dialect, &[Figure], &[Figure]); 3] = [
        (Dialect::Us3000c, &apart, &together),
        (Dialect::Us5000, &apart, &together),
        (Dialect::Us3000d, &together, &apart),
    ];
    for (dialect, stated, absent) in layouts {
        let transcript = asked(&mut console(dialect, 2), &["pwr", "euro"]);
        let reading = assemble(&transcript);
        assert_eq!((&*reading.missing, &*reading.unreadable_facts), (&[][..], &[][..]), "{dialect}");
        let of = |battery: &BatteryReading| {
            let own = battery.facts.iter().find(|(source, _)| *source == FactSource::Euro);
            own.and_then(|(_, facts)| facts.lifetime.clone())
        };
        assert_eq!(of(&reading.batteries[1]), None, "{dialect}");
        let lifetime = of(&reading.batteries[0]).unwrap_or_else(|| panic!("{dialect}: nothing read"));
        assert_eq!(lifetime.read_at, reading.taken_at);
        for figure in stated.iter().chain(&[Figure::Capacity, Figure::Resistance, Figure::Cycles]) {
            assert!(lifetime.get(*figure).is_some(), "{dialect}: {figure:?}");
        }
        assert!(absent.iter().all(|figure| lifetime.get(*figure).is_none()), "{dialect}");
    }
}

#[test]
fn euro_is_accepted_once_it_is_confirmed() {
    for dialect in [Dialect::Us3000c, Dialect::Us3000d, Dialect::Us2000c, Dialect::ForceH2] {
        let (mut console, mut review) = (console(dialect, 2), AnswerValidator::default());
        let mut judge = |question: &str, nth: u32| {
            // The pager waits once in `help`; after other answers, an empty line yields a prompt.
            let received = ask(&mut console, question).0 + &ask(&mut console, "").0;
            let answer = Answer::from_transcript(&bytes(&received));
            review.validate(
                question.parse().expect("a command"),
                Duration::from_secs(nth.into()),
                nth,
                Ok(answer),
            )
        };
        let ReviewDecision::Accept(_, found) = judge("help", 1) else { panic!("{dialect}: help") };
        let has_euro = matches!(dialect, Dialect::Us3000c | Dialect::Us3000d);
        assert_eq!(found.lists_euro, Some(has_euro), "{dialect}");
        if has_euro {
            assert!(matches!(judge("euro", 1), ReviewDecision::Retry(_)), "{dialect}: at first sight");
            let confirmed = judge("euro", 2);
            assert!(matches!(confirmed, ReviewDecision::Accept(..)), "{dialect}: {confirmed:?}");
        }
    }
}

/// How a faulty console responds to a command.
fn confused_console(rng: &mut Rng, console: &mut Console, line: &str) -> Vec<u8> {
    let text = ask(console, line).0;
    let framed = |body: &str| format!("{line}\n\r@\r\r\n{body}\r\n\r$$\r\n\rpylon>");
    bytes(&match rng.u8(0..16) {
        0 => String::new(),
        1 => (0..rng.usize(1..300)).map(|_| char::from(rng.u8(..))).collect(),
        2 => text[..rng.usize(..text.len())].to_owned(),
        3 => framed("Unknown command 'x' - try 'help'"),
        4 => framed("Invalid command or fail to excute."),
        5 => framed("Target device is not present"),
        6 => framed("Command completed successfully"),
        7 => format!("{text}{text}"),
        8 => text.replacen(line, "shut", 1),
        9 => format!("{line}\n\r@\r\r\nPress [Enter] to be continued,other key to exit"),
        10 => text.replace("0x0", "0x2000     COULFULL"),
        11 => text.replace("Absent", "Dischg"),
        12 => text.replace(|letter: char| letter.is_ascii_digit(), "9"),
        13 => text.replace(' ', ""),
        _ => text,
    })
}

/// Whether this is a command that only reads, possibly after the single byte that exits a pager.
fn only_reads(line: &str) -> bool {
    let line = line.strip_prefix('q').unwrap_or(line);
    let mut words = line.split(' ');
    let verb = words.next().unwrap_or_default();
    let place = words.next().map(|word| word.parse::<u8>().is_ok_and(|place| place > 0));
    let known = match verb {
        "" | "unit" | "log" | "help" | "euro" => place.is_none(),
        "data" => line == "data event",
        "pwr" | "bat" | "info" | "stat" | "soh" => place != Some(false),
        _ => false,
    };
    known && words.next().is_none()
}

#[test]
fn only_read_commands_are_sent_and_at_most_three_times() {
    let hasty = ConsoleTimeouts {
        first_byte: Duration::from_millis(10),
        next_bytes: Duration::from_millis(10),
        whole_answer: Duration::from_millis(200),
        quiet: Duration::from_millis(2),
        wake: Duration::from_millis(2),
        paging: Duration::from_millis(20),
    };
    let mut lines_seen = 0;
    for (seed, dialect) in (1..).zip([Dialect::Us2000c, Dialect::PytesV5, Dialect::Us3000d, Dialect::ForceH2])
    {
        let (mut console, mut rng) = (console(dialect, 3), Rng::with_seed(seed));
        let script = Scripted::start(move |line| confused_console(&mut rng, &mut console, line));
        let rhythm = PollSchedule {
            facts_interval: Duration::from_millis(50),
            refusal_lifetime: Duration::from_millis(200),
            ..PollSchedule::new(Duration::from_millis(40), Duration::from_millis(20), seed % 2 == 0)
        };
        let mut taken = 0;
        let after_step = || {
            let mut counts = BTreeMap::new();
            for line in script.take_lines() {
                assert!(only_reads(&line), "{dialect}: {line:?} was sent");
                lines_seen += 1;
                *counts.entry(line.trim_start_matches('q').to_owned()).or_insert(0) += 1;
            }
            // An empty line requests a page or probes the console.
            counts.remove("");
            assert!(counts.values().all(|count| *count <= 3), "{dialect}: {counts:?}");
        };
        sweep(&script.link(), hasty, rhythm, after_step, |_| {
            taken += 1;
            taken == 25
        });
    }
    assert!(lines_seen > 500, "{lines_seen} lines");
}
