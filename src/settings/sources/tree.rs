//! What TOML and JSON have in common: sections of names and values, walked against the table of keys.

use std::path::Path;

use figment::value::{Dict, Value};

use crate::settings::check::kind::Mismatch;
use crate::settings::check::problem::{Origin, Problem, Trouble};
use crate::settings::key::{BANK, FILE_SUFFIX, Place};
use crate::settings::lookup;
use crate::settings::lookup::Named;
use crate::settings::sources::layer::Layer;

/// A part of a structured file.
pub(crate) enum Node {
    Table(Vec<Entry>),
    List(Vec<Node>),
    Leaf(Value),
}

/// A name and what stands behind it.
pub(crate) struct Entry {
    pub(crate) name: String,
    /// From 1, where the format tells.
    pub(crate) line: Option<usize>,
    pub(crate) node: Node,
}

/// Walks a file.
pub(crate) struct Walk<'a> {
    /// The file's name, for origins.
    pub(crate) file: &'a Path,
    /// Where relative names of secret files begin.
    pub(crate) folder: &'a Path,
    /// What was found so far.
    pub(crate) layer: Layer,
}

impl Walk<'_> {
    /// Takes the whole file.
    pub(crate) fn root(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            if lookup::find("", &entry.name).is_some() {
                self.setting("", None, entry);
            } else if entry.name == BANK {
                self.banks(entry);
            } else if lookup::section(&entry.name).is_some() {
                self.section(entry);
            } else {
                self.unknown("", None, &entry);
            }
        }
    }

    fn banks(&mut self, entry: Entry) {
        let origin = self.origin(entry.line);
        let wrong = |found: &str| {
            let mismatch = Mismatch { expected: "[[bank]], in double brackets".into(), found: found.into() };
            Problem::new(&origin, BANK, Trouble::Mismatch(mismatch))
        };
        let Node::List(banks) = entry.node else {
            return self.layer.problems.push(wrong("a single one"));
        };
        for (place, bank) in banks.into_iter().enumerate() {
            match bank {
                Node::Table(entries) if entries.is_empty() => {
                    // A bank of which nothing is said is still a bank: the first row's default says so.
                    let key = lookup::section(BANK).and_then(|keys| keys.first());
                    if let Some(key) = key {
                        let place = Place { key, bank: Some(place + 1) };
                        self.layer.text(place, key.default, Origin::Default);
                    }
                }
                Node::Table(entries) => {
                    for entry in entries {
                        self.setting(BANK, Some(place + 1), entry);
                    }
                }
                Node::List(_) | Node::Leaf(_) => {
                    self.layer.problems.push(wrong("a value that is no section"))
                }
            }
        }
    }

    fn section(&mut self, entry: Entry) {
        match entry.node {
            Node::Table(entries) => {
                for inner in entries {
                    self.setting(&entry.name, None, inner);
                }
            }
            Node::List(_) | Node::Leaf(_) => {
                let found = "something else".to_owned();
                let mismatch = Mismatch { expected: format!("a section [{}]", entry.name), found };
                let problem = Problem::new(self.origin(entry.line), entry.name, Trouble::Mismatch(mismatch));
                self.layer.problems.push(problem);
            }
        }
    }

    fn setting(&mut self, section: &str, bank: Option<usize>, entry: Entry) {
        let origin = self.origin(entry.line);
        match lookup::find(section, &entry.name) {
            Some(Named::Value(key)) => self.layer.value(Place { key, bank }, entry.node.into_value(), origin),
            Some(Named::SecretFile(key)) => {
                let place = Place { key, bank };
                if let Node::Leaf(Value::String(_, path)) = &entry.node {
                    return self.layer.secret_file(place, Path::new(path), self.folder, origin);
                }
                let found = "a value that is no text".to_owned();
                let trouble = Trouble::Mismatch(Mismatch { expected: "a path".into(), found });
                let name = format!("{place}{}", FILE_SUFFIX);
                self.layer.problems.push(Problem::new(origin, name, trouble));
            }
            None => self.unknown(section, bank, &entry),
        }
    }

    fn unknown(&mut self, section: &str, bank: Option<usize>, entry: &Entry) {
        let name = match (section, bank) {
            ("", _) => entry.name.clone(),
            (_, Some(bank)) => format!("{section}.{bank}.{}", entry.name),
            (_, None) => format!("{section}.{}", entry.name),
        };
        let trouble = Trouble::Unknown { nearest: lookup::nearest(section, &entry.name) };
        self.layer.problems.push(Problem::new(self.origin(entry.line), name, trouble));
    }

    fn origin(&self, line: Option<usize>) -> Origin {
        Origin::File { path: self.file.to_owned(), line, option: None }
    }
}

impl Node {
    /// The value of a leaf; of anything else only its type, which fits no setting.
    fn into_value(self) -> Value {
        match self {
            Self::Leaf(value) => value,
            Self::Table(_) => Dict::new().into(),
            Self::List(_) => Vec::<Value>::new().into(),
        }
    }
}
