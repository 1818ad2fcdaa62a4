//! Which cycles count, and which don't.

use std::time::{Duration, Instant};

use super::*;
use crate::model::reading::Measured;
use crate::model::units::{Milliamps, Millivolts};
use crate::stats::energy::{Flow, PowerSample};

/// A battery of 100 Ah at 50 V of which 96 % come out again, as seen by its counters.
struct WatchedBattery {
    cycles: Cycles,
    account: Account,
    now: Instant,
    at: i64,
    soc: i32,
    ends: (bool, bool),
}

impl WatchedBattery {
    fn first_seen_at(soc: i32) -> Self {
        let (cycles, account) = (Cycles::default(), Account::default());
        let (now, at, ends) = (Instant::now(), CLOCK_SET, (false, false));
        let mut watched = Self { cycles, account, now, at, soc, ends };
        watched.look();
        watched
    }

    fn look(&mut self) {
        self.cycles.note(&CycleSample {
            account: &self.account,
            soc: Percent(self.soc),
            full: false,
            capacity: Some(100.0),
            ends: self.ends,
            at: self.at,
        });
    }

    /// So many amperes flow while the state of charge goes there, by one percent in so many seconds.
    fn flow(&mut self, soc: i32, current: i32, took: u64) {
        let took = Duration::from_secs(took);
        while self.soc != soc {
            let sample = |at| {
                let (voltage, current) = (Some(Millivolts(50_000)), Some(Milliamps(current)));
                PowerSample::of(&Measured { voltage, current, ..Measured::default() }, at)
                    .expect("voltage and current are set")
            };
            let (before, after) = (sample(self.now), sample(self.now + took));
            self.account.add(&Flow::between(&before, &after, took).expect("no gap"));
            self.now += took;
            self.at += took.as_secs() as i64;
            self.soc += (soc - self.soc).signum();
            self.look();
        }
    }

    fn go_to(&mut self, soc: i32) {
        let (current, took) = if soc > self.soc { (50_000, 75) } else { (-50_000, 72) };
        self.flow(soc, current, took);
    }

    /// The console states another figure at once, while half an ampere flows out.
    fn jump_to(&mut self, soc: i32) {
        self.soc = soc + (self.soc - soc).signum();
        self.flow(soc, -500, 10);
    }

    fn figures(&self) -> (Option<i64>, Option<i64>, bool) {
        let capacity = self.cycles.capacity().map(|capacity| (capacity.0 + 500) / 1_000);
        (capacity, self.cycles.efficiency().map(|share| share.round() as i64), self.cycles.disagree())
    }
}

#[test]
fn efficiency_is_measured_between_equal_states_of_charge() {
    let mut watched = WatchedBattery::first_seen_at(100);
    watched.go_to(60);
    watched.go_to(95);
    assert_eq!(watched.cycles.efficiency(), None, "five percent more came out than went in");
    watched.go_to(100);
    watched.go_to(60);
    watched.go_to(95);
    let efficiency = watched.cycles.efficiency().expect("a full cycle");
    assert!((efficiency - 96.0).abs() < 0.1, "{efficiency}");
}

/// Three cycles: in the first something happens, the others are sound.
fn figures(happens: impl Fn(&mut WatchedBattery)) -> [(Option<i64>, Option<i64>, bool); 2] {
    let mut watched = WatchedBattery::first_seen_at(90);
    watched.go_to(96);
    happens(&mut watched);
    let first = watched.figures();
    for _ in 0..2 {
        watched.go_to(10);
        watched.go_to(97);
    }
    [first, watched.figures()]
}

#[test]
fn a_cycle_counts_only_if_charge_and_soc_agree() {
    // What flowed near the top of a cycle that did not count is part of the next one's begin.
    let sound = |(capacity, efficiency, disagree): (Option<i64>, Option<i64>, bool)| {
        capacity.is_some_and(|held| (100..=102).contains(&held))
            && efficiency.is_some_and(|share| (96..=98).contains(&share))
            && !disagree
    };
    const DISAGREE: (Option<i64>, Option<i64>, bool) = (None, None, true);
    type Case = (&'static str, fn(&mut WatchedBattery));
    let cases: [Case; 6] = [
        ("falls and jumps back", |watched| {
            watched.jump_to(11);
            watched.jump_to(97);
        }),
        ("jumps in the middle of a cycle", |watched| {
            watched.go_to(60);
            watched.jump_to(11);
            watched.jump_to(60);
            watched.go_to(97);
        }),
        ("slides down and up slowly", |watched| {
            watched.flow(11, -100, 60);
            watched.flow(97, 20, 60);
        }),
        ("crawls down and up over days", |watched| {
            watched.flow(11, -100, 3_000);
            watched.flow(97, 20, 3_000);
        }),
        ("more came out than went in", |watched| {
            watched.flow(40, -50_000, 72);
            watched.flow(97, 50_000, 30);
        }),
        ("stays where it is for long, then catches up", |watched| {
            watched.flow(60, -50_000, 200);
            watched.go_to(97);
        }),
    ];
    for (name, happens) in cases {
        let [first, second] = figures(happens);
        assert_eq!(first, DISAGREE, "{name}");
        assert!(sound(second), "{name}: {second:?}");
    }
    let [first, _] = figures(|watched| {
        watched.go_to(11);
        watched.go_to(97);
    });
    assert!(sound(first), "{first:?}");
}

#[test]
fn charge_into_a_full_battery_is_not_capacity() {
    let mut watched = WatchedBattery::first_seen_at(90);
    watched.go_to(100);
    watched.soc = 99;
    watched.flow(100, 20_000, 10 * 3_600);
    watched.go_to(10);
    watched.go_to(97);
    let (capacity, _, disagree) = watched.figures();
    assert!(!disagree && capacity.is_some_and(|held| (99..103).contains(&held)), "{capacity:?}");
}

#[test]
fn a_correction_at_the_lower_end_of_a_worn_battery_shows_its_capacity() {
    let mut watched = WatchedBattery::first_seen_at(90);
    watched.go_to(96);
    watched.go_to(40);
    watched.ends = (true, false);
    watched.jump_to(6);
    watched.ends = (false, false);
    watched.go_to(62);
    watched.ends = (false, true);
    watched.jump_to(97);
    let (capacity, _, disagree) = watched.figures();
    assert!(capacity.is_some_and(|held| (60..66).contains(&held)), "{capacity:?}");
    assert!(!disagree);
}

#[test]
fn without_a_nominal_capacity_no_cycle_counts() {
    let mut cycles = Cycles { began: None, ..Cycles::default() };
    let mark = |soc, charge| CyclePoint { at: CLOCK_SET, soc, energy: (0, 0), charge, counted: 0.0 };
    (cycles.began, cycles.deepest) = (Some(mark(95, (0, 0))), Some(mark(10, (0, 90_000))));
    assert_eq!(cycles.close(&mark(95, (90_000, 90_000)), None), None);
    assert!(!cycles.disagree());
}
