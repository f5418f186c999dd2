//! Faults by order, and the power that goes.

use std::collections::BTreeSet;
use std::io;

use sanctum::disk::{Disk, FailedSync, Faults, Mode, SimulatedDisk, When};

use crate::{SEEDS, left, outcomes, path, set, write, write_synced};

fn faulty(disk: &SimulatedDisk, change: impl FnOnce(&mut Faults)) {
    let mut faults = Faults::default();
    change(&mut faults);
    disk.set_faults(faults);
}

#[test]
fn a_failed_sync_proves_nothing_when_tried_again() {
    let mut after_failure = BTreeSet::new();
    let mut after_crash = BTreeSet::new();
    for seed in 0..SEEDS {
        let disk = SimulatedDisk::new(seed);
        disk.write_raw(path("/f"), b"old").unwrap();
        let file = disk.open(path("/f"), Mode::Write).unwrap();
        file.write_all_at(b"new", 0).unwrap();
        faulty(&disk, |faults| faults.failing_syncs = When::Nth(1));
        assert_eq!(file.sync().unwrap_err().raw_os_error(), Some(5));
        after_failure.insert(disk.bytes(path("/f")).unwrap());
        file.sync().unwrap();
        disk.crash();
        after_crash.insert(disk.bytes(path("/f")).unwrap());
    }
    for seen in [after_failure, after_crash] {
        assert!(seen.contains(&b"old"[..]) && seen.contains(&b"new"[..]), "{seen:?}");
    }
    // On a kinder system it does.
    for seed in 0..SEEDS {
        let disk = SimulatedDisk::new(seed);
        let file = write(&disk, "/f", b"new");
        faulty(&disk, |faults| {
            faults.failing_syncs = When::Nth(1);
            faults.failing_dir_syncs = When::Nth(1);
            faults.failed_sync = FailedSync::Dirty;
        });
        assert!(file.sync().is_err() && disk.sync_dir(path("/")).is_err());
        file.sync().unwrap();
        disk.sync_dir(path("/")).unwrap();
        assert_eq!(left(&disk), "/f=n");
    }
}

#[test]
fn a_failed_sync_of_a_folder_proves_nothing_either() {
    let story = |disk: &SimulatedDisk| {
        write_synced(disk, "/f", b"1");
        faulty(disk, |faults| faults.failing_dir_syncs = When::Nth(1));
        disk.sync_dir(path("/")).unwrap_err();
        assert!(disk.exists(path("/f")));
        disk.sync_dir(path("/")).unwrap();
    };
    assert_eq!(outcomes(story), set(&["", "/f=1"]));
}

#[test]
fn syncs_that_lie_keep_nothing() {
    let story = |disk: &SimulatedDisk| {
        faulty(disk, |faults| {
            faults.lying_syncs = When::Nth(2);
            faults.lying_dir_syncs = When::From(2);
        });
        let file = write_synced(disk, "/f", b"1");
        disk.sync_dir(path("/")).unwrap();
        file.write_all_at(b"2", 0).unwrap();
        file.sync().unwrap();
        write(disk, "/g", b"");
        disk.sync_dir(path("/")).unwrap();
    };
    assert_eq!(outcomes(story), set(&["/f=1", "/f=2", "/f=1 /g=-", "/f=2 /g=-"]));
}

#[test]
fn a_full_disk_has_room_again_when_it_is_given_some() {
    let disk = SimulatedDisk::new(1);
    let file = write_synced(&disk, "/f", &[1; 100]);
    assert_eq!(disk.used_bytes(), 100);
    faulty(&disk, |faults| faults.room_bytes = Some(150));
    let full = |result: io::Result<()>| assert_eq!(result.unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(file.write_at(&[2; 80], 100).unwrap(), 50, "what fits is written");
    full(file.write_all_at(&[2; 80], 100));
    full(file.allocate(151));
    full(write(&disk, "/g", b"").write_all_at(b"x", 0));
    file.write_all_at(&[3; 150], 0).unwrap();
    file.sync().unwrap();
    // Removing a file makes room once nobody has it open.
    disk.remove(path("/f")).unwrap();
    assert_eq!(disk.used_bytes(), 150);
    drop(file);
    assert_eq!(disk.used_bytes(), 0);
    let file = disk.open(path("/g"), Mode::Write).unwrap();
    file.allocate(150).unwrap();
    faulty(&disk, |faults| faults.room_bytes = Some(300));
    file.write_all_at(&[2; 150], 150).unwrap();
    file.set_len(10).unwrap();
    assert_eq!(disk.used_bytes(), 10);
}

#[test]
fn writes_opens_and_renames_fail_when_told() {
    let disk = SimulatedDisk::new(7);
    let file = write(&disk, "/f", &[1; 1000]);
    faulty(&disk, |faults| {
        faults.failing_writes = When::Nth(2);
        faults.short_writes = When::From(2);
        faults.failing_reads = When::Nth(1);
        faults.failing_resizes = When::Always;
        faults.failing_renames = When::From(1);
        faults.failing_opens = When::Chance(1.0);
    });
    assert_eq!(file.write_at(&[2; 1000], 0).unwrap(), 1000);
    assert_eq!(file.write_at(&[3; 1000], 0).unwrap_err().raw_os_error(), Some(5));
    let short = file.write_at(&[4; 1000], 0).unwrap();
    assert!((1..1000).contains(&short));
    file.write_all_at(&[4; 1000], 0).unwrap();
    let mut buffer = [0; 10];
    assert!(file.read_at(&mut buffer, 0).is_err());
    assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 10);
    assert!(file.set_len(1).is_err() && file.allocate(2000).is_err());
    assert!(disk.rename(path("/f"), path("/g")).is_err() && disk.remove(path("/f")).is_err());
    assert!(disk.link(path("/f"), path("/g")).is_err());
    assert!(disk.open(path("/g"), Mode::Create).is_err() && disk.create_dir(path("/d")).is_err());
    assert!(disk.lock(path("/LOCK"), "").is_err());
    disk.set_faults(Faults::default());
    assert_eq!(disk.list(path("/")).unwrap(), ["f"]);
    assert_eq!(disk.bytes(path("/f")).unwrap(), [4; 1000]);
}

#[test]
fn the_power_can_go_at_every_operation() {
    // Replaces a file as one must; returns at the first error.
    fn replace(disk: &SimulatedDisk) -> io::Result<()> {
        let file = disk.open(path("/new"), Mode::Create)?;
        file.write_all_at(b"2", 0)?;
        file.sync()?;
        disk.rename(path("/new"), path("/now"))?;
        disk.sync_dir(path("/"))
    }
    let mut seen = BTreeSet::new();
    for seed in 0..SEEDS {
        for operations in 0..=6 {
            let disk = SimulatedDisk::new(seed);
            disk.write_raw(path("/now"), b"1").unwrap();
            disk.crash_after(operations);
            let done = replace(&disk);
            assert_eq!(done.is_ok(), operations == 6);
            assert_eq!(disk.operations(), operations.min(5));
            assert_eq!(disk.is_off(), operations < 6);
            if disk.is_off() {
                assert!(disk.open(path("/now"), Mode::Read).is_err(), "nothing works without power");
            }
            disk.crash();
            assert!(!disk.is_off());
            let now = disk.bytes(path("/now")).unwrap();
            assert!(now == b"2" || (now == b"1" && done.is_err()), "{now:?} after {operations} operations");
            seen.insert((operations, now));
        }
    }
    assert!(seen.contains(&(5, b"2".to_vec())) && seen.contains(&(5, b"1".to_vec())), "{seen:?}");
    assert!(seen.contains(&(4, b"2".to_vec())), "the operation that fails may have happened");
}

#[test]
fn a_sync_that_the_power_cuts_kept_something_or_nothing() {
    let story = |disk: &SimulatedDisk| {
        disk.write_raw(path("/f"), b"1").unwrap();
        let file = disk.open(path("/f"), Mode::Write).unwrap();
        file.write_all_at(b"2", 0).unwrap();
        disk.rename(path("/f"), path("/g")).unwrap();
        disk.crash_after(1);
        file.sync().unwrap_err();
    };
    assert_eq!(outcomes(story), set(&["/f=1", "/f=2", "/g=1", "/g=2"]));
    let story = |disk: &SimulatedDisk| {
        write_synced(disk, "/f", b"1");
        disk.crash_after(1);
        disk.sync_dir(path("/")).unwrap_err();
    };
    assert_eq!(outcomes(story), set(&["", "/f=1"]));
}
