//! The event catalogue: the built-in one matches the code, user rows override it, `events_config.json` of
//! pytes_serial is read, and errors are reported with their lines.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::process::Command;
use std::time::{Duration, Instant};

use bankwatch::internals::events::catalogue::{BUILT_IN, Catalogue, CatalogueFindings};
use bankwatch::internals::model::event::EventLevel;
use bankwatch::internals::model::event_word::{NAMES, NORMAL};
use bankwatch::internals::model::word::{ALARMS, Word};

fn shipped() -> Catalogue {
    Catalogue::load(None).0
}

/// The shipped catalogue with a file over it, and what in that file is passed over.
fn with(text: &str) -> (Catalogue, Vec<String>) {
    let mut catalogue = shipped();
    let found = catalogue.merge("own.toml", text);
    assert_eq!(found.mistakes, [""; 0]);
    (catalogue, found.warnings)
}

fn mistakes(text: &str) -> Vec<String> {
    shipped().merge("own.toml", text).mistakes
}

#[test]
fn info_bits_are_the_normal_bits_of_the_validator() {
    let catalogue = shipped();
    let mut info: BTreeMap<&str, u32> = BTreeMap::new();
    for (word, bit, _) in catalogue.bits().filter(|(_, _, row)| row.level == EventLevel::Info) {
        *info.entry(word).or_default() |= bit;
    }
    assert_eq!(info, NORMAL.iter().copied().collect());
}

#[test]
fn a_bit_name_has_one_meaning_in_all_words() {
    let catalogue = shipped();
    let mut meanings = BTreeMap::new();
    for (word, bit, row) in catalogue.bits() {
        let Some(name) = &row.name else { continue };
        let meaning = (row.level, row.text.as_str());
        let first = *meanings.entry(name.as_str()).or_insert(meaning);
        assert_eq!(first, meaning, "{name} at {bit:#x} of {word}");
    }
    let mut known = NAMES.to_vec();
    known.sort_unstable();
    assert_eq!(
        meanings.into_keys().collect::<Vec<_>>(),
        known,
        "names that are matched in what a console prints"
    );
}

#[test]
fn every_power_bit_and_every_known_fault_has_a_row() {
    let catalogue = shipped();
    let bits =
        |of: &str| catalogue.bits().filter(|(word, ..)| *word == of).map(|(_, bit, _)| bit).sum::<u32>();
    assert_eq!(bits("power"), u32::MAX);
    assert_eq!(bits("system"), 0x3fff);
    for state in ALARMS {
        let meaning = catalogue.state("base_state", &Word::new(state)).expect("a row");
        assert_eq!(meaning.level, EventLevel::Warning, "{state}");
    }
}

#[test]
fn the_built_in_catalogue_has_no_findings() {
    assert_eq!(Catalogue::default().merge("config/events.toml", BUILT_IN), CatalogueFindings::default());
}

#[test]
fn full_idle_charging_and_discharging_are_level_info() {
    let catalogue = shipped();
    for (word, bit) in [("power", 0x2000), ("power", 0x20_0000), ("power", 0x40_0000), ("power", 0x80_0000)] {
        assert_eq!(catalogue.bit(word, bit, None).level, EventLevel::Info, "{bit:#x}");
    }
    assert_eq!(catalogue.bit("battery", 0x2, None).level, EventLevel::Warning);
}

#[test]
fn a_user_file_changes_only_the_rows_and_keys_it_contains() {
    let (catalogue, warnings) = with(
        "[power]\n0x2000 = { level = \"warning\" }\n0x2 = { text = \"Zu hohe Spannung\" }\n\
         [coulomb_state]\nFull = { level = \"warning\" }\n",
    );
    assert_eq!(warnings, [""; 0]);
    let full = catalogue.bit("power", 0x2000, Some("COULFULL"));
    assert_eq!((full.level, full.text.as_ref()), (EventLevel::Warning, "Full charge"));
    let high = catalogue.bit("power", 0x2, None);
    assert_eq!((high.level, high.text.as_ref()), (EventLevel::Warning, "Zu hohe Spannung"));
    assert_eq!(catalogue.state("coulomb_state", &Word::new("Full")).unwrap().level, EventLevel::Warning);
    let before = shipped();
    for (word, bit, row) in before.bits().filter(|(word, bit, _)| (*word, *bit) != ("power", 0x2000)) {
        if (word, bit) != ("power", 0x2) {
            assert_eq!(catalogue.bit(word, bit, None).text, row.text, "{word} {bit:#x}");
        }
    }
}

#[test]
fn merging_the_built_in_catalogue_into_itself_changes_nothing() {
    let (catalogue, warnings) = with(BUILT_IN);
    assert_eq!((catalogue, warnings), (shipped(), vec![]));
}

#[test]
fn an_unknown_word_is_accepted_with_a_warning_naming_the_nearest() {
    let (catalogue, warnings) = with("\n[powr]\n0x1 = { level = \"info\", text = \"New\" }\n");
    assert_eq!(warnings, ["own.toml:2: no known console prints the word \"powr\"; did you mean \"power\"?"]);
    assert_eq!(catalogue.bit("powr", 1, None).text, "New");
    let (_, warnings) = with("[\"Fan Speed Status\"]\n");
    assert_eq!(warnings, ["own.toml:1: no known console prints the word \"Fan Speed Status\""]);
}

#[test]
fn every_mistake_is_reported_with_its_line() {
    let text = "power = 3\n\n[battery]\n0x3 = { level = \"info\", text = \"two\" }\nBHV = { level = \"info\" }\n\
                0x2 = { level = \"loud\" }\n0x4 = \"Normal\"\n0x8 = { colour = \"red\", text = 7 }\n\
                0x40 = { level = \"info\" }\n";
    assert_eq!(
        mistakes(text),
        [
            "own.toml:1: expected a section such as [power], found the value \"power\"",
            "own.toml:4: expected one bit such as 0x2 or 0x2000, found \"0x3\"",
            "own.toml:5: expected one bit such as 0x2 or 0x2000, found \"BHV\"",
            "own.toml:6: level: expected \"info\" or \"warning\", found \"loud\"",
            "own.toml:7: expected 0x4 = { level = \"info\", text = \"…\" }, found something else",
            "own.toml:8: expected name, level or text, found \"colour\"",
            "own.toml:8: text: expected a text in quotes",
            "own.toml:9: expected a level and a text, which every new row needs",
        ]
    );
    let torn = mistakes("[power]\n0x2 = { level = \n");
    assert!(torn.len() == 1 && torn[0].starts_with("own.toml:2: "), "{torn:?}");
}

#[test]
fn a_row_with_a_mistake_is_ignored_and_no_other() {
    let mut catalogue = shipped();
    let found = catalogue.merge(
        "own.toml",
        "[power]\n0x2 = { level = \"loud\", text = \"Own text\" }\n0x3 = { text = \"two\" }\n\
         0x2000 = { level = \"warning\" }\n",
    );
    assert_eq!(found.mistakes.len(), 2, "{found:?}");
    let (high, full) = (catalogue.bit("power", 0x2, None), catalogue.bit("power", 0x2000, None));
    assert_eq!((high.level, high.text.as_ref()), (EventLevel::Warning, "Own text"), "the level is unchanged");
    assert_eq!(full.level, EventLevel::Warning);
}

#[test]
fn an_unusable_file_falls_back_to_the_built_in_catalogue() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events_config.json");
    let built_in = shipped();
    let found = || {
        let (catalogue, found) = Catalogue::load(Some(&path));
        assert_eq!(catalogue, built_in);
        let [finding] = &found.brief()[..] else { panic!("{found:?}") };
        let remedy = "; the built-in catalogue is used; correct the file, or remove it";
        assert!(finding.contains("events_config.json") && finding.ends_with(remedy), "{finding}");
        finding.clone()
    };
    assert!(found().contains("can't read "), "the file is missing");
    for text in
        ["", "{", "[]", "3", "\"x\"", "power_events", "{\"power_events\": {\"2\": {]}}", &"[".repeat(10_000)]
    {
        std::fs::write(&path, text).unwrap();
        let finding = found();
        assert!(finding.contains("events_config.json:1: expected the JSON of"), "{finding}");
    }
    for (bytes, why) in
        [(b"{\"\xe9\": 1}".to_vec(), "UTF-8"), (vec![b' '; 1024 * 1024 + 1], "larger than 1 MiB")]
    {
        std::fs::write(&path, bytes).unwrap();
        assert!(found().contains(why));
    }
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(found().contains("not a regular file"));
    std::fs::remove_dir(&path).unwrap();
    let fifo = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(fifo.success() && found().contains("not a regular file"), "opening does not wait for a writer");
}

#[test]
fn the_largest_allowed_file_is_read_within_seconds() {
    let sections: String = (0..40_000).map(|n| format!("[q{n}]\n")).collect();
    let rows: String = (0..40_000).map(|n| format!("r{n} = 1\n")).collect();
    let start = Instant::now();
    let (_, warnings) = with(&sections);
    assert_eq!(warnings.len(), 40_000);
    assert!(
        warnings[39_999].ends_with("no known console prints the word \"q39999\""),
        "{}",
        warnings[39_999]
    );
    let mistakes = mistakes(&format!("[power]\n{rows}"));
    assert!(mistakes[39_999].starts_with("own.toml:40001: "), "{}", mistakes[39_999]);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn many_findings_are_summarized_in_a_few_log_lines() {
    let rows = (0..5_000).map(|row| format!("\"{}\": 1", 3 + 4 * row)).collect::<Vec<_>>().join(",\n");
    let found = shipped().merge("events_config.json", &format!("{{\"power_events\": {{\n{rows}}}}}"));
    assert_eq!((found.warnings.len(), found.brief().len()), (5_000, 9));
    assert_eq!(found.brief()[8], "4992 more; `bankwatch config check` lists all");
}

#[test]
fn an_events_config_json_is_recognized_by_its_content() {
    let (catalogue, warnings) = with(
        "{\"power_events\": {\n  \"8192\": {\"level\": \"warning\", \"hex_code\": \"0x2000\", \"text\": \"Voll\"}\n},\n\
         \"sys_events\": {\"8\": {\"level\": \"info\", \"hex_code\": \"0x8\", \"text\": \"Chip\"}}}",
    );
    assert_eq!(warnings, [""; 0]);
    let full = catalogue.bit("power", 0x2000, Some("COULFULL"));
    assert_eq!((full.level, full.text.as_ref()), (EventLevel::Warning, "Voll"));
    let chip = catalogue.bit("system", 0x8, None);
    assert_eq!((chip.level, chip.text.as_ref()), (EventLevel::Info, "Chip"));
    assert_eq!(
        catalogue.bit("battery", 0x2, None).text,
        "Cell high voltage alarm",
        "the word of the table is not that of a cell"
    );
}

#[test]
fn unsupported_rows_of_events_config_json_are_warnings() {
    let (catalogue, warnings) = with(
        "{\n\"power_events\": {\n\"0\": {\"level\": \"info\", \"text\": \"none\"},\n\
         \"3\": {\"level\": \"info\", \"text\": \"both\"},\n\"high\": {},\n\"2\": {\"level\": \"loud\", \"text\": \"x\"},\n\
         \"4\": {\"level\": \"INFO\", \"text\": \"\"},\n\"1\": {\"level\": \"INFO\", \"text\": \"one\"}\n},\n\
         \"bat_events\": {}\n}",
    );
    assert_eq!(
        warnings,
        [
            "own.toml:4: power_events: 3 (0x3) has more than one bit; each bit needs its own row",
            "own.toml:5: power_events: expected a number such as 8192, found \"high\"",
            "own.toml:6: power_events: 2: expected the level info or warning, found \"loud\"",
            "own.toml:7: power_events: 4: expected a text",
            "own.toml:10: expected power_events or sys_events with their rows, found \"bat_events\"",
        ]
    );
    assert_eq!(catalogue.bit("power", 1, None).text, "one");
    let torn = mistakes("{\"power_events\": {\n\"2\": }}");
    assert!(torn[0].starts_with("own.toml:2: expected the JSON of an events_config.json: "), "{torn:?}");
}

#[test]
fn a_mistake_fails_config_check_but_the_service_starts() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("bankwatch.toml", "[[bank]]\nlink = \"/dev/null/none\"\n[events]\ncatalogue = \"own.toml\"\n");
    write("pytes_serial.cfg", "[serial]\nserial_port = /dev/null/none\n");
    let checked = |config: &str| {
        let program = Command::new(env!("CARGO_BIN_EXE_bankwatch"));
        let output = { program }
            .args(["config", "check", "--config", config])
            .current_dir(folder.path())
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, text) = checked("bankwatch.toml");
    assert!(code == Some(78) && text.contains("- can't read ") && text.contains("own.toml: "), "{text}");
    write("own.toml", "[power]\n0x2 = { level = \"loud\" }\n");
    let (code, text) = checked("bankwatch.toml");
    let mistake = "own.toml:2: level: expected \"info\" or \"warning\", found \"loud\"";
    assert!(code == Some(78) && text.contains(mistake), "{text}");
    let mut service = Command::new(env!("CARGO_BIN_EXE_bankwatch"))
        .args(["run", "--config", "bankwatch.toml"])
        .current_dir(folder.path())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let log = std::io::BufReader::new(service.stderr.take().unwrap());
    let lines: Vec<String> = log
        .lines()
        .map_while(Result::ok)
        .take_while(|line| !line.contains("INFO  service started"))
        .collect();
    service.kill().unwrap();
    service.wait().unwrap();
    let warnings =
        lines.iter().filter(|line| line.contains("WARN  settings warning") && line.contains("own.toml:2: "));
    assert_eq!(warnings.count(), 1, "{lines:?}");
    write("own.toml", "[powr]\n");
    let (code, text) = checked("bankwatch.toml");
    assert!(code == Some(0) && text.contains("did you mean \"power\"?"), "{text}");

    // A file that merely lies next to pytes_serial.cfg may be obsolete, so an error in it is only a warning.
    write("events_config.json", "{\n\"power_events\": [\n");
    let (code, text) = checked("pytes_serial.cfg");
    let warning = text.lines().next().unwrap_or_default();
    assert!(
        code == Some(0) && warning.starts_with("warning: ") && warning.contains("events_config.json:3: "),
        "{text}"
    );
    assert!(warning.ends_with("correct the file, or remove it"), "{text}");
}
