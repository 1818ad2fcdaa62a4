//! Whatever befalls an actor, it is restarted in place: addresses, mailbox and neighbours go on.

use std::sync::atomic::Ordering;
use std::time::Instant;

use actix::Addr;
use bankwatch::internals::supervise::{ChildSpec, ChildState, SupervisionPolicy};
use support::faulty_actor::{
    Chart, Do, LONG, Patient, WhichThread, brisk, ms, pinged, restarts, state, supervised,
};
use support::until::until;
use tokio::time::timeout;

/// Does harm, with messages queued behind it, and expects them all to be handled in the next life.
async fn is_restarted_by(deed: Do, patient: &Addr<Patient>, chart: &Chart) {
    assert_eq!(patient.send(Do::Note(1)).await.unwrap(), 1);
    let lives = chart.starts();
    let recipient = patient.clone().recipient::<Do>();
    recipient.try_send(deed).unwrap();
    for number in 2..=5 {
        recipient.try_send(Do::Note(number)).unwrap();
    }
    until(LONG, || chart.notes().len() == 5).await;
    assert_eq!(chart.notes(), [1, 2, 3, 4, 5]);
    assert_eq!(chart.starts(), lives + 1);
    assert_eq!(patient.send(Do::Note(6)).await.unwrap(), 5, "the first life's note is not counted");
}

#[test]
fn a_panic_restarts_in_place_and_queued_messages_survive() {
    supervised(brisk(), async |mut supervisor, lines| {
        let chart = Chart::new();
        let patient = supervisor.start_child(ChildSpec::new("db"), Patient::new(&chart)).unwrap();
        is_restarted_by(Do::Panic, &patient, &chart).await;
        let told = lines.containing("actor restarted");
        assert_eq!(told.len(), 1);
        assert!(told[0].starts_with("ERRO actor restarted actor=db backoff="), "{told:?}");
        assert!(told[0].ends_with("ms reason=panicked: as told restarts=1"), "{told:?}");
    });
}

#[test]
fn a_stop_restarts_in_place_and_queued_messages_survive() {
    supervised(brisk(), async |mut supervisor, lines| {
        let chart = Chart::new();
        let patient = supervisor.start_child(ChildSpec::new("db"), Patient::new(&chart)).unwrap();
        is_restarted_by(Do::Stop, &patient, &chart).await;
        let told = lines.containing("actor restarted");
        assert!(told[0].starts_with("WARN") && told[0].contains("reason=stopped"), "{told:?}");
    });
}

#[test]
fn a_hang_restarts_in_place_and_queued_messages_survive() {
    supervised(pinged(), async |mut supervisor, lines| {
        let chart = Chart::new();
        let patient = supervisor.start_child(ChildSpec::new("db"), Patient::new(&chart)).unwrap();
        is_restarted_by(Do::Hang, &patient, &chart).await;
        let told = lines.containing("actor restarted");
        assert!(told[0].contains("reason=hung: no answer within 500ms"), "{told:?}");
    });
}

#[test]
fn a_failing_start_is_tried_again_and_queued_messages_survive() {
    supervised(brisk(), async |mut supervisor, lines| {
        let chart = Chart::new();
        chart.failing_starts.store(3, Ordering::SeqCst);
        let patient = supervisor.start_child(ChildSpec::new("db"), Patient::new(&chart)).unwrap();
        assert_eq!(patient.send(Do::Note(7)).await.unwrap(), 1);
        assert_eq!(chart.starts(), 4);
        let told = lines.containing("actor restarted");
        // As it was said: the log escapes it, and twice would be once too often.
        assert!(told[0].contains("reason=stopped while starting: no such\ndirectory"), "{told:?}");
    });
}

#[test]
fn a_panic_while_restarting_is_one_more_trouble() {
    supervised(brisk(), async |mut supervisor, lines| {
        let chart = Chart::new();
        chart.panicking_restarts.store(2, Ordering::SeqCst);
        let patient = supervisor.start_child(ChildSpec::new("db"), Patient::new(&chart)).unwrap();
        is_restarted_by(Do::Panic, &patient, &chart).await;
        assert!(lines.containing("restarts=2")[0].contains("reason=panicked: while restarting"));
    });
}

#[test]
fn a_sender_whose_message_was_lost_is_told() {
    supervised(brisk(), async |mut supervisor, _| {
        let chart = Chart::new();
        let patient = supervisor.start_child(ChildSpec::new("db"), Patient::new(&chart)).unwrap();
        assert!(patient.send(Do::Panic).await.is_err());
        assert_eq!(patient.send(Do::Note(1)).await.unwrap(), 1);
    });
}

#[test]
fn the_mailbox_still_bounds_a_sender_while_paused() {
    let policy = SupervisionPolicy { initial_backoff: LONG, max_backoff: LONG, ..brisk() };
    supervised(policy, async |mut supervisor, _| {
        let (chart, health) = (Chart::new(), supervisor.health());
        let child = ChildSpec::new("db").capacity(4);
        let patient = supervisor.start_child(child, Patient::new(&chart)).unwrap();
        assert!(patient.send(Do::Panic).await.is_err());
        until(LONG, || matches!(state(&health, "db"), ChildState::Restarting { .. })).await;
        let recipient = patient.recipient::<Do>();
        let taken = (0..100).filter(|&number| recipient.try_send(Do::Note(number)).is_ok()).count();
        assert_eq!(taken, 4);
    });
}

#[test]
fn neighbours_on_the_same_arbiter_and_on_another_go_on() {
    supervised(brisk(), async |mut supervisor, _| {
        let chart = Chart::new();
        let health = supervisor.health();
        let mut keep = |child| supervisor.start_child(child, Patient::new(&chart)).unwrap();
        let sick = keep(ChildSpec::new("sick").arbiter("chain"));
        let beside = keep(ChildSpec::new("beside").arbiter("chain"));
        let elsewhere = keep(ChildSpec::new("elsewhere").own_arbiter());
        let thread = beside.send(WhichThread).await.unwrap();
        assert_eq!(sick.send(WhichThread).await.unwrap(), thread);
        assert_ne!(elsewhere.send(WhichThread).await.unwrap(), thread);
        for round in 1..=5 {
            assert!(sick.send(Do::Panic).await.is_err());
            assert_eq!(beside.send(Do::Note(1)).await.unwrap(), round);
            assert_eq!(elsewhere.send(Do::Note(1)).await.unwrap(), round);
        }
        assert_eq!((restarts(&health, "beside"), restarts(&health, "elsewhere")), (0, 0));
    });
}

#[test]
fn pauses_double_are_capped_and_begin_anew_after_a_healthy_while() {
    let policy = SupervisionPolicy { healthy_after: ms(300), ..brisk() };
    supervised(policy, async |mut supervisor, lines| {
        let chart = Chart::new();
        chart.failing_starts.store(5, Ordering::SeqCst);
        let patient = supervisor.start_child(ChildSpec::new("db"), Patient::new(&chart)).unwrap();
        until(LONG, || lines.containing("actor running again").len() == 1).await;
        assert!(lines.containing("actor running again")[0].starts_with("INFO"));
        patient.try_send(Do::Stop).unwrap();
        until(LONG, || lines.containing("restarts=6").len() == 1).await;
        // Repeats are folded: of five failing starts the 1st, 2nd and 4th have a line.
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
        let (sick, well) = (Chart::new(), Chart::new());
        sick.failing_starts.store(u32::MAX, Ordering::SeqCst);
        let child = ChildSpec::new("sick").arbiter("both");
        let _sick = supervisor.start_child(child, Patient::new(&sick)).unwrap();
        let child = ChildSpec::new("well").arbiter("both");
        let well = supervisor.start_child(child, Patient::new(&well)).unwrap();
        for number in 1..=100 {
            let answer = timeout(LONG, well.send(Do::Note(number))).await.unwrap();
            assert_eq!(answer.unwrap(), number);
        }
        until(LONG, || sick.starts() > 20).await;
        let (told, starts) = (lines.containing("actor restarted").len(), sick.starts() as usize);
        assert!(told <= 7 + starts / 64, "{told} lines about {starts} starts");
    });
}

#[test]
fn the_usual_pause_keeps_a_failing_start_from_being_a_busy_loop() {
    let policy = SupervisionPolicy { initial_backoff: ms(20), max_backoff: ms(20), ..brisk() };
    supervised(policy, async |mut supervisor, _| {
        let chart = Chart::new();
        chart.failing_starts.store(u32::MAX, Ordering::SeqCst);
        let begin = Instant::now();
        let _patient = supervisor.start_child(ChildSpec::new("db"), Patient::new(&chart)).unwrap();
        until(LONG, || chart.starts() >= 10).await;
        assert!(begin.elapsed() >= ms(9 * 15), "ten starts in {:?}", begin.elapsed());
    });
}

#[test]
fn a_child_to_whom_no_address_is_left_ends() {
    supervised(brisk(), async |mut supervisor, lines| {
        let chart = Chart::new();
        let health = supervisor.health();
        let patient = supervisor.start_child(ChildSpec::new("db"), Patient::new(&chart)).unwrap();
        patient.send(Do::Note(1)).await.unwrap();
        drop(patient);
        until(LONG, || state(&health, "db") == ChildState::Ended).await;
        assert_eq!((chart.starts(), restarts(&health, "db")), (1, 0));
        assert!(lines.containing("").is_empty(), "an end that is asked for is no trouble");
    });
}

#[test]
fn a_dropped_supervisor_ends_its_children() {
    supervised(brisk(), async |mut supervisor, _| {
        let (chart, health) = (Chart::new(), supervisor.health());
        let patient = supervisor.start_child(ChildSpec::new("db"), Patient::new(&chart)).unwrap();
        patient.send(Do::Note(1)).await.unwrap();
        drop(supervisor);
        until(LONG, || !patient.connected()).await;
        assert_eq!(state(&health, "db"), ChildState::Ended);
        assert_eq!(chart.stops.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn an_actor_that_answers_its_pings_is_left_alone() {
    supervised(pinged(), async |mut supervisor, _| {
        let chart = Chart::new();
        let health = supervisor.health();
        let patient = supervisor.start_child(ChildSpec::new("db"), Patient::new(&chart)).unwrap();
        until(LONG, || chart.pings.load(Ordering::SeqCst) >= 10).await;
        assert_eq!(patient.send(Do::Note(1)).await.unwrap(), 1);
        assert_eq!((chart.starts(), restarts(&health, "db")), (1, 0));
    });
}

#[test]
fn two_children_of_one_name_are_refused() {
    supervised(brisk(), async |mut supervisor, _| {
        let chart = Chart::new();
        let _first = supervisor.start_child(ChildSpec::new("db"), Patient::new(&chart)).unwrap();
        let refused = supervisor.start_child(ChildSpec::new("db"), Patient::new(&chart)).unwrap_err();
        assert_eq!(refused.to_string(), "two children are named `db`, each needs a name of its own");
    });
}
