//! `/data/options.json`: what is set in the panel of the Home Assistant app.

use std::path::Path;

use serde_json::Value as Json;

use crate::settings::check::problem::{Origin, Problem, Trouble};
use crate::settings::sources::layer::Layer;
use crate::settings::sources::text_file::{read_text, unreadable};
use crate::settings::sources::tree::{Entry, Node, Walk};

/// Reads the file, if there is one.
pub(crate) fn layer(file: &Path, folder: &Path) -> Layer {
    let problem = |trouble| Layer::broken(Problem::new(Origin::file(file), "", trouble));
    let text = match read_text(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Layer::default(),
        Err(error) => return problem(unreadable(file.to_owned(), &error)),
    };
    match serde_json::from_str(&text) {
        Ok(Json::Object(options)) => {
            let mut walk = Walk { file, folder, layer: Layer::default() };
            walk.root(entries(options));
            walk.layer
        }
        Ok(_) => problem(Trouble::Syntax("expected an object in braces".into())),
        Err(error) => problem(Trouble::Syntax(error.to_string())),
    }
}

/// An option that was left empty in the panel is null, or missing: both say nothing.
fn entries(object: serde_json::Map<String, Json>) -> Vec<Entry> {
    let said = object.into_iter().filter(|(_, value)| !value.is_null());
    said.map(|(name, value)| Entry { name, line: None, node: node(value) }).collect()
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
