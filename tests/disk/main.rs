//! The disks: what a sync promises holds through every crash, every kind of damage does happen to what was not
//! synced, faults come when they are ordered, and the simulated disk answers as the real one does.

mod agreement;
mod bytes;
mod faults;
mod names;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sanctum::disk::{Disk, File, Mode, SimulatedDisk};

const SEEDS: u64 = 600;

fn path(text: &str) -> &Path {
    Path::new(text)
}

/// A file with these bytes, not synced, nor is its name.
fn write(disk: &SimulatedDisk, name: &str, bytes: &[u8]) -> Arc<dyn File> {
    let file = disk.open(path(name), Mode::Create).expect("a new file");
    file.write_all_at(bytes, 0).expect("no fault");
    file
}

/// As [`write`], but synced; its name is not.
fn write_synced(disk: &SimulatedDisk, name: &str, bytes: &[u8]) -> Arc<dyn File> {
    let file = write(disk, name, bytes);
    file.sync().expect("no fault");
    file
}

/// What is left after a crash: each file's first byte by its name.
fn left(disk: &SimulatedDisk) -> String {
    disk.crash();
    let words: Vec<String> = disk
        .files()
        .iter()
        .map(|file| {
            let bytes = disk.bytes(file).expect("a file that is listed");
            format!("{}={}", file.display(), bytes.first().map_or('-', |byte| char::from(*byte)))
        })
        .collect();
    words.join(" ")
}

/// What may be left after the same story under many seeds.
fn outcomes(story: impl Fn(&SimulatedDisk)) -> BTreeSet<String> {
    (0..SEEDS)
        .map(|seed| {
            let disk = SimulatedDisk::new(seed);
            story(&disk);
            left(&disk)
        })
        .collect()
}

fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn locks_are_held_until_dropped_or_a_crash() {
    let disk = SimulatedDisk::new(1);
    let held = disk.lock(path("/LOCK"), "process 1").unwrap().unwrap();
    assert!(disk.clone().lock(path("/LOCK"), "process 2").unwrap().is_none());
    assert_eq!(disk.bytes(path("/LOCK")).unwrap(), b"process 1");
    drop(held);
    let held = disk.lock(path("/LOCK"), "3").unwrap().unwrap();
    assert_eq!(disk.bytes(path("/LOCK")).unwrap(), b"3");
    disk.crash();
    let second = disk.lock(path("/LOCK"), "4").unwrap().unwrap();
    drop(held);
    assert!(disk.lock(path("/LOCK"), "5").unwrap().is_none(), "an old lock does not let go a new one");
    drop(second);
}

#[test]
fn the_same_seed_gives_the_same_disk() {
    let run = |seed| {
        let disk = SimulatedDisk::new(seed);
        disk.create_dir(path("/d")).unwrap();
        let file = write(&disk, "/d/f", &[7; 5000]);
        disk.sync_dir(path("/")).unwrap();
        disk.sync_dir(path("/d")).unwrap();
        file.write_all_at(&[8; 3000], 1234).unwrap();
        disk.crash();
        disk.bytes(path("/d/f")).unwrap()
    };
    assert!((0..20).all(|seed| run(seed) == run(seed)));
    assert!((0..20).map(run).collect::<BTreeSet<_>>().len() > 5);
}

#[test]
fn a_disk_can_be_looked_at_changed_and_copied() {
    let disk = SimulatedDisk::new(1);
    disk.write_raw(path("/a/b/f"), b"abc").unwrap();
    let file = disk.open(path("/a/b/f"), Mode::Write).unwrap();
    file.write_all_at(b"X", 1).unwrap();
    assert_eq!(disk.files(), [PathBuf::from("/a/b/f")]);
    assert_eq!(disk.bytes(path("/a/b/f")).unwrap(), b"aXc");
    assert_eq!(disk.durable_bytes(path("/a/b/f")).unwrap(), b"abc");

    let snapshot = disk.snapshot();
    disk.flip(path("/a/b/f"), 2, 0).unwrap();
    assert_eq!(disk.bytes(path("/a/b/f")).unwrap(), b"aXb");
    assert!(disk.flip(path("/a/b/f"), 3, 0).is_err());
    disk.crash();
    assert_eq!(&disk.bytes(path("/a/b/f")).unwrap()[2..], b"b", "the flipped bit is on the disk");

    // The copy is as it was, and has crashes of its own: also the unsynced write is in it.
    let seen: BTreeSet<Vec<u8>> = (0..50)
        .map(|seed| {
            let copy = SimulatedDisk::from_snapshot(&snapshot, seed);
            assert_eq!(copy.bytes(path("/a/b/f")).unwrap(), b"aXc");
            copy.crash();
            copy.bytes(path("/a/b/f")).unwrap()
        })
        .collect();
    assert_eq!(seen, [b"aXc".to_vec(), b"abc".to_vec()].into());

    disk.write_raw(path("/a/b/f"), b"other").unwrap();
    disk.crash();
    assert_eq!(disk.bytes(path("/a/b/f")).unwrap(), b"other");
}

#[test]
fn many_files_come_and_go() {
    let disk = SimulatedDisk::new(1);
    for _ in 0..1000 {
        write_synced(&disk, "/f", &[1; 10_000]);
        disk.sync_dir(path("/")).unwrap();
        disk.remove(path("/f")).unwrap();
        disk.sync_dir(path("/")).unwrap();
    }
    assert_eq!(disk.used_bytes(), 0);
    assert_eq!(left(&disk), "");
}
