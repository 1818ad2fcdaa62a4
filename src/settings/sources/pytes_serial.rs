//! Reads `pytes_serial.cfg` as a layer, with a table that maps its options to settings.
//!
//! Settings without an option keep their defaults. Values are read as Python's `ConfigParser` does: `%%` is one percent
//! sign. A single `%`, which is an error in Python, is read as it is.

use std::{borrow::Cow, path::Path};

use crate::settings::check::kind::{Mismatch, SettingKind};
use crate::settings::check::problem::{Origin, ProblemKind, SettingsProblem};
use crate::settings::endpoint::{DatabaseUrl, MqttUrl};
use crate::settings::key::{BANK, SettingPath};
use crate::settings::lookup;
use crate::settings::lookup::NamedSetting;
use crate::settings::sections::bank::{ExpectedCounts, is_in_name};
use crate::settings::sources::ini::{Ini, OptionLine};
use crate::settings::sources::layer::{Layer, PytesSerialFile};

const SQL: &str = "Maria DB connection";
const MQTT: &str = "MQTT";
const CELLS: &str = "cells_monitoring";
const EVENTS: &str = "events_monitoring";

/// An option and the setting that it maps to.
struct OptionMapping {
    section: &'static str,
    option: &'static str,
    to: [&'static str; 2],
    /// Converts the text; a text that it can't convert stays and is then rejected by the setting's check.
    convert: fn(&str) -> Cow<'_, str>,
}

const fn row(
    section: &'static str,
    option: &'static str,
    to: [&'static str; 2],
    convert: fn(&str) -> Cow<'_, str>,
) -> OptionMapping {
    OptionMapping { section, option, to, convert }
}

/// Options that map to one setting.
const ROWS: &[OptionMapping] = &[
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

/// Options of a server, only read if it is enabled: otherwise they are often just the examples of the shipped file.
const SQL_ROWS: &[OptionMapping] = &[
    row(SQL, "password", ["database", "password"], as_it_is),
    row(SQL, "SQL_active", ["database", "legacy_table"], truth),
];
const MQTT_ROWS: &[OptionMapping] = &[
    row(MQTT, "MQTT_username", ["mqtt", "username"], as_it_is),
    row(MQTT, "MQTT_password", ["mqtt", "password"], as_it_is),
    row(MQTT, "MQTT_active", ["mqtt", "legacy_topics"], truth),
];

/// Options that are combined with others or need special treatment.
const OTHERS: &[(&str, &[&str])] = &[
    ("battery_info", &["powers", "cells", "dev_name"]),
    (SQL, &["host", "db_port", "user", "database"]),
    (MQTT, &["MQTT_broker", "MQTT_port"]),
    (CELLS, &["cells_monitoring", "monitoring_level"]),
];

/// An option that earlier versions had in another section.
struct OptionAlias {
    newer: [&'static str; 2],
    older: [&'static str; 2],
    /// Whether the value is one of the newer option.
    fits: fn(&str) -> bool,
}

const fn older(newer: [&'static str; 2], older: [&'static str; 2], fits: fn(&str) -> bool) -> OptionAlias {
    OptionAlias { newer, older, fits }
}

/// Options of versions up to 0.7.4. If a file has both, the newer one wins.
const OLDER: &[OptionAlias] = &[
    older(["battery_info", "powers"], ["general", "powers"], |_| true),
    older(["battery_info", "cells"], ["events", "cells"], |_| true),
    older([EVENTS, "events_monitoring"], ["events", "events_monitoring"], |_| true),
    older([EVENTS, "cells_details"], ["events", "cells_details"], |_| true),
    older([CELLS, "cells_monitoring"], ["events", "cells_monitoring"], |_| true),
    // One option became two; the values distinguish them.
    older([EVENTS, "monitoring_level"], ["events", "cells_details_level"], |text| !is_cell_level(text)),
    older([CELLS, "monitoring_level"], ["events", "cells_details_level"], is_cell_level),
];

/// The catalogue of events of pytes_serial, next to its configuration file.
const CATALOGUE: &str = "events_config.json";

/// Whether a file is a `pytes_serial.cfg`: by its name, else by sections that only it has.
#[must_use]
pub fn is_pytes_serial_file(file: &Path, text: &str) -> bool {
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
    let mut reader = ConfigReader { file, ini: &ini, layer };
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
    reader.warn_about_unused_options();
    // Also a folder or a dangling link of that name: whoever reads it says what is wrong with it.
    if folder.join(CATALOGUE).symlink_metadata().is_ok() {
        reader.give(["events", "catalogue"], CATALOGUE, Origin::file(Path::new(CATALOGUE)));
    }
    let ConfigReader { mut layer, .. } = reader;
    for error in ini.errors {
        layer.problems.push(SettingsProblem::new(
            Origin::line(file, error.line),
            "",
            ProblemKind::Syntax(error.what.to_owned()),
        ));
    }
    layer
}

struct ConfigReader<'a> {
    file: &'a Path,
    ini: &'a Ini,
    layer: Layer,
}

impl ConfigReader<'_> {
    fn rows(&mut self, rows: &[OptionMapping]) {
        for row in rows {
            if let Some((text, origin)) = self.get(row.section, row.option) {
                self.give(row.to, &(row.convert)(&text), origin);
            }
        }
    }

    /// Finds an option, else its older name.
    fn find(&self, section: &str, option: &str) -> Option<&OptionLine> {
        let older = |row: &OptionAlias| {
            let [section, option] = row.older;
            self.ini.get(section, option).filter(|found| (row.fits)(&found.value))
        };
        let mut rows = OLDER.iter().filter(|row| row.newer == [section, option]);
        self.ini.get(section, option).or_else(|| rows.find_map(older))
    }

    fn get(&mut self, section: &str, option: &str) -> Option<(String, Origin)> {
        let found = self.find(section, option)?;
        let origin = self.origin(found);
        if found.value.replace("%%", "").contains("%(") {
            let sentence = "expected the value itself; a reference such as %(name)s is not followed \
                            (write %% for a percent sign)";
            self.layer.problems.push(SettingsProblem::new(&origin, "", ProblemKind::Syntax(sentence.into())));
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
        if let Some(NamedSetting::Value(key)) = lookup::find(section, name) {
            let bank = (section == BANK).then_some(1);
            self.layer.add_text(SettingPath { key, bank }, text, origin);
        }
    }

    fn is_true(&self, section: &str, option: &str) -> bool {
        self.find(section, option).is_some_and(|found| truth(&found.value) == "true")
    }

    /// Changes a name that topics and files can't have, since pytes_serial accepted it.
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
        let expected = ExpectedCounts { batteries, cells };
        self.layer.expected = (expected != ExpectedCounts::default()).then_some(expected);
    }

    /// A number that is not a setting by itself.
    fn number<T: TryFrom<i64>>(
        &mut self,
        section: &str,
        option: &str,
        range: std::ops::RangeInclusive<i64>,
    ) -> Option<T> {
        let (text, origin) = self.get(section, option).filter(|(text, _)| !text.is_empty())?;
        let number = text.parse().ok().filter(|number| range.contains(number));
        if number.is_none() {
            let mismatch = Mismatch {
                expected: SettingKind::Number(range).expected().into(),
                found: format!("{text:?}"),
            };
            self.layer.problems.push(SettingsProblem::new(origin, "", ProblemKind::Mismatch(mismatch)));
        }
        T::try_from(number?).ok()
    }

    /// Warns about options that are not used: misspelt, of an unknown version, or replaced by a newer one in the file.
    fn warn_about_unused_options(&mut self) {
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
            let means = |row: &&OptionAlias| known(row.older[0], row.older[1]) && (row.fits)(&option.value);
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

/// In pytes_serial only the word `true` is true.
fn truth(text: &str) -> Cow<'_, str> {
    if text.trim().eq_ignore_ascii_case("true") { "true".into() } else { "false".into() }
}

fn is_cell_level(text: &str) -> bool {
    ["low", "medium", "high"].iter().any(|level| level.eq_ignore_ascii_case(text))
}

/// Replaces each run of characters that a bank name can't have with one `_`.
fn usable_name(text: &str) -> String {
    let parts = text.split(|c| !is_in_name(c)).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("_")
}

/// Converts `10` or `0.5` seconds. Zero means as fast as possible: the shortest interval.
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

/// Converts `logging.INFO` and similar level names.
fn level(text: &str) -> Cow<'_, str> {
    let word = text.to_lowercase();
    match word.strip_prefix("logging.").unwrap_or(&word) {
        "critical" | "fatal" => "error".into(),
        "warn" => "warning".into(),
        "notset" => "trace".into(),
        known => known.to_owned().into(),
    }
}
