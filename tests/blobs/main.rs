//! The content store on disk: stories, a model, every byte flipped, every length cut, every operation failing,
//! and runs that keep content in it.

#![allow(clippy::unwrap_used)]

mod crash;
mod damage;
mod faulty;
mod model;
mod run;
mod stories;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sanctum::blob::Hash;
use sanctum::blob::store::{Access, ContentStore, Error, Finding, Options};
use sanctum::disk::{Disk, RealDisk};

const MAX: u64 = 1 << 30;

/// Packs and small content so small that tests reach their ends.
fn options(access: Access) -> Options {
    Options { small_bytes: 100, pack_bytes: 400, ..Options::new(access) }
}

fn open_on(disk: Arc<dyn Disk>, folder: &Path) -> Result<ContentStore, Error> {
    ContentStore::open_with(disk, folder, options(Access::Write))
}

fn writer(folder: &Path) -> ContentStore {
    open_on(faulty::Faulty::new(i64::MAX, std::io::ErrorKind::Other).0, folder).unwrap()
}

fn reader(folder: &Path) -> ContentStore {
    ContentStore::open_with(Arc::new(RealDisk), folder, options(Access::Read)).unwrap()
}

/// Content number `n`, of `len` bytes, unlike all others.
fn content(n: u32, len: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = n.to_le_bytes().iter().copied().cycle().take(len.max(4)).collect();
    bytes.rotate_left(1);
    bytes
}

fn findings(store: &ContentStore) -> Vec<Finding> {
    let mut all = Vec::new();
    store.verify(&mut |finding| all.push(finding)).unwrap();
    all
}

/// A finding's text without the place of the test.
fn text(error: &dyn std::fmt::Display, folder: &Path) -> String {
    error.to_string().replace(&folder.display().to_string(), "blobs")
}

/// All files of a store but its lock, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().unwrap() != "LOCK" {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

fn get(store: &ContentStore, hash: &Hash) -> Option<Vec<u8>> {
    store.get(hash, MAX).unwrap()
}
