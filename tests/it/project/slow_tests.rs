//! `tests/slow.txt` names tests that exist.

use support::source::Source;

#[test]
fn every_slow_test_that_is_listed_exists() {
    let tests: String = Source::all_below("tests/it").into_iter().map(|source| source.code).collect();
    let list = std::fs::read_to_string(support::paths::root().join("tests/slow.txt")).unwrap();
    let missing: Vec<&str> = list.lines().filter(|name| !tests.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
