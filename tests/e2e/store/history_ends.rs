//! Shutdown of the real program with a history: failures with the last rows are logged.

use std::net::TcpListener;

use bankwatch::internals::simulator::{Dialect, Simulation};
use support::mariadb::{PASSWORD, USER};
use support::service::Service;
use support::sweeps::wait_for_sweeps;

#[test]
fn a_journal_that_fails_during_shutdown_is_logged() {
    let unused_port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let bank =
        Simulation::new(Dialect::PytesV5).batteries(2).cells(4).speed(300.0).unpaced().start().unwrap();
    let database = format!("url = \"mysql://{USER}@127.0.0.1:{unused_port}/kept\"\npassword = {PASSWORD:?}");
    let settings = "interval = \"100ms\"\nsummary_interval = \"0s\"";
    let mut service = Service::start_with_database(&bank.link(), settings, &database);
    wait_for_sweeps(&mut service, 5);
    bank.unplug();
    service.wait_for_log(&["link lost"]);
    // The unfinished minute is written at the end and finds no journal.
    std::fs::remove_file(service.folder().join("journal.db")).unwrap();
    let (ended, _, log) = service.stop_with("TERM");
    assert!(ended.success());
    let stopping = log.iter().position(|line| line.contains("service stopping")).unwrap();
    assert!(log[stopping..].iter().any(|line| line.contains("history lost rows=")), "{log:#?}");
}
