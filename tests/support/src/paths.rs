//! Paths of the project and of the program under test.

use std::path::{Path, PathBuf};

/// The project's folder.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The program, which Cargo has built next to the folder of the running test or benchmark.
pub fn program() -> PathBuf {
    let running = std::env::current_exe().expect("the path of the running test");
    let folder = running.ancestors().nth(2).expect("a test is in target/<profile>/deps");
    let program = folder.join("bankwatch");
    assert!(program.is_file(), "{} is missing; build it with: cargo build", program.display());
    program
}

/// A folder for files that later runs can reuse.
pub fn scratch() -> PathBuf {
    let running = std::env::current_exe().expect("the path of the running test");
    let scratch = running.ancestors().nth(3).expect("a test is in target/<profile>/deps").join("tmp");
    std::fs::create_dir_all(&scratch).expect("a folder next to the build");
    scratch
}
