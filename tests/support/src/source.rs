//! Reads Rust source well enough to list its imports and types: separates code, tests, comments and literals, and keeps
//! line numbers.

use std::fs;
use std::ops::Range;
use std::path::PathBuf;

/// One file: its text in layers of equal length, so that a position is the same in each of them.
pub struct Source {
    /// Relative to the crate's root.
    pub path: PathBuf,
    pub text: String,
    /// The program's code; everything else is blank.
    pub code: String,
    /// The code of `#[cfg(test)]` items.
    pub tests: String,
    /// The program's literals.
    pub literals: String,
}

/// What a position in a text belongs to.
#[derive(Clone, Copy, PartialEq)]
enum Layer {
    Code,
    Comment,
    Literal,
}

/// A path to an item of the crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Where it begins, from 1.
    pub line: usize,
    /// Its names from the crate's root: `["model", "units", "Millivolts"]`.
    pub path: Vec<String>,
    /// The name under which a `pub use` offers the item.
    pub exported_as: Option<String>,
}

impl Import {
    /// The name at a position of its path; empty beyond its end.
    pub fn name(&self, index: usize) -> &str {
        self.path.get(index).map_or("", String::as_str)
    }
}

impl Source {
    /// Splits a text into its layers.
    pub fn new(path: impl Into<PathBuf>, text: &str) -> Self {
        let plain = only(text, Layer::Code);
        let literals = only(text, Layer::Literal);
        let (mut code, mut tests, mut program_literals) = (String::new(), String::new(), String::new());
        let mut end = 0;
        for item in test_items(&plain) {
            code.push_str(&plain[end..item.start]);
            code.push_str(&blank(&plain[item.clone()]));
            program_literals.push_str(&literals[end..item.start]);
            program_literals.push_str(&blank(&literals[item.clone()]));
            tests.push_str(&blank(&plain[end..item.start]));
            tests.push_str(&plain[item.clone()]);
            end = item.end;
        }
        code.push_str(&plain[end..]);
        program_literals.push_str(&literals[end..]);
        tests.push_str(&blank(&plain[end..]));
        Self { path: path.into(), text: text.to_owned(), code, tests, literals: program_literals }
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

    /// Every path in the code (not in its tests) that begins with `crate`, `super`, `self` or `bankwatch`, or with one
    /// of `children`, the modules of this file. Groups are expanded.
    pub fn imports(&self, children: &[String]) -> Vec<Import> {
        let mut imports = vec![];
        for (at, word) in words(&self.code) {
            let Some(rest) = self.code[at + word.len()..].strip_prefix("::") else { continue };
            let before = &self.code[..at];
            if before.ends_with("::") {
                continue; // followed from its first name
            }
            let (base, rest) = match word {
                "crate" | "bankwatch" => (vec![], rest),
                "self" => (self.module(), rest),
                "super" => climb(self.module(), rest),
                _ if children.iter().any(|child| child == word) => {
                    ([self.module(), vec![word.to_owned()]].concat(), rest)
                }
                _ => continue,
            };
            let line = before.matches('\n').count() + 1;
            let statement = before.rfind([';', '{', '}']).map_or(before, |end| &before[end + 1..]);
            let exports = statement.trim_start().starts_with("pub") && statement.trim_end().ends_with("use");
            for (tail, alias) in expand(rest) {
                let path = [base.clone(), tail].concat();
                if path.is_empty() {
                    continue; // `crate::*`
                }
                let exported_as = exports.then(|| alias.or(path.last().cloned()).unwrap_or_default());
                imports.push(Import { line, path, exported_as });
            }
        }
        imports
    }

    /// The types that the code (not its tests) defines at the level of items, with their lines.
    pub fn types(&self) -> Vec<(usize, &str)> {
        let code = self.code.as_str();
        let defines = |at: usize, keyword: &str| {
            let name = name_at(code[at + keyword.len()..].trim_start());
            let alias_of_item = keyword == "type" && is_in_impl_or_trait(&code[..at]);
            (!name.is_empty() && !alias_of_item).then(|| (code[..at].matches('\n').count() + 1, name))
        };
        let keyword = |(at, word): (usize, &str)| {
            let starts_line = code[..at]
                .rsplit('\n')
                .next()
                .is_some_and(|before| before.trim().is_empty() || before.trim_start().starts_with("pub"));
            let is_one = ["struct", "enum", "union", "trait", "type"].contains(&word);
            (is_one && starts_line).then(|| defines(at, word)).flatten()
        };
        words(code).filter_map(keyword).collect()
    }
}

/// Whether the innermost brace that is open at the end of `before` is that of an `impl` or a `trait`.
fn is_in_impl_or_trait(before: &str) -> bool {
    let mut depth = 0_usize;
    for (at, c) in before.char_indices().rev() {
        match c {
            '}' => depth += 1,
            '{' if depth == 0 => {
                let head = before[..at].rsplit([';', '{', '}']).next().unwrap_or("");
                return words(head).any(|(_, word)| word == "impl" || word == "trait");
            }
            '{' => depth -= 1,
            _ => {}
        }
    }
    false
}

/// Follows `super::super::` from a module upwards: the module reached, and the rest of the path.
fn climb(mut module: Vec<String>, mut rest: &str) -> (Vec<String>, &str) {
    module.pop();
    while let Some(above) = rest.strip_prefix("super::") {
        module.pop();
        rest = above;
    }
    (module, rest)
}

/// The names of each path that begins here, and its alias: `a::b` or `{a, b::{c, d}, e as f}`.
fn expand(rest: &str) -> Vec<(Vec<String>, Option<String>)> {
    let Some(group) = rest.strip_prefix('{') else {
        let first = name_at(rest);
        let behind = &rest[first.len()..];
        return match behind.strip_prefix("::") {
            Some(tail) if !first.is_empty() && tail.starts_with(|c: char| c == '{' || c.is_alphabetic()) => {
                let prepend =
                    |(names, alias): (Vec<String>, _)| ([vec![first.to_owned()], names].concat(), alias);
                expand(tail).into_iter().map(prepend).collect()
            }
            _ => {
                let alias = behind
                    .trim_start()
                    .strip_prefix("as ")
                    .map(|alias| name_at(alias.trim_start()).to_owned());
                // `{self, …}` is the module itself.
                let names = if first == "self" || first.is_empty() { vec![] } else { vec![first.to_owned()] };
                vec![(names, alias)]
            }
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
    parts.into_iter().filter(|part| !part.is_empty()).flat_map(expand).collect()
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

/// The text with everything outside this layer blanked; line ends stay.
fn only(text: &str, layer: Layer) -> String {
    let mut plain = String::with_capacity(text.len());
    let (mut rest, mut before) = (text, None);
    while !rest.is_empty() {
        let (length, found) = match literal_or_comment(rest, before) {
            (0, _) => (rest.chars().next().map_or(1, char::len_utf8), Layer::Code),
            other => other,
        };
        let (part, behind) = rest.split_at(length);
        if found == layer {
            plain.push_str(part);
        } else {
            plain.push_str(&blank(part));
        }
        before = if found == Layer::Code { part.chars().last() } else { Some(' ') };
        rest = behind;
    }
    plain
}

/// The length and kind of the comment or literal that begins here; length 0 if none does.
fn literal_or_comment(rest: &str, before: Option<char>) -> (usize, Layer) {
    let inside_name = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), Layer::Comment);
    }
    if rest.starts_with("/*") {
        return (block_comment(rest), Layer::Comment);
    }
    if rest.starts_with('"') {
        return (quoted(rest, '"'), Layer::Literal);
    }
    if rest.starts_with('r') && !inside_name {
        let hashes = rest[1..].bytes().take_while(|byte| *byte == b'#').count();
        if rest[1 + hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let body = 2 + hashes;
            let length = rest[body..].find(&end).map_or(rest.len(), |at| body + at + end.len());
            return (length, Layer::Literal);
        }
    }
    let mut characters = rest.chars();
    if characters.next() == Some('\'') {
        let (first, second) = (characters.next(), characters.next());
        // `'a` without a closing quote is a lifetime.
        if first == Some('\\') || second == Some('\'') {
            return (quoted(rest, '\''), Layer::Literal);
        }
    }
    (0, Layer::Code)
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

/// The ranges of the `#[cfg(test)]` items.
fn test_items(plain: &str) -> Vec<Range<usize>> {
    const MARK: &str = "#[cfg(test)]";
    let (mut items, mut end) = (Vec::new(), 0);
    while let Some(start) = plain[end..].find(MARK).map(|start| end + start) {
        end = start + MARK.len() + item(&plain[start + MARK.len()..]);
        items.push(start..end);
    }
    items
}

/// The length of an item: to its `;`, or to the brace that closes its first one.
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
