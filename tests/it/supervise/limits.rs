//! When restarting does not help: an output fails and is retried later, a chain requests the end of the process,
//! a blocked thread is named. Each case shows in the health snapshot and the log.

use std::sync::mpsc;

use bankwatch::internals::supervise::{ChildSpec, ChildState, FatalFailure, Role, SupervisionPolicy};
use support::faulty_actor::{Do, FaultyActor, LONG, Probe, brisk, ms, pinged, restarts, state, supervised};
use support::until::until;
use tokio::time::timeout;

/// Allows two panics.
fn strict() -> SupervisionPolicy {
    SupervisionPolicy { panic_budget: (2, LONG), failed_retry_interval: ms(100), ..brisk() }
}

#[test]
fn an_exhausted_panic_budget_fails_an_output_and_retries_it() {
    let policy = SupervisionPolicy { healthy_after: ms(50), ..strict() };
    supervised(policy, async |mut supervisor, lines| {
        let (probe, health) = (Probe::new(), supervisor.health());
        let actor = supervisor.start_child(ChildSpec::new("db"), FaultyActor::new(&probe)).unwrap();
        for _ in 0..3 {
            assert!(actor.send(Do::Panic).await.is_err());
        }
        until(LONG, || state(&health, "db") == ChildState::Failed { retry_after_ms: Some(100) }).await;
        assert_eq!(actor.send(Do::Note(1)).await.unwrap(), 1, "retried with its mailbox intact");
        until(LONG, || lines.containing("actor running again").len() == 1).await;
        assert_eq!(state(&health, "db"), ChildState::Running);
        let logged = lines.containing("actor failed");
        assert_eq!(
            logged,
            ["ERRO actor failed actor=db reason=panicked: as requested restarts=3 retry=100ms"]
        );
    });
}

#[test]
fn an_actor_that_gives_up_fails_at_once() {
    supervised(strict(), async |mut supervisor, lines| {
        let (probe, health) = (Probe::new(), supervisor.health());
        let actor = supervisor.start_child(ChildSpec::new("db"), FaultyActor::new(&probe)).unwrap();
        actor.send(Do::GiveUp).await.unwrap();
        until(LONG, || lines.containing("actor failed").len() == 1).await;
        assert!(lines.containing("actor failed")[0].contains("reason=gave up: no thread left"));
        assert_eq!(restarts(&health, "db"), 1);
        assert_eq!(actor.send(Do::Note(1)).await.unwrap(), 1);
    });
}

#[test]
fn an_exhausted_panic_budget_of_a_chain_is_fatal_with_its_reason() {
    supervised(strict(), async |mut supervisor, lines| {
        let (probe, health, fatal) = (Probe::new(), supervisor.health(), supervisor.fatal());
        let child = ChildSpec::new("serial").role(Role::Critical);
        let actor = supervisor.start_child(child, FaultyActor::new(&probe)).unwrap();
        for _ in 0..3 {
            assert!(actor.send(Do::Panic).await.is_err());
        }
        let fatal = timeout(LONG, fatal).await.unwrap();
        assert_eq!(
            fatal.to_string(),
            "serial failed permanently (panicked: as requested); exiting with status 70 so that the service \
             manager restarts the process"
        );
        assert_eq!(FatalFailure::EXIT_CODE, 70);
        assert_eq!(state(&health, "serial"), ChildState::Failed { retry_after_ms: None });
        assert_eq!(lines.containing("CRIT").len(), 1);
        assert_eq!(probe.starts(), 3, "a port never has two owners");
    });
}

#[test]
fn a_blocked_output_is_named_and_recovers_without_affecting_others() {
    supervised(pinged(), async |mut supervisor, lines| {
        let (probe, health) = (Probe::new(), supervisor.health());
        let mqtt = supervisor.start_child(ChildSpec::new("mqtt"), FaultyActor::new(&probe)).unwrap();
        let db = supervisor.start_child(ChildSpec::new("db"), FaultyActor::new(&probe)).unwrap();
        let (release, released) = mpsc::channel();
        db.try_send(Do::Block(released)).unwrap();
        until(LONG, || state(&health, "db") == ChildState::Blocked).await;
        let failure = health.borrow().child("db").unwrap().last_failure.clone();
        assert_eq!(failure.as_deref(), Some("thread blocked by db"));
        assert_eq!(
            lines.containing("actor failed"),
            ["ERRO actor failed actor=db reason=thread blocked by db"]
        );
        assert_eq!(mqtt.send(Do::Note(1)).await.unwrap(), 1);
        assert_eq!((state(&health, "mqtt"), restarts(&health, "mqtt")), (ChildState::Running, 0));

        drop(release);
        until(LONG, || state(&health, "db") == ChildState::Running).await;
        assert_eq!(db.send(Do::Note(2)).await.unwrap(), 1);
        assert_eq!(probe.starts(), 2, "nothing was wrong with the actor itself");
        until(LONG, || lines.containing("actor running again").len() == 1).await;
    });
}

#[test]
fn a_blocked_chain_is_fatal_and_names_the_blocking_actor() {
    supervised(pinged(), async |mut supervisor, _| {
        let probe = Probe::new();
        let fatal = supervisor.fatal();
        let mut start = |name| {
            let child = ChildSpec::new(name).role(Role::Critical).arbiter("bank pytes");
            supervisor.start_child(child, FaultyActor::new(&probe)).unwrap()
        };
        let (_serial, stats) = (start("serial"), start("stats"));
        let (_release, released) = mpsc::channel();
        stats.try_send(Do::Block(released)).unwrap();
        assert_eq!(timeout(LONG, fatal).await.unwrap().reason, "thread blocked by stats");
    });
}

#[test]
fn an_output_with_a_panicking_constructor_fails_alone() {
    supervised(brisk(), async |mut supervisor, _| {
        let (probe, health) = (Probe::new(), supervisor.health());
        let _db = supervisor
            .start_child::<FaultyActor, _>(ChildSpec::new("db").arbiter("both"), |_| panic!("no such key"));
        let mqtt =
            supervisor.start_child(ChildSpec::new("mqtt").arbiter("both"), FaultyActor::new(&probe)).unwrap();
        assert_eq!(mqtt.send(Do::Note(1)).await.unwrap(), 1);
        assert_eq!(state(&health, "db"), ChildState::Failed { retry_after_ms: None });
        let failure = health.borrow().child("db").unwrap().last_failure.clone();
        assert_eq!(failure.as_deref(), Some("constructor panicked: no such key"));
        assert!(supervisor.shutdown(Vec::new(), LONG).await.is_clean());
    });
}

#[test]
fn a_panicking_chain_without_addresses_is_fatal() {
    supervised(brisk(), async |mut supervisor, _| {
        let (probe, health, fatal) = (Probe::new(), supervisor.health(), supervisor.fatal());
        let child = ChildSpec::new("serial").role(Role::Critical);
        let actor = supervisor.start_child(child, FaultyActor::new(&probe)).unwrap();
        actor.try_send(Do::Panic).unwrap();
        drop(actor);
        let fatal = timeout(LONG, fatal).await.unwrap();
        assert_eq!(fatal.reason, "panicked: as requested; not restarted because its address was dropped");
        until(LONG, || state(&health, "serial") == ChildState::Ended).await;
    });
}

#[test]
fn the_health_snapshot_has_state_restarts_and_last_failure() {
    let policy = SupervisionPolicy { initial_backoff: LONG, max_backoff: LONG, ..brisk() };
    supervised(policy, async |mut supervisor, _| {
        let (probe, health) = (Probe::new(), supervisor.health());
        let serial = ChildSpec::new("serial").role(Role::Critical);
        let _serial = supervisor.start_child(serial, FaultyActor::new(&probe)).unwrap();
        let db = supervisor.start_child(ChildSpec::new("db"), FaultyActor::new(&probe)).unwrap();
        until(LONG, || health.borrow().all_running()).await;
        assert!(db.send(Do::Panic).await.is_err());
        until(LONG, || restarts(&health, "db") == 1).await;

        let json = serde_json::to_value(&*health.borrow()).unwrap();
        let (serial, db) = (&json["children"][0], &json["children"][1]);
        assert_eq!([&serial["name"], &serial["role"], &serial["state"]], ["serial", "critical", "running"]);
        assert!(serial["last_failure"].is_null());
        assert_eq!((&db["role"], &db["state"]), (&"isolated".into(), &"restarting".into()));
        assert_eq!((&db["restarts"], &db["last_failure"]), (&1.into(), &"panicked: as requested".into()));
        assert!((15_000..=20_000).contains(&db["retry_after_ms"].as_u64().unwrap()));
        assert!(db["since"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    });
}
