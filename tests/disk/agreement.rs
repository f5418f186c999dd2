//! The simulated disk answers as the real one does.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;
use sanctum::disk::{Disk, File, Lock, Mode, RealDisk, SimulatedDisk};

use crate::path;

const FILES: [&str; 6] = ["a", "b", "d/a", "d/b", "e/f/a", "a/x"];
const FOLDERS: [&str; 5] = ["", "d", "e", "e/f", "a"];

#[derive(Clone, Debug)]
enum Call {
    Open(usize, usize, u8),
    Close(usize),
    Write(usize, u64, usize),
    Read(usize, u64, usize),
    Len(usize),
    SetLen(usize, u64),
    Allocate(usize, u64),
    Sync(usize),
    List(usize),
    Exists(usize),
    CreateDir(usize),
    Rename(usize, usize),
    Remove(usize),
    Link(usize, usize),
    SyncDir(usize),
    Lock(usize),
    Unlock,
}

fn call() -> impl Strategy<Value = Call> {
    let path = || 0..FILES.len() + FOLDERS.len();
    let slot = || 0usize..3;
    prop_oneof![
        8 => (slot(), path(), 0u8..6).prop_map(|(slot, path, mode)| Call::Open(slot, path, mode)),
        1 => slot().prop_map(Call::Close),
        8 => (slot(), 0u64..6000, 0usize..5000).prop_map(|(slot, at, len)| Call::Write(slot, at, len)),
        4 => (slot(), 0u64..9000, 0usize..6000).prop_map(|(slot, at, len)| Call::Read(slot, at, len)),
        2 => slot().prop_map(Call::Len),
        2 => (slot(), 0u64..9000).prop_map(|(slot, len)| Call::SetLen(slot, len)),
        1 => (slot(), 0u64..12000).prop_map(|(slot, len)| Call::Allocate(slot, len)),
        1 => slot().prop_map(Call::Sync),
        1 => path().prop_map(Call::List),
        1 => path().prop_map(Call::Exists),
        4 => path().prop_map(Call::CreateDir),
        4 => (path(), path()).prop_map(|(from, to)| Call::Rename(from, to)),
        2 => path().prop_map(Call::Remove),
        2 => (path(), path()).prop_map(|(from, to)| Call::Link(from, to)),
        1 => path().prop_map(Call::SyncDir),
        1 => path().prop_map(Call::Lock),
        1 => Just(Call::Unlock),
    ]
}

fn place(root: &Path, number: usize) -> PathBuf {
    // Not `join`, which ends in a slash where there is nothing to join.
    root.iter()
        .chain(Path::new(FILES.iter().chain(&FOLDERS).nth(number).expect("a number of a path")))
        .collect()
}

/// A disk, a folder on it, and what is open.
struct Side<'d> {
    disk: &'d dyn Disk,
    root: PathBuf,
    open: [Option<Arc<dyn File>>; 3],
    lock: Option<Box<dyn Lock>>,
}

impl Side<'_> {
    /// What a call gave, in words.
    fn call(&mut self, call: &Call, number: u8) -> String {
        let at = |number: usize| place(&self.root, number);
        let words = |result: io::Result<String>| result.unwrap_or_else(|error| format!("{:?}", error.kind()));
        let file = |slot: &usize| self.open[*slot].clone();
        let done = |()| "done".to_owned();
        match call {
            Call::Open(slot, path, mode) => {
                let mode = [Mode::Create, Mode::Write, Mode::Read][usize::from(*mode).min(4) / 2];
                let opened = self.disk.open(&at(*path), mode);
                words(opened.map(|file| {
                    self.open[*slot] = Some(file);
                    "open".to_owned()
                }))
            }
            Call::Close(slot) => {
                self.open[*slot] = None;
                String::new()
            }
            Call::Write(slot, offset, len) => file(slot).map_or(String::new(), |file| {
                words(file.write_at(&vec![number; *len], *offset).map(|count| count.to_string()))
            }),
            Call::Read(slot, offset, len) => file(slot).map_or(String::new(), |file| {
                let mut buffer = vec![0xff; *len];
                words(file.read_at(&mut buffer, *offset).map(|count| format!("{count} {buffer:?}")))
            }),
            Call::Len(slot) => {
                file(slot).map_or(String::new(), |file| words(file.len().map(|len| len.to_string())))
            }
            Call::SetLen(slot, len) => {
                file(slot).map_or(String::new(), |file| words(file.set_len(*len).map(done)))
            }
            Call::Allocate(slot, len) => {
                file(slot).map_or(String::new(), |file| words(file.allocate(*len).map(done)))
            }
            Call::Sync(slot) => file(slot).map_or(String::new(), |file| words(file.sync().map(done))),
            Call::List(path) => words(self.disk.list(&at(*path)).map(|names| names.join(" "))),
            Call::Exists(path) => self.disk.exists(&at(*path)).to_string(),
            Call::CreateDir(path) => words(self.disk.create_dir(&at(*path)).map(done)),
            Call::Rename(from, to) => words(self.disk.rename(&at(*from), &at(*to)).map(done)),
            Call::Remove(path) => words(self.disk.remove(&at(*path)).map(done)),
            Call::Link(from, to) => words(self.disk.link(&at(*from), &at(*to)).map(done)),
            Call::SyncDir(path) => words(self.disk.sync_dir(&at(*path)).map(done)),
            Call::Lock(path) => words(self.disk.lock(&at(*path), "me").map(|lock| {
                let got = lock.is_some();
                if got {
                    self.lock = lock;
                }
                got.to_string()
            })),
            Call::Unlock => {
                self.lock = None;
                String::new()
            }
        }
    }
}

/// Whether the simulated disk does what the real one does here, by its front page.
fn is_alike(call: &Call, root: &Path) -> bool {
    let at = |number: &usize| place(root, *number);
    match call {
        // A system opens folders to read, and syncs files as folders; the log does neither.
        Call::Open(_, path, mode) => *mode < 4 || !at(path).is_dir(),
        Call::SyncDir(path) => !at(path).is_file(),
        // Folders stay in their folder; the root has no name.
        Call::Rename(from, to) => {
            let is_root = at(from) == root || at(to) == root;
            !is_root && (!at(from).is_dir() || at(from).parent() == at(to).parent())
        }
        _ => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn both_disks_do_the_same(calls in prop::collection::vec(call(), 1..120)) {
        let folder = tempfile::tempdir().unwrap();
        let simulated = SimulatedDisk::new(1);
        simulated.create_dir(path("/root")).unwrap();
        let side = |disk, root: &Path| Side { disk, root: root.to_owned(), open: [None, None, None], lock: None };
        let mut real = side(&RealDisk, folder.path());
        let mut fake = side(&simulated, path("/root"));
        for (number, call) in calls.iter().enumerate() {
            if !is_alike(call, folder.path()) {
                continue;
            }
            prop_assert_eq!(real.call(call, number as u8), fake.call(call, number as u8), "{} {:?}", number, call);
        }
        for file in simulated.files() {
            let name = file.strip_prefix("/root").unwrap();
            prop_assert_eq!(std::fs::read(folder.path().join(name)).unwrap(), simulated.bytes(&file).unwrap());
        }
    }
}
