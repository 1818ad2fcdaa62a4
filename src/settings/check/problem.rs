//! What is wrong with the settings, all of it at once, each with its place.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use crate::settings::check::kind::Mismatch;

/// Where a setting was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nowhere: it is what it is when nothing is said.
    Default,
    /// In a file.
    File {
        /// As it was named by whoever named it.
        path: PathBuf,
        /// From 1, where the format tells.
        line: Option<usize>,
        /// The predecessor's name for it, in the predecessor's file.
        option: Option<String>,
    },
    /// In an environment variable.
    Variable(String),
    /// In a file that systemd hands over.
    Credential(String),
    /// On the command line.
    CommandLine,
}

impl Origin {
    /// A line of a file.
    pub(crate) fn line(path: &Path, line: usize) -> Self {
        Self::File { path: path.to_owned(), line: Some(line), option: None }
    }

    /// A file as a whole.
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

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where; empty where no place is to blame.
    pub(crate) origin: String,
    /// The setting's dotted name; empty where no single one is concerned.
    pub(crate) key: String,
    /// What.
    pub(crate) trouble: Trouble,
}

impl Problem {
    pub(crate) fn new(origin: impl ToString, key: impl ToString, trouble: Trouble) -> Self {
        Self { origin: origin.to_string(), key: key.to_string(), trouble }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [&self.origin, &self.key].into_iter().filter(|part| !part.is_empty()) {
            write!(f, "{part}: ")?;
        }
        write!(f, "{}", self.trouble)
    }
}

/// What can be wrong with settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// A value that does not fit.
    #[error("expected {}; found {}", .0.expected, .0.found)]
    Mismatch(Mismatch),
    /// A name that no setting has.
    #[error("no such setting{}", .nearest.as_ref().map(|near| format!("; did you mean {near}?")).unwrap_or_default())]
    Unknown {
        /// The known name that is most like it.
        nearest: Option<String>,
    },
    /// A file that breaks its format's rules.
    #[error("{0}")]
    Syntax(String),
    /// A file that can't be read.
    #[error("can't read {}: {reason}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// The same setting twice in one layer.
    #[error("given twice; also by {0}")]
    Twice(String),
    /// Settings that are right by themselves and wrong together.
    #[error("{0}")]
    Conflict(String),
    /// Nothing to read from.
    #[error(
        "no bank is set up (looked for {looked}). To begin, put these two lines into bankwatch.toml:\n\n    \
         [[bank]]\n    link = \"/dev/ttyUSB0\"\n\n  \
         or set the variable BANKWATCH_BANK__LINK=/dev/ttyUSB0, or name the predecessor's file: \
         --config pytes_serial.cfg.\n  `bankwatch demo` shows everything on a simulated bank"
    )]
    NoBank {
        /// The files that were looked for.
        looked: String,
    },
}

/// Everything that is wrong with the settings.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", list(problems, warnings))]
pub struct SettingsError {
    /// What must be mended.
    pub problems: Vec<Problem>,
    /// What should be looked at: it may be the cause.
    pub warnings: Vec<String>,
}

fn list(problems: &[Problem], warnings: &[String]) -> String {
    let count = match problems.len() {
        1 => "1 mistake".to_owned(),
        many => format!("{many} mistakes"),
    };
    let mut text = format!("the settings have {count}");
    for problem in problems {
        text.push_str(&format!("\n- {problem}"));
    }
    for warning in warnings {
        text.push_str(&format!("\n- warning: {warning}"));
    }
    text
}
