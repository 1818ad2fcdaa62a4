//! Rows from before the clock was set wait and get their correct time; jumps are reported; no row has a wrong time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bankwatch::internals::store::clock_gate::{
    ClockChange, ClockGate, ClockReading, RELEASED_AT_MS, TimedRow,
};
use proptest::prelude::*;

/// The correct time at the start of each test.
const TRUE_START: i64 = RELEASED_AT_MS + 86_400_000;

/// The wall clock at the start of a machine without a battery-backed clock.
const UNSET: i64 = 5_000;

struct Clocks {
    start: Instant,
    elapsed_ms: i64,
    /// What the wall clock would have shown at the start, by its present setting.
    wall_start: i64,
}

impl Clocks {
    fn showing(wall_start: i64) -> Self {
        Self { start: Instant::now(), elapsed_ms: 0, wall_start }
    }

    fn now(&self) -> ClockReading {
        let elapsed = Duration::from_millis(self.elapsed_ms.unsigned_abs());
        ClockReading { monotonic: self.start + elapsed, wall_ms: self.wall() }
    }

    fn wall(&self) -> i64 {
        self.wall_start + self.elapsed_ms
    }

    /// A row taken now.
    fn row(&self, row: i64) -> [TimedRow<i64>; 1] {
        [TimedRow { taken_at_ms: self.wall(), row }]
    }
}

fn gate() -> ClockGate<i64> {
    ClockGate::new(RELEASED_AT_MS, 1000)
}

fn rows(passed: &[TimedRow<i64>]) -> Vec<(i64, i64)> {
    passed.iter().map(|timed| (timed.row, timed.taken_at_ms)).collect()
}

#[test]
fn release_time_is_in_the_past() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    assert!(u128::try_from(RELEASED_AT_MS).unwrap() < now, "otherwise every row would wait forever");
}

#[test]
fn rows_pass_unchanged_while_the_clock_is_set() {
    let (mut clocks, mut gate) = (Clocks::showing(TRUE_START), gate());
    for row in 0..5 {
        let passed = gate.pass(clocks.now(), clocks.row(row));
        assert_eq!((passed.clock, passed.dropped), (None, 0));
        assert_eq!(rows(&passed.rows), [(row, TRUE_START + row * 10_000)]);
        clocks.elapsed_ms += 10_000;
    }
}

#[test]
fn rows_wait_for_the_clock_and_get_the_time_they_were_taken_at() {
    let (mut clocks, mut gate) = (Clocks::showing(UNSET), gate());
    for row in 0..6 {
        let passed = gate.pass(clocks.now(), clocks.row(row));
        assert_eq!(passed.clock, (row == 0).then_some(ClockChange::Unset), "reported once");
        assert_eq!(passed.rows, []);
        clocks.elapsed_ms += 10_000;
    }
    assert_eq!(gate.waiting(), 6);
    clocks.wall_start = TRUE_START;
    let passed = gate.pass(clocks.now(), []);
    assert_eq!(passed.clock, Some(ClockChange::Set { by_ms: TRUE_START - UNSET }));
    let expected: Vec<_> = (0..6).map(|row| (row, TRUE_START + row * 10_000)).collect();
    assert_eq!(rows(&passed.rows), expected);
    assert_eq!(gate.waiting(), 0);
}

/// A sweep takes seconds, and the clock may be set in the middle of one.
#[test]
fn a_row_taken_just_before_the_clock_was_set_is_corrected() {
    let (mut clocks, mut gate) = (Clocks::showing(UNSET), gate());
    gate.pass(clocks.now(), []);
    clocks.elapsed_ms += 10_000;
    let taken = clocks.row(7);
    clocks.wall_start = TRUE_START;
    clocks.elapsed_ms += 1_000;
    let passed = gate.pass(clocks.now(), taken);
    assert_eq!(rows(&passed.rows), [(7, TRUE_START + 10_000)]);
}

#[test]
fn a_row_with_an_unknowable_time_is_dropped_and_counted() {
    let (clocks, mut gate) = (Clocks::showing(TRUE_START), gate());
    let passed = gate.pass(clocks.now(), [TimedRow { taken_at_ms: UNSET, row: 1 }]);
    assert_eq!((passed.rows, passed.dropped), (vec![], 1));
}

#[test]
fn a_correct_time_stays_if_the_clock_is_lost_afterwards() {
    let (mut clocks, mut gate) = (Clocks::showing(TRUE_START), gate());
    let taken = clocks.row(3);
    gate.pass(clocks.now(), []);
    clocks.wall_start = UNSET;
    let passed = gate.pass(clocks.now(), taken);
    assert_eq!((passed.clock, passed.rows), (Some(ClockChange::Unset), vec![]));
    clocks.wall_start = TRUE_START;
    clocks.elapsed_ms += 60_000;
    let passed = gate.pass(clocks.now(), []);
    assert_eq!(rows(&passed.rows), [(3, TRUE_START)]);
}

#[test]
fn jumps_are_reported_and_slow_correction_is_not() {
    let (mut clocks, mut gate) = (Clocks::showing(TRUE_START), gate());
    let mut look = |gate: &mut ClockGate<i64>, by_ms: i64| {
        clocks.elapsed_ms += 10_000;
        clocks.wall_start += by_ms;
        gate.pass(clocks.now(), []).clock
    };
    assert_eq!(look(&mut gate, 0), None);
    // Two days of slewing, five milliseconds in ten seconds.
    for _ in 0..20_000 {
        assert_eq!(look(&mut gate, 5), None);
    }
    assert_eq!(look(&mut gate, 3_600_000), Some(ClockChange::Jumped { by_ms: 3_600_000 }));
    assert_eq!(look(&mut gate, -2_000), Some(ClockChange::Jumped { by_ms: -2_000 }));
    assert_eq!(look(&mut gate, 0), None);
}

#[test]
fn beyond_the_limit_the_oldest_waiting_rows_are_dropped() {
    let (mut clocks, mut gate) = (Clocks::showing(UNSET), ClockGate::new(RELEASED_AT_MS, 3));
    let mut dropped = 0;
    for row in 0..10 {
        dropped += gate.pass(clocks.now(), clocks.row(row)).dropped;
        clocks.elapsed_ms += 1_000;
    }
    clocks.wall_start = TRUE_START;
    let passed = gate.pass(clocks.now(), []);
    assert_eq!((dropped, passed.dropped), (7, 0));
    assert_eq!(passed.rows.iter().map(|timed| timed.row).collect::<Vec<_>>(), [7, 8, 9]);
}

#[test]
fn the_clock_is_trusted_after_ten_minutes_without_a_jump() {
    let (mut clocks, mut gate) = (Clocks::showing(UNSET), gate());
    let mut trusted_after = |gate: &mut ClockGate<i64>, change: i64, minutes: i64| {
        clocks.wall_start += change;
        gate.pass(clocks.now(), []);
        clocks.elapsed_ms += minutes * 60_000;
        gate.pass(clocks.now(), []);
        gate.trusted_ms(clocks.now()).is_some()
    };
    assert!(!trusted_after(&mut gate, 0, 60), "not set");
    assert!(!trusted_after(&mut gate, TRUE_START, 9));
    assert!(trusted_after(&mut gate, 0, 2));
    // Ten years ahead, for a moment.
    assert!(!trusted_after(&mut gate, 315_360_000_000, 1));
    assert!(!trusted_after(&mut gate, -315_360_000_000, 9));
    assert!(trusted_after(&mut gate, 0, 1));
}

proptest! {
    /// However the clock is set, lost and corrected, a row that passes while it is right has the time at which it was
    /// taken, once, in order.
    #[test]
    fn times_are_correct_whatever_an_unset_clock_shows(
        steps in prop::collection::vec((0..60_000_i64, 0..4_u8, 0..1_000_000_i64), 1..60),
    ) {
        let (mut clocks, mut gate) = (Clocks::showing(UNSET), gate());
        let (mut taken, mut passed) = (Vec::new(), Vec::new());
        for (wait, kind, shown) in steps {
            clocks.elapsed_ms += wait;
            match kind {
                0 => clocks.wall_start = TRUE_START,
                1 => clocks.wall_start = shown - clocks.elapsed_ms,
                _ => {
                    let row = i64::try_from(taken.len()).unwrap();
                    taken.push((row, TRUE_START + clocks.elapsed_ms));
                    let rows = clocks.row(row);
                    passed.extend(gate.pass(clocks.now(), rows).rows);
                }
            }
            passed.extend(gate.pass(clocks.now(), []).rows);
        }
        clocks.wall_start = TRUE_START;
        passed.extend(gate.pass(clocks.now(), []).rows);
        prop_assert_eq!(rows(&passed), taken);
    }
}
