//! One bank: where its console is and what is asked of it.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::settings::check::kind::{NON_EMPTY_TEXT, SettingKind, TextFormat};
use crate::settings::endpoint;
use crate::settings::key::SettingDef;
use crate::settings::value::{AutoOr, auto_or_text, duration};

/// One bank.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BankSettings {
    /// Prefix of topics, files and ids: `[A-Za-z0-9_-]+`, unique.
    pub name: String,
    /// `/dev/…`, `COMn`, `tcp://host:port`, `rfc2217://host:port` or `replay:FILE`.
    pub link: String,
    /// Bits a second of a serial link.
    pub baud: u32,
    /// What ends a command.
    pub line_end: LineEnd,
    /// Whether the modem line DTR is raised.
    pub dtr: bool,
    /// Whether the modem line RTS is raised.
    pub rts: bool,
    /// From the beginning of one full sweep to the next.
    #[serde(deserialize_with = "duration")]
    pub interval: Duration,
    /// From one summary sweep to the next; zero: none.
    #[serde(deserialize_with = "duration")]
    pub summary_interval: Duration,
    /// How many batteries there are.
    pub batteries: BatteryCount,
    /// Whether cells are asked, and which of their values MQTT and Home Assistant show.
    pub cells: CellLevel,
    /// Whether the settings name that level, or leave it at its default.
    #[serde(skip)]
    pub cells_explicit: bool,
    /// State of charge in percent to which the time is told, beside full and empty.
    pub(crate) target_soc: u8,
    /// Whether a sleeping console is woken.
    pub wake: WakeMode,
    /// Shown to people; from the console where the settings don't say.
    #[serde(deserialize_with = "auto_or_text")]
    pub manufacturer: AutoOr<String>,
    /// Shown to people; from the console where the settings don't say.
    #[serde(deserialize_with = "auto_or_text")]
    pub model: AutoOr<String>,
    /// What the predecessor's file said of the bank. It is asked all the same; a bank that differs owes a warning.
    #[serde(skip)]
    pub expected: Option<ExpectedCounts>,
}

/// What ends a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LineEnd {
    /// `\n`
    Lf,
    /// `\r`
    Cr,
    /// `\r\n`
    Crlf,
}

impl LineEnd {
    /// The bytes on the wire.
    #[must_use]
    pub(crate) fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Lf => b"\n",
            Self::Cr => b"\r",
            Self::Crlf => b"\r\n",
        }
    }
}

/// How many batteries a bank has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatteryCount {
    /// As many as the console's table shows.
    Auto,
    /// So many, 1 to 16; fewer or more are a warning.
    Count(u8),
}

impl<'de> Deserialize<'de> for BatteryCount {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Count(u8),
            Word(Auto),
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum Auto {
            Auto,
        }
        Ok(match Written::deserialize(from)? {
            Written::Count(count) => Self::Count(count),
            Written::Word(Auto::Auto) => Self::Auto,
        })
    }
}

/// How much of the cells is asked and shown, in growing order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CellLevel {
    /// Cells are not asked, but beside an event.
    Off,
    /// Voltage.
    Low,
    /// Voltage, temperature, voltage state and the statistics.
    Medium,
    /// All there is.
    High,
}

/// Whether a sleeping console is woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WakeMode {
    /// When it is silent and the link can change its speed.
    Auto,
    /// Never.
    Never,
}

/// What a file written for one certain bank said of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExpectedCounts {
    /// Batteries in the bank.
    pub batteries: Option<u8>,
    /// Cells in each battery.
    pub cells: Option<u8>,
}

/// Whether a bank's name may have this character.
pub(crate) fn is_in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

const BAUDS: &[i64] = &[
    1200, 2400, 4800, 9600, 14_400, 19_200, 28_800, 38_400, 57_600, 76_800, 115_200, 230_400, 460_800,
    921_600,
];

const fn key(
    name: &'static str,
    kind: SettingKind,
    default: &'static str,
    description: &'static str,
) -> SettingDef {
    SettingDef { section: "bank", name, kind, default, description }
}

pub(crate) const KEYS: &[SettingDef] = &[
    key(
        "name",
        SettingKind::Text(TextFormat {
            expected: "letters, digits, _ and - only",
            fits: |text| !text.is_empty() && text.chars().all(is_in_name),
        }),
        "pytes",
        "prefix of topics, files and ids; letters, digits, _ and -; unique",
    ),
    key(
        "link",
        SettingKind::Text(TextFormat {
            expected: "/dev/…, tcp://host:port, rfc2217://host:port or replay:FILE",
            fits: endpoint::is_link,
        }),
        "/dev/ttyUSB0",
        "or /dev/serial/by-id/…, tcp://host:port, rfc2217://host:port, replay:FILE",
    ),
    key("baud", SettingKind::OneOf(BAUDS), "115200", "baud rate of a serial or rfc2217:// link"),
    key(
        "line_end",
        SettingKind::Choice(&["lf", "cr", "crlf"]),
        "lf",
        "lf, cr or crlf: line ending of commands",
    ),
    key("dtr", SettingKind::Bool, "true", "modem line, for adapters that need it"),
    key("rts", SettingKind::Bool, "true", "modem line, for adapters that need it"),
    key(
        "interval",
        SettingKind::Duration { range: 100..=86_400_000, off: None },
        "10s",
        "time between full sweeps: table, details and cells of every battery",
    ),
    key(
        "summary_interval",
        SettingKind::Duration { range: 100..=86_400_000, off: Some("off") },
        "2s",
        "time between summary sweeps: only the table; \"0s\": off",
    ),
    key(
        "batteries",
        SettingKind::Auto(&SettingKind::Number(1..=16)),
        "auto",
        "or the expected number, 1 to 16: a different number causes a warning",
    ),
    key(
        "cells",
        SettingKind::Choice(&["off", "low", "medium", "high"]),
        "medium",
        "off (read only at an event), low, medium or high: cell values in MQTT",
    ),
    key(
        "target_soc",
        SettingKind::Number(0..=100),
        "20",
        "percent, 0 to 100: also estimate the time to this state of charge",
    ),
    key(
        "wake",
        SettingKind::Choice(&["auto", "never"]),
        "auto",
        "auto or never: whether a silent console is woken at 1200 baud",
    ),
    key(
        "manufacturer",
        SettingKind::Text(NON_EMPTY_TEXT),
        "auto",
        "displayed name; auto: as reported by the console",
    ),
    key(
        "model",
        SettingKind::Text(NON_EMPTY_TEXT),
        "auto",
        "displayed name; auto: as reported by the console",
    ),
];
