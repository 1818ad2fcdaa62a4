//! Reads Rust source well enough to say what it imports: comments and literals are blanked, code and its
//! tests kept apart, and every line stays on its line.

use std::fs;
use std::path::PathBuf;

/// One file: its text in two layers of equal length, so that a place in either is a place in the file.
pub struct Source {
    /// Relative to the crate's root.
    pub path: PathBuf,
    /// Lines in the file, whatever they hold.
    pub text: String,
    /// What the program is made of.
    pub code: String,
    /// What stands in `#[cfg(test)]` items.
    pub tests: String,
}

/// A path that starts at the crate's root, resolved.
#[derive(Debug, PartialEq, Eq)]
pub struct Import {
    /// Where it begins, from 1.
    pub line: usize,
    /// Its first two names, the second empty where there is none: `("model", "units")`.
    pub names: (String, String),
}

impl Source {
    /// Splits a text into its layers.
    pub fn new(path: impl Into<PathBuf>, text: &str) -> Self {
        let plain = blank_comments_and_literals(text);
        let (code, tests) = part_tests(&plain);
        Self { path: path.into(), text: text.to_owned(), code, tests }
    }

    /// All Rust files below a folder of the crate, in order of their names.
    pub fn all_below(folder: &str) -> Vec<Self> {
        let root = crate::paths::root();
        let (mut folders, mut sources) = (vec![root.join(folder)], vec![]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let text = fs::read_to_string(&path).unwrap();
                    sources.push(Self::new(path.strip_prefix(root).unwrap(), &text));
                }
            }
        }
        sources.sort_by(|a, b| a.path.cmp(&b.path));
        sources
    }

    /// The module this file is, from the crate's root: `src/console/frame.rs` is `["console", "frame"]`.
    pub fn module(&self) -> Vec<String> {
        let below = self.path.strip_prefix("src").unwrap().with_extension("");
        let mut names: Vec<String> = below.iter().map(|name| name.to_str().unwrap().to_owned()).collect();
        if names.last().is_some_and(|name| name == "mod") {
            names.pop();
        }
        names
    }

    /// Every `crate::…`, `super::…` and `bankwatch::…` of the code (not of its tests), groups taken apart.
    pub fn imports(&self) -> Vec<Import> {
        let mut imports = vec![];
        for (at, word) in words(&self.code) {
            let Some(rest) = self.code[at + word.len()..].strip_prefix("::") else { continue };
            let before = &self.code[..at];
            if before.ends_with("super::") {
                continue; // the chain was followed from its first `super`
            }
            let (base, rest) = match word {
                "crate" => (vec![], rest),
                "bankwatch" if !before.ends_with("::") => (vec![], rest),
                "super" => climb(self.module(), rest),
                _ => continue,
            };
            let line = before.matches('\n').count() + 1;
            for tail in heads(rest) {
                let mut names = base.iter().cloned().chain(tail);
                let names = (names.next().unwrap_or_default(), names.next().unwrap_or_default());
                imports.push(Import { line, names });
            }
        }
        imports
    }
}

/// Follows `super::super::` from a module upwards: the module reached, and what stands behind it.
fn climb(mut module: Vec<String>, mut rest: &str) -> (Vec<String>, &str) {
    module.pop();
    while let Some(above) = rest.strip_prefix("super::") {
        module.pop();
        rest = above;
    }
    (module, rest)
}

/// The first two names of each path that begins here: `a::b` or `{a, b::{c, d}, e as f}`.
fn heads(rest: &str) -> Vec<Vec<String>> {
    let Some(group) = rest.strip_prefix('{') else {
        let first = name_at(rest);
        let behind = rest[first.len()..].strip_prefix("::");
        return match behind.map(heads) {
            Some(seconds) if !first.is_empty() => {
                seconds.into_iter().map(|second| join(first, second)).collect()
            }
            _ => vec![join(first, vec![])],
        };
    };
    let (mut depth, mut start, mut parts) = (0_usize, 0, vec![]);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                parts.push(group[start..at].trim());
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    parts.into_iter().filter(|part| !part.is_empty()).flat_map(heads).collect()
}

fn join(first: &str, rest: Vec<String>) -> Vec<String> {
    std::iter::once(first.to_owned()).chain(rest).take(2).collect()
}

fn name_at(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// The words of a text with their places.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .map(|word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
}

/// Puts a blank for everything that is no code; line ends stay.
fn blank_comments_and_literals(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (length, code) = match literal_or_comment(rest, plain.chars().last()) {
            0 => (rest.chars().next().map_or(1, char::len_utf8), true),
            length => (length, false),
        };
        if code {
            plain.push_str(&rest[..length]);
        } else {
            plain.extend(rest[..length].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
        }
        rest = &rest[length..];
    }
    plain
}

/// How long the comment or literal is that begins here; 0 where none does.
fn literal_or_comment(rest: &str, before: Option<char>) -> usize {
    let inside_name = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    if rest.starts_with('"') {
        return quoted(rest, '"');
    }
    if rest.starts_with('r') && !inside_name {
        let hashes = rest[1..].bytes().take_while(|byte| *byte == b'#').count();
        if rest[1 + hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let body = 2 + hashes;
            return rest[body..].find(&end).map_or(rest.len(), |at| body + at + end.len());
        }
    }
    let mut characters = rest.chars();
    if characters.next() == Some('\'') {
        let (first, second) = (characters.next(), characters.next());
        // `'a` without a closing quote is a lifetime.
        if first == Some('\\') || second == Some('\'') {
            return quoted(rest, '\'');
        }
    }
    0
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Parts the `#[cfg(test)]` items from the rest; what belongs to the other layer is blank.
fn part_tests(plain: &str) -> (String, String) {
    const MARK: &str = "#[cfg(test)]";
    let (mut code, mut tests, mut rest) = (String::new(), String::new(), plain);
    while let Some(start) = rest.find(MARK) {
        let end = start + MARK.len() + item(&rest[start + MARK.len()..]);
        code.push_str(&rest[..start]);
        code.push_str(&blank(&rest[start..end]));
        tests.push_str(&blank(&rest[..start]));
        tests.push_str(&rest[start..end]);
        rest = &rest[end..];
    }
    code.push_str(rest);
    tests.push_str(&blank(rest));
    (code, tests)
}

/// How long the item is: to its `;`, or to the brace that closes its first one.
fn item(rest: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in rest.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn blank(text: &str) -> String {
    text.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect()
}
