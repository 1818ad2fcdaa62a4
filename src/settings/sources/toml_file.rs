//! `bankwatch.toml`: TOML with the line of every name.

use std::path::Path;

use figment::value::Value;
use toml_edit::{Document, Item, TableLike, Value as Toml};

use crate::settings::check::problem::{Origin, Problem, Trouble};
use crate::settings::sources::layer::Layer;
use crate::settings::sources::tree::{Entry, Node, Walk};

/// Reads the text of a file.
pub(crate) fn layer(file: &Path, folder: &Path, text: &str) -> Layer {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let document = match Document::parse(text) {
        Ok(document) => document,
        Err(error) => return Layer::broken(syntax_problem(file, text, &error)),
    };
    let mut walk = Walk { file, folder, layer: Layer::default() };
    walk.root(entries(document.as_table(), text));
    walk.layer
}

/// The parser's sentence with line and column, but without the line itself: it may hold a secret.
fn syntax_problem(file: &Path, text: &str, error: &toml_edit::TomlError) -> Problem {
    let message = error.message().trim().replace('\n', ", ");
    match error.span() {
        Some(span) => {
            let before = text.get(..span.start).unwrap_or(text);
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            let origin = format!("{}:{column}", Origin::line(file, line_at(text, span.start)));
            Problem::new(origin, "", Trouble::Syntax(message))
        }
        None => Problem::new(Origin::file(file), "", Trouble::Syntax(message)),
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

fn entries(table: &dyn TableLike, text: &str) -> Vec<Entry> {
    let entry = |(name, item): (&str, &Item)| Entry {
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
        // No setting is a date or a single character, so the one stands for the other in messages.
        Toml::Datetime(_) => Value::from(' '),
        Toml::Array(values) => {
            return Node::List(values.iter().map(|value| value_node(value, text)).collect());
        }
        Toml::InlineTable(table) => return Node::Table(entries(table, text)),
    })
}
