//! What a crash does to bytes and lengths.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use sanctum::disk::{Disk, File, Mode, SimulatedDisk};

use crate::{SEEDS, path, set};

#[test]
fn every_kind_of_damage_happens_to_a_write_that_was_not_synced() {
    let (old, new) = (vec![b'o'; 4000], vec![b'n'; 3000]);
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    for seed in 0..2000 {
        let disk = SimulatedDisk::new(seed);
        disk.write_raw(path("/f"), &old).unwrap();
        let file = disk.open(path("/f"), Mode::Write).unwrap();
        // From the middle of a sector, beyond the end of the file.
        file.write_all_at(&new, 1300).unwrap();
        assert_eq!(disk.bytes(path("/f")).unwrap().len(), 4300, "readers see it at once");
        disk.crash();
        let bytes = disk.bytes(path("/f")).unwrap();
        assert!(bytes[..1300].iter().all(|byte| *byte == b'o'), "what was not written is as it was");
        assert!(bytes.len() >= 4000 && bytes.len() <= 4300);
        let written: Vec<bool> = bytes[1300..].iter().map(|byte| *byte == b'n').collect();
        let prefix = written.iter().take_while(|is_new| **is_new).count();
        let count = written.iter().filter(|is_new| **is_new).count();
        *seen
            .entry(match () {
                () if count == 3000 => "whole",
                () if bytes.len() > 4000 && bytes[4000..].iter().all(|byte| *byte == 0) => {
                    "longer, but zeros"
                }
                () if count == 0 => "dropped",
                () if prefix == count && (1300 + prefix) % 512 == 0 => "cut at a sector",
                () if prefix == count => "cut at a byte",
                () => "some sectors",
            })
            .or_default() += 1;
    }
    for kind in ["whole", "dropped", "longer, but zeros", "cut at a sector", "cut at a byte", "some sectors"]
    {
        assert!(seen.get(kind).is_some_and(|count| *count > 20), "{kind}: {seen:?}");
    }
}

#[test]
fn any_subset_of_writes_survives() {
    let mut seen = BTreeSet::new();
    for seed in 0..SEEDS {
        let disk = SimulatedDisk::new(seed);
        disk.write_raw(path("/f"), b"....").unwrap();
        let file = disk.open(path("/f"), Mode::Write).unwrap();
        for at in 0..4 {
            file.write_all_at(b"X", at).unwrap();
        }
        disk.crash();
        seen.insert(String::from_utf8(disk.bytes(path("/f")).unwrap()).unwrap());
    }
    assert_eq!(seen.len(), 16, "{seen:?}");
}

#[test]
fn lengths_survive_or_not() {
    let lens = |change: fn(&dyn File)| {
        let mut seen = BTreeSet::new();
        for seed in 0..SEEDS {
            let disk = SimulatedDisk::new(seed);
            disk.write_raw(path("/f"), b"12345678").unwrap();
            change(&*disk.open(path("/f"), Mode::Write).unwrap());
            disk.crash();
            seen.insert(String::from_utf8_lossy(&disk.bytes(path("/f")).unwrap()).into_owned());
        }
        seen
    };
    assert_eq!(lens(|file| file.set_len(3).unwrap()), set(&["123", "12345678"]));
    assert_eq!(lens(|file| file.allocate(10).unwrap()), set(&["12345678", "12345678\0\0"]));
    assert_eq!(
        lens(|file| {
            file.set_len(3).unwrap();
            file.sync().unwrap();
            file.set_len(8).unwrap();
        }),
        set(&["123", "123\0\0\0\0\0"]),
        "what was cut does not come back"
    );
}

#[derive(Clone, Debug)]
enum Step {
    Write(u64, usize),
    SetLen(u64),
    Allocate(u64),
    Sync,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u64..9000, 1usize..3000).prop_map(|(offset, len)| Step::Write(offset, len)),
        1 => (0u64..9000).prop_map(Step::SetLen),
        1 => (0u64..12000).prop_map(Step::Allocate),
        2 => Just(Step::Sync),
        1 => Just(Step::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A byte is what it was at the last sync, or what some write since made it; a length likewise.
    #[test]
    fn what_was_synced_survives(seed: u64, steps in prop::collection::vec(step(), 1..60)) {
        let disk = SimulatedDisk::new(seed);
        disk.write_raw(path("/f"), b"").unwrap();
        let mut file = disk.open(path("/f"), Mode::Write).unwrap();
        let (mut synced, mut current) = (Vec::new(), Vec::new());
        // Since the last sync: bytes written somewhere, and lengths.
        let mut writes: Vec<(usize, Vec<u8>)> = Vec::new();
        let mut lens: Vec<usize> = Vec::new();
        for (number, step) in steps.into_iter().chain([Step::Crash]).enumerate() {
            match step {
                Step::Write(offset, len) => {
                    let bytes = vec![number as u8 + 1; len];
                    file.write_all_at(&bytes, offset).unwrap();
                    let offset = offset as usize;
                    current.resize(current.len().max(offset + len), 0);
                    current[offset..offset + len].copy_from_slice(&bytes);
                    lens.push(offset + len);
                    writes.push((offset, bytes));
                }
                Step::SetLen(len) => {
                    file.set_len(len).unwrap();
                    current.resize(len as usize, 0);
                    lens.push(len as usize);
                }
                Step::Allocate(len) => {
                    file.allocate(len).unwrap();
                    current.resize(current.len().max(len as usize), 0);
                    lens.push(len as usize);
                }
                Step::Sync => {
                    file.sync().unwrap();
                    synced = current.clone();
                    prop_assert_eq!(&disk.durable_bytes(path("/f")).unwrap(), &synced);
                    writes.clear();
                    lens.clear();
                }
                Step::Crash => {
                    disk.crash();
                    prop_assert!(file.len().is_err(), "the handle is from before the crash");
                    file = disk.open(path("/f"), Mode::Write).unwrap();
                    current = disk.bytes(path("/f")).unwrap();
                    let (least, most) = lens.iter().fold((synced.len(), synced.len()), |(least, most), len| {
                        (least.min(*len), most.max(*len))
                    });
                    prop_assert!((least..=most).contains(&current.len()));
                    for (at, byte) in current.iter().enumerate() {
                        let was_synced = synced.get(at) == Some(byte);
                        let was_cut = *byte == 0 && (at >= synced.len() || lens.iter().any(|len| *len <= at));
                        let was_written = writes.iter().any(|(offset, bytes)| {
                            at.checked_sub(*offset).is_some_and(|at| bytes.get(at) == Some(byte))
                        });
                        prop_assert!(was_synced || was_cut || was_written, "{byte} at {at}");
                    }
                    synced = current.clone();
                    writes.clear();
                    lens.clear();
                }
            }
            prop_assert_eq!(&disk.bytes(path("/f")).unwrap(), &current);
        }
    }
}
