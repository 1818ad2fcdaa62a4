//! A simulated bank, the program polling it, and the messages that a broker must have received.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use bankwatch::internals::mqtt::client::retained::fetch_retained;
use bankwatch::internals::mqtt::client::session::{MqttSession, MqttTimeouts};
use bankwatch::internals::mqtt::message::Message;
use bankwatch::internals::mqtt::topics::Topics;
use bankwatch::internals::settings::{AutoOr, MqttSettings, Sources, load};
use bankwatch::internals::simulator::{Dialect, Simulation, SimulatorHandle};

use crate::listener::{Listener, Received};
use crate::service::{LONG, Service};

/// From one full sweep to the next.
pub const INTERVAL: Duration = Duration::from_millis(300);

/// Two batteries at 300 times real speed, so that every reading differs, which answer at once.
pub fn bank() -> SimulatorHandle {
    Simulation::new(Dialect::PytesV5)
        .batteries(2)
        .cells(16)
        .seed(3)
        .speed(300.0)
        .unpaced()
        .start()
        .expect("a bank")
}

/// The program with one bank and the broker at `url`, and further lines of `[mqtt]`; every reading is published.
pub fn service(bank: &SimulatorHandle, url: &str, lines: &str) -> Service {
    let interval = INTERVAL.as_millis();
    let settings = format!(
        "interval = \"{interval}ms\"\nsummary_interval = \"0s\"\n[mqtt]\nenabled = true\nurl = {url:?}\n\
         publish_interval = \"0s\"\n{lines}"
    );
    Service::start(&bank.link(), &settings)
}

/// The status topic of a service of these banks with an automatic client id.
pub fn service_status(banks: &[&str]) -> String {
    let settings = load(&Sources::default()).expect("valid defaults").settings.mqtt;
    let banks = banks.iter().map(|&bank| bank.to_owned()).collect();
    Topics::new(&MqttSettings { banks, ..settings }).service_status()
}

/// Retained topics of the bank and, at [`SERVICE`], of the service.
pub static RETAINED: LazyLock<[&str; 9]> = LazyLock::new(|| {
    let service: &str = Box::leak(service_status(&["bank"]).into_boxed_str());
    [
        "homeassistant/device/bank_bank/config",
        "homeassistant/device/bank_battery_1/config",
        "homeassistant/device/bank_battery_1_cells/config",
        "homeassistant/device/bank_battery_2/config",
        "homeassistant/device/bank_battery_2_cells/config",
        service,
        "bankwatch/bank/status",
        "bankwatch/bank/battery/1/status",
        "bankwatch/bank/battery/2/status",
    ]
});

/// Index of the service's status in [`RETAINED`].
pub const SERVICE: usize = 5;

/// Topics of the bank that are not retained.
pub const STATE: [&str; 10] = [
    "bankwatch/bank/state",
    "bankwatch/bank/cells",
    "bankwatch/bank/service",
    "bankwatch/bank/battery/1/state",
    "bankwatch/bank/battery/1/detail",
    "bankwatch/bank/battery/1/cells",
    "bankwatch/bank/battery/2/state",
    "bankwatch/bank/battery/2/detail",
    "bankwatch/bank/battery/2/cells",
    "homeassistant/sensor/bank/state",
];

/// When all state topics had been received.
pub fn complete_at(received: &[Received]) -> Option<Instant> {
    let first =
        |topic: &&str| received.iter().find(|received| received.topic == *topic).map(|received| received.at);
    STATE.iter().map(first).collect::<Option<Vec<_>>>()?.into_iter().max()
}

/// Waits until a new subscriber has received all state topics.
pub async fn wait_for_state(settings: &MqttSettings) -> Instant {
    let mut listener = Listener::at(settings, "#").await;
    let received = listener.until(|received| complete_at(received).is_some()).await;
    complete_at(received).expect("a complete state")
}

/// Retained topics that match `filter`, with their payloads.
pub async fn retained_at(settings: &MqttSettings, filter: &str) -> BTreeMap<String, String> {
    let id = AutoOr::Given("later".to_owned());
    let settings = MqttSettings { client_id: id, ..settings.clone() };
    let mut session = MqttSession::new(&settings, None, MqttTimeouts::default()).expect("a session");
    session.connect().await.expect("a broker");
    let found =
        fetch_retained(&mut session, &[filter.to_owned()], "later/echo").await.expect("retained messages");
    session.close().await;
    let text = |message: Message| (message.topic, String::from_utf8_lossy(&message.payload).into_owned());
    found.into_iter().map(text).collect()
}

/// Waits until all of [`RETAINED`] is retained and every status is `online`; the service with any client id.
pub async fn wait_until_retained(settings: &MqttSettings) {
    let start = Instant::now();
    loop {
        let found = retained_at(settings, "#").await;
        let is_so = |topic: &&str| match found.get(*topic) {
            Some(word) if topic.starts_with("bankwatch/") => word == "online",
            Some(_) => true,
            None => false,
        };
        let is_service = |topic: &str| topic.starts_with("bankwatch/service/");
        let serves = found.iter().any(|(topic, word)| is_service(topic) && word == "online");
        let is_missing = |topic: &&&str| if is_service(topic) { !serves } else { !is_so(topic) };
        let Some(missing) = RETAINED.iter().find(is_missing) else { return };
        assert!(start.elapsed() < LONG, "{missing} is {:?}", found.get(*missing));
    }
}
