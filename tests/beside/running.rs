//! Spells that run on the server while commands change what they keep and where they stand.

use std::path::Path;
use std::time::{Duration, Instant};

use super::run;
use super::server::Server;

const SUM: &str = "return { topic = 'n', start = 'oldest', cast = function(event)\n\
    state.total = (state.total or 0) + event.n end }";

fn serve() -> Server {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("sum.lua"), SUM).unwrap();
    let server = Server::start_in(folder, &["sum.lua"]);
    append(server.folder.path(), 1);
    append(server.folder.path(), 2);
    total(server.folder.path(), "3");
    server
}

fn append(folder: &Path, n: u32) {
    let ran = run(folder, &["append", "n", &format!("{{\"n\":{n}}}")], "");
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

/// Waits until the spell keeps that.
fn total(folder: &Path, wanted: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let ran = run(folder, &["state", "get", "sum", "total"], "");
        if ran.stdout.trim_end() == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{wanted} does not come: {ran:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_spell_goes_on_with_what_it_is_given() {
    let server = serve();
    let folder = server.folder.path();
    assert_eq!(run(folder, &["state", "set", "sum", "total", "100", "--force"], "").code, Some(0));
    append(folder, 5);
    total(folder, "105");
    assert_eq!(run(folder, &["state", "delete", "sum", "total", "--force"], "").code, Some(0));
    append(folder, 7);
    total(folder, "7");
}

#[test]
fn a_spell_is_rewound_while_it_runs() {
    let server = serve();
    let folder = server.folder.path();
    assert_eq!(run(folder, &["spells", "rewind", "sum", "--to", "0"], "").code, Some(0));
    total(folder, "6");
    assert_eq!(run(folder, &["spells", "rewind", "sum", "--to", "0", "--fresh"], "").code, Some(0));
    total(folder, "3");
    append(folder, 4);
    total(folder, "7");
}

#[test]
fn nothing_is_lost_while_it_casts() {
    let server = serve();
    let folder = server.folder.path();
    let lines: String = (0..2_000).map(|_| "{\"n\":1}\n").collect();
    std::thread::scope(|scope| {
        let appending = scope.spawn(|| run(folder, &["append", "n", "-"], &lines));
        // Each of these ends a run in the midst of the energies, and none of them may take or lose one.
        for number in 0..10 {
            let key = format!("key{number}");
            let ran = run(folder, &["state", "set", "sum", &key, "1", "--force"], "");
            assert_eq!(ran.code, Some(0), "{ran:?}");
        }
        assert_eq!(appending.join().unwrap().code, Some(0));
    });
    total(folder, "2003");
    assert_eq!(run(folder, &["state", "range", "sum", "--prefix", "key"], "").stdout.lines().count(), 10);
}

#[test]
fn what_failed_is_cast_once_more() {
    let folder = tempfile::tempdir().unwrap();
    let spell = "return { topic = 'n', start = 'oldest', fault = 'quarantine', cast = function(event)\n\
        if not state.open then error('closed') end\n state.total = (state.total or 0) + event.n end }";
    std::fs::write(folder.path().join("sum.lua"), spell).unwrap();
    let server = Server::start_in(folder, &["sum.lua"]);
    let folder = server.folder.path();
    append(folder, 5);
    let deadline = Instant::now() + Duration::from_secs(30);
    while run(folder, &["faults"], "").stdout.is_empty() {
        assert!(Instant::now() < deadline, "nothing failed");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(run(folder, &["state", "set", "sum", "open", "true", "--force"], "").code, Some(0));
    assert_eq!(run(folder, &["faults", "release", "--all"], "").code, Some(0));
    total(folder, "5");
}

#[test]
fn a_server_is_found_however_long_its_path_is() {
    let deep = tempfile::Builder::new().prefix(&"d".repeat(120)).tempdir().unwrap();
    let server = Server::start_in(deep, &[]);
    let folder = server.folder.path();
    append(folder, 1);
    let socket = folder.join("data/sanctum.sock");
    let socket = ["--socket", socket.to_str().unwrap()];
    let ran = run(folder, &[&["serve", "--check"], &socket[..]].concat(), "");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ran = run(folder, &[&["unbind", "nobody"], &socket[..]].concat(), "");
    assert!(ran.stderr.contains("no spell `nobody` is bound"), "{ran:?}");
}
