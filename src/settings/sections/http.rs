//! The page, the API and the metrics.

use std::net::SocketAddr;

use serde::Deserialize;

use crate::settings::check::kind::{SettingKind, TextFormat};
use crate::settings::key::SettingDef;

/// The page, the API and the metrics.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    /// Whether they are served.
    pub enabled: bool,
    /// Where.
    pub listen: SocketAddr,
}

const fn key(
    name: &'static str,
    kind: SettingKind,
    default: &'static str,
    description: &'static str,
) -> SettingDef {
    SettingDef { section: "http", name, kind, default, description }
}

pub(crate) const KEYS: &[SettingDef] = &[
    key("enabled", SettingKind::Bool, "true", "planned: web page, API and metrics, read-only"),
    key(
        "listen",
        SettingKind::Text(TextFormat {
            expected: "an address and port such as \"127.0.0.1:8080\", or \"0.0.0.0:8080\" for all",
            fits: |text| text.parse::<SocketAddr>().is_ok(),
        }),
        "127.0.0.1:8080",
        "0.0.0.0:8080 opens it to the network; there is no password",
    ),
];
