//! Reads `/data/options.json`, the options of the Home Assistant app.

use std::path::Path;

use serde_json::Value as Json;

use crate::settings::check::problem::{Origin, ProblemKind, SettingsProblem};
use crate::settings::sources::layer::Layer;
use crate::settings::sources::text_file::{read_text, unreadable};
use crate::settings::sources::tree::{Node, TableEntry, TreeWalker};

/// A missing file is an empty layer.
pub(crate) fn layer(file: &Path, folder: &Path) -> Layer {
    let problem = |kind| Layer::with_problem(SettingsProblem::new(Origin::file(file), "", kind));
    let text = match read_text(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Layer::default(),
        Err(error) => return problem(unreadable(file.to_owned(), &error)),
    };
    match serde_json::from_str(&text) {
        Ok(Json::Object(options)) => {
            let mut walk = TreeWalker { file, folder, layer: Layer::default() };
            walk.root(entries(options));
            walk.layer
        }
        Ok(_) => problem(ProblemKind::Syntax("expected an object in braces".into())),
        Err(error) => problem(ProblemKind::Syntax(error.to_string())),
    }
}

/// An option that is left empty in the Home Assistant UI is null or missing.
fn entries(object: serde_json::Map<String, Json>) -> Vec<TableEntry> {
    let set = object.into_iter().filter(|(_, value)| !value.is_null());
    set.map(|(name, value)| TableEntry { name, line: None, node: node(value) }).collect()
}

fn node(value: Json) -> Node {
    Node::Leaf(match value {
        Json::Object(object) => return Node::Table(entries(object)),
        Json::Array(values) => return Node::List(values.into_iter().map(node).collect()),
        Json::String(text) => text.into(),
        Json::Bool(flag) => flag.into(),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64().unwrap_or(f64::NAN).into(),
        },
        Json::Null => String::new().into(),
    })
}
