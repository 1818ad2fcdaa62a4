//! The event log on disk. It is rotated by size like the service's own log and flushed after every block.

use std::io;
use std::path::PathBuf;

use crate::logging::RotatedFile;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// The file and its folder are created if missing.
    pub path: PathBuf,
    /// Size in bytes beyond which the file is rotated; 0 means no limit.
    pub max_size: u64,
    /// Number of rotated files.
    pub max_files: usize,
}

impl LogFile {
    /// Appends a block of lines, never split over two files. Events are rare, so the file is opened by name each time
    /// and may be moved away without notice.
    pub fn append(&self, block: &str) -> io::Result<()> {
        let mut file = RotatedFile::open(&self.path, self.max_size, self.max_files)?;
        file.write_line(block)?;
        file.sync()
    }
}
