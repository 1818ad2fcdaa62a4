//! A file system small enough for a test to fill.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// A mounted file system in memory, unmounted when dropped.
pub struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// Mounts one of this size; `None`, with a notice, if none can be mounted. Then a limit of SQLite is tested
    /// instead (`retention_frees_space_in_a_file_that_may_not_grow`).
    pub fn of(megabytes: u64) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let options = format!("size={megabytes}m,mode=1777");
        let mount = ["mount", "-t", "tmpfs", "-o", &options, "tmpfs"];
        let mounts = |program: &[&str]| {
            let mut command = Command::new(program[0]);
            command.args(&program[1..]).arg(folder.path());
            command.output().is_ok_and(|output| output.status.success())
        };
        if mounts(&mount) || mounts(&[&["sudo", "-n"], &mount[..]].concat()) {
            return Some(Self { folder });
        }
        eprintln!("SKIPPED: no file system can be mounted here; the bound of SQLite's own is tested instead");
        None
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Fills it until `left` bytes are free.
    pub fn fill(&self, left: u64) {
        let mut ballast =
            File::options().append(true).create(true).open(self.path().join("ballast")).unwrap();
        let chunk = [7; 4096];
        while self.free() > left && ballast.write_all(&chunk).is_ok() {}
    }

    fn free(&self) -> u64 {
        let disk = rustix::fs::statvfs(self.path()).unwrap();
        disk.f_bavail * disk.f_frsize
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Even if a file in it is still open.
        let unmount = ["umount", "-l"];
        for program in [&unmount[..], &["sudo", "-n", "umount", "-l"]] {
            let mut command = Command::new(program[0]);
            if command
                .args(&program[1..])
                .arg(self.folder.path())
                .status()
                .is_ok_and(|status| status.success())
            {
                return;
            }
        }
    }
}
