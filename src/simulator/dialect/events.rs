//! Event words: their bits, the names of the bits, and how they are printed.
//!
//! Names of bits that occur in no capture follow the pattern of those that do (`BHV`, `BVNOR`, `COULFULL`). The parser
//! reads the number and ignores the names.

use crate::simulator::physics::battery::{BaseState, EventWordKind, SimulatedBattery};

/// How event words are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EventStyle {
    /// `0x2000     COULFULL`, as in all captures.
    #[default]
    Prefixed,
    /// `2000`: hexadecimal without prefix.
    BareHex,
    /// `8192`.
    Decimal,
}

/// Bits and their names.
pub(super) type BitNames = &'static [(u32, &'static str)];

pub(super) const BATTERY: BitNames = &[
    (0x1, "BOV"),
    (0x2, "BHV"),
    (0x4, "BVNOR"),
    (0x8, "BLV"),
    (0x10, "BUV"),
    (0x20, "BSLP"),
    (0x100, "BOT"),
    (0x200, "BHT"),
    (0x400, "BTNOR"),
    (0x800, "BLT"),
    (0x1000, "BUT"),
];
pub(super) const POWER: BitNames = &[
    (0x1, "POV"),
    (0x2, "PHV"),
    (0x4, "PVNOR"),
    (0x8, "PLV"),
    (0x10, "PUV"),
    (0x20, "PSLP"),
    (0x80, "PWRON"),
    (0x100, "POT"),
    (0x200, "PHT"),
    (0x400, "PTNOR"),
    (0x800, "PLT"),
    (0x1000, "PUT"),
    (0x2000, "COULFULL"),
    (0x4000, "COULNOR"),
    (0x8000, "COULLOW"),
    (0x1_0000, "SC"),
    (0x2_0000, "DOC2"),
    (0x4_0000, "COC2"),
    (0x8_0000, "DOC"),
    (0x10_0000, "COC"),
    (0x20_0000, "IDLE"),
    (0x40_0000, "CHG"),
    (0x80_0000, "DSG"),
    (0x200_0000, "IDLE"),
    (0x400_0000, "CHG"),
    (0x800_0000, "DSG"),
    (0x1000_0000, "SYSERR"),
];
pub(super) const FAULT: BitNames = &[
    (0x1, "RV"),
    (0x2, "INOV"),
    (0x8, "BMICERR"),
    (0x80, "I2CERR"),
    (0x100, "ONLINE err"),
    (0x1000, "EXCOMMTIMEOUT"),
    (0x2000, "InitVoltDiff"),
];
pub(super) const ALARM: BitNames = &[];

/// A status word of the US3000D, which it prints instead of event words.
#[derive(Clone, Copy, Debug)]
pub(super) enum StatusWord {
    BatteryVoltage,
    BatteryTemperature,
    PowerVoltage,
    PowerTemperature,
    Current,
    Base,
    Coulomb,
    MosfetTemperature,
    Ambient,
    Cascade,
}

impl StatusWord {
    pub(crate) fn names(self) -> BitNames {
        match self {
            Self::BatteryVoltage => BATTERY,
            Self::PowerVoltage => POWER,
            Self::BatteryTemperature => &[(0x2, "BOT"), (0x4, "BHT"), (0x8, "BTNOR"), (0x10, "BLT")],
            Self::PowerTemperature => &[(0x2, "POT"), (0x4, "PHT"), (0x8, "PTNOR"), (0x10, "PLT")],
            Self::Current => &[(0x1, "CNOR")],
            Self::Base => &[(0x1, "IDLE"), (0x2, "CHG"), (0x4, "DSG")],
            Self::Coulomb => &[(0x1, "COULFULL"), (0x2, "COULNOR"), (0x4, "COULLOW")],
            Self::MosfetTemperature => &[(0x8, "MTNOR")],
            Self::Ambient => &[(0x8, "ETNOR")],
            Self::Cascade => &[],
        }
    }

    /// The raised bits, otherwise the bit for the normal state.
    pub(crate) fn bits(self, battery: &SimulatedBattery) -> u32 {
        let or_normal = |bits: u32, normal| if bits == 0 { normal } else { bits };
        match self {
            Self::BatteryVoltage => or_normal(battery.event_bits(EventWordKind::Battery), 0x4),
            Self::PowerVoltage => or_normal(battery.event_bits(EventWordKind::Power) & 0x1f, 0x4),
            Self::Current => 0x1,
            Self::Base => match battery.state() {
                BaseState::Idle => 0x1,
                BaseState::Charge => 0x2,
                BaseState::Dischg => 0x4,
            },
            Self::Coulomb => {
                if battery.is_full() {
                    0x1
                } else {
                    0x2
                }
            }
            Self::BatteryTemperature | Self::PowerTemperature | Self::MosfetTemperature | Self::Ambient => {
                0x8
            }
            Self::Cascade => 0,
        }
    }
}

/// Prints an event word padded to `width`, then the names of its bits.
pub(super) fn print(bits: u32, names: BitNames, width: usize, style: EventStyle) -> String {
    let number = match style {
        EventStyle::Prefixed => format!("0x{bits:x}"),
        EventStyle::BareHex => format!("{bits:x}"),
        EventStyle::Decimal => bits.to_string(),
    };
    let names: Vec<_> = names.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name).collect();
    // No capture contains a word that fills its column; keep a space before the names.
    let width = if names.is_empty() { width } else { width.max(number.len() + 1) };
    format!("{number:<width$}{}", names.join(" "))
}
