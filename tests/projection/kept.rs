//! What is kept on the disk: a fold of the log that may be lost, old, locked or spoilt.

use std::fs;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use sanctum::event::Ttl;
use sanctum::projection::{Error, Freshness, project};

use crate::harness::{NOW_MS, Place, SUM};

fn grown(count: usize) -> Place {
    let place = Place::new();
    let data: Vec<_> = (0..count).map(|n| format!("{{\"who\":{},\"n\":{n}}}", n % 11)).collect();
    let energies: Vec<_> = data.iter().map(|data| ("n.in", "s", data.as_str())).collect();
    place.append(&energies);
    place
}

#[test]
fn old_answers_remain_until_the_new_text_has_caught_up() {
    let place = grown(100);
    let old = place.ask(&mut place.projection(SUM), Freshness::Exact);
    // The new text fails half way: what was there is still there.
    let failing = SUM.replace("+ event.n", "+ (event.n < 50 and 2 * event.n or nil)");
    let mut projection = place.projection(&failing);
    assert!(place.fault(&mut projection).contains("position 50"));
    assert_eq!(place.ask(&mut projection, Freshness::Cached), old);
    assert_eq!(place.ask(&mut place.projection(SUM), Freshness::Exact), old);
    // Of the new text, what lies before the fault can be asked for.
    let before = place.ask(&mut projection, Freshness::At(49));
    assert_eq!(before, place.made_anew(&failing, Freshness::At(49)));
    assert_eq!(place.ask(&mut projection, Freshness::Cached), old);
    drop(projection);

    let changed = SUM.replace("+ event.n", "+ 2 * event.n");
    let mut projection = place.projection(&changed);
    let new = place.ask(&mut projection, Freshness::Exact);
    assert_ne!(new, old);
    assert_eq!(new, place.made_anew(&changed, Freshness::Exact));
    assert_eq!(place.ask(&mut projection, Freshness::Cached), new);
    assert_eq!(place.ask(&mut place.projection(SUM), Freshness::Exact), old);
}

#[test]
fn nothing_is_cached_before_the_first_answer() {
    let place = grown(10);
    let mut projection = place.projection(SUM);
    let answer = project(&place.log, &mut projection, None, Freshness::Cached);
    assert!(matches!(answer, Err(Error::NothingCached(name)) if name == "p"));
    let exact = place.ask(&mut projection, Freshness::Exact);
    place.append(&[("n.in", "s", r#"{"who":1,"n":1}"#)]);
    assert_eq!(place.ask(&mut projection, Freshness::Cached), exact);
    assert_ne!(place.ask(&mut projection, Freshness::Exact), exact);
}

#[test]
fn a_store_that_is_lost_or_spoilt_is_made_anew() {
    let place = grown(100);
    let rows = place.ask(&mut place.projection(SUM), Freshness::Exact);
    fs::remove_file(place.file()).unwrap();
    assert_eq!(place.ask(&mut place.projection(SUM), Freshness::Exact), rows);
    let bytes = fs::read(place.file()).unwrap();
    for spoilt in [b"not a store".to_vec(), vec![7; bytes.len()], bytes[..bytes.len() / 2].to_vec()] {
        fs::write(place.file(), spoilt).unwrap();
        assert_eq!(place.ask(&mut place.projection(SUM), Freshness::Exact), rows);
    }
}

#[test]
fn another_log_is_another_answer() {
    let mut place = grown(20);
    let rows = place.ask(&mut place.projection(SUM), Freshness::Exact);
    place.renew();
    assert_eq!(place.ask(&mut place.projection(SUM), Freshness::Exact), Vec::<String>::new());
    place.append(&[("n.in", "s", r#"{"who":1,"n":1}"#)]);
    let new = place.ask(&mut place.projection(SUM), Freshness::Exact);
    assert_eq!(new, [r#"1 @0 {"count":1,"sum":1}"#]);
    assert_ne!(new, rows);
}

#[test]
fn two_at_once_agree() {
    let place = grown(1_000);
    let expected = place.made_anew(SUM, Freshness::Exact);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..3 {
                    assert_eq!(place.ask(&mut place.projection(SUM), Freshness::Exact), expected);
                }
            });
        }
    });
    // Readers share it.
    let (mut holder, mut other) = (place.projection(SUM), place.projection(SUM));
    assert_eq!(place.ask(&mut holder, Freshness::Exact), expected);
    assert_eq!(place.ask(&mut other, Freshness::Exact), expected);
    assert_eq!(place.ask(&mut other, Freshness::Cached), expected);
    other.release();
    // One that has written and does not let go: the other folds in memory.
    place.append(&[("n.in", "s", r#"{"who":1,"n":1}"#)]);
    let expected = place.ask(&mut holder, Freshness::Exact);
    assert_eq!(place.ask(&mut other, Freshness::Exact), expected);
    let cached = project(&place.log, &mut other, None, Freshness::Cached);
    assert!(matches!(cached, Err(Error::Busy { .. })), "{cached:?}");
    holder.release();
    assert_eq!(place.ask(&mut other, Freshness::Cached), expected);
}

/// What was folded stays, also when its energies are gone; what is made anew has only those that are there.
#[test]
fn energies_whose_ttl_is_over_were_folded() {
    let place = Place::new();
    place.append_for(&[("n.in", "s", r#"{"who":1,"n":1}"#)], Ttl::TimeMs(50));
    place.append(&[("n.in", "s", r#"{"who":1,"n":10}"#)]);
    let mut projection = place.projection(SUM);
    assert_eq!(place.ask(&mut projection, Freshness::Exact), [r#"1 @1 {"count":2,"sum":11}"#]);
    NOW_MS.fetch_add(100, Ordering::Relaxed);
    assert_eq!(place.ask(&mut projection, Freshness::Exact), [r#"1 @1 {"count":2,"sum":11}"#]);
    assert_eq!(place.made_anew(SUM, Freshness::Exact), [r#"1 @1 {"count":1,"sum":10}"#]);
}

/// `kill -9` in the middle of making it, some times over: what is there in the end is what is there at once.
#[test]
fn killed_in_the_middle_it_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let plane = folder.path().join("sanctum-data/planes/main");
    let place = grown(0);
    let log = crate::harness::open(&plane);
    let place = Place { log, ..place };
    let blob = "x".repeat(1_000);
    for batch in 0..20 {
        let data: Vec<_> =
            (0..1_000).map(|n| format!("{{\"who\":{n},\"n\":{batch},\"blob\":\"{blob}\"}}")).collect();
        place.append(&data.iter().map(|data| ("n.in", "s", data.as_str())).collect::<Vec<_>>());
    }
    // States large enough for several transactions.
    let text = SUM.replace("return state", "state.blob = event.blob return state").replace("= 7", "= 1000");
    fs::write(folder.path().join("p.lua"), &text).unwrap();
    let run = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sanctum"));
        command.args(["project", "p.lua"]).current_dir(folder.path());
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        command.spawn().unwrap()
    };
    for wait_ms in [5, 60, 120, 180, 240, 300] {
        let mut child = run();
        thread::sleep(Duration::from_millis(wait_ms));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let output = run().wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rows = String::from_utf8(output.stdout).unwrap();
    assert_eq!(rows.lines().count(), 1_000);
    for (n, row) in rows.lines().enumerate() {
        let position = 19_000 + n;
        let end = "\"count\":20,\"sum\":190}}";
        assert!(row.starts_with(&format!("{{\"key\":{n},\"position\":{position},")), "{row}");
        assert!(row.ends_with(end), "{row}");
    }
}
