//! What a log says when it cannot do what was asked: on the command line, and to who uses the library.

#![allow(missing_docs)]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use sanctum::disk::{Faults, SimulatedDisk, When};
use sanctum::event::{Events, Head, Uuid};
use sanctum::log::file::Options;
use sanctum::log::{Commit, Error, FileLog, Log, cursor};
use tempfile::TempDir;

fn now_ms() -> i64 {
    1_000_000_000_000
}

/// A folder to run commands in; paths in texts are relative to it.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(TempDir::new().expect("a folder"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("it is made");
        std::fs::write(path, bytes).expect("it is written");
    }

    /// A log of three energies in `data`.
    fn with_log() -> Self {
        let place = Self::new();
        let told = place.run("append orders - --data data", "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
        assert!(told.contains("exit 0"), "{told}");
        place
    }

    fn log(&self) -> FileLog {
        FileLog::open(&self.path().join("data/planes/main"), Options::new(now_ms)).expect("it opens")
    }

    /// What a command says; words are split at blanks.
    fn run(&self, arguments: &str, input: &str) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sanctum"));
        command.args(arguments.split_whitespace()).current_dir(self.path()).env("HOME", self.path());
        for name in ["COLUMNS", "SANCTUM_PATH", "SANCTUM_LOG", "XDG_DATA_HOME", "NO_COLOR"] {
            command.env_remove(name);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        // Who does not read its input has closed it.
        let _broken_pipe = stdin.write_all(input.as_bytes());
        drop(stdin);
        let out = child.wait_with_output().expect("it ends");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = out.status.code().unwrap_or(-1);
        format!("exit {code}\n{}{}", text(&out.stdout), text(&out.stderr))
    }

    /// What some commands say, one after the other.
    fn all(&self, commands: &[(&str, &str)]) -> String {
        let told = commands.iter().map(|(arguments, input)| {
            let shown = if input.is_empty() { String::new() } else { format!(" < {input:?}") };
            format!("$ sanctum {arguments}{shown}\n{}", self.run(arguments, input))
        });
        told.collect::<Vec<_>>().join("\n")
    }
}

#[test]
fn a_log_that_is_not_there() {
    let place = Place::with_log();
    std::fs::create_dir(place.path().join("empty")).expect("a folder");
    let told = place.all(&[
        ("cat --data nowhere", ""),
        ("get 0 --data empty", ""),
        ("topics --data data --plane other", ""),
        ("trace 0 --data nowhere", ""),
    ]);
    insta::assert_snapshot!(told);
    assert!(!place.path().join("nowhere").exists(), "who reads makes nothing");
}

#[test]
fn a_folder_that_cannot_be_written() {
    let place = Place::new();
    place.write("file", b"");
    let told = place.all(&[("append orders {} --data file/below", ""), ("cat --data file/below", "")]);
    insta::assert_snapshot!(told);
}

#[test]
fn a_folder_of_another_program() {
    let place = Place::new();
    place.write("notes/planes/main/notes.txt", b"buy milk");
    place.write("other/planes/main/MANIFEST", b"Manifest-Version: 1.0\n");
    place.write("binary/planes/main/MANIFEST", &[0xff, 0x00, 0xfe]);
    let told = place.all(&[
        ("append orders {} --data notes", ""),
        ("cat --data notes", ""),
        ("append orders {} --data other", ""),
        ("cat --data other", ""),
        ("append orders {} --data binary", ""),
    ]);
    insta::assert_snapshot!(told);
    assert!(place.path().join("notes/planes/main/notes.txt").exists(), "nothing is touched");
}

#[test]
fn a_later_version() {
    let place = Place::with_log();
    let path = place.path().join("data/planes/main/MANIFEST");
    let manifest = std::fs::read_to_string(&path).expect("a manifest");
    let body = manifest.split("crc32c").next().expect("a body").replace("format 1", "format 2");
    let newer = format!("{body}crc32c {:08x}\n", crc32c::crc32c(body.as_bytes()));
    std::fs::write(&path, newer).expect("it is written");
    let of_manifest = place.all(&[("append orders {} --data data", ""), ("cat --data data", "")]);
    std::fs::write(&path, manifest).expect("it is written");
    let path = place.path().join("data/planes/main/00000000000000000000-0.log");
    let mut segment = std::fs::read(&path).expect("a segment");
    segment[8] = 2;
    let crc = crc32c::crc32c_append(crc32c::crc32c(&segment[..12]), &segment[16..64]);
    segment[12..16].copy_from_slice(&crc.to_le_bytes());
    std::fs::write(&path, segment).expect("it is written");
    let told = [of_manifest, place.all(&[("cat --data data", "")])].join("\n");
    insta::assert_snapshot!(told);
}

#[test]
fn a_log_that_another_process_writes() {
    let place = Place::with_log();
    let log = place.log();
    let refused = place.run("append orders {} --data data", "");
    let read = place.run("get 2 --data data", "");
    assert!(read.starts_with("exit 0"), "reading is possible meanwhile: {read}");
    let error = FileLog::open(log.folder(), Options::new(now_ms)).expect_err("it is locked").to_string();
    let process = format!("process {}", std::process::id());
    let told = format!("{refused}\n{}", error.replace(&*place.path().to_string_lossy(), "…"));
    let told = told.replace(&process, "process 1234");
    insta::assert_snapshot!(told);
    log.close().expect("it closes");
    assert!(place.run("append orders {} --data data", "").starts_with("exit 0"), "then it is free");
}

#[test]
fn what_is_no_energy() {
    let place = Place::with_log();
    let told = place.all(&[
        ("append orders..eu {} --data data", ""),
        ("append orders/eu {} --data data", ""),
        ("append sanctum.fault {} --data data", ""),
        ("append orders - --data data", "{\"n\":4}\n{\"$topic\":\"sanctum.fault\"}\n{\"n\":5}\n"),
        ("append orders - --data data", "{\"$topic\":\"a..b\"}\n"),
        ("append orders - --data data", "{\"n\":5}\n\n{\"n\": 5,, }\n"),
        ("append orders [1] --data data", ""),
        ("append orders {} --causation 01890a5d-ac96-774b-bcce-b302099a8057 --data data", ""),
    ]);
    let receipt = |line| if str::starts_with(line, "{\"position\"") { "(a receipt)" } else { line };
    let told: Vec<&str> = told.lines().map(receipt).collect();
    let told = told.join("\n");
    insta::assert_snapshot!(told);
    assert_eq!(place.log().head(), 5, "what came before the faults was stored, nothing else");
}

#[test]
fn an_energy_that_is_too_large() {
    let place = Place::with_log();
    let large = format!("{{\"text\":\"{}\"}}\n", "x".repeat(3 << 20));
    let told = place.run("append orders - --data data", &large);
    let told: Vec<&str> = told.lines().map(|line| line.get(..160).unwrap_or(line)).collect();
    let commit = Error::TooLarge { what: "the commit", bytes: (1 << 30) + 1, max: 1 << 30 };
    let told = format!("{}\n\n{commit}", told.join("\n"));
    insta::assert_snapshot!(told);
    assert_eq!(place.log().head(), 3);
}

#[test]
fn places_beyond_the_end() {
    let place = Place::with_log();
    let log = place.log();
    cursor::advance(&log, "mailer", 99).expect("it moves");
    log.close().expect("it closes");
    let told = place.all(&[
        ("cat --cursor mailer --data data", ""),
        ("cat --after 99 --data data", ""),
        ("get 3 --data data", ""),
        ("get 01890a5d-ac96-774b-bcce-b302099a8057 --data data", ""),
        ("trace 3 --data data", ""),
        ("append orders {} --unless-topic orders --after 3 --data data", ""),
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn damage() {
    let place = Place::with_log();
    let folder = place.path().join("data/planes/main");
    let path = folder.join("00000000000000000000-0.log");
    let good = std::fs::read(&path).expect("a segment");
    let mut told = Vec::new();
    for offset in [5, 20, 64, 150] {
        let mut bytes = good.clone();
        bytes[offset] ^= 0x10;
        std::fs::write(&path, bytes).expect("it is written");
        told.push(format!("byte {offset}\n{}", place.all(&[("append orders {} --data data", "")])));
    }
    std::fs::remove_file(&path).expect("it is removed");
    told.push(place.all(&[("cat --data data", "")]));
    std::fs::write(&path, &good).expect("it is written");
    std::fs::remove_file(folder.join("MANIFEST")).expect("it is removed");
    told.push(place.all(&[("append orders {} --data data", ""), ("cat --data data", "")]));
    let told = told.join("\n");
    insta::assert_snapshot!(told);
}

fn batch(from: u64, count: u64) -> Commit {
    let mut events = Events::default();
    for n in from..from + count {
        let mut head = Head::seed(Uuid::from_u128(u128::from(n) + 1), now_ms());
        head.topic = events.store_topic(b"orders");
        head.stream = head.topic;
        head.data = events.store(&[0x80]);
        events.push(head, None);
    }
    Commit::of(events)
}

fn simulated(disk: &SimulatedDisk) -> Options {
    let disk = Arc::new(disk.clone());
    Options { disk, segment_bytes: 4 << 10, background: false, ..Options::new(now_ms) }
}

#[test]
fn a_full_disk_loses_nothing_and_there_may_be_room_again() {
    let (disk, folder) = (SimulatedDisk::new(1), Path::new("/data/planes/main"));
    let log = FileLog::open(folder, simulated(&disk)).expect("it opens");
    disk.set_faults(Faults { room_bytes: Some(disk.used_bytes() + 5_000), ..Faults::default() });
    let (mut stored, mut told) = (0, Vec::new());
    while told.len() < 2 {
        match log.append(batch(stored, 10)) {
            Ok(_) => stored += 10,
            Err(error) => told.push(error.to_string()),
        }
    }
    assert_eq!((log.head(), log.visible()), (stored, stored));
    // Reading goes on, here and elsewhere.
    assert!(log.read(stored - 1).expect("it reads").is_some());
    let reader = FileLog::open_to_read(folder, simulated(&disk)).expect("it opens to read");
    assert_eq!(reader.head(), stored);
    // Somebody made room.
    disk.set_faults(Faults::default());
    log.append(batch(stored, 10)).expect("it goes on");
    log.close().expect("it closes");
    let log = FileLog::open(folder, simulated(&disk)).expect("it opens");
    assert_eq!(log.head(), stored + 10);
    log.close().expect("it closes");
    // No log can be made where there is no room, and a manifest cannot be written.
    disk.set_faults(Faults { room_bytes: Some(disk.used_bytes()), ..Faults::default() });
    for folder in [folder, Path::new("/data/planes/other")] {
        told.push(FileLog::open(folder, simulated(&disk)).expect_err("there is no room").to_string());
    }
    disk.set_faults(Faults::default());
    assert_eq!(FileLog::open(folder, simulated(&disk)).expect("it opens").head(), stored + 10);
    assert_eq!(FileLog::open(Path::new("/data/planes/other"), simulated(&disk)).expect("it opens").head(), 0);
    let told = told.join("\n");
    insta::assert_snapshot!(told);
}

#[test]
fn a_disk_that_fails_ends_writing_until_the_log_is_opened_again() {
    let (disk, folder) = (SimulatedDisk::new(1), Path::new("/data/planes/main"));
    let log = FileLog::open(folder, simulated(&disk)).expect("it opens");
    log.append(batch(0, 10)).expect("it appends");
    let mut told = Vec::new();
    disk.set_faults(Faults { failing_syncs: When::Nth(1), ..Faults::default() });
    for at in [10, 20] {
        told.push(log.append(batch(at, 10)).expect_err("the sync failed").to_string());
    }
    told.push(log.sync().expect_err("the sync failed").to_string());
    assert!(log.read(9).expect("it reads").is_some(), "what was acknowledged is read");
    told.push(log.close().expect_err("the sync failed").to_string());
    let log = FileLog::open(folder, simulated(&disk)).expect("it opens again");
    let head = log.head();
    assert!(head == 10 || head == 20, "what was not acknowledged is there as a whole or not: {head}");
    disk.set_faults(Faults { failing_writes: When::Nth(1), ..Faults::default() });
    told.push(log.append(batch(head, 10)).expect_err("the write failed").to_string());
    let reader = FileLog::open_to_read(folder, simulated(&disk)).expect("it opens to read");
    told.push(reader.append(batch(head, 10)).expect_err("it only reads").to_string());
    drop(log);
    disk.set_faults(Faults { failing_opens: When::Always, ..Faults::default() });
    told.push(FileLog::open(folder, simulated(&disk)).expect_err("it cannot").to_string());
    let told = told.join("\n");
    insta::assert_snapshot!(told);
}
