//! After a repair the log is right, what was whole is there, and no byte is gone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sanctum::disk::{Disk, Mode, SimulatedDisk, Snapshot};
use sanctum::log::file::repair::{Action, Repaired, repair};
use sanctum::log::{Direction, Error, Log, Query};

use super::damage::{files, small};
use super::world::{FOLDER, Model, all, drafts, open, verified};

fn run(disk: &SimulatedDisk, apply: bool) -> Result<(Repaired, Vec<Action>), Error> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut actions = Vec::new();
    let done = repair(Path::new(FOLDER), &shared, apply, &mut |action| actions.push(action))?;
    Ok((done, actions))
}

/// Every file with its bytes.
fn contents(disk: &SimulatedDisk) -> BTreeMap<PathBuf, Vec<u8>> {
    files(disk).into_iter().map(|path| (path.clone(), disk.bytes(&path).expect("bytes"))).collect()
}

/// Whether all bytes of a file are somewhere still: in it, or aside.
fn is_kept(after: &BTreeMap<PathBuf, Vec<u8>>, path: &Path, bytes: &[u8]) -> bool {
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
    let own = after.get(path);
    let aside = || {
        after.iter().filter(|(other, _)| {
            other.to_string_lossy().contains("/repair-")
                && other.file_name().is_some_and(|other| other.to_string_lossy().starts_with(&name))
        })
    };
    let begins = |whole: &Vec<u8>| whole.len() >= used && whole[..used] == bytes[..used];
    own.is_some_and(begins)
        || aside().any(|(_, copy)| begins(copy))
        // A part was put aside, the rest stayed.
        || own.is_some_and(|own| {
            aside().any(|(_, part)| {
                let fits = |at: usize| {
                    let is_in = |n: &usize| (at..at + part.len()).contains(n);
                    (0..used).filter(|n| !is_in(n)).all(|n| own.get(n) == Some(&bytes[n]))
                };
                let mut windows = bytes.windows(part.len().max(1)).enumerate();
                windows.any(|(at, window)| window == &part[..] && fits(at))
            })
        })
}

/// Repairs, and checks all that has to hold then.
fn check(disk: &SimulatedDisk, model: &Model, what: &str) -> Repaired {
    let before = contents(disk);
    let (dry, would) = run(disk, false).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(contents(disk), before, "{what}: a dry run changed something");
    let (done, actions) = run(disk, true).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!((&dry.lost, dry.repaired, &would), (&done.lost, done.repaired, &actions), "{what}");
    assert!(done.repaired > 0 && done.left == 0, "{what}: {actions:?}");
    let after = contents(disk);
    for (path, bytes) in &before {
        assert!(is_kept(&after, path, bytes), "{what}: bytes of {} are gone: {actions:?}", path.display());
    }
    let (_, findings) = verified(disk);
    assert_eq!(findings, Vec::new(), "{what}: {actions:?}");
    let log = open(disk);
    let there = all(&log, &Query::default(), Direction::Forward);
    for told in &there {
        assert_eq!(told, &model.all[told.position as usize], "{what}");
    }
    for told in model.live() {
        let is_lost = done.lost.iter().any(|(first, end)| (*first..*end).contains(&told.position));
        assert!(is_lost || there.contains(&told), "{what}: {told:?} is gone, and not told: {actions:?}");
    }
    assert!(
        log.head() >= model.all.len() as u64 || done.lost.is_empty(),
        "{what}: positions are given again"
    );
    // Life goes on.
    let before = log.head();
    let mut more = Model { all: model.all.clone() };
    let mut batch = more.batch(&drafts(77, 5));
    batch.heads_mut().iter_mut().for_each(|head| head.id = sanctum::event::Uuid::nil());
    log.append(sanctum::log::Commit::of(batch)).expect("it appends");
    assert_eq!(log.head(), before + 5);
    log.close().expect("it closes");
    assert_eq!(verified(disk).1, Vec::new(), "{what}, and appended to");
    assert_eq!(run(disk, true).expect("a second repair").0, Repaired::default(), "{what}");
    done
}

fn damaged(snapshot: &Snapshot, damage: impl FnOnce(&SimulatedDisk)) -> SimulatedDisk {
    let disk = SimulatedDisk::from_snapshot(snapshot, 1);
    damage(&disk);
    disk
}

#[test]
fn every_flipped_byte_is_put_right() {
    let (disk, model) = small();
    let snapshot = disk.snapshot();
    for path in files(&disk) {
        for at in (0..disk.bytes(&path).expect("bytes").len() as u64).step_by(5) {
            let disk = damaged(&snapshot, |disk| disk.flip(&path, at, (at % 8) as u8).expect("it flips"));
            check(&disk, &model, &format!("byte {at} of {}", path.display()));
        }
    }
}

#[test]
fn a_header_of_which_a_byte_is_wrong_costs_nothing() {
    let (disk, model) = small();
    let snapshot = disk.snapshot();
    for path in files(&disk).iter().filter(|path| path.extension().is_some_and(|kind| kind == "log")) {
        for at in 0..60 {
            let disk = damaged(&snapshot, |disk| disk.flip(path, at, (at % 8) as u8).expect("it flips"));
            let done = check(&disk, &model, &format!("byte {at} of {}", path.display()));
            assert_eq!(done.lost, Vec::new(), "byte {at} of {}", path.display());
        }
    }
}

#[test]
fn files_that_are_missing_or_short_or_too_many() {
    let (disk, model) = small();
    let snapshot = disk.snapshot();
    for path in files(&disk) {
        let name = path.display().to_string();
        if !name.ends_with(".idx") {
            check(
                &damaged(&snapshot, |disk| disk.remove(&path).expect("it goes")),
                &model,
                &format!("no {name}"),
            );
        }
        let cut = |disk: &SimulatedDisk| {
            let file = disk.open(&path, Mode::Write).expect("it opens");
            file.set_len(file.len().expect("a length") / 3).expect("it is cut");
        };
        check(&damaged(&snapshot, cut), &model, &format!("{name} is cut"));
        let longer = |disk: &SimulatedDisk| {
            let file = disk.open(&path, Mode::Write).expect("it opens");
            file.write_all_at(b"more", file.len().expect("a length")).expect("it is written");
        };
        check(&damaged(&snapshot, longer), &model, &format!("{name} is longer"));
    }
    let foreign = |disk: &SimulatedDisk| {
        let path = Path::new(FOLDER).join("notes.txt");
        disk.open(&path, Mode::Create).expect("it opens").write_all_at(b"notes", 0).expect("it is written");
    };
    check(&damaged(&snapshot, foreign), &model, "a file of somebody's");
}

#[test]
fn a_repair_that_was_cut_off_is_run_again() {
    let (disk, model) = small();
    let logs: Vec<PathBuf> = files(&disk);
    let logs: Vec<&PathBuf> =
        logs.iter().filter(|path| path.extension().is_some_and(|kind| kind == "log")).collect();
    disk.flip(logs[0], 200, 1).expect("it flips");
    disk.flip(logs[logs.len() - 1], 130, 1).expect("it flips");
    disk.remove(logs[2]).expect("it goes");
    let snapshot = disk.snapshot();
    for cut in 1.. {
        let disk = SimulatedDisk::from_snapshot(&snapshot, cut);
        disk.crash_after(cut);
        let ended = run(&disk, true).is_ok() && !disk.is_off();
        disk.crash();
        let (_, findings) = verified(&disk);
        if !findings.is_empty() {
            run(&disk, true).expect("it is repaired");
        }
        assert_eq!(verified(&disk).1, Vec::new(), "cut at {cut}");
        let there = all(&open(&disk), &Query::default(), Direction::Forward);
        for told in there {
            assert_eq!(told, model.all[told.position as usize]);
        }
        if ended {
            assert!(cut > 20, "{cut} operations");
            break;
        }
    }
}

#[test]
fn what_is_said() {
    let (disk, _) = small();
    let logs: Vec<PathBuf> = files(&disk);
    let logs: Vec<&PathBuf> =
        logs.iter().filter(|path| path.extension().is_some_and(|kind| kind == "log")).collect();
    disk.flip(logs[0], 20, 1).expect("it flips");
    disk.flip(logs[1], 200, 1).expect("it flips");
    disk.remove(logs[2]).expect("it goes");
    let (done, actions) = run(&disk, true).expect("it is repaired");
    let text: String = actions.iter().map(|action| format!("{action:?}\n")).collect();
    insta::assert_snapshot!(format!(
        "{text}{done:?}\n{}",
        disk.files().iter().map(|file| format!("{}\n", file.display())).collect::<String>()
    ));
}
