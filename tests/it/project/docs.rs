//! Compares the documentation with the code: links, tests, settings, keys, names.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bankwatch::internals::console::answers::{euro, info, pwr_detail};
use bankwatch::internals::console::validation::tolerance::TOLERANCES;
use bankwatch::internals::model::lifetime::LifetimeFigure;
use bankwatch::internals::mqtt::homeassistant::entities::{
    ENTITIES, EnabledByDefault, Entity, Source, ValueKind,
};
use bankwatch::internals::mqtt::homeassistant::enum_values::{OTHER, STATES, STATUSES};
use bankwatch::internals::mqtt::message_kind::MessageKind;
use bankwatch::internals::settings::CellLevel;
use bankwatch::internals::settings::sections::SECTIONS;
use bankwatch::internals::simulator::{Dialect, FaultKind, Simulation};
use bankwatch::internals::stats::health::near_full::{NEAR_FULL_LIMITS, NearFullLimit};
use bankwatch::internals::stats::limits::{ANY_STEP, ANY_VALUE, LIMITS};
use serde_json::Value;
use support::payload_fixture::{json, parts_of, place, reading};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// README, CHANGELOG and everything below `docs`.
fn pages() -> Vec<PathBuf> {
    let (mut pages, mut folders) = (vec![root().join("README.md"), root().join("CHANGELOG.md")], vec![]);
    folders.push(root().join("docs"));
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages
}

/// The page without its code blocks, in which brackets mean something else.
fn prose(text: &str) -> String {
    let outside = text.split("```").step_by(2);
    outside.collect()
}

/// The targets of `[text](target)`.
fn links(text: &str) -> Vec<&str> {
    text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target).collect()
}

/// The names under which the page's headings can be linked to.
fn anchors(text: &str) -> BTreeSet<String> {
    let anchor = |heading: &str| {
        let text = heading.trim().to_lowercase();
        let text = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        text.map(|c| if c == ' ' { '-' } else { c }).collect::<String>()
    };
    prose(text)
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| anchor(line.trim_start_matches('#')))
        .collect()
}

/// The rows of the tables below a heading, each as its cells.
fn rows<'a>(text: &'a str, heading: &str) -> Vec<Vec<&'a str>> {
    let (_, below) = text.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading:?}"));
    let lines = below.lines().take_while(|line| !line.starts_with("## "));
    let cells = |line: &'a str| line.strip_prefix('|').and_then(|line| line.strip_suffix('|'));
    lines.filter_map(cells).map(|line| line.split('|').map(str::trim).collect()).collect()
}

/// The text between backticks.
fn in_backticks(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[track_caller]
fn assert_none(broken: &[String]) {
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn links_and_anchors_resolve() {
    let mut broken = Vec::new();
    for path in pages() {
        let text = fs::read_to_string(&path).unwrap();
        for link in links(&prose(&text)).iter().filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target =
                if file.is_empty() { path.clone() } else { path.parent().unwrap_or(root()).join(file) };
            let found = target.exists()
                && (anchor.is_empty() || anchors(&fs::read_to_string(&target).unwrap()).contains(anchor));
            if !found {
                broken.push(format!("{}: {link} does not exist", path.display()));
            }
        }
    }
    assert_none(&broken);
}

#[test]
fn tests_in_the_failure_table_exist() {
    let text = page("docs/architecture.md");
    let mut broken = Vec::new();
    let mut count = 0;
    for row in rows(&text, "## What happens when …").iter().skip(2) {
        for claim in row[2].split(';') {
            let names = in_backticks(claim);
            let files = links(claim);
            assert!(!files.is_empty(), "{}: no test file is named", row[0]);
            let sources: Vec<String> = files
                .iter()
                .filter_map(|file| fs::read_to_string(root().join("docs").join(file)).ok())
                .collect();
            for name in names {
                count += 1;
                if !sources.iter().any(|source| source.contains(&format!("fn {name}("))) {
                    broken.push(format!("no test {name} in {files:?}"));
                }
            }
        }
    }
    assert_none(&broken);
    assert!(count > 20, "only {count} tests found in the table");
}

#[test]
fn settings_page_lists_exactly_the_keys_and_defaults() {
    let text = page("docs/settings.md");
    for keys in SECTIONS {
        let heading = match keys[0].section {
            "" => "## Before the first section".to_owned(),
            "bank" => "## `[[bank]]`".to_owned(),
            section => format!("## `[{section}]`"),
        };
        let written: Vec<(String, String)> = rows(&text, &heading)
            .iter()
            .skip(2)
            .map(|row| (row[0].trim_matches('`').to_owned(), row[1].trim_matches('`').to_owned()))
            .collect();
        let known: Vec<(String, String)> =
            keys.iter().map(|key| (key.name.to_owned(), key.default.to_owned())).collect();
        assert_eq!(written, known, "below {heading}");
    }
}

#[test]
fn tolerances_on_the_page_match_the_code() {
    let text = page("docs/console.md");
    let written: Vec<Vec<String>> = rows(&text, "### Tolerances")
        .iter()
        .filter(|row| row.len() == 6 && row[0].starts_with('`'))
        .map(|row| [row[0], row[2], row[3], row[4], row[5]].map(str::to_owned).to_vec())
        .collect();
    let known = TOLERANCES.iter().map(|tolerance| {
        let (low, high) = tolerance.range;
        let range = if low == i64::MIN { String::new() } else { format!("{low} to {high}") };
        let kind = format!("`{:?}`", tolerance.kind);
        vec![
            kind,
            tolerance.flat.to_string(),
            tolerance.per_second.to_string(),
            range,
            tolerance.source.to_owned(),
        ]
    });
    assert_eq!(written, known.collect::<Vec<_>>());
}

#[test]
fn console_page_lists_ignored_labels() {
    let text = page("docs/console.md");
    let (_, below) = text.split_once("\n### Known and not used\n").unwrap();
    for (answer, labels) in [("`pwr N`", pwr_detail::IGNORED_LABELS), ("`info`", info::IGNORED_LABELS)] {
        let row = below.lines().find(|line| line.starts_with(&format!("| {answer} |"))).unwrap();
        assert_eq!(in_backticks(row.split('|').nth(2).unwrap()), labels, "{answer}");
    }
}

#[test]
fn console_page_lists_every_euro_label() {
    let text = page("docs/console.md");
    let rows = rows(&text, "## What `euro` states");
    let written: BTreeSet<(String, Vec<String>)> = rows
        .iter()
        .skip(2)
        .flat_map(|row| {
            let figures: Vec<String> = in_backticks(row[1]).into_iter().map(str::to_owned).collect();
            in_backticks(row[0])
                .into_iter()
                .map(move |label| (label.to_owned(), figures.clone()))
                .collect::<Vec<_>>()
        })
        .collect();
    let keys = |figures: &[LifetimeFigure]| figures.iter().map(|figure| figure.key().to_owned()).collect();
    let known = euro::LABELS.iter().map(|(label, figures)| ((*label).to_owned(), keys(figures)));
    assert_eq!(written, known.collect());
    let entities: BTreeSet<&str> =
        ENTITIES.iter().filter_map(|entity| entity.key.strip_prefix("lifetime.")).collect();
    assert_eq!(entities, LifetimeFigure::ALL.iter().map(|figure| figure.key()).collect());
}

#[test]
fn plausibility_limits_on_the_page_match_the_code() {
    let text = page("docs/battery-health.md");
    let written: Vec<Vec<String>> = rows(&text, "## Plausibility")
        .iter()
        .filter(|row| row[0].starts_with('`'))
        .map(|row| [row[0], row[2], row[3], row[4], row[5], row[6]].map(str::to_owned).to_vec())
        .collect();
    let known = LIMITS.iter().map(|limit| {
        let step = if limit.step == ANY_STEP { "any".to_owned() } else { limit.step.to_string() };
        let (low, high) = limit.range;
        let sensor = match limit.sensor {
            ANY_VALUE => "never".to_owned(),
            (i64::MIN, high) => format!("above {high}"),
            (low, high) => format!("below {low}, above {high}"),
        };
        vec![
            format!("`{}`", limit.quantity.name()),
            format!("{low} to {high}"),
            sensor,
            step,
            limit.per_second.to_string(),
            limit.source.to_owned(),
        ]
    });
    assert_eq!(written, known.collect::<Vec<_>>());
}

#[test]
fn near_full_limits_on_the_page_match_the_code() {
    let text = page("docs/battery-health.md");
    let written: Vec<String> =
        rows(&text, "## Near full").iter().skip(2).map(|row| row.join(" | ")).collect();
    let known = NEAR_FULL_LIMITS.iter().map(|limit| {
        let NearFullLimit { name, value, unit, source } = limit;
        format!("{name} | {value} {unit} | {source}")
    });
    assert_eq!(written, known.collect::<Vec<_>>());
}

#[test]
fn json_file_page_lists_exactly_the_keys() {
    let bank = Simulation::new(Dialect::Us2000c).unpaced().start().unwrap();
    let read = Command::new(env!("CARGO_BIN_EXE_bankwatch"));
    let output = { read }.args(["read", &bank.link(), "--json"]).output().unwrap();
    bank.stop();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut keys = BTreeSet::new();
    collect(&document, &mut keys);

    let text = page("docs/json-file.md");
    let tables = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let written: BTreeSet<String> = tables
        .filter_map(|line| line.split_once(" |"))
        .flat_map(|(cell, _)| {
            in_backticks(&format!("`{cell}")).into_iter().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(written, keys);
}

/// All names in a document, however deep.
fn collect(value: &Value, keys: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                keys.insert(key.clone());
                collect(value, keys);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, keys)),
        _ => {}
    }
}

#[test]
fn simulator_page_lists_every_dialect_and_fault() {
    let text = page("docs/simulator.md");
    let first = |heading: &str| -> BTreeSet<String> {
        rows(&text, heading).iter().skip(2).map(|row| row[0].trim_matches('`').to_owned()).collect()
    };
    let dialects: BTreeSet<String> = Dialect::ALL.iter().map(|dialect| dialect.name().to_owned()).collect();
    assert_eq!(first("## Dialects"), dialects);
    let faults: BTreeSet<String> = FaultKind::ALL.iter().map(|fault| fault.name().to_owned()).collect();
    assert_eq!(first("## Faults"), faults);
}

/// The row of an entity on the page.
fn entity_row(entity: &Entity) -> [String; 9] {
    let number = match entity.source {
        Source::Battery | Source::Detail | Source::Statistics => Some("N"),
        Source::Cell => Some("NCC"),
        _ => None,
    };
    let numbered =
        |stem: &str| format!("`{stem}{}`", number.map(|number| format!("_{number}")).unwrap_or_default());
    let reads = match entity.source {
        Source::Bank => "state",
        Source::BankCells => "cells",
        Source::Link => "status",
        Source::Service => "service",
        Source::Battery => "battery/N/state",
        Source::Detail => "battery/N/detail",
        Source::Statistics | Source::Cell => "battery/N/cells",
    };
    let (class, unit, state_class) = match entity.value {
        ValueKind::Number(number) => (number.class, number.unit, number.state_class),
        ValueKind::Enum(_) => (Some("enum"), None, None),
        ValueKind::Timestamp => (Some("timestamp"), None, None),
        ValueKind::Date => (Some("date"), None, None),
        ValueKind::Flag(class) => (class, None, None),
        ValueKind::Connectivity => (Some("connectivity"), None, None),
    };
    let level = match entity.level {
        CellLevel::Off => "",
        CellLevel::Low => "`low`",
        CellLevel::Medium => "`medium`",
        CellLevel::High => "`high`",
    };
    let remarks = [
        (entity.is_legacy, "pytes_serial's"),
        (matches!(entity.value, ValueKind::Flag(_) | ValueKind::Connectivity), "binary sensor"),
        (entity.diagnostic, "diagnostic"),
        (entity.enabled_by_default == EnabledByDefault::No, "off at first"),
        (entity.enabled_by_default == EnabledByDefault::IfCellLevelSet, "off at first unless `cells` is set"),
    ];
    let attributes = entity.attributes.iter().map(|(name, key)| match name {
        name if name == key => format!("attribute `{key}`"),
        name => format!("attribute `{name}`: `{key}`"),
    });
    let remarks = remarks.iter().filter(|(applies, _)| *applies).map(|(_, remark)| (*remark).to_owned());
    let remarks: Vec<String> = remarks.chain(attributes).collect();
    let key = match entity.value {
        ValueKind::Connectivity => String::new(),
        _ => format!(" `{}`", entity.key),
    };
    [
        format!("`{}`", entity.name(number)),
        numbered(entity.stem),
        numbered(entity.id),
        format!("`{reads}`{key}"),
        class.unwrap_or_default().to_owned(),
        unit.unwrap_or_default().to_owned(),
        state_class.unwrap_or_default().to_owned(),
        level.to_owned(),
        remarks.join(", "),
    ]
}

#[test]
fn mqtt_page_lists_every_entity_and_enum_value() {
    let text = page("docs/mqtt.md");
    let written: Vec<Vec<String>> = rows(&text, "## Entities")
        .iter()
        .skip(2)
        .map(|row| row.iter().map(|&cell| cell.to_owned()).collect())
        .collect();
    let known: Vec<Vec<String>> = ENTITIES.iter().map(|entity| entity_row(entity).to_vec()).collect();
    assert_eq!(
        written,
        known,
        "\n{}\n",
        known.iter().map(|row| format!("| {} |\n", row.join(" | "))).collect::<String>()
    );
    let (_, words) = text.split_once("\nWords are").unwrap();
    let (words, _) = words.split_once("\n\n").unwrap();
    let options: BTreeSet<&str> = STATES.iter().chain(STATUSES).copied().collect();
    assert_eq!(
        in_backticks(words).into_iter().filter(|word| *word != "enum").collect::<BTreeSet<_>>(),
        options
    );
    assert!(options.contains(OTHER));
}

#[test]
fn mqtt_page_lists_exactly_the_payload_keys() {
    let text = page("docs/mqtt.md");
    let first = place(1);
    let kinds = [
        ("### The bank", MessageKind::Bank),
        ("### A battery", MessageKind::Battery(first)),
        ("### A battery's details", MessageKind::Detail(first)),
        ("### A battery's cells", MessageKind::Cells(first)),
        ("### The bank's cells", MessageKind::BankCells),
        ("### The service", MessageKind::Service),
    ];
    let parts = parts_of(reading("pytes", 2, 16), CellLevel::High);
    for (heading, kind) in kinds {
        let (_, below) = text.split_once(&format!("\n{heading}\n")).unwrap();
        let table = below.split("\n#").next().unwrap().lines().filter(|line| line.starts_with("| `"));
        let written: BTreeSet<String> =
            table.flat_map(|line| in_backticks(line.split('|').nth(1).unwrap())).map(str::to_owned).collect();
        let part = parts.iter().find(|part| part.kind == kind).unwrap();
        let published: BTreeSet<String> = json(&part.payload).as_object().unwrap().keys().cloned().collect();
        assert_eq!(written, published, "{heading}");
    }
}
