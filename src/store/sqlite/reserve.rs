//! Reserves disk space while there is plenty: a file next to the history that is deleted when the disk is full.
//!
//! Deleting old rows needs space itself, since SQLite writes each changed page to its log first. Without a reserve,
//! retention could not free space on a full disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, OFlags, fallocate, statvfs};

use crate::store::files::with_suffix;

/// Bytes on a disk of usual size.
const MAX_BYTES: u64 = 8 * 1024 * 1024;

/// The divisor of a tiny disk's size.
const DISK_DIVISOR: u64 = 8;

/// A flag of open(2); it fits, since it is one low bit.
const NO_FOLLOW: i32 = OFlags::NOFOLLOW.bits().cast_signed();

#[derive(Clone, Copy, Debug)]
pub(super) struct DiskSpace {
    /// Bytes.
    pub(crate) total: u64,
    /// Bytes available to this user.
    pub(crate) free: u64,
}

impl DiskSpace {
    /// Of the file system with the file at `path`; `None` if it can't be read.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let disk = statvfs(path.parent()?).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        Some(Self { total: bytes(disk.f_blocks), free: bytes(disk.f_bavail) })
    }

    /// The size of its reserve in bytes.
    fn reserve(self) -> u64 {
        MAX_BYTES.min(self.total / DISK_DIVISOR)
    }

    /// Bytes that stay free in addition to the reserve, for the log of the database.
    fn slack(self) -> u64 {
        self.reserve() / 4
    }

    /// The new size of a reserve that has `held` bytes; `None` if growing is not worthwhile.
    fn grown_size(self, held: u64) -> Option<u64> {
        let possible = held.saturating_add(self.free).saturating_sub(self.slack()).min(self.reserve());
        let worth = if held == 0 { self.slack().max(1) } else { held.saturating_add(self.slack()) };
        (possible >= worth).then_some(possible)
    }
}

pub(super) struct DiskReserve {
    path: PathBuf,
}

impl DiskReserve {
    /// The reserve of the history at `path`; nothing is created yet.
    pub(super) fn of(path: &Path) -> Self {
        Self { path: with_suffix(path, ".reserve") }
    }

    /// Whether there is one, on a disk with hardly any other space.
    pub(super) fn is_needed(&self) -> bool {
        self.held() > 0 && DiskSpace::of(&self.path).is_some_and(|disk| disk.free < disk.slack())
    }

    /// Frees the space. Returns its size in bytes.
    pub(super) fn release(&self) -> u64 {
        let held = self.held();
        // A missing file has been released already.
        let _ = fs::remove_file(&self.path);
        held
    }

    /// Reserves what was released, before rows use it up bit by bit.
    pub(super) fn take_back(&self, bytes: u64) {
        let bytes = DiskSpace::of(&self.path).map_or(0, |disk| disk.free.min(bytes));
        if bytes > 0 && self.fill(0, bytes).is_err() {
            self.release();
        }
    }

    fn held(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |file| file.len())
    }

    /// Creates or grows the reserve as far as the disk allows. If it has no space, the next call tries again.
    pub(super) fn restore(&self) {
        let Some(disk) = DiskSpace::of(&self.path) else { return };
        let held = self.held();
        let Some(bytes) = disk.grown_size(held) else { return };
        // A partial reserve is worth less than the space it uses.
        if self.fill(held, bytes).is_err() {
            self.release();
        }
    }

    fn fill(&self, held: u64, bytes: u64) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600).custom_flags(NO_FOLLOW);
        let file = options.open(&self.path)?;
        match fallocate(&file, FallocateFlags::empty(), 0, bytes) {
            Err(error) if [rustix::io::Errno::OPNOTSUPP, rustix::io::Errno::NOSYS].contains(&error) => {
                drop(file);
                write(&self.path, bytes - held)
            }
            done => Ok(done?),
        }
    }

    /// Whether the disk has space for rows in addition to the reserve.
    pub(super) fn leaves_room(&self) -> bool {
        DiskSpace::of(&self.path).is_some_and(|disk| disk.free >= disk.reserve() + disk.slack())
    }

    /// Bytes to change per step while only the reserve is left.
    pub(super) fn step(&self) -> u64 {
        DiskSpace::of(&self.path).map_or(MAX_BYTES, DiskSpace::reserve).min(1024 * 1024)
    }
}

/// Appends bytes that no file system can compress.
fn write(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = File::options().append(true).open(path)?;
    let mut chunk = [0; 4096];
    for _ in 0..bytes / 4096 {
        fastrand::fill(&mut chunk);
        file.write_all(&chunk)?;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1024 * 1024;

    #[test]
    fn the_reserve_is_scaled_to_the_disk_and_leaves_room_for_the_log() {
        let grown = |total, free, held| DiskSpace { total: total * MB, free }.grown_size(held);
        assert_eq!(grown(100_000, 50_000 * MB, 0), Some(8 * MB));
        assert_eq!(grown(100_000, 50_000 * MB, 8 * MB), None, "it is there");
        assert_eq!(grown(64, 60 * MB, 0), Some(8 * MB));
        assert_eq!(grown(16, 15 * MB, 0), Some(2 * MB));
        assert_eq!(grown(2, 2 * MB, 0), Some(MB / 4));
        // What is left is shared with the log, and grows when there is room again.
        assert_eq!(grown(100_000, 8 * MB, 0), Some(6 * MB));
        assert_eq!(grown(100_000, 50 * MB, 6 * MB), Some(8 * MB));
        assert_eq!(grown(100_000, 3 * MB, 0), None);
    }

    #[test]
    fn the_reserve_uses_and_releases_its_space() {
        let folder = tempfile::tempdir().expect("a folder");
        let reserve = DiskReserve::of(&folder.path().join("history.db"));
        let taken = || fs::metadata(folder.path().join("history.db.reserve")).map_or(0, |file| file.len());
        reserve.restore();
        assert!(taken() > 0, "a disk for tests has room");
        reserve.release();
        assert_eq!(taken(), 0);
        let path = folder.path().join("written");
        fs::write(&path, []).expect("a file");
        write(&path, 16_384).expect("room");
        assert_eq!(fs::metadata(&path).map_or(0, |file| file.len()), 16_384);
    }
}
