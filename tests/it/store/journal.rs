//! The journal's file: its rows survive, in order, within its limits, and only one process has it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use bankwatch::internals::store::journal::{Bounds, Journal, JournalError, Loss, LossReason};
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use support::journal::{WIDE, all, entries, entry, numbers, open};
use support::own_process;
use tempfile::{TempDir, tempdir};

/// The variable with the path of the journal for a child process.
const JOURNAL: &str = "BANKWATCH_TEST_JOURNAL";

fn place() -> (TempDir, PathBuf) {
    let folder = tempdir().unwrap();
    let path = folder.path().join("journal.db");
    (folder, path)
}

/// Bytes of the journal's file and of its log.
fn on_disk(path: &Path) -> u64 {
    let log = path.with_extension("db-wal");
    [path, &log].iter().filter_map(|file| fs::metadata(file).ok()).map(|file| file.len()).sum()
}

/// Runs this test in a child process that uses the journal at `path`.
fn child(test: &str, path: &Path) -> Child {
    let mut child = own_process::rerun_command(test);
    child.env(JOURNAL, path).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

fn child_path() -> Option<PathBuf> {
    std::env::var_os(JOURNAL).map(PathBuf::from)
}

#[test]
fn appended_rows_are_complete_and_in_order_after_every_kill() {
    const TEST: &str = concat!(module_path!(), "::appended_rows_are_complete_and_in_order_after_every_kill");
    const KILLS: usize = 12;
    if let Some(path) = child_path() {
        append_for_ever(&path);
    }
    let (_folder, path) = place();
    let mut rng = fastrand::Rng::with_seed(3);
    for kill in 0..KILLS {
        let mut process = child(TEST, &path);
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let reported =
            lines.by_ref().filter_map(|line| line.ok()?.strip_prefix("kept ")?.parse::<i64>().ok());
        let kept = reported.take(rng.usize(1..40)).last();
        process.kill().unwrap();
        process.wait().unwrap();
        // Lines written before the process died count as well.
        let after = lines.filter_map(|line| line.ok()?.strip_prefix("kept ")?.parse::<i64>().ok()).last();
        let promised = after.or(kept).expect("some rows were stored");
        let found = all(&mut open(&path, WIDE));
        let last = found.last().unwrap().entry.taken_at_ms;
        assert!(last >= promised, "kill {kill}: {promised} was reported as stored, the last found is {last}");
        let expected = entries(0..last + 1, 3000);
        assert!(
            found.iter().map(|kept| &kept.entry).eq(&expected),
            "kill {kill}: a row is missing or changed"
        );
    }
}

/// Continues where the journal ends, and prints what is stored.
fn append_for_ever(path: &Path) -> ! {
    let mut journal = open(path, WIDE);
    let mut next = i64::try_from(journal.len()).unwrap();
    loop {
        let size = 1 + next % 3;
        assert_eq!(journal.append(&entries(next..next + size, 3000)).unwrap(), None);
        next += size;
        println!("kept {}", next - 1);
        std::io::stdout().flush().unwrap();
    }
}

#[test]
fn head_returns_rows_in_order_within_its_limits() {
    let (_folder, path) = place();
    let mut journal = open(&path, WIDE);
    journal.append(&[entry(30, 100), entry(10, 100)]).unwrap();
    journal.append(&entries(20..25, 100)).unwrap();
    assert_eq!(numbers(&all(&mut journal)), [30, 10, 20, 21, 22, 23, 24]);
    assert_eq!(numbers(&journal.head(3, usize::MAX).unwrap()), [30, 10, 20]);
    assert_eq!(numbers(&journal.head(9, 250).unwrap()), [30, 10]);
    assert_eq!(numbers(&journal.head(9, 1).unwrap()), [30], "one row, however large");
    assert_eq!((journal.len(), journal.oldest().unwrap()), (7, Some(30)));
    let seqs: Vec<i64> = all(&mut journal).iter().map(|kept| kept.seq).collect();
    assert!(seqs.is_sorted());
    journal.confirm(seqs[1]).unwrap();
    assert_eq!((journal.len(), journal.oldest().unwrap()), (5, Some(20)));
    assert_eq!(numbers(&all(&mut journal)), [20, 21, 22, 23, 24]);
}

#[test]
fn a_row_is_returned_unchanged() {
    let (_folder, path) = place();
    let mut odd = entry(-1, 8);
    odd.payload = (0..=255).collect();
    odd.bank = "Keller \u{1F50B} '; --".into();
    let empty =
        bankwatch::internals::store::journal::JournalEntry { payload: Vec::new(), ..entry(i64::MAX, 8) };
    let large = entry(2, 700_000);
    open(&path, WIDE).append(&[odd.clone(), empty.clone(), large.clone()]).unwrap();
    let found = all(&mut open(&path, WIDE));
    assert!(found.into_iter().map(|kept| kept.entry).eq([odd, empty, large]));
}

#[test]
fn confirmed_rows_are_deleted_with_the_next_append() {
    let (_folder, path) = place();
    let mut journal = open(&path, WIDE);
    journal.append(&entries(0..10, 100)).unwrap();
    let head = journal.head(4, usize::MAX).unwrap();
    journal.confirm(head[3].seq).unwrap();
    journal.append(&entries(10..11, 100)).unwrap();
    drop(journal);
    assert_eq!(numbers(&all(&mut open(&path, WIDE))), [4, 5, 6, 7, 8, 9, 10]);
}

#[test]
fn many_confirmed_rows_are_deleted_at_once() {
    let (_folder, path) = place();
    for (confirmed, delete_confirmed, left) in [(64, false, 36), (3, true, 33)] {
        let mut journal = open(&path, WIDE);
        if journal.is_empty() {
            journal.append(&entries(0..100, 100)).unwrap();
        }
        let head = journal.head(confirmed, usize::MAX).unwrap();
        journal.confirm(head[confirmed - 1].seq).unwrap();
        if delete_confirmed {
            journal.delete_confirmed().unwrap();
        }
        drop(journal);
        assert_eq!(open(&path, WIDE).len(), left);
    }
}

#[test]
fn a_full_journal_drops_and_counts_its_oldest_rows() {
    const MOST: u64 = 2_000_000;
    let (_folder, path) = place();
    let mut journal = open(&path, Bounds { disk_bytes: MOST, ..WIDE });
    let (mut lost, mut largest, mut rng) = (0, 0, fastrand::Rng::with_seed(5));
    for number in 0..2000 {
        let loss = journal.append(&[entry(number, rng.usize(10..20_000))]).unwrap();
        if let Some(loss) = loss {
            // One after another from the oldest.
            assert_eq!((loss.reason, loss.from_ms), (LossReason::Full, lost));
            lost += i64::try_from(loss.rows).unwrap();
            assert_eq!(loss.to_ms, lost - 1);
        }
        largest = largest.max(on_disk(&path));
        assert!(journal.bytes().unwrap() <= MOST);
    }
    assert!(lost > 1000, "{lost} rows were lost");
    assert_eq!(numbers(&all(&mut journal)), (lost..2000).collect::<Vec<_>>());
    assert!(journal.bytes().unwrap() > MOST - 100_000, "no more than necessary is dropped");
    assert!(largest <= MOST + Bounds::MARGIN_BYTES, "it grew to {largest} bytes");
}

#[test]
fn a_lowered_limit_holds_from_the_next_row_on() {
    let (_folder, path) = place();
    open(&path, WIDE).append(&entries(0..1000, 5000)).unwrap();
    let mut journal = open(&path, Bounds { disk_bytes: 1_000_000, ..WIDE });
    let loss = journal.append(&[entry(1000, 5000)]).unwrap().unwrap();
    let bytes = journal.bytes().unwrap();
    assert!((900_000..=1_000_000).contains(&bytes), "{bytes} bytes");
    assert_eq!(loss.rows + journal.len(), 1001);
    assert_eq!(all(&mut journal).last().unwrap().entry, entry(1000, 5000));
}

#[test]
fn a_drained_journal_shrinks_its_file() {
    let (_folder, path) = place();
    let mut journal = open(&path, WIDE);
    for chunk in 0..20 {
        journal.append(&entries(chunk * 100..chunk * 100 + 100, 10_000)).unwrap();
    }
    assert!(on_disk(&path) > 20_000_000);
    while let Some(last) = journal.head(100, usize::MAX).unwrap().last() {
        journal.confirm(last.seq).unwrap();
    }
    journal.append(&[entry(0, 1000)]).unwrap();
    let size = on_disk(&path);
    assert!(size < Bounds::MARGIN_BYTES, "{size} bytes for one row");
    assert_eq!(numbers(&all(&mut journal)), [0]);
}

#[test]
fn expired_rows_are_dropped_and_counted() {
    let (_folder, path) = place();
    let mut journal = open(&path, WIDE);
    journal.append(&entries(0..600, 100)).unwrap();
    assert_eq!(journal.expire(0).unwrap(), None);
    let lost = Loss { reason: LossReason::Expired, rows: 500, from_ms: 0, to_ms: 499 };
    assert_eq!(journal.expire(500).unwrap(), Some(lost));
    assert_eq!((journal.len(), journal.oldest().unwrap()), (100, Some(500)));
    assert_eq!(journal.expire(1000).unwrap().map(|loss| loss.rows), Some(100));
    assert!(journal.is_empty());
}

#[test]
fn confirmed_rows_are_never_reported_as_lost() {
    let (_folder, path) = place();
    let mut journal = open(&path, Bounds { disk_bytes: 100_000, ..WIDE });
    for number in 0..300 {
        assert_eq!(journal.append(&[entry(number, 20_000)]).unwrap(), None);
        let last = all(&mut journal).last().unwrap().seq;
        journal.confirm(last).unwrap();
    }
    assert_eq!(journal.expire(1_000_000).unwrap(), None);
}

#[test]
fn a_rejected_row_becomes_a_dead_letter_and_the_rest_goes_on() {
    let (_folder, path) = place();
    let mut journal = open(&path, WIDE);
    journal.append(&entries(0..3, 100)).unwrap();
    let second = all(&mut journal)[1].seq;
    journal.dead_letter(second, "value out of range").unwrap();
    journal.dead_letter(second, "value out of range").unwrap();
    assert_eq!((numbers(&all(&mut journal)), journal.dead_letters().unwrap()), (vec![0, 2], 1));
    drop(journal);
    let mut journal = open(&path, WIDE);
    assert_eq!((journal.len(), journal.dead_letters().unwrap()), (2, 1));
    journal.expire(2).unwrap();
    assert_eq!(journal.dead_letters().unwrap(), 0, "they expire like all rows");
}

#[test]
fn a_damaged_journal_is_moved_away_and_replaced() {
    let (folder, path) = place();
    let damage: [fn(&Path); 4] = [
        |path| fs::write(path, "not a database").unwrap(),
        |path| fs::write(path, [0x55; 10_000]).unwrap(),
        // A page in the middle, and the end.
        |path| {
            let mut bytes = fs::read(path).unwrap();
            bytes[20_480..22_528].fill(0xee);
            fs::write(path, bytes).unwrap();
        },
        |path| {
            let bytes = fs::read(path).unwrap();
            fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        },
    ];
    for (number, harm) in (1..).zip(damage) {
        fs::remove_file(&path).ok();
        open(&path, WIDE).append(&entries(0..200, 500)).unwrap();
        harm(&path);
        let harmed = fs::read(&path).unwrap();
        let mut opened = Journal::open(&path, WIDE).unwrap();
        let aside = opened.set_aside.expect("it was damaged");
        // The last number is reused.
        assert_eq!(aside.to, folder.path().join(format!("journal.db.damaged-{}", number.min(3))));
        assert!(!aside.reason.is_empty());
        assert!(fs::read(&aside.to).unwrap() == harmed, "it is kept as it was");
        assert!(opened.journal.is_empty());
        opened.journal.append(&entries(0..1, 100)).unwrap();
        drop(opened.journal);
        assert_eq!(numbers(&all(&mut open(&path, WIDE))), [0]);
    }
}

#[test]
fn a_file_of_a_newer_version_or_another_program_is_unchanged() {
    let (_folder, path) = place();
    drop(open(&path, WIDE));
    let newer = format!(
        "the journal {} has format 7, this version knows formats up to 1: run the version that wrote it until it is \
         empty, or choose another `journal`",
        path.display()
    );
    let foreign = format!("{} is not a bankwatch journal: choose another file for `journal`", path.display());
    for (sql, message) in [
        ("PRAGMA user_version = 7;", newer),
        ("PRAGMA application_id = 0; PRAGMA user_version = 0;", foreign),
    ] {
        SqliteConnection::establish(path.to_str().unwrap()).unwrap().batch_execute(sql).unwrap();
        let before = fs::read(&path).unwrap();
        let error = Journal::open(&path, WIDE).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert!(fs::read(&path).unwrap() == before);
    }
}

#[test]
fn a_second_process_is_refused_until_the_first_exits() {
    const TEST: &str = concat!(module_path!(), "::a_second_process_is_refused_until_the_first_exits");
    if let Some(path) = child_path() {
        let _journal = open(&path, WIDE);
        println!("open");
        // Until the parent exits or kills this process.
        let _ = std::io::stdin().lines().count();
        return;
    }
    let (_folder, path) = place();
    open(&path, WIDE).append(&entries(0..1, 100)).unwrap();
    let mut process = child(TEST, &path);
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().ends_with("open")));
    let error = Journal::open(&path, WIDE).unwrap_err();
    assert_eq!(error, JournalError::InUse { path: path.clone() });
    assert!(error.to_string().contains("in use by another process"), "{error}");
    process.kill().unwrap();
    process.wait().unwrap();
    let mut journal = open(&path, WIDE);
    assert_eq!(numbers(&all(&mut journal)), [0]);
    let error = Journal::open(&path, WIDE).unwrap_err();
    assert_eq!(error, JournalError::InUse { path }, "nor twice in one process");
}

#[test]
fn an_impossible_path_is_reported_with_its_remedy() {
    let folder = tempdir().unwrap();
    let missing = folder.path().join("missing").join("journal.db");
    for path in [folder.path(), &missing] {
        let error = Journal::open(path, WIDE).unwrap_err();
        assert!(matches!(error, JournalError::Unreachable { .. }), "{error:?}");
        assert!(error.to_string().contains("its folder must exist and be writable"), "{error}");
    }
}

#[test]
fn a_path_is_never_parsed_as_a_uri() {
    let folder = tempdir().unwrap();
    for name in ["file:x?mode=memory", "sqlite:", ":memory:", "a b%20c#d", "Zähler.db"] {
        let path = folder.path().join(name);
        open(&path, WIDE).append(&entries(0..1, 100)).unwrap();
        assert!(path.is_file(), "{name}");
    }
}

#[test]
fn a_removed_or_replaced_file_accepts_no_more_rows() {
    for replaced in [false, true] {
        let (_folder, path) = place();
        let mut journal = open(&path, WIDE);
        journal.append(&entries(0..1, 100)).unwrap();
        fs::remove_file(&path).unwrap();
        if replaced {
            fs::write(&path, "").unwrap();
        }
        let error = journal.append(&entries(1..2, 100)).unwrap_err();
        assert_eq!(error, JournalError::Removed { path });
    }
}

fn run(path: &Path, sql: &str) {
    SqliteConnection::establish(path.to_str().unwrap()).unwrap().batch_execute(sql).unwrap();
}

/// How flipped bits can change a row, in any field and to any type.
#[test]
fn a_row_corrupted_on_disk_is_marked_and_others_are_unchanged() {
    for change in [
        "kind = 'readinh'",
        "bank = CAST(x'ff6f757365' AS TEXT)",
        "bank = x'00'",
        "taken_at_ms = 7",
        "taken_at_ms = 'then'",
        "taken_at_ms = 7.5",
        "payload = zeroblob(100)",
        "payload = 'text'",
        "payload = x''",
        "checksum = checksum + 1",
        "seq = 20",
        "kind = NULL",
        "bank = NULL",
        "taken_at_ms = NULL",
        "payload = NULL",
    ] {
        let (_folder, path) = place();
        open(&path, WIDE).append(&entries(0..4, 100)).unwrap();
        // A damaged page satisfies no constraint.
        run(
            &path,
            "PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET sql = replace(sql, ' NOT NULL', '') WHERE name = 'entry'",
        );
        run(&path, &format!("UPDATE entry SET {change} WHERE seq = 2"));
        let mut journal = open(&path, WIDE);
        let (damaged, whole): (Vec<_>, Vec<_>) =
            all(&mut journal).into_iter().partition(|row| row.is_damaged);
        assert_eq!((damaged.len(), numbers(&whole)), (1, vec![0, 2, 3]), "{change}");
        journal.dead_letter(damaged[0].seq, "damaged").unwrap();
        assert_eq!((journal.len(), journal.dead_letters().unwrap()), (3, 1), "{change}");
    }
}

#[test]
fn a_corrupted_time_expires_no_row() {
    let (_folder, path) = place();
    open(&path, WIDE).append(&entries(100..104, 100)).unwrap();
    run(&path, "UPDATE entry SET taken_at_ms = 1 WHERE seq = 1");
    let mut journal = open(&path, WIDE);
    assert_eq!((journal.expire(50).unwrap(), journal.len()), (None, 4));
    run_until_killed(journal, &path, "UPDATE entry SET taken_at_ms = 100 WHERE seq = 1");
    assert_eq!(open(&path, WIDE).expire(102).unwrap().map(|loss| loss.rows), Some(2));
}

/// The same once the journal is closed.
fn run_until_killed(journal: Journal, path: &Path, sql: &str) {
    drop(journal);
    run(path, sql);
}

#[test]
fn a_journal_without_checksums_is_read_and_continued() {
    let (_folder, path) = place();
    open(&path, WIDE).append(&entries(0..3, 100)).unwrap();
    run(&path, "ALTER TABLE entry DROP COLUMN checksum");
    let mut journal = open(&path, WIDE);
    journal.append(&entries(3..5, 100)).unwrap();
    run_until_killed(journal, &path, "UPDATE entry SET payload = x'00' WHERE seq IN (2, 4)");
    let found = all(&mut open(&path, WIDE));
    let damaged: Vec<bool> = found.iter().map(|row| row.is_damaged).collect();
    assert_eq!(damaged, [false, false, false, true, false], "a row without a checksum is accepted");
}

/// Bytes written are counted per process, so this test has a separate process.
#[test]
fn a_row_costs_little_more_than_its_own_size_in_writes() {
    if !own_process::is_alone(concat!(
        module_path!(),
        "::a_row_costs_little_more_than_its_own_size_in_writes"
    )) {
        return;
    }
    const TEST: &str = concat!(module_path!(), "::a_row_costs_little_more_than_its_own_size_in_writes");
    const ROWS: i64 = 1000;
    const BYTES: usize = 8_000;
    let Some(path) = child_path() else {
        let (_folder, path) = place();
        let output = child(TEST, &path).wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    };
    let mut journal = open(&path, WIDE);
    let before = written();
    for number in 0..ROWS {
        journal.append(&[entry(number, BYTES)]).unwrap();
        let last = journal.head(1, usize::MAX).unwrap()[0].seq;
        journal.confirm(last).unwrap();
    }
    let each = (written() - before) / ROWS.unsigned_abs();
    assert!(each < 2 * BYTES as u64, "{each} bytes written for a row of {BYTES}");
    println!("{each} bytes written for a row of {BYTES}");
}

/// Bytes this process has handed to the system for writing.
fn written() -> u64 {
    let io = fs::read_to_string("/proc/self/io").unwrap();
    io.lines().find_map(|line| line.strip_prefix("wchar: ")?.parse().ok()).unwrap()
}
