//! When restarting does not help: an output is failed and tried again, a chain asks for the process's end,
//! a blocked thread is named. The health snapshot and the log tell it all.

use std::sync::mpsc;

use bankwatch::internals::supervise::{ChildSpec, ChildState, FatalFailure, Role, SupervisionPolicy};
use support::faulty_actor::{Chart, Do, LONG, Patient, brisk, ms, pinged, restarts, state, supervised};
use support::until::until;
use tokio::time::timeout;

/// Two panics are forgiven.
fn strict() -> SupervisionPolicy {
    SupervisionPolicy { panic_budget: (2, LONG), failed_retry_interval: ms(100), ..brisk() }
}

#[test]
fn a_spent_panic_budget_makes_an_output_failed_and_it_is_tried_again() {
    let policy = SupervisionPolicy { healthy_after: ms(50), ..strict() };
    supervised(policy, async |mut supervisor, lines| {
        let (chart, health) = (Chart::new(), supervisor.health());
        let patient = supervisor.start_child(ChildSpec::new("db"), Patient::new(&chart)).unwrap();
        for _ in 0..3 {
            assert!(patient.send(Do::Panic).await.is_err());
        }
        until(LONG, || state(&health, "db") == ChildState::Failed { retry_after_ms: Some(100) }).await;
        assert_eq!(patient.send(Do::Note(1)).await.unwrap(), 1, "tried again, with its mailbox");
        until(LONG, || lines.containing("actor running again").len() == 1).await;
        assert_eq!(state(&health, "db"), ChildState::Running);
        let told = lines.containing("actor failed");
        assert_eq!(told, ["ERRO actor failed actor=db reason=panicked: as told restarts=3 retry=100ms"]);
    });
}

#[test]
fn an_actor_that_gives_up_is_failed_at_once() {
    supervised(strict(), async |mut supervisor, lines| {
        let (chart, health) = (Chart::new(), supervisor.health());
        let patient = supervisor.start_child(ChildSpec::new("db"), Patient::new(&chart)).unwrap();
        patient.send(Do::GiveUp).await.unwrap();
        until(LONG, || lines.containing("actor failed").len() == 1).await;
        assert!(lines.containing("actor failed")[0].contains("reason=gave up: no thread left"));
        assert_eq!(restarts(&health, "db"), 1);
        assert_eq!(patient.send(Do::Note(1)).await.unwrap(), 1);
    });
}

#[test]
fn a_spent_panic_budget_of_the_chain_asks_for_the_end_of_the_process_and_says_why() {
    supervised(strict(), async |mut supervisor, lines| {
        let (chart, health, fatal) = (Chart::new(), supervisor.health(), supervisor.fatal());
        let child = ChildSpec::new("serial").role(Role::Critical);
        let patient = supervisor.start_child(child, Patient::new(&chart)).unwrap();
        for _ in 0..3 {
            assert!(patient.send(Do::Panic).await.is_err());
        }
        let fatal = timeout(LONG, fatal).await.unwrap();
        assert_eq!(fatal.to_string(), "serial can't go on in this process: panicked: as told");
        assert_eq!(FatalFailure::EXIT_CODE, 70);
        assert_eq!(state(&health, "serial"), ChildState::Failed { retry_after_ms: None });
        assert_eq!(lines.containing("CRIT").len(), 1);
        assert_eq!(chart.starts(), 3, "there is never a second owner of a port");
    });
}

#[test]
fn a_blocked_output_is_found_and_named_the_others_go_on_and_it_comes_back() {
    supervised(pinged(), async |mut supervisor, lines| {
        let (chart, health) = (Chart::new(), supervisor.health());
        let mqtt = supervisor.start_child(ChildSpec::new("mqtt"), Patient::new(&chart)).unwrap();
        let db = supervisor.start_child(ChildSpec::new("db"), Patient::new(&chart)).unwrap();
        let (release, released) = mpsc::channel();
        db.try_send(Do::Block(released)).unwrap();
        until(LONG, || state(&health, "db") == ChildState::Blocked).await;
        let trouble = health.borrow().child("db").unwrap().last_failure.clone();
        assert_eq!(trouble.as_deref(), Some("thread blocked by db"));
        assert_eq!(
            lines.containing("actor failed"),
            ["ERRO actor failed actor=db reason=thread blocked by db"]
        );
        assert_eq!(mqtt.send(Do::Note(1)).await.unwrap(), 1);
        assert_eq!((state(&health, "mqtt"), restarts(&health, "mqtt")), (ChildState::Running, 0));

        drop(release);
        until(LONG, || state(&health, "db") == ChildState::Running).await;
        assert_eq!(db.send(Do::Note(2)).await.unwrap(), 1);
        assert_eq!(chart.starts(), 2, "nothing was wrong with the actor itself");
        until(LONG, || lines.containing("actor running again").len() == 1).await;
    });
}

#[test]
fn a_blocked_chain_asks_for_the_end_of_the_process_and_names_who_blocks() {
    supervised(pinged(), async |mut supervisor, _| {
        let chart = Chart::new();
        let fatal = supervisor.fatal();
        let mut keep = |name| {
            let child = ChildSpec::new(name).role(Role::Critical).arbiter("bank pytes");
            supervisor.start_child(child, Patient::new(&chart)).unwrap()
        };
        let (_serial, stats) = (keep("serial"), keep("stats"));
        let (_release, released) = mpsc::channel();
        stats.try_send(Do::Block(released)).unwrap();
        assert_eq!(timeout(LONG, fatal).await.unwrap().reason, "thread blocked by stats");
    });
}

#[test]
fn an_output_whose_constructor_panics_is_failed_and_disturbs_nobody() {
    supervised(brisk(), async |mut supervisor, _| {
        let (chart, health) = (Chart::new(), supervisor.health());
        let _db = supervisor
            .start_child::<Patient, _>(ChildSpec::new("db").arbiter("both"), |_| panic!("no such key"));
        let mqtt =
            supervisor.start_child(ChildSpec::new("mqtt").arbiter("both"), Patient::new(&chart)).unwrap();
        assert_eq!(mqtt.send(Do::Note(1)).await.unwrap(), 1);
        assert_eq!(state(&health, "db"), ChildState::Failed { retry_after_ms: None });
        let trouble = health.borrow().child("db").unwrap().last_failure.clone();
        assert_eq!(trouble.as_deref(), Some("constructor panicked: no such key"));
        assert!(supervisor.shutdown(Vec::new(), LONG).await.is_clean());
    });
}

#[test]
fn a_chain_that_panics_when_nobody_holds_its_address_does_not_end_in_silence() {
    supervised(brisk(), async |mut supervisor, _| {
        let (chart, health, fatal) = (Chart::new(), supervisor.health(), supervisor.fatal());
        let child = ChildSpec::new("serial").role(Role::Critical);
        let patient = supervisor.start_child(child, Patient::new(&chart)).unwrap();
        patient.try_send(Do::Panic).unwrap();
        drop(patient);
        let fatal = timeout(LONG, fatal).await.unwrap();
        assert_eq!(fatal.reason, "panicked: as told; not restarted because its address was dropped");
        until(LONG, || state(&health, "serial") == ChildState::Ended).await;
    });
}

#[test]
fn the_health_snapshot_tells_it_all() {
    let policy = SupervisionPolicy { initial_backoff: LONG, max_backoff: LONG, ..brisk() };
    supervised(policy, async |mut supervisor, _| {
        let (chart, health) = (Chart::new(), supervisor.health());
        let serial = ChildSpec::new("serial").role(Role::Critical);
        let _serial = supervisor.start_child(serial, Patient::new(&chart)).unwrap();
        let db = supervisor.start_child(ChildSpec::new("db"), Patient::new(&chart)).unwrap();
        until(LONG, || health.borrow().all_running()).await;
        assert!(db.send(Do::Panic).await.is_err());
        until(LONG, || restarts(&health, "db") == 1).await;

        let json = serde_json::to_value(&*health.borrow()).unwrap();
        let (serial, db) = (&json["children"][0], &json["children"][1]);
        assert_eq!([&serial["name"], &serial["role"], &serial["state"]], ["serial", "chain", "running"]);
        assert!(serial["last_failure"].is_null());
        assert_eq!((&db["role"], &db["state"]), (&"output".into(), &"restarting".into()));
        assert_eq!((&db["restarts"], &db["last_failure"]), (&1.into(), &"panicked: as told".into()));
        assert!((15_000..=20_000).contains(&db["retry_after_ms"].as_u64().unwrap()));
        assert!(db["since"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    });
}
