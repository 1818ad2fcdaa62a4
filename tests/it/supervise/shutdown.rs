//! Shutdown has an order and a deadline, and names late and stuck children.

use std::process::Command;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Instant;

use bankwatch::internals::supervise::{
    ChildSpec, ChildState, Flush, LateChild, Role, ShutdownPhase, Signal, SupervisionPolicy, signals,
};
use support::faulty_actor::{
    Do, FLUSHED, FaultyActor, LONG, Probe, brisk, ms, pinged, restarts, state, supervised,
};
use support::own_process;
use support::until::until;
use tokio::time::timeout;

#[test]
fn queued_messages_precede_the_flush_and_every_child_stops() {
    supervised(brisk(), async |mut supervisor, lines| {
        let (source, output) = (Probe::new(), Probe::new());
        let health = supervisor.health();
        let serial = ChildSpec::new("serial").role(Role::Critical);
        let _serial = supervisor.start_child(serial, FaultyActor::new(&source)).unwrap();
        let db = supervisor.start_child(ChildSpec::new("db"), FaultyActor::new(&output)).unwrap();
        until(LONG, || health.borrow().all_running()).await;
        let sink = db.clone().recipient::<Do>();
        for number in 1..=3 {
            sink.try_send(Do::Note(number)).unwrap();
        }
        let phases = vec![
            ShutdownPhase::end(["serial"]),
            ShutdownPhase::flush([("db", db.clone().recipient::<Flush>())]),
            ShutdownPhase::end(["db"]),
        ];
        let report = supervisor.shutdown(phases, LONG).await;
        assert!(report.is_clean(), "{report:?}");
        assert_eq!(output.notes(), [1, 2, 3, FLUSHED]);
        assert_eq!(source.stops.load(Ordering::SeqCst), 1);
        assert_eq!(output.stops.load(Ordering::SeqCst), 1);
        assert_eq!((state(&health, "serial"), state(&health, "db")), (ChildState::Ended, ChildState::Ended));
        assert!(lines.containing("").is_empty(), "an orderly shutdown logs nothing");
        assert!(!db.connected());
    });
}

#[test]
fn children_in_no_phase_are_ended_last() {
    supervised(brisk(), async |mut supervisor, _| {
        let (probe, health) = (Probe::new(), supervisor.health());
        let _db = supervisor.start_child(ChildSpec::new("db"), FaultyActor::new(&probe)).unwrap();
        assert!(supervisor.shutdown(Vec::new(), LONG).await.is_clean());
        assert_eq!(state(&health, "db"), ChildState::Ended);
    });
}

#[test]
fn a_shutdown_names_late_and_stuck_children_within_its_deadline() {
    supervised(pinged(), async |mut supervisor, lines| {
        let (probe, health) = (Probe::new(), supervisor.health());
        let db = supervisor.start_child(ChildSpec::new("db"), FaultyActor::new(&probe)).unwrap();
        let mqtt = supervisor.start_child(ChildSpec::new("mqtt"), FaultyActor::new(&probe)).unwrap();
        let http = supervisor.start_child(ChildSpec::new("http"), FaultyActor::new(&probe)).unwrap();
        until(LONG, || health.borrow().all_running()).await;
        let (release, released) = mpsc::channel();
        db.try_send(Do::Block(released)).unwrap();
        mqtt.try_send(Do::Hang).unwrap();
        let phases = vec![
            ShutdownPhase::flush([
                ("db", db.recipient()),
                ("mqtt", mqtt.recipient()),
                ("http", http.recipient::<Flush>()),
            ]),
            ShutdownPhase::end(["db", "mqtt", "http"]),
        ];
        let start = Instant::now();
        let report = supervisor.shutdown(phases, ms(1000)).await;
        assert!(start.elapsed() < ms(1500), "{:?}", start.elapsed());
        let late = |actor: &str, part| LateChild { actor: actor.into(), part };
        assert_eq!(report.late, [late("db", "flush"), late("mqtt", "flush"), late("db", "end")]);
        assert_eq!(report.blocked, ["db"]);
        assert_eq!(probe.notes(), [FLUSHED], "a late child does not keep the others from flushing");
        assert_eq!(restarts(&health, "mqtt"), 0, "a child busy during shutdown is not restarted");
        assert_eq!(lines.containing("thread left behind actor=db").len(), 1);
        drop(release);
    });
}

#[test]
fn a_child_in_backoff_is_woken_to_flush() {
    let policy = SupervisionPolicy { initial_backoff: LONG * 10, max_backoff: LONG * 10, ..brisk() };
    supervised(policy, async |mut supervisor, _| {
        let (probe, health) = (Probe::new(), supervisor.health());
        let db = supervisor.start_child(ChildSpec::new("db"), FaultyActor::new(&probe)).unwrap();
        assert!(db.send(Do::Panic).await.is_err());
        until(LONG, || restarts(&health, "db") == 1).await;
        let sink = db.clone().recipient::<Do>();
        sink.try_send(Do::Note(1)).unwrap();
        let phases = vec![ShutdownPhase::flush([("db", db.recipient::<Flush>())])];
        assert!(supervisor.shutdown(phases, LONG).await.is_clean());
        assert_eq!(probe.notes(), [1, FLUSHED]);
    });
}

#[test]
fn a_child_in_backoff_ends_at_once() {
    let policy = SupervisionPolicy { initial_backoff: LONG * 10, max_backoff: LONG * 10, ..brisk() };
    supervised(policy, async |mut supervisor, _| {
        let (probe, health) = (Probe::new(), supervisor.health());
        let db = supervisor.start_child(ChildSpec::new("db"), FaultyActor::new(&probe)).unwrap();
        assert!(db.send(Do::Panic).await.is_err());
        until(LONG, || restarts(&health, "db") == 1).await;
        assert!(supervisor.shutdown(vec![ShutdownPhase::end(["db"])], LONG).await.is_clean());
        assert_eq!(probe.starts(), 1, "it is not started in order to be stopped");
    });
}

#[test]
fn signals_are_distinguished() {
    if !own_process::is_alone(concat!(module_path!(), "::signals_are_distinguished")) {
        return;
    }
    supervised(brisk(), async |_, _| {
        let mut signals = signals().unwrap();
        for (name, signal) in
            [("HUP", Signal::Hangup), ("TERM", Signal::Terminate), ("INT", Signal::Interrupt)]
        {
            let command = format!("kill -{name} {}", std::process::id());
            assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
            assert_eq!(timeout(LONG, signals.next()).await.unwrap(), signal);
            assert_eq!(signal.to_string(), format!("SIG{name}"));
        }
    });
}
