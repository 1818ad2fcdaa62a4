//! The `--config` and `--set` options of all commands that use the settings of the service.

use std::path::PathBuf;

use clap::Args;

use crate::settings::{LoadedSettings, SettingsError, Sources, load};

#[derive(Clone, Debug, Args)]
pub(crate) struct ServiceArguments {
    /// Configuration file, or a pytes_serial.cfg [default: ./bankwatch.toml, then
    /// /etc/bankwatch/bankwatch.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Override one setting (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl ServiceArguments {
    /// All layers of settings, with these options as the last one.
    #[must_use]
    pub(crate) fn sources(&self) -> Sources {
        Sources::from_process(self.config.clone(), self.set.clone())
    }

    /// Loads the settings of the service.
    ///
    /// # Errors
    /// Returns all configuration errors at once; having no bank is one.
    pub(crate) fn load(&self) -> Result<LoadedSettings, SettingsError> {
        let loaded = load(&self.sources())?;
        loaded.require_bank()?;
        Ok(loaded)
    }
}
