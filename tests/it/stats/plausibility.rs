//! Which implausible values are withheld, and for how long.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use bankwatch::internals::model::facts::Facts;
use bankwatch::internals::model::reading::{BankReading, BatteryReading, CellReading, Measured, SweepKind};
use bankwatch::internals::model::report::{BankReport, ServiceCounters};
use bankwatch::internals::model::units::{
    MilliampHours, Milliamps, Millicelsius, Millivolts, MilliwattHours, Percent,
};
use bankwatch::internals::model::withheld::{ImplausibleReason, Quantity, ValueKey, ValueScope, shown};
use bankwatch::internals::model::word::Word;
use bankwatch::internals::simulator::SimulatedBank;
use bankwatch::internals::stats::Stats;
use proptest::prelude::*;
use support::simulated_years;
use support::simulated_years::{SimulatedYears, plan};

const SWEEP: Duration = Duration::from_secs(10);

fn simulation() -> SimulatedYears {
    let mut simulation = SimulatedYears::new(SimulatedBank::new(&plan(2, 1)), SWEEP);
    simulation.report(SweepKind::Full, |_| {});
    simulation
}

fn next(simulation: &mut SimulatedYears, change: impl FnOnce(&mut BankReading)) -> BankReport {
    simulation.advance(SWEEP);
    simulation.report(SweepKind::Full, change)
}

/// An implausible value in two sweeps: the first time it is withheld and reported, the second time shown.
fn assert_shown_when_repeated(
    quantity: Quantity,
    why: ImplausibleReason,
    change: fn(&mut Measured),
    shown: fn(&Measured) -> bool,
) {
    let mut simulation = simulation();
    let first = next(&mut simulation, |reading| change(&mut reading.batteries[1].measured));
    let named: Vec<_> =
        first.withheld.iter().map(|one| (one.battery.unwrap().number(), one.quantity, one.why)).collect();
    assert_eq!(named, [(2, quantity, why)]);
    assert!(!shown(&first.reading.batteries[1].measured), "{quantity:?} is shown at once");
    assert!(shown(&first.reading.batteries[0].measured), "the other battery is affected");
    let second = next(&mut simulation, |reading| change(&mut reading.batteries[1].measured));
    assert_eq!(second.withheld, [], "{quantity:?}");
    assert!(shown(&second.reading.batteries[1].measured), "{quantity:?} was repeated and is not shown");
    assert_eq!((first.service.withheld.total(), second.service.withheld.total()), (1, 1));
    for _ in 0..4 {
        let later = next(&mut simulation, |reading| change(&mut reading.batteries[1].measured));
        assert!(
            shown(&later.reading.batteries[1].measured),
            "{quantity:?} is not shown in every later sweep"
        );
    }
}

/// Whether a constant value of the fifth cell is shown from the second sweep on, and the events it causes.
fn fifth_cell_outcome(
    change: impl Fn(&mut CellReading),
    of: impl Fn(&CellReading) -> bool,
) -> (bool, Vec<String>) {
    let mut simulation = simulation();
    let change = |reading: &mut BankReading| change(&mut reading.batteries[0].cells.as_mut().unwrap()[4]);
    assert_eq!(next(&mut simulation, change).lasting, [], "not persistent yet");
    let seen: Vec<(bool, Vec<String>)> = (0..6)
        .map(|_| {
            let report = next(&mut simulation, change);
            let cell = &report.reading.batteries[0].cells.as_ref().unwrap()[4];
            (
                of(cell),
                report.lasting.iter().map(|value| format!("{} {}", value.name(), value.why.name())).collect(),
            )
        })
        .collect();
    assert!(seen.iter().all(|one| *one == seen[0]), "{seen:?}");
    assert_eq!(next(&mut simulation, |_| {}).lasting, [], "cleared");
    seen[0].clone()
}

#[test]
fn sensor_faults_are_withheld_and_other_persistent_values_shown() {
    let volts = |volts: i32| {
        fifth_cell_outcome(move |cell| cell.voltage = Some(Millivolts(volts)), |cell| cell.voltage.is_some())
    };
    let degrees = |degrees: i32| {
        fifth_cell_outcome(
            move |cell| cell.temperature = Some(Millicelsius(degrees * 1_000)),
            |cell| cell.temperature.is_some(),
        )
    };
    let soc =
        |soc: i32| fifth_cell_outcome(move |cell| cell.soc = Some(Percent(soc)), |cell| cell.soc.is_some());
    let implausible = |name: &str| (true, vec![format!("{name} limit")]);
    let faulty = |name: &str| (false, vec![format!("{name} sensor_fault")]);
    for shown in [0, 500, 4_095, 5_999] {
        assert_eq!(volts(shown), implausible("cell_5_voltage"), "{shown} mV");
    }
    for withheld in [6_000, 65_535] {
        assert_eq!(volts(withheld), faulty("cell_5_voltage"), "{withheld} mV");
    }
    for shown in [-60, -50, 120, 200] {
        assert_eq!(degrees(shown), implausible("cell_5_temp"), "{shown} degrees");
    }
    for withheld in [-61, 201, 255] {
        assert_eq!(degrees(withheld), faulty("cell_5_temp"), "{withheld} degrees");
    }
    assert_eq!(soc(150), implausible("cell_5_soc"));
    for withheld in [201, 255] {
        assert_eq!(soc(withheld), faulty("cell_5_soc"), "{withheld} %");
    }
    assert_eq!(volts(2_500), (true, vec![]), "a low cell voltage is not implausible");
}

/// A reading of one battery, and its facts.
static READING: LazyLock<BankReading> =
    LazyLock::new(|| SimulatedYears::new(SimulatedBank::new(&plan(1, 1)), SWEEP).reading(SweepKind::Full));
static FACTS: LazyLock<Vec<Facts>> =
    LazyLock::new(|| simulated_years::facts(&SimulatedBank::new(&plan(1, 1))));

/// Sets one value of the first battery or its fourth cell; false if this sweep has no such value.
fn set_value(reading: &mut BankReading, slot: usize, value: i32) -> bool {
    let BatteryReading { measured: m, cells, .. } = &mut reading.batteries[0];
    match (slot, cells) {
        (0, _) => m.voltage = Some(Millivolts(value)),
        (1, _) => m.current = Some(Milliamps(value)),
        (2, _) => m.temperature = Some(Millicelsius(value)),
        (3, _) => m.mos_temperature = Some(Millicelsius(value)),
        (4, _) => m.soc = Some(Percent(value)),
        (5, _) => m.remaining = Some(MilliampHours(value.into())),
        (6, _) => m.energy = Some(MilliwattHours(value.into())),
        (7, _) => m.cell_voltage_low = Some(Millivolts(value)),
        (8, _) => m.cell_voltage_high = Some(Millivolts(value)),
        (9, _) => m.cell_temperature_low = Some(Millicelsius(value)),
        (10, _) => m.cell_temperature_high = Some(Millicelsius(value)),
        (11, Some(cells)) => cells[3].voltage = Some(Millivolts(value)),
        (12, Some(cells)) => cells[3].temperature = Some(Millicelsius(value)),
        (13, Some(cells)) => cells[3].current = Some(Milliamps(value)),
        (14, Some(cells)) => cells[3].soc = Some(Percent(value)),
        (15, Some(cells)) => cells[3].coulomb = Some(MilliampHours(value.into())),
        _ => return false,
    }
    true
}

/// Whether that slot holds anything.
fn is_shown(reading: &BankReading, slot: usize) -> bool {
    let keys: Vec<ValueKey> =
        shown(&reading.batteries[0].measured, reading.batteries[0].cells.as_deref().unwrap_or_default())
            .collect();
    use Quantity::*;
    use ValueScope::*;
    let all = [
        (Voltage, Whole),
        (Current, Whole),
        (Temperature, Whole),
        (MosTemperature, Whole),
        (Soc, Whole),
        (Charge, Whole),
        (Energy, Whole),
        (CellVoltage, LowestCell),
        (CellVoltage, HighestCell),
        (CellTemperature, LowestCell),
        (CellTemperature, HighestCell),
        (CellVoltage, Cell(4)),
        (CellTemperature, Cell(4)),
        (Current, Cell(4)),
        (Soc, Cell(4)),
        (Charge, Cell(4)),
    ];
    keys.contains(&all[slot])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// For any value and any sequence of sweeps, with missing answers and gaps of any length.
    #[test]
    fn a_persistent_value_is_stable_from_its_second_occurrence(
        slot in 0..16_usize,
        value in prop_oneof![
            any::<i32>(),
            prop::sample::select(vec![0, -1, 255, 200, 201, 120, 6_000, 5_999, 4_095, 65_535, -60_000, -50_000, 120_000, 200_001]),
            -100..300_i32,
            -100_000..250_000_i32,
        ],
        known in any::<bool>(),
        sweeps in prop::collection::vec((any::<bool>(), 0..5_u32, 1..100_u32), 4..16),
    ) {
        let (mut stats, mut began) = (Stats::without_persistence(SWEEP), Instant::now());
        let mut swept = |kind, seconds, change: &mut dyn FnMut(&mut BankReading)| {
            began += Duration::from_secs(seconds);
            let mut reading = BankReading { kind, began, ..READING.clone() };
            change(&mut reading);
            stats.report(reading, FACTS.clone(), Facts::default(), ServiceCounters::default())
        };
        if known {
            swept(SweepKind::Full, 0, &mut |_| {});
        }
        let (mut seen, mut lasting) = (Vec::new(), Vec::new());
        for (full, lost, seconds) in sweeps {
            let kind = if full { SweepKind::Full } else { SweepKind::Summary };
            let mut present = false;
            let report = swept(kind, seconds.into(), &mut |reading| {
                if !full {
                    reading.batteries[0].cells = None;
                }
                present = lost > 0 && set_value(reading, slot, value);
                if !present {
                    // This sweep does not have the value.
                    let BatteryReading { measured, cells, .. } = &mut reading.batteries[0];
                    (*measured, *cells) = (Measured::default(), None);
                }
            });
            if present {
                seen.push(is_shown(&report.reading, slot));
                lasting.push(!report.lasting.is_empty());
            }
        }
        let steady = |seen: &[bool]| seen.iter().skip(1).all(|shown| *shown == seen[1]);
        prop_assert!(steady(&seen), "{seen:?}");
        // Its event is stable as well, except that an event of the table's extremes is replaced by that of the cell.
        prop_assert!((7..11).contains(&slot) || lasting.is_sorted() && lasting.iter().skip(2).all(|now| *now == lasting[2]), "{lasting:?}");
    }
}

#[test]
fn two_persistently_different_answers_are_both_shown() {
    let mut simulation = simulation();
    let mut is_shown = Vec::new();
    for sweep in 0..12 {
        let (kind, degrees) = if sweep % 2 == 0 { (SweepKind::Full, 60) } else { (SweepKind::Summary, 20) };
        simulation.advance(Duration::from_secs(1));
        let report = simulation.report(kind, |reading| {
            reading.batteries[0].measured.temperature = Some(Millicelsius(degrees * 1_000));
        });
        is_shown.push(report.reading.batteries[0].measured.temperature.is_some());
    }
    assert_eq!(is_shown[1..], [true; 11], "{is_shown:?}");
}

#[test]
fn an_impossible_value_is_withheld_until_the_next_sweep_confirms_it() {
    use ImplausibleReason::{Limit, Step};
    assert_shown_when_repeated(
        Quantity::Voltage,
        Limit,
        |m| m.voltage = Some(Millivolts(93_000)),
        |m| m.voltage.is_some(),
    );
    assert_shown_when_repeated(
        Quantity::Voltage,
        Step,
        |m| m.voltage = Some(Millivolts(43_000)),
        |m| m.voltage.is_some(),
    );
    assert_shown_when_repeated(
        Quantity::Current,
        Limit,
        |m| m.current = Some(Milliamps(-499_999_000)),
        |m| m.current.is_some(),
    );
    assert_shown_when_repeated(
        Quantity::Temperature,
        Step,
        |m| m.temperature = Some(Millicelsius(-40_000)),
        |m| m.temperature.is_some(),
    );
    assert_shown_when_repeated(Quantity::Soc, Step, |m| m.soc = Some(Percent(5)), |m| m.soc.is_some());
    assert_shown_when_repeated(Quantity::Soc, Limit, |m| m.soc = Some(Percent(170)), |m| m.soc.is_some());
}

#[test]
fn disagreeing_values_are_withheld_and_a_plausible_one_is_shown() {
    let mut simulation = simulation();
    let with_voltage = |volts: i32| {
        move |reading: &mut BankReading| reading.batteries[0].measured.voltage = Some(Millivolts(volts))
    };
    for volts in [93_000, 33_000, 99_000] {
        assert_eq!(
            next(&mut simulation, with_voltage(volts)).reading.batteries[0].measured.voltage,
            None,
            "{volts}"
        );
    }
    let sane = next(&mut simulation, |_| {});
    assert!(sane.reading.batteries[0].measured.voltage.is_some());
    assert_eq!(
        sane.service.withheld.each().filter(|(_, count)| *count > 0).collect::<Vec<_>>(),
        [("voltage_limit".to_owned(), 2), ("voltage_step".to_owned(), 1)]
    );
}

#[test]
fn a_dead_cell_is_shown_at_once_only_if_its_battery_reports_a_fault() {
    let dead = |fault_reported: bool| {
        move |reading: &mut BankReading| {
            let battery = &mut reading.batteries[0];
            battery.cells.as_mut().unwrap()[4].voltage = Some(Millivolts(4_095));
            if fault_reported {
                battery.measured.base_state = Some(Word::new("SysError"));
            }
        }
    };
    let fifth = |report: &BankReport| report.reading.batteries[0].cells.as_ref().unwrap()[4].voltage;
    assert_eq!(fifth(&next(&mut simulation(), dead(true))), Some(Millivolts(4_095)));
    let mut without_fault = simulation();
    assert_eq!(fifth(&next(&mut without_fault, dead(false))), None);
    assert_eq!(
        fifth(&next(&mut without_fault, dead(false))),
        Some(Millivolts(4_095)),
        "repeated, so it is not line noise"
    );
}

#[test]
fn real_loads_full_batteries_and_gaps_are_never_withheld() {
    let mut simulation = simulation();
    for amperes in [0, 95, -95, 0, 80, -60] {
        let report = next(&mut simulation, |reading| {
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
    simulation.advance(Duration::from_secs(6 * 3_600));
    assert_eq!(next(&mut simulation, |_| {}).withheld, [], "after a long gap no step is detected");
}

#[test]
fn every_value_of_an_ordinary_day_is_plausible() {
    for series in [false, true] {
        let bank = SimulatedBank::new(&bankwatch::internals::simulator::BankPlan { series, ..plan(3, 17) });
        let mut simulation = SimulatedYears::new(bank, SWEEP);
        for _ in 0..8_640 {
            assert_eq!(next(&mut simulation, |_| {}).withheld, []);
        }
    }
}

#[test]
fn a_swapped_battery_is_not_a_step() {
    let mut simulation = simulation();
    assert!(simulation.bank.set_soc(2, 0.05));
    next(&mut simulation, |_| {});
    next(&mut simulation, |_| {});
    assert!(simulation.bank.swap(1, 2));
    assert_eq!(next(&mut simulation, |_| {}).withheld, []);
}
