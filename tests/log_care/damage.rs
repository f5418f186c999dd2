//! Whatever is changed is noticed.

use std::path::PathBuf;

use sanctum::disk::SimulatedDisk;
use sanctum::log::file::Compaction;

use super::world::{Model, drafts, now_ms, open, set_now_ms, verified};

/// A small closed log: segments as they were, some written anew, an end that is written to.
pub fn small() -> (SimulatedDisk, Model) {
    set_now_ms(1_000_000);
    let disk = SimulatedDisk::new(7);
    let log = open(&disk);
    let mut model = Model::default();
    for n in 0..5 {
        model.append(&log, &drafts(n, 8));
        set_now_ms(now_ms() + 30);
    }
    set_now_ms(now_ms() + 500);
    log.compact(&Compaction { all: true, ..Compaction::default() }, &mut |_| {}).expect("it compacts");
    for n in 5..10 {
        model.append(&log, &drafts(n, 6));
    }
    log.close().expect("it closes");
    (disk, model)
}

pub fn files(disk: &SimulatedDisk) -> Vec<PathBuf> {
    disk.files().into_iter().filter(|path| !path.ends_with("LOCK")).collect()
}

#[test]
fn every_flipped_byte_is_noticed() {
    let (disk, _) = small();
    assert_eq!(verified(&disk).1, Vec::new());
    let mut flips = 0;
    for path in files(&disk) {
        for at in 0..disk.bytes(&path).expect("bytes").len() as u64 {
            for bit in [at % 8, (at * 5 + 3) % 8] {
                disk.flip(&path, at, bit as u8).expect("it flips");
                let (_, findings) = verified(&disk);
                assert!(!findings.is_empty(), "byte {at} bit {bit} of {}", path.display());
                disk.flip(&path, at, bit as u8).expect("it flips back");
                flips += 1;
            }
        }
    }
    assert_eq!(verified(&disk).1, Vec::new());
    assert!(flips > 10_000, "{flips}");
}
