//! The table of `bankwatch read`: values derived from many sweeps are shown, unknown ones are omitted.

use std::time::Duration;

use bankwatch::internals::events::catalogue::Catalogue;
use bankwatch::internals::events::decode::set_active_events;
use bankwatch::internals::model::event_word::EventWord;
use bankwatch::internals::model::reading::{Measured, SweepKind};
use bankwatch::internals::model::report::BankReport;
use bankwatch::internals::simulator::SimulatedBank;
use bankwatch::internals::status::{StatusDocument, table};
use jiff::tz::TimeZone;
use support::simulated_years::{SimulatedYears, plan};

const STEP: Duration = Duration::from_secs(300);
const DAY: u32 = 24 * 12;

fn text(mut report: BankReport) -> String {
    set_active_events(&mut report, &Catalogue::load(None).0);
    table::render(&StatusDocument::of(&report, &TimeZone::UTC), false)
}

#[test]
fn a_single_sweep_is_one_line_per_battery() {
    let simulation = SimulatedYears::new(SimulatedBank::new(&plan(2, 3)), STEP);
    let text = text(BankReport::of_one(simulation.reading(SweepKind::Full)));
    assert_eq!(text.lines().count(), 1 + 1 + 2, "{text}");
}

#[test]
fn missing_evidence_is_one_line() {
    let mut simulation = SimulatedYears::new(SimulatedBank::new(&plan(1, 3)), STEP);
    simulation.advance(STEP);
    let text = text(simulation.report(SweepKind::Full, |_| {}));
    let lines: Vec<_> =
        text.lines().filter(|line| line.starts_with("battery 1, unknown: watched for 0 hours")).collect();
    assert!(matches!(*lines, [line] if line.contains("; not yet seen near empty, ")), "{text}");
}

#[test]
fn active_events_of_a_stack_are_shown() {
    let simulation = SimulatedYears::new(SimulatedBank::new(&plan(2, 3)), STEP);
    let mut reading = simulation.reading(SweepKind::Full);
    let error_code = Some(EventWord { bits: 0x8, names: Vec::new() });
    reading.stack = Some(Measured { system_fault: error_code, ..Measured::default() });
    let text = text(BankReport::of_one(reading));
    assert!(text.contains("stack, event: Unknown condition 0x8 (error_code 0x8)"), "{text}");
}

#[test]
fn counters_health_events_and_trends_follow_the_sweep() {
    let mut simulation = SimulatedYears::new(SimulatedBank::new(&plan(2, 3)).with_step(40.0), STEP);
    for step in 0..40 * DAY {
        if step % DAY == 0 {
            // Too small for a finding, but a reliable trend.
            let ohms = if step == 0 { 0.000_2 } else { 0.000_002 };
            assert!(simulation.bank.add_cell_resistance(1, 3, ohms));
            assert!(simulation.bank.set_cell_offset(2, 7, 0.004 + 0.000_5 * f64::from(step / DAY)));
        }
        simulation.advance(STEP);
        simulation.report(SweepKind::Full, |_| {});
    }
    let text = text(simulation.report(SweepKind::Full, |reading| {
        reading.batteries[0].measured.power_events = Some(EventWord { bits: 0x0020_2006, names: Vec::new() });
    }));
    let line =
        |words: &str| text.lines().find(|line| line.contains(words)).unwrap_or_else(|| panic!("{text}"));
    assert!(line("counted").contains(" kWh in, ") && line("counted").contains(" Ah out"), "{text}");
    let heading = line("health");
    for column in ["charged", "discharged", "capacity", "share", "at rest", "mostly lowest", "last full"] {
        assert!(heading.contains(column), "{text}");
    }
    assert!(!heading.contains("soh"), "no battery reported one: {text}");
    line("battery 1, trend: resistance of the worst cell rises by 0.0");
    line("battery 1, event: High voltage alarm (power 0x2)");
    assert!(!text.contains("Voltage normal") && !text.contains("Full charge"), "{text}");
    line("battery 2, watch: cell 7 reads +");
    line("battery 2, watch: cell spread at rest rises by ");
    assert!(!text.contains("trend: cell spread at rest"), "shown twice: {text}");
}
