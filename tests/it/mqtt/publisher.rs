//! What is published and when: few messages, never an expired value, availability at once.

use std::time::{Duration, Instant};

use bankwatch::internals::model::place::Place;
use bankwatch::internals::model::reading::{BatteryReading, Presence, SweepKind};
use bankwatch::internals::model::report::BankReport;
use bankwatch::internals::model::units::Millivolts;
use bankwatch::internals::mqtt::message::Message;
use bankwatch::internals::mqtt::publisher::{BankView, Publisher, REPEAT_AFTER};
use support::model::{changed, report};
use support::settings::SettingsFixture;

const FACTS: Duration = Duration::from_secs(900);

/// A publisher with a clock controlled by the test.
struct Harness {
    publisher: Publisher,
    start: Instant,
}

impl Harness {
    /// A bank `pytes`, with further settings for the bank and for `[mqtt]`.
    fn new(bank: &str, mqtt: &str) -> Self {
        let text = format!(
            "[[bank]]\nname = \"pytes\"\nlink = \"/dev/ttyUSB0\"\n{bank}\n[mqtt]\nenabled = true\n\
             client_id = \"house\"\n{mqtt}"
        );
        let settings = SettingsFixture::with(&text).loaded().settings;
        let view = |bank: &_| BankView { settings: Clone::clone(bank), facts_every: FACTS };
        let banks: Vec<_> = settings.banks.iter().map(view).collect();
        let start = Instant::now();
        Self { publisher: Publisher::new(&settings.mqtt, &banks, start), start }
    }

    fn at(&self, seconds: f64) -> Instant {
        self.start + Duration::from_secs_f64(seconds)
    }

    /// Connects, publishes the report, and waits for the repetitions.
    fn settled(bank: &str, mqtt: &str, report: &BankReport) -> Self {
        let mut harness = Self::new(bank, mqtt);
        harness.publisher.on_connected(harness.at(0.0));
        harness.report(report, 0.0);
        for echo in [0.0].into_iter().chain(REPEAT_AFTER.map(|echo| echo.as_secs_f64())) {
            harness.due(echo);
        }
        harness.start += *REPEAT_AFTER.last().unwrap();
        harness
    }

    /// The reading arrives at the moment its sweep started.
    fn report(&mut self, report: &BankReport, seconds: f64) {
        let now = self.at(seconds);
        self.publisher.on_report(report, Duration::ZERO, 0, now);
    }

    fn due(&mut self, seconds: f64) -> Vec<Message> {
        let now = self.at(seconds);
        self.publisher.due(now).messages
    }

    fn messages_after(&mut self, report: &BankReport, seconds: f64) -> Vec<Message> {
        self.report(report, seconds);
        self.due(seconds)
    }
}

fn full() -> BankReport {
    report(SweepKind::Full, 2, 16)
}

fn volts(kind: SweepKind, millivolts: i32) -> BankReport {
    changed(kind, |reading| {
        for battery in &mut reading.batteries {
            battery.measured.voltage = Some(Millivolts(millivolts));
        }
    })
}

fn topics(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.topic.as_str()).collect()
}

fn payload<'a>(messages: &'a [Message], topic: &str) -> Option<&'a str> {
    let message = messages.iter().find(|message| message.topic == topic)?;
    Some(std::str::from_utf8(&message.payload).unwrap())
}

#[test]
fn discovery_comes_first_then_availability_then_state() {
    let mut harness = Harness::new("", "");
    let certain = harness.publisher.on_connected(harness.at(0.0));
    assert_eq!(
        certain,
        [Message::clear_retained("bankwatch/pytes/status")],
        "no reading yet: the status of an earlier run is cleared"
    );
    let summary = report(SweepKind::Summary, 2, 16);
    assert!(
        !topics(&harness.messages_after(&summary, 1.0)).iter().any(|topic| topic.ends_with("/config")),
        "cells are not known"
    );

    let messages = harness.messages_after(&full(), 2.0);
    let place = |end: &str| messages.iter().position(|message| message.topic.ends_with(end));
    let configs = messages.iter().filter(|message| message.topic.ends_with("/config"));
    assert_eq!(configs.filter(|config| config.retained).count(), 5, "the bank, and two a battery");
    assert!(place("/config") < place("/state") && place("/config").is_some(), "{:?}", topics(&messages));
    assert!(messages.iter().all(|message| !message.topic.ends_with("state") || !message.retained));
    for topic in [
        "pytes/state",
        "pytes/service",
        "pytes/cells",
        "battery/1/state",
        "battery/2/detail",
        "battery/2/cells",
    ] {
        assert!(place(topic).is_some(), "{topic} is missing in {:?}", topics(&messages));
    }
    assert!(payload(&messages, "homeassistant/sensor/pytes/state").is_some(), "the document");
}

#[test]
fn state_is_published_once_per_interval_with_the_newest_values() {
    let mut harness = Harness::settled("summary_interval = \"2s\"", "publish_interval = \"10s\"", &full());
    let state = |messages: &[Message]| payload(messages, "bankwatch/pytes/state").map(str::to_owned);
    let mut published = Vec::new();
    for second in 0..40 {
        let kind = if second % 10 == 0 { SweepKind::Full } else { SweepKind::Summary };
        let messages = harness.messages_after(&volts(kind, 53_000 + second * 100), f64::from(second));
        if let Some(state) = state(&messages) {
            published.push((second, state));
        }
    }
    assert!((4..=5).contains(&published.len()), "{published:?}");
    for (second, state) in published {
        let volts = format!("\"voltage\":{}", f64::from(53_000 + second * 100) / 1000.0);
        assert!(state.contains(&volts), "{state} is not of second {second}");
    }
}

#[test]
fn an_interval_of_zero_publishes_every_reading() {
    let mut harness = Harness::settled("", "publish_interval = \"0s\"", &full());
    for second in 1..10 {
        let messages =
            harness.messages_after(&volts(SweepKind::Summary, 53_000 + second * 100), f64::from(second));
        assert!(payload(&messages, "bankwatch/pytes/state").is_some());
    }
}

#[test]
fn unchanged_values_are_repeated_after_half_their_expiry_time() {
    let mut harness = Harness::settled("interval = \"10s\"", "publish_interval = \"10s\"", &full());
    let quiet: Vec<usize> =
        (1..=6).map(|turn| harness.messages_after(&full(), f64::from(turn) * 10.0).len()).collect();
    // Values expire after 60 s; the last repetition was at 0.
    assert_eq!(
        quiet.iter().map(|count| usize::from(*count > 0)).collect::<Vec<_>>(),
        [0, 0, 1, 0, 0, 1],
        "{quiet:?}"
    );
    let mut harness = Harness::settled("interval = \"10s\"", "publish_interval = \"10s\"", &full());
    let other = changed(SweepKind::Full, |reading| {
        reading.batteries[1].measured.voltage = Some(Millivolts(53_500));
    });
    let messages = harness.messages_after(&other, 10.0);
    let changed = topics(&messages);
    assert!(changed.contains(&"bankwatch/pytes/battery/2/state"), "{changed:?}");
    assert!(!changed.iter().any(|topic| topic.contains("battery/1/")), "{changed:?}");
}

#[test]
fn availability_changes_ignore_the_publish_interval() {
    let mut harness = Harness::settled("", "publish_interval = \"1h\"", &full());
    let gone = changed(SweepKind::Summary, |reading| reading.batteries[1].presence = Presence::Absent);
    let offline = Message::retained("bankwatch/pytes/battery/2/status", "offline");
    assert_eq!(harness.messages_after(&gone, 2.0), [offline]);
    let back = Message::retained("bankwatch/pytes/battery/2/status", "online");
    assert_eq!(harness.messages_after(&full(), 4.0), [back]);
}

#[test]
fn a_silent_bank_is_offline_after_three_intervals() {
    let mut harness = Harness::settled("interval = \"10s\"", "", &full());
    harness.messages_after(&full(), 10.0);
    let wake = harness.publisher.next_wakeup(harness.at(20.0)).unwrap();
    assert_eq!(wake, harness.at(40.0));
    assert_eq!(harness.due(39.9), []);
    assert_eq!(harness.due(40.0), [Message::retained("bankwatch/pytes/status", "offline")]);
    assert_eq!(harness.due(41.0), [], "once");
    assert!(topics(&harness.messages_after(&full(), 50.0)).contains(&"bankwatch/pytes/status"));
}

#[test]
fn an_unread_bank_is_unknown_then_offline_after_three_intervals() {
    let mut harness = Harness::new("interval = \"10s\"", "");
    let status = "bankwatch/pytes/status";
    let unknown = [Message::clear_retained(status)];
    assert_eq!(harness.publisher.on_connected(harness.at(0.0)), unknown);
    harness.publisher.on_retained_message(&Message::retained(status, "online"));
    assert_eq!(harness.due(19.9), []);
    // Neither a new connection nor a restart of Home Assistant starts a new period.
    harness.publisher.on_ha_birth(harness.at(20.0));
    assert_eq!(harness.due(20.0), unknown);
    assert_eq!(harness.publisher.on_connected(harness.at(24.0)), unknown);
    // The last message of another service with the same topic.
    harness.publisher.on_offline_received(status);
    assert_eq!(harness.due(29.0), unknown);
    assert_eq!(harness.publisher.next_wakeup(harness.at(29.0)), Some(harness.at(30.0)));
    let offline = [Message::retained(status, "offline")];
    assert_eq!(harness.due(30.0), offline);
    assert_eq!(harness.publisher.on_connected(harness.at(40.0)), offline, "it is known by now");
    assert_eq!(payload(&harness.messages_after(&full(), 50.0), status), Some("online"));
}

#[test]
fn an_answering_bank_is_never_offline() {
    let mut harness = Harness::new("interval = \"10s\"", "");
    let mut words: Vec<Message> = harness.publisher.on_connected(harness.at(0.0));
    words.extend(harness.messages_after(&full(), 3.5));
    words.extend(harness.due(29.0));
    words.retain(|message| message.topic == "bankwatch/pytes/status");
    let online = Message::retained("bankwatch/pytes/status", "online");
    assert_eq!(words, [Message::clear_retained("bankwatch/pytes/status"), online]);
}

/// A high-voltage stack: its table has only a row of its own, so modules are only in full readings.
fn stack(kind: SweepKind) -> BankReport {
    changed(kind, |reading| {
        reading.stack = Some(reading.batteries[0].measured.clone());
        if kind == SweepKind::Summary {
            reading.batteries = Place::up_to(2).map(BatteryReading::empty).collect();
        }
    })
}

#[test]
fn summaries_of_a_stack_keep_its_modules_online() {
    let full = stack(SweepKind::Full);
    let mut harness = Harness::settled("interval = \"10s\"\nsummary_interval = \"1s\"", "", &full);
    let mut modules = Vec::new();
    for second in 1..=120 {
        let kind = if second % 10 == 0 { SweepKind::Full } else { SweepKind::Summary };
        let messages = harness.messages_after(&stack(kind), f64::from(second));
        assert!(!topics(&messages).iter().any(|topic| topic.ends_with("/status")), "{:?}", topics(&messages));
        modules.extend(payload(&messages, "bankwatch/pytes/battery/2/state").map(|_| second));
        if let Some(totals) = payload(&messages, "bankwatch/pytes/state") {
            assert!(totals.contains("\"powers\":2"), "{totals}");
        }
    }
    assert!(modules.len() >= 2 && modules.windows(2).all(|pair| pair[1] - pair[0] < 60), "{modules:?}");
}

#[test]
fn a_bank_with_slow_sweeps_stays_online() {
    let mut harness = Harness::settled("interval = \"10s\"", "", &full());
    let slow = changed(SweepKind::Full, |reading| reading.took = Duration::from_secs(45));
    let mut statuses = Vec::new();
    for sweep in 1..=6 {
        let (began, ended) = (45.0 * f64::from(sweep - 1), 45.0 * f64::from(sweep));
        for second in [began + 20.0, began + 31.0, ended - 1.0] {
            statuses
                .extend(harness.due(second).into_iter().filter(|message| message.topic.ends_with("/status")));
        }
        let now = harness.at(ended);
        harness.publisher.on_report(&slow, slow.reading.took, 0, now);
        statuses.extend(harness.due(ended).into_iter().filter(|message| message.topic.ends_with("/status")));
    }
    let words: Vec<String> =
        statuses.iter().map(|status| String::from_utf8_lossy(&status.payload).into()).collect();
    assert_eq!(words, ["offline", "online"], "the first one has never been announced");
}

#[test]
fn a_new_connection_publishes_all_current_values() {
    let mut harness = Harness::settled("", "", &full());
    harness.messages_after(&full(), 10.0);
    let certain = harness.publisher.on_connected(harness.at(20.0));
    assert_eq!(certain.len(), 3, "the bank and two batteries: {certain:?}");
    assert!(certain.iter().all(|message| message.retained && message.payload == b"online"));
    let messages = harness.due(20.0);
    for topic in
        ["homeassistant/device/pytes_bank/config", "bankwatch/pytes/state", "bankwatch/pytes/battery/2/cells"]
    {
        assert!(topics(&messages).contains(&topic), "{topic} is missing in {:?}", topics(&messages));
    }
}

#[test]
fn expired_values_are_never_published() {
    let mut harness = Harness::settled("interval = \"10s\"", "", &full());
    harness.messages_after(&full(), 10.0);
    harness.publisher.on_connected(harness.at(70.0));
    let messages = harness.due(70.0);
    assert!(messages.iter().all(|message| message.retained), "{:?}", topics(&messages));
    harness.publisher.on_ha_birth(harness.at(75.0));
    assert!(harness.due(75.0).iter().all(|message| message.retained));
    for echo in REPEAT_AFTER {
        assert_eq!(harness.due(75.0 + echo.as_secs_f64()), []);
    }
}

#[test]
fn the_age_of_a_reading_counts_from_its_sweep() {
    let mut harness = Harness::new("interval = \"10s\"", "");
    harness.publisher.on_connected(harness.at(100.0));
    let now = harness.at(100.0);
    harness.publisher.on_report(&full(), Duration::from_secs(65), 0, now);
    let messages = harness.due(100.0);
    assert!(messages.iter().all(|message| message.retained), "{:?}", topics(&messages));
    assert_eq!(
        payload(&messages, "bankwatch/pytes/status"),
        None,
        "still offline, as published on connecting"
    );
}

#[test]
fn the_birth_message_triggers_discovery_availability_and_state() {
    let mut harness = Harness::settled("", "", &full());
    harness.messages_after(&full(), 10.0);
    harness.publisher.on_ha_birth(harness.at(12.0));
    let messages = harness.due(12.0);
    for topic in
        ["homeassistant/device/pytes_battery_1/config", "bankwatch/pytes/status", "bankwatch/pytes/state"]
    {
        assert!(topics(&messages).contains(&topic), "{topic} is missing in {:?}", topics(&messages));
    }
}

#[test]
fn state_is_repeated_after_discovery() {
    let mut harness = Harness::new("", "");
    harness.publisher.on_connected(harness.at(0.0));
    harness.messages_after(&full(), 1.0);
    for echo in REPEAT_AFTER {
        let now = 1.0 + echo.as_secs_f64();
        assert!(topics(&harness.due(now)).contains(&"bankwatch/pytes/battery/1/detail"), "at {now}");
        assert_eq!(harness.due(now + 0.1), [], "once");
    }
}

#[test]
fn a_summary_with_fewer_values_is_not_published() {
    let mut harness = Harness::settled("", "publish_interval = \"0s\"", &full());
    let less = changed(SweepKind::Summary, |reading| {
        for battery in &mut reading.batteries {
            battery.measured.soc = None;
        }
    });
    assert_eq!(harness.messages_after(&less, 2.0), []);
    assert!(
        !harness.messages_after(&volts(SweepKind::Summary, 52_000), 4.0).is_empty(),
        "a summary with as many values is published"
    );
}

#[test]
fn a_battery_without_an_answer_is_not_published() {
    let mut harness = Harness::settled("", "publish_interval = \"0s\"", &full());
    let silent = changed(SweepKind::Full, |reading| {
        let place = reading.batteries[1].place;
        reading.batteries[1] = bankwatch::internals::model::reading::BatteryReading::empty(place);
        reading.batteries[0].measured.voltage = Some(Millivolts(53_333));
    });
    let messages = harness.messages_after(&silent, 10.0);
    assert!(!topics(&messages).iter().any(|topic| topic.contains("battery/2")), "{:?}", topics(&messages));
    assert!(topics(&messages).contains(&"bankwatch/pytes/battery/1/state"));
}

#[test]
fn sweeps_longer_than_the_interval_extend_the_expiry() {
    let mut harness = Harness::settled("interval = \"10s\"", "", &full());
    let slow = changed(SweepKind::Full, |reading| reading.took = Duration::from_secs(44));
    let announced =
        |messages: &[Message]| payload(messages, "homeassistant/device/pytes_bank/config").map(str::to_owned);
    for seconds in [44.0, 88.0] {
        assert_eq!(announced(&harness.messages_after(&slow, seconds)), None, "it may be temporary");
    }
    assert_eq!(
        harness.publisher.next_wakeup(harness.at(110.0)).unwrap(),
        harness.at(88.0 + 88.0),
        "time for another"
    );
    let config = announced(&harness.messages_after(&slow, 132.0)).expect("a new announcement");
    assert!(config.contains("140"), "three sweeps of 44 s, rounded up: {config}");
    for echo in REPEAT_AFTER {
        harness.due(132.0 + echo.as_secs_f64());
    }
    assert_eq!(
        harness.publisher.next_wakeup(harness.at(160.0)).unwrap(),
        harness.at(132.0 + 132.0),
        "offline after three sweeps"
    );
    let fast = (15..50).map(|turn| announced(&harness.messages_after(&full(), f64::from(turn) * 10.0)));
    let fast: Vec<Option<String>> = fast.collect();
    assert_eq!(fast.iter().flatten().count(), 1, "and back");
    let back = fast.iter().position(Option::is_some).unwrap();
    assert!((20..25).contains(&back), "only once it persists: {back}");
    let config = fast[back].as_ref().unwrap();
    assert!(config.contains(":60") && !config.contains("140"), "{config}");
}

#[test]
fn a_long_publish_interval_extends_the_expiry() {
    let mut harness = Harness::new("interval = \"5s\"", "publish_interval = \"2m\"");
    harness.publisher.on_connected(harness.at(0.0));
    let messages = harness.messages_after(&full(), 0.0);
    let config = payload(&messages, "homeassistant/device/pytes_bank/config").unwrap();
    assert!(config.contains("\"exp_aft\":360"), "{config}");
}

#[test]
fn a_wrong_offline_is_corrected() {
    let mut harness = Harness::settled("", "publish_interval = \"0s\"", &report(SweepKind::Full, 3, 16));
    harness.messages_after(&full(), 10.0);
    let statuses = [
        "bankwatch/pytes/status",
        "bankwatch/pytes/battery/1/status",
        "bankwatch/pytes/battery/3/status",
        "bankwatch/harness/status",
    ];
    for status in statuses {
        harness.publisher.on_offline_received(status);
    }
    let messages = harness.due(10.1);
    assert_eq!(
        statuses.map(|status| payload(&messages, status)),
        [Some("online"), Some("online"), None, None]
    );
    assert_eq!(harness.due(10.2).len(), 0);
}

#[test]
fn a_cleared_status_is_restored_unless_the_battery_is_absent() {
    let mut harness = Harness::settled("", "publish_interval = \"0s\"", &report(SweepKind::Full, 3, 16));
    harness.messages_after(&full(), 10.0);
    let statuses = [1, 2, 3].map(|place| format!("bankwatch/pytes/battery/{place}/status"));
    for status in
        statuses.iter().map(String::as_str).chain(["bankwatch/pytes/status", "bankwatch/roof/status"])
    {
        harness.publisher.on_status_cleared(status);
    }
    let messages = harness.due(10.1);
    assert_eq!(topics(&messages), [&*statuses[0], &*statuses[1], "bankwatch/pytes/status"]);
    assert!(messages.iter().all(|message| message.retained && message.payload == b"online"));
    assert_eq!(harness.due(10.2), [], "once");
    assert_eq!(
        payload(&harness.messages_after(&report(SweepKind::Full, 3, 16), 20.0), &statuses[2]),
        Some("online")
    );
    // A message that is not known yet was cleared by this service.
    let mut harness = Harness::new("", "");
    harness.publisher.on_connected(harness.at(0.0));
    harness.publisher.on_status_cleared("bankwatch/pytes/status");
    assert_eq!(harness.due(0.1), []);
}

#[test]
fn the_shared_status_of_earlier_versions_is_cleared_once() {
    let shared = "bankwatch/status";
    let mut harness = Harness::new("", "");
    let mut after = |word: &str| {
        harness.publisher.on_connected(harness.start);
        harness.publisher.on_retained_message(&Message::retained(shared, word));
        let mut corrections = harness.due(0.0);
        corrections.retain(|message| message.topic == shared);
        assert_eq!(harness.due(0.0), [], "once");
        corrections
    };
    assert_eq!(after("offline"), [Message::clear_retained(shared)]);
    // Another service may be running and set it back; this one does not answer that again.
    assert_eq!(after("online"), [Message::retained(shared, "offline")]);
    assert_eq!(after("on"), [], "it belongs to another program");
    assert!(harness.publisher.retained_filters().concat().contains(&shared.to_owned()));
    assert!(!harness.publisher.status_filters().contains(&shared.to_owned()));
    let of_home_assistant = Harness::new("", "base_topic = \"homeassistant\"");
    assert!(
        !of_home_assistant.publisher.retained_filters().concat().contains(&"homeassistant/status".to_owned())
    );
}

#[test]
fn entities_left_behind_are_reported_and_later_taken_over() {
    let config = |number: usize, id: &str| {
        let state = id.replacen('_', "/", 1);
        let payload = format!("{{\"unique_id\": \"{id}\", \"state_topic\": \"pytes_serial/{state}\"}}");
        Message::retained(format!("homeassistant/sensor/pytes/{number}/config"), payload)
    };
    // Entities of a bank, of a battery, of an absent battery from two generations, and one beyond the level.
    let ids = ["pytes_soc", "pytes_soc_1", "pytes_soc_3", "pytes_soc_3", "pytes_soc_101"];
    let mut harness = Harness::new("", "");
    let connect = |harness: &mut Harness| {
        harness.publisher.on_connected(harness.start);
        ids.iter()
            .enumerate()
            .for_each(|(number, id)| harness.publisher.on_retained_message(&config(number, id)));
    };
    let bank: std::sync::Arc<str> = "pytes".into();
    let round = |harness: &mut Harness, report: &BankReport| {
        harness.report(report, 0.0);
        let round = harness.publisher.due(harness.start);
        (round.moved, round.left)
    };
    connect(&mut harness);
    assert_eq!(round(&mut harness, &full()), (vec![(bank.clone(), 2)], vec![(bank.clone(), 2)]));
    connect(&mut harness);
    assert_eq!(round(&mut harness, &full()).1, [], "as before");
    let three = report(SweepKind::Full, 3, 16);
    assert_eq!(round(&mut harness, &three), (vec![(bank.clone(), 1)], vec![(bank, 1)]));
}

#[test]
fn a_battery_added_later_is_announced() {
    let mut harness = Harness::settled("", "publish_interval = \"0s\"", &full());
    let messages = harness.messages_after(&report(SweepKind::Full, 3, 16), 10.0);
    assert!(topics(&messages).contains(&"homeassistant/device/pytes_battery_3/config"));
    assert!(topics(&messages).contains(&"bankwatch/pytes/battery/3/status"));
    let messages = harness.messages_after(&full(), 20.0);
    assert!(
        !topics(&messages).iter().any(|topic| topic.contains("/config")),
        "who goes is not taken back in silence"
    );
    assert_eq!(payload(&messages, "bankwatch/pytes/battery/3/status"), Some("offline"));
}

#[test]
fn legacy_entities_stay_enabled() {
    let mut harness = Harness::new("", "");
    harness.publisher.on_connected(harness.at(0.0));
    let id = "pytes_volt_st_203";
    harness.publisher.on_retained_message(&Message::retained(
        format!("homeassistant/sensor/pytes/{id}/config"),
        format!("{{\"uniq_id\":\"{id}\",\"stat_t\":\"pytes_serial/pytes/1/cells/2/volt_st\"}}"),
    ));
    let messages = harness.messages_after(&full(), 1.0);
    let cells = payload(&messages, "homeassistant/device/pytes_battery_2_cells/config").unwrap();
    let cells: serde_json::Value = serde_json::from_str(cells).unwrap();
    let is_off = |key: &str| cells["cmps"][key]["en"] == false;
    assert_eq!(["volt_st_203", "volt_st_204", "voltage_203"].map(is_off), [false, true, false]);
}

#[test]
fn a_battery_of_an_earlier_run_does_not_stay_online() {
    let mut harness = Harness::new("", "");
    harness.publisher.on_connected(harness.at(0.0));
    for place in 1..=4 {
        let topic = format!("bankwatch/pytes/battery/{place}/status");
        harness.publisher.on_retained_message(&Message::retained(topic, "online"));
    }
    let messages = harness.messages_after(&full(), 1.0);
    let status = |place| payload(&messages, &format!("bankwatch/pytes/battery/{place}/status"));
    assert_eq!([1, 2, 3, 4].map(status), [Some("online"), Some("online"), Some("offline"), Some("offline")]);
}

#[test]
fn shutdown_publishes_offline_for_everything() {
    let mut harness = Harness::settled("", "", &full());
    let last = harness.publisher.offline_messages();
    assert!(last.iter().all(|message| message.retained && message.payload == b"offline"));
    let battery = |place| format!("bankwatch/pytes/battery/{}/status", Place::new(place).unwrap());
    let service = "bankwatch/service/house/status";
    assert_eq!(topics(&last), [service, &battery(1), &battery(2), "bankwatch/pytes/status"]);
}

#[test]
fn without_discovery_nothing_is_announced() {
    let mut harness = Harness::new("", "discovery = false");
    harness.publisher.on_connected(harness.at(0.0));
    let messages = harness.messages_after(&full(), 1.0);
    assert!(topics(&messages).contains(&"bankwatch/pytes/state"));
    assert!(!topics(&messages).iter().any(|topic| topic.ends_with("/config")));
}

/// A publisher that has just announced what the report shows to a broker that retained these messages before.
fn announced_after(kept: &[Message], bank: &str, report: &BankReport) -> (Harness, Vec<Message>) {
    let mut harness = Harness::new(bank, "publish_interval = \"0s\"");
    harness.publisher.on_connected(harness.at(0.0));
    kept.iter().for_each(|message| harness.publisher.on_retained_message(message));
    let messages = configs(harness.messages_after(report, 1.0));
    (harness, messages)
}

fn configs(mut messages: Vec<Message>) -> Vec<Message> {
    messages.retain(|message| message.topic.ends_with("/config"));
    messages
}

/// What a broker retains after these messages.
fn retained(kept: &[Message], messages: &[Message]) -> Vec<Message> {
    let mut all: Vec<Message> = kept.to_vec();
    for message in messages.iter().filter(|message| message.retained) {
        all.retain(|old| old.topic != message.topic);
        all.extend((!message.payload.is_empty()).then(|| message.clone()));
    }
    all
}

/// The keys of a message's components, and whether it only removes them.
fn keys(message: &Message) -> (Vec<String>, bool) {
    let payload: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
    let components = payload["cmps"].as_object().unwrap();
    let removes = components.values().all(|config| config.as_object().unwrap().keys().eq(["p"]));
    (components.keys().cloned().collect(), removes && !message.retained)
}

/// The components that messages remove.
fn removed(messages: &[Message]) -> Vec<String> {
    let of_json = messages.iter().filter(|message| message.payload.starts_with(b"{\"avty"));
    of_json.map(keys).filter(|(_, removes)| *removes).flat_map(|(keys, _)| keys).collect()
}

#[test]
fn lowering_the_cell_level_removes_its_entities_once() {
    let (_, high) = announced_after(&[], "cells = \"high\"", &full());
    let kept = retained(&[], &high);
    assert_eq!((kept.len(), removed(&high).len()), (5, 0));
    let (mut harness, medium) = announced_after(&kept, "cells = \"medium\"", &full());
    let gone = removed(&medium);
    assert_eq!(gone.len(), 2 * 16 * 4, "soc, status, curr_st and temp_st of each cell");
    assert!(gone.contains(&"soc_216".to_owned()) && !gone.iter().any(|key| key.starts_with("volt")));
    let topic = "homeassistant/device/pytes_battery_1_cells/config";
    let of_cells: Vec<&Message> = medium.iter().filter(|message| message.topic == topic).collect();
    assert_eq!(of_cells.iter().map(|message| message.retained).collect::<Vec<_>>(), [false, true]);
    harness.publisher.on_ha_birth(harness.at(5.0));
    assert_eq!(removed(&configs(harness.due(5.0))).len(), 0, "once");
    let kept = retained(&kept, &medium);
    let (_, again) = announced_after(&kept, "cells = \"medium\"", &full());
    assert_eq!((again.len(), removed(&again).len()), (5, 0), "{again:?}");
    // Off: none of the entities is left.
    let (_, off) = announced_after(&kept, "cells = \"off\"", &full());
    assert_eq!(removed(&off), ["cell_voltage_delta"], "of the bank");
    let kept = retained(&kept, &off);
    assert!(kept.len() == 3 && !kept.iter().any(|message| message.topic.contains("_cells")), "{kept:?}");
}

#[test]
fn an_interrupted_removal_finishes_on_reconnect() {
    let kept = retained(&[], &announced_after(&[], "cells = \"high\"", &full()).1);
    let (_, whole) = announced_after(&kept, "cells = \"low\"", &full());
    let goal = retained(&kept, &whole);
    for sent in 0..whole.len() {
        let left = retained(&kept, &whole[..sent]);
        let (_, rest) = announced_after(&left, "cells = \"low\"", &full());
        assert_eq!(removed(&whole[..sent]).is_empty(), sent == 0);
        let missing = removed(&whole).into_iter().filter(|key| !removed(&whole[..sent]).contains(key));
        assert!(missing.into_iter().all(|key| removed(&rest).contains(&key)), "after {sent}");
        let mut end = retained(&left, &rest);
        end.sort_by_key(|message| goal.iter().position(|other| other.topic == message.topic));
        assert_eq!(end, goal, "after {sent}");
    }
}

#[test]
fn entities_not_seen_yet_are_not_removed() {
    let with_balancing = changed(SweepKind::Full, |reading| {
        for cell in reading.batteries.iter_mut().filter_map(|battery| battery.cells.as_mut()).flatten() {
            cell.balancing = Some(false);
        }
    });
    let kept = retained(&[], &announced_after(&[], "", &with_balancing).1);
    let unseen = changed(SweepKind::Full, |reading| {
        reading.batteries[0].cells = None;
        reading.batteries[1] = BatteryReading::empty(reading.batteries[1].place);
    });
    let (_, messages) = announced_after(&kept, "", &unseen);
    assert_eq!(removed(&messages), [""; 0]);
    assert!(
        messages.iter().all(|message| message.retained && !message.payload.is_empty()),
        "none is cleared"
    );
    assert_eq!(retained(&kept, &messages).len(), kept.len());
}

#[test]
fn an_absent_battery_keeps_the_entities_of_the_level() {
    let kept = retained(&[], &announced_after(&[], "cells = \"high\"", &full()).1);
    let absent = changed(SweepKind::Full, |reading| reading.batteries[1].presence = Presence::Absent);
    let (mut harness, messages) = announced_after(&kept, "cells = \"medium\"", &absent);
    assert!(removed(&messages).contains(&"soc_216".to_owned()));
    let left = retained(&kept, &messages);
    let topic = "homeassistant/device/pytes_battery_2_cells/config";
    let cells = keys(left.iter().find(|message| message.topic == topic).unwrap()).0;
    assert!(cells.contains(&"voltage_216".to_owned()) && !cells.contains(&"soc_216".to_owned()));
    let back = configs(harness.messages_after(&full(), 10.0));
    assert!(topics(&back).contains(&topic) && removed(&back).is_empty(), "it is back as it was");
}

#[test]
fn cells_that_no_longer_exist_are_removed_once_certain() {
    let kept = retained(&[], &announced_after(&[], "", &full()).1);
    let fewer = report(SweepKind::Full, 2, 15);
    let (mut harness, messages) = announced_after(&kept, "", &fewer);
    assert_eq!(removed(&messages), [""; 0], "a table may have lost its last row");
    let rounds: Vec<Vec<String>> = (2..40)
        .map(|turn| removed(&configs(harness.messages_after(&fewer, f64::from(turn) * 10.0))))
        .collect();
    let of_cell = |place| ["temperature", "volt_st", "voltage"].map(|stem| format!("{stem}_{place}16"));
    assert_eq!(rounds.iter().filter(|round| !round.is_empty()).count(), 1, "once");
    assert_eq!(rounds.concat(), [of_cell(1), of_cell(2)].concat());
    assert!(rounds[..15].iter().all(Vec::is_empty), "only once it persists");
    // One table that has lost its last rows, after a restart.
    let (mut harness, _) = announced_after(&kept, "", &fewer);
    let later =
        (2..40).map(|turn| removed(&configs(harness.messages_after(&full(), f64::from(turn) * 10.0))));
    assert_eq!(later.collect::<Vec<_>>().concat(), [""; 0]);
}

#[test]
fn only_own_entities_of_other_versions_are_removed() {
    let ours = r#"{"avty":[],"cmps":{"lowest_cell":{"p":"sensor","uniq_id":"pytes_lowest_cell"},
        "voltage":{"p":"sensor","uniq_id":"pytes_voltage"}},"dev":{"ids":["pytes"]},"o":{"name":"bankwatch"}}"#;
    let kept = [
        Message::retained("homeassistant/device/pytes_bank/config", ours),
        Message::retained("homeassistant/device/pytes_battery_7/config", ours.replace("bankwatch", "other")),
        Message::retained("homeassistant/device/roof_bank/config", ours),
    ];
    let (_, messages) = announced_after(&kept, "", &full());
    assert_eq!(removed(&messages), ["lowest_cell"]);
    assert_eq!(retained(&kept, &messages)[..2], kept[1..]);
}

#[test]
fn entities_that_change_message_are_released_not_removed() {
    let long = report(SweepKind::Full, 1, 200);
    let kept = retained(&[], &announced_after(&[], "cells = \"high\"", &long).1);
    let part = |number| format!("homeassistant/device/pytes_battery_1_cells_{number}/config");
    assert!(kept.iter().any(|message| message.topic == part(3)));
    // At level low all cells fit into fewer messages.
    let (_, messages) = announced_after(&kept, "cells = \"low\"", &long);
    let gone = removed(&messages);
    assert!(gone.iter().all(|key| !key.starts_with("voltage_1") || key.len() < 12), "{gone:?}");
    let at = |wanted: &dyn Fn(&Message) -> bool| messages.iter().position(wanted);
    let is_release = |message: &Message| message.payload == b"{\"migrate_discovery\":true}";
    let release = at(&|message| message.topic == part(3) && is_release(message)).expect("it is released");
    let announced = at(&|message| message.topic.ends_with("_1_cells/config") && message.retained).unwrap();
    let cleared =
        at(&|message| message.topic == part(3) && message.payload.is_empty()).expect("it is cleared");
    assert!(release < announced && announced < cleared);
    let last = &messages[cleared - 1];
    assert!(
        last.topic == part(3) && !last.retained && keys(last).0 == ["released"],
        "not cleared without entities"
    );
    let left = retained(&kept, &messages);
    let (_, again) = announced_after(&left, "cells = \"low\"", &long);
    assert!(again.iter().all(|message| message.retained && !message.payload.is_empty()), "it is done");
}
