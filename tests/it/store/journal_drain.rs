//! The buffer and the drain: nothing is lost while the disk or the database fails, each failure is logged once, and
//! every row arrives once, in order.

use std::cell::Cell;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bankwatch::internals::outage::NoticeKind;
use bankwatch::internals::store::journal::{
    Bounds, DeadLetter, DeadLetterTable, Drain, DrainConfig, DrainStep, JournalBuffer, Loss, LossReason,
    NextStep, StoreNotice,
};
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use parking_lot::Mutex;
use support::journal::{DAY, Database, WIDE, all, entries, numbers, open};
use support::own_process;
use tempfile::{TempDir, tempdir};

const SECOND: Duration = Duration::from_secs(1);

/// A buffer, a drain and a database, with a test clock.
struct JournalFixture {
    folder: TempDir,
    buffer: Mutex<JournalBuffer>,
    drain: Drain,
    database: Database,
    now: Cell<Instant>,
}

impl JournalFixture {
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

    fn advance(&self, time: Duration) {
        self.now.set(self.now.get() + time);
    }

    /// Appends rows a second later.
    fn append(&self, rows: std::ops::Range<i64>) -> Vec<StoreNotice> {
        self.advance(SECOND);
        let mut buffer = self.buffer.lock();
        buffer.append(self.now.get(), None, entries(rows, 100));
        buffer.take_notices()
    }

    fn step(&mut self) -> DrainStep {
        self.drain.step(&self.buffer, &mut self.database, || self.now.get(), 0.0)
    }

    /// Steps until no rows are left, advancing the clock past pauses.
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
        panic!("the drain did not finish: {:?}", self.drain)
    }

    fn in_memory(&self) -> usize {
        self.buffer.lock().in_memory()
    }
}

fn range(rows: std::ops::Range<i64>) -> Vec<i64> {
    rows.collect()
}

#[test]
fn batches_grow_on_success_and_arrive_in_order() {
    let mut fixture = JournalFixture::new(WIDE);
    fixture.append(0..3000);
    assert_eq!(fixture.drain(), []);
    assert_eq!(fixture.database.stored(), range(0..3000));
    assert_eq!(fixture.database.batches(), [16, 32, 64, 128, 256, 512, 512, 512, 512, 456]);
}

#[test]
fn rows_appended_during_a_backlog_arrive_after_it() {
    let mut fixture = JournalFixture::new(WIDE);
    for chunk in 0..20 {
        fixture.append(chunk * 30..chunk * 30 + 30);
        fixture.step();
    }
    fixture.drain();
    assert_eq!(fixture.database.stored(), range(0..600));
}

/// Damages the rows on disk that match a condition.
fn damage(fixture: &mut JournalFixture, rows: &str) {
    let path = fixture.disk().join("journal.db");
    // Closes the journal, which nothing else can open meanwhile.
    fixture.buffer = Mutex::new(JournalBuffer::in_memory_only(WIDE));
    let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    connection.batch_execute(&format!("UPDATE entry SET payload = x'2a' WHERE {rows}")).unwrap();
    drop(connection);
    fixture.buffer = Mutex::new(JournalBuffer::new(path, WIDE));
}

#[test]
fn many_damaged_rows_do_not_delay_the_others() {
    let mut fixture = JournalFixture::new(WIDE);
    fixture.append(0..40);
    damage(&mut fixture, "seq BETWEEN 3 AND 20");
    let start = fixture.now.get();
    fixture.drain();
    assert_eq!((fixture.database.stored().len(), fixture.database.dead_letters().len()), (22, 18));
    assert_eq!(fixture.now.get(), start, "nothing waited");
}

#[test]
fn a_row_corrupted_on_disk_becomes_a_dead_letter() {
    let mut fixture = JournalFixture::new(WIDE);
    fixture.append(0..10);
    damage(&mut fixture, "seq IN (1, 6)");
    fixture.database.set(|database| database.away = Some("connection refused".into()));
    fixture.step();
    assert_eq!(fixture.buffer.lock().len(), 10, "it waits like all rows");
    fixture.database.set(|database| database.away = None);
    let notices = fixture.drain();
    let dead_letters = notices
        .iter()
        .filter(|notice| matches!(notice, StoreNotice::DeadLettered(row) if row.reason.contains("damaged")));
    assert_eq!(dead_letters.count(), 2, "{notices:?}");
    assert_eq!(fixture.database.dead_letters(), [0, 5]);
    assert_eq!(fixture.database.stored(), [1, 2, 3, 4, 6, 7, 8, 9]);
}

#[test]
fn an_outage_is_retried_less_often_and_logged_once_with_recovery() {
    let mut fixture = JournalFixture::new(WIDE);
    fixture.database.set(|database| database.away = Some("connection refused".into()));
    fixture.append(0..100);
    let mut pauses = Vec::new();
    let mut notices = Vec::new();
    for _ in 0..9 {
        let step = fixture.step();
        let NextStep::At(at) = step.next else { panic!("{step:?}") };
        notices.extend(step.notices);
        pauses.push((at - fixture.now.get()).as_secs());
        // New rows do not end the pause.
        fixture.append(0..0);
        if at > fixture.now.get() {
            let before = fixture.database.batches().len();
            assert_eq!(fixture.step().next, NextStep::At(at));
            assert_eq!(fixture.database.batches().len(), before);
        }
        fixture.now.set(fixture.now.get().max(at));
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    let away: Vec<_> =
        notices.iter().map(|notice| matches!(notice, StoreNotice::DatabaseDown { .. })).collect();
    assert_eq!(away, [true, true], "at the beginning, and after a minute: {notices:?}");
    fixture.database.set(|database| database.away = None);
    let notices = fixture.drain();
    assert!(
        matches!(notices[..], [StoreNotice::DatabaseRecovered(recovery)] if recovery.failures == 9),
        "{notices:?}"
    );
    assert_eq!(fixture.database.stored(), range(0..100));
    // And the next pause is a first one.
    fixture.database.set(|database| database.refuses = Some("no right to insert".into()));
    fixture.append(100..101);
    assert_eq!(fixture.step().next, NextStep::At(fixture.now.get() + SECOND));
    assert_eq!(
        fixture.database.dead_letters(),
        [0; 0],
        "a database that rejects everything does not reject single rows"
    );
}

#[test]
fn pauses_have_jitter_and_a_maximum() {
    for (chance, expected) in [(0.0, 1000), (0.5, 875), (1.0, 750)] {
        let mut fixture = JournalFixture::new(WIDE);
        fixture.database.set(|database| database.away = Some("away".into()));
        fixture.append(0..1);
        let now = fixture.now.get();
        let step = fixture.drain.step(&fixture.buffer, &mut fixture.database, || now, chance);
        assert_eq!(step.next, NextStep::At(now + Duration::from_millis(expected)));
    }
}

#[test]
fn a_poison_row_is_isolated_and_the_rest_arrives() {
    for names_the_row in [false, true] {
        let mut fixture = JournalFixture::new(WIDE);
        let poison = [0, 1, 700, 701, 999];
        fixture.database.set(|database| {
            database.poison = poison.to_vec();
            database.names_the_row = names_the_row;
        });
        fixture.append(0..1000);
        let notices = fixture.drain();
        assert_eq!(fixture.database.dead_letters(), poison);
        assert_eq!(
            fixture.database.stored(),
            (0..1000).filter(|row| !poison.contains(row)).collect::<Vec<_>>()
        );
        let first = DeadLetter {
            kind: "reading".into(),
            bank: "house".into(),
            taken_at_ms: 0,
            reason: "value out of range".into(),
            table: DeadLetterTable::Database,
        };
        assert_eq!((notices.len(), &notices[0]), (5, &StoreNotice::DeadLettered(first)));
        let calls = fixture.database.batches().len();
        assert!(calls < if names_the_row { 50 } else { 100 }, "{calls} calls for five rows among 1000");
    }
}

#[test]
fn a_database_that_rejects_every_row_gets_dead_letters_slowly() {
    let mut fixture = JournalFixture::new(WIDE);
    fixture.database.set(|database| database.poison = range(0..100));
    fixture.append(0..100);
    let start = fixture.now.get();
    while fixture.now.get() < start + 600 * SECOND {
        if let NextStep::At(at) = fixture.step().next {
            fixture.now.set(at);
        }
    }
    let dead_letters = fixture.database.dead_letters().len();
    assert!((10..25).contains(&dead_letters), "{dead_letters} rows dead_letters in ten minutes");
    fixture.database.set(|database| database.poison.clear());
    fixture.drain();
    assert_eq!(fixture.database.stored().len() + dead_letters, 100);
}

#[test]
fn a_row_rejected_twice_becomes_a_dead_letter_in_the_journal() {
    let mut fixture = JournalFixture::new(WIDE);
    fixture.database.set(|database| (database.poison, database.rejects_dead_letters) = (vec![5], true));
    fixture.append(0..10);
    let notices = fixture.drain();
    assert!(
        matches!(
            &notices[..],
            [StoreNotice::DeadLettered(DeadLetter { table: DeadLetterTable::Journal, taken_at_ms: 5, .. })]
        ),
        "{notices:?}"
    );
    assert_eq!(fixture.database.stored(), [0, 1, 2, 3, 4, 6, 7, 8, 9]);
    let path = fixture.disk().join("journal.db");
    drop(fixture.buffer);
    assert_eq!(open(&path, WIDE).dead_letters().unwrap(), 1);
}

#[test]
fn a_lost_confirmation_stores_nothing_twice() {
    let mut fixture = JournalFixture::new(WIDE);
    fixture.database.set(|database| database.loses_confirmation = true);
    fixture.append(0..50);
    for _ in 0..3 {
        assert_eq!(fixture.step().stored, 0);
        fixture.advance(100 * SECOND);
    }
    fixture.database.set(|database| database.loses_confirmation = false);
    fixture.drain();
    assert_eq!(fixture.database.stored(), range(0..50));
}

#[test]
fn a_crash_between_commit_and_confirmation_stores_nothing_twice() {
    let fixture = JournalFixture::new(WIDE);
    fixture.append(0..50);
    let mut database = fixture.database.clone();
    let batch = fixture.buffer.lock().head(fixture.now.get(), 10, usize::MAX);
    bankwatch::internals::store::journal::JournalSink::store(&mut database, &batch).unwrap();
    // The buffer is dropped without the confirmation.
    let JournalFixture { folder, buffer, drain, now, .. } = fixture;
    drop(buffer);
    let buffer = Mutex::new(JournalBuffer::new(folder.path().join("disk").join("journal.db"), WIDE));
    let mut fixture = JournalFixture { folder, buffer, drain, database, now };
    fixture.drain();
    assert_eq!(fixture.database.stored(), range(0..50));
}

#[test]
fn a_missing_folder_is_logged_once_and_rows_wait_in_memory() {
    let fixture = JournalFixture::new(WIDE);
    assert_eq!(fixture.append(0..10), []);
    fs::rename(fixture.disk(), fixture.folder.path().join("away")).unwrap();
    let notices = fixture.append(10..20);
    assert!(
        matches!(&notices[..], [
            StoreNotice::DiskDown { outage, reason },
            StoreNotice::RowsLost { loss: Loss { reason: LossReason::Removed, rows: 10, from_ms: 0, .. }, .. },
        ] if outage.kind == NoticeKind::Started && reason.contains("was removed or replaced")),
        "{notices:?}"
    );
    let notices: Vec<_> = (2..40).flat_map(|n| fixture.append(n * 10..n * 10 + 10)).collect();
    assert!(
        matches!(&notices[..], [StoreNotice::DiskDown { outage, reason }]
            if outage.kind == NoticeKind::NewReason && reason.contains("its folder must exist")),
        "{notices:?}"
    );
    assert_eq!(fixture.in_memory(), 390);
    fs::create_dir(fixture.disk()).unwrap();
    fixture.advance(30 * SECOND);
    let notices = fixture.append(400..401);
    assert!(
        matches!(&notices[..], [StoreNotice::DiskRecovered(recovery)] if recovery.lasted >= 38 * SECOND),
        "{notices:?}"
    );
    assert_eq!(fixture.in_memory(), 0);
    drop(fixture.buffer);
    assert_eq!(
        numbers(&all(&mut open(&fixture.folder.path().join("disk/journal.db"), WIDE))),
        range(10..401)
    );
}

#[test]
fn without_a_disk_rows_reach_the_database_from_memory() {
    let mut fixture = JournalFixture::new(WIDE);
    fs::remove_dir(fixture.disk()).unwrap();
    for n in 0..10 {
        fixture.append(n * 10..n * 10 + 10);
        fixture.drain();
    }
    assert_eq!(fixture.database.stored(), range(0..100));
    assert!(fixture.buffer.lock().is_empty());
    fs::create_dir(fixture.disk()).unwrap();
    fixture.append(100..110);
    fixture.drain();
    assert_eq!(fixture.database.stored(), range(0..110));
}

/// A row taken from memory may be on disk, with another sequence number, when it is confirmed.
#[test]
fn rows_that_move_to_disk_while_being_stored_are_not_lost() {
    let mut fixture = JournalFixture::new(WIDE);
    fs::remove_dir(fixture.disk()).unwrap();
    fixture.append(0..10);
    let batch = fixture.buffer.lock().head(fixture.now.get(), 4, usize::MAX);
    bankwatch::internals::store::journal::JournalSink::store(&mut fixture.database, &batch).unwrap();
    fs::create_dir(fixture.disk()).unwrap();
    fixture.append(10..20);
    fixture.buffer.lock().confirm(fixture.now.get(), batch[3].seq);
    assert_eq!(fixture.buffer.lock().len(), 20);
    fixture.drain();
    assert_eq!(fixture.database.stored(), range(0..20));
}

/// A sequence number of a removed journal means nothing in its replacement.
#[test]
fn a_late_confirmation_deletes_nothing_from_a_new_journal() {
    let fixture = JournalFixture::new(WIDE);
    fixture.append(0..10);
    let batch = fixture.buffer.lock().head(fixture.now.get(), 10, usize::MAX);
    fs::remove_file(fixture.disk().join("journal.db")).unwrap();
    fixture.append(10..20);
    fixture.append(20..30);
    fixture.buffer.lock().confirm(fixture.now.get(), batch[9].seq);
    assert_eq!(fixture.buffer.lock().len(), 20);
}

#[test]
fn full_memory_keeps_the_newest_rows_and_logs_few_lines() {
    let fixture = JournalFixture::new(Bounds { memory_bytes: 10_000, ..WIDE });
    fs::remove_dir(fixture.disk()).unwrap();
    let notices: Vec<_> = (0..3000).flat_map(|n| fixture.append(n..n + 1)).collect();
    let lost: Vec<Loss> = notices
        .iter()
        .filter_map(|notice| match notice {
            StoreNotice::RowsLost { loss, .. } => Some(*loss),
            _ => None,
        })
        .collect();
    assert!((2..6).contains(&lost.len()), "{lost:?}");
    assert!(lost.iter().all(|loss| loss.reason == LossReason::MemoryFull));
    assert!(lost.windows(2).all(|pair| pair[0].to_ms + 1 == pair[1].from_ms), "{lost:?}");
    let mut buffer = fixture.buffer.into_inner();
    let kept = buffer.head(fixture.now.get(), usize::MAX, usize::MAX);
    let first = i64::try_from(buffer.lost()).unwrap();
    assert_eq!(numbers(&kept), range(first..3000));
    assert!((80..100).contains(&kept.len()), "{}", kept.len());
}

#[test]
fn rows_expire_only_by_a_trusted_clock() {
    let fixture = JournalFixture::new(WIDE);
    fixture.append(0..10);
    let day = i64::try_from(DAY.as_millis()).unwrap();
    let mut buffer = fixture.buffer.into_inner();
    buffer.append(fixture.now.get(), None, entries(10..11, 100));
    assert_eq!((buffer.len(), buffer.take_notices()), (11, vec![]));
    buffer.append(fixture.now.get(), Some(day + 5), entries(11..12, 100));
    assert_eq!((buffer.len(), buffer.oldest(fixture.now.get())), (7, Some(5)));
    let notices = buffer.take_notices();
    assert!(
        matches!(
            &notices[..],
            [StoreNotice::RowsLost { loss: Loss { reason: LossReason::Expired, rows: 5, .. }, .. }]
        ),
        "{notices:?}"
    );
}

#[test]
fn a_damaged_file_is_reported_with_its_new_path() {
    let fixture = JournalFixture::new(WIDE);
    fs::write(fixture.disk().join("journal.db"), "no journal at all").unwrap();
    let notices = fixture.append(0..1);
    let aside = fixture.disk().join("journal.db.damaged-1");
    assert_eq!(
        notices,
        [StoreNotice::JournalMoved { to: aside.clone(), reason: "file is not a database".into() }]
    );
    assert_eq!(fs::read_to_string(aside).unwrap(), "no journal at all");
}

#[test]
fn a_journal_in_use_is_taken_over_once_it_is_free() {
    let fixture = JournalFixture::new(WIDE);
    let other = open(&fixture.disk().join("journal.db"), WIDE);
    let notices = fixture.append(0..10);
    assert!(
        matches!(&notices[..], [StoreNotice::DiskDown { reason, .. }] if reason.contains("in use by another process")),
        "{notices:?}"
    );
    drop(other);
    assert!(matches!(&fixture.append(10..20)[..], [StoreNotice::DiskRecovered(_)]));
    drop(fixture.buffer);
    assert_eq!(numbers(&all(&mut open(&fixture.folder.path().join("disk/journal.db"), WIDE))), range(0..20));
}

#[test]
fn after_a_flush_nothing_is_delivered_again() {
    let mut fixture = JournalFixture::new(WIDE);
    fixture.append(0..3);
    fixture.drain();
    fixture.buffer.lock().flush(fixture.now.get());
    drop(fixture.buffer);
    assert!(open(&fixture.folder.path().join("disk/journal.db"), WIDE).is_empty());
}

#[test]
fn a_step_that_times_out_counts_as_a_failure() {
    let mut fixture = JournalFixture::new(WIDE);
    fixture.append(0..3);
    // The hanging step owns the drain; a clone continues.
    let timed_out = fixture.drain.on_timeout(fixture.now.get(), "no answer within 30s".into(), 0.0);
    assert_eq!(timed_out.next, NextStep::At(fixture.now.get() + SECOND));
    assert!(
        matches!(&timed_out.notices[..], [StoreNotice::DatabaseDown { outage, .. }] if outage.kind == NoticeKind::Started)
    );
    assert_eq!(fixture.step().next, timed_out.next, "rows that come meanwhile change nothing");
    fixture.advance(SECOND);
    let again = fixture.drain.on_timeout(fixture.now.get(), "no answer within 30s".into(), 0.0);
    assert_eq!((again.next, again.notices), (NextStep::At(fixture.now.get() + 2 * SECOND), vec![]));
    let notices = fixture.drain();
    assert!(
        matches!(&notices[..], [StoreNotice::DatabaseRecovered(recovery)] if recovery.failures == 2),
        "{notices:?}"
    );
    assert_eq!(fixture.database.stored(), range(0..3));
}

#[test]
fn shutdown_waits_for_no_pause() {
    let mut fixture = JournalFixture::new(WIDE);
    fixture.append(0..3);
    fixture.database.set(|database| database.away = Some("locked".into()));
    assert!(matches!(fixture.step().next, NextStep::At(_)));
    fixture.database.set(|database| database.away = None);
    fixture.drain.skip_pause();
    assert_eq!((fixture.step().stored, fixture.database.stored()), (3, range(0..3)));
}

/// Limits the file size of the process, which makes writes fail as on a full disk.
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

/// Runs in a process with a file size limit of 200 or 400 kB.
fn fill(path: &Path) {
    let mut buffer = JournalBuffer::new(path, WIDE);
    let mut now = Instant::now();
    let mut keep = |buffer: &mut JournalBuffer, row: i64| {
        now += SECOND;
        buffer.append(now, None, entries(row..row + 1, 5000));
        buffer.take_notices()
    };
    let notices: Vec<_> = (0..200).flat_map(|row| keep(&mut buffer, row)).collect();
    // Reopening the journal checkpoints its log, which makes space for a few more rows.
    assert!(matches!(notices.last(), Some(StoreNotice::DiskDown { .. })) && notices.len() < 8, "{notices:?}");
    assert!((100..200).contains(&buffer.in_memory()), "{} rows in memory", buffer.in_memory());
    assert_eq!(buffer.len(), 200);
    let unlimited = ["--pid", &std::process::id().to_string(), "--fsize=unlimited"];
    assert!(Command::new("prlimit").args(unlimited).status().unwrap().success());
    let notices: Vec<_> = (200..300).flat_map(|row| keep(&mut buffer, row)).collect();
    assert!(matches!(&notices[..], [StoreNotice::DiskRecovered(_)]), "{notices:?}");
    assert_eq!((buffer.in_memory(), buffer.len()), (0, 300));
}

#[test]
fn two_threads_can_append_and_drain_at_once() {
    let fixture = JournalFixture::new(WIDE);
    let (buffer, database) = (&fixture.buffer, fixture.database.clone());
    let deadline = Instant::now() + 60 * SECOND;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for row in 0..500 {
                buffer.lock().append(Instant::now(), None, entries(row..row + 1, 1000));
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
    assert!(fixture.buffer.lock().is_empty());
}
