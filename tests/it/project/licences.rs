//! Every package we stand on has a licence that `deny.toml` allows, also where cargo-deny is not installed.

use std::process::Command;

use serde_json::Value;

/// The licences and exceptions of `deny.toml`.
struct Allowed {
    everywhere: Vec<String>,
    /// Package and licence.
    by_exception: Vec<(String, String)>,
}

fn strings(array: &toml_edit::Item) -> Vec<String> {
    let values = array.as_array().into_iter().flatten();
    values.filter_map(|value| value.as_str().map(str::to_owned)).collect()
}

fn allowed() -> Allowed {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deny.toml")).expect("deny.toml");
    let file: toml_edit::DocumentMut = text.parse().expect("deny.toml is TOML");
    let licences = &file["licenses"];
    let exceptions = licences.get("exceptions").and_then(toml_edit::Item::as_array).into_iter().flatten();
    let by_exception = exceptions.filter_map(toml_edit::Value::as_inline_table).flat_map(|entry| {
        let name = ["crate", "name"].iter().find_map(|key| entry.get(key)?.as_str()).unwrap_or("").to_owned();
        let allow = entry.get("allow").and_then(toml_edit::Value::as_array).into_iter().flatten();
        let allow = allow.filter_map(|value| value.as_str().map(str::to_owned)).collect::<Vec<_>>();
        allow.into_iter().map(move |licence| (name.clone(), licence))
    });
    Allowed { everywhere: strings(&licences["allow"]), by_exception: by_exception.collect() }
}

/// Whether an SPDX expression of names, `AND`, `OR` and brackets can be met; `/` is an old spelling of `OR`.
fn met(expression: &str, allowed: &impl Fn(&str) -> bool) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut tokens =
        spaced.split_whitespace().filter(|token| *token != "WITH" && !token.ends_with("-exception"));
    any(&mut tokens, allowed)
}

/// `a AND b OR c AND d`: one of the alternatives must be met whole.
fn any<'a>(tokens: &mut impl Iterator<Item = &'a str>, allowed: &impl Fn(&str) -> bool) -> bool {
    let (mut one, mut all) = (false, true);
    while let Some(token) = tokens.next() {
        match token {
            "(" => all &= any(tokens, allowed),
            ")" => break,
            "AND" => {}
            "OR" => one |= std::mem::replace(&mut all, true),
            licence => all &= allowed(licence),
        }
    }
    one || all
}

#[test]
fn every_dependency_has_a_licence_that_is_allowed() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // What is built here was fetched here; packages for other platforms may not have been.
    let rustc = Command::new("rustc").arg("-vV").output().expect("rustc answers").stdout;
    let rustc = String::from_utf8_lossy(&rustc).into_owned();
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
    let asked = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", host])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo answers");
    let metadata: Value = serde_json::from_slice(&asked.stdout).expect("cargo's answer is JSON");
    let allowed = allowed();
    let packages = metadata["packages"].as_array().expect("packages");
    assert!(packages.len() > 50, "cargo named {} packages", packages.len());
    let refused: Vec<String> = packages
        .iter()
        .map(|package| (package["name"].as_str().unwrap_or(""), package["license"].as_str().unwrap_or("")))
        .filter(|(name, licence)| {
            let mine = |licence: &str| {
                let excepted = (name.to_string(), licence.to_owned());
                allowed.everywhere.iter().any(|one| one == licence)
                    || allowed.by_exception.contains(&excepted)
            };
            licence.is_empty() || !met(licence, &mine)
        })
        .map(|(name, licence)| format!("{name}: {licence:?}"))
        .collect();
    assert!(refused.is_empty(), "deny.toml does not allow\n{}", refused.join("\n"));
}

#[test]
fn expressions_are_read_as_they_are_meant() {
    let mit = |licence: &str| licence == "MIT";
    for (expression, expected) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("Apache-2.0 OR MIT", true),
        ("Apache-2.0/MIT", true),
        ("MIT AND GPL-3.0", false),
        ("(Apache-2.0 OR MIT) AND Unicode-3.0", false),
        ("(Apache-2.0 OR MIT) AND MIT", true),
        ("GPL-3.0 OR MIT AND GPL-2.0", false),
    ] {
        assert_eq!(met(expression, &mit), expected, "{expression}");
    }
}
