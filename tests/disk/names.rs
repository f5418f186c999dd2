//! What a crash does to names.

use proptest::prelude::*;
use sanctum::disk::{Disk, Mode, SimulatedDisk};

use crate::{outcomes, path, set, write, write_synced};

#[test]
fn a_new_file_needs_a_sync_of_its_folder() {
    assert_eq!(outcomes(|disk| drop(write_synced(disk, "/f", b"1"))), set(&["", "/f=1"]));
    let story = |disk: &SimulatedDisk| {
        write_synced(disk, "/f", b"1");
        disk.sync_dir(path("/")).unwrap();
    };
    assert_eq!(outcomes(story), set(&["/f=1"]));
    let story = |disk: &SimulatedDisk| {
        write(disk, "/f", b"1");
        disk.sync_dir(path("/")).unwrap();
    };
    assert_eq!(outcomes(story), set(&["/f=-", "/f=1", "/f=\0"]), "a name is not its bytes");
}

#[test]
fn a_new_folder_needs_a_sync_of_the_one_above() {
    let story = |disk: &SimulatedDisk| {
        disk.create_dir(path("/d")).unwrap();
        write_synced(disk, "/d/f", b"1");
        disk.sync_dir(path("/d")).unwrap();
    };
    assert_eq!(outcomes(story), set(&["", "/d/f=1"]));
}

#[test]
fn a_rename_happened_or_not_until_its_folder_is_synced() {
    let begin = |disk: &SimulatedDisk| {
        disk.write_raw(path("/now"), b"1").unwrap();
        write_synced(disk, "/new", b"2");
        disk.rename(path("/new"), path("/now")).unwrap();
    };
    assert_eq!(outcomes(begin), set(&["/new=2 /now=1", "/now=1", "/now=2"]));
    let story = |disk: &SimulatedDisk| {
        begin(disk);
        disk.sync_dir(path("/")).unwrap();
    };
    assert_eq!(outcomes(story), set(&["/now=2"]));
    // Renamed twice: never under two names, never under none.
    let story = |disk: &SimulatedDisk| {
        disk.write_raw(path("/a"), b"1").unwrap();
        disk.rename(path("/a"), path("/b")).unwrap();
        disk.rename(path("/b"), path("/c")).unwrap();
    };
    assert_eq!(outcomes(story), set(&["/a=1", "/b=1", "/c=1"]));
}

#[test]
fn a_rename_across_folders_needs_a_sync_of_both() {
    let begin = |disk: &SimulatedDisk| {
        disk.write_raw(path("/from/a"), b"1").unwrap();
        disk.write_raw(path("/to/x"), b"x").unwrap();
        disk.rename(path("/from/a"), path("/to/a")).unwrap();
    };
    let syncing = |folders: &'static [&str]| {
        outcomes(|disk| {
            begin(disk);
            folders.iter().for_each(|folder| disk.sync_dir(path(folder)).unwrap());
        })
    };
    assert_eq!(syncing(&[]), set(&["/from/a=1 /to/x=x", "/from/a=1 /to/a=1 /to/x=x", "/to/a=1 /to/x=x"]));
    assert_eq!(syncing(&["/to"]), set(&["/from/a=1 /to/a=1 /to/x=x", "/to/a=1 /to/x=x"]));
    assert_eq!(syncing(&["/from"]), set(&["/to/a=1 /to/x=x", "/to/x=x"]));
    assert_eq!(syncing(&["/to", "/from"]), set(&["/to/a=1 /to/x=x"]));
}

#[test]
fn removals_and_links_are_names_too() {
    let story = |disk: &SimulatedDisk| {
        disk.write_raw(path("/a"), b"1").unwrap();
        disk.link(path("/a"), path("/b")).unwrap();
        disk.remove(path("/a")).unwrap();
    };
    assert_eq!(outcomes(story), set(&["", "/a=1", "/a=1 /b=1", "/b=1"]));
    let story = |disk: &SimulatedDisk| {
        disk.write_raw(path("/a"), b"1").unwrap();
        disk.remove(path("/a")).unwrap();
        write_synced(disk, "/a", b"2");
    };
    assert_eq!(outcomes(story), set(&["", "/a=1", "/a=2"]), "one name's changes in order");
}

#[derive(Clone, Debug)]
enum Naming {
    Create(usize),
    Rename(usize, usize),
    Link(usize, usize),
    Remove(usize),
    SyncDir(usize),
    Crash,
}

fn naming() -> impl Strategy<Value = Naming> {
    prop_oneof![
        3 => (0usize..6).prop_map(Naming::Create),
        3 => (0usize..6, 0usize..6).prop_map(|(from, to)| Naming::Rename(from, to)),
        1 => (0usize..6, 0usize..6).prop_map(|(from, to)| Naming::Link(from, to)),
        2 => (0usize..6).prop_map(Naming::Remove),
        2 => (0usize..2).prop_map(Naming::SyncDir),
        1 => Just(Naming::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A name is what it was at its folder's last sync, or what it became since.
    #[test]
    fn names_that_were_synced_survive(seed: u64, steps in prop::collection::vec(naming(), 1..80)) {
        const NAMES: [&str; 6] = ["/d/a", "/d/b", "/d/c", "/e/a", "/e/b", "/e/c"];
        let disk = SimulatedDisk::new(seed);
        disk.write_raw(path("/d/x"), b"").unwrap();
        disk.write_raw(path("/e/x"), b"").unwrap();
        let look = || -> Vec<Option<Vec<u8>>> { NAMES.iter().map(|name| disk.bytes(path(name)).ok()).collect() };
        let mut current: Vec<Option<Vec<u8>>> = vec![None; 6];
        // What each name was since its folder's last sync.
        let mut possible: Vec<Vec<Option<Vec<u8>>>> = vec![vec![None]; 6];
        for (number, step) in steps.into_iter().chain([Naming::Crash]).enumerate() {
            match step {
                Naming::Create(name) => {
                    let made = disk.open(path(NAMES[name]), Mode::Create);
                    prop_assert_eq!(made.is_ok(), current[name].is_none());
                    if let Ok(file) = made {
                        file.write_all_at(&[number as u8], 0).unwrap();
                        file.sync().unwrap();
                        current[name] = Some(vec![number as u8]);
                    }
                }
                Naming::Rename(from, to) => {
                    let done = disk.rename(path(NAMES[from]), path(NAMES[to]));
                    prop_assert_eq!(done.is_ok(), current[from].is_some());
                    // Of two names of one file both stay.
                    if done.is_ok() && current[from] != current[to] {
                        current[to] = current[from].take();
                    }
                }
                Naming::Link(from, to) => {
                    let done = disk.link(path(NAMES[from]), path(NAMES[to]));
                    prop_assert_eq!(done.is_ok(), current[from].is_some() && current[to].is_none());
                    if done.is_ok() {
                        current[to] = current[from].clone();
                    }
                }
                Naming::Remove(name) => {
                    prop_assert_eq!(disk.remove(path(NAMES[name])).is_ok(), current[name].is_some());
                    current[name] = None;
                }
                Naming::SyncDir(folder) => {
                    disk.sync_dir(path(["/d", "/e"][folder])).unwrap();
                    for name in folder * 3..folder * 3 + 3 {
                        possible[name] = vec![current[name].clone()];
                    }
                }
                Naming::Crash => {
                    disk.crash();
                    current = look();
                    for (possible, current) in possible.iter_mut().zip(&current) {
                        prop_assert!(possible.contains(current));
                        *possible = vec![current.clone()];
                    }
                }
            }
            prop_assert_eq!(&look(), &current);
            for (possible, current) in possible.iter_mut().zip(&current) {
                possible.push(current.clone());
            }
        }
    }
}
