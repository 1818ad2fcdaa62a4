//! Several banks of one service and several services on one broker: each publishes and clears only its own topics.

use std::collections::BTreeMap;
use std::time::Instant;

use bankwatch::internals::settings::MqttSettings;
use support::broker::Broker;
use support::mqtt_service::{bank, retained_at, service_status, wait_until_retained};
use support::proxy::Proxy;
use support::service::{LONG, Service};
use support::sweeps::wait_for_sweeps;
use support::until::until;

/// Waits until these messages are retained; returns all retained messages.
async fn until_retained(settings: &MqttSettings, wanted: &[(&str, &str)]) -> BTreeMap<String, String> {
    let start = Instant::now();
    loop {
        let retained = retained_at(settings, "#").await;
        let missing =
            wanted.iter().find(|(topic, word)| retained.get(*topic).is_none_or(|status| status != word));
        let Some(missing) = missing else { return retained };
        assert!(start.elapsed() < LONG, "{missing:?} is missing in {retained:?}");
    }
}

/// Lines of settings for a service with a second bank.
fn two_banks(second: &str, link: &str, url: &str, mqtt: &str) -> String {
    let brisk = "interval = \"300ms\"\nsummary_interval = \"0s\"";
    format!(
        "{brisk}\n[[bank]]\nname = {second:?}\nlink = {link:?}\n{brisk}\n[mqtt]\nenabled = true\nurl = {url:?}\n\
         publish_interval = \"0s\"\n{mqtt}"
    )
}

#[tokio::test]
async fn banks_share_a_connection_and_have_their_own_status() {
    let Some(broker) = Broker::start() else { return };
    let (proxy, settings) = (Proxy::in_front_of(broker.port()), broker.settings(""));
    let (bank, barn) = (bank(), bank());
    let mut service = Service::start(&bank.link(), &two_banks("barn", &barn.link(), &proxy.url(), ""));
    wait_until_retained(&settings).await;
    until_retained(
        &settings,
        &[("bankwatch/barn/status", "online"), ("bankwatch/barn/battery/2/status", "online")],
    )
    .await;
    barn.unplug();
    let retained = until_retained(&settings, &[("bankwatch/barn/status", "offline")]).await;
    let of_both = service_status(&["barn", "bank"]);
    for status in [&*of_both, "bankwatch/bank/status", "bankwatch/bank/battery/2/status"] {
        assert_eq!(retained[status], "online", "{status}");
    }
    let discovered = |bank: &str| {
        retained.keys().filter(|topic| topic.starts_with(&format!("homeassistant/device/{bank}_"))).count()
    };
    assert_eq!((discovered("bank"), discovered("barn")), (5, 5));
    barn.replug();
    until_retained(&settings, &[("bankwatch/barn/status", "online")]).await;
    wait_for_sweeps(&mut service, 1);
    assert_eq!(proxy.opened(), 1);
}

#[tokio::test]
async fn two_services_with_default_settings_do_not_interfere() {
    let Some(broker) = Broker::start() else { return };
    let settings = broker.settings("");
    let (bank, barn, shed) = (bank(), bank(), bank());
    let mut house = Service::start(&bank.link(), &two_banks("barn", &barn.link(), &broker.url(), ""));
    // The bank name of the other service starts with one of this service.
    let text = format!(
        "interval = \"300ms\"\nsummary_interval = \"0s\"\n[mqtt]\nenabled = true\nurl = {:?}\n\
         publish_interval = \"0s\"",
        broker.url(),
    );
    let yard = Service::start_named("bank_shed", &shed.link(), &text);
    let (of_house, of_yard) = (service_status(&["bank", "barn"]), service_status(&["bank_shed"]));
    wait_until_retained(&settings).await;
    let both = [
        (&*of_house, "online"),
        (&*of_yard, "online"),
        ("bankwatch/bank_shed/status", "online"),
        ("bankwatch/barn/status", "online"),
    ];
    let retained = until_retained(&settings, &both).await;
    for (topic, own) in
        [("bank_shed_bank", &of_yard), ("bank_bank", &of_house), ("barn_battery_1", &of_house)]
    {
        let config = &retained[&format!("homeassistant/device/{topic}/config")];
        let other = if own == &of_yard { &of_house } else { &of_yard };
        assert!(config.contains(own) && !config.contains(other), "{topic}: {config}");
    }
    // One is killed and one is stopped: neither affects the topics of the other.
    let (_, _, log_of_yard) = yard.stop_with("KILL");
    let gone = [(&*of_yard, "offline"), (&*of_house, "online"), ("bankwatch/bank/status", "online")];
    until_retained(&settings, &gone).await;
    wait_for_sweeps(&mut house, 2);
    let (_, _, log) = house.stop_with("TERM");
    let gone = [(&*of_house, "offline"), ("bankwatch/barn/status", "offline")];
    let retained = until_retained(&settings, &gone).await;
    assert_eq!(
        retained["bankwatch/bank_shed/status"], "online",
        "a killed service leaves its bank online; the service status has the will"
    );
    assert!(retained.contains_key("homeassistant/device/bank_shed_bank/config"));
    for log in [log, log_of_yard] {
        assert_eq!(log.iter().filter(|line| line.contains(" output ")).count(), 1, "{log:#?}");
    }
}

#[tokio::test]
async fn two_services_with_one_client_id_are_reported_in_few_lines() {
    let Some(broker) = Broker::start() else { return };
    let (proxy, bank, shed) = (Proxy::in_front_of(broker.port()), bank(), bank());
    let text = |url: &str, base: &str| {
        format!(
            "interval = \"300ms\"\nsummary_interval = \"0s\"\n[mqtt]\nenabled = true\nurl = {url:?}\n\
             publish_interval = \"0s\"\nclient_id = \"same\"\nbase_topic = {base:?}"
        )
    };
    let house = Service::start(&bank.link(), &text(&proxy.url(), "bankwatch"));
    house.wait_for_log(&["output up"]);
    let _yard = Service::start_named("shed", &shed.link(), &text(&broker.url(), "yard"));
    house.wait_for_log(&["output down", "session taken over", "another client uses the id \\\"same\\\""]);
    until(LONG, || proxy.opened() >= 6).await;
    let lines: Vec<String> = house.log().into_iter().filter(|line| line.contains(" output ")).collect();
    assert!(lines.len() <= 5 && !lines[lines.len() - 1].contains("output recovered"), "{lines:#?}");
}
