//! The output of the simulated consoles, compared with the rules of the format and with raw captures.

use std::io::{Write, stderr};
use std::path::PathBuf;

use bankwatch::internals::simulator::{
    BaseState, Console, Dialect, EventStyle, EventWordKind, FaultKind, FaultRate, PrintedValues, Simulation,
};

fn console(dialect: Dialect) -> Console {
    Simulation::new(dialect).seed(3).console().unwrap()
}

/// Types a command and, at the pager, Enter until the prompt returns.
fn execute(console: &mut Console, command: &str) -> Vec<u8> {
    let mut output = console.type_bytes(format!("{command}\r").as_bytes());
    while !output.ends_with(b">") {
        let more = console.type_bytes(b"\r");
        assert!(!more.is_empty(), "{command}: neither prompt nor page");
        output.extend(more);
    }
    output
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

const COMMANDS: [&str; 23] = [
    "pwr",
    "pwr 1",
    "pwr 2",
    "pwr 16",
    "bat",
    "bat 1",
    "bat 99",
    "info",
    "info 1",
    "stat",
    "stat 1",
    "soh",
    "soh 1",
    "time",
    "log",
    "data event",
    "data history",
    "unit",
    "help",
    "ver",
    "nonsense",
    "pwr x",
    "logout",
];

#[test]
fn every_answer_has_echo_and_prompt() {
    for &dialect in Dialect::ALL {
        let prompt = if dialect.name().starts_with("pytes") { "PYTES>" } else { "pylon>" };
        for command in COMMANDS {
            let mut console = console(dialect);
            let output = text(&execute(&mut console, command));
            let context = format!("{dialect} {command}: {output:?}");
            assert!(output.starts_with(command), "{context}");
            assert!(output.ends_with(&format!("\r\n\r$$\r\n\r{prompt}")), "{context}");
            let is_error = output.contains("Unknown command")
                || output.contains("Invalid command")
                || output.contains("not present");
            assert_ne!(is_error, output.contains("Command completed successfully"), "{context}");
        }
    }
}

#[test]
fn empty_line_is_answered_by_the_prompt() {
    for &dialect in Dialect::ALL {
        let output = text(&console(dialect).type_bytes(b"\n"));
        assert!(output == "\n\rpylon>" || output == "\n\rPYTES>", "{dialect}: {output:?}");
    }
}

#[test]
fn carriage_return_is_echoed_as_line_feed() {
    let output = console(Dialect::Pytes).type_bytes(b"pwr\r");
    assert!(output.starts_with(b"pwr\n\r@\r\r\n"));
}

#[test]
fn unknown_command_is_echoed_in_the_error() {
    let output = console(Dialect::Us2000).type_bytes(b"\xFEpwr\r");
    let expected = b"\xFEpwr\n\r@\r\r\nUnknown command '\xFEpwr' - try 'help'\r\n\r$$\r\n\rpylon>";
    assert_eq!(text(&output), text(expected));
}

#[test]
fn debug_mode_changes_the_prompt_until_logout() {
    for (dialect, debug) in [(Dialect::Us2000, "pylon_debug>"), (Dialect::PytesV5, "PYTES_debug>")] {
        let mut console = console(dialect);
        assert!(text(&execute(&mut console, "login debug")).ends_with(debug));
        let again = text(&execute(&mut console, "login debug"));
        assert!(again.contains("Quit current mode") && again.ends_with(debug), "{again:?}");
        assert!(!text(&execute(&mut console, "logout")).ends_with(debug));
    }
}

#[test]
fn other_keys_leave_the_pager_without_echo() {
    let mut console = console(Dialect::Pytes);
    let first_page = text(&console.type_bytes(b"log\r"));
    assert!(first_page.ends_with("other key to exit\r"), "{first_page:?}");
    let left = text(&console.type_bytes(b"p"));
    assert!(left.ends_with("PYTES>"), "{left:?}");
    assert!(text(&console.type_bytes(b"wr\r")).contains("Unknown command 'wr'"), "the p is lost");
}

#[test]
fn absent_places_are_printed_as_in_each_dialect() {
    let rows = |dialect: Dialect| {
        let mut console = Simulation::new(dialect).batteries(3).console().unwrap();
        assert!(console.bank_mut().take_out(2));
        let output = text(&execute(&mut console, "pwr"));
        let absent = output.matches("Absent").count();
        assert!(text(&execute(&mut console, "bat 2")).contains("Target device is not present"));
        (absent, output)
    };
    assert_eq!(rows(Dialect::Us2000).0, 6);
    assert_eq!(rows(Dialect::Us2000c).0, 14);
    assert_eq!(rows(Dialect::Us3000d).0, 0);
    let (_, output) = rows(Dialect::Us5000);
    let absent = output.lines().find(|line| line.contains("Absent")).unwrap();
    assert_eq!(absent.split_whitespace().count(), 16, "only the first columns of the wide table: {absent}");
}

#[test]
fn printed_values_match_the_output() {
    for dialect in [Dialect::Us2000, Dialect::Pytes, Dialect::Us2000c, Dialect::PytesV5] {
        let mut console = Simulation::new(dialect).batteries(3).console().unwrap();
        let (output, answers) = console.type_with_values(b"pwr\n");
        let [(_, PrintedValues::Table(rows))] = answers.as_slice() else { panic!("{dialect}: {answers:?}") };
        let output = text(&output);
        let lines: Vec<_> = output.lines().filter(|line| line.contains("Normal")).collect();
        assert_eq!(lines.len(), 3);
        for (line, row) in lines.iter().zip(rows) {
            let tokens: Vec<_> = line.split_whitespace().collect();
            let expected = [
                row.place as i32,
                row.voltage_mv,
                row.current_ma,
                row.temperature_mc,
                row.temperature_low_mc,
                row.temperature_high_mc,
                row.cell_low_mv,
                row.cell_high_mv,
            ];
            let printed: Vec<i32> = tokens[..8].iter().map(|token| token.parse().unwrap()).collect();
            assert_eq!(printed, expected, "{dialect}");
            assert_eq!((tokens[8], tokens[12]), (row.base_state.as_str(), format!("{}%", row.soc).as_str()));
        }
    }
}

#[test]
fn cell_voltages_add_up_to_the_battery_voltage() {
    for &dialect in Dialect::ALL.iter().filter(|dialect| !dialect.is_stack()) {
        let mut console = console(dialect);
        let (_, answers) = console.type_with_values(b"pwr\nbat 1\n");
        let [(_, PrintedValues::Table(rows)), (_, PrintedValues::Cells { cells, .. })] = answers.as_slice()
        else {
            panic!("{dialect}: {answers:?}")
        };
        let sum: i32 = cells.iter().map(|cell| cell.voltage_mv).sum();
        assert!((sum - rows[0].voltage_mv).abs() < 250, "{dialect}: {sum} and {}", rows[0].voltage_mv);
        assert_eq!(cells.iter().map(|cell| cell.voltage_mv).min(), Some(rows[0].cell_low_mv));
    }
}

#[test]
fn event_words_are_printed_in_the_configured_style() {
    let output = |style| {
        let mut console = Simulation::new(Dialect::Us2000).event_style(style).console().unwrap();
        console.bank_mut().raise_event(1, EventWordKind::Power, 0x2002);
        text(&execute(&mut console, "pwr 1"))
    };
    assert!(output(EventStyle::Prefixed).contains(" Power Events    : 0x2002     PHV COULFULL\r\r\n"));
    assert!(output(EventStyle::BareHex).contains(" Power Events    : 2002       PHV"));
    assert!(output(EventStyle::Decimal).contains(" Power Events    : 8194       PHV"));
}

#[test]
fn full_battery_is_reported_in_state_soc_and_event() {
    let mut console = console(Dialect::Us2000c);
    console.bank_mut().set_soc(1, 1.0);
    let (_, answers) = console.type_with_values(b"pwr 1\n");
    let [(_, PrintedValues::Detail(detail))] = answers.as_slice() else { panic!("{answers:?}") };
    assert_eq!((detail.soc, detail.coulomb_state.as_str()), (100, "Full"));
    assert_eq!(detail.power_events, Some(0x2000));
}

#[test]
fn data_event_prints_the_snapshot_not_the_current_state() {
    let mut console = console(Dialect::Us2000);
    console.bank_mut().raise_event(1, EventWordKind::Battery, 0x2);
    let soc = console.bank().battery(1).unwrap().soc();
    console.bank_mut().clear_event(1, EventWordKind::Battery, 0x2);
    console.bank_mut().set_soc(1, 0.2);
    let (_, answers) = console.type_with_values(b"data event\n");
    let [(_, PrintedValues::Snapshot(snapshot))] = answers.as_slice() else { panic!("{answers:?}") };
    assert_eq!(snapshot.detail.battery_events, Some(0x2));
    assert_eq!(snapshot.detail.soc, (soc * 100.0).floor() as i32);
}

#[test]
fn data_history_prints_periodic_snapshots_of_all_modules() {
    for dialect in [Dialect::Us2000c, Dialect::ForceH2] {
        let mut console = console(dialect);
        let mut snapshot = |index: u32| {
            let (_, answers) = console.type_with_values(format!("data history {index}\n").as_bytes());
            let [(_, PrintedValues::Snapshot(snapshot))] = answers.as_slice() else {
                panic!("{dialect}: {answers:?}")
            };
            snapshot.clone()
        };
        let (early, late) = (snapshot(2), snapshot(3));
        assert_eq!(late.time.duration_since(early.time).as_mins(), 30, "{dialect}");
        let modules = if dialect == Dialect::ForceH2 { console.bank().places() } else { 0 };
        assert_eq!(late.units.len(), modules, "{dialect}");
        let cells = console.bank().battery(1).unwrap().cell_count();
        assert_eq!(late.cells.len(), cells * modules.max(1), "{dialect}");
        let (error, _) = console.type_with_values(b"data history 9999\n");
        assert!(text(&error).contains("Invalid command"), "{dialect}");
    }
}

#[test]
fn stack_takes_snapshots_of_all_modules_together() {
    let mut console = console(Dialect::ForceH2);
    console.bank_mut().raise_event(2, EventWordKind::Battery, 0x8);
    let (output, answers) = console.type_with_values(b"data event\n");
    let [(_, PrintedValues::Snapshot(snapshot))] = answers.as_slice() else { panic!("{answers:?}") };
    assert_eq!(snapshot.detail.battery_events, Some(0x8));
    assert_eq!(snapshot.units.len(), console.bank().places());
    assert!(
        text(&output).contains("Unit     Volt     Tempr    BTLow    BTHigh   BVLow    BVHigh"),
        "{}",
        text(&output)
    );
}

#[test]
fn output_is_determined_by_the_seed() {
    let output = |seed| {
        let mut console = Simulation::new(Dialect::Pytes).seed(seed).batteries(4).console().unwrap();
        console.bank_mut().advance(std::time::Duration::from_secs(40_000));
        COMMANDS.map(|command| execute(&mut console, command))
    };
    assert!(output(11) == output(11));
    assert!(output(11) != output(12));
}

#[test]
fn batteries_charge_and_discharge_within_a_day() {
    let mut console = console(Dialect::Pytes);
    let mut states = Vec::new();
    for _ in 0..24 * 6 {
        console.bank_mut().advance(std::time::Duration::from_secs(600));
        states.push(console.bank().battery(1).unwrap().state());
    }
    for state in [BaseState::Charge, BaseState::Dischg] {
        assert!(states.contains(&state), "a day without {state:?}");
    }
}

#[test]
fn console_never_panics() {
    use proptest::prelude::*;

    proptest!(ProptestConfig::with_cases(60), |(bytes in proptest::collection::vec(any::<u8>(), 0..400),
                                               words in "((pwr|bat|info|stat|soh|log|data event|login)( [0-9a-z-]{0,3})?[\r\n]){0,12}",
                                               index in 0..Dialect::ALL.len())| {
        let mut console = console(Dialect::ALL[index]);
        console.type_bytes(words.as_bytes());
        console.type_bytes(&bytes);
    });
}

#[test]
fn fault_rates_are_parsed() {
    let parsed: FaultRate = "garble=0.25".parse().unwrap();
    assert_eq!((parsed.fault, parsed.rate), (FaultKind::Garble, 0.25));
    for invalid in ["garble", "garble=", "garble=1.5", "fire=0.1", "=0.1"] {
        assert!(invalid.parse::<FaultRate>().is_err(), "{invalid}");
    }
}

/// Reads a raw capture, if the folder exists.
fn capture(name: &str) -> Option<Vec<u8>> {
    let folder = std::env::var_os("BANKWATCH_CAPTURES").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/captures")),
        PathBuf::from,
    );
    let found = std::fs::read(folder.join(name)).ok();
    if found.is_none() {
        // Not with `eprintln`, which the test harness captures.
        let notice = format!("NOT COMPARED: no {name} in {} (see BANKWATCH_CAPTURES)\n", folder.display());
        stderr().write_all(notice.as_bytes()).unwrap();
    }
    found
}

/// The format of an answer without its values: numbers become dots of the same width, states one word, the values of
/// `info` nothing; consecutive lines of the same format become one.
fn format_of(answer: &[u8], command: &str) -> Vec<String> {
    let answer = text(answer);
    // Captures start with an empty line or two to wake the console.
    let ends = ["\n\r@", "\r\r\n", "\r\n"];
    let start = ends.iter().find_map(|end| answer.rfind(&format!("{command}{end}")));
    let mut lines = Vec::new();
    for line in answer[start.unwrap_or(0)..].split_inclusive('\n') {
        let drop_value = command.starts_with("info") || command == "log" || command == "ver";
        let line = match line.find(": ") {
            Some(colon) if drop_value => {
                let end = line.trim_end_matches(['\r', '\n']).len();
                format!("{}{}", &line[..colon], &line[end..])
            }
            _ => line.to_owned(),
        };
        let states = [("Charge ", "State  "), ("Dischg ", "State  "), ("Idle   ", "State  "), ("Y\r", "N\r")];
        let line = states.iter().fold(line, |line, (state, placeholder)| line.replace(state, placeholder));
        // Values that differ between batteries.
        let individual =
            ["Barcode         : ", "Firm Version    : "].iter().find_map(|label| line.find(label));
        let line: String = line[..individual.unwrap_or(line.len())]
            .chars()
            .map(|c| if c.is_ascii_digit() || c == '-' || c == ' ' { '.' } else { c })
            .collect();
        if lines.last() != Some(&line) {
            lines.push(line);
        }
    }
    lines
}

#[test]
fn answers_match_the_format_of_raw_captures() {
    let us2000 = "pylontech_US2KBPL-B66.6-donverduyn";
    let pytes = "pytes_plchome-EBOX4850P";
    let v5 = "pytes_plchome-V5-48100VD";
    let h2 = "pylontech_plchome-ForceH2";
    let cases = [
        (Dialect::Us2000, "pwr", format!("{us2000}_pwr_raw1.txt")),
        (Dialect::Us2000, "bat", format!("{us2000}_bat_raw1.txt")),
        (Dialect::Us2000, "soh", format!("{us2000}_soh_raw1.txt")),
        (Dialect::Us2000, "stat", format!("{us2000}_stat_raw1.txt")),
        (Dialect::Us2000, "time", format!("{us2000}_time_raw1.txt")),
        (Dialect::Us2000, "info", format!("{us2000}_info_raw1.txt")),
        (Dialect::Pytes, "pwr", format!("{pytes}_pwr_0.txt")),
        (Dialect::Pytes, "pwr 1", format!("{pytes}_pwr_1.txt")),
        (Dialect::Pytes, "bat 1", format!("{pytes}_bat_1.txt")),
        (Dialect::Pytes, "soh 1", format!("{pytes}_soh_1.txt")),
        (Dialect::Pytes, "stat 1", format!("{pytes}_stat_1.txt")),
        (Dialect::Pytes, "time", format!("{pytes}_time_0.txt")),
        (Dialect::Pytes, "info 1", format!("{pytes}_info_1.txt")),
        (Dialect::PytesV5, "pwr 1", format!("{v5}_pwr_1.txt")),
        (Dialect::PytesV5, "bat", format!("{v5}_bat_0.txt")),
        (Dialect::PytesV5, "soh", format!("{v5}_soh_0.txt")),
        (Dialect::PytesV5, "stat", format!("{v5}_stat_0.txt")),
        (Dialect::PytesV5, "time", format!("{v5}_time_0.txt")),
        (Dialect::PytesV5, "info 1", format!("{v5}_info_1.txt")),
        (Dialect::PytesV5, "ver", format!("{v5}_ver_0.txt")),
        (Dialect::ForceH2, "pwr", format!("{h2}_pwr_0.txt")),
        (Dialect::ForceH2, "unit", format!("{h2}_unit_0.txt")),
        (Dialect::ForceH2, "bat", format!("{h2}_bat_0.txt")),
        (Dialect::ForceH2, "soh", format!("{h2}_soh_0.txt")),
        (Dialect::ForceH2, "time", format!("{h2}_time_0.txt")),
    ];
    for (dialect, command, file) in cases {
        let Some(raw) = capture(&file) else { continue };
        let ours = execute(&mut console(dialect), command);
        assert_eq!(format_of(&ours, command), format_of(&raw, command), "{dialect} {command} and {file}");
    }
}

#[test]
fn log_pages_match_raw_captures() {
    for (dialect, file) in [
        (Dialect::Pytes, "pytes_plchome-EBOX4850P_log_0.txt"),
        (Dialect::PytesV5, "pytes_plchome-V5-48100VD_log_0.txt"),
        (Dialect::Us2000, "pylontech_plchome-US_log_0.txt"),
    ] {
        let Some(raw) = capture(file) else { continue };
        let mut console = console(dialect);
        console.bank_mut().advance(std::time::Duration::from_secs(3 * 86_400));
        let (ours, theirs) = (format_of(&execute(&mut console, "log"), "log"), format_of(&raw, "log"));
        // Two pages and the start of the third.
        assert_eq!(ours[..38], theirs[..38], "{dialect} and {file}");
    }
}

#[test]
fn headers_match_captures_byte_for_byte() {
    for (dialect, command, start, file) in [
        (Dialect::Us2000c, "bat 1", "Battery", "pylontech_plchome-US_bat_1.txt"),
        (Dialect::Us3000c, "pwr", "Power", "pylontech_US3000C-B69.25-mman_pwr_1.txt"),
        (Dialect::Us3000c, "bat 1", "Battery", "pylontech_US3000C-B69.25-mman_bat_1.txt"),
        (Dialect::PytesV5, "pwr", "Power", "pytes_plchome-V5-48100VD_pwr_0.txt"),
        (Dialect::Us5000, "pwr", "Power", "pylontech_irekzielinski_pwr_comment_1.txt"),
    ] {
        let Some(raw) = capture(file) else { continue };
        let header = |answer: &str| {
            let mut all = answer.lines().filter(|line| line.starts_with(start));
            let is_wide = dialect == Dialect::Us5000;
            all.find(|line| !is_wide || line.contains("SysAlarm")).unwrap().trim_end_matches('\r').to_owned()
        };
        let ours = text(&execute(&mut console(dialect), command));
        assert_eq!(header(&ours), header(&text(&raw)), "{dialect} and {file}");
    }
}
