//! The table of dialects: every simulated model with its capacities and layouts.

use std::fmt;
use std::str::FromStr;

use crate::simulator::dialect::layouts::{EuroLayout, SohLayout};
use crate::simulator::dialect::spec::{DialectSpec, DialectTables, PackTables};
use crate::simulator::dialect::{cell_table, detail_fields, info, power_table, stack, stat};

const PYLONTECH: &[&str] =
    &["bat", "data", "help", "info", "log", "login", "logout", "pwr", "soh", "stat", "time"];
const WITHOUT_SOH: &[&str] =
    &["bat", "data", "euro", "help", "info", "log", "login", "logout", "pwr", "stat", "time"];
const US3000D_COMMANDS: &[&str] = &["bat", "euro", "help", "info", "pwr", "stat"];
const WITH_VER: &[&str] =
    &["bat", "data", "help", "info", "log", "login", "logout", "pwr", "soh", "stat", "time", "ver"];
const STACK_COMMANDS: &[&str] =
    &["bat", "data", "help", "info", "log", "login", "logout", "pwr", "soh", "stat", "time", "unit"];

const US2000: DialectSpec = DialectSpec {
    name: "us2000",
    prompt: "pylon",
    maker: "Pylon",
    device: "US2KBPL",
    firmware: "B66.6",
    barcode_letter: 'P',
    slots: 8,
    cells: 15,
    amp_hours: 50.0,
    limit_per_hour: 2.0,
    max_voltage_mv: 54_000,
    temperature_step: 1000,
    commands: PYLONTECH,
    info: info::PYLONTECH,
    info_by_place: true,
    clock_chip: "Ds3231 ",
    blank_after_mark: false,
    echoes_twice: false,
    euro: EuroLayout::Separate,
    tables: DialectTables::Pack(PackTables {
        table: &power_table::A,
        detail: &detail_fields::US2000,
        cells: &cell_table::B9,
        stat: &stat::OLD,
        soh: SohLayout::Counted,
    }),
};
const US2000C: DialectSpec = DialectSpec {
    name: "us2000c",
    device: "US2000C",
    firmware: "B67.5.0",
    slots: 16,
    limit_per_hour: 1.8,
    temperature_step: 100,
    clock_chip: "RTC ",
    tables: DialectTables::Pack(PackTables {
        table: &power_table::B,
        detail: &detail_fields::US2000C,
        cells: &cell_table::B11,
        stat: &stat::NEW,
        soh: SohLayout::Counted,
    }),
    ..US2000
};
const US3000C: DialectSpec = DialectSpec {
    name: "us3000c",
    device: "US3000C",
    firmware: "B69.25.0.0",
    amp_hours: 74.0,
    limit_per_hour: 1.0,
    commands: WITHOUT_SOH,
    info: info::PYLONTECH_BOARD,
    tables: DialectTables::Pack(PackTables {
        table: &power_table::B,
        detail: &detail_fields::US2000C,
        cells: &cell_table::B11,
        stat: &stat::PAGED,
        soh: SohLayout::Counted,
    }),
    ..US2000C
};
const US5000: DialectSpec = DialectSpec {
    name: "us5000",
    device: "US5000",
    firmware: "B69.26.0.0",
    amp_hours: 100.0,
    clock_chip: "Ds3231 ",
    tables: DialectTables::Pack(PackTables {
        table: &power_table::E,
        detail: &detail_fields::US5000,
        cells: &cell_table::B11,
        stat: &stat::NEW,
        soh: SohLayout::Counted,
    }),
    ..US3000C
};
const US3000D: DialectSpec = DialectSpec {
    name: "us3000d",
    device: "US3000D",
    firmware: "B1.4.0.0",
    slots: 0,
    max_voltage_mv: 57_600,
    commands: US3000D_COMMANDS,
    info_by_place: false,
    blank_after_mark: true,
    echoes_twice: true,
    euro: EuroLayout::Combined,
    tables: DialectTables::Pack(PackTables {
        table: &power_table::D,
        detail: &detail_fields::US3000D,
        cells: &cell_table::B12,
        stat: &stat::US3000D,
        soh: SohLayout::Counted,
    }),
    ..US3000C
};
const PYTES: DialectSpec = DialectSpec {
    name: "pytes",
    prompt: "PYTES",
    maker: "PYTES",
    device: "E-BOX-4850P",
    firmware: "SPBMS15SIM2111V1.3",
    barcode_letter: 'E',
    limit_per_hour: 2.04,
    info: info::PYTES,
    clock_chip: "DS3231M ",
    tables: DialectTables::Pack(PackTables {
        table: &power_table::A,
        detail: &detail_fields::PYTES,
        cells: &cell_table::B9,
        stat: &stat::OLD,
        soh: SohLayout::Counted,
    }),
    ..US2000
};
const PYTES_R: DialectSpec = DialectSpec {
    name: "pytes-r",
    device: "E-BOX-48100R",
    firmware: "SPBMS16SIM2111V1.3",
    slots: 16,
    cells: 16,
    amp_hours: 100.0,
    limit_per_hour: 1.02,
    max_voltage_mv: 58_000,
    tables: DialectTables::Pack(PackTables {
        table: &power_table::C,
        detail: &detail_fields::PYTES_R,
        cells: &cell_table::B9,
        stat: &stat::OLD,
        soh: SohLayout::Counted,
    }),
    ..PYTES
};
const PYTES_C: DialectSpec = DialectSpec {
    name: "pytes-c",
    device: "E-BOX-48100R-C",
    firmware: "SPBMS16SIM2212V1.5",
    tables: DialectTables::Pack(PackTables {
        table: &power_table::C,
        detail: &detail_fields::PYTES_C,
        cells: &cell_table::B8,
        stat: &stat::OLD,
        soh: SohLayout::Counted,
    }),
    ..PYTES_R
};
const PYTES_V5: DialectSpec = DialectSpec {
    name: "pytes-v5",
    device: "E-BOX-48100V-D",
    firmware: "SPBMS16SIM2304V1.10.T5",
    limit_per_hour: 1.05,
    commands: WITH_VER,
    info: info::PYTES_V5,
    clock_chip: "PCF8563 ",
    tables: DialectTables::Pack(PackTables {
        table: &power_table::C_V5,
        detail: &detail_fields::PYTES_V5,
        cells: &cell_table::B8,
        stat: &stat::PYTES_V5,
        soh: SohLayout::Bits,
    }),
    ..PYTES_R
};
const FORCE_H2: DialectSpec = DialectSpec {
    name: "force-h2",
    device: "Force_H2",
    firmware: "B52.26.0",
    slots: 0,
    cells: 30,
    amp_hours: 37.0,
    limit_per_hour: 0.5,
    commands: STACK_COMMANDS,
    info: info::STACK,
    clock_chip: "",
    tables: DialectTables::Stack(stack::FORCE_H2),
    ..US2000
};
const SC500: DialectSpec = DialectSpec {
    name: "sc500",
    device: "CMU_A",
    firmware: "B52.34.0",
    cells: 15,
    amp_hours: 74.0,
    tables: DialectTables::Stack(stack::SC500),
    ..FORCE_H2
};
const SC0500: DialectSpec = DialectSpec {
    name: "sc0500",
    device: "XHB_CMU_H7",
    firmware: "B50.3.0",
    amp_hours: 50.0,
    temperature_step: 100,
    tables: DialectTables::Stack(stack::SC0500),
    ..SC500
};

macro_rules! dialects {
    ($($(#[$doc:meta])* $name:ident => $spec:ident),* $(,)?) => {
        /// A simulated console model.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Dialect { $($(#[$doc])* $name),* }

        impl Dialect {
            pub const ALL: &[Self] = &[$(Self::$name),*];

            pub(crate) fn spec(self) -> &'static DialectSpec {
                match self { $(Self::$name => { const SPEC: &DialectSpec = &$spec; SPEC })* }
            }
        }
    };
}

dialects! {
    /// Pylontech US2000, US2KBPL: 16 columns, 8 rows.
    Us2000 => US2000,
    /// Pylontech US2000C: 18 columns, 16 rows.
    Us2000c => US2000C,
    /// Pylontech US3000C with late firmware: no `soh`, a long `stat` with a pager.
    Us3000c => US3000C,
    /// Pylontech US5000: 23 columns, but absent rows in the 16-column layout.
    Us5000 => US5000,
    /// Pylontech US3000D: 22 columns, no absent rows, one status word per topic, few commands.
    Us3000d => US3000D,
    /// PYTES E-BOX-4850P: 16 columns, 8 rows.
    Pytes => PYTES,
    /// PYTES E-BOX-48100R: barcode and model in the table.
    PytesR => PYTES_R,
    /// PYTES model C: no cell currents, heater status twice.
    PytesC => PYTES_C,
    /// PYTES V5: wide values, ampere-seconds, a header with random bytes.
    PytesV5 => PYTES_V5,
    /// Pylontech Force H2, a high-voltage stack.
    ForceH2 => FORCE_H2,
    /// Pylontech SC500 and SC1000.
    Sc500 => SC500,
    /// Pylontech SC0500: no energy columns.
    Sc0500 => SC0500,
}

impl Dialect {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        self.spec().name
    }

    /// Whether its batteries are connected in series.
    pub fn is_stack(self) -> bool {
        matches!(self.spec().tables, DialectTables::Stack(_))
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown dialect {name:?}; expected one of {}", names())]
pub struct UnknownDialect {
    name: String,
}

fn names() -> String {
    Dialect::ALL.iter().map(|dialect| dialect.name()).collect::<Vec<_>>().join(", ")
}

impl FromStr for Dialect {
    type Err = UnknownDialect;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.iter().copied().find(|dialect| dialect.name() == name);
        known.ok_or_else(|| UnknownDialect { name: name.to_owned() })
    }
}
