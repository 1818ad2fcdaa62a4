//! Events are published at once, once, and after an outage of the broker.

use bankwatch::internals::settings::MqttSettings;
use bankwatch::internals::simulator::{EventWordKind, SimulatorHandle};
use serde_json::Value;
use support::broker::Broker;
use support::listener::{Listener, Received};
use support::mqtt_service::{bank, service, wait_until_retained};
use support::proxy::{Direction, Proxy};
use support::sweeps::wait_for_sweeps;

/// High voltage, low voltage.
const HIGH: u32 = 0x2;
const LOW: u32 = 0x8;

fn raise(bank: &SimulatorHandle, bit: u32) {
    bank.with_bank(|bank| bank.raise_event(2, EventWordKind::Power, bit));
}

/// The events about battery 2's power word, as JSON, and whether the broker had kept one.
fn power_events(received: &[Received]) -> Vec<(Value, bool)> {
    let events = received
        .iter()
        .map(|received| (serde_json::from_slice(&received.payload).unwrap(), received.retained));
    events.filter(|(event, _): &(Value, bool)| event["battery"] == 2 && event["word"] == "power").collect()
}

async fn listener(settings: &MqttSettings) -> Listener {
    Listener::at(settings, "bankwatch/bank/event").await
}

#[tokio::test]
async fn an_event_is_published_when_raised_and_when_cleared() {
    let Some(broker) = Broker::start() else { return };
    let (bank, settings) = (bank(), broker.settings(""));
    let mut service = service(&bank, &broker.url(), "");
    wait_until_retained(&settings).await;
    let mut listener = listener(&settings).await;
    raise(&bank, HIGH);
    listener.until(|received| power_events(received).len() == 1).await;
    wait_for_sweeps(&mut service, 3);
    bank.with_bank(|bank| bank.clear_event(2, EventWordKind::Power, HIGH));
    listener.until(|received| power_events(received).len() == 2).await;
    wait_for_sweeps(&mut service, 3);
    let events = power_events(listener.so_far().await);
    let [(raised, false), (cleared, false)] = &events[..] else { panic!("{events:#?}") };
    assert_eq!(
        (&raised["kind"], &raised["level"], &raised["sign"]),
        (&"raised".into(), &"warning".into(), &"0x2".into())
    );
    assert_eq!(raised["bank"], "bank");
    assert!(!raised["text"].as_str().unwrap().is_empty());
    assert_eq!(raised["duration_s"], Value::Null);
    assert_eq!((&cleared["kind"], &cleared["raised_at"]), (&"cleared".into(), &raised["raised_at"]));
    assert!(cleared["duration_s"].is_u64(), "{cleared}");
}

#[tokio::test]
async fn last_events_are_published_before_offline() {
    let Some(broker) = Broker::start() else { return };
    let (proxy, bank, settings) = (Proxy::in_front_of(broker.port()), bank(), broker.settings(""));
    let service = service(&bank, &proxy.url(), "");
    wait_until_retained(&settings).await;
    let mut listener = Listener::at(&settings, "bankwatch/#").await;
    proxy.hold(Direction::ToServer);
    raise(&bank, HIGH);
    service.wait_for_log(&["event raised"]);
    let log = service.lines();
    let release = std::thread::spawn(move || {
        while !log.lock().unwrap().iter().any(|line| line.contains("service stopping")) {
            std::thread::yield_now();
        }
        proxy.hold(None);
    });
    service.stop_with("TERM");
    release.join().unwrap();
    let gone =
        |received: &Received| received.topic == "bankwatch/bank/status" && received.text() == "offline";
    let received = listener.until(|received| received.last().is_some_and(gone)).await;
    let last =
        received.iter().rposition(|received| received.topic == "bankwatch/bank/event").expect("it is events");
    let offline = received.iter().position(|received| received.text() == "offline");
    assert!(last < offline.unwrap(), "{received:?}");
}

#[tokio::test]
async fn events_during_an_outage_are_published_afterwards() {
    let Some(broker) = Broker::start() else { return };
    let (proxy, bank, settings) = (Proxy::in_front_of(broker.port()), bank(), broker.settings(""));
    let mut service = service(&bank, &proxy.url(), "");
    wait_until_retained(&settings).await;
    let mut listener = listener(&settings).await;
    proxy.refuse(true);
    proxy.cut();
    service.wait_for_log(&["output down"]);
    for bit in [HIGH, LOW] {
        raise(&bank, bit);
        wait_for_sweeps(&mut service, 2);
    }
    assert_eq!(power_events(listener.so_far().await), []);
    proxy.refuse(false);
    let received = listener.until(|received| power_events(received).len() >= 2).await;
    let signs: Vec<Value> =
        power_events(received).into_iter().map(|(event, _)| event["sign"].clone()).collect();
    assert_eq!(signs, ["0x2", "0x8"]);
}
