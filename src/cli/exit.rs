//! The exit codes that scripts and systemd stand on.

use std::process::ExitCode;

use crate::settings::SettingsError;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    Well,
    /// It failed.
    Failed,
    /// It was called wrongly.
    Usage,
    /// The port's chain can't go on in this process; systemd or the container starts afresh.
    Fatal,
    /// The settings are wrong; systemd does not restart on it.
    Settings,
}

impl Exit {
    /// What an error ends the program with.
    #[must_use]
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        if error.is::<SettingsError>() {
            Self::Settings
        } else if error.is::<clap::Error>() {
            Self::Usage
        } else {
            Self::Failed
        }
    }

    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Well => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Fatal => 70,
            Self::Settings => 78,
        }
    }
}

impl From<u8> for Exit {
    fn from(code: u8) -> Self {
        [Self::Well, Self::Usage, Self::Fatal, Self::Settings]
            .into_iter()
            .find(|exit| exit.code() == code)
            .unwrap_or(Self::Failed)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}
