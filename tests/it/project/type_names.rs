//! A type's name means one thing in the whole crate, private types included.

use std::collections::BTreeMap;

use support::source::Source;

/// Names that may be defined more than once, and why no better ones exist.
const SHARED: &[(&str, &str)] = &[];

/// The names that these files define more than once, with each place.
fn duplicates(sources: &[Source]) -> BTreeMap<&str, Vec<String>> {
    let mut places: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for source in sources {
        // Unit tests in a file of their own.
        if source.module().iter().any(|name| name == "tests") {
            continue;
        }
        for (line, name) in source.types() {
            places.entry(name).or_default().push(format!("{}:{line}", source.path.display()));
        }
    }
    places.retain(|_, places| places.len() > 1);
    places
}

#[test]
fn every_type_name_is_defined_once() {
    let sources = Source::all_below("src");
    let mut duplicates = duplicates(&sources);
    for (name, _) in SHARED {
        assert!(duplicates.remove(name).is_some(), "{name} is defined once; take it off the list");
    }
    let lines: Vec<String> =
        duplicates.iter().map(|(name, places)| format!("{name}: {}", places.join(", "))).collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}

#[test]
fn types_are_found_and_associated_types_are_not() {
    let text = "pub(crate) struct A<T>(T);\nenum B {\n    X { a: u8 },\n}\ntype C = u8;\n\
                impl Iterator for A<u8> {\n    type Item = u8;\n    fn next(&mut self) {}\n}\n\
                trait D {\n    type Out;\n}\nmod inner {\n    pub union E {\n        x: u8,\n    }\n}\n\
                // struct F;\nconst G: &str = \"struct G;\";\n#[cfg(test)]\nmod tests {\n    struct H;\n}\n";
    let found: Vec<(usize, String)> = Source::new("src/x.rs", text)
        .types()
        .into_iter()
        .map(|(line, name)| (line, name.to_owned()))
        .collect();
    let expected = [(1, "A"), (2, "B"), (5, "C"), (10, "D"), (14, "E")];
    assert_eq!(found, expected.map(|(line, name)| (line, name.to_owned())));
}
