//! The real program while its broker fails: each failure is logged once, does not affect the rest, and ends within
//! seconds of the broker's return, with all topics published again.

use std::process::Command;
use std::time::Instant;

use bankwatch::internals::settings::MqttSettings;
use support::broker::{Broker, Setup, settings};
use support::certificates::{Authority, SignedCertificate};
use support::mqtt_service::{
    INTERVAL, RETAINED, bank, retained_at, service, wait_for_state, wait_until_retained,
};
use support::proxy::Proxy;
use support::service::{LONG, Service};
use support::sweeps::{SweepWatch, wait_for_sweeps};
use support::until::until;

const DAY: i64 = 86_400;

/// Asserts that all topics are retained again after the broker returned at `since`, and that sweeps continued
/// meanwhile.
async fn assert_recovers(
    what: &str,
    service: &mut Service,
    settings: &MqttSettings,
    since: Instant,
    meanwhile: SweepWatch,
) {
    // The deadline is that of `wait_for_state`; the actual time depends on the load of the machine and is printed.
    let took = wait_for_state(settings).await.duration_since(since);
    println!("{what}: state {:.2} s after the broker's return", took.as_secs_f64());
    wait_until_retained(settings).await;
    meanwhile.assert_regular(service);
}

/// Log lines about the output without times; asserts that none is repeated.
fn output_log(service: &Service) -> Vec<String> {
    let output_line =
        |line: String| Some(line[line.find(" output ")? + 1..].split(" outage=").next()?.to_owned());
    let lines: Vec<String> = service.log().into_iter().filter_map(output_line).collect();
    for (at, line) in lines.iter().enumerate() {
        assert!(!lines[..at].contains(line), "logged twice: {lines:#?}");
    }
    lines
}

/// Asserts that each line of [`output_log`] contains the expected words.
fn assert_output_log(service: &Service, expected: &[&str]) {
    service.wait_for_log(&[expected.last().expect("a line")]);
    let logged = output_log(service);
    assert_eq!(logged.len(), expected.len(), "{logged:#?}");
    for (line, words) in logged.iter().zip(expected) {
        assert!(line.contains(words), "{words:?} in {logged:#?}");
    }
}

#[tokio::test]
async fn a_broker_restarted_without_data_gets_everything_again() {
    let Some(mut broker) = Broker::start() else { return };
    let (bank, settings) = (bank(), broker.settings(""));
    let mut service = service(&bank, &broker.url(), "");
    wait_until_retained(&settings).await;
    let meanwhile = SweepWatch::watch(&mut service, INTERVAL);
    broker.kill();
    service.wait_for_log(&["connection refused"]);
    wait_for_sweeps(&mut service, 10);
    broker.start_again();
    assert_recovers("killed", &mut service, &settings, Instant::now(), meanwhile).await;
    assert_output_log(
        &service,
        &["output up", "the connection was lost", "connection refused", "output recovered"],
    );
}

#[tokio::test]
async fn a_hanging_broker_is_reconnected_when_it_resumes() {
    let Some(broker) = Broker::start() else { return };
    let (bank, settings) = (bank(), broker.settings(""));
    let mut service = service(&bank, &broker.url(), "");
    wait_until_retained(&settings).await;
    let meanwhile = SweepWatch::watch(&mut service, INTERVAL);
    broker.hang();
    service.wait_for_log(&["output down", "did not answer within 5s: it hangs"]);
    wait_for_sweeps(&mut service, 5);
    broker.go_on();
    assert_recovers("hung", &mut service, &settings, Instant::now(), meanwhile).await;
    assert_output_log(&service, &["output up", "did not answer within 5s", "output recovered"]);
}

#[tokio::test]
async fn a_connection_cut_within_a_packet_is_made_again() {
    let Some(broker) = Broker::start() else { return };
    let (proxy, bank, settings) = (Proxy::in_front_of(broker.port()), bank(), broker.settings(""));
    let mut service = service(&bank, &proxy.url(), "legacy_topics = true");
    wait_until_retained(&settings).await;
    let meanwhile = SweepWatch::watch(&mut service, INTERVAL);
    // Within a publication, then within CONNECT and within the reading of retained topics of a new connection.
    for bytes in [1, 25, 500] {
        let opened = proxy.opened();
        proxy.cut_after(bytes);
        until(LONG, || proxy.opened() > opened).await;
    }
    assert_recovers("cut", &mut service, &settings, Instant::now(), meanwhile).await;
    service.wait_for_log(&["output recovered"]);
}

#[tokio::test]
async fn announcing_continues_over_broken_connections() {
    let Some(broker) = Broker::start() else { return };
    let (proxy, bank, settings) = (Proxy::in_front_of(broker.port()), bank(), broker.settings(""));
    // Less than all announcements, so that starting over each time would never finish.
    const BYTES: usize = 20_000;
    proxy.cut_after(BYTES);
    let _service = service(&bank, &proxy.url(), "");
    let (start, mut cuts, wanted) =
        (Instant::now(), 0, RETAINED.iter().filter(|topic| topic.ends_with("/config")));
    let wanted: Vec<&str> = wanted.copied().collect();
    loop {
        if proxy.cuts() > cuts {
            cuts = proxy.cuts();
            proxy.cut_after(BYTES);
        }
        let found = retained_at(&settings, "homeassistant/#").await;
        if wanted.iter().all(|topic| found.contains_key(*topic)) {
            let bytes: usize = found.values().map(String::len).sum();
            assert!(cuts > 0 && bytes > BYTES, "{bytes} bytes of announcements, {cuts} cuts");
            break;
        }
        assert!(start.elapsed() < LONG, "{:?} after {cuts} cuts", found.keys());
    }
}

#[tokio::test]
async fn a_wrong_password_is_logged_and_recovers_by_itself() {
    let Some(mut broker) = Setup::default().user("house", "somethingelse").start() else { return };
    let lines = "username = \"house\"\npassword = \"hunter2hunter2\"";
    let (bank, settings) = (bank(), broker.settings(lines));
    let mut service = service(&bank, &broker.url(), lines);
    let meanwhile = SweepWatch::watch(&mut service, INTERVAL);
    service.wait_for_log(&["output down", "the broker rejects user", "check [mqtt] username and password"]);
    wait_for_sweeps(&mut service, 5);
    broker.kill();
    service.wait_for_log(&["connection refused"]);
    let mut change = Command::new("mosquitto_passwd");
    change.arg("-b").arg(broker.folder().join("passwords")).args(["house", "hunter2hunter2"]);
    assert!(change.output().unwrap().status.success());
    broker.start_again();
    assert_recovers("login accepted", &mut service, &settings, Instant::now(), meanwhile).await;
    assert_output_log(&service, &["the broker rejects user", "connection refused", "output recovered"]);
    let (_, _, log) = service.stop_with("TERM");
    assert!(!log.iter().any(|line| line.contains("hunter2")), "{log:#?}");
}

/// Installs the certificate that the broker will use after its next start.
fn install(broker: &Broker, papers: &SignedCertificate) {
    std::fs::write(broker.folder().join("broker.crt"), &papers.certificate).unwrap();
    std::fs::write(broker.folder().join("broker.key"), &papers.key).unwrap();
}

#[tokio::test]
async fn a_broker_with_a_wrong_certificate_gets_nothing() {
    let authority = Authority::new("Test authority");
    let other_host = authority.sign(&["broker.lan"]);
    let setup = Setup::default()
        .file("broker.crt", other_host.certificate)
        .file("broker.key", other_host.key)
        .file("ca.crt", authority.certificate())
        .settings("certfile {folder}/broker.crt\nkeyfile {folder}/broker.key");
    let Some(mut broker) = setup.start() else { return };
    let url = format!("mqtts://localhost:{}", broker.port());
    let lines = format!("ca_file = {:?}", broker.folder().join("ca.crt"));
    let bank = bank();
    let mut service = service(&bank, &url, &lines);
    let meanwhile = SweepWatch::watch(&mut service, INTERVAL);
    service.wait_for_log(&["output down", "not for \\\"localhost\\\": use one of these names"]);
    broker.kill();
    install(&broker, &authority.sign_for(&["localhost"], -2 * DAY, -DAY));
    broker.start_again();
    service.wait_for_log(&["output down", "certificate has expired"]);
    broker.kill();
    install(&broker, &authority.sign(&["localhost"]));
    assert!(!service.log().iter().any(|line| line.contains("output up")), "{:#?}", service.log());
    broker.start_again();
    assert_recovers("certified", &mut service, &settings(&url, &lines), Instant::now(), meanwhile).await;
    output_log(&service);
}

#[tokio::test]
async fn a_broker_missing_at_the_start_is_awaited() {
    let Some(mut broker) = Broker::start() else { return };
    let (bank, settings) = (bank(), broker.settings(""));
    broker.kill();
    let mut service = service(&bank, &broker.url(), "");
    let meanwhile = SweepWatch::watch(&mut service, INTERVAL);
    // The backoff has reached its maximum by then.
    wait_for_sweeps(&mut service, 30);
    broker.start_again();
    assert_recovers("late", &mut service, &settings, Instant::now(), meanwhile).await;
    assert_output_log(&service, &["connection refused", "output recovered"]);
}
