//! What users of the store see.

use std::fs;
use std::io::{self, Read};
use std::sync::Arc;
use std::thread;

use sanctum::blob::store::{Access, CONTENT_BYTES_MAX, ContentStore, Error, Mark};
use sanctum::disk::RealDisk;

use super::{MAX, content, files, findings, get, open_on, options, reader, text, writer};

#[test]
fn what_was_put_is_there_after_reopening() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("planes/main/blobs");
    let store = writer(&folder);
    let all: Vec<_> = (0..40).map(|n| content(n, 10 * n as usize)).collect();
    let hashes: Vec<_> = all.iter().map(|bytes| store.put(bytes).unwrap()).collect();
    store.sync().unwrap();
    for store in [store, reader(&folder)] {
        assert_eq!(store.len().unwrap(), 40);
        for (hash, bytes) in hashes.iter().zip(&all) {
            assert_eq!(get(&store, hash).as_ref(), Some(bytes));
            assert_eq!(store.bytes(hash).unwrap(), Some(bytes.len() as u64));
            let mut streamed = Vec::new();
            assert_eq!(store.get_stream(hash, &mut streamed).unwrap(), Some(bytes.len() as u64));
            assert_eq!(&streamed, bytes);
        }
        assert_eq!(findings(&store), []);
    }
    let listed = writer(&folder).list().unwrap();
    assert_eq!(listed.len(), 40);
    assert!(listed.is_sorted_by_key(|(hash, _)| *hash.as_bytes()));
    let bytes: usize = all.iter().map(Vec::len).sum();
    assert_eq!(listed.iter().map(|(_, len)| len).sum::<u64>(), bytes as u64);
}

#[test]
fn the_default_sizes_pack_small_content_and_give_large_content_a_file() {
    let place = tempfile::tempdir().unwrap();
    let store = ContentStore::open(Arc::new(RealDisk), place.path(), Access::Write).unwrap();
    let small = store.put(&vec![1; 65_535]).unwrap();
    let (empty, none) = store.put_stream(&mut io::empty()).unwrap();
    assert_eq!(none, 0);
    let (large, len) = store.put_stream(&mut io::repeat(7).take(5_000_000)).unwrap();
    assert_eq!((len, large), (5_000_000, blake3::hash(&vec![7; 5_000_000])));
    store.sync().unwrap();
    let digits = large.to_hex().to_string();
    let names: Vec<_> = files(place.path())
        .iter()
        .map(|path| path.strip_prefix(place.path()).unwrap().display().to_string())
        .collect();
    assert_eq!(names, [format!("large/{}/{digits}", &digits[..2]), "pack-000001.bin".to_owned()]);
    for hash in [small, empty, large] {
        assert!(store.contains(&hash).unwrap());
    }
    assert_eq!(get(&store, &empty), Some(Vec::new()));
}

#[test]
fn known_content_is_not_written_again() {
    let place = tempfile::tempdir().unwrap();
    let (disk, budget) = super::faulty::Faulty::new(i64::MAX, io::ErrorKind::Other);
    let store = open_on(disk, place.path()).unwrap();
    let (small, large) = (content(1, 50), content(2, 500));
    store.put(&small).unwrap();
    store.put(&large).unwrap();
    store.sync().unwrap();
    let count = |budget: &super::faulty::Budget| {
        use std::sync::atomic::Ordering::SeqCst;
        (budget.writes.load(SeqCst), budget.syncs.load(SeqCst))
    };
    let before = count(&budget);
    store.put(&small).unwrap();
    store.put(&large).unwrap();
    store.sync().unwrap();
    store.sync().unwrap();
    assert_eq!(count(&budget), before);
    drop(store);
    // A killed process may have left a large content's name unsynced: the first put of a session makes sure.
    let (disk, budget) = super::faulty::Faulty::new(i64::MAX, io::ErrorKind::Other);
    let store = open_on(disk, place.path()).unwrap();
    let before = count(&budget);
    store.put(&large).unwrap();
    store.sync().unwrap();
    assert_eq!(count(&budget), (before.0, before.1 + 1));
    let before = count(&budget);
    store.put_stream(&mut large.as_slice()).unwrap();
    store.sync().unwrap();
    assert_eq!(count(&budget).1, before.1, "the temporary file is dropped without a sync");
    assert_eq!(files(place.path()).len(), 2);
}

#[test]
fn a_put_heals_what_was_damaged() {
    let place = tempfile::tempdir().unwrap();
    let store = writer(place.path());
    let (small, large) = (content(1, 50), content(2, 500));
    let hashes = [store.put(&small).unwrap(), store.put(&large).unwrap()];
    store.sync().unwrap();
    for path in files(place.path()) {
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    for hash in &hashes {
        assert!(matches!(store.get(hash, MAX), Err(Error::Corrupt { .. })));
        let mut written = Vec::new();
        assert!(matches!(store.get_stream(hash, &mut written), Err(Error::Corrupt { .. })));
        assert!(written.is_empty(), "nothing is passed on before it is verified");
    }
    assert_eq!(findings(&store).iter().filter(|finding| finding.is_damage()).count(), 2);
    store.put(&small).unwrap();
    store.put(&large).unwrap();
    store.sync().unwrap();
    for store in [store, reader(place.path())] {
        assert_eq!(get(&store, &hashes[0]), Some(small.clone()));
        assert_eq!(get(&store, &hashes[1]), Some(large.clone()));
        assert!(!findings(&store).iter().any(super::Finding::is_damage));
    }
}

#[test]
fn a_reader_follows_a_writer() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("blobs");
    let reader = reader(&folder);
    assert!(reader.is_empty().unwrap());
    let store = writer(&folder);
    let mut hashes = Vec::new();
    for n in 0..60 {
        let bytes = content(n, 5 * n as usize);
        assert_eq!(get(&reader, &blake3::hash(&bytes)), None);
        hashes.push((store.put(&bytes).unwrap(), bytes));
        if n % 20 == 0 {
            store.collect(store.mark(), &mut |hash| hash.as_bytes()[0] % 4 > 0).unwrap();
        }
        for (hash, bytes) in &hashes {
            let here = get(&store, hash);
            assert!(here.is_none() || here.as_ref() == Some(bytes));
            // What was collected may be seen for a while.
            assert!(here.is_none() || get(&reader, hash) == here);
        }
    }
    assert_eq!(reader.list().unwrap(), store.list().unwrap());
    assert!(matches!(reader.put(b"x"), Err(Error::ReadOnly { .. })));
    assert!(matches!(open_on(Arc::new(RealDisk), &folder), Err(Error::Locked { .. })));
}

#[test]
fn a_reader_sees_a_write_in_progress_as_nothing() {
    let place = tempfile::tempdir().unwrap();
    let store = writer(place.path());
    let first = store.put(&content(1, 60)).unwrap();
    let second = content(2, 60);
    store.put(&second).unwrap();
    let pack = place.path().join("pack-000001.bin");
    let whole = fs::read(&pack).unwrap();
    fs::write(&pack, &whole[..whole.len() - 7]).unwrap();
    let reader = reader(place.path());
    assert!(reader.contains(&first).unwrap());
    assert_eq!(get(&reader, &blake3::hash(&second)), None);
    assert_eq!(findings(&reader).len(), 1);
    fs::write(&pack, &whole).unwrap();
    assert_eq!(get(&reader, &blake3::hash(&second)), Some(second));
    assert_eq!(findings(&reader), []);
}

#[test]
fn what_nothing_refers_to_is_collected() {
    let place = tempfile::tempdir().unwrap();
    let store = writer(place.path());
    let put = |range: std::ops::Range<u32>, len| -> Vec<_> {
        range.map(|n| store.put(&content(n, len)).unwrap()).collect()
    };
    let (small, large) = (put(0..20, 52), put(20..24, 1000));
    store.sync().unwrap();
    let kept = store.collect(Mark::default(), &mut |_| false).unwrap();
    assert_eq!((kept.count, store.len().unwrap()), (0, 24), "all was put in this session");

    let mark = store.mark();
    store.put(&content(20, 1000)).unwrap();
    store.put(&content(3, 52)).unwrap();
    let late = store.put(b"late").unwrap();
    let collected = store.collect(mark, &mut |hash| *hash == small[0] || *hash == large[1]).unwrap();
    assert_eq!((collected.count, collected.bytes), (18 + 2, 18 * 52 + 2 * 1000));
    let left = [&small[0], &small[3], &large[0], &large[1], &late];
    assert_eq!(store.len().unwrap(), left.len() as u64);
    drop(store);
    let store = writer(place.path());
    assert_eq!(findings(&store), []);
    assert!(left.iter().all(|hash| get(&store, hash).is_some()));
    assert_eq!(store.len().unwrap(), left.len() as u64);
    store.collect(Mark::default(), &mut |_| false).unwrap();
    assert_eq!(store.len().unwrap(), 0);
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 3, "an empty pack, LOCK, large");
}

#[test]
fn packs_that_are_mostly_alive_stay() {
    let place = tempfile::tempdir().unwrap();
    let store = writer(place.path());
    let hashes: Vec<_> = (0..3).map(|n| store.put(&content(n, 52)).unwrap()).collect();
    let collected = store.collect(store.mark(), &mut |hash| *hash != hashes[1]).unwrap();
    assert_eq!((collected.count, collected.left_count, collected.left_bytes), (0, 1, 52));
    assert!(store.contains(&hashes[1]).unwrap());
}

#[test]
fn threads_put_get_sync_and_collect_at_a_time() {
    let place = tempfile::tempdir().unwrap();
    let store = writer(place.path());
    thread::scope(|scope| {
        for thread in 0..4u32 {
            let store = &store;
            scope.spawn(move || {
                for n in 0..150 {
                    // Some content is put by all.
                    let bytes =
                        content(if n % 3 == 0 { n } else { n + 1000 * thread }, (n as usize * 7) % 160);
                    let hash = store.put(&bytes).unwrap();
                    if n % 16 == 0 {
                        store.sync().unwrap();
                    }
                    assert_eq!(get(store, &hash), Some(bytes));
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..20 {
                store.collect(Mark::default(), &mut |_| false).unwrap();
            }
        });
    });
    store.sync().unwrap();
    assert_eq!(findings(&store), []);
    let listed = store.list().unwrap();
    drop(store);
    assert_eq!(writer(place.path()).list().unwrap(), listed);
}

#[test]
fn limits_are_checked_before_memory_is_taken() {
    struct Broken(u64);
    impl Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::Error::other("the pipe broke"));
            }
            self.0 -= 1;
            buffer.fill(3);
            Ok(buffer.len())
        }
    }
    let place = tempfile::tempdir().unwrap();
    let store = writer(place.path());
    let hash = store.put(&content(1, 500)).unwrap();
    insta::assert_snapshot!(store.get(&hash, 499).unwrap_err(), @r"content 7ed31e2b56491893b1d234d948eb55fe2bf39cc63f2e0a242440a5794bddf8a3 has 500 bytes, over the limit of 499: raise the limit or stream it");
    for rounds in [0, 3] {
        let error = store.put_stream(&mut Broken(rounds)).unwrap_err();
        assert_eq!(error.to_string(), "the content to put cannot be read: the pipe broke");
    }
    assert_eq!(files(place.path()).len(), 1, "nothing is left of it");
    store.put(b"and the store goes on").unwrap();
    assert_eq!(CONTENT_BYTES_MAX, 17_179_869_184);
}

#[test]
fn errors_say_what_to_do() {
    let place = tempfile::tempdir().unwrap();
    let store = writer(place.path());
    let locked = open_on(Arc::new(RealDisk), place.path()).unwrap_err();
    insta::assert_snapshot!(text(&locked, place.path()), @r"the content store blobs is being written by somebody else: open it read-only");
    let refused = reader(place.path()).sync().unwrap_err();
    insta::assert_snapshot!(text(&refused, place.path()), @r"the content store blobs was opened read-only: open it read-write to change it");
    drop(store);
    fs::write(place.path().join("notes.txt"), "mine").unwrap();
    fs::create_dir(place.path().join("large/zz")).unwrap();
    fs::write(place.path().join("large/zz/top"), "mine").unwrap();
    let stray: Vec<_> = findings(&reader(place.path())).iter().map(|f| text(f, place.path())).collect();
    insta::assert_snapshot!(stray.join("\n"), @r"
blobs/notes.txt: does not belong here: move it away
blobs/large/zz/top: does not belong here: move it away
");
    let mut header = *b"SANCPACK\x02\0\0\0____________________";
    let crc = crc32c::crc32c_append(crc32c::crc32c(&header[..12]), &header[16..]);
    header[12..16].copy_from_slice(&crc.to_le_bytes());
    fs::write(place.path().join("pack-000001.bin"), header).unwrap();
    for access in [Access::Read, Access::Write] {
        let newer = ContentStore::open_with(Arc::new(RealDisk), place.path(), options(access)).unwrap_err();
        insta::allow_duplicates!(
            insta::assert_snapshot!(text(&newer, place.path()), @r"blobs/pack-000001.bin is of format 2, this program reads up to 1: use a newer sanctum")
        );
    }
    let file = place.path().join("file");
    fs::write(&file, "").unwrap();
    let error = open_on(Arc::new(RealDisk), &file.join("blobs")).unwrap_err();
    insta::assert_snapshot!(text(&error, place.path()), @r"cannot create blobs/file/blobs/large: Not a directory (os error 20)");
}

#[test]
fn a_collection_beside_puts_removes_only_what_nothing_refers_to() {
    let place = tempfile::tempdir().unwrap();
    let store = writer(place.path());
    let is_even = |hash: &sanctum::blob::Hash| hash.as_bytes()[0].is_multiple_of(2);
    let removed = thread::scope(|scope| {
        let threads: Vec<_> = (0..3u32)
            .map(|thread| {
                let store = &store;
                scope.spawn(move || {
                    for n in 0..400 {
                        // Each content is put twice, by one thread or by two.
                        let bytes = content(n / 2 + 100 * thread, if n % 9 < 2 { 120 } else { 60 });
                        let hash = store.put(&bytes).unwrap();
                        let there = get(store, &hash);
                        assert!(there.is_none() || there == Some(bytes));
                        assert!(!is_even(&hash) || store.contains(&hash).unwrap());
                    }
                })
            })
            .collect();
        let mut removed = 0;
        while threads.iter().any(|thread| !thread.is_finished()) {
            removed += store.collect(store.mark(), &mut |hash| is_even(hash)).unwrap().count;
        }
        removed
    });
    assert!(removed > 0);
    store.sync().unwrap();
    let even: Vec<_> = store.list().unwrap().into_iter().filter(|(hash, _)| is_even(hash)).collect();
    drop(store);
    let store = writer(place.path());
    assert_eq!(findings(&store), []);
    for (thread, n) in (0..3).flat_map(|thread| (0..400u32).map(move |n| (thread, n))) {
        let bytes = content(n / 2 + 100 * thread, if n % 9 < 2 { 120 } else { 60 });
        let hash = blake3::hash(&bytes);
        assert!(!is_even(&hash) || get(&store, &hash) == Some(bytes));
    }
    assert!(even.iter().all(|(hash, _)| store.contains(hash).unwrap()));
}
