//! `stat` and `stat N`: the counters of a battery.

use crate::simulator::dialect::answer::AnswerBody;
use crate::simulator::dialect::layouts::StatCounter::{
    self, CellHigh, CellLow, ChargedSeconds, Charges, Cycles, DischargedMah, DischargedSeconds, Discharges,
    Idles, Items, Never, RemainingCharge, Resets, Soc, Soh,
};
use crate::simulator::dialect::layouts::{StatLayout, StatLine};
use crate::simulator::dialect::measurement::Measurement;
use crate::simulator::dialect::spec::DialectSpec;
use crate::simulator::dialect::text::{AnswerText, FEED};
use crate::simulator::physics::battery::SimulatedBattery;
use crate::simulator::printed::PrintedValues;

const OPENING: &[StatLine] = &[("Data Items", Items), ("HisData Items", Items)];
const OPENING_MISC: &[StatLine] =
    &[("Data Items", Items), ("HisData Items", Items), ("MiscData Items", Items)];
const CHANGES: &[StatLine] = &[
    ("Charge Cnt.", Never),
    ("Discharge Cnt.", Never),
    ("Charge Times", Charges),
    ("Status Cnt.", Items),
    ("Idle Times", Idles),
];
const TRIPS: &[StatLine] = &[("COC Times", Never), ("DOC Times", Never), ("COCA Times", Never)];
const TRIPS_2: &[StatLine] = &[
    ("COC Times", Never),
    ("COC2 Times", Never),
    ("DOC Times", Never),
    ("DOC2 Times", Never),
    ("COCA Times", Never),
];
const LIMITS: &[StatLine] = &[
    ("DOCA Times", Never),
    ("SC Times", Never),
    ("Bat OV Times", Never),
    ("Bat HV Times", CellHigh),
    ("Bat LV Times", CellLow),
    ("Bat UV Times", Never),
    ("Bat SLP Times", Never),
    ("Pwr OV Times", Never),
    ("Pwr HV Times", Never),
    ("Pwr LV Times", Never),
    ("Pwr UV Times", Never),
    ("Pwr SLP Times", Never),
    ("COT Times", Never),
    ("CUT Times", Never),
    ("DOT Times", Never),
    ("DUT Times", Never),
    ("CHT Times", Never),
    ("CLT Times", Never),
    ("DHT Times", Never),
    ("DLT Times", Never),
    ("Shut Times", Resets),
    ("Reset Times", Resets),
    ("RV Times", Never),
    ("Input OV Times", Never),
    ("SOH Times", Never),
];
const CHIP: &[StatLine] = &[("BMICERR Times", Never)];
const CHIP_I2C: &[StatLine] = &[("I2CERR Times", Never)];
const CYCLES: &[StatLine] = &[("CYCLE Times", Cycles)];
const HEALTH: &[StatLine] = &[("SOH", Soh)];
const CHARGE: &[StatLine] = &[("Pwr Percent", Soc), ("Pwr Coulomb", RemainingCharge)];
const GIVEN: &[StatLine] = &[("Dsg Cap", DischargedMah)];
const LIFE: &[StatLine] = &[
    ("HT@0.5C Cnt", Never),
    ("LT@0.5C Cnt", Never),
    ("HT Cnt", Never),
    ("LT Cnt", Never),
    ("LV Cnt", CellLow),
    ("LifeWarn Times", Never),
    ("LifeAlarm Times", Never),
];
/// Added by newer Pylontech firmware, with wider labels.
const LONG: &[StatLine] = &[
    ("Pov Items                ", Never),
    ("Puv Items                ", Never),
    ("Plv Items                ", Never),
    ("Bov Items                ", Never),
    ("Buv Items                ", Never),
    ("Input ov Items           ", Never),
    ("Coc Items                ", Never),
    ("Coca Items               ", Never),
    ("Doc Items                ", Never),
    ("Doca Items               ", Never),
    ("Sc Items                 ", Never),
    ("Use Data Items           ", Items),
    ("Log Charge Times         ", Charges),
    ("Max Charge Volt Diff     ", Never),
    ("Max DisCharge Volt Diff  ", Never),
    ("Last Idle days           ", Never),
    ("Max Idle days            ", Never),
    ("Storages Days            ", Never),
    ("Pwr on Secs              ", ChargedSeconds),
    ("Low Volt2 Hours          ", Never),
    ("Low Volt1 Hours          ", Never),
    ("Low Volt ShutDown Hours  ", Never),
    ("HTChgDsg Secs            ", Never),
    ("LTChg Secs               ", Never),
    ("LTDsg Secs               ", Never),
    ("HT Secs                  ", Never),
    ("LT Secs                  ", Never),
    ("HV2 Secs                 ", Never),
    ("ChgCurr 0~0.2C Secs      ", ChargedSeconds),
    ("ChgCurr 0.2C~0.5C Secs   ", Never),
    ("ChgCurr 0.5C~0.8C Secs   ", Never),
    ("ChgCurr 0.8C~1C Secs     ", Never),
    ("ChgCurr 1C above Secs    ", Never),
    ("DsgCurr 0~0.2C Secs      ", DischargedSeconds),
    ("DsgCurr 0.2C~0.5C Secs   ", Never),
    ("DsgCurr 0.5C~0.8C Secs   ", Never),
    ("DsgCurr 0.8C~1C Secs     ", Never),
    ("DsgCurr 1C above Secs    ", Never),
    ("Soc 0~20% Secs           ", Never),
    ("Soc 20~60% Secs          ", DischargedSeconds),
    ("Soc 60% above Secs       ", ChargedSeconds),
    ("Soc Low Thd1 Sec         ", Never),
    ("Soc Low Thd2 Sec         ", Never),
    ("Soc High Thd1 Sec        ", Never),
    ("Soc High Thd2 Sec        ", Never),
    ("Low Tmpr Thd1 Sec        ", Never),
    ("High Tmpr Thd1 Sec       ", Never),
    ("ChOvr Volt Thd1 Sec      ", Never),
    ("DsgUnd Volt Thd1 Sec     ", Never),
    ("ChOvr Curr Thd1 Sec      ", Never),
    ("DsgOvr Curr Thd1 Sec     ", Never),
];
/// The US3000D has a different order and different names.
const US3000D_LINES: &[StatLine] = &[
    ("Charge Secs.", ChargedSeconds),
    ("Discharge Secs.", DischargedSeconds),
    ("Charge Times", Charges),
    ("Discharge Times", Discharges),
    ("Idle Times", Idles),
    ("COC2 Times", Never),
    ("DOC2 Times", Never),
    ("COC Times", Never),
    ("DOC Times", Never),
    ("COCA Times", Never),
];
const US3000D_LIFE: &[StatLine] = &[
    ("HT@0.5C Secs", Never),
    ("LT@0.5C Secs", Never),
    ("HT Secs", Never),
    ("LT Secs", Never),
    ("LV Secs", Never),
    ("SOC LOW Secs", Never),
    ("Shut Times", Resets),
    ("Reset Times", Never),
    ("Power on Times", Resets),
];
const STACK_LINES: &[StatLine] = &[
    ("EvenData Items", Items),
    ("HistData Items", Items),
    ("MiscData Items", Items),
    ("Charge Cnt.", Never),
    ("Discharge Cnt.", Never),
    ("Charge Times", Charges),
    ("Status Cnt.", Items),
    ("Idle Times", Idles),
    ("Bat OV Times", Never),
    ("Bat HV Times", CellHigh),
    ("Bat LV Times", CellLow),
    ("Bat UV Times", Never),
    ("Bat SHUT Times", Never),
    ("Shut Times", Resets),
    ("Reset Times", Resets),
    ("SOH Times", Never),
    ("BMICERR Times", Never),
    ("CYCLE Times", Cycles),
    ("Pwr Percent", Soc),
    ("Pwr Coulomb(mAS)", RemainingCharge),
    ("Dsg Cap(mAH)", DischargedMah),
    ("SOH Percent", Soh),
    ("ChgCurr 0~0.2C Secs      ", ChargedSeconds),
    ("DsgCurr 0~0.2C Secs      ", DischargedSeconds),
    ("LifeWarning Times   ", Never),
    ("LifeAlarm Times     ", Never),
];

const PLAIN: StatLayout =
    StatLayout { groups: &[], width: 8, page: None, by_place: true, exclamation: false };

/// US2000 and PYTES before the V5.
pub(super) const OLD: StatLayout = StatLayout {
    groups: &[OPENING_MISC, CHANGES, TRIPS, LIMITS, CHIP, CYCLES, CHARGE, GIVEN, LIFE],
    ..PLAIN
};
/// US2000C and US5000: with state of health.
pub(super) const NEW: StatLayout = StatLayout {
    groups: &[OPENING, CHANGES, TRIPS_2, LIMITS, CHIP, CYCLES, HEALTH, CHARGE, GIVEN, LIFE],
    ..PLAIN
};
/// US3000C with late firmware: paged.
pub(super) const PAGED: StatLayout = StatLayout {
    groups: &[OPENING, CHANGES, TRIPS_2, LIMITS, CHIP, CYCLES, HEALTH, CHARGE, GIVEN, LIFE, LONG],
    page: Some(10),
    ..PLAIN
};
/// US3000D: no `stat N`.
pub(super) const US3000D: StatLayout = StatLayout {
    groups: &[US3000D_LINES, LIMITS, CHIP, CYCLES, HEALTH, GIVEN, US3000D_LIFE],
    by_place: false,
    exclamation: true,
    ..PLAIN
};
/// PYTES V5: wider numbers, no `stat N`.
pub(super) const PYTES_V5: StatLayout = StatLayout {
    groups: &[OPENING, CHANGES, TRIPS, LIMITS, CHIP_I2C, CYCLES, CHARGE, LIFE],
    width: 10,
    by_place: false,
    ..PLAIN
};
/// A high-voltage stack.
pub(super) const STACK: StatLayout = StatLayout { groups: &[STACK_LINES], by_place: false, ..PLAIN };

fn value(counter: StatCounter, battery: &SimulatedBattery, measured: &Measurement) -> i64 {
    let counters = battery.counters();
    let discharged_mah = counters.discharged / 3.6;
    let cycles = discharged_mah / (battery.nominal * 1000.0);
    match counter {
        Never => 0,
        Items => battery.log.len() as i64,
        Charges => counters.charges.into(),
        Discharges => counters.discharges.into(),
        Idles => counters.idles.into(),
        CellHigh => counters.cell_high.into(),
        CellLow => counters.cell_low.into(),
        Resets => counters.resets.into(),
        Cycles => cycles as i64,
        // The cells lose a percent of capacity per sixty cycles.
        Soh => 100 - (cycles / 60.0) as i64,
        Soc => measured.soc.into(),
        RemainingCharge => measured.charge_mas,
        DischargedMah => discharged_mah as i64,
        // Assumes a current of 0.2 C.
        ChargedSeconds => (counters.charged / battery.nominal * 5.0) as i64,
        DischargedSeconds => (counters.discharged / battery.nominal * 5.0) as i64,
    }
}

/// Answers `stat` and `stat N`.
pub(super) fn answer(
    place: usize,
    battery: &SimulatedBattery,
    text: AnswerText,
    spec: &DialectSpec,
    layout: &StatLayout,
) -> AnswerBody {
    let mut text = text;
    let measured = Measurement::of(battery, spec.temperature_step);
    text.line(FEED, format!("{:<18}{place:>1$}", "Device address", layout.width));
    let mut counters = Vec::new();
    let mut before = FEED;
    for (number, (label, counter)) in layout.groups.iter().copied().flatten().enumerate() {
        let value = value(*counter, battery, &measured);
        text.line(before, format!("{label:<16}: {value:>0$}", layout.width));
        counters.push((label.trim_end().to_owned(), value));
        before = FEED;
        if layout.page.is_some_and(|page| (number + 2) % page == 0) {
            text.pause();
            before = "";
        }
    }
    AnswerBody { exclamation: layout.exclamation, ..AnswerBody::done(text, PrintedValues::Stat(counters)) }
}
