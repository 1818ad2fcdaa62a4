//! `pytes_serial.cfg`, the predecessor's file, as a layer: a table of which option becomes which setting.
//!
//! What the file does not say keeps our default. Values are read as Python's `ConfigParser` gives them to the
//! predecessor: `%%` is one percent sign. A lone `%`, at which Python stops, stands for itself.

use std::{borrow::Cow, path::Path};

use crate::settings::check::kind::{Kind, Mismatch};
use crate::settings::check::problem::{Origin, Problem, Trouble};
use crate::settings::endpoint::{DatabaseUrl, MqttUrl};
use crate::settings::key::{BANK, Place};
use crate::settings::lookup;
use crate::settings::lookup::Named;
use crate::settings::sections::bank::{Expected, is_in_name};
use crate::settings::sources::ini::{Ini, OptionLine};
use crate::settings::sources::layer::{Layer, PytesSerialFile};

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

/// Options that become a setting together with others, or not as they are.
const OTHERS: &[(&str, &[&str])] = &[
    ("battery_info", &["powers", "cells", "dev_name"]),
    (SQL, &["host", "db_port", "user", "database"]),
    (MQTT, &["MQTT_broker", "MQTT_port"]),
    (CELLS, &["cells_monitoring", "monitoring_level"]),
];

/// An option that earlier versions had in another section.
struct Older {
    newer: [&'static str; 2],
    older: [&'static str; 2],
    /// Which of its values mean the newer one.
    fits: fn(&str) -> bool,
}

const fn older(newer: [&'static str; 2], older: [&'static str; 2], fits: fn(&str) -> bool) -> Older {
    Older { newer, older, fits }
}

/// Options of versions up to 0.7.4. Where a file has both, the newer one wins.
const OLDER: &[Older] = &[
    older(["battery_info", "powers"], ["general", "powers"], |_| true),
    older(["battery_info", "cells"], ["events", "cells"], |_| true),
    older([EVENTS, "events_monitoring"], ["events", "events_monitoring"], |_| true),
    older([EVENTS, "cells_details"], ["events", "cells_details"], |_| true),
    older([CELLS, "cells_monitoring"], ["events", "cells_monitoring"], |_| true),
    // One option for what became two: the values tell them apart.
    older([EVENTS, "monitoring_level"], ["events", "cells_details_level"], |text| !is_cell_level(text)),
    older([CELLS, "monitoring_level"], ["events", "cells_details_level"], is_cell_level),
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
pub(crate) fn layer(file: &Path, folder: &Path, text: &str) -> Layer {
    let ini = Ini::parse(text);
    let layer = Layer { pytes_serial: Some(PytesSerialFile::default()), ..Layer::default() };
    let mut reader = Reader { file, ini: &ini, layer };
    reader.rows(ROWS);
    if reader.is_true(SQL, "SQL_active") {
        reader.rows(SQL_ROWS);
        reader.database_url();
    }
    if reader.is_true(MQTT, "MQTT_active") {
        reader.rows(MQTT_ROWS);
        reader.mqtt_url();
    }
    reader.name();
    reader.cells();
    reader.expected();
    reader.strangers();
    // Also a folder or a dangling link of that name: whoever reads it says what is wrong with it.
    if folder.join(CATALOGUE).symlink_metadata().is_ok() {
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

    /// The line of an option, else that of its older name.
    fn find(&self, section: &str, option: &str) -> Option<&OptionLine> {
        let older = |row: &Older| {
            let [section, option] = row.older;
            self.ini.get(section, option).filter(|found| (row.fits)(&found.value))
        };
        let mut rows = OLDER.iter().filter(|row| row.newer == [section, option]);
        self.ini.get(section, option).or_else(|| rows.find_map(older))
    }

    /// An option's value and place.
    fn get(&mut self, section: &str, option: &str) -> Option<(String, Origin)> {
        let found = self.find(section, option)?;
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
        if let Some(Named::Value(key)) = lookup::find(section, name) {
            let bank = (section == BANK).then_some(1);
            self.layer.text(Place { key, bank }, text, origin);
        }
    }

    fn is_true(&self, section: &str, option: &str) -> bool {
        self.find(section, option).is_some_and(|found| truth(&found.value) == "true")
    }

    /// A name that no topic and no file can have is changed: pytes_serial ran with it.
    fn name(&mut self) {
        let Some((text, origin)) = self.get("battery_info", "dev_name") else { return };
        let name = usable_name(&text);
        if name == text && !name.is_empty() {
            return self.give(["bank", "name"], &name, origin);
        }
        let changed = if name.is_empty() {
            "has no letter and no digit that can be used; the bank has the default name".to_owned()
        } else {
            format!("is changed to {name:?}: topics, ids and file names take letters, digits, _ and - only")
        };
        self.layer.warnings.push(format!(
            "{origin}: {text:?} {changed}. MQTT topics and the JSON file get the new name; Home Assistant \
             accepts no entities under the old one, so it has none to take over"
        ));
        if !name.is_empty() {
            self.give(["bank", "name"], &name, origin);
        }
        self.layer.pytes_serial = Some(PytesSerialFile { unusable_name: Some(text) });
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
        let level = if !self.is_true(CELLS, "cells_monitoring") {
            row(CELLS, "cells_monitoring", ["bank", "cells"], |_| "off".into())
        } else if self.find(CELLS, "monitoring_level").is_some() {
            row(CELLS, "monitoring_level", ["bank", "cells"], lower)
        } else {
            // Before 0.8.0 there were no levels.
            row(CELLS, "cells_monitoring", ["bank", "cells"], |_| "medium".into())
        };
        self.rows(&[level]);
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

    /// Options that mean nothing to us: a slip, of a version we don't know, or older than another one of the file.
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
            if in_rows || in_others() {
                continue;
            }
            let means = |row: &&Older| known(row.older[0], row.older[1]) && (row.fits)(&option.value);
            let newer = OLDER.iter().find(means).map(|row| row.newer);
            let replaced =
                newer.map(|[section, name]| (section, name, self.ini.get(section, name).is_some()));
            let why = match replaced {
                Some((_, _, false)) => continue,
                Some((section, name, true)) => format!("; the newer [{section}] {name} is"),
                None => String::new(),
            };
            self.layer.warnings.push(format!("{}: is not used{why}", self.origin(option)));
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

fn is_cell_level(text: &str) -> bool {
    ["low", "medium", "high"].iter().any(|level| level.eq_ignore_ascii_case(text))
}

/// The name in the characters that bankwatch can use; each run of others becomes one `_`.
fn usable_name(text: &str) -> String {
    let parts = text.split(|c| !is_in_name(c)).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("_")
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
