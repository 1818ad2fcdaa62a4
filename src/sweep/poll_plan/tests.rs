//! Which commands the plan sends when; the clock is passed in.

use super::*;
use crate::console::transcript::CommandError;

const SECOND: Duration = Duration::from_secs(1);

fn place(number: u8) -> Place {
    Place::new(number).expect("a place")
}

fn plan(cells: bool) -> PollPlan {
    PollPlan::new(PollSchedule::new(10 * SECOND, 2 * SECOND, cells))
}

fn found(places: &[u8]) -> Findings {
    Findings { present: Some(places.iter().map(|number| place(*number)).collect()), ..Findings::default() }
}

fn is_slow(name: CommandName) -> bool {
    SLOW.contains(&name)
        || DEVICE_LOG.contains(&name)
        || matches!(name, CommandName::Help | CommandName::Euro)
}

/// All commands of one sweep at `now`, answered as if by `present`.
fn sweep(plan: &mut PollPlan, now: Duration, present: &[u8]) -> Vec<String> {
    let mut sent = Vec::new();
    let mut step = plan.next_step(now);
    while let PlanStep::Execute(slow) = step {
        assert!(is_slow(slow.name), "{slow} between two sweeps");
        step = plan.next_step(now);
    }
    assert!(matches!(step, PlanStep::BeginSweep(_)));
    loop {
        match plan.next_step(now) {
            PlanStep::Execute(command) => {
                sent.push(command.to_string());
                let found =
                    if command == CommandName::Pwr.bare() { found(present) } else { Findings::default() };
                plan.on_answer(command, now, &found);
            }
            PlanStep::EndSweep(_) => return sent,
            other => panic!("{other:?} within a sweep"),
        }
    }
}

#[test]
fn a_full_sweep_polls_each_battery_in_the_table() {
    let mut plan = plan(true);
    let sent = sweep(&mut plan, SECOND, &[1, 3]);
    assert_eq!(sent, ["pwr", "pwr 1", "bat 1", "info 1", "pwr 3", "bat 3", "info 3"]);
    assert_eq!(plan.known_places().collect::<Vec<_>>(), [place(1), place(3)]);
}

#[test]
fn summaries_run_between_full_sweeps_without_info() {
    let mut plan = plan(true);
    sweep(&mut plan, Duration::ZERO, &[1]);
    assert_eq!(
        plan.next_step(SECOND),
        PlanStep::Execute(CommandName::Stat.for_place(place(1))),
        "a slow command"
    );
    assert_eq!(plan.next_step(SECOND), PlanStep::WaitUntil(2 * SECOND), "only one of them");
    for at in [2, 4, 6, 8] {
        assert_eq!(sweep(&mut plan, at * SECOND, &[1]), ["pwr"]);
        plan.next_step(at * SECOND);
    }
    assert_eq!(sweep(&mut plan, 10 * SECOND, &[1]), ["pwr", "pwr 1", "bat 1"]);
}

#[test]
fn info_is_sent_after_absence_reopening_and_every_15_minutes() {
    let mut plan = plan(true);
    plan.schedule.summary_interval = Duration::ZERO;
    let asks_info = |plan: &mut PollPlan, at: u32, present: &[u8]| {
        sweep(plan, at * SECOND, present).contains(&"info 2".into())
    };
    assert!(asks_info(&mut plan, 0, &[1, 2]));
    assert!(!asks_info(&mut plan, 10, &[1, 2]));
    assert!(!asks_info(&mut plan, 20, &[1]));
    assert!(asks_info(&mut plan, 30, &[1, 2]));
    assert!(!asks_info(&mut plan, 40, &[1, 2]));
    assert!(asks_info(&mut plan, 930, &[1, 2]));
    plan.on_link_open(935 * SECOND);
    assert!(asks_info(&mut plan, 935, &[1, 2]));
}

#[test]
fn a_lost_table_keeps_the_known_batteries() {
    let mut plan = plan(true);
    sweep(&mut plan, Duration::ZERO, &[1, 2]);
    plan.next_step(SECOND);
    assert_eq!(plan.next_step(10 * SECOND), PlanStep::BeginSweep(SweepKind::Full));
    assert_eq!(plan.next_step(10 * SECOND), PlanStep::Execute(CommandName::Pwr.bare()));
    plan.on_failure(CommandName::Pwr.bare(), 10 * SECOND, &CommandError::NoResponse);
    assert_eq!(plan.next_step(10 * SECOND), PlanStep::Execute(CommandName::Pwr.for_place(place(1))));
}

#[test]
fn with_cells_off_they_are_polled_only_during_an_event() {
    let mut plan = plan(false);
    plan.next_step(Duration::ZERO);
    plan.next_step(Duration::ZERO);
    plan.on_answer(CommandName::Pwr.bare(), Duration::ZERO, &found(&[1, 2]));
    assert_eq!(plan.next_step(Duration::ZERO), PlanStep::Execute(CommandName::Pwr.for_place(place(1))));
    plan.on_answer(
        CommandName::Pwr.for_place(place(1)),
        Duration::ZERO,
        &Findings { has_event: true, ..Findings::default() },
    );
    assert_eq!(plan.next_step(Duration::ZERO), PlanStep::Execute(CommandName::Bat.for_place(place(1))));
    assert_eq!(plan.next_step(Duration::ZERO), PlanStep::Execute(CommandName::Info.for_place(place(1))));
    assert_eq!(plan.next_step(Duration::ZERO), PlanStep::Execute(CommandName::Pwr.for_place(place(2))));
}

#[test]
fn a_refused_form_is_replaced_by_the_bare_form_for_an_hour() {
    let mut plan = plan(true);
    plan.schedule.summary_interval = Duration::ZERO;
    sweep(&mut plan, Duration::ZERO, &[1]);
    let refused = |refusal| CommandError::Rejected(Rejected::Refused(refusal));
    assert_eq!(plan.next_step(SECOND), PlanStep::Execute(CommandName::Stat.for_place(place(1))));
    plan.on_failure(CommandName::Stat.for_place(place(1)), SECOND, &refused(CommandRefusal::InvalidCommand));
    sweep(&mut plan, 10 * SECOND, &[1]);
    assert_eq!(plan.next_step(11 * SECOND), PlanStep::Execute(CommandName::Stat.bare()), "without a number");
    plan.on_failure(CommandName::Stat.bare(), 11 * SECOND, &refused(CommandRefusal::UnknownCommand));
    sweep(&mut plan, 20 * SECOND, &[1]);
    assert_eq!(plan.next_step(21 * SECOND), PlanStep::Execute(CommandName::Soh.for_place(place(1))));
    sweep(&mut plan, 30 * SECOND, &[1]);
    assert_eq!(plan.next_step(31 * SECOND), PlanStep::Execute(CommandName::Help.bare()));
    sweep(&mut plan, 3_700 * SECOND, &[1]);
    assert_eq!(
        plan.next_step(3_701 * SECOND),
        PlanStep::Execute(CommandName::Stat.for_place(place(1))),
        "an hour later"
    );
}

#[test]
fn pwr_and_bat_are_sent_again_after_a_refusal() {
    let mut plan = plan(true);
    let refused = CommandError::Rejected(Rejected::Refused(CommandRefusal::UnknownCommand));
    for name in [CommandName::Pwr, CommandName::Bat] {
        plan.on_failure(name.for_place(place(1)), Duration::ZERO, &refused);
    }
    assert_eq!(sweep(&mut plan, Duration::ZERO, &[1])[..3], ["pwr", "pwr 1", "bat 1"]);
}

#[test]
fn a_stack_is_polled_for_its_modules_and_all_cells() {
    let mut plan = plan(true);
    plan.next_step(Duration::ZERO);
    plan.next_step(Duration::ZERO);
    plan.on_answer(
        CommandName::Pwr.bare(),
        Duration::ZERO,
        &Findings { is_stack: true, ..Findings::default() },
    );
    let sent: Vec<PlanStep> = (0..4).map(|_| plan.next_step(Duration::ZERO)).collect();
    let alone = |name: CommandName| PlanStep::Execute(name.bare());
    assert_eq!(
        sent,
        [
            alone(CommandName::Unit),
            alone(CommandName::Bat),
            alone(CommandName::Info),
            PlanStep::EndSweep(SweepKind::Full)
        ]
    );
    plan.on_answer(CommandName::Unit.bare(), Duration::ZERO, &found(&[1, 2]));
    assert_eq!(plan.known_places().collect::<Vec<_>>(), [place(1), place(2)], "summaries do not list them");
}

#[test]
fn a_slow_command_without_an_answer_waits_a_minute() {
    let mut plan = plan(true);
    plan.schedule.summary_interval = Duration::ZERO;
    sweep(&mut plan, Duration::ZERO, &[1]);
    assert_eq!(plan.next_step(SECOND), PlanStep::Execute(CommandName::Stat.for_place(place(1))));
    plan.postpone(CommandName::Stat.for_place(place(1)), SECOND);
    sweep(&mut plan, 10 * SECOND, &[1]);
    assert_eq!(
        plan.next_step(11 * SECOND),
        PlanStep::Execute(CommandName::Soh.for_place(place(1))),
        "the others continue"
    );
    sweep(&mut plan, 20 * SECOND, &[1]);
    assert_eq!(plan.next_step(21 * SECOND), PlanStep::Execute(CommandName::Help.bare()));
    sweep(&mut plan, 30 * SECOND, &[1]);
    assert_eq!(plan.next_step(31 * SECOND), PlanStep::WaitUntil(40 * SECOND));
    sweep(&mut plan, 65 * SECOND, &[1]);
    assert_eq!(plan.next_step(66 * SECOND), PlanStep::Execute(CommandName::Stat.for_place(place(1))));
}

#[test]
fn continuous_sweeps_allow_one_slow_command_per_minute() {
    let mut plan = plan(true);
    sweep(&mut plan, 30 * SECOND, &[1]);
    sweep(&mut plan, 45 * SECOND, &[1]);
    assert_eq!(plan.next_step(60 * SECOND), PlanStep::Execute(CommandName::Stat.for_place(place(1))));
    sweep(&mut plan, 61 * SECOND, &[1]);
    sweep(&mut plan, 80 * SECOND, &[1]);
}

#[test]
fn missed_sweeps_are_not_made_up_for() {
    let mut plan = plan(true);
    sweep(&mut plan, Duration::ZERO, &[1]);
    sweep(&mut plan, 95 * SECOND, &[1]);
    plan.next_step(96 * SECOND);
    assert_eq!(plan.next_step(96 * SECOND), PlanStep::WaitUntil(97 * SECOND));
    plan.schedule.summary_interval = Duration::ZERO;
    assert_eq!(plan.next_step(98 * SECOND), PlanStep::WaitUntil(105 * SECOND));
}

#[test]
fn the_device_log_is_read_twice_when_the_link_was_opened() {
    let mut plan = plan(true);
    plan.schedule.summary_interval = Duration::ZERO;
    plan.on_link_open(Duration::ZERO);
    let sent: Vec<PlanStep> = (0..6)
        .map(|round| {
            sweep(&mut plan, round * 10 * SECOND, &[1]);
            plan.next_step((round * 10 + 1) * SECOND)
        })
        .collect();
    let (log, snapshot) =
        (PlanStep::Execute(CommandName::Log.bare()), PlanStep::Execute(CommandName::DataEvent.bare()));
    assert_eq!(sent[..4], [log, log, snapshot, snapshot]);
    assert_eq!(
        sent[4..],
        [
            PlanStep::Execute(CommandName::Stat.for_place(place(1))),
            PlanStep::Execute(CommandName::Soh.for_place(place(1)))
        ]
    );
}

/// One full sweep of one battery at `at`, an event on it or not, and the slow command after it.
fn command_after(plan: &mut PollPlan, at: u32, event: bool) -> Option<Command> {
    while plan.next_step(at * SECOND) != PlanStep::EndSweep(SweepKind::Full) {
        plan.on_answer(CommandName::Pwr.bare(), at * SECOND, &found(&[1]));
        plan.queue.clear();
        plan.on_answer(
            CommandName::Pwr.for_place(place(1)),
            at * SECOND,
            &Findings { has_event: event, ..Findings::default() },
        );
    }
    match plan.next_step((at + 1) * SECOND) {
        PlanStep::Execute(command) => Some(command),
        _ => None,
    }
}

#[test]
fn the_device_log_is_read_when_an_event_appears() {
    let mut plan = plan(true);
    plan.schedule.summary_interval = Duration::ZERO;
    let device_log_command =
        |sent: Option<Command>| sent.filter(|command| DEVICE_LOG.contains(&command.name)).map(|c| c.name);
    assert_eq!(device_log_command(command_after(&mut plan, 0, false)), None);
    for name in [CommandName::Log, CommandName::Log, CommandName::DataEvent, CommandName::DataEvent] {
        let at = plan.next_full.as_secs() as u32;
        assert_eq!(device_log_command(command_after(&mut plan, at, true)), Some(name));
    }
    let at = plan.next_full.as_secs() as u32;
    assert_eq!(device_log_command(command_after(&mut plan, at, true)), None, "the event is still active");
    let at = plan.next_full.as_secs() as u32;
    assert_eq!(device_log_command(command_after(&mut plan, at, false)), None, "it is over");
    let at = plan.next_full.as_secs() as u32;
    assert_eq!(
        device_log_command(command_after(&mut plan, at, true)),
        None,
        "the log was read less than a minute ago"
    );
    assert_eq!(
        device_log_command(command_after(&mut plan, at + 60, true)),
        Some(CommandName::Log),
        "and then it is"
    );
}

#[test]
fn a_console_without_a_device_log_is_left_alone_for_an_hour() {
    let mut plan = plan(true);
    plan.schedule.summary_interval = Duration::ZERO;
    plan.on_link_open(Duration::ZERO);
    for (name, at) in [(CommandName::Log, 0), (CommandName::DataEvent, 10)] {
        sweep(&mut plan, at * SECOND, &[1]);
        assert_eq!(plan.next_step((at + 1) * SECOND), PlanStep::Execute(name.bare()));
        plan.on_failure(
            name.bare(),
            (at + 1) * SECOND,
            &CommandError::Rejected(Rejected::Refused(CommandRefusal::UnknownCommand)),
        );
    }
    for at in [20, 30, 40] {
        let sent = command_after(&mut plan, at, at == 30);
        assert!(sent.is_none_or(|command| !DEVICE_LOG.contains(&command.name)), "{sent:?}");
    }
}

/// The slow commands between the sweeps of this many hours; `help` lists `euro` the first `lists` times.
fn slow(plan: &mut PollPlan, hours: u32, mut lists: u32) -> Vec<String> {
    plan.schedule.summary_interval = Duration::ZERO;
    let mut sent = Vec::new();
    for at in (0..3_600 * hours).step_by(10) {
        sweep(plan, at * SECOND, &[1, 2]);
        if let PlanStep::Execute(command) = plan.next_step((at + 1) * SECOND) {
            let lists_euro = (command.name == CommandName::Help).then_some(lists > 0);
            lists -= u32::from(lists_euro == Some(true));
            plan.on_answer(command, (at + 1) * SECOND, &Findings { lists_euro, ..Findings::default() });
            sent.push(command.to_string());
        }
    }
    sent
}

#[test]
fn euro_is_sent_only_if_help_lists_it() {
    let sent = slow(&mut plan(true), 8, 1);
    assert_eq!(sent[..7], ["stat 1", "stat 2", "soh 1", "soh 2", "help", "euro", "stat 1"]);
    let helps: Vec<usize> = (0..sent.len()).filter(|at| sent[*at] == "help").collect();
    assert_eq!(helps.len(), 2, "once in six hours: {sent:?}");
    let euros = |range: &[String]| range.iter().filter(|command| *command == "euro").count();
    assert_eq!(euros(&sent[..helps[1]]), 24, "each quarter of an hour");
    assert_eq!(euros(&sent[helps[1]..]), 0, "no longer listed");
    assert_eq!(euros(&slow(&mut plan(true), 2, 0)), 0);
}

#[test]
fn a_battery_with_an_unreadable_row_is_polled_also_in_a_summary() {
    let mut plan = plan(true);
    sweep(&mut plan, Duration::ZERO, &[1, 2]);
    plan.next_step(SECOND);
    let mut sent = |at: u32, kind: SweepKind| {
        assert_eq!(plan.next_step(at * SECOND), PlanStep::BeginSweep(kind));
        let mut sent = Vec::new();
        while let PlanStep::Execute(command) = plan.next_step(at * SECOND) {
            let table = command == CommandName::Pwr.bare();
            // Place 7 has never been seen: a damaged line must not cause commands for it.
            let found = if table {
                Findings { unreadable: vec![place(2), place(7)], ..found(&[1]) }
            } else {
                Findings::default()
            };
            plan.on_answer(command, at * SECOND, &found);
            sent.push(command.to_string());
        }
        sent
    };
    assert_eq!(sent(2, SweepKind::Summary), ["pwr", "pwr 2"]);
    assert_eq!(sent(10, SweepKind::Full), ["pwr", "pwr 1", "bat 1", "pwr 2", "bat 2"]);
}

#[test]
fn unanswered_help_is_sent_again_with_the_other_facts() {
    let mut plan = plan(true);
    plan.schedule.summary_interval = Duration::ZERO;
    let mut helps = Vec::new();
    for at in (0..3_600).step_by(10) {
        sweep(&mut plan, at * SECOND, &[1]);
        if plan.next_step((at + 1) * SECOND) == PlanStep::Execute(CommandName::Help.bare()) {
            plan.on_failure(CommandName::Help.bare(), (at + 1) * SECOND, &CommandError::Truncated);
            helps.push(at);
        }
    }
    assert_eq!(helps.len(), 4, "{helps:?}");
}
