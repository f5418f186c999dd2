//! What a ttl has ended goes, and nothing else does, whenever it is interrupted.

use proptest::prelude::*;
use sanctum::disk::SimulatedDisk;
use sanctum::event::Ttl;
use sanctum::log::FileLog;
use sanctum::log::Log;
use sanctum::log::file::{Compacted, Compaction};

use super::world::{self, Draft, FOLDER, Model, drafts, now_ms, open, options, set_now_ms, verified};

fn compact(log: &FileLog, options: &Compaction) -> Compacted {
    log.compact(options, &mut |_| {}).expect("it compacts")
}

#[test]
fn what_has_ended_is_dropped_and_its_room_is_free() {
    set_now_ms(1_000);
    let disk = SimulatedDisk::new(1);
    let log = open(&disk);
    let mut model = Model::default();
    let draft = |stream, ttl| Draft { topic: 1, stream, ttl, bytes: 100 };
    for n in 0..100_u8 {
        let ttl = if n % 10 == 0 { Ttl::Forever } else { Ttl::TimeMs(10) };
        model.append(&log, &[draft(n % 7, ttl)]);
    }
    set_now_ms(1_100);
    model.check(&log);
    let dry = compact(&log, &Compaction { dry_run: true, ..Compaction::default() });
    assert!(dry.dropped > 50, "{dry:?}");
    let before = log.stat().expect("stat");
    let compacted = compact(&log, &Compaction::default());
    assert_eq!(compacted.dropped, dry.dropped);
    let after = log.stat().expect("stat");
    assert_eq!(after.events, before.events - compacted.dropped);
    assert!(after.bytes < before.bytes / 2 && after.segments < before.segments, "{before:?} {after:?}");
    model.check(&log);
    let again = compact(&log, &Compaction { all: true, ..Compaction::default() });
    assert_eq!(again.dropped, 0, "{again:?}");
    log.close().expect("it closes");
    let (told, findings) = verified(&disk);
    assert_eq!((told.head, findings), (100, Vec::new()));
    let log = open(&disk);
    model.check(&log);
    model.append(&log, &[draft(3, Ttl::Forever), draft(9, Ttl::Forever)]);
    model.check(&log);
}

#[test]
fn what_a_consumer_has_not_seen_stays() {
    set_now_ms(1_000);
    let disk = SimulatedDisk::new(2);
    let log = open(&disk);
    let mut model = Model::default();
    for _ in 0..60 {
        model.append(&log, &[Draft { topic: 1, stream: 1, ttl: Ttl::Last(1), bytes: 100 }]);
    }
    let compacted = compact(&log, &Compaction { floor: Some(20), ..Compaction::default() });
    assert_eq!(compacted.dropped, 20);
    let (batch, at) = log.read(0).expect("it reads").expect("there are some");
    assert_eq!(batch.get(at).head().position, 20);
    model.check(&log);
}

#[test]
fn a_reader_in_another_process_reads_on() {
    set_now_ms(1_000);
    let disk = SimulatedDisk::new(3);
    let log = open(&disk);
    let mut model = Model::default();
    for n in 0..10 {
        model.append(&log, &drafts(n, 10));
    }
    let reader = FileLog::open_to_read(std::path::Path::new(FOLDER), options(&disk)).expect("it opens");
    model.check(&reader);
    set_now_ms(2_000);
    compact(&log, &Compaction { all: true, ..Compaction::default() });
    model.check(&reader);
    reader.refresh().expect("it reads on");
    model.check(&reader);
}

/// One step of a story.
#[derive(Clone, Debug)]
enum Step {
    Append(u64, usize),
    Wait(i64),
    Compact(bool, Option<u64>),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (any::<u64>(), 1..12_usize).prop_map(|(seed, count)| Step::Append(seed, count)),
        2 => (1..400_i64).prop_map(Step::Wait),
        2 => (any::<bool>(), proptest::option::weighted(0.2, 0..200_u64)).prop_map(|(all, floor)| Step::Compact(all, floor)),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    /// The log with compactions shows what the model shows, which never forgets anything.
    #[test]
    fn it_never_shows(steps in steps(), seed: u64) {
        set_now_ms(1_000_000);
        let disk = SimulatedDisk::new(seed);
        let mut log = open(&disk);
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Append(seed, count) => model.append(&log, &drafts(seed, count)),
                Step::Wait(ms) => set_now_ms(now_ms() + ms),
                Step::Compact(all, floor) => {
                    let options = Compaction { all, floor, ..Compaction::default() };
                    compact(&log, &options);
                }
                Step::Reopen => {
                    log.close().expect("it closes");
                    let (told, findings) = verified(&disk);
                    prop_assert_eq!(&findings, &Vec::new());
                    prop_assert_eq!(told.head, model.all.len() as u64);
                    log = open(&disk);
                }
            }
            model.check(&log);
        }
        let (_, findings) = verified(&disk);
        prop_assert_eq!(findings, Vec::new());
    }
}

#[test]
fn a_crash_at_any_operation_leaves_all_that_is_alive() {
    for seed in 0..4 {
        set_now_ms(1_000_000);
        let disk = SimulatedDisk::new(seed);
        let log = open(&disk);
        let mut model = Model::default();
        for n in 0..12 {
            model.append(&log, &drafts(seed * 100 + n, 9));
            set_now_ms(now_ms() + 20);
        }
        log.close().expect("it closes");
        set_now_ms(now_ms() + 300);
        let snapshot = disk.snapshot();
        let mut cut = 0;
        loop {
            cut += 1;
            let disk = SimulatedDisk::from_snapshot(&snapshot, seed * 1_000 + cut);
            disk.crash_after(cut);
            let done = FileLog::open(std::path::Path::new(FOLDER), options(&disk))
                .and_then(|log| log.compact(&Compaction { all: true, ..Compaction::default() }, &mut |_| {}));
            let ended = done.is_ok() && !disk.is_off();
            disk.crash();
            let log = open(&disk);
            model.check(&log);
            let mut more = model.clone();
            more.append(&log, &drafts(cut, 3));
            compact(&log, &Compaction::default());
            disk.crash();
            drop(log);
            let log = open(&disk);
            more.check(&log);
            log.close().expect("it closes");
            assert_eq!(verified(&disk).1, Vec::new(), "cut at {cut}");
            if ended {
                assert!(cut > 10, "{cut} operations");
                break;
            }
        }
    }
}

#[test]
fn a_damaged_segment_is_not_written_anew() {
    set_now_ms(1_000);
    let disk = SimulatedDisk::new(5);
    let log = open(&disk);
    let mut model = Model::default();
    for n in 0..10 {
        model.append(&log, &drafts(n, 10));
    }
    set_now_ms(5_000);
    let path = std::path::Path::new(FOLDER).join("00000000000000000000-0.log");
    disk.flip(&path, 300, 0).expect("it flips");
    let error = log.compact(&Compaction::default(), &mut |_| {}).expect_err("it is damaged").to_string();
    assert!(error.contains("is damaged at byte"), "{error}");
    assert!(disk.bytes(&path).is_ok());
    let _ = world::all;
}
