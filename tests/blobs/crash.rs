//! Every operation on the disk fails once, from there on all do, and the store is opened again.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::Path;

use sanctum::blob::Hash;
use sanctum::blob::store::{ContentStore, Error, Finding, Mark};

use super::faulty::Faulty;
use super::{content, findings, get, open_on, reader, text, writer};

/// Puts, syncs and collects. Returns what was acknowledged, with what is referenced.
fn work(store: &ContentStore, round: u32, acknowledged: &mut HashMap<Hash, Vec<u8>>) -> Result<(), Error> {
    let mut waiting = Vec::new();
    for n in 0..14 {
        let bytes = content(round * 100 + n, if n % 5 == 4 { 150 } else { 40 });
        waiting.push((store.put(&bytes)?, bytes));
        if n % 4 == 3 {
            store.sync()?;
            acknowledged.extend(waiting.drain(..));
        }
    }
    // Half of it is forgotten, as by retention, and what an earlier session left unnamed too.
    acknowledged.retain(|_, bytes| bytes[3] % 2 == 0);
    store.collect(store.mark(), &mut |hash| acknowledged.contains_key(hash))?;
    let (hash, _) = store.put_stream(&mut content(round * 100 + 50, 3000).as_slice())?;
    store.sync()?;
    acknowledged.insert(hash, content(round * 100 + 50, 3000));
    store.collect(Mark::default(), &mut |hash| acknowledged.contains_key(hash))?;
    Ok(())
}

fn check(folder: &Path, acknowledged: &HashMap<Hash, Vec<u8>>, operation: i64) {
    // A reader first: it must not need a recovery.
    let stores = [reader(folder), writer(folder)];
    for store in stores {
        for (hash, bytes) in acknowledged {
            assert_eq!(get(&store, hash).as_ref(), Some(bytes), "operation {operation}");
        }
        assert!(!findings(&store).iter().any(Finding::is_damage), "operation {operation}");
        for (hash, _) in store.list().unwrap() {
            assert!(get(&store, &hash).is_some());
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_wherever_the_process_dies() {
    for operation in 0.. {
        let place = tempfile::tempdir().unwrap();
        let mut acknowledged = HashMap::new();
        let mut died = false;
        // It dies twice: the second time in what the first left.
        for round in 0..3 {
            let (disk, _) = Faulty::new(if round == 2 { i64::MAX } else { operation }, ErrorKind::Other);
            let worked = open_on(disk, place.path()).and_then(|store| work(&store, round, &mut acknowledged));
            died |= worked.is_err();
            if worked.is_err() {
                if place.path().join("LOCK").exists() {
                    check(place.path(), &acknowledged, operation);
                }
            } else {
                assert_eq!(files_left(place.path()), 0, "temporary files");
            }
        }
        check(place.path(), &acknowledged, operation);
        if !died {
            assert!(operation > 60, "{operation}");
            break;
        }
    }
}

fn files_left(folder: &Path) -> usize {
    super::files(folder)
        .iter()
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("tmp-")))
        .count()
}

#[test]
fn a_full_disk_ends_writing_and_loses_nothing() {
    let place = tempfile::tempdir().unwrap();
    let (disk, budget) = Faulty::new(i64::MAX, ErrorKind::StorageFull);
    let store = open_on(disk, place.path()).unwrap();
    let kept = store.put(&content(1, 40)).unwrap();
    store.sync().unwrap();
    budget.set(0);
    let error = store.put(&content(2, 40)).unwrap_err();
    insta::assert_snapshot!(text(&error, place.path()), @r"no room left to write blobs/pack-000001.bin: free some and open the store again; nothing that was synced is lost");
    budget.set(i64::MAX);
    for error in [store.put(b"x").unwrap_err(), store.sync().unwrap_err()] {
        insta::allow_duplicates!(
            insta::assert_snapshot!(text(&error, place.path()), @r"the content store blobs writes no more since it failed (no room left to write blobs/pack-000001.bin: free some and open the store again; nothing that was synced is lost): open it again; reading goes on")
        );
    }
    assert!(get(&store, &kept).is_some(), "reading goes on");
    assert_eq!(get(&store, &blake3::hash(&content(2, 40))), None);
    drop(store);
    let store = writer(place.path());
    assert!(get(&store, &kept).is_some());
    let again = store.put(&content(2, 40)).unwrap();
    store.sync().unwrap();
    assert!(get(&store, &again).is_some());

    drop(store);
    let (disk, budget) = Faulty::new(i64::MAX, ErrorKind::StorageFull);
    let store = open_on(disk, place.path()).unwrap();
    budget.set(1);
    assert!(matches!(store.put(&content(3, 4000)), Err(Error::Full { .. })));
    budget.set(i64::MAX);
    assert!(matches!(store.put(b"x"), Err(Error::Poisoned { .. })));
    drop(store);
    writer(place.path()).put(&content(3, 4000)).unwrap();
}

#[test]
fn what_a_failed_sync_left_is_written_again_at_the_next_open() {
    let place = tempfile::tempdir().unwrap();
    let (disk, budget) = Faulty::new(i64::MAX, ErrorKind::Other);
    let store = open_on(disk, place.path()).unwrap();
    let hash = store.put(&content(1, 40)).unwrap();
    budget.set(0);
    assert!(matches!(store.sync(), Err(Error::Io { .. })));
    budget.set(i64::MAX);
    assert!(matches!(store.sync(), Err(Error::Poisoned { .. })));
    drop(store);
    let (disk, budget) = Faulty::new(i64::MAX, ErrorKind::Other);
    let store = open_on(disk, place.path()).unwrap();
    assert_eq!(budget.writes.load(std::sync::atomic::Ordering::SeqCst), 1);
    assert!(get(&store, &hash).is_some());
}
