//! Which service a verb is about: its settings.

use std::path::PathBuf;

use clap::Args;

use crate::settings::{Loaded, SettingsError, Sources, load};

/// Where the settings of the service are.
#[derive(Clone, Debug, Args)]
pub(crate) struct ServiceArguments {
    /// The service's settings, or a pytes_serial.cfg; else ./bankwatch.toml, then
    /// /etc/bankwatch/bankwatch.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Override one of the service's settings
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl ServiceArguments {
    /// All layers of settings with these on top.
    #[must_use]
    pub(crate) fn sources(&self) -> Sources {
        Sources::from_process(self.config.clone(), self.set.clone())
    }

    /// The settings of a service that has a bank.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub(crate) fn load(&self) -> Result<Loaded, SettingsError> {
        let loaded = load(&self.sources())?;
        loaded.require_bank()?;
        Ok(loaded)
    }
}
