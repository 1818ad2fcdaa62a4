//! A failing actor is restarted in place: its addresses and mailbox stay valid, and other actors keep running.

use std::sync::atomic::Ordering;
use std::time::Instant;

use actix::Addr;
use bankwatch::internals::supervise::{ChildSpec, ChildState, SupervisionPolicy};
use support::faulty_actor::{
    Do, FaultyActor, LONG, Probe, WhichThread, brisk, ms, pinged, restarts, state, supervised,
};
use support::until::until;
use tokio::time::timeout;

/// Makes the actor fail with messages queued behind the failure, and expects all of them to be handled after the
/// restart.
async fn assert_restarted_by(action: Do, actor: &Addr<FaultyActor>, probe: &Probe) {
    assert_eq!(actor.send(Do::Note(1)).await.unwrap(), 1);
    let starts = probe.starts();
    let recipient = actor.clone().recipient::<Do>();
    recipient.try_send(action).unwrap();
    for number in 2..=5 {
        recipient.try_send(Do::Note(number)).unwrap();
    }
    until(LONG, || probe.notes().len() == 5).await;
    assert_eq!(probe.notes(), [1, 2, 3, 4, 5]);
    assert_eq!(probe.starts(), starts + 1);
    assert_eq!(actor.send(Do::Note(6)).await.unwrap(), 5, "the note before the restart is not counted");
}

#[test]
fn a_panic_restarts_in_place_and_queued_messages_survive() {
    supervised(brisk(), async |mut supervisor, lines| {
        let probe = Probe::new();
        let actor = supervisor.start_child(ChildSpec::new("db"), FaultyActor::new(&probe)).unwrap();
        assert_restarted_by(Do::Panic, &actor, &probe).await;
        let logged = lines.containing("actor restarted");
        assert_eq!(logged.len(), 1);
        assert!(logged[0].starts_with("ERRO actor restarted actor=db backoff="), "{logged:?}");
        assert!(logged[0].ends_with("ms reason=panicked: as requested restarts=1"), "{logged:?}");
    });
}

#[test]
fn a_stop_restarts_in_place_and_queued_messages_survive() {
    supervised(brisk(), async |mut supervisor, lines| {
        let probe = Probe::new();
        let actor = supervisor.start_child(ChildSpec::new("db"), FaultyActor::new(&probe)).unwrap();
        assert_restarted_by(Do::Stop, &actor, &probe).await;
        let logged = lines.containing("actor restarted");
        assert!(logged[0].starts_with("WARN") && logged[0].contains("reason=stopped"), "{logged:?}");
    });
}

#[test]
fn a_hang_restarts_in_place_and_queued_messages_survive() {
    supervised(pinged(), async |mut supervisor, lines| {
        let probe = Probe::new();
        let actor = supervisor.start_child(ChildSpec::new("db"), FaultyActor::new(&probe)).unwrap();
        assert_restarted_by(Do::Hang, &actor, &probe).await;
        let logged = lines.containing("actor restarted");
        assert!(logged[0].contains("reason=hung: no answer within 500ms"), "{logged:?}");
    });
}

#[test]
fn a_failing_start_is_tried_again_and_queued_messages_survive() {
    supervised(brisk(), async |mut supervisor, lines| {
        let probe = Probe::new();
        probe.failing_starts.store(3, Ordering::SeqCst);
        let actor = supervisor.start_child(ChildSpec::new("db"), FaultyActor::new(&probe)).unwrap();
        assert_eq!(actor.send(Do::Note(7)).await.unwrap(), 1);
        assert_eq!(probe.starts(), 4);
        let logged = lines.containing("actor restarted");
        // Unescaped: the log escapes the text, and it must not be escaped twice.
        assert!(logged[0].contains("reason=stopped while starting: no such\ndirectory"), "{logged:?}");
    });
}

#[test]
fn a_panic_while_restarting_counts_as_another_failure() {
    supervised(brisk(), async |mut supervisor, lines| {
        let probe = Probe::new();
        probe.panicking_restarts.store(2, Ordering::SeqCst);
        let actor = supervisor.start_child(ChildSpec::new("db"), FaultyActor::new(&probe)).unwrap();
        assert_restarted_by(Do::Panic, &actor, &probe).await;
        assert!(lines.containing("restarts=2")[0].contains("reason=panicked: while restarting"));
    });
}

#[test]
fn a_sender_of_a_lost_message_gets_an_error() {
    supervised(brisk(), async |mut supervisor, _| {
        let probe = Probe::new();
        let actor = supervisor.start_child(ChildSpec::new("db"), FaultyActor::new(&probe)).unwrap();
        assert!(actor.send(Do::Panic).await.is_err());
        assert_eq!(actor.send(Do::Note(1)).await.unwrap(), 1);
    });
}

#[test]
fn the_mailbox_still_bounds_a_sender_while_paused() {
    let policy = SupervisionPolicy { initial_backoff: LONG, max_backoff: LONG, ..brisk() };
    supervised(policy, async |mut supervisor, _| {
        let (probe, health) = (Probe::new(), supervisor.health());
        let child = ChildSpec::new("db").capacity(4);
        let actor = supervisor.start_child(child, FaultyActor::new(&probe)).unwrap();
        assert!(actor.send(Do::Panic).await.is_err());
        until(LONG, || matches!(state(&health, "db"), ChildState::Restarting { .. })).await;
        let recipient = actor.recipient::<Do>();
        let taken = (0..100).filter(|&number| recipient.try_send(Do::Note(number)).is_ok()).count();
        assert_eq!(taken, 4);
    });
}

#[test]
fn other_actors_on_any_arbiter_keep_running() {
    supervised(brisk(), async |mut supervisor, _| {
        let probe = Probe::new();
        let health = supervisor.health();
        let mut start = |child| supervisor.start_child(child, FaultyActor::new(&probe)).unwrap();
        let faulty = start(ChildSpec::new("faulty").arbiter("chain"));
        let neighbour = start(ChildSpec::new("neighbour").arbiter("chain"));
        let elsewhere = start(ChildSpec::new("elsewhere").own_arbiter());
        let thread = neighbour.send(WhichThread).await.unwrap();
        assert_eq!(faulty.send(WhichThread).await.unwrap(), thread);
        assert_ne!(elsewhere.send(WhichThread).await.unwrap(), thread);
        for round in 1..=5 {
            assert!(faulty.send(Do::Panic).await.is_err());
            assert_eq!(neighbour.send(Do::Note(1)).await.unwrap(), round);
            assert_eq!(elsewhere.send(Do::Note(1)).await.unwrap(), round);
        }
        assert_eq!((restarts(&health, "neighbour"), restarts(&health, "elsewhere")), (0, 0));
    });
}

#[test]
fn backoff_doubles_is_capped_and_resets_after_a_healthy_period() {
    let policy = SupervisionPolicy { healthy_after: ms(300), ..brisk() };
    supervised(policy, async |mut supervisor, lines| {
        let probe = Probe::new();
        probe.failing_starts.store(5, Ordering::SeqCst);
        let actor = supervisor.start_child(ChildSpec::new("db"), FaultyActor::new(&probe)).unwrap();
        until(LONG, || lines.containing("actor running again").len() == 1).await;
        assert!(lines.containing("actor running again")[0].starts_with("INFO"));
        actor.try_send(Do::Stop).unwrap();
        until(LONG, || lines.containing("restarts=6").len() == 1).await;
        // Repeats are throttled: of five failing starts only the 1st, 2nd and 4th are logged.
        for (restart, full) in [(1, 10), (2, 20), (4, 40), (6, 10)] {
            let line = lines.containing(&format!("restarts={restart}")).remove(0);
            let is_within = |pause: &u64| line.contains(&format!("backoff={pause}ms"));
            assert!((full * 3 / 4..=full).any(|pause| is_within(&pause)), "{line}");
        }
    });
}

#[test]
fn an_actor_that_always_stops_in_started_does_not_starve_its_thread() {
    let policy = SupervisionPolicy { initial_backoff: ms(0), max_backoff: ms(0), ..brisk() };
    supervised(policy, async |mut supervisor, lines| {
        let (faulty, healthy) = (Probe::new(), Probe::new());
        faulty.failing_starts.store(u32::MAX, Ordering::SeqCst);
        let child = ChildSpec::new("faulty").arbiter("both");
        let _faulty = supervisor.start_child(child, FaultyActor::new(&faulty)).unwrap();
        let child = ChildSpec::new("healthy").arbiter("both");
        let healthy = supervisor.start_child(child, FaultyActor::new(&healthy)).unwrap();
        for number in 1..=100 {
            let answer = timeout(LONG, healthy.send(Do::Note(number))).await.unwrap();
            assert_eq!(answer.unwrap(), number);
        }
        until(LONG, || faulty.starts() > 20).await;
        let (logged, starts) = (lines.containing("actor restarted").len(), faulty.starts() as usize);
        assert!(logged <= 7 + starts / 64, "{logged} lines about {starts} starts");
    });
}

#[test]
fn backoff_keeps_a_failing_start_from_busy_looping() {
    let policy = SupervisionPolicy { initial_backoff: ms(20), max_backoff: ms(20), ..brisk() };
    supervised(policy, async |mut supervisor, _| {
        let probe = Probe::new();
        probe.failing_starts.store(u32::MAX, Ordering::SeqCst);
        let start_time = Instant::now();
        let _actor = supervisor.start_child(ChildSpec::new("db"), FaultyActor::new(&probe)).unwrap();
        until(LONG, || probe.starts() >= 10).await;
        assert!(start_time.elapsed() >= ms(9 * 15), "ten starts in {:?}", start_time.elapsed());
    });
}

#[test]
fn a_child_ends_when_its_last_address_is_dropped() {
    supervised(brisk(), async |mut supervisor, lines| {
        let probe = Probe::new();
        let health = supervisor.health();
        let actor = supervisor.start_child(ChildSpec::new("db"), FaultyActor::new(&probe)).unwrap();
        actor.send(Do::Note(1)).await.unwrap();
        drop(actor);
        until(LONG, || state(&health, "db") == ChildState::Ended).await;
        assert_eq!((probe.starts(), restarts(&health, "db")), (1, 0));
        assert!(lines.containing("").is_empty(), "a requested end is not logged");
    });
}

#[test]
fn a_dropped_supervisor_ends_its_children() {
    supervised(brisk(), async |mut supervisor, _| {
        let (probe, health) = (Probe::new(), supervisor.health());
        let actor = supervisor.start_child(ChildSpec::new("db"), FaultyActor::new(&probe)).unwrap();
        actor.send(Do::Note(1)).await.unwrap();
        drop(supervisor);
        until(LONG, || !actor.connected()).await;
        assert_eq!(state(&health, "db"), ChildState::Ended);
        assert_eq!(probe.stops.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn an_actor_that_answers_pings_is_not_restarted() {
    supervised(pinged(), async |mut supervisor, _| {
        let probe = Probe::new();
        let health = supervisor.health();
        let actor = supervisor.start_child(ChildSpec::new("db"), FaultyActor::new(&probe)).unwrap();
        until(LONG, || probe.pings.load(Ordering::SeqCst) >= 10).await;
        assert_eq!(actor.send(Do::Note(1)).await.unwrap(), 1);
        assert_eq!((probe.starts(), restarts(&health, "db")), (1, 0));
    });
}

#[test]
fn duplicate_child_names_are_refused() {
    supervised(brisk(), async |mut supervisor, _| {
        let probe = Probe::new();
        let _first = supervisor.start_child(ChildSpec::new("db"), FaultyActor::new(&probe)).unwrap();
        let refused = supervisor.start_child(ChildSpec::new("db"), FaultyActor::new(&probe)).unwrap_err();
        assert_eq!(refused.to_string(), "two children are named `db`; child names must be unique");
    });
}
