//! `pytes_serial.cfg`, the predecessor's file, as a layer: a table of which option becomes which setting.
//!
//! What the file does not say keeps our default. Values are read as Python's `ConfigParser` gives them to the
//! predecessor: `%%` is one percent sign. A lone `%`, at which Python stops, stands for itself.

use std::{borrow::Cow, path::Path};

use super::{
    bank::Expected,
    endpoint::{DatabaseUrl, MqttUrl},
    ini::{Ini, OptionLine},
    key::{self, Named, Place},
    kind::{Kind, Mismatch},
    layer::Layer,
    problem::{Origin, Problem, Trouble},
};

const SQL: &str = "Maria DB connection";
const MQTT: &str = "MQTT";
const CELLS: &str = "cells_monitoring";
const EVENTS: &str = "events_monitoring";

/// One option of the file and the setting it becomes.
struct Row {
    section: &'static str,
    option: &'static str,
    to: [&'static str; 2],
    /// What makes our text of theirs; what can't be made stays, and does not fit the setting then.
    convert: fn(&str) -> Cow<'_, str>,
}

const fn row(
    section: &'static str,
    option: &'static str,
    to: [&'static str; 2],
    convert: fn(&str) -> Cow<'_, str>,
) -> Row {
    Row { section, option, to, convert }
}

/// Options that become a setting by themselves.
const ROWS: &[Row] = &[
    row("serial", "serial_port", ["bank", "link"], as_it_is),
    row("serial", "serial_baudrate", ["bank", "baud"], as_it_is),
    row("serial", "reading_freq", ["bank", "interval"], seconds),
    row("serial", "reading_freq", ["bank", "summary_interval"], |_| "0s".into()),
    row("general", "output_path", ["json_file", "directory"], |text| or(text, ".")),
    row("battery_info", "dev_name", ["bank", "name"], as_it_is),
    row("battery_info", "manufacturer", ["bank", "manufacturer"], |text| or(text, "auto")),
    row("battery_info", "model", ["bank", "model"], |text| or(text, "auto")),
    row(SQL, "SQL_active", ["database", "enabled"], truth),
    row(MQTT, "MQTT_active", ["mqtt", "enabled"], truth),
    row(EVENTS, "events_monitoring", ["events", "enabled"], truth),
    row(EVENTS, "cells_details", ["events", "cells"], truth),
    row(EVENTS, "monitoring_level", ["events", "level"], lower),
    row("logging", "LOGGING_LEVEL", ["log", "level"], level),
    row("logging", "LOGGING_LEVEL", ["log", "file"], |_| "pytes_serial.log".into()),
    row("logging", "LOGGING_FILE_MAX_SIZE", ["log", "max_size_kb"], as_it_is),
    row("logging", "LOGGING_FILE_MAX_FILES", ["log", "max_files"], as_it_is),
];

/// Options of a server that is switched on. Switched off, what stands there is often a mere example.
const SQL_ROWS: &[Row] = &[
    row(SQL, "password", ["database", "password"], as_it_is),
    row(SQL, "SQL_active", ["database", "legacy_table"], truth),
];
const MQTT_ROWS: &[Row] = &[
    row(MQTT, "MQTT_username", ["mqtt", "username"], as_it_is),
    row(MQTT, "MQTT_password", ["mqtt", "password"], as_it_is),
    row(MQTT, "MQTT_active", ["mqtt", "legacy_topics"], truth),
];

/// Options that become a setting together with others.
const OTHERS: &[(&str, &[&str])] = &[
    ("battery_info", &["powers", "cells"]),
    (SQL, &["host", "db_port", "user", "database"]),
    (MQTT, &["MQTT_broker", "MQTT_port"]),
    (CELLS, &["cells_monitoring", "monitoring_level"]),
];

/// The predecessor's catalogue of events, where it lies beside its file.
const CATALOGUE: &str = "events_config.json";

/// Whether a file speaks the predecessor's language: by its name, else by sections that only it has.
#[must_use]
pub fn is_its_file(file: &Path, text: &str) -> bool {
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let its_section = |line: &str| {
        let inside = line.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        inside.is_some_and(|name| name == SQL || name == CELLS || name == "battery_info")
    };
    ["cfg", "ini"].iter().any(|known| extension.eq_ignore_ascii_case(known)) || text.lines().any(its_section)
}

/// Reads the text of a file.
pub(super) fn layer(file: &Path, folder: &Path, text: &str) -> Layer {
    let ini = Ini::parse(text);
    let mut reader = Reader { file, ini: &ini, layer: Layer::default() };
    reader.rows(ROWS);
    if reader.is_true(SQL, "SQL_active") {
        reader.rows(SQL_ROWS);
        reader.database_url();
    }
    if reader.is_true(MQTT, "MQTT_active") {
        reader.rows(MQTT_ROWS);
        reader.mqtt_url();
    }
    reader.cells();
    reader.expected();
    reader.strangers();
    if folder.join(CATALOGUE).is_file() {
        reader.give(["events", "catalogue"], CATALOGUE, Origin::file(Path::new(CATALOGUE)));
    }
    let Reader { mut layer, .. } = reader;
    for fault in ini.faults {
        layer.problems.push(Problem::new(
            Origin::line(file, fault.line),
            "",
            Trouble::Syntax(fault.what.to_owned()),
        ));
    }
    layer
}

struct Reader<'a> {
    file: &'a Path,
    ini: &'a Ini,
    layer: Layer,
}

impl Reader<'_> {
    fn rows(&mut self, rows: &[Row]) {
        for row in rows {
            if let Some((text, origin)) = self.get(row.section, row.option) {
                self.give(row.to, &(row.convert)(&text), origin);
            }
        }
    }

    /// An option's value and place.
    fn get(&mut self, section: &str, option: &str) -> Option<(String, Origin)> {
        let found = self.ini.get(section, option)?;
        let origin = self.origin(found);
        if found.value.replace("%%", "").contains("%(") {
            let sentence = "expected the value itself; a reference such as %(name)s is not followed \
                            (write %% for a percent sign)";
            self.layer.problems.push(Problem::new(&origin, "", Trouble::Syntax(sentence.into())));
            return None;
        }
        Some((found.value.replace("%%", "%"), origin))
    }

    fn origin(&self, option: &OptionLine) -> Origin {
        Origin::File {
            path: self.file.to_owned(),
            line: Some(option.line),
            option: Some(format!("[{}] {}", option.section, option.name)),
        }
    }

    fn give(&mut self, [section, name]: [&str; 2], text: &str, origin: Origin) {
        if let Some(Named::Value(key)) = key::find(section, name) {
            let bank = (section == key::BANK).then_some(1);
            self.layer.text(Place { key, bank }, text, origin);
        }
    }

    fn is_true(&self, section: &str, option: &str) -> bool {
        self.ini.get(section, option).is_some_and(|found| truth(&found.value) == "true")
    }

    fn database_url(&mut self) {
        let mut text = |option| self.get(SQL, option).map(|(text, _)| text).filter(|text| !text.is_empty());
        let (user, database) = (text("user").unwrap_or_default(), text("database"));
        let Some((host, origin)) = self.get(SQL, "host") else { return };
        let port = self.number(SQL, "db_port", 1..=65_535).unwrap_or(3306);
        let database = database.unwrap_or_else(|| "pytes".into());
        self.give(
            ["database", "url"],
            &DatabaseUrl::Mysql { user, host, port, database }.to_string(),
            origin,
        );
    }

    fn mqtt_url(&mut self) {
        let Some((host, origin)) = self.get(MQTT, "MQTT_broker") else { return };
        let port = self.number(MQTT, "MQTT_port", 1..=65_535).unwrap_or(1883);
        self.give(["mqtt", "url"], &MqttUrl { tls: false, host, port }.to_string(), origin);
    }

    fn cells(&mut self) {
        if self.is_true(CELLS, "cells_monitoring") {
            self.rows(&[row(CELLS, "monitoring_level", ["bank", "cells"], lower)]);
        } else {
            self.rows(&[row(CELLS, "cells_monitoring", ["bank", "cells"], |_| "off".into())]);
        }
    }

    fn expected(&mut self) {
        let batteries = self.number("battery_info", "powers", 1..=16);
        let cells = self.number("battery_info", "cells", 1..=255);
        let expected = Expected { batteries, cells };
        self.layer.expected = (expected != Expected::default()).then_some(expected);
    }

    /// A number that no setting of ours takes by itself.
    fn number<T: TryFrom<i64>>(
        &mut self,
        section: &str,
        option: &str,
        range: std::ops::RangeInclusive<i64>,
    ) -> Option<T> {
        let (text, origin) = self.get(section, option).filter(|(text, _)| !text.is_empty())?;
        let number = text.parse().ok().filter(|number| range.contains(number));
        if number.is_none() {
            let mismatch =
                Mismatch { expected: Kind::Number(range).expected().into(), found: format!("{text:?}") };
            self.layer.problems.push(Problem::new(origin, "", Trouble::Mismatch(mismatch)));
        }
        T::try_from(number?).ok()
    }

    /// Options that mean nothing to us: a slip, or of a version we don't know.
    fn strangers(&mut self) {
        for option in &self.ini.options {
            let known = |section: &str, name: &str| {
                (section == option.section || option.section == "DEFAULT")
                    && name.eq_ignore_ascii_case(&option.name)
            };
            let in_rows =
                [ROWS, SQL_ROWS, MQTT_ROWS].into_iter().flatten().any(|r| known(r.section, r.option));
            let in_others =
                || OTHERS.iter().any(|(section, names)| names.iter().any(|name| known(section, name)));
            if !in_rows && !in_others() {
                self.layer.warnings.push(format!("{}: is not used", self.origin(option)));
            }
        }
    }
}

fn as_it_is(text: &str) -> Cow<'_, str> {
    text.into()
}

fn or<'a>(text: &'a str, blank: &'static str) -> Cow<'a, str> {
    if text.is_empty() { blank.into() } else { text.into() }
}

fn lower(text: &str) -> Cow<'_, str> {
    text.to_lowercase().into()
}

/// Its booleans are the word `true`; anything else is false.
fn truth(text: &str) -> Cow<'_, str> {
    if text.trim().eq_ignore_ascii_case("true") { "true".into() } else { "false".into() }
}

/// `10` or `0.5` seconds. None at all means as fast as it can: our shortest interval.
fn seconds(text: &str) -> Cow<'_, str> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => {
            let wanted = std::time::Duration::from_secs_f64(seconds);
            let shortest = std::time::Duration::from_millis(100);
            let millis =
                std::time::Duration::from_millis(u64::try_from(wanted.as_millis()).unwrap_or_default());
            humantime::format_duration(millis.max(shortest)).to_string().into()
        }
        _ => text.into(),
    }
}

/// `logging.INFO` and its kin.
fn level(text: &str) -> Cow<'_, str> {
    let word = text.to_lowercase();
    match word.strip_prefix("logging.").unwrap_or(&word) {
        "critical" | "fatal" => "error".into(),
        "warn" => "warning".into(),
        "notset" => "trace".into(),
        known => known.to_owned().into(),
    }
}
