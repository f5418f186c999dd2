//! A server as a service: its unit and its image, who is told that it is ready, and who asks.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::server::{Server, sanctum};

fn deployed(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/deploy").join(name)).unwrap()
}

/// Flags that a command line has, which the help of `sanctum serve` must have as well.
fn check_flags<'a>(words: impl Iterator<Item = &'a str>) {
    let help = Command::new(env!("CARGO_BIN_EXE_sanctum")).args(["serve", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let mut count = 0;
    for flag in words.filter(|word| word.starts_with("--")) {
        assert!(help.contains(&format!("{flag} ")) || help.contains(&format!("{flag}\n")), "no flag {flag}");
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn the_unit_is_one() {
    let unit = deployed("sanctum.service");
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let words: Vec<_> = start.split(' ').collect();
    assert_eq!(words[..2], ["/usr/local/bin/sanctum", "serve"]);
    check_flags(words.into_iter());
    // Where systemd is there, it reads it; the binary is put where it is.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sanctum.service");
    fs::write(&path, unit.replace("/usr/local/bin/sanctum", env!("CARGO_BIN_EXE_sanctum"))).unwrap();
    if let Ok(output) = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path).output() {
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let about_it: Vec<_> = told.lines().filter(|line| line.contains("sanctum")).collect();
        assert!(about_it.is_empty(), "{told}");
    }
}

#[test]
fn the_image_starts_what_there_is() {
    let file = deployed("Dockerfile");
    for instruction in ["HEALTHCHECK", "CMD"] {
        let line = file.lines().find(|line| line.starts_with(instruction)).unwrap();
        let list = &line[line.find('[').unwrap()..];
        let words: Vec<String> = serde_json::from_str(list).unwrap();
        check_flags(words.iter().map(String::as_str));
    }
    assert!(file.lines().any(|line| line == "USER nonroot"));
}

#[test]
fn a_service_manager_is_told_when_it_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify.sock");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let server = Server::start_as(folder, &[], &[("NOTIFY_SOCKET", path.to_str().unwrap())]);
    let mut message = [0; 64];
    let len = manager.recv(&mut message).unwrap();
    assert_eq!(&message[..len], b"READY=1");
    drop(server);
}

#[test]
fn a_server_can_be_asked_whether_it_is_ready() {
    let server = Server::start(&[]);
    let asked = |folder: &Path| sanctum(folder, &["serve", "--check"]);
    let output = asked(server.folder.path());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let folder = server.stop();
    let output = asked(folder.path());
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("no server answers on the socket `data/sanctum.sock`"), "{told}");
}

#[test]
fn requests_are_logged_without_what_is_secret() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let server = Server::start_logged(folder, &["--log-format", "json"], &log);
    let headers = [("authorization", "Bearer sanctum_secret")];
    let mut client = server.client();
    assert_eq!(client.ask("GET", "/v1/main/topics?topic=hush", &headers, b"").status, 200);
    assert_eq!(client.get("/nothing/here").status, 404);
    let _folder = server.stop();
    let text = fs::read_to_string(&log).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let line = lines.iter().find(|line| line["path"] == "/v1/main/topics").expect("a line for the request");
    assert_eq!((&line["method"], &line["status"], &line["bytes"]), (&"GET".into(), &200.into(), &0.into()));
    assert!(line["us"].is_u64() && line["level"] == "INFO", "{line}");
    assert!(!text.contains("secret") && !text.contains("hush"), "{text}");
}
