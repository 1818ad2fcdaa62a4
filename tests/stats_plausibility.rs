//! What is withheld, for how long, and what is not.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

#[path = "support/living.rs"]
mod living;

use std::time::Duration;

use bankwatch::model::reading::{BankReading, Measured, SweepKind};
use bankwatch::model::report::BankReport;
use bankwatch::model::units::{Milliamps, Millicelsius, Millivolts, Percent};
use bankwatch::model::withheld::{Implausible, Quantity};
use bankwatch::model::word::Word;
use bankwatch::simulator::Bank;
use living::{Living, plan};

const SWEEP: Duration = Duration::from_secs(10);

fn living() -> Living {
    let mut living = Living::new(Bank::new(&plan(2, 1)), SWEEP);
    living.swept(SweepKind::Full, |_| {});
    living
}

fn next(living: &mut Living, change: impl FnOnce(&mut BankReading)) -> BankReport {
    living.live(SWEEP);
    living.swept(SweepKind::Full, change)
}

/// The same strange thing is said twice: the first time it is withheld and named, the second time believed.
fn is_believed_the_second_time(
    quantity: Quantity,
    why: Implausible,
    change: fn(&mut Measured),
    shown: fn(&Measured) -> bool,
) {
    let mut living = living();
    let first = next(&mut living, |reading| change(&mut reading.batteries[1].measured));
    let named: Vec<_> =
        first.withheld.iter().map(|one| (one.battery.unwrap().number(), one.quantity, one.why)).collect();
    assert_eq!(named, [(2, quantity, why)]);
    assert!(!shown(&first.reading.batteries[1].measured), "{quantity:?} is shown at first sight");
    assert!(shown(&first.reading.batteries[0].measured), "the other battery pays for it");
    let second = next(&mut living, |reading| change(&mut reading.batteries[1].measured));
    assert_eq!(second.withheld, [], "{quantity:?}");
    assert!(shown(&second.reading.batteries[1].measured), "{quantity:?} was said twice and is not shown");
    assert_eq!((first.service.withheld.total(), second.service.withheld.total()), (1, 1));
}

#[test]
fn what_no_battery_can_be_is_withheld_until_the_next_sweep_says_so_too() {
    use Implausible::{Limit, Step};
    is_believed_the_second_time(
        Quantity::Voltage,
        Limit,
        |m| m.voltage = Some(Millivolts(93_000)),
        |m| m.voltage.is_some(),
    );
    is_believed_the_second_time(
        Quantity::Voltage,
        Step,
        |m| m.voltage = Some(Millivolts(43_000)),
        |m| m.voltage.is_some(),
    );
    is_believed_the_second_time(
        Quantity::Current,
        Limit,
        |m| m.current = Some(Milliamps(-499_999_000)),
        |m| m.current.is_some(),
    );
    is_believed_the_second_time(
        Quantity::Temperature,
        Step,
        |m| m.temperature = Some(Millicelsius(-40_000)),
        |m| m.temperature.is_some(),
    );
    is_believed_the_second_time(Quantity::Soc, Step, |m| m.soc = Some(Percent(5)), |m| m.soc.is_some());
    is_believed_the_second_time(Quantity::Soc, Limit, |m| m.soc = Some(Percent(170)), |m| m.soc.is_some());
}

#[test]
fn two_strange_values_that_do_not_agree_are_both_withheld_and_a_sane_one_is_shown_at_once() {
    let mut living = living();
    let strange = |volts: i32| {
        move |reading: &mut BankReading| reading.batteries[0].measured.voltage = Some(Millivolts(volts))
    };
    for volts in [93_000, 33_000, 99_000] {
        assert_eq!(next(&mut living, strange(volts)).reading.batteries[0].measured.voltage, None, "{volts}");
    }
    let sane = next(&mut living, |_| {});
    assert!(sane.reading.batteries[0].measured.voltage.is_some());
    assert_eq!(
        sane.service.withheld.each().filter(|(_, count)| *count > 0).collect::<Vec<_>>(),
        [("voltage_limit".to_owned(), 2), ("voltage_step".to_owned(), 1)]
    );
}

#[test]
fn a_dead_cell_of_a_battery_that_says_so_is_shown_at_once_and_one_that_does_not_is_withheld() {
    let dead = |said: bool| {
        move |reading: &mut BankReading| {
            let battery = &mut reading.batteries[0];
            battery.cells.as_mut().unwrap()[4].voltage = Some(Millivolts(4_095));
            if said {
                battery.measured.base_state = Some(Word::new("SysError"));
            }
        }
    };
    let fifth = |report: &BankReport| report.reading.batteries[0].cells.as_ref().unwrap()[4].voltage;
    assert_eq!(fifth(&next(&mut living(), dead(true))), Some(Millivolts(4_095)));
    let mut silent = living();
    assert_eq!(fifth(&next(&mut silent, dead(false))), None);
    assert_eq!(fifth(&next(&mut silent, dead(false))), Some(Millivolts(4_095)), "it is no damage then");
}

#[test]
fn real_loads_full_batteries_and_gaps_are_never_withheld() {
    let mut living = living();
    for amperes in [0, 95, -95, 0, 80, -60] {
        let report = next(&mut living, |reading| {
            for battery in &mut reading.batteries {
                let measured = &mut battery.measured;
                measured.current = Some(Milliamps(amperes * 1_000));
                measured.voltage = measured.voltage.map(|volts| Millivolts(volts.0 + 20 * amperes));
                measured.soc = Some(Percent(105));
                for cell in battery.cells.iter_mut().flatten() {
                    cell.voltage = cell.voltage.map(|volts| Millivolts(volts.0 + amperes));
                }
            }
        });
        let steps = report.withheld.iter().filter(|one| one.quantity != Quantity::Soc);
        assert_eq!(steps.count(), 0, "{amperes} A");
    }
    living.live(Duration::from_secs(6 * 3_600));
    assert_eq!(next(&mut living, |_| {}).withheld, [], "a long gap says nothing of now");
}

#[test]
fn a_day_of_an_ordinary_bank_is_plausible_throughout() {
    for series in [false, true] {
        let bank = Bank::new(&bankwatch::simulator::BankPlan { series, ..plan(3, 17) });
        let mut living = Living::new(bank, SWEEP);
        for _ in 0..8_640 {
            assert_eq!(next(&mut living, |_| {}).withheld, []);
        }
    }
}

#[test]
fn a_box_that_is_swapped_is_another_battery_and_not_a_step() {
    let mut living = living();
    assert!(living.bank.set_soc(2, 0.05));
    next(&mut living, |_| {});
    next(&mut living, |_| {});
    assert!(living.bank.swap(1, 2));
    assert_eq!(next(&mut living, |_| {}).withheld, []);
}
