//! A permanent failure ends the process with status 70 and the reason, so that the service manager restarts it.

use std::time::Duration;

use bankwatch::internals::app::{AppConfig, Overrides};
use bankwatch::internals::cli::exit::Exit;
use bankwatch::internals::cli::run::serve;
use bankwatch::internals::settings::{Sources, load};
use bankwatch::internals::simulator::{Dialect, Simulation};
use bankwatch::internals::supervise::SupervisionPolicy;
use bankwatch::internals::sweep::client::ConsoleTimeouts;
use support::own_process;

#[test]
fn exhausted_panic_budget_exits_with_70_and_the_reason() {
    // It replaces the panic hook of the process.
    if !own_process::is_alone(concat!(
        module_path!(),
        "::exhausted_panic_budget_exits_with_70_and_the_reason"
    )) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let bank = Simulation::new(Dialect::PytesV5).speed(0.0).unpaced().start().unwrap();
    let overrides = [
        "bank.name=house".to_owned(),
        format!("bank.link={}", bank.link()),
        "bank.interval=100ms".to_owned(),
        "log.file=bankwatch.log".to_owned(),
    ];
    let current_dir = folder.path().to_owned();
    let sources = Sources { current_dir, overrides: overrides.into(), ..Sources::default() };
    let pause = Duration::from_millis(10);
    let overrides = Overrides {
        policy: SupervisionPolicy {
            initial_backoff: pause,
            max_backoff: pause,
            panic_budget: (2, pause * 10_000),
            ..SupervisionPolicy::default()
        },
        console_timeouts: ConsoleTimeouts { quiet: pause, ..ConsoleTimeouts::default() },
        assemble: |_| panic!("a bug in the \x1b[31mparser"),
        ..Overrides::default()
    };
    let settings = load(&sources).unwrap().settings;
    let plan = AppConfig { settings, config_file: "none".into(), show_table: false, overrides };

    let exit = serve(plan, &[], |_, _| {}).unwrap();
    assert_eq!((exit, exit.code()), (Exit::Unrecoverable, 70));
    let log = std::fs::read_to_string(folder.path().join("bankwatch.log")).unwrap();
    let with = |words: &str| -> Vec<_> { log.lines().filter(|line| line.contains(words)).collect() };
    assert_eq!(with("ERROR actor restarted actor=\"parser house\" reason=\"panicked: a bug in").len(), 2);
    assert_eq!(with("CRIT  actor failed actor=\"parser house\" reason=\"panicked: a bug in").len(), 1);
    let stopping = with("CRIT  service stopping");
    assert!(stopping[0].contains("reason=\"panicked: a bug in"), "{log}");
    assert!(stopping[0].ends_with("actor=\"parser house\" exit=70"), "{log}");
    // The panic itself is one line with its location, and terminal escapes in its message are escaped.
    let panics = with("ERROR panic thread=");
    assert_eq!(panics.len(), 3, "{log}");
    assert!(panics[0].contains("location=tests/e2e/service/exit_70.rs:"), "{log}");
    assert!(panics[0].ends_with(r#"reason="a bug in the \u{1b}[31mparser""#), "{log}");
}
