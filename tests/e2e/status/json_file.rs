//! The status file: complete at any moment. A failure of its folder is logged once, recovers, and affects nothing
//! else.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use actix::Addr;
use bankwatch::internals::actors::json_file::JsonFileActor;
use bankwatch::internals::atomic_file::AtomicFile;
use bankwatch::internals::console::assemble::assemble;
use bankwatch::internals::console::transcript::Transcript;
use bankwatch::internals::messages::{LatestReports, ReportSink};
use bankwatch::internals::model::reading::SweepKind;
use bankwatch::internals::model::report::BankReport;
use bankwatch::internals::settings::JsonFileSettings;
use bankwatch::internals::simulator::{Dialect, Simulation};
use bankwatch::internals::status::StatusDocument;
use bankwatch::internals::supervise::{ChildSpec, ChildState, SupervisionPolicy, Supervisor};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use slog::Logger;
use support::actors::{Output, faulty_logger};
use support::faulty_actor::{LONG, brisk, ms, restarts, state, supervised};
use support::lines::Lines;
use support::program::Service;
use support::until::until;
use tempfile::{TempDir, tempdir};

/// How long a round of writing may take here, and the rest after one that failed: time enough for a busy disk.
const DEADLINE: Duration = ms(400);

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Opening it for writing blocks until there is a reader.
fn make_pipe(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

/// Opens the pipe for reading, so that a blocked writer continues.
fn release(pipe: &Path) -> File {
    File::options().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(pipe).unwrap()
}

#[test]
fn a_reader_never_sees_a_partial_file() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("bank.json");
    let file = AtomicFile::published(&path);
    let content = |round: u8| vec![b'a' + round % 26; 40_000 + usize::from(round) * 100];
    file.replace(&content(0)).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = 0;
            while !done.load(Ordering::Relaxed) {
                let read = fs::read(&path).expect("the file always exists");
                let whole = content(u8::try_from((read.len() - 40_000) / 100).unwrap());
                assert!(read == whole, "a partial file of {} bytes", read.len());
                seen += 1;
            }
            seen
        });
        for round in 1..=200 {
            file.replace(&content(round)).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0);
    });
    assert_eq!(names(folder.path()), ["bank.json"]);
}

#[test]
fn an_existing_file_keeps_its_mode_and_a_new_one_gets_the_default() {
    let folder = tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("old"), "old").unwrap();
    fs::set_permissions(path("old"), fs::Permissions::from_mode(0o600)).unwrap();
    // Left by a power cut under a version that used the mode of the umask.
    fs::write(path(".new.new"), "half").unwrap();
    fs::set_permissions(path(".new.new"), fs::Permissions::from_mode(0o666)).unwrap();
    let files = [
        (AtomicFile::published(path("old")), 0o600),
        (AtomicFile::published(path("new")), 0o644),
        (AtomicFile::state(path("state")), 0o640),
    ];
    for (file, expected) in files {
        file.replace(b"content").unwrap();
        assert_eq!((fs::read(file.path()).unwrap(), mode(file.path())), (b"content".to_vec(), expected));
    }
}

#[test]
fn a_symlink_stays_a_symlink_even_if_its_target_is_missing() {
    let (folder, elsewhere) = (tempdir().unwrap(), tempdir().unwrap());
    for (name, is_there) in [("old", true), ("new", false)] {
        let (link, target) = (folder.path().join(name), elsewhere.path().join(name));
        symlink(&target, &link).unwrap();
        if is_there {
            fs::write(&target, "old").unwrap();
        }
        AtomicFile::published(&link).replace(b"content").unwrap();
        assert!(link.is_symlink(), "{name}");
        assert_eq!(fs::read(&target).unwrap(), b"content", "{name}");
    }
    assert_eq!(
        (names(folder.path()), names(elsewhere.path())),
        (vec!["new".into(), "old".into()], vec!["new".into(), "old".into()])
    );
}

#[test]
fn a_failed_write_leaves_no_files_behind() {
    let folder = tempdir().unwrap();
    // A folder has the name of the file.
    let taken = folder.path().join("taken");
    fs::create_dir(&taken).unwrap();
    AtomicFile::published(&taken).replace(b"content").unwrap_err();
    assert_eq!(names(folder.path()), ["taken"]);
    // A symbolic link has the name of the temporary file.
    let (victim, path) = (folder.path().join("victim"), folder.path().join("file"));
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, folder.path().join(".file.new")).unwrap();
    let file = AtomicFile::published(&path);
    file.replace(b"content").unwrap_err();
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
    file.replace(b"content").unwrap();
    assert_eq!(names(folder.path()), ["file", "taken", "victim"]);
}

#[test]
fn a_writer_that_hung_never_overwrites_a_later_one() {
    let folder = tempdir().unwrap();
    let (path, pipe) = (folder.path().join("bank.json"), folder.path().join(".bank.json.new"));
    make_pipe(&pipe);
    let file = AtomicFile::published(&path);
    thread::scope(|scope| {
        // The first one hangs in the pipe; the second one proceeds with another name.
        let writers = [b"one", b"two"].map(|content| scope.spawn(|| file.replace(content)));
        let deadline = Instant::now() + LONG;
        while !path.exists() {
            assert!(Instant::now() < deadline, "neither write finished");
            thread::yield_now();
        }
        let later = fs::read(&path).unwrap();
        let reader = release(&pipe);
        let done = writers.map(|writer| writer.join().unwrap().is_ok());
        drop(reader);
        // A pipe can't be synced: the first write had nothing to rename.
        assert_eq!(done.iter().filter(|done| **done).count(), 1);
        assert_eq!(fs::read(&path).unwrap(), later);
    });
    assert_eq!(names(folder.path()), ["bank.json"]);
}

/// The JSON file actor with its slot, writing to a temporary folder.
struct JsonFileFixture {
    folder: TempDir,
    sink: ReportSink,
    _actor: Addr<JsonFileActor>,
}

impl JsonFileFixture {
    fn start(supervisor: &mut Supervisor, log: Logger) -> Self {
        let (folder, slot) = (tempdir().unwrap(), LatestReports::default());
        let settings = JsonFileSettings { enabled: true, directory: folder.path().join("out") };
        let taken = slot.clone();
        let child = ChildSpec::new("json_file").capacity(1);
        let make = move |stop_handle| JsonFileActor::new(settings, DEADLINE, taken, log, stop_handle);
        let actor = supervisor.start_child(child, make).unwrap();
        Self { folder, sink: ReportSink::newest_full(slot, actor.clone().recipient()), _actor: actor }
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    /// Atomically replaces the output folder by a symbolic link to `place`.
    fn link_to(&self, place: &Path) {
        let link = self.folder.path().join("link");
        symlink(place, &link).unwrap();
        fs::rename(link, self.out()).unwrap();
    }

    /// A new writable folder.
    fn sound(&self) -> PathBuf {
        let folder = self.folder.path().join("sound");
        fs::create_dir(&folder).unwrap();
        folder
    }

    fn offer(&self, bank: &str, number: u64) {
        self.sink.try_send(&report(bank, number));
    }

    /// The number of the report in a bank's file.
    fn written(&self, bank: &str) -> Option<u64> {
        let text = fs::read(self.out().join(format!("{bank}_status.json"))).ok()?;
        let status: StatusDocument = serde_json::from_slice(&text).expect("a whole file");
        Some(status.serial_stat.loops)
    }
}

fn report(bank: &str, number: u64) -> Arc<BankReport> {
    let nothing = Transcript {
        bank: bank.into(),
        kind: SweepKind::Full,
        started_at: jiff::Timestamp::UNIX_EPOCH,
        started: Instant::now(),
        took: Duration::ZERO,
        known_places: Vec::new(),
        exchanges: Vec::new(),
    };
    let mut report = BankReport::of_one(assemble(&nothing));
    report.service.sweeps = number;
    Arc::new(report)
}

/// Asserts that a broken folder is logged once with this reason, and that after `mend` the newest report is written
/// without waiting for another one.
async fn assert_logged_once_and_recovers(
    fixture: &JsonFileFixture,
    lines: &Lines,
    reason: &str,
    mend: impl FnOnce(),
) {
    fixture.offer("house", 1);
    until(LONG, || !lines.containing("output down").is_empty()).await;
    for number in 2..=5 {
        fixture.offer("house", number);
    }
    mend();
    until(LONG, || fixture.written("house") == Some(5)).await;
    until(LONG, || !lines.containing("output recovered").is_empty()).await;
    let logged = lines.containing("output");
    assert_eq!(logged.len(), 2, "{logged:?}");
    let target = fixture.out().join("house_status.json");
    assert_eq!(
        logged[0],
        format!("WARN output down output=json_file reason={reason} target={}", target.display())
    );
    assert!(logged[1].starts_with("INFO output recovered outage="), "{logged:?}");
}

#[test]
fn a_missing_folder_is_logged_once_and_the_newest_reading_follows() {
    supervised(brisk(), async |mut supervisor, lines| {
        let fixture = JsonFileFixture::start(&mut supervisor, lines.logger());
        let mend = || fs::create_dir(fixture.out()).unwrap();
        assert_logged_once_and_recovers(&fixture, &lines, "No such file or directory (os error 2)", mend)
            .await;
        assert_eq!(names(&fixture.out()), ["house_status.json"]);
    });
}

#[test]
fn a_file_in_place_of_the_folder_is_logged_once_until_recovery() {
    supervised(brisk(), async |mut supervisor, lines| {
        let fixture = JsonFileFixture::start(&mut supervisor, lines.logger());
        let in_the_way = fixture.folder.path().join("in the way");
        fs::write(&in_the_way, "").unwrap();
        fixture.link_to(&in_the_way);
        let mend = || fixture.link_to(&fixture.sound());
        assert_logged_once_and_recovers(&fixture, &lines, "Not a directory (os error 20)", mend).await;
    });
}

#[test]
fn a_read_only_folder_is_logged_once_until_recovery() {
    // Not even root may create files here; the error depends on how it is mounted.
    let unwritable = Path::new("/sys/kernel");
    let Err(refusal) = File::create(unwritable.join("bankwatch")) else { panic!("a file in {unwritable:?}") };
    supervised(brisk(), async |mut supervisor, lines| {
        let fixture = JsonFileFixture::start(&mut supervisor, lines.logger());
        fixture.link_to(unwritable);
        let mend = || fixture.link_to(&fixture.sound());
        assert_logged_once_and_recovers(&fixture, &lines, &refusal.to_string(), mend).await;
    });
}

#[test]
fn a_bank_with_an_unwritable_file_does_not_affect_others() {
    supervised(brisk(), async |mut supervisor, lines| {
        let fixture = JsonFileFixture::start(&mut supervisor, lines.logger());
        fs::create_dir_all(fixture.out().join("attic_status.json")).unwrap();
        fixture.offer("attic", 1);
        for number in 1..=20 {
            fixture.offer("house", number);
            until(LONG, || fixture.written("house") == Some(number)).await;
        }
        until(LONG, || !lines.containing("output down").is_empty()).await;
        fs::remove_dir(fixture.out().join("attic_status.json")).unwrap();
        until(LONG, || fixture.written("attic") == Some(1)).await;
    });
}

#[test]
fn a_hanging_write_is_abandoned_and_the_newest_reading_is_written() {
    supervised(brisk(), async |mut supervisor, lines| {
        let (fixture, health) =
            (JsonFileFixture::start(&mut supervisor, lines.logger()), supervisor.health());
        fs::create_dir(fixture.out()).unwrap();
        let pipe = fixture.out().join(".house_status.json.new");
        make_pipe(&pipe);
        fixture.offer("house", 1);
        until(LONG, || fixture.written("house") == Some(1)).await;
        fixture.offer("house", 2);
        until(LONG, || fixture.written("house") == Some(2)).await;
        let logged = lines.containing("output");
        assert_eq!(logged.len(), 2, "{logged:?}");
        assert!(logged[0].contains("reason=expected an answer within 400ms, but the call is still running"));
        assert!(logged[1].starts_with("INFO output recovered outage="), "{logged:?}");
        // The abandoned write wakes up, ends, and changes nothing.
        let reader = release(&pipe);
        until(LONG, || names(&fixture.out()) == ["house_status.json"]).await;
        drop(reader);
        assert_eq!(fixture.written("house"), Some(2));
        assert_eq!(restarts(&health, "json_file"), 0);
    });
}

#[test]
fn an_output_with_hanging_writes_fails_alone_and_is_retried() {
    let policy = SupervisionPolicy { failed_retry_interval: ms(150), ..brisk() };
    supervised(policy, async |mut supervisor, lines| {
        let fixture = JsonFileFixture::start(&mut supervisor, lines.logger());
        let (health, (other, to_other, _other)) =
            (supervisor.health(), Output::start(&mut supervisor, "other"));
        fs::create_dir(fixture.out()).unwrap();
        let pipes =
            ["", "1", "2"].map(|number| fixture.out().join(format!(".house_status.json.new{number}")));
        pipes.iter().for_each(|pipe| make_pipe(pipe));
        let mut number = 0;
        let mut offer = || {
            number += 1;
            let report = report("house", number);
            [&fixture.sink, &to_other].into_iter().for_each(|sink| sink.try_send(&report));
            number
        };
        until(LONG, || {
            other.wait_for(offer());
            matches!(state(&health, "json_file"), ChildState::Failed { .. })
        })
        .await;
        let reason = health.borrow().child("json_file").unwrap().last_failure.clone().unwrap();
        assert!(reason.contains("writing to") && reason.contains("3 threads are stuck"), "{reason}");
        // It is retried and fails again as long as the writes hang; the other output still gets every reading.
        until(LONG, || restarts(&health, "json_file") >= 3).await;
        other.wait_for(offer());
        assert_eq!(restarts(&health, "other"), 0);
        assert_eq!(lines.containing("output down").len(), 1, "{:?}", lines.containing("output"));

        let readers = pipes.map(|pipe| release(&pipe));
        let newest = offer();
        until(LONG, || fixture.written("house") == Some(newest)).await;
        until(LONG, || lines.containing("output recovered").len() == 1).await;
        until(LONG, || names(&fixture.out()) == ["house_status.json"]).await;
        drop(readers);
        assert_eq!(fixture.written("house"), Some(newest));
    });
}

#[test]
fn a_panicking_writer_restarts_and_the_reading_is_written() {
    supervised(brisk(), async |mut supervisor, lines| {
        let away = AtomicU32::new(0);
        let log = faulty_logger(&lines, move |message| {
            let first = message == "output down" && away.fetch_add(1, Ordering::SeqCst) == 0;
            assert!(!first, "a bug in the output");
        });
        let (fixture, health) = (JsonFileFixture::start(&mut supervisor, log), supervisor.health());
        fixture.offer("house", 1);
        until(LONG, || restarts(&health, "json_file") == 1).await;
        fs::create_dir(fixture.out()).unwrap();
        until(LONG, || fixture.written("house") == Some(1)).await;
        until(LONG, || lines.containing("output recovered").len() == 1).await;
    });
}

#[test]
fn a_full_disk_is_logged_once_until_recovery() {
    let (tool, unlimited) = ("prlimit", "--fsize=unlimited");
    if Command::new(tool).arg("--version").stdout(Stdio::null()).status().is_err() {
        let _ = writeln!(io::stderr(), "SKIPPED: there is no {tool} here to make files grow again");
        return;
    }
    let folder = tempdir().unwrap();
    let bank = Simulation::new(Dialect::PytesV5).speed(0.0).unpaced().start().unwrap();
    // Files are limited to 512 or 1024 bytes; writing beyond that is an error and does not kill the process.
    let script = "trap '' XFSZ; ulimit -S -f 1; exec \"$@\"";
    let mut limited = Command::new("/bin/sh");
    limited.args(["-c", script, "sh", env!("CARGO_BIN_EXE_bankwatch"), "run"]);
    let link = format!("bank.link={}", bank.link());
    for set in
        ["bank.name=house", &link, "bank.interval=100ms", "events.enabled=false", "database.enabled=false"]
    {
        limited.args(["--set", set]);
    }
    let mut service = Service::start(limited.current_dir(&folder).env_clear());
    let logged = service.wait_for_line("output down");
    assert!(logged.contains("output=json_file reason=\"File too large (os error 27)\""), "{logged}");
    assert!(!folder.path().join("house_status.json").exists(), "a partial file is visible");
    let process = service.id().to_string();
    assert!(Command::new(tool).args(["--pid", &process, unlimited]).status().unwrap().success());
    service.wait_for_line("output recovered output=json_file outage=");
    let text = fs::read(folder.path().join("house_status.json")).unwrap();
    assert_eq!(serde_json::from_slice::<StatusDocument>(&text).unwrap().powers, 2);
    assert!(service.stop().success());
    assert_eq!(service.lines_with(" output ").len(), 2, "{:#?}", service.log);
    assert_eq!(names(folder.path()), ["bankwatch.lock", "house_ledger.json", "house_status.json"]);
}
