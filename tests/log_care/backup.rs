//! Copies: they open, and are what the log was.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sanctum::disk::{Disk, SimulatedDisk};
use sanctum::log::file::verify::verify;
use sanctum::log::file::{BackedUp, Compaction};
use sanctum::log::{Direction, FileLog, Log, Query};

use super::world::{Model, all, drafts, now_ms, open, options, set_now_ms};

const COPY: &str = "/backup/planes/main";

fn back_up(log: &FileLog) -> BackedUp {
    log.backup(Path::new(COPY), &mut |_| {}).expect("it is copied")
}

/// Opens the copy, and checks that nothing is wrong with it.
fn copy(disk: &SimulatedDisk) -> FileLog {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut findings = Vec::new();
    verify(Path::new(COPY), &shared, &mut |finding| findings.push(finding)).expect("it verifies");
    assert_eq!(findings, Vec::new());
    FileLog::open(Path::new(COPY), options(disk)).expect("the copy opens")
}

#[test]
fn a_copy_opens_and_is_what_the_log_was() {
    set_now_ms(1_000_000);
    let disk = SimulatedDisk::new(1);
    let log = open(&disk);
    let mut model = Model::default();
    for n in 0..8 {
        model.append(&log, &drafts(n, 9));
    }
    let done = back_up(&log);
    assert_eq!((done.head, done.segments_kept), (72, 0));
    let then = model.clone();
    model.append(&log, &drafts(9, 9));
    // What was copied is durable.
    disk.crash();
    let copied = copy(&disk);
    then.check(&copied);
    let mut more = then.clone();
    more.append(&copied, &drafts(100, 5));
    more.check(&copied);
}

#[test]
fn the_next_copy_takes_only_what_is_new() {
    set_now_ms(1_000_000);
    let disk = SimulatedDisk::new(2);
    let log = open(&disk);
    let mut model = Model::default();
    for n in 0..8 {
        model.append(&log, &drafts(n, 9));
    }
    let first = back_up(&log);
    let again = back_up(&log);
    assert_eq!((again.segments, again.segments_kept), (1, first.segments - 1), "but for the one written to");
    for n in 8..12 {
        model.append(&log, &drafts(n, 9));
    }
    let more = back_up(&log);
    assert!(more.segments_kept >= first.segments - 1 && more.segments > 1, "{more:?}");
    model.check(&copy(&disk));
    set_now_ms(now_ms() + 1_000);
    log.compact(&Compaction { all: true, ..Compaction::default() }, &mut |_| {}).expect("it compacts");
    let compacted = back_up(&log);
    assert!(compacted.segments_removed > 0 && compacted.bytes < first.bytes, "{compacted:?}");
    model.check(&copy(&disk));
}

#[test]
fn a_copy_from_a_reader_while_another_appends_is_a_beginning_of_the_log() {
    set_now_ms(1_000_000);
    let disk = SimulatedDisk::new(3);
    let log = open(&disk);
    let mut model = Model::default();
    model.append(&log, &drafts(0, 20));
    let done = AtomicBool::new(false);
    let lengths = std::thread::scope(|scope| {
        let backups = scope.spawn(|| {
            let mut lengths = Vec::new();
            while !done.load(Ordering::Relaxed) || lengths.len() < 3 {
                set_now_ms(1_000_000);
                let reader =
                    FileLog::open_to_read(Path::new(super::world::FOLDER), options(&disk)).expect("it opens");
                let head = back_up(&reader).head;
                let copied = copy(&disk);
                assert_eq!(copied.head(), head);
                lengths.push((head, all(&copied, &Query::default(), Direction::Forward)));
            }
            lengths
        });
        for n in 1..60 {
            model.append(&log, &drafts(n, 7));
        }
        done.store(true, Ordering::Relaxed);
        backups.join().expect("backups")
    });
    for (head, copied) in lengths {
        let then = Model { all: model.all[..head as usize].to_vec() };
        assert_eq!(copied, then.live());
    }
}

#[test]
fn a_copy_that_was_cut_off_anywhere_is_the_old_one_or_the_new() {
    set_now_ms(1_000_000);
    let disk = SimulatedDisk::new(4);
    let log = open(&disk);
    let mut model = Model::default();
    for n in 0..6 {
        model.append(&log, &drafts(n, 9));
    }
    back_up(&log);
    let old = model.clone();
    for n in 6..12 {
        model.append(&log, &drafts(n, 9));
    }
    log.close().expect("it closes");
    let snapshot = disk.snapshot();
    for cut in 1.. {
        let disk = SimulatedDisk::from_snapshot(&snapshot, cut);
        disk.crash_after(cut);
        let done = FileLog::open_to_read(Path::new(super::world::FOLDER), options(&disk))
            .and_then(|log| log.backup(Path::new(COPY), &mut |_| {}));
        let ended = done.is_ok() && !disk.is_off();
        disk.crash();
        let copied = FileLog::open(Path::new(COPY), options(&disk)).expect("the copy opens");
        let then = if copied.head() >= model.all.len() as u64 { &model } else { &old };
        if copied.head() == old.all.len() as u64 || copied.head() == model.all.len() as u64 {
            then.check(&copied);
        } else {
            // The segment that was written to is there as it was sealed.
            assert!(copied.head() > old.all.len() as u64);
            Model { all: model.all[..copied.head() as usize].to_vec() }.check(&copied);
        }
        drop(copied);
        let log = open(&disk);
        back_up(&log);
        model.check(&copy(&disk));
        if ended {
            assert!(cut > 20, "{cut} operations");
            break;
        }
    }
}

#[test]
fn a_folder_with_something_else_is_left_alone() {
    set_now_ms(1_000_000);
    let disk = SimulatedDisk::new(5);
    let log = open(&disk);
    let mut model = Model::default();
    model.append(&log, &drafts(0, 9));
    let refusal = |log: &FileLog, to: &str| {
        log.backup(Path::new(to), &mut |_| {}).expect_err("it is refused").to_string()
    };
    let other = FileLog::open(Path::new("/other"), options(&disk)).expect("it opens");
    other.close().expect("it closes");
    let mut texts = vec![refusal(&log, "/other"), refusal(&log, super::world::FOLDER)];
    back_up(&log);
    let copied = copy(&disk);
    texts.push(refusal(&log, COPY));
    let mut written = model.clone();
    written.append(&copied, &drafts(1, 3));
    copied.close().expect("it closes");
    texts.push(refusal(&log, COPY));
    let text = texts.join("\n").replace(&std::process::id().to_string(), "PID");
    insta::assert_snapshot!(text);
    written.check(&copy(&disk));
}
