//! The sources of settings: files, environment, credentials and command line. The process passes them in, so that tests
//! can replace them.

pub(crate) mod data_volume;
pub(crate) mod environment;
mod ini;
pub(crate) mod layer;
pub(crate) mod layers;
pub(crate) mod options_file;
pub(crate) mod pytes_serial;
pub(crate) mod text_file;
pub(crate) mod toml_file;
mod tree;

use std::{
    env, fmt,
    path::{Path, PathBuf},
};

use crate::settings::sources::environment::PREFIX;

#[derive(Clone, Default)]
pub struct Sources {
    /// The configuration file that the user named; it must exist.
    pub config: Option<PathBuf>,
    /// If no file is named, the first of these that exists is read.
    pub search: Vec<PathBuf>,
    /// Relative file names are resolved against it.
    pub current_dir: PathBuf,
    /// The options of the Home Assistant app, if the file exists.
    pub options: Option<PathBuf>,
    /// Environment variables; only `BANKWATCH_…` are used.
    pub variables: Vec<(String, String)>,
    /// `section.name=value` from the command line.
    pub overrides: Vec<String>,
    /// `$CREDENTIALS_DIRECTORY`.
    pub credentials: Option<PathBuf>,
    /// `$STATE_DIRECTORY`: the default of `data_dir`.
    pub state_directory: Option<PathBuf>,
    /// The default of `data_dir` without a state directory: a container volume for this service.
    pub data_volume: Option<PathBuf>,
}

impl Sources {
    /// The sources of this process.
    #[must_use]
    pub(crate) fn from_process(config: Option<PathBuf>, overrides: Vec<String>) -> Self {
        let folder = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let lossless = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            let name = name.into_string().ok().filter(|name| name.starts_with(PREFIX))?;
            Some((name, value.to_string_lossy().into_owned()))
        };
        Self {
            config,
            search: vec!["bankwatch.toml".into(), "/etc/bankwatch/bankwatch.toml".into()],
            current_dir: env::current_dir().unwrap_or_else(|_| ".".into()),
            options: Some("/data/options.json".into()),
            variables: env::vars_os().filter_map(lossless).collect(),
            overrides,
            credentials: folder("CREDENTIALS_DIRECTORY"),
            state_directory: env::var_os("STATE_DIRECTORY").and_then(|list| env::split_paths(&list).next()),
            data_volume: data_volume::detect(),
        }
    }

    /// A single file, without environment variables or other sources.
    #[must_use]
    pub fn only(config: PathBuf, current_dir: PathBuf) -> Self {
        Self { config: Some(config), current_dir, ..Self::default() }
    }

    /// The name of the file to read.
    pub(crate) fn file(&self) -> Option<&Path> {
        let exists = |file: &&PathBuf| self.current_dir.join(file).exists();
        self.config.as_ref().or_else(|| self.search.iter().find(exists)).map(PathBuf::as_path)
    }

    pub(crate) fn looked_for(&self) -> String {
        let names: Vec<_> =
            self.config.iter().chain(&self.search).map(|file| file.display().to_string()).collect();
        names.join(", ")
    }
}

impl fmt::Debug for Sources {
    /// Omits what may contain secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("config", &self.config)
            .field("search", &self.search)
            .field("current_dir", &self.current_dir)
            .finish_non_exhaustive()
    }
}
