//! Reads the common structure of TOML and JSON: sections with keys and values, checked against the known settings.

use std::path::Path;

use figment::value::{Dict, Value};

use crate::settings::check::kind::Mismatch;
use crate::settings::check::problem::{Origin, ProblemKind, SettingsProblem};
use crate::settings::key::{BANK, FILE_SUFFIX, SettingPath};
use crate::settings::lookup;
use crate::settings::lookup::NamedSetting;
use crate::settings::sources::layer::Layer;

pub(crate) enum Node {
    Table(Vec<TableEntry>),
    List(Vec<Node>),
    Leaf(Value),
}

pub(crate) struct TableEntry {
    pub(crate) name: String,
    /// From 1; `None` if the format has no lines.
    pub(crate) line: Option<usize>,
    pub(crate) node: Node,
}

pub(crate) struct TreeWalker<'a> {
    /// For the origins.
    pub(crate) file: &'a Path,
    /// Relative names of secret files are resolved against it.
    pub(crate) folder: &'a Path,
    pub(crate) layer: Layer,
}

impl TreeWalker<'_> {
    pub(crate) fn root(&mut self, entries: Vec<TableEntry>) {
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

    fn banks(&mut self, entry: TableEntry) {
        let origin = self.origin(entry.line);
        let wrong = |found: &str| {
            let mismatch = Mismatch { expected: "[[bank]] in double brackets".into(), found: found.into() };
            SettingsProblem::new(&origin, BANK, ProblemKind::Mismatch(mismatch))
        };
        let Node::List(banks) = entry.node else {
            return self.layer.problems.push(wrong("[bank]"));
        };
        for (place, bank) in banks.into_iter().enumerate() {
            match bank {
                Node::Table(entries) if entries.is_empty() => {
                    // A bank without settings is still a bank: the default of its first key creates it.
                    let key = lookup::section(BANK).and_then(|keys| keys.first());
                    if let Some(key) = key {
                        let place = SettingPath { key, bank: Some(place + 1) };
                        self.layer.add_text(place, key.default, Origin::Default);
                    }
                }
                Node::Table(entries) => {
                    for entry in entries {
                        self.setting(BANK, Some(place + 1), entry);
                    }
                }
                Node::List(_) | Node::Leaf(_) => {
                    self.layer.problems.push(wrong("a value that is not a section"))
                }
            }
        }
    }

    fn section(&mut self, entry: TableEntry) {
        match entry.node {
            Node::Table(entries) => {
                for inner in entries {
                    self.setting(&entry.name, None, inner);
                }
            }
            Node::List(_) | Node::Leaf(_) => {
                let found = "something else".to_owned();
                let mismatch = Mismatch { expected: format!("a section [{}]", entry.name), found };
                let problem = SettingsProblem::new(
                    self.origin(entry.line),
                    entry.name,
                    ProblemKind::Mismatch(mismatch),
                );
                self.layer.problems.push(problem);
            }
        }
    }

    fn setting(&mut self, section: &str, bank: Option<usize>, entry: TableEntry) {
        let origin = self.origin(entry.line);
        match lookup::find(section, &entry.name) {
            Some(NamedSetting::Value(key)) => {
                self.layer.add_value(SettingPath { key, bank }, entry.node.into_value(), origin)
            }
            Some(NamedSetting::SecretFile(key)) => {
                let place = SettingPath { key, bank };
                if let Node::Leaf(Value::String(_, path)) = &entry.node {
                    return self.layer.add_secret_file(place, Path::new(path), self.folder, origin);
                }
                let found = "a value that is not a text".to_owned();
                let kind = ProblemKind::Mismatch(Mismatch { expected: "a path".into(), found });
                let name = format!("{place}{}", FILE_SUFFIX);
                self.layer.problems.push(SettingsProblem::new(origin, name, kind));
            }
            None => self.unknown(section, bank, &entry),
        }
    }

    fn unknown(&mut self, section: &str, bank: Option<usize>, entry: &TableEntry) {
        let name = match (section, bank) {
            ("", _) => entry.name.clone(),
            (_, Some(bank)) => format!("{section}.{bank}.{}", entry.name),
            (_, None) => format!("{section}.{}", entry.name),
        };
        let kind = ProblemKind::Unknown { nearest: lookup::nearest(section, &entry.name) };
        self.layer.problems.push(SettingsProblem::new(self.origin(entry.line), name, kind));
    }

    fn origin(&self, line: Option<usize>) -> Origin {
        Origin::File { path: self.file.to_owned(), line, option: None }
    }
}

impl Node {
    /// The value of a leaf; anything else becomes an empty value of its type, which no setting allows.
    fn into_value(self) -> Value {
        match self {
            Self::Leaf(value) => value,
            Self::Table(_) => Dict::new().into(),
            Self::List(_) => Vec::<Value>::new().into(),
        }
    }
}
