//! The map of the crate, held against its source: who may know whom, and how long a file may grow.

use support::source::{Import, Source};

/// Each room of `src` and the rooms it may know. Itself it may always know, but for the rooms [`APART`].
const ROOMS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("trouble", &[]),
    ("file_mode", &[]),
    ("logging", &["file_mode"]),
    ("atomic_file", &["file_mode"]),
    ("status", &["model"]),
    ("stats", &["model"]),
    ("console", &["model"]),
    ("link", &["model", "console"]),
    ("settings", &["model"]),
    ("simulator", &["model"]),
    ("sweep", &["model", "console", "link", "trouble"]),
    ("messages", &["model", "console", "sweep", "trouble"]),
    ("supervise", &["model", "trouble", "logging"]),
    ("systemd", &["supervise"]),
    ("mqtt", &["model", "settings", "status", "trouble", "supervise"]),
    ("store", &["model", "settings", "trouble", "file_mode"]),
    ("events", &["model", "settings", "logging", "trouble", "atomic_file"]),
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
            "trouble",
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
            "trouble",
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
            "trouble",
            "logging",
            "status",
            "stats",
            "atomic_file",
            "actors",
            "app",
            "simulator",
        ],
    ),
    ("main", &["app", "cli", "settings", "logging"]),
    // The map itself: it names the rooms and uses none.
    ("lib", &[]),
];

/// Rooms whose files don't know one another: whom an actor feeds is handed to it.
const APART: &[&str] = &["actors"];

/// Lines past which a file owes the reason, on a line of its module's doc that begins with [`REASON`].
const LONG: usize = 400;
const REASON: &str = "//! Length:";

fn allowed(room: &str) -> Option<&'static [&'static str]> {
    ROOMS.iter().find(|(name, _)| *name == room).map(|(_, may)| *may)
}

/// What breaks the rule in one file, a sentence each.
fn breaches(source: &Source) -> Vec<String> {
    let (path, module) = (source.path.display(), source.module());
    let room = module[0].as_str();
    let Some(may) = allowed(room) else {
        return vec![format!(
            "{path}: the room `{room}` is not in the table; give it a row that says whom it may know"
        )];
    };
    let breach = |Import { line, names: (first, second) }: Import| {
        let own = first == room;
        let file_apart = APART.contains(&room) && module.get(1).is_some_and(|file| *file != second);
        if (own && !file_apart) || (!own && may.contains(&first.as_str())) {
            return None;
        }
        let found = if second.is_empty() { first } else { format!("{first}::{second}") };
        let may = if may.is_empty() { "nothing of ours".to_owned() } else { may.join(", ") };
        let apart = if file_apart { ", and its files do not know one another" } else { "" };
        Some(format!("{path}:{line}: found `{found}`, but `{room}` may know {may}{apart}"))
    };
    source.imports().into_iter().filter_map(breach).collect()
}

fn hold(broken: Vec<String>) {
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn rooms_import_only_what_the_map_allows() {
    hold(Source::all_below("src").iter().flat_map(breaches).collect());
}

#[test]
fn long_files_state_a_reason() {
    let long = |source: &Source| {
        let lines = source.text.lines().count();
        let reason = source
            .text
            .lines()
            .any(|line| line.strip_prefix(REASON).is_some_and(|why| !why.trim().is_empty()));
        (lines > LONG && !reason).then(|| {
            format!(
                "{}: {lines} lines; past {LONG} say why in a line `{REASON} …`, or part it",
                source.path.display()
            )
        })
    };
    hold(Source::all_below("src").iter().filter_map(long).collect());
}

#[test]
fn no_test_sleeps_for_a_fixed_time() {
    let naps = |source: &Source, layer: &str| -> Vec<String> {
        let nap = |(at, call): (usize, &str)| {
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
        layer.match_indices("sleep(").filter_map(nap).collect()
    };
    let tests = Source::all_below("tests");
    let beside_code = Source::all_below("src");
    let in_tests = tests
        .iter()
        .flat_map(|source| naps(source, &source.code).into_iter().chain(naps(source, &source.tests)));
    let in_code = beside_code.iter().flat_map(|source| naps(source, &source.tests));
    hold(in_tests.chain(in_code).collect());
}

/// The rule is only worth as much as the reader that finds the paths.
mod reader {
    use super::*;

    fn imports(path: &str, text: &str) -> Vec<(usize, String)> {
        let found = Source::new(path, text).imports();
        found.into_iter().map(|Import { line, names: (a, b) }| (line, format!("{a}::{b}"))).collect()
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
        assert_eq!(imports("src/main.rs", "use bankwatch::internals::cli;"), found(&[(1, "cli::")]));
        assert_eq!(imports("src/main.rs", "use other::bankwatch::internals::cli;"), []);
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

    #[test]
    fn violation_names_file_line_and_allowed_rooms() {
        let one = |path: &str, text: &str| breaches(&Source::new(path, text)).join("|");
        assert_eq!(
            one("src/sweep/plan.rs", "\nuse crate::actors::serial;"),
            "src/sweep/plan.rs:2: found `actors::serial`, but `sweep` may know model, console, link, trouble"
        );
        assert_eq!(
            one("src/model/units.rs", "use crate::link;"),
            "src/model/units.rs:1: found `link`, but `model` may know nothing of ours"
        );
        assert!(
            one("src/actors/db.rs", "use super::mqtt;").ends_with("and its files do not know one another")
        );
        assert_eq!(one("src/actors/db.rs", "use crate::actors::db::Inner;"), "");
        assert_eq!(one("src/actors/mod.rs", "pub use self::db::DbActor;"), "");
        assert!(one("src/attic.rs", "").contains("`attic` is not in the table"));
    }
}
