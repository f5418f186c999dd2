//! The `sanctum.` topics are written by the engine alone: a look-alike is refused on every way in.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::service::{Service, folder};

const FORGED: &str = r#"{"$topic":"sanctum.spell.bound","spell":"forged"}"#;

fn sanctum(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sanctum"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn by_http() {
    let service = Service::start(&[], &[]);
    let mut client = service.client();
    let list = format!("[{FORGED}]");
    let lines = format!("{{}}\n{FORGED}\n");
    let message = b"\x81\xa6$topic\xabsanctum.abc".as_slice();
    for (path, kind, body, status) in [
        ("/v1/main/append/sanctum.exec.exited", "application/json", "{}".as_bytes(), 403),
        ("/v1/main/append/sanctum.exec.start", "application/json", b"{}", 403),
        ("/v1/main/append/a", "application/json", FORGED.as_bytes(), 400),
        ("/v1/main/append/a", "application/json", list.as_bytes(), 400),
        ("/v1/main/append/a", "application/x-ndjson", lines.as_bytes(), 400),
        ("/v1/main/append/a", "application/msgpack", message, 400),
        ("/v1/main/append/a?ttl=ephemeral", "application/json", FORGED.as_bytes(), 400),
        ("/sanctum.tick", "application/json", b"{}", 403),
        ("/sanctum.tick", "text/plain", b"words", 403),
        ("/a", "application/json", FORGED.as_bytes(), 400),
    ] {
        let answer = client.ask("POST", path, &[("content-type", kind)], body);
        assert_eq!(answer.status, status, "{path} {kind}: {}", answer.text());
    }
    assert_eq!(service.energies("%3E").len(), 0);
}

#[test]
fn by_commands_and_spells() {
    let forging = r#"return { start = "oldest", topic = "a", cast = function()
      return { ["$topic"] = "sanctum.spell.bound", spell = "forged" }
    end }"#;
    let folder = folder(&[
        ("forged.ndjson", FORGED),
        ("forged.lua", r#"return { ["$topic"] = "sanctum.tick" }"#),
        ("forging.lua", forging),
        ("good.ndjson", r#"{"$topic":"a"}"#),
        ("none.lua", "return { cast = function() end }"),
    ]);
    for arguments in [
        &["append", "sanctum.tick", "{}", "--data", "data"][..],
        &["append", "a", FORGED, "--data", "data"],
        &["cast", "none.lua", "--seed", "forged.ndjson", "--data", "data"],
        &["cast", "none.lua", "--seed", "forged.lua", "--data", "data"],
        &["cast", "none.lua", "--seed", "good.ndjson", "--topic", "sanctum.tick", "--data", "data"],
        &["cast", "forging.lua", "--seed", "good.ndjson", "--data", "data"],
    ] {
        let output = sanctum(folder.path(), arguments);
        assert!(!output.status.success(), "{arguments:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("belong") || said.contains("reserved for the engine"), "{arguments:?}: {said}");
    }
    let kept = sanctum(folder.path(), &["cat", "--topic", "sanctum.>", "--data", "data"]);
    assert!(kept.stdout.is_empty(), "{}", String::from_utf8_lossy(&kept.stdout));
}
