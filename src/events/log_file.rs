//! The log of events on disk: set aside by size as the service's own log is, and on the disk before anybody goes on.

use std::io;
use std::path::PathBuf;

use crate::logging::RotatedFile;

/// Where it is, and how large it may grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// The file; it and its folder are made where they are missing.
    pub path: PathBuf,
    /// Size in bytes past which the file is set aside and begun anew; 0 lets it grow without bound.
    pub max_size: u64,
    /// How many files set aside are kept.
    pub max_files: usize,
}

impl LogFile {
    /// Appends a block of lines, all of it into one file. Events are rare: the file is opened by its name each
    /// time, so that whoever moves it away needs to tell nobody.
    ///
    /// # Errors
    /// Those of the system.
    pub fn append(&self, block: &str) -> io::Result<()> {
        let mut file = RotatedFile::open(&self.path, self.max_size, self.max_files)?;
        file.write_line(block)?;
        file.sync()
    }
}
