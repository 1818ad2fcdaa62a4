//! What a person reads is plain English: none of the words of the old dialect, and no prose line beyond 120 columns.
//!
//! Read are the string literals of the program and the help texts of its commands, the documentation, the README, the
//! newest section of the changelog and the settings files that are shipped.

use std::fs;
use std::path::{Path, PathBuf};

use support::paths::root;
use support::source::Source;

/// Words and phrases that no text for a person holds. `*` stands for one word.
const BANNED: &[&str] = &[
    "predecessor",
    "anew",
    "afresh",
    "beside",
    "but for",
    "of no use",
    "in vain",
    "unsaid",
    "whereof",
    "greet",
    "greets",
    "greeted",
    "greeting",
    "farewell",
    "errand",
    "stranger",
    "strangers",
    "the rest of the house",
    "says",
    "said",
    "tells",
    "told",
    "hear",
    "hears",
    "heard",
    "stands",
    "begun",
    "of its own accord",
    "gone by",
    "leave is taken",
    "is no *",
    "are no *",
];

/// Phrases that hold a banned word and are plain English all the same.
const ALLOWED: &[&str] = &[
    "there is no",
    "there are no",
    "is no longer",
    "are no longer",
    "is no more than",
    "is no less than",
    "is no larger than",
    "be told from",
    "are said to be",
    "stands for",
];

/// Exact lines that may stay, since they quote an old message or use a word in another sense.
const LINES: &[&str] = &[
    "- `ledger corrupt, moved aside; counters restart at zero` replaces `ledger set aside, counters begin anew`. The key",
    "`ledger corrupt, moved aside; counters restart at zero` replaces `ledger set aside, counters begin anew`. The key",
];

/// The longest line of prose.
const COLUMNS: usize = 120;

/// A line that a person reads.
struct Text {
    path: PathBuf,
    line: usize,
    text: String,
}

fn words(text: &str) -> Vec<String> {
    let word = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric() && c != '_').to_lowercase();
    text.split(|c: char| c.is_whitespace() || "/()[]{}<>=:;,–".contains(c))
        .map(word)
        .filter(|word| !word.is_empty())
        .collect()
}

fn matches(words: &[String], phrase: &str) -> bool {
    let phrase: Vec<&str> = phrase.split(' ').collect();
    words.len() >= phrase.len()
        && phrase.iter().zip(words).all(|(expected, word)| *expected == "*" || expected == word)
}

/// The banned phrases in a line.
fn banned(text: &str) -> Vec<&'static str> {
    let words = words(text);
    let is_allowed = |at: usize, length: usize| {
        ALLOWED.iter().any(|allowed| {
            let size = allowed.split(' ').count();
            // The allowed phrase begins at most with its whole length before and covers the first word of the banned
            // one.
            (at.saturating_sub(size - 1)..=at)
                .any(|start| matches(&words[start..], allowed) && start + size > at + length.min(2) - 1)
        })
    };
    let found = |phrase: &&&'static str| {
        let length = phrase.split(' ').count();
        (0..words.len()).any(|at| matches(&words[at..], phrase) && !is_allowed(at, length))
    };
    BANNED.iter().filter(found).copied().collect()
}

fn lines_of(path: &Path, text: &str) -> Vec<Text> {
    let path = path.strip_prefix(root()).unwrap_or(path);
    let line =
        |(index, text): (usize, &str)| Text { path: path.to_owned(), line: index + 1, text: text.to_owned() };
    text.lines().enumerate().map(line).collect()
}

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Lines outside of code blocks.
fn prose(lines: Vec<Text>) -> Vec<Text> {
    let mut in_block = false;
    let outside = |line: &Text| {
        let fence = line.text.trim_start().trim_start_matches(['/', '!']).trim_start().starts_with("```");
        in_block ^= fence;
        !in_block && !fence
    };
    lines
        .into_iter()
        .filter({
            let mut outside = outside;
            move |line| outside(line)
        })
        .collect()
}

fn documentation() -> Vec<Text> {
    let mut pages = files("docs", "md");
    pages.push(root().join("README.md"));
    let mut lines: Vec<Text> =
        pages.iter().flat_map(|path| prose(lines_of(path, &fs::read_to_string(path).unwrap()))).collect();
    // Older sections describe what was.
    let path = root().join("CHANGELOG.md");
    let changelog = prose(lines_of(&path, &fs::read_to_string(&path).unwrap()));
    let sections = |line: &Text| line.text.starts_with("## ");
    let second =
        changelog.iter().enumerate().filter(|(_, line)| sections(line)).nth(1).map(|(index, _)| index);
    let newest = second.unwrap_or(changelog.len());
    lines.extend(changelog.into_iter().take(newest));
    let settings = files("config", "toml").into_iter().chain(files("deploy", "toml"));
    lines.extend(settings.flat_map(|path| lines_of(&path, &fs::read_to_string(&path).unwrap())));
    lines
}

/// String literals of the program, and the doc comments of its commands, which are their help texts.
fn program() -> Vec<Text> {
    let mut found = Vec::new();
    for source in Source::all_below("src") {
        if source.module().iter().any(|name| name == "tests") {
            continue;
        }
        let is_command = source.path.starts_with("src/cli");
        for (index, line) in source.literals.lines().enumerate() {
            found.push(Text { path: source.path.clone(), line: index + 1, text: line.to_owned() });
        }
        for line in lines_of(&source.path, &source.text) {
            if is_command && line.text.trim_start().starts_with("///") {
                found.push(line);
            }
        }
    }
    found
}

#[test]
fn texts_hold_no_banned_words() {
    let mut found = Vec::new();
    for Text { path, line, text } in documentation().into_iter().chain(program()) {
        let words = banned(&text);
        if !words.is_empty() && !LINES.contains(&text.trim()) {
            found.push(format!("{}:{line}: {}: {}", path.display(), words.join(", "), text.trim()));
        }
    }
    assert!(found.is_empty(), "{} lines\n{}\n", found.len(), found.join("\n"));
}

#[test]
fn no_prose_line_is_longer_than_120_columns() {
    let is_table_or_link = |text: &str| {
        let text = text.trim_start();
        text.starts_with('|')
            || (text.starts_with('[') && text.contains("]: "))
            || text.starts_with("![")
            || (text.starts_with('`') && text.ends_with('`'))
    };
    let comments =
        ["src", "tests", "benches"].map(Source::all_below).into_iter().flatten().flat_map(|source| {
            let lines = lines_of(&source.path, &source.text);
            prose(lines)
                .into_iter()
                .filter(|line| line.text.trim_start().starts_with("//"))
                .collect::<Vec<_>>()
        });
    let long = |line: &Text| line.text.chars().count() > COLUMNS && !is_table_or_link(&line.text);
    let found: Vec<String> = documentation()
        .into_iter()
        .chain(comments)
        .filter(long)
        .map(|line| format!("{}:{}: {} columns", line.path.display(), line.line, line.text.chars().count()))
        .collect();
    assert!(found.is_empty(), "{} lines\n{}\n", found.len(), found.join("\n"));
}

#[test]
fn banned_words_are_found_and_plain_english_is_not() {
    for (text, expected) in [
        ("the broker said so", &["said"][..]),
        ("/dev/null is no serial port", &["is no *"]),
        ("there is no history at X", &[]),
        ("the port is no longer there", &[]),
        ("all but for one", &["but for"]),
        ("{bank} stands for its name; it stands", &["stands"]),
        ("bank_standing_events.json", &[]),
    ] {
        assert_eq!(banned(text), expected, "{text}");
    }
}
