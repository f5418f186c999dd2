//! Bits that flip, files that are cut.

use std::fs;
use std::path::Path;

use sanctum::blob::Hash;
use sanctum::blob::store::{ContentStore, Error, Finding, Mark};

use super::{MAX, content, copy, files, findings, get, reader, text, writer};

/// Two packs, synced in groups, and a large content.
fn small_store(folder: &Path) -> Vec<(Hash, Vec<u8>)> {
    let store = writer(folder);
    let all: Vec<_> = [40, 0, 60, 90, 20, 30, 150].iter().zip(0..).map(|(len, n)| content(n, *len)).collect();
    all.into_iter()
        .zip(0..)
        .map(|(bytes, n)| {
            let hash = store.put(&bytes).unwrap();
            if n % 2 == 1 {
                store.sync().unwrap();
            }
            (hash, bytes)
        })
        .collect()
}

/// How many contents are not as they were put.
fn lost(store: &ContentStore, all: &[(Hash, Vec<u8>)]) -> usize {
    all.iter()
        .filter(|(hash, bytes)| match store.get(hash, MAX) {
            Ok(Some(there)) => {
                assert_eq!(&there, bytes);
                false
            }
            Ok(None) | Err(Error::Corrupt { .. } | Error::Damaged { .. }) => true,
            Err(error) => panic!("{error}"),
        })
        .count()
}

#[test]
fn every_flipped_byte_is_noticed_and_costs_one_content_at_most() {
    let place = tempfile::tempdir().unwrap();
    let (folder, twin) = (place.path().join("blobs"), place.path().join("twin"));
    let all = small_store(&folder);
    let paths = files(&folder);
    assert_eq!(paths.len(), 3);
    for path in paths {
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(&path, &bytes).unwrap();
            let store = reader(&folder);
            assert!(!findings(&store).is_empty(), "{} at {at}", path.display());
            assert!(lost(&store, &all) <= 1, "{} at {at}", path.display());
            // A writer may cut what could be a torn write, and says so; nothing else is lost.
            if at % 5 == 0 {
                let _ = fs::remove_dir_all(&twin);
                copy(&folder, &twin);
                let store = writer(&twin);
                assert!(!findings(&store).is_empty(), "{} at {at}", path.display());
                for (_, bytes) in &all {
                    store.put(bytes).unwrap();
                }
                store.sync().unwrap();
                drop(store);
                let store = writer(&twin);
                assert_eq!(lost(&store, &all), 0, "{} at {at}", path.display());
                store.collect(Mark::default(), &mut |_| true).unwrap();
                assert_eq!(lost(&store, &all), 0, "{} at {at}", path.display());
            }
        }
        fs::write(&path, whole).unwrap();
    }
    assert_eq!(findings(&reader(&folder)), []);
}

#[test]
fn every_cut_of_the_last_pack_keeps_what_is_before_it() {
    let place = tempfile::tempdir().unwrap();
    let (folder, twin) = (place.path().join("blobs"), place.path().join("twin"));
    let all = small_store(&folder);
    let whole = fs::read(folder.join("pack-000002.bin")).unwrap();
    let mut kept = Vec::new();
    for len in 0..=whole.len() {
        // Cut short, and cut with zeros or rubbish where the bytes should be.
        for fill in [None, Some(0), Some(0x53)] {
            let _ = fs::remove_dir_all(&twin);
            copy(&folder, &twin);
            let mut bytes = whole[..len].to_vec();
            if let Some(fill) = fill {
                bytes.resize(whole.len(), fill);
            }
            fs::write(twin.join("pack-000002.bin"), &bytes).unwrap();
            let header_lost = fill.is_some() && len < 32;
            let before = lost(&reader(&twin), &all);
            let store = writer(&twin);
            assert_eq!(lost(&store, &all), before, "{len} {fill:?}");
            if !header_lost {
                assert!(!findings(&store).iter().any(Finding::is_damage), "{len} {fill:?}");
            }
            kept.push(all.len() - before);
            let more = store.put(b"more").unwrap();
            store.sync().unwrap();
            drop(store);
            // Crash again, in the middle of what was appended since.
            let store = writer(&twin);
            assert_eq!(get(&store, &more), Some(b"more".to_vec()));
            store.put(&content(99, 30)).unwrap();
            drop(store);
            let last = files(&twin).pop().unwrap();
            let longer = fs::read(&last).unwrap();
            fs::write(&last, &longer[..longer.len() - 3]).unwrap();
            let store = writer(&twin);
            assert_eq!(lost(&store, &all), before);
            if !header_lost {
                assert!(!findings(&store).iter().any(Finding::is_damage), "{len} {fill:?}");
            }
        }
    }
    assert_eq!(kept.iter().max(), Some(&all.len()));
}

#[test]
fn a_hole_before_whole_content_is_damage_or_a_crash_by_what_was_synced() {
    let place = tempfile::tempdir().unwrap();
    for synced in [false, true] {
        let folder = place.path().join(format!("synced-{synced}"));
        let store = writer(&folder);
        let hashes: Vec<_> = (0..2).map(|n| store.put(&content(n, 40)).unwrap()).collect();
        if synced {
            store.sync().unwrap();
        }
        let last = store.put(&content(2, 40)).unwrap();
        drop(store);
        let pack = folder.join("pack-000001.bin");
        let mut bytes = fs::read(&pack).unwrap();
        // The header of the second frame: a disk that reorders writes may keep the third alone.
        let second = 32 + 48 + 40;
        bytes[second..second + 60].fill(0);
        fs::write(&pack, bytes).unwrap();
        for _ in 0..3 {
            let store = writer(&folder);
            assert!(get(&store, &hashes[0]).is_some());
            assert!(get(&store, &last).is_some(), "whole content is kept even where nobody was told of it");
            let found: Vec<_> = findings(&store).iter().map(|f| text(f, &folder)).collect();
            if synced {
                insta::allow_duplicates!(
                    insta::assert_snapshot!(found.join("\n"), @r"blobs/pack-000001.bin: 88 damaged bytes at 120: restore the file from a backup, or put the content again")
                );
                let error = store.get(&hashes[1], MAX).unwrap_err();
                insta::allow_duplicates!(
                    insta::assert_snapshot!(text(&error, &folder), @r"content 576a5dc17323ac6c7701a6f17bae6cc3e4e0ca1f7f9a1448c6ad165c041e25f9 is not found, but 1 damaged place(s) of the store may have held it, the first in blobs/pack-000001.bin at 120: verify the store, and restore that file from a backup")
                );
            } else {
                assert_eq!(get(&store, &hashes[1]), None);
                assert!(!findings(&store).iter().any(Finding::is_damage));
            }
        }
    }
}

#[test]
fn a_sealed_pack_that_lost_its_end_is_noticed() {
    let place = tempfile::tempdir().unwrap();
    let all = small_store(place.path());
    let pack = place.path().join("pack-000001.bin");
    let bytes = fs::read(&pack).unwrap();
    // Cut where a frame ends, so that all that is left is whole.
    let end = 32 + 48 + 40;
    fs::write(&pack, &bytes[..end]).unwrap();
    for store in [reader(place.path()), writer(place.path())] {
        let found: Vec<_> = findings(&store).iter().map(|f| text(f, place.path())).collect();
        insta::allow_duplicates!(
            insta::assert_snapshot!(found.join("\n"), @r"blobs/pack-000001.bin: ends 160 bytes too early: restore it from a backup")
        );
        assert!(matches!(store.get(&all[1].0, MAX), Err(Error::Damaged { .. })));
        assert!(get(&store, &all[0].0).is_some());
    }
}

#[test]
fn a_pack_put_as_content_is_not_taken_for_frames() {
    let place = tempfile::tempdir().unwrap();
    let donor = writer(&place.path().join("donor"));
    let inner = donor.put(b"inner").unwrap();
    drop(donor);
    let pack = fs::read(place.path().join("donor/pack-000001.bin")).unwrap();
    let folder = place.path().join("blobs");
    let store = writer(&folder);
    store.put(&pack).unwrap();
    store.sync().unwrap();
    store.put(b"after").unwrap();
    drop(store);
    let path = folder.join("pack-000001.bin");
    let mut bytes = fs::read(&path).unwrap();
    bytes[32] ^= 1;
    fs::write(&path, bytes).unwrap();
    let store = reader(&folder);
    assert!(!store.contains(&inner).unwrap());
    assert!(store.contains(&blake3::hash(b"after")).unwrap());
}
