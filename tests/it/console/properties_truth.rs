//! The parsed values equal those that the simulated consoles print, in any dialect and any state of the bank.

use bankwatch::internals::console::answers;
use bankwatch::internals::console::answers::bat::CellTable;
use bankwatch::internals::console::answers::data_event::DataEvent;
use bankwatch::internals::console::answers::euro::Euro;
use bankwatch::internals::console::answers::info::Info;
use bankwatch::internals::console::answers::parsed::{Parsed, Rejected};
use bankwatch::internals::console::answers::pwr_detail::PwrDetail;
use bankwatch::internals::console::answers::pwr_table::PwrRow;
use bankwatch::internals::console::answers::stack::StackTableRow;
use bankwatch::internals::console::framing::answer::Answer;
use bankwatch::internals::console::framing::refusal::CommandRefusal;
use bankwatch::internals::model::event_word::EventWord;
use bankwatch::internals::model::lifetime::LifetimeFigure;
use bankwatch::internals::model::units::{
    MilliampHours, Milliamps, Millicelsius, Millivolts, MilliwattHours, Percent,
};
use bankwatch::internals::model::word::Word;
use bankwatch::internals::simulator::{
    self, Console, Dialect, EventStyle, EventWordKind as Words, PrintedDetail, PrintedTableRow,
    PrintedValues, Simulation,
};
use proptest::prelude::*;
use support::framed_answers::{FramedAnswer, ask};

/// Changes to a bank before it is polled.
#[derive(Clone, Debug)]
struct Scenario {
    dialect: Dialect,
    seed: u64,
    batteries: usize,
    minutes: u64,
    style: EventStyle,
    debug: bool,
    /// Place and state of charge.
    filled: Option<(usize, f64)>,
    taken_out: Option<usize>,
    without_sensor: Option<usize>,
    without_barcode: Option<usize>,
    /// Place, word and bits.
    raised: Vec<(usize, usize, u32)>,
}

fn scenarios() -> impl Strategy<Value = Scenario> {
    let dialect = (0..Dialect::ALL.len()).prop_map(|index| Dialect::ALL[index]);
    let style = prop_oneof![Just(EventStyle::Prefixed), Just(EventStyle::BareHex), Just(EventStyle::Decimal)];
    let place = || proptest::option::of(1..=16_usize);
    let bits = prop_oneof![(0..32_u32).prop_map(|shift| 1 << shift), any::<u32>()];
    let bank = (dialect, any::<u64>(), 1..=16_usize, 0..1_500_u64, style, any::<bool>());
    let raised = proptest::collection::vec((1..=16_usize, 0..4_usize, bits), 0..5);
    let filled = proptest::option::of((1..=16_usize, 0.0..=1.0_f64));
    (bank, filled, place(), place(), place(), raised).prop_map(
        |(
            (dialect, seed, batteries, minutes, style, debug),
            filled,
            taken_out,
            without_sensor,
            without_barcode,
            raised,
        )| Scenario {
            dialect,
            seed,
            // No stack exceeds 1000 V, and no column has room for more.
            batteries: if dialect.is_stack() { batteries.min(9) } else { batteries },
            minutes,
            style,
            debug,
            filled,
            // The modules of a stack are in series: without one of them there is no stack.
            taken_out: taken_out.filter(|_| batteries > 1 && !dialect.is_stack()),
            without_sensor,
            without_barcode,
            raised,
        },
    )
}

impl Scenario {
    fn console(&self) -> Console {
        let plan = Simulation::new(self.dialect).seed(self.seed).batteries(self.batteries);
        let mut console = plan.event_style(self.style).debug(self.debug).console().unwrap();
        let bank = console.bank_mut();
        bank.advance(std::time::Duration::from_secs(60 * self.minutes));
        self.filled.map(|(place, soc)| bank.set_soc(place, soc));
        self.without_sensor.map(|place| bank.set_mosfet_sensor(place, false));
        self.without_barcode.map(|place| bank.set_barcode(place, ""));
        for &(place, word, bits) in &self.raised {
            let words = [Words::Battery, Words::Power, Words::Fault, Words::Alarm];
            bank.raise_event(place, words[word], bits);
        }
        self.taken_out.map(|place| bank.take_out(place));
        console
    }
}

fn questions(batteries: usize) -> Vec<String> {
    let alone = ["pwr", "bat", "info", "stat", "soh", "time", "log", "unit", "help", "euro"];
    let snapshots = ["data event", "data event 3", "data history", "data history 3"];
    let mut all: Vec<String> = alone.into_iter().chain(snapshots).map(str::to_owned).collect();
    for place in [1, batteries, batteries + 1] {
        all.extend(["pwr", "bat", "info", "stat", "soh"].map(|verb| format!("{verb} {place}")));
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parsed_values_equal_the_printed_ones(scenario in scenarios()) {
        let mut console = scenario.console();
        for question in questions(scenario.batteries) {
            let FramedAnswer { received, answer, values } = ask(&mut console, &question);
            prop_assert_eq!(&Answer::from_transcript(&received), &answer, "{}", question);
            let read = answers::parse(question.parse().unwrap(), &answer);
            if let Ok(parsed) = &read {
                prop_assert_eq!(parsed.problems(), &[], "{}", question);
            }
            check_answer(&scenario, &question, &values, &read);
        }
    }
}

fn check_answer(
    scenario: &Scenario,
    question: &str,
    values: &PrintedValues,
    read: &Result<Parsed, Rejected>,
) {
    match (values, read) {
        (PrintedValues::Refusal(line), Err(Rejected::Refused(refusal))) => {
            assert_eq!(CommandRefusal::in_line(line), Some(*refusal), "{question}");
        }
        (PrintedValues::Table(rows), Ok(Parsed::Table(table))) => {
            assert_eq!(
                rows.iter().map(|row| row_of(scenario, row)).collect::<Vec<_>>(),
                table.rows,
                "{question}"
            );
        }
        (PrintedValues::Detail(printed), Ok(Parsed::Detail(read))) => detail(scenario, printed, read),
        (PrintedValues::Cells { place, cells: printed }, Ok(Parsed::Cells(read))) => {
            assert_eq!(read.stack, *place == 0);
            cells(printed, read);
        }
        (PrintedValues::Info(lines), Ok(Parsed::Info(read))) => info(lines, read),
        (PrintedValues::Stat(counters), Ok(Parsed::Stat(read))) => {
            assert_eq!(*counters, read.counters, "{question}");
            let printed = |labels: [&str; 2]| {
                let found = counters.iter().find(|(label, _)| labels.contains(&label.as_str()));
                found.map(|(_, count)| *count)
            };
            assert_eq!(read.cycles, printed(["CYCLE Times"; 2]));
            assert_eq!(read.soh.map(|soh| i64::from(soh.0)), printed(["SOH", "SOH Percent"]));
            assert_eq!(read.remaining, printed(["Pwr Coulomb", "Pwr Coulomb(mAS)"]));
            assert_eq!(read.discharged.map(|charge| charge.0), printed(["Dsg Cap", "Dsg Cap(mAH)"]));
        }
        (PrintedValues::Soh(voltages), Ok(Parsed::Soh(read))) => {
            let numbered: Vec<_> = (0..).zip(voltages.iter().map(|&mv| Some(Millivolts(mv)))).collect();
            let found = read.cells.iter().map(|cell| (cell.number.unwrap(), cell.voltage));
            assert_eq!(found.collect::<Vec<_>>(), numbered, "{question}");
        }
        (PrintedValues::Stack(printed), Ok(Parsed::Stack(read))) => {
            assert_eq!(stack_of(scenario, printed), **read)
        }
        (PrintedValues::Units(printed), Ok(Parsed::Units(read))) => {
            assert_eq!(printed.iter().map(|unit| unit_of(scenario, unit)).collect::<Vec<_>>(), read.units);
        }
        (PrintedValues::Time(time), Ok(Parsed::Clock(read))) => assert_eq!(Some(whole(*time)), read.clock),
        (PrintedValues::Log(records), Ok(Parsed::Log(read))) => {
            assert_eq!(records.len(), read.records.len());
            for (printed, read) in records.iter().zip(&read.records) {
                assert_eq!((i64::from(printed.index), Some(whole(printed.time))), (read.index, read.clock));
                assert_eq!((Some(printed.code), Some(&printed.text)), (read.code, read.info.as_ref()));
            }
        }
        (PrintedValues::Nothing, Ok(Parsed::Help(help))) => {
            assert!(help.lists("pwr") && help.lists("info"), "{help:?}");
            let dialect = scenario.dialect.name();
            assert_eq!(help.lists("euro"), ["us3000c", "us5000", "us3000d"].contains(&dialect), "{dialect}");
        }
        (PrintedValues::Euro(lines), Ok(Parsed::Euro(read))) => euro(lines, read),
        (PrintedValues::Snapshot(printed), Ok(Parsed::Event(read))) => snapshot(scenario, printed, read),
        (printed, read) => panic!("{question} printed {printed:?}, read {read:?}"),
    }
}

fn row_of(scenario: &Scenario, printed: &PrintedTableRow) -> PwrRow {
    let place = u8::try_from(printed.place).ok().and_then(bankwatch::internals::model::place::Place::new);
    if !printed.present {
        return PwrRow { place, absent: true, base_state: Some(Word::new("Absent")), ..PwrRow::default() };
    }
    let id = |which: usize| printed.cell_ids.map(|ids| u16::try_from(ids[which]).unwrap());
    let states = [&printed.voltage_state, &printed.current_state, &printed.temperature_state]
        .map(|word| word_of(word));
    let [voltage_state, current_state, temperature_state] = states;
    PwrRow {
        place,
        absent: false,
        voltage: Some(Millivolts(printed.voltage_mv)),
        current: Some(Milliamps(printed.current_ma)),
        temperature: Some(Millicelsius(printed.temperature_mc)),
        cell_temperature_low: Some(Millicelsius(printed.temperature_low_mc)),
        cell_temperature_high: Some(Millicelsius(printed.temperature_high_mc)),
        cell_voltage_low: Some(Millivolts(printed.cell_low_mv)),
        cell_voltage_high: Some(Millivolts(printed.cell_high_mv)),
        coldest_cell: id(0),
        warmest_cell: id(1),
        lowest_cell: id(2),
        highest_cell: id(3),
        base_state: word_of(&printed.base_state),
        volt_state: voltage_state.clone(),
        current_state,
        temp_state: temperature_state.clone(),
        soc: Some(Percent(printed.soc)),
        clock: Some(whole(printed.time)),
        // The simulator prints the battery's own states here.
        cell_volt_state: voltage_state.clone(),
        cell_temp_state: temperature_state.clone(),
        mos_temperature: printed.mosfet_mc.map(Millicelsius),
        mos_temp_state: temperature_state.filter(|_| printed.mosfet_mc.is_some()),
        system_alarm: voltage_state.filter(|_| scenario.dialect == Dialect::Us5000),
        barcode: printed.barcode.clone().filter(|barcode| !barcode.is_empty()),
        model: printed.device_type.clone(),
    }
}

fn detail(scenario: &Scenario, printed: &PrintedDetail, read: &PwrDetail) {
    assert_eq!(read.number.map(usize::from), Some(printed.place));
    assert_eq!(read.voltage, Some(Millivolts(printed.voltage_mv)));
    assert_eq!(read.current, Some(Milliamps(printed.current_ma)));
    assert_eq!(read.temperature, Some(Millicelsius(printed.temperature_mc)));
    assert_eq!(read.soc, Some(Percent(printed.soc)));
    assert_eq!(read.nominal_capacity, printed.total_mah.map(MilliampHours));
    assert_eq!(read.usable_capacity, printed.real_mah.map(MilliampHours));
    assert_eq!(read.max_voltage, printed.max_voltage_mv.map(Millivolts));
    assert_eq!(read.charge_times, Some(printed.charge_times));
    assert_eq!((read.charged, read.discharged), (printed.charged_as, printed.discharged_as));
    let words = [&read.base_state, &read.volt_state, &read.current_state, &read.temp_state];
    let states =
        [&printed.base_state, &printed.voltage_state, &printed.current_state, &printed.temperature_state];
    assert_eq!(words.map(Clone::clone), states.map(|word| word_of(word)));
    assert_eq!(read.coulomb_state, word_of(&printed.coulomb_state));
    assert_eq!(read.soh_state, printed.soh_state.as_deref().map(Word::new));
    event(scenario, printed.battery_events, read.battery_events.as_ref());
    event(scenario, printed.power_events, read.power_events.as_ref());
    event(scenario, printed.system_fault, read.system_fault.as_ref());
    let alarm = printed.system_alarm.map(|bits| ("System Alarm".to_owned(), bits));
    let others: Vec<_> = printed.status_words.iter().cloned().chain(alarm).collect();
    assert_eq!(read.other_events.len(), others.len());
    for ((label, bits), (found, word)) in others.iter().zip(&read.other_events) {
        assert_eq!(label, found);
        event(scenario, Some(*bits), Some(word));
    }
    assert_eq!(read.barcode, printed.barcode.clone().filter(|barcode| !barcode.is_empty()));
    assert_eq!((&read.model, &read.firmware), (&printed.device_type, &printed.firmware));
    assert_eq!(read.other, []);
}

/// Digits alone may be of either base; values that the rule of decision 0003 cannot distinguish are not checked.
fn event(scenario: &Scenario, printed: Option<u32>, read: Option<&EventWord>) {
    let Some(bits) = printed else { return assert_eq!(read, None) };
    let fewer = |wrong: Option<u32>| wrong.is_some_and(|wrong| wrong.count_ones() < bits.count_ones());
    let misread = match scenario.style {
        EventStyle::Prefixed => false,
        EventStyle::BareHex => fewer(format!("{bits:x}").parse().ok()),
        EventStyle::Decimal => {
            let wrong = u32::from_str_radix(&bits.to_string(), 16).ok();
            wrong.is_some_and(|wrong| wrong.count_ones() <= bits.count_ones())
        }
    };
    if !misread {
        assert_eq!(read.map(|word| word.bits), Some(bits), "{:?}", scenario.style);
    }
}

fn cells(printed: &[simulator::PrintedCellRow], read: &CellTable) {
    assert_eq!(printed.len(), read.cells.len());
    for (printed, read) in printed.iter().zip(&read.cells) {
        assert_eq!(read.number.map(usize::from), Some(printed.index));
        assert_eq!(read.voltage, Some(Millivolts(printed.voltage_mv)));
        assert_eq!(read.current, printed.current_ma.map(Milliamps));
        assert_eq!(read.temperature, Some(Millicelsius(printed.temperature_mc)));
        assert_eq!(read.base_state, printed.base_state.as_deref().map(Word::new));
        assert_eq!(read.volt_state, word_of(&printed.voltage_state));
        assert_eq!(read.temp_state, word_of(&printed.temperature_state));
        assert_eq!(read.soc, Some(Percent(printed.soc)));
        assert_eq!(read.coulomb, printed.charge_mah.map(MilliampHours));
        assert_eq!(read.energy, printed.energy_mwh.map(MilliwattHours));
        assert_eq!(read.balancing, printed.balancing);
    }
}

fn info(lines: &[(String, String)], read: &Info) {
    let printed = |label: &str| {
        let found = lines.iter().find(|(other, _)| other == label).map(|(_, value)| value.clone());
        found.filter(|value| !value.is_empty())
    };
    let amount =
        |label: &str| printed(label).map(|text| Milliamps(text.trim_end_matches("mA").parse().unwrap()));
    assert_eq!(read.address.map(|address| address.to_string()), printed("Device address"));
    assert_eq!((&read.manufacturer, &read.model), (&printed("Manufacturer"), &printed("Device name")));
    assert_eq!((&read.board, &read.firmware), (&printed("Board version"), &printed("Main Soft version")));
    assert_eq!(read.released, printed("Release Date"));
    assert_eq!(read.barcode, printed("Barcode").or(printed("Module Barcode")));
    assert_eq!(read.cells.map(|cells| cells.to_string()), printed("Cell Number"));
    assert_eq!(read.max_discharge_current, amount("Max Dischg Curr"));
    assert_eq!(read.max_charge_current, amount("Max Charge Curr"));
    let specification = printed("Specification").unwrap();
    let capacity: f64 = specification.rsplit('/').next().unwrap().trim_end_matches("AH").parse().unwrap();
    assert_eq!(read.nominal_capacity, Some(MilliampHours((capacity * 1000.0) as i64)));
    let modules = lines.iter().filter(|(label, value)| label == "Module:" && !value.is_empty());
    assert_eq!(read.module_barcodes, modules.map(|(_, barcode)| barcode.clone()).collect::<Vec<_>>());
    assert_eq!(read.other, []);
}

/// Checks that each value with a unit is parsed as the number before it.
fn euro(lines: &[(String, String)], read: &Euro) {
    assert_eq!(read.other, []);
    for (label, value) in lines {
        let number: Option<f64> = value.split(' ').next().and_then(|number| number.parse().ok());
        let is_read = |each: f64, figure| {
            assert_eq!(
                read.values.get(&figure).copied(),
                number.map(|n| (n * each).round() as i64),
                "{label}"
            );
        };
        match label.as_str() {
            "Remain Cap." | "Remain Cap. 1" => is_read(1_000.0, LifetimeFigure::Capacity),
            "Chg. Energy Thro." => is_read(1_000.0, LifetimeFigure::EnergyCharged),
            "Energy Thro." => is_read(1_000.0, LifetimeFigure::EnergyThroughput),
            "Dsg. Capac. Thro." => is_read(1_000.0, LifetimeFigure::ChargeOut),
            "Resistence" => is_read(1_000.0, LifetimeFigure::Resistance),
            "Chg. Dsg. Cycle" => is_read(1.0, LifetimeFigure::Cycles),
            "Round Trip Eff." if !value.ends_with('%') => {
                assert_eq!(read.values.get(&LifetimeFigure::RoundTrip), None, "a number without a unit");
            }
            _ => {}
        }
    }
}

fn stack_of(scenario: &Scenario, printed: &simulator::PrintedStackRow) -> StackTableRow {
    StackTableRow {
        place: None,
        voltage: Some(Millivolts(printed.voltage_mv)),
        current: Some(Milliamps(printed.current_ma)),
        temperature: Some(Millicelsius(printed.temperature_mc)),
        cell_temperature_low: Some(Millicelsius(printed.cell_temperature_mc[0])),
        cell_temperature_high: Some(Millicelsius(printed.cell_temperature_mc[1])),
        cell_voltage_low: Some(Millivolts(printed.cell_voltage_mv[0])),
        cell_voltage_high: Some(Millivolts(printed.cell_voltage_mv[1])),
        base_state: word_of(&printed.base_state),
        volt_state: word_of("Normal"),
        current_state: word_of("Normal"),
        temp_state: word_of("Normal"),
        soc: Some(Percent(printed.soc)),
        coulomb: Some(MilliampHours(printed.charge_mah)),
        energy: energy(scenario, printed.energy),
        clock: Some(whole(printed.time)),
        error_code: Some(EventWord { bits: printed.error, names: Vec::new() }),
    }
}

fn unit_of(scenario: &Scenario, printed: &simulator::PrintedUnitRow) -> StackTableRow {
    StackTableRow {
        place: u8::try_from(printed.index).ok().and_then(bankwatch::internals::model::place::Place::new),
        voltage: Some(Millivolts(printed.voltage_mv)),
        current: Some(Milliamps(printed.current_ma)),
        temperature: Some(Millicelsius(printed.temperature_mc)),
        cell_temperature_low: Some(Millicelsius(printed.cell_temperature_mc[0])),
        cell_temperature_high: Some(Millicelsius(printed.cell_temperature_mc[1])),
        cell_voltage_low: Some(Millivolts(printed.cell_voltage_mv[0])),
        cell_voltage_high: Some(Millivolts(printed.cell_voltage_mv[1])),
        base_state: word_of(&printed.base_state),
        volt_state: word_of("Normal"),
        current_state: None,
        temp_state: word_of("Normal"),
        soc: Some(Percent(printed.soc)),
        coulomb: Some(MilliampHours(printed.charge_mah)),
        energy: energy(scenario, printed.energy),
        clock: Some(whole(printed.time)),
        error_code: None,
    }
}

/// The expected value is the printed one: the SC500 prints whole watt-hours.
fn energy(scenario: &Scenario, printed: Option<(i32, i64)>) -> Option<MilliwattHours> {
    let each = if scenario.dialect == Dialect::Sc500 { 1000 } else { 1 };
    printed.map(|(_, amount)| MilliwattHours(amount * each))
}

fn snapshot(scenario: &Scenario, printed: &simulator::PrintedSnapshot, read: &DataEvent) {
    assert_eq!((read.item, read.clock), (Some(i64::from(printed.index)), Some(whole(printed.time))));
    assert_eq!(read.voltage, Some(Millivolts(printed.detail.voltage_mv)));
    assert_eq!(read.current, Some(Milliamps(printed.detail.current_ma)));
    assert_eq!(read.temperature, Some(Millicelsius(printed.detail.temperature_mc)));
    assert_eq!(read.soc, Some(Percent(printed.detail.soc)));
    assert_eq!(read.base_state, word_of(&printed.detail.base_state));
    event(scenario, printed.detail.battery_events, read.battery_events.as_ref());
    event(scenario, printed.detail.power_events, read.power_events.as_ref());
    event(scenario, printed.detail.system_fault, read.system_fault.as_ref());
    assert_eq!(printed.cells.len(), read.cells.len());
    for (printed, read) in printed.cells.iter().zip(&read.cells) {
        assert_eq!(read.number.map(usize::from), Some(printed.index));
        assert_eq!(read.voltage, Some(Millivolts(printed.voltage_mv)));
        assert_eq!(read.temperature, Some(Millicelsius(printed.temperature_mc)));
        assert_eq!(read.base_state, printed.base_state.as_deref().map(Word::new));
        assert_eq!(read.volt_state, word_of(&printed.voltage_state));
        assert_eq!(read.soc, Some(Percent(printed.soc)));
    }
    assert_eq!(printed.units.len(), read.units.len());
    for (printed, read) in printed.units.iter().zip(&read.units) {
        assert_eq!(read.number.map(usize::from), Some(printed.index));
        assert_eq!(read.voltage, Some(Millivolts(printed.voltage_mv)));
        assert_eq!(read.temperature, Some(Millicelsius(printed.temperature_mc)));
        let [low, high] = printed.cell_temperature_mc.map(|value| Some(Millicelsius(value)));
        assert_eq!((read.cell_temperature_low, read.cell_temperature_high), (low, high));
        let [low, high] = printed.cell_voltage_mv.map(|value| Some(Millivolts(value)));
        assert_eq!((read.cell_voltage_low, read.cell_voltage_high), (low, high));
    }
}

fn word_of(text: &str) -> Option<Word> {
    Some(Word::new(text))
}

/// Consoles print whole seconds.
fn whole(time: jiff::civil::DateTime) -> jiff::civil::DateTime {
    time.with().subsec_nanosecond(0).build().unwrap()
}
