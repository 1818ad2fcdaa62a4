//! `log` and `data event`: what a battery remembers.

use super::super::bank::Bank;
use super::super::battery::{Battery, LogRecord, Moment};
use super::super::said::{LogEntry, Snapshot, Values};
use super::detail::DetailLayout;
use super::events;
use super::text::{BARE, FEED, HEAD, Text};
use super::{Answer, EventStyle, Spec, cell_table};

/// Records on a page, where the pager waits.
const PAGE: usize = 3;

/// Answers `log`: newest first, three a page; the last record of a page has line ends of its own.
pub(super) fn log(bank: &Bank, battery: &Battery, text: Text) -> Answer {
    let mut text = text;
    let mut said = Vec::new();
    for (number, record) in battery.log.iter().enumerate() {
        let last_of_page = number % PAGE == PAGE - 1;
        let before = if last_of_page { BARE } else { HEAD };
        let time = bank.at(record.seconds);
        text.line(before, format!(" Index   : {:<6}", record.index));
        text.line(before, format!(" Time    : {}", time.strftime("%y-%m-%d %H:%M:%S")));
        text.line(before, " ModID   : BMM");
        text.line(before, format!(" Code    : {:x}", record.code));
        text.line(before, format!(" Info    : {}", record.text));
        if last_of_page {
            text.pause();
        } else {
            text.line(HEAD, "");
        }
        let LogRecord { index, code, text, .. } = *record;
        said.push(LogEntry { index, time, code, text: text.to_owned() });
    }
    Answer::done(text, Values::Log(said))
}

/// Answers `data event [i]`: the battery as it was at the newest moment it kept, or at the one asked for.
pub(super) fn event(
    bank: &Bank,
    battery: &Battery,
    spec: &Spec,
    layout: &DetailLayout,
    style: EventStyle,
    index: Option<u32>,
) -> Option<Answer> {
    const RULE: &str = "-----------------------------------------------";
    let Moment { index, seconds, battery } = match index {
        Some(index) => battery.moments.iter().find(|moment| moment.index == index)?,
        None => battery.moments.front()?,
    };
    let time = bank.at(*seconds);
    let detail = layout.of(1, battery, spec);
    let mut cells = cell_table::OF_AN_EVENT.rows_of(battery, spec);
    for cell in &mut cells {
        cell.charge_mah = None;
    }
    let number = |value: i64, unit: &str| format!("{value:<12}{unit}");
    let word = |bits: Option<u32>, names| events::print(bits.unwrap_or_default(), names, 11, style);
    let lines = [
        ("Item Index", index.to_string()),
        ("Time", time.strftime("%y-%m-%d %H:%M:%S").to_string()),
        ("Voltage", number(detail.voltage_mv.into(), "mV")),
        ("Current", number(detail.current_ma.into(), "mA")),
        ("Temperature", number(detail.temperature_mc.into(), "mC")),
        ("Percent", number(detail.soc.into(), "%")),
        ("Total Coulomb", number(detail.total_mah.unwrap_or_default(), "mAH")),
        ("Max Voltage", number(spec.max_voltage_mv.into(), "mV")),
        ("Base State", detail.base_state.clone()),
        ("Volt. State", detail.voltage_state.clone()),
        ("Curr. State", detail.current_state.clone()),
        ("Tempr. State", detail.temperature_state.clone()),
        ("Coul. Status", detail.coulomb_state.clone()),
        ("Power Events", word(detail.power_events, events::POWER)),
        ("Bat Events", word(detail.battery_events, events::BATTERY)),
        ("Bat Protect ENA", "BOV BHV BLV BUV BSLP CBOT CBHT CBLT CBUT DBOT DBHT DBLT DBUT ".to_owned()),
        ("Pwr Protect ENA", "POV PHV PLV PUV PSLP POT PHT COC2 COC COCA DOCA DOC DOC2 SC LCOUL ".to_owned()),
        ("System Fault", word(detail.system_fault, events::FAULT)),
    ];
    let mut text = Text::marked();
    text.line(FEED, RULE);
    for (label, value) in lines {
        text.line(FEED, format!("{label:<16}: {value}"));
    }
    text.line(FEED, RULE);
    text.line(FEED, "");
    cell_table::OF_AN_EVENT.write(&mut text, &cells);
    let snapshot = Snapshot { index: *index, time, detail, cells };
    Some(Answer::done(text, Values::Snapshot(Box::new(snapshot))))
}
