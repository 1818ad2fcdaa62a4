//! Exit statuses. Scripts and systemd units depend on the numbers.

use std::process::ExitCode;

use crate::settings::SettingsError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Success,
    Failure,
    UsageError,
    /// A critical actor failed permanently; the service manager has to restart the process.
    Unrecoverable,
    /// The configuration is invalid; systemd does not restart the service.
    InvalidConfig,
}

impl Exit {
    /// The exit status for `error`.
    pub(crate) fn from_error(error: &anyhow::Error) -> Self {
        if error.is::<SettingsError>() {
            Self::InvalidConfig
        } else if error.is::<clap::Error>() {
            Self::UsageError
        } else {
            Self::Failure
        }
    }

    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::UsageError => 2,
            Self::Unrecoverable => 70,
            Self::InvalidConfig => 78,
        }
    }
}

impl From<u8> for Exit {
    fn from(code: u8) -> Self {
        [Self::Success, Self::UsageError, Self::Unrecoverable, Self::InvalidConfig]
            .into_iter()
            .find(|exit| exit.code() == code)
            .unwrap_or(Self::Failure)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}
