//! Finds the program that has a port open, as far as `/proc` shows: other users' processes only to root, those of
//! another container never.
//!
//! Ports are compared by device, not by path: in a container or chroot with its own `devpts`, `/dev/pts/0` is not
//! the host's terminal of that name, and a serial port may have another name.

use std::fmt;
use std::fs::{self, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::fs::major;

/// A program that has a port open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortOwner {
    pub(crate) name: String,
    /// Process id.
    pub(crate) process: u32,
}

const PYTES_SERIAL: &str = "pytes_serial";

/// Limit on the open files examined: a busy machine has thousands, and opening the link waits for this search.
const MAX_FILES: usize = 50_000;

impl PortOwner {
    /// Finds the program that has `port` open, `pytes_serial` before all others. `None` is a normal result:
    /// processes come and go during the search, and most of them can't be inspected.
    pub(super) fn find(port: &Path) -> Option<Self> {
        let mut owners = find_all(port);
        let first = owners.iter().position(Self::is_pytes_serial).unwrap_or(0);
        (first < owners.len()).then(|| owners.swap_remove(first))
    }

    /// Whether it is the program that this one replaces. `pytes_serial` takes no lock, so its port can be opened a
    /// second time, and then each program receives answers to the other's commands.
    pub(super) fn is_pytes_serial(&self) -> bool {
        self.name == PYTES_SERIAL
    }
}

fn find_all(port: &Path) -> Vec<PortOwner> {
    let mut found = Vec::new();
    let (Ok(port), Ok(processes)) = (fs::metadata(port), fs::read_dir("/proc")) else { return found };
    let mut examined = 0;
    for entry in processes.flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(mut files) = fs::read_dir(entry.path().join("fd")) else { continue };
        let is_port = |file: std::io::Result<fs::DirEntry>| {
            examined += 1;
            file.is_ok_and(|file| {
                // Querying the file itself may hang on a dead network mount, so its name is read first.
                fs::read_link(file.path()).is_ok_and(|name| may_be_device(&name))
                    && fs::metadata(file.path()).is_ok_and(|open| is_same_device(&open, &port))
            })
        };
        if files.any(is_port) {
            found.push(PortOwner { name: process_name(&entry.path()), process });
        }
        if examined > MAX_FILES {
            break;
        }
    }
    found
}

/// Device files are below `/dev`; for a `devpts` outside our root only the end of the path is visible.
fn may_be_device(name: &Path) -> bool {
    let last = name.file_name().and_then(|last| last.to_str()).unwrap_or_default();
    name.components().any(|part| part.as_os_str() == "dev" || part.as_os_str() == "pts")
        || last.starts_with("tty")
        || last.bytes().all(|byte| byte.is_ascii_digit())
}

/// Pseudo-terminals are numbered from 0 in each `devpts`, so only the inode distinguishes them; any other device is the
/// same wherever its node is.
fn is_same_device(one: &Metadata, other: &Metadata) -> bool {
    const PSEUDO_TERMINALS: std::ops::RangeInclusive<u32> = 136..=143;
    let same_node = (one.dev(), one.ino()) == (other.dev(), other.ino());
    let are_devices = one.file_type().is_char_device() && other.file_type().is_char_device();
    same_node || are_devices && one.rdev() == other.rdev() && !PSEUDO_TERMINALS.contains(&major(one.rdev()))
}

/// For the script `pytes_serial` its own name instead of the interpreter's.
fn process_name(process: &Path) -> String {
    let arguments = fs::read(process.join("cmdline")).unwrap_or_default();
    let mut arguments = arguments.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    if arguments.any(|argument| Path::new(&*argument).file_stem().is_some_and(|stem| stem == PYTES_SERIAL)) {
        return PYTES_SERIAL.to_owned();
    }
    let name = fs::read(process.join("comm")).unwrap_or_default();
    String::from_utf8_lossy(&name).trim().chars().filter(|c| !c.is_control()).collect()
}

impl fmt::Display for PortOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, process } = self;
        match name.as_str() {
            PYTES_SERIAL => write!(
                f,
                "{name} (process {process}), which bankwatch replaces; stop and disable it first, because only \
                 one program can read the port"
            ),
            env!("CARGO_PKG_NAME") => write!(
                f,
                "{name} (process {process}); `bankwatch read` without a link shows its latest reading"
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

    /// A process that has the far end of a pseudo-terminal open until it is dropped.
    struct OwningProcess(Child);

    impl Drop for OwningProcess {
        fn drop(&mut self) {
            self.0.kill().and_then(|()| self.0.wait()).expect("the process ends");
        }
    }

    fn port() -> (OwnedFd, PathBuf) {
        let near = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a pty");
        grantpt(&near).and_then(|()| unlockpt(&near)).expect("an open pty");
        let far = PathBuf::from(ptsname(&near, Vec::new()).expect("a name").into_string().expect("text"));
        (near, far)
    }

    fn start_owner(port: &Path, program: &str, argument: &Path) -> (OwningProcess, PortOwner) {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let far = open(port, flags, Mode::empty()).expect("the port");
        let child = Command::new(program).arg(argument).stdin(Stdio::from(far)).spawn().expect("a program");
        let process = OwningProcess(child);
        // Between fork and exec the child has our name, and for a moment during exec a name but no arguments.
        let cmdline = PathBuf::from(format!("/proc/{}/cmdline", process.0.id()));
        let started = || {
            let arguments = fs::read(&cmdline).unwrap_or_default();
            arguments.split(|byte| *byte == 0).nth(1) == Some(argument.as_os_str().as_encoded_bytes())
        };
        let deadline = Instant::now() + Duration::from_secs(20);
        while !started() {
            assert!(Instant::now() < deadline, "{} does not start", process.0.id());
            std::thread::yield_now();
        }
        let owner = PortOwner::find(port).expect("the port has an owner");
        assert_eq!(owner.process, process.0.id());
        (process, owner)
    }

    #[test]
    fn owner_is_found_through_a_symbolic_link() {
        let (_near, far) = port();
        assert_eq!(PortOwner::find(&far), None, "not open yet");
        let folder = tempfile::tempdir().expect("a folder");
        let by_id = folder.path().join("usb-adapter");
        std::os::unix::fs::symlink(&far, &by_id).expect("a link");
        let (process, owner) = start_owner(&by_id, "sleep", Path::new("1000"));
        assert_eq!(owner.to_string(), format!("sleep (process {}); stop it first", process.0.id()));
        drop(process);
        assert_eq!(PortOwner::find(&far), None, "closed again");
    }

    #[test]
    fn terminal_of_another_devpts_is_a_different_port() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};

        let (_near, far) = port();
        let folder = tempfile::tempdir().expect("a folder");
        // The node that another container's `devpts` shows under our port's number.
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
    fn pytes_serial_is_recognized_by_its_script_name() {
        let (_near, far) = port();
        let folder = tempfile::tempdir().expect("a folder");
        let script = folder.path().join("pytes_serial.py");
        fs::write(&script, "read line\n").expect("a script");
        let (_process, owner) = start_owner(&far, "sh", &script);
        assert_eq!(owner.name, "pytes_serial");
        assert!(owner.to_string().contains("stop and disable it first"), "{owner}");
    }
}
