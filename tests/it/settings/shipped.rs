//! The shipped `config/bankwatch.toml` matches the code.

use bankwatch::internals::settings::{
    key::SettingDef,
    render::{self, RenderStyle},
    sections::SECTIONS,
};
use support::settings::SettingsFixture;

const SHIPPED: &str = include_str!("../../../config/bankwatch.toml");

/// The settings in the shipped file: section, name, value, comment.
fn written() -> Vec<[&'static str; 4]> {
    let mut section = "";
    let mut written = Vec::new();
    for line in SHIPPED.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (code, comment) = line.split_once(" # ").unwrap_or((line, ""));
        match code.trim().strip_prefix('[') {
            Some(header) => section = header.trim_matches(['[', ']']),
            None => {
                let (name, value) = code.split_once(" = ").expect("name = value");
                written.push([section, name, value.trim(), comment]);
            }
        }
    }
    written
}

fn keys() -> impl Iterator<Item = &'static SettingDef> {
    SECTIONS.iter().copied().flatten()
}

#[test]
fn the_shipped_file_loads_unchanged() {
    let loaded = SettingsFixture::with(SHIPPED).loaded();
    assert_eq!(loaded.warnings, Vec::<String>::new());
    assert!(loaded.require_bank().is_ok());
}

#[test]
fn the_shipped_file_lists_each_key_with_default_and_reason() {
    let from_the_table: Vec<_> = keys()
        .map(|key| {
            let value = key.kind.parse(key.default).unwrap_or_else(|_| panic!("{key:?}"));
            let value = match value.as_str() {
                Some(text) => format!("{text:?}"),
                None => key.default.to_owned(),
            };
            [key.section.to_owned(), key.name.to_owned(), value, key.description.to_owned()]
        })
        .collect();
    let from_the_file: Vec<_> = written().into_iter().map(|row| row.map(str::to_owned)).collect();
    assert_equal_rows(&from_the_table, &from_the_file);
}

fn assert_equal_rows(expected: &[[String; 4]], found: &[[String; 4]]) {
    for (expected, found) in expected.iter().zip(found) {
        assert_eq!(expected, found);
    }
    assert_eq!(expected.len(), found.len());
}

#[test]
fn the_shipped_file_changes_nothing() {
    let shown = |fixture: SettingsFixture| {
        let mut text = Vec::new();
        render::toml(&fixture.loaded().layers, RenderStyle::Effective, &mut text)
            .expect("writing to a vector");
        String::from_utf8(text).expect("TOML is UTF-8")
    };
    assert_eq!(shown(SettingsFixture::with(SHIPPED)), shown(SettingsFixture::with("[[bank]]\n")));
}
