//! Who has a port open, as far as /proc lets us see: other users' processes only for root, another container's
//! never.
//!
//! A port is known by its device, not by its path: in a container or a chroot with a `devpts` of its own,
//! `/dev/pts/0` is another terminal than the host's, and a serial port may have another name there.

use std::fmt;
use std::fs::{self, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::fs::major;

/// A program that has a port open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// What it is called.
    pub(crate) name: String,
    /// Its process number.
    pub(crate) process: u32,
}

/// The program that people ran before this one.
const PREDECESSOR: &str = "pytes_serial";

/// Open files looked at before we give up: a busy machine has thousands, and the port's owner waits for us.
const MOST_FILES: usize = 50_000;

impl Holder {
    /// Finds who has `port` open, the predecessor before all others. Nobody is a normal answer: processes come
    /// and go while we look, and most of them may not be looked into.
    pub(super) fn of(port: &Path) -> Option<Self> {
        let mut holders = holders(port);
        let first = holders.iter().position(Self::is_predecessor).unwrap_or(0);
        (first < holders.len()).then(|| holders.swap_remove(first))
    }

    /// Whether it is the program that this one replaces. It locks nothing, so its port can be opened a second
    /// time, and then each takes the answers to the other's questions.
    pub(super) fn is_predecessor(&self) -> bool {
        self.name == PREDECESSOR
    }
}

/// All that can be seen to have `port` open.
fn holders(port: &Path) -> Vec<Holder> {
    let mut found = Vec::new();
    let (Ok(port), Ok(processes)) = (fs::metadata(port), fs::read_dir("/proc")) else { return found };
    let mut looked_at = 0;
    for entry in processes.flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(mut files) = fs::read_dir(entry.path().join("fd")) else { continue };
        let is_port = |file: std::io::Result<fs::DirEntry>| {
            looked_at += 1;
            file.is_ok_and(|file| {
                // Querying the file itself may hang on a dead network mount, so its name is read first.
                fs::read_link(file.path()).is_ok_and(|name| may_be_device(&name))
                    && fs::metadata(file.path()).is_ok_and(|open| is_same_device(&open, &port))
            })
        };
        if files.any(is_port) {
            found.push(Holder { name: name(&entry.path()), process });
        }
        if looked_at > MOST_FILES {
            break;
        }
    }
    found
}

/// Device files are below `/dev`; of a `devpts` outside of our own root only the end of that path is visible.
fn may_be_device(name: &Path) -> bool {
    let last = name.file_name().and_then(|last| last.to_str()).unwrap_or_default();
    name.components().any(|part| part.as_os_str() == "dev" || part.as_os_str() == "pts")
        || last.starts_with("tty")
        || last.bytes().all(|byte| byte.is_ascii_digit())
}

/// Pseudo-terminals are numbered from 0 in each `devpts`, so only their inode tells them apart; any other device is the
/// same wherever its node is.
fn is_same_device(one: &Metadata, other: &Metadata) -> bool {
    const PSEUDO_TERMINALS: std::ops::RangeInclusive<u32> = 136..=143;
    let same_node = (one.dev(), one.ino()) == (other.dev(), other.ino());
    let are_devices = one.file_type().is_char_device() && other.file_type().is_char_device();
    same_node || are_devices && one.rdev() == other.rdev() && !PSEUDO_TERMINALS.contains(&major(one.rdev()))
}

/// A script is called by its own name, not by its interpreter's.
fn name(process: &Path) -> String {
    let arguments = fs::read(process.join("cmdline")).unwrap_or_default();
    let mut arguments = arguments.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    if arguments.any(|argument| Path::new(&*argument).file_stem().is_some_and(|stem| stem == PREDECESSOR)) {
        return PREDECESSOR.to_owned();
    }
    let name = fs::read(process.join("comm")).unwrap_or_default();
    String::from_utf8_lossy(&name).trim().chars().filter(|c| !c.is_control()).collect()
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, process } = self;
        match name.as_str() {
            PREDECESSOR => write!(
                f,
                "{name} (process {process}), which bankwatch replaces; stop it for good first, only one of them \
                 can read the port"
            ),
            env!("CARGO_PKG_NAME") => write!(
                f,
                "{name} (process {process}); its latest reading is shown by `bankwatch read` without a link"
            ),
            _ => write!(f, "{name} (process {process}); stop it first"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::path::PathBuf;
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use rustix::fs::{Mode, OFlags, open};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    use super::*;

    /// A real program that has the far end of a pseudo-terminal open until it is dropped.
    struct Program(Child);

    impl Drop for Program {
        fn drop(&mut self) {
            self.0.kill().and_then(|()| self.0.wait()).expect("it ends");
        }
    }

    fn port() -> (OwnedFd, PathBuf) {
        let near = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a pty");
        grantpt(&near).and_then(|()| unlockpt(&near)).expect("an open pty");
        let far = PathBuf::from(ptsname(&near, Vec::new()).expect("a name").into_string().expect("text"));
        (near, far)
    }

    fn held_by(port: &Path, program: &str, argument: &Path) -> (Program, Holder) {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let far = open(port, flags, Mode::empty()).expect("the port");
        let child = Command::new(program).arg(argument).stdin(Stdio::from(far)).spawn().expect("a program");
        let program = Program(child);
        // Between fork and exec it is called as we are, and for a moment in exec it has a name but no arguments.
        let cmdline = PathBuf::from(format!("/proc/{}/cmdline", program.0.id()));
        let started = || {
            let arguments = fs::read(&cmdline).unwrap_or_default();
            arguments.split(|byte| *byte == 0).nth(1) == Some(argument.as_os_str().as_encoded_bytes())
        };
        let deadline = Instant::now() + Duration::from_secs(20);
        while !started() {
            assert!(Instant::now() < deadline, "{} does not start", program.0.id());
            std::thread::yield_now();
        }
        let holder = Holder::of(port).expect("somebody has the port");
        assert_eq!(holder.process, program.0.id());
        (program, holder)
    }

    #[test]
    fn who_has_a_port_open_is_found_by_name_and_number_even_through_a_link() {
        let (_near, far) = port();
        assert_eq!(Holder::of(&far), None, "nobody yet");
        let folder = tempfile::tempdir().expect("a folder");
        let by_id = folder.path().join("usb-adapter");
        std::os::unix::fs::symlink(&far, &by_id).expect("a link");
        let (program, holder) = held_by(&by_id, "sleep", Path::new("1000"));
        assert_eq!(holder.to_string(), format!("sleep (process {}); stop it first", program.0.id()));
        drop(program);
        assert_eq!(Holder::of(&far), None, "it has let go");
    }

    #[test]
    fn a_terminal_of_another_devpts_with_the_same_number_is_not_the_port() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};

        let (_near, far) = port();
        let folder = tempfile::tempdir().expect("a folder");
        // What a `devpts` of another container shows under the number of our port.
        let other = folder.path().join("0");
        let number = fs::metadata(&far).expect("the port").rdev();
        let made = mknodat(CWD, &other, FileType::CharacterDevice, Mode::from(0o600), number);
        if made == Err(rustix::io::Errno::PERM) {
            eprintln!("not checked: making a device needs root");
            return;
        }
        made.expect("a device");
        let same = |one: &Path, other: &Path| {
            is_same_device(&fs::metadata(one).expect("one"), &fs::metadata(other).expect("other"))
        };
        assert!(same(&far, &far));
        assert!(!same(&far, &other));
        // A serial port is the same wherever its node is.
        let (null, node) = (Path::new("/dev/null"), folder.path().join("null"));
        let number = fs::metadata(null).expect("a device").rdev();
        mknodat(CWD, &node, FileType::CharacterDevice, Mode::from(0o600), number).expect("a device");
        assert!(same(null, &node));
        assert!(!same(null, &far));
    }

    #[test]
    fn the_predecessor_is_known_by_its_script() {
        let (_near, far) = port();
        let folder = tempfile::tempdir().expect("a folder");
        let script = folder.path().join("pytes_serial.py");
        fs::write(&script, "read line\n").expect("a script");
        let (_program, holder) = held_by(&far, "sh", &script);
        assert_eq!(holder.name, "pytes_serial");
        assert!(holder.to_string().contains("stop it for good first"), "{holder}");
    }
}
