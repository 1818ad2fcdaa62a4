//! `euro`: lifetime values of the battery. Both layouts follow documentation, because there is no raw capture.

use crate::simulator::dialect::answer::AnswerBody;
use crate::simulator::dialect::layouts::EuroLayout;
use crate::simulator::dialect::spec::DialectSpec;
use crate::simulator::dialect::text::HEAD;
use crate::simulator::physics::battery::SimulatedBattery;
use crate::simulator::printed::PrintedValues;

/// Answers `euro`.
pub(super) fn answer(battery: &SimulatedBattery, spec: &DialectSpec) -> AnswerBody {
    let lines = match spec.euro {
        EuroLayout::Separate => separate(battery),
        EuroLayout::Combined => combined(battery),
    };
    let mut text = spec.open_padded();
    for (label, value) in &lines {
        let line = if value.is_empty() { format!("{label}:") } else { format!("{label:<28}: {value}") };
        text.line(HEAD, line);
    }
    let printed = lines.into_iter().map(|(label, value)| (label.to_owned(), value)).collect();
    AnswerBody::done(text, PrintedValues::Euro(printed))
}

type EuroLines = Vec<(&'static str, String)>;

/// Prints an amount in thousandths of a unit as whole unit-hours, and the rest as thousandths of unit-seconds.
fn split(thousandths: f64, unit: &str) -> String {
    let whole = (thousandths / 1_000.0).floor();
    format!("{whole:.0} {unit}h  {:.0} m{unit}s", (thousandths - whole * 1_000.0) * 3_600.0)
}

/// Milliampere-hours, and milliwatt-hours at the nominal voltage.
fn charge_and_energy(ampere_seconds: f64, battery: &SimulatedBattery) -> (f64, f64) {
    let charge = ampere_seconds.max(0.0) / 3.6;
    (charge, charge * 3.2 * battery.cell_count() as f64)
}

/// Capacity of the weakest cell in ampere-hours.
fn capacity(battery: &SimulatedBattery) -> f64 {
    battery.cells.iter().map(|cell| cell.capacity / 3_600.0).fold(f64::INFINITY, f64::min)
}

/// Sum over all cells in milliohms.
fn resistance(battery: &SimulatedBattery) -> f64 {
    battery.cells.iter().map(|cell| cell.resistance * 1_000.0).sum()
}

fn cycles(battery: &SimulatedBattery) -> String {
    format!("{:.0}", battery.counters().discharged / 3_600.0 / battery.nominal)
}

fn separate(battery: &SimulatedBattery) -> EuroLines {
    let (charge_in, energy_in) = charge_and_energy(battery.counters().charged, battery);
    let (charge_out, energy_out) = charge_and_energy(battery.counters().discharged, battery);
    let remaining = capacity(battery);
    vec![
        ("Date of manufacture", "2023-05-11".into()),
        ("Date of putting into service", "2023-08-01".into()),
        ("Storage", "82 days".into()),
        ("Remain Cap. 1", format!("{remaining:.2} Ah")),
        ("Remain Cap. 2", format!("{remaining:.2} Ah")),
        ("Remain Power", split(remaining * 3.2 * battery.cell_count() as f64 * 1_000.0, "W")),
        ("Round Trip Eff.", "95.31 %".into()),
        ("Self Dsg Rate", "1.20 %".into()),
        ("Resistence", format!("{:.1} mOhm", resistance(battery))),
        ("Chg. Energy Thro.", split(energy_in, "W")),
        ("Dsg. Energy Thro.", split(energy_out, "W")),
        ("Chg. Capac. Thro.", split(charge_in, "A")),
        ("Dsg. Capac. Thro.", split(charge_out, "A")),
        ("Deep Dsg. Count", battery.counters().cell_low.to_string()),
        ("Extr. Tempr Total", "5400 Sec.".into()),
        ("Extr. Tempr Chg.", "1800 Sec.".into()),
        ("Chg. Dsg. Cycle", cycles(battery)),
        ("Chg. Dsg. Cycle2", cycles(battery)),
    ]
}

fn combined(battery: &SimulatedBattery) -> EuroLines {
    let counters = battery.counters();
    let (charge, energy) = charge_and_energy(counters.charged + counters.discharged, battery);
    vec![
        ("SOH", String::new()),
        ("Date of manufacture", "---------- --:--:--".into()),
        ("Date of putting into service", "---------- --:--:--".into()),
        ("Storage", "- days".into()),
        ("Remain Cap.", format!("{:.0} Ah", capacity(battery))),
        ("Remain Power", "9950".into()),
        ("Round Trip Eff.", "9531".into()),
        ("Self Dsg Rate", "120".into()),
        ("Resistence", format!("{:.0} mOhm", resistance(battery))),
        ("Life Expectance", String::new()),
        ("Energy Thro.", split(energy, "W")),
        ("Capac. Thro.", split(charge, "A")),
        ("Deep Dsg. Count", counters.cell_low.to_string()),
        ("Extr. Tempr Total", "5400 Sec.".into()),
        ("Extr. Tempr Chg.", "1800 Sec.".into()),
        ("Chg. Dsg. Cycle", cycles(battery)),
    ]
}
