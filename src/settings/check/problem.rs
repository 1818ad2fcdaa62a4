//! Configuration errors: all of them at once, each with its file and line.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use crate::settings::check::kind::Mismatch;

/// Where a setting was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Default,
    File {
        /// The path as the user wrote it.
        path: PathBuf,
        /// From 1; `None` if the format has no lines.
        line: Option<usize>,
        /// The name of the option in `pytes_serial.cfg`.
        option: Option<String>,
    },
    Variable(String),
    /// A systemd credential.
    Credential(String),
    CommandLine,
}

impl Origin {
    pub(crate) fn line(path: &Path, line: usize) -> Self {
        Self::File { path: path.to_owned(), line: Some(line), option: None }
    }

    pub(crate) fn file(path: &Path) -> Self {
        Self::File { path: path.to_owned(), line: None, option: None }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line, option } => {
                write!(f, "{}", path.display())?;
                if let Some(line) = line {
                    write!(f, ":{line}")?;
                }
                option.as_ref().map_or(Ok(()), |option| write!(f, " ({option})"))
            }
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::Credential(name) => write!(f, "credential {name}"),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsProblem {
    /// Empty if the error has no single origin.
    pub(crate) origin: String,
    /// The dotted name of the setting; empty if it concerns no single setting.
    pub(crate) key: String,
    pub(crate) kind: ProblemKind,
}

impl SettingsProblem {
    pub(crate) fn new(origin: impl ToString, key: impl ToString, kind: ProblemKind) -> Self {
        Self { origin: origin.to_string(), key: key.to_string(), kind }
    }
}

impl fmt::Display for SettingsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [&self.origin, &self.key].into_iter().filter(|part| !part.is_empty()) {
            write!(f, "{part}: ")?;
        }
        write!(f, "{}", self.kind)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProblemKind {
    #[error("expected {}; found {}", .0.expected, .0.found)]
    Mismatch(Mismatch),
    #[error("unknown setting{}", .nearest.as_ref().map(|near| format!("; did you mean {near}?")).unwrap_or_default())]
    Unknown { nearest: Option<String> },
    /// A file that violates its format.
    #[error("{0}")]
    Syntax(String),
    #[error("can't read {}: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String },
    /// The same setting occurs twice in one layer.
    #[error("set twice; also in {0}")]
    Twice(String),
    /// Settings that are valid by themselves but not together.
    #[error("{0}")]
    Conflict(String),
    #[error(
        "no bank is configured (looked for {looked}). To begin, put these two lines into bankwatch.toml:\n\n    \
         [[bank]]\n    link = \"/dev/ttyUSB0\"\n\n  \
         or set the environment variable BANKWATCH_BANK__LINK=/dev/ttyUSB0, or use an existing pytes_serial.cfg: \
         --config pytes_serial.cfg.\n  `bankwatch demo` shows everything on a simulated bank"
    )]
    NoBank { looked: String },
}

/// All configuration errors.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", list(problems, warnings))]
pub struct SettingsError {
    pub problems: Vec<SettingsProblem>,
    /// They may explain the errors.
    pub warnings: Vec<String>,
}

fn list(problems: &[SettingsProblem], warnings: &[String]) -> String {
    let mut text = match problems.len() {
        1 => "1 configuration error:".to_owned(),
        many => format!("{many} configuration errors:"),
    };
    for problem in problems {
        text.push_str(&format!("\n- {problem}"));
    }
    for warning in warnings {
        text.push_str(&format!("\n- warning: {warning}"));
    }
    text
}
