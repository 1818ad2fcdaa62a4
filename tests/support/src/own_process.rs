//! Tests that inspect a whole process (threads, descriptors, signals, standard error) and need one of their own.

use std::env;
use std::io::Write as _;
use std::process::Command;

/// Set in the process that runs one test alone.
const SINGLE_TEST_VARIABLE: &str = "BANKWATCH_TEST_ALONE";

/// Arguments that make this test program run one test alone.
///
/// `test` is the full path of the test: `concat!(module_path!(), "::its_name")`.
pub fn arguments(test: &str) -> [&str; 3] {
    // The harness omits the crate's name.
    let (_, name) = test.split_once("::").expect("a test's path begins with its crate");
    ["--exact", name, "--nocapture"]
}

/// A command that runs this test again in a process of its own.
pub fn rerun_command(test: &str) -> Command {
    let mut command = Command::new(env::current_exe().expect("the path of the running test"));
    command.args(arguments(test));
    command
}

/// Whether this process runs `test` alone. If not, runs it in a process of its own and panics if that fails; the
/// caller then returns.
pub fn is_alone(test: &str) -> bool {
    // cargo-nextest gives each test a process.
    if env::var_os(SINGLE_TEST_VARIABLE).is_some() || env::var_os("NEXTEST").is_some() {
        return true;
    }
    let output =
        rerun_command(test).env(SINGLE_TEST_VARIABLE, "1").output().expect("the test can be run again");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if err.contains("SKIPPED") {
        // Directly, since the harness hides what a passing test prints.
        let _written = write!(std::io::stderr(), "{err}");
    }
    assert!(
        output.status.success() && out.contains("1 passed"),
        "{test} failed in its own process:\n{out}{err}"
    );
    false
}
