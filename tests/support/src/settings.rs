//! Settings in a temporary folder, isolated from the settings of the machine.

use std::path::{Path, PathBuf};

use bankwatch::internals::settings::{LoadedSettings, SettingsError, Sources, load};
use tempfile::TempDir;

/// A temporary folder with settings files, and the environment of a service started in it.
pub struct SettingsFixture {
    folder: TempDir,
    /// The sources that the service would find.
    pub sources: Sources,
}

impl Default for SettingsFixture {
    fn default() -> Self {
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        let sources = Sources {
            search: vec!["bankwatch.toml".into(), "etc/bankwatch.toml".into()],
            current_dir: folder.path().to_owned(),
            options: Some(folder.path().join("options.json")),
            ..Sources::default()
        };
        Self { folder, sources }
    }
}

impl SettingsFixture {
    /// Creates a folder with this `bankwatch.toml`.
    pub fn with(text: &str) -> Self {
        Self::default().file("bankwatch.toml", text)
    }

    pub fn file(self, name: &str, text: &str) -> Self {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
        self
    }

    pub fn config(mut self, name: &str) -> Self {
        self.sources.config = Some(name.into());
        self
    }

    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.sources.variables.push((name.into(), value.into()));
        self
    }

    pub fn argument(mut self, text: &str) -> Self {
        self.sources.overrides.push(text.into());
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn load(&self) -> Result<LoadedSettings, SettingsError> {
        load(&self.sources)
    }

    pub fn loaded(&self) -> LoadedSettings {
        self.load().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The errors of loading, one text each.
    pub fn errors(&self) -> Vec<String> {
        let error = self.load().expect_err("errors");
        error.problems.iter().map(ToString::to_string).collect()
    }
}
