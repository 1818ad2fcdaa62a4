//! A log file that never grows past its size: it is set aside as `<file>.1`, older ones move up, the oldest goes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::file_mode;

/// Opening must not wait: a fifo without a reader would keep the service from starting. Writing may: it happens on a
/// thread of its own. The flag fits, since it is one low bit.
const WITHOUT_WAITING: i32 = OFlags::NONBLOCK.bits().cast_signed();

/// The file being written and what is kept beside it.
#[derive(Debug)]
pub(crate) struct RotatedFile {
    path: PathBuf,
    max_size: u64,
    max_files: usize,
    file: File,
    size: u64,
    /// The last line did not get out whole; the next one must begin on a line of its own.
    torn: bool,
}

impl RotatedFile {
    /// Opens the file for appending, and makes it and its folder where they are missing. Past `max_size` bytes it
    /// is set aside (0: never), and so many that were set aside are kept.
    ///
    /// # Errors
    /// Those of the system. A device or a fifo can't be rotated, so it is refused if there is a `max_size`.
    pub(crate) fn open(path: &Path, max_size: u64, max_files: usize) -> io::Result<Self> {
        if max_size > 0 && fs::metadata(path).is_ok_and(|file| !file.is_file()) {
            let reason = "it is not a regular file, and only regular files can be rotated by size";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
        let (file, size) = append_to(path, file_mode::PUBLISHED)?;
        Ok(Self { path: path.to_owned(), max_size, max_files, file, size, torn: false })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file by its name again; where that fails, the one already open is kept.
    pub(crate) fn reopen(&mut self) -> io::Result<()> {
        // A new file gets the mode of the one before.
        let mode = self.file.metadata()?.mode() & 0o777;
        (self.file, self.size) = append_to(&self.path, mode)?;
        self.torn = false;
        Ok(())
    }

    /// Appends one line, with its end, or several that belong together.
    ///
    /// # Errors
    /// Those of the system; what got out of it is no whole line, and the next one begins on a line of its own.
    pub(crate) fn write_line(&mut self, line: &str) -> io::Result<()> {
        if self.max_size > 0 && self.size > 0 && self.size + line.len() as u64 > self.max_size {
            self.rotate()?;
        }
        if self.torn {
            self.file.write_all(b"\n")?;
        }
        let written = self.file.write_all(line.as_bytes());
        self.torn = written.is_err();
        self.size += line.len() as u64;
        written
    }

    /// Waits until all of it is on the disk.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Sets the file aside. Where the folder allows no renaming, the file is emptied instead: what was
    /// promised is that the disk does not fill.
    fn rotate(&mut self) -> io::Result<()> {
        if self.set_aside().and_then(|()| self.reopen()).is_err() {
            self.file.set_len(0)?;
        }
        self.size = 0;
        self.torn = false;
        Ok(())
    }

    fn set_aside(&self) -> io::Result<()> {
        if self.max_files == 0 {
            return fs::remove_file(&self.path);
        }
        for number in (1..self.max_files).rev() {
            match fs::rename(self.numbered(number), self.numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, self.numbered(1))
    }

    fn numbered(&self, number: usize) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    }
}

fn append_to(path: &Path, mode: u32) -> io::Result<(File, u64)> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    file_mode::ensure(path, mode)?;
    // Where a link leads to nothing yet, the file is made there.
    let mut options = OpenOptions::new();
    let file = options.append(true).create(true).mode(mode).custom_flags(WITHOUT_WAITING).open(path)?;
    rustix::fs::fcntl_setfl(&file, OFlags::APPEND)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn a_full_file_is_set_aside_and_only_so_many_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/bankwatch.log");
        let mut log = RotatedFile::open(&path, 10, 2).unwrap();
        for line in ["first\n", "second\n", "third\n", "fourth\n", "5\n"] {
            log.write_line(line).unwrap();
        }
        assert_eq!(read(&path), "fourth\n5\n");
        assert_eq!(read(&log.numbered(1)), "third\n");
        assert_eq!(read(&log.numbered(2)), "second\n");
        assert!(!log.numbered(3).exists());
    }

    #[test]
    fn without_files_to_keep_the_file_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = RotatedFile::open(&path, 10, 0).unwrap();
        log.write_line("first\n").unwrap();
        log.write_line("second\n").unwrap();
        assert_eq!(read(&path), "second\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_the_file_holds_from_before_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, "yesterday\n").unwrap();
        let mut log = RotatedFile::open(&path, 12, 1).unwrap();
        log.write_line("today\n").unwrap();
        assert_eq!(read(&path), "today\n");
        assert_eq!(read(&log.numbered(1)), "yesterday\n");
    }

    #[test]
    fn where_nothing_can_be_renamed_the_file_is_emptied_and_the_log_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = RotatedFile::open(&path, 10, 1).unwrap();
        // A folder in the way of `log.1`.
        fs::create_dir_all(log.numbered(1).join("in the way")).unwrap();
        log.write_line("first\n").unwrap();
        log.write_line("second\n").unwrap();
        assert_eq!(read(&path), "second\n");
    }

    #[test]
    fn a_fifo_or_a_device_is_refused_without_waiting_for_a_reader() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, 0o600.into()).unwrap();
        for path in [fifo.as_path(), Path::new("/dev/null")] {
            let error = RotatedFile::open(path, 10, 1).unwrap_err();
            assert!(error.to_string().contains("not a regular file"), "{path:?}: {error}");
        }
        RotatedFile::open(&fifo, 0, 0).unwrap_err();
    }

    #[test]
    fn a_link_to_a_file_that_does_not_exist_yet_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (link, target) = (folder.path().join("link"), folder.path().join("target"));
        std::os::unix::fs::symlink(&target, &link).unwrap();
        RotatedFile::open(&link, 0, 0).unwrap().write_line("first\n").unwrap();
        assert_eq!(read(&target), "first\n");
    }

    #[test]
    fn a_new_file_after_rotation_keeps_the_mode_of_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = RotatedFile::open(&path, 10, 1).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&path), file_mode::PUBLISHED);
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o660)).unwrap();
        log.write_line("first\n").unwrap();
        log.write_line("second\n").unwrap();
        assert_eq!((mode(&path), mode(&log.numbered(1))), (0o660, 0o660));
    }

    #[test]
    fn a_file_moved_away_is_written_on_until_it_is_reopened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let moved = folder.path().join("moved");
        let mut log = RotatedFile::open(&path, 0, 0).unwrap();
        log.write_line("one\n").unwrap();
        fs::rename(&path, &moved).unwrap();
        log.write_line("two\n").unwrap();
        log.reopen().unwrap();
        log.write_line("three\n").unwrap();
        assert_eq!(read(&moved), "one\ntwo\n");
        assert_eq!(read(&path), "three\n");
    }
}
