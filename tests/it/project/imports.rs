//! Checks the source against the crate's map: which room imports which, no circles, and how long a file may be.

use support::module_graph::ModuleGraph;
use support::source::{Import, Source};

/// Each room of `src` and the rooms that it may import. Files of one room may import each other, except in the rooms
/// of [`SEPARATE_FILES`].
const ROOMS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("outage", &[]),
    ("file_mode", &[]),
    ("logging", &["file_mode"]),
    ("atomic_file", &["file_mode"]),
    ("status", &["model"]),
    ("stats", &["model"]),
    ("console", &["model"]),
    ("link", &["model", "console"]),
    ("settings", &["model"]),
    ("simulator", &["model"]),
    ("sweep", &["model", "console", "link", "outage"]),
    ("messages", &["model", "console", "sweep", "outage"]),
    ("supervise", &["model", "outage", "logging"]),
    ("systemd", &["supervise"]),
    ("mqtt", &["model", "settings", "status", "outage", "supervise"]),
    ("store", &["model", "settings", "outage", "file_mode"]),
    ("events", &["model", "settings", "logging", "outage", "atomic_file"]),
    ("web", &["model", "settings"]),
    (
        "actors",
        &[
            "model",
            "console",
            "link",
            "settings",
            "sweep",
            "messages",
            "events",
            "supervise",
            "systemd",
            "mqtt",
            "store",
            "web",
            "outage",
            "logging",
            "status",
            "stats",
            "atomic_file",
        ],
    ),
    (
        "app",
        &[
            "model",
            "console",
            "link",
            "settings",
            "sweep",
            "messages",
            "events",
            "supervise",
            "systemd",
            "mqtt",
            "store",
            "web",
            "outage",
            "logging",
            "status",
            "stats",
            "atomic_file",
            "actors",
        ],
    ),
    (
        "cli",
        &[
            "model",
            "console",
            "link",
            "settings",
            "sweep",
            "messages",
            "events",
            "supervise",
            "mqtt",
            "store",
            "web",
            "outage",
            "logging",
            "status",
            "stats",
            "atomic_file",
            "actors",
            "app",
            "simulator",
        ],
    ),
    ("main", &["run"]),
    // Declares the rooms and imports none.
    ("lib", &[]),
];

/// Modules with files that do not import each other: an actor is given its recipients.
const SEPARATE_FILES: &[&str] = &["actors"];

/// A longer file states the reason on a line of its module's doc that begins with [`REASON`].
const MAX_LINES: usize = 400;
const REASON: &str = "//! Length:";

fn allowed(room: &str) -> Option<&'static [&'static str]> {
    ROOMS.iter().find(|(name, _)| *name == room).map(|(_, may)| *may)
}

/// The imports of one file that the map does not allow.
fn violations(source: &Source) -> Vec<String> {
    let (path, module) = (source.path.display(), source.module());
    let room = module[0].as_str();
    let Some(may) = allowed(room) else {
        return vec![format!(
            "{path}: the room `{room}` is not in the table; add a row with the rooms that it may import"
        )];
    };
    let violation = |import: Import| {
        let (line, first, second) = (import.line, import.name(0), import.name(1));
        let own = first == room;
        let separate = SEPARATE_FILES.contains(&room) && module.get(1).is_some_and(|file| file != second);
        if (own && !separate) || (!own && may.contains(&first)) {
            return None;
        }
        let found = if second.is_empty() { first.to_owned() } else { format!("{first}::{second}") };
        let may = if may.is_empty() { "no room".to_owned() } else { may.join(", ") };
        let apart = if separate { ", and its files do not import each other" } else { "" };
        Some(format!("{path}:{line}: found `{found}`, but `{room}` may import {may}{apart}"))
    };
    source.imports(&[]).into_iter().filter_map(violation).collect()
}

#[track_caller]
fn assert_none(broken: Vec<String>) {
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn rooms_import_only_what_the_map_allows() {
    assert_none(Source::all_below("src").iter().flat_map(violations).collect());
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    assert_none(ModuleGraph::of(&Source::all_below("src")).circles());
}

#[test]
fn long_files_state_a_reason() {
    let long = |source: &Source| {
        let lines = source.text.lines().count();
        let reason = source
            .text
            .lines()
            .any(|line| line.strip_prefix(REASON).is_some_and(|why| !why.trim().is_empty()));
        (lines > MAX_LINES && !reason).then(|| {
            format!(
                "{}: {lines} lines; past {MAX_LINES} state the reason in a line `{REASON} …`, or split it",
                source.path.display()
            )
        })
    };
    assert_none(Source::all_below("src").iter().filter_map(long).collect());
}

#[test]
fn no_test_sleeps_for_a_fixed_time() {
    let sleeps = |source: &Source, layer: &str| -> Vec<String> {
        let sleep = |(at, call): (usize, &str)| {
            let argument = layer[at + call.len()..].trim_start();
            let argument = ["::", "std::", "core::", "time::"]
                .iter()
                .fold(argument, |rest, prefix| rest.strip_prefix(prefix).unwrap_or(rest));
            let line = layer[..at].matches('\n').count() + 1;
            argument.starts_with("Duration::from_").then(|| {
                format!(
                    "{}:{line}: wait for a condition, with a deadline, not for a fixed time",
                    source.path.display()
                )
            })
        };
        layer.match_indices("sleep(").filter_map(sleep).collect()
    };
    let tests = Source::all_below("tests");
    let unit_tests = Source::all_below("src");
    let in_tests = tests
        .iter()
        .flat_map(|source| sleeps(source, &source.code).into_iter().chain(sleeps(source, &source.tests)));
    let in_code = unit_tests.iter().flat_map(|source| sleeps(source, &source.tests));
    assert_none(in_tests.chain(in_code).collect());
}

/// The checks depend on the reader that finds the paths.
mod reader {
    use super::*;

    fn imports(path: &str, text: &str) -> Vec<(usize, String)> {
        let found = Source::new(path, text).imports(&[]);
        found.iter().map(|import| (import.line, format!("{}::{}", import.name(0), import.name(1)))).collect()
    }

    fn found(pairs: &[(usize, &str)]) -> Vec<(usize, String)> {
        pairs.iter().map(|(line, path)| (*line, (*path).to_owned())).collect()
    }

    #[test]
    fn imports_are_found_in_groups_and_inline_paths() {
        let text = "use crate::model::units::Millivolts;\n\
                    use crate::{console::{frame, table}, link as way};\n\
                    fn f() { let _ = crate::app::start::<crate::cli::Verb>(); }\n";
        assert_eq!(
            imports("src/x.rs", text),
            found(&[
                (1, "model::units"),
                (2, "console::frame"),
                (2, "console::table"),
                (2, "link::"),
                (3, "app::start"),
                (3, "cli::Verb"),
            ])
        );
    }

    #[test]
    fn super_is_resolved() {
        assert_eq!(imports("src/actors/serial.rs", "use super::parser::X;"), found(&[(1, "actors::parser")]));
        assert_eq!(imports("src/actors/serial.rs", "use super::super::app::X;"), found(&[(1, "app::X")]));
        assert_eq!(
            imports("src/actors/mod.rs", "use super::{app, cli};"),
            found(&[(1, "app::"), (1, "cli::")])
        );
    }

    #[test]
    fn crate_name_is_resolved_in_main() {
        assert_eq!(imports("src/main.rs", "use bankwatch::cli;"), found(&[(1, "cli::")]));
        assert_eq!(imports("src/main.rs", "use other::bankwatch::cli;"), []);
    }

    #[test]
    fn tests_comments_and_literals_are_ignored() {
        let text = "// crate::app::a\n/* crate::app /* nested */ crate::app */\n\
                    const T: &str = \"crate::app \\\" crate::app\";\nconst R: &str = r#\"crate::\"app\"#;\n\
                    fn f<'a>(_: &'a str) -> [char; 2] { ['\"', '\\''] }\n\
                    #[cfg(test)]\nuse crate::app::X;\n\
                    #[cfg(test)]\nmod tests { fn g() { crate::app::x(\"}\"); } }\n\
                    use crate::model::Y;\n";
        assert_eq!(imports("src/x.rs", text), found(&[(10, "model::Y")]));
    }

    fn circles(files: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<Source> = files.iter().map(|(path, text)| Source::new(*path, text)).collect();
        ModuleGraph::of(&sources).circles()
    }

    #[test]
    fn circles_are_found_through_re_exports_and_bare_names() {
        let files = [
            ("src/lib.rs", "pub mod a;\nmod b;\n"),
            ("src/a/mod.rs", "mod c;\npub use self::c::{C as Offered, d};\npub struct Own;\n"),
            ("src/a/c.rs", "use super::Own;\n\nfn f() { crate::b::g(); }\n"),
            ("src/b.rs", "\nuse crate::a::Offered;\n"),
        ];
        let expected = "src/a/c.rs:3 imports src/b.rs, src/b.rs:2 imports src/a/c.rs";
        assert_eq!(circles(&files), [expected]);
        let folder =
            [("src/a/mod.rs", "mod c;\nfn f() { c::g(); }\n"), files[2], ("src/b.rs", "use crate::a;")];
        assert_eq!(
            circles(&folder),
            [
                "src/a/c.rs:3 imports src/b.rs, src/b.rs:1 imports src/a/mod.rs, src/a/mod.rs:2 imports src/a/c.rs"
            ]
        );
        // Offering a name is not an import, and a folder may share through its `mod.rs`.
        assert_eq!(circles(&[files[1], ("src/a/c.rs", "use super::Own;\n")]), Vec::<String>::new());
        assert_eq!(circles(&[folder[0], ("src/a/c.rs", "use super::Own;\n")]), Vec::<String>::new());
    }

    #[test]
    fn violation_names_file_line_and_allowed_rooms() {
        let one = |path: &str, text: &str| violations(&Source::new(path, text)).join("|");
        assert_eq!(
            one("src/sweep/plan.rs", "\nuse crate::actors::serial;"),
            "src/sweep/plan.rs:2: found `actors::serial`, but `sweep` may import model, console, link, outage"
        );
        assert_eq!(
            one("src/model/units.rs", "use crate::link;"),
            "src/model/units.rs:1: found `link`, but `model` may import no room"
        );
        assert!(
            one("src/actors/db.rs", "use super::mqtt;").ends_with("and its files do not import each other")
        );
        assert_eq!(one("src/actors/db.rs", "use crate::actors::db::Inner;"), "");
        assert_eq!(one("src/actors/mod.rs", "pub use self::db::DbActor;"), "");
        assert!(one("src/attic.rs", "").contains("`attic` is not in the table"));
    }
}
