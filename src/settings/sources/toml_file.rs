//! Reads `bankwatch.toml`, with the line of each key.

use std::path::Path;

use figment::value::Value;
use toml_edit::{Document, Item, TableLike, Value as Toml};

use crate::settings::check::problem::{Origin, ProblemKind, SettingsProblem};
use crate::settings::sources::layer::Layer;
use crate::settings::sources::tree::{Node, TableEntry, TreeWalker};

pub(crate) fn layer(file: &Path, folder: &Path, text: &str) -> Layer {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let document = match Document::parse(text) {
        Ok(document) => document,
        Err(error) => return Layer::with_problem(syntax_problem(file, text, &error)),
    };
    let mut walk = TreeWalker { file, folder, layer: Layer::default() };
    walk.root(entries(document.as_table(), text));
    walk.layer
}

/// The parser's message with line and column, but without the text of the line, which may contain a secret.
fn syntax_problem(file: &Path, text: &str, error: &toml_edit::TomlError) -> SettingsProblem {
    let message = error.message().trim().replace('\n', ", ");
    match error.span() {
        Some(span) => {
            let before = text.get(..span.start).unwrap_or(text);
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            let origin = format!("{}:{column}", Origin::line(file, line_at(text, span.start)));
            SettingsProblem::new(origin, "", ProblemKind::Syntax(message))
        }
        None => SettingsProblem::new(Origin::file(file), "", ProblemKind::Syntax(message)),
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

fn entries(table: &dyn TableLike, text: &str) -> Vec<TableEntry> {
    let entry = |(name, item): (&str, &Item)| TableEntry {
        name: name.to_owned(),
        line: table.key(name).and_then(|key| key.span()).map(|span| line_at(text, span.start)),
        node: node(item, text),
    };
    table.iter().map(entry).collect()
}

fn node(item: &Item, text: &str) -> Node {
    match item {
        Item::None => Node::Leaf(Value::from(String::new())),
        Item::Value(value) => value_node(value, text),
        Item::Table(table) => Node::Table(entries(table, text)),
        Item::ArrayOfTables(tables) => {
            Node::List(tables.iter().map(|table| Node::Table(entries(table, text))).collect())
        }
    }
}

fn value_node(value: &Toml, text: &str) -> Node {
    Node::Leaf(match value {
        Toml::String(text) => text.value().as_str().into(),
        Toml::Integer(number) => (*number.value()).into(),
        Toml::Float(number) => (*number.value()).into(),
        Toml::Boolean(flag) => (*flag.value()).into(),
        // No setting is a date or a character; figment has no date, so a character represents it in messages.
        Toml::Datetime(_) => Value::from(' '),
        Toml::Array(values) => {
            return Node::List(values.iter().map(|value| value_node(value, text)).collect());
        }
        Toml::InlineTable(table) => return Node::Table(entries(table, text)),
    })
}
