//! Reads the settings again on SIGHUP. The level and the file of the log take effect at once; every other change is
//! logged and takes effect at the next start.

use std::cell::RefCell;

use slog::{Logger, info, warn};

use crate::cli::run::level;
use crate::logging::Control;
use crate::settings::change::changed;
use crate::settings::{Loaded, Sources, load};

/// The only setting that takes effect at once.
const LEVEL: &str = "log.level";

/// The settings as last loaded, and their sources.
pub(crate) struct Reload {
    sources: Sources,
    last: RefCell<Loaded>,
}

impl Reload {
    /// `loaded` are the settings that were loaded from `sources`.
    #[must_use]
    pub(crate) fn new(sources: Sources, loaded: Loaded) -> Self {
        Self { sources, last: RefCell::new(loaded) }
    }

    /// Reloads the settings. If they have errors, nothing changes and every error is logged.
    pub(crate) fn now(&self, log: &Logger, control: &Control) {
        control.reopen();
        let read = load(&self.sources).and_then(|loaded| loaded.require_bank().map(|()| loaded));
        let loaded = match read {
            Ok(loaded) => loaded,
            Err(error) => {
                for problem in &error.problems {
                    warn!(log, "settings not reloaded"; "problem" => problem.to_string());
                }
                return;
            }
        };
        for key in changed(&self.last.borrow(), &loaded) {
            let effect = if key == LEVEL { "now" } else { "at the next start" };
            info!(log, "setting changed"; "key" => key, "takes_effect" => effect);
        }
        control.set_level(level(loaded.settings.log.level));
        info!(log, "settings reloaded"; "signal" => "SIGHUP");
        self.last.replace(loaded);
    }
}
