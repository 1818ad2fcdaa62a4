//! What SIGHUP does: the settings are read again. The log's level and file take effect at once; every other change
//! is named, for the next start.

use std::cell::RefCell;

use slog::{Logger, info, warn};

use crate::cli::run::level;
use crate::logging::Control;
use crate::settings::change::changed;
use crate::settings::{Loaded, Sources, load};

/// The setting that takes effect at once.
const LEVEL: &str = "log.level";

/// The settings as last read, and how to read them again.
pub(crate) struct Reload {
    sources: Sources,
    last: RefCell<Loaded>,
}

impl Reload {
    /// Reads again from `sources` what was read as `loaded`.
    #[must_use]
    pub(crate) fn new(sources: Sources, loaded: Loaded) -> Self {
        Self { sources, last: RefCell::new(loaded) }
    }

    /// SIGHUP came. Settings with mistakes change nothing, and every mistake is told.
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
