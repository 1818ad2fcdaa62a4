//! A simulated bank, the real program on it, and what a broker must have heard of both.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use bankwatch::internals::mqtt::client::retained::fetch_retained;
use bankwatch::internals::mqtt::client::session::{MqttSession, MqttTimeouts};
use bankwatch::internals::mqtt::message::Message;
use bankwatch::internals::mqtt::topics::Topics;
use bankwatch::internals::settings::{AutoOr, MqttSettings, Sources, load};
use bankwatch::internals::simulator::{Dialect, Simulation, SimulatorHandle};

use crate::listener::{Heard, Listener};
use crate::service::{LONG, Service};

/// From one full sweep to the next.
pub const INTERVAL: Duration = Duration::from_millis(300);

/// Two batteries that live a day in minutes, so that each reading is news, and answer at once.
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

/// The program on one bank and the broker at `url`, with further lines of `[mqtt]`; each reading goes out.
pub fn service(bank: &SimulatorHandle, url: &str, lines: &str) -> Service {
    let interval = INTERVAL.as_millis();
    let settings = format!(
        "interval = \"{interval}ms\"\nsummary_interval = \"0s\"\n[mqtt]\nenabled = true\nurl = {url:?}\n\
         publish_interval = \"0s\"\n{lines}"
    );
    Service::start(&bank.link(), &settings)
}

/// Where a service of these banks with an automatic client id says that it is there.
pub fn service_status(banks: &[&str]) -> String {
    let settings = load(&Sources::default()).expect("the defaults are right").settings.mqtt;
    let banks = banks.iter().map(|&bank| bank.to_owned()).collect();
    Topics::new(&MqttSettings { banks, ..settings }).service_status()
}

/// What the broker keeps of the bank; [`SERVICE`] is in the middle.
pub static KEPT: LazyLock<[&str; 9]> = LazyLock::new(|| {
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

/// Where in [`KEPT`] the service says that it is there.
pub const SERVICE: usize = 5;

/// What is said of the bank and not kept.
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

/// When all of the state had come.
pub fn complete_at(heard: &[Heard]) -> Option<Instant> {
    let first = |topic: &&str| heard.iter().find(|heard| heard.topic == *topic).map(|heard| heard.at);
    STATE.iter().map(first).collect::<Option<Vec<_>>>()?.into_iter().max()
}

/// Waits until all of the state has come to who begins to listen now.
pub async fn flows(settings: &MqttSettings) -> Instant {
    let mut listener = Listener::at(settings, "#").await;
    let heard = listener.until(|heard| complete_at(heard).is_some()).await;
    complete_at(heard).expect("it is complete")
}

/// What the broker keeps at `filter`, as topic and payload.
pub async fn kept_at(settings: &MqttSettings, filter: &str) -> BTreeMap<String, String> {
    let id = AutoOr::Given("who-comes-later".to_owned());
    let settings = MqttSettings { client_id: id, ..settings.clone() };
    let mut session = MqttSession::new(&settings, None, MqttTimeouts::default()).expect("a session");
    session.connect().await.expect("the broker is there");
    let found = fetch_retained(&mut session, &[filter.to_owned()], "later/echo").await.expect("what is kept");
    session.close().await;
    let text = |message: Message| (message.topic, String::from_utf8_lossy(&message.payload).into_owned());
    found.into_iter().map(text).collect()
}

/// Waits until all of [`KEPT`] is kept, and everybody is said to be there; the service under any client id.
pub async fn is_kept(settings: &MqttSettings) {
    let begun = Instant::now();
    loop {
        let found = kept_at(settings, "#").await;
        let is_so = |topic: &&str| match found.get(*topic) {
            Some(word) if topic.starts_with("bankwatch/") => word == "online",
            Some(_) => true,
            None => false,
        };
        let is_service = |topic: &str| topic.starts_with("bankwatch/service/");
        let serves = found.iter().any(|(topic, word)| is_service(topic) && word == "online");
        let lacks = |topic: &&&str| if is_service(topic) { !serves } else { !is_so(topic) };
        let Some(lacking) = KEPT.iter().find(lacks) else { return };
        assert!(begun.elapsed() < LONG, "{lacking} is {:?}", found.get(*lacking));
    }
}
