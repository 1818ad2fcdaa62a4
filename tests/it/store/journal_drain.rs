//! The buffer and the drain: nothing is lost while the disk or the database fails, what was promised is said once,
//! and everything arrives once, in order.

use std::cell::Cell;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bankwatch::internals::outage::NoticeKind;
use bankwatch::internals::store::journal::{
    Bounds, DeadLetter, DeadLetterTable, Drain, DrainConfig, DrainStep, JournalBuffer, Loss, LossReason,
    NextStep, StoreNotice,
};
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use support::journal::{DAY, Database, WIDE, all, entries, numbers, open};
use support::own_process;
use tempfile::{TempDir, tempdir};

const SECOND: Duration = Duration::from_secs(1);

/// A buffer, a drain and a database, with a clock of their own.
struct Stand {
    folder: TempDir,
    buffer: Mutex<JournalBuffer>,
    drain: Drain,
    database: Database,
    now: Cell<Instant>,
}

impl Stand {
    fn new(bounds: Bounds) -> Self {
        let folder = tempdir().unwrap();
        let buffer = Mutex::new(JournalBuffer::new(folder.path().join("disk").join("journal.db"), bounds));
        fs::create_dir(folder.path().join("disk")).unwrap();
        let (drain, database) = (Drain::new(DrainConfig::default()), Database::default());
        Self { folder, buffer, drain, database, now: Cell::new(Instant::now()) }
    }

    fn disk(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    fn pass(&self, time: Duration) {
        self.now.set(self.now.get() + time);
    }

    /// A second later.
    fn append(&self, rows: std::ops::Range<i64>) -> Vec<StoreNotice> {
        self.pass(SECOND);
        let mut buffer = self.buffer.lock().unwrap();
        buffer.append(self.now.get(), None, entries(rows, 100));
        buffer.take_notices()
    }

    fn step(&mut self) -> DrainStep {
        self.drain.step(&self.buffer, &mut self.database, || self.now.get(), 0.0)
    }

    /// Steps until there is nothing left, waiting where that is asked for.
    fn drain(&mut self) -> Vec<StoreNotice> {
        let mut notices = Vec::new();
        for _ in 0..10_000 {
            let step = self.step();
            notices.extend(step.notices);
            match step.next {
                NextStep::Now => {}
                NextStep::At(at) => self.now.set(at),
                NextStep::Idle => return notices,
            }
        }
        panic!("it never came to an end: {:?}", self.drain)
    }

    fn in_memory(&self) -> usize {
        self.buffer.lock().unwrap().in_memory()
    }
}

fn range(rows: std::ops::Range<i64>) -> Vec<i64> {
    rows.collect()
}

#[test]
fn batches_grow_on_success_and_arrive_in_order() {
    let mut stand = Stand::new(WIDE);
    stand.append(0..3000);
    assert_eq!(stand.drain(), []);
    assert_eq!(stand.database.stored(), range(0..3000));
    assert_eq!(stand.database.batches(), [16, 32, 64, 128, 256, 512, 512, 512, 512, 456]);
}

#[test]
fn rows_appended_during_a_backlog_arrive_after_it() {
    let mut stand = Stand::new(WIDE);
    for chunk in 0..20 {
        stand.append(chunk * 30..chunk * 30 + 30);
        stand.step();
    }
    stand.drain();
    assert_eq!(stand.database.stored(), range(0..600));
}

/// Damages the rows of a journal on disk that a condition selects.
fn damage(stand: &mut Stand, rows: &str) {
    let path = stand.disk().join("journal.db");
    // Nobody else may open it meanwhile.
    stand.buffer = Mutex::new(JournalBuffer::in_memory_only(WIDE));
    let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    connection.batch_execute(&format!("UPDATE entry SET payload = x'2a' WHERE {rows}")).unwrap();
    drop(connection);
    stand.buffer = Mutex::new(JournalBuffer::new(path, WIDE));
}

#[test]
fn many_damaged_rows_do_not_delay_the_others() {
    let mut stand = Stand::new(WIDE);
    stand.append(0..40);
    damage(&mut stand, "seq BETWEEN 3 AND 20");
    let begun = stand.now.get();
    stand.drain();
    assert_eq!((stand.database.stored().len(), stand.database.buried().len()), (22, 18));
    assert_eq!(stand.now.get(), begun, "nothing waited");
}

#[test]
fn a_row_corrupted_on_disk_becomes_a_dead_letter() {
    let mut stand = Stand::new(WIDE);
    stand.append(0..10);
    damage(&mut stand, "seq IN (1, 6)");
    stand.database.set(|database| database.away = Some("connection refused".into()));
    stand.step();
    assert_eq!(stand.buffer.lock().unwrap().len(), 10, "it waits as all rows do");
    stand.database.set(|database| database.away = None);
    let notices = stand.drain();
    let buried = notices
        .iter()
        .filter(|notice| matches!(notice, StoreNotice::DeadLettered(row) if row.reason.contains("damaged")));
    assert_eq!(buried.count(), 2, "{notices:?}");
    assert_eq!(stand.database.buried(), [0, 5]);
    assert_eq!(stand.database.stored(), [1, 2, 3, 4, 6, 7, 8, 9]);
}

#[test]
fn an_outage_is_retried_less_often_and_logged_once_with_recovery() {
    let mut stand = Stand::new(WIDE);
    stand.database.set(|database| database.away = Some("connection refused".into()));
    stand.append(0..100);
    let mut pauses = Vec::new();
    let mut told = Vec::new();
    for _ in 0..9 {
        let step = stand.step();
        let NextStep::At(at) = step.next else { panic!("{step:?}") };
        told.extend(step.notices);
        pauses.push((at - stand.now.get()).as_secs());
        // Rows that come meanwhile wake nobody.
        stand.append(0..0);
        if at > stand.now.get() {
            let before = stand.database.batches().len();
            assert_eq!(stand.step().next, NextStep::At(at));
            assert_eq!(stand.database.batches().len(), before);
        }
        stand.now.set(stand.now.get().max(at));
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    let away: Vec<_> = told.iter().map(|notice| matches!(notice, StoreNotice::DatabaseDown { .. })).collect();
    assert_eq!(away, [true, true], "at the beginning, and after a minute: {told:?}");
    stand.database.set(|database| database.away = None);
    let told = stand.drain();
    assert!(
        matches!(told[..], [StoreNotice::DatabaseRecovered(recovery)] if recovery.failures == 9),
        "{told:?}"
    );
    assert_eq!(stand.database.stored(), range(0..100));
    // And the next pause is a first one.
    stand.database.set(|database| database.refuses = Some("no right to insert".into()));
    stand.append(100..101);
    assert_eq!(stand.step().next, NextStep::At(stand.now.get() + SECOND));
    assert_eq!(stand.database.buried(), [0; 0], "who refuses everything has nothing against a row");
}

#[test]
fn pauses_have_jitter_and_a_maximum() {
    for (chance, expected) in [(0.0, 1000), (0.5, 875), (1.0, 750)] {
        let mut stand = Stand::new(WIDE);
        stand.database.set(|database| database.away = Some("away".into()));
        stand.append(0..1);
        let now = stand.now.get();
        let step = stand.drain.step(&stand.buffer, &mut stand.database, || now, chance);
        assert_eq!(step.next, NextStep::At(now + Duration::from_millis(expected)));
    }
}

#[test]
fn a_poison_row_is_isolated_and_the_rest_arrives() {
    for names_the_row in [false, true] {
        let mut stand = Stand::new(WIDE);
        let poison = [0, 1, 700, 701, 999];
        stand.database.set(|database| {
            database.poison = poison.to_vec();
            database.names_the_row = names_the_row;
        });
        stand.append(0..1000);
        let told = stand.drain();
        assert_eq!(stand.database.buried(), poison);
        assert_eq!(
            stand.database.stored(),
            (0..1000).filter(|row| !poison.contains(row)).collect::<Vec<_>>()
        );
        let first = DeadLetter {
            kind: "reading".into(),
            bank: "house".into(),
            taken_at_ms: 0,
            reason: "value out of range".into(),
            table: DeadLetterTable::Database,
        };
        assert_eq!((told.len(), &told[0]), (5, &StoreNotice::DeadLettered(first)));
        let calls = stand.database.batches().len();
        assert!(calls < if names_the_row { 50 } else { 100 }, "{calls} calls for five rows among 1000");
    }
}

#[test]
fn a_database_that_rejects_every_row_gets_dead_letters_slowly() {
    let mut stand = Stand::new(WIDE);
    stand.database.set(|database| database.poison = range(0..100));
    stand.append(0..100);
    let begun = stand.now.get();
    while stand.now.get() < begun + 600 * SECOND {
        if let NextStep::At(at) = stand.step().next {
            stand.now.set(at);
        }
    }
    let buried = stand.database.buried().len();
    assert!((10..25).contains(&buried), "{buried} rows buried in ten minutes");
    stand.database.set(|database| database.poison.clear());
    stand.drain();
    assert_eq!(stand.database.stored().len() + buried, 100);
}

#[test]
fn a_row_rejected_twice_becomes_a_dead_letter_in_the_journal() {
    let mut stand = Stand::new(WIDE);
    stand.database.set(|database| (database.poison, database.no_graves) = (vec![5], true));
    stand.append(0..10);
    let told = stand.drain();
    assert!(
        matches!(
            &told[..],
            [StoreNotice::DeadLettered(DeadLetter { table: DeadLetterTable::Journal, taken_at_ms: 5, .. })]
        ),
        "{told:?}"
    );
    assert_eq!(stand.database.stored(), [0, 1, 2, 3, 4, 6, 7, 8, 9]);
    let path = stand.disk().join("journal.db");
    drop(stand.buffer);
    assert_eq!(open(&path, WIDE).dead_letters().unwrap(), 1);
}

#[test]
fn a_lost_confirmation_stores_nothing_twice() {
    let mut stand = Stand::new(WIDE);
    stand.database.set(|database| database.forgets_to_answer = true);
    stand.append(0..50);
    for _ in 0..3 {
        assert_eq!(stand.step().stored, 0);
        stand.pass(100 * SECOND);
    }
    stand.database.set(|database| database.forgets_to_answer = false);
    stand.drain();
    assert_eq!(stand.database.stored(), range(0..50));
}

#[test]
fn a_crash_between_commit_and_confirmation_stores_nothing_twice() {
    let stand = Stand::new(WIDE);
    stand.append(0..50);
    let mut database = stand.database.clone();
    let batch = stand.buffer.lock().unwrap().head(stand.now.get(), 10, usize::MAX);
    bankwatch::internals::store::journal::JournalSink::store(&mut database, &batch).unwrap();
    // The buffer ends here without having heard of it.
    let Stand { folder, buffer, drain, now, .. } = stand;
    drop(buffer);
    let buffer = Mutex::new(JournalBuffer::new(folder.path().join("disk").join("journal.db"), WIDE));
    let mut stand = Stand { folder, buffer, drain, database, now };
    stand.drain();
    assert_eq!(stand.database.stored(), range(0..50));
}

#[test]
fn a_missing_folder_is_logged_once_and_rows_wait_in_memory() {
    let stand = Stand::new(WIDE);
    assert_eq!(stand.append(0..10), []);
    fs::rename(stand.disk(), stand.folder.path().join("away")).unwrap();
    let told = stand.append(10..20);
    assert!(
        matches!(&told[..], [
            StoreNotice::DiskDown { outage, reason },
            StoreNotice::RowsLost { loss: Loss { reason: LossReason::Removed, rows: 10, from_ms: 0, .. }, .. },
        ] if outage.kind == NoticeKind::Started && reason.contains("was removed or replaced")),
        "{told:?}"
    );
    let told: Vec<_> = (2..40).flat_map(|n| stand.append(n * 10..n * 10 + 10)).collect();
    assert!(
        matches!(&told[..], [StoreNotice::DiskDown { outage, reason }]
            if outage.kind == NoticeKind::NewReason && reason.contains("its folder must exist")),
        "{told:?}"
    );
    assert_eq!(stand.in_memory(), 390);
    fs::create_dir(stand.disk()).unwrap();
    stand.pass(30 * SECOND);
    let told = stand.append(400..401);
    assert!(
        matches!(&told[..], [StoreNotice::DiskRecovered(recovery)] if recovery.lasted >= 38 * SECOND),
        "{told:?}"
    );
    assert_eq!(stand.in_memory(), 0);
    drop(stand.buffer);
    assert_eq!(numbers(&all(&mut open(&stand.folder.path().join("disk/journal.db"), WIDE))), range(10..401));
}

#[test]
fn without_a_disk_rows_reach_the_database_from_memory() {
    let mut stand = Stand::new(WIDE);
    fs::remove_dir(stand.disk()).unwrap();
    for n in 0..10 {
        stand.append(n * 10..n * 10 + 10);
        stand.drain();
    }
    assert_eq!(stand.database.stored(), range(0..100));
    assert!(stand.buffer.lock().unwrap().is_empty());
    fs::create_dir(stand.disk()).unwrap();
    stand.append(100..110);
    stand.drain();
    assert_eq!(stand.database.stored(), range(0..110));
}

/// What the drain holds under a number of the memory may lie on the disk under another when it is confirmed.
#[test]
fn rows_that_move_to_disk_while_being_stored_are_not_lost() {
    let mut stand = Stand::new(WIDE);
    fs::remove_dir(stand.disk()).unwrap();
    stand.append(0..10);
    let batch = stand.buffer.lock().unwrap().head(stand.now.get(), 4, usize::MAX);
    bankwatch::internals::store::journal::JournalSink::store(&mut stand.database, &batch).unwrap();
    fs::create_dir(stand.disk()).unwrap();
    stand.append(10..20);
    stand.buffer.lock().unwrap().confirm(stand.now.get(), batch[3].seq);
    assert_eq!(stand.buffer.lock().unwrap().len(), 20);
    stand.drain();
    assert_eq!(stand.database.stored(), range(0..20));
}

/// A number of a journal that is gone says nothing about the one that took its place.
#[test]
fn a_late_confirmation_deletes_nothing_from_a_new_journal() {
    let stand = Stand::new(WIDE);
    stand.append(0..10);
    let batch = stand.buffer.lock().unwrap().head(stand.now.get(), 10, usize::MAX);
    fs::remove_file(stand.disk().join("journal.db")).unwrap();
    stand.append(10..20);
    stand.append(20..30);
    stand.buffer.lock().unwrap().confirm(stand.now.get(), batch[9].seq);
    assert_eq!(stand.buffer.lock().unwrap().len(), 20);
}

#[test]
fn full_memory_keeps_the_newest_rows_and_logs_few_lines() {
    let stand = Stand::new(Bounds { memory_bytes: 10_000, ..WIDE });
    fs::remove_dir(stand.disk()).unwrap();
    let told: Vec<_> = (0..3000).flat_map(|n| stand.append(n..n + 1)).collect();
    let lost: Vec<Loss> = told
        .iter()
        .filter_map(|notice| match notice {
            StoreNotice::RowsLost { loss, .. } => Some(*loss),
            _ => None,
        })
        .collect();
    assert!((2..6).contains(&lost.len()), "{lost:?}");
    assert!(lost.iter().all(|loss| loss.reason == LossReason::MemoryFull));
    assert!(lost.windows(2).all(|pair| pair[0].to_ms + 1 == pair[1].from_ms), "{lost:?}");
    let mut buffer = stand.buffer.into_inner().unwrap();
    let kept = buffer.head(stand.now.get(), usize::MAX, usize::MAX);
    let first = i64::try_from(buffer.lost()).unwrap();
    assert_eq!(numbers(&kept), range(first..3000));
    assert!((80..100).contains(&kept.len()), "{}", kept.len());
}

#[test]
fn rows_expire_only_by_a_trusted_clock() {
    let stand = Stand::new(WIDE);
    stand.append(0..10);
    let day = i64::try_from(DAY.as_millis()).unwrap();
    let mut buffer = stand.buffer.into_inner().unwrap();
    buffer.append(stand.now.get(), None, entries(10..11, 100));
    assert_eq!((buffer.len(), buffer.take_notices()), (11, vec![]));
    buffer.append(stand.now.get(), Some(day + 5), entries(11..12, 100));
    assert_eq!((buffer.len(), buffer.oldest(stand.now.get())), (7, Some(5)));
    let told = buffer.take_notices();
    assert!(
        matches!(
            &told[..],
            [StoreNotice::RowsLost { loss: Loss { reason: LossReason::Expired, rows: 5, .. }, .. }]
        ),
        "{told:?}"
    );
}

#[test]
fn a_damaged_file_is_reported_with_its_new_path() {
    let stand = Stand::new(WIDE);
    fs::write(stand.disk().join("journal.db"), "no journal at all").unwrap();
    let told = stand.append(0..1);
    let aside = stand.disk().join("journal.db.damaged-1");
    assert_eq!(
        told,
        [StoreNotice::JournalMoved { to: aside.clone(), reason: "file is not a database".into() }]
    );
    assert_eq!(fs::read_to_string(aside).unwrap(), "no journal at all");
}

#[test]
fn a_journal_in_use_is_taken_over_once_it_is_free() {
    let stand = Stand::new(WIDE);
    let other = open(&stand.disk().join("journal.db"), WIDE);
    let told = stand.append(0..10);
    assert!(
        matches!(&told[..], [StoreNotice::DiskDown { reason, .. }] if reason.contains("in use by another process")),
        "{told:?}"
    );
    drop(other);
    assert!(matches!(&stand.append(10..20)[..], [StoreNotice::DiskRecovered(_)]));
    drop(stand.buffer);
    assert_eq!(numbers(&all(&mut open(&stand.folder.path().join("disk/journal.db"), WIDE))), range(0..20));
}

#[test]
fn after_a_flush_nothing_is_delivered_again() {
    let mut stand = Stand::new(WIDE);
    stand.append(0..3);
    stand.drain();
    stand.buffer.lock().unwrap().flush(stand.now.get());
    drop(stand.buffer);
    assert!(open(&stand.folder.path().join("disk/journal.db"), WIDE).is_empty());
}

#[test]
fn a_step_that_times_out_counts_as_a_failure() {
    let mut stand = Stand::new(WIDE);
    stand.append(0..3);
    // The step that hangs has the drain; another like it goes on.
    let timed_out = stand.drain.on_timeout(stand.now.get(), "no answer within 30s".into(), 0.0);
    assert_eq!(timed_out.next, NextStep::At(stand.now.get() + SECOND));
    assert!(
        matches!(&timed_out.notices[..], [StoreNotice::DatabaseDown { outage, .. }] if outage.kind == NoticeKind::Started)
    );
    assert_eq!(stand.step().next, timed_out.next, "rows that come meanwhile change nothing");
    stand.pass(SECOND);
    let again = stand.drain.on_timeout(stand.now.get(), "no answer within 30s".into(), 0.0);
    assert_eq!((again.next, again.notices), (NextStep::At(stand.now.get() + 2 * SECOND), vec![]));
    let told = stand.drain();
    assert!(
        matches!(&told[..], [StoreNotice::DatabaseRecovered(recovery)] if recovery.failures == 2),
        "{told:?}"
    );
    assert_eq!(stand.database.stored(), range(0..3));
}

#[test]
fn shutdown_waits_for_no_pause() {
    let mut stand = Stand::new(WIDE);
    stand.append(0..3);
    stand.database.set(|database| database.away = Some("locked".into()));
    assert!(matches!(stand.step().next, NextStep::At(_)));
    stand.database.set(|database| database.away = None);
    stand.drain.skip_pause();
    assert_eq!((stand.step().stored, stand.database.stored()), (3, range(0..3)));
}

/// Files end at a size, and writing past it is an error: what a disk does when it is full, until there is room.
#[test]
fn on_a_full_disk_rows_wait_in_memory() {
    const TEST: &str = concat!(module_path!(), "::on_a_full_disk_rows_wait_in_memory");
    const JOURNAL: &str = "BANKWATCH_TEST_FULL_DISK";
    if let Some(path) = std::env::var_os(JOURNAL) {
        return fill(Path::new(&path));
    }
    if Command::new("prlimit").arg("--version").stdout(Stdio::null()).status().is_err() {
        let _ = writeln!(io::stderr(), "SKIPPED: there is no prlimit here to make files grow again");
        return;
    }
    let folder = tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let script = "trap '' XFSZ; ulimit -S -f 400; exec \"$@\"";
    let output = Command::new("/bin/sh")
        .args(["-c", script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(own_process::arguments(TEST))
        .env(JOURNAL, &path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(numbers(&all(&mut open(&path, WIDE))), range(0..300));
}

/// In a process whose files may not grow past 200 or 400 kB.
fn fill(path: &Path) {
    let mut buffer = JournalBuffer::new(path, WIDE);
    let mut now = Instant::now();
    let mut keep = |buffer: &mut JournalBuffer, row: i64| {
        now += SECOND;
        buffer.append(now, None, entries(row..row + 1, 5000));
        buffer.take_notices()
    };
    let told: Vec<_> = (0..200).flat_map(|row| keep(&mut buffer, row)).collect();
    // Opened anew, the journal folds its log into the file once, which makes room for some rows more.
    assert!(matches!(told.last(), Some(StoreNotice::DiskDown { .. })) && told.len() < 8, "{told:?}");
    assert!((100..200).contains(&buffer.in_memory()), "{} rows in memory", buffer.in_memory());
    assert_eq!(buffer.len(), 200);
    let unlimited = ["--pid", &std::process::id().to_string(), "--fsize=unlimited"];
    assert!(Command::new("prlimit").args(unlimited).status().unwrap().success());
    let told: Vec<_> = (200..300).flat_map(|row| keep(&mut buffer, row)).collect();
    assert!(matches!(&told[..], [StoreNotice::DiskRecovered(_)]), "{told:?}");
    assert_eq!((buffer.in_memory(), buffer.len()), (0, 300));
}

#[test]
fn two_threads_can_append_and_drain_at_once() {
    let stand = Stand::new(WIDE);
    let (buffer, database) = (&stand.buffer, stand.database.clone());
    let deadline = Instant::now() + 60 * SECOND;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for row in 0..500 {
                buffer.lock().unwrap().append(Instant::now(), None, entries(row..row + 1, 1000));
            }
        });
        scope.spawn(|| {
            let (mut drain, mut sink) = (Drain::new(DrainConfig::default()), database.clone());
            while sink.stored().len() < 500 {
                assert!(Instant::now() < deadline, "{} rows arrived", sink.stored().len());
                if drain.step(buffer, &mut sink, Instant::now, 0.5).next == NextStep::Idle {
                    std::thread::yield_now();
                }
            }
        });
    });
    assert_eq!(database.stored(), range(0..500));
    assert!(stand.buffer.lock().unwrap().is_empty());
}
