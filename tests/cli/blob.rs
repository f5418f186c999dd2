//! `sanctum blob`.

use std::io::{Read, Write};
use std::process::Stdio;

use crate::Place;

#[test]
fn content_comes_back_by_its_digest() {
    let place = Place::new(&[("small", "abc"), ("empty", "")]);
    let large: Vec<u8> = (0..1_000_000_u32).map(|at| (at % 251) as u8).collect();
    std::fs::write(place.path().join("large"), &large).unwrap();
    let ran = place.run("blob put small large empty small");
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let digests: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(digests.len(), 4);
    assert_eq!(digests[0], blake3::hash(b"abc").to_hex().as_str());
    assert_eq!((digests[3], digests[2]), (digests[0], blake3::hash(b"").to_hex().as_str()));
    for (digest, content) in digests.iter().zip([b"abc".as_slice(), &large, b"", b"abc"]) {
        let ran = place.run(&format!("blob get {digest}"));
        assert!(ran.code == 0 && ran.bytes == content);
    }
    for arguments in ["blob put", "blob put -"] {
        assert_eq!(place.run_with(arguments, "abc").stdout.trim_end(), digests[0]);
    }
    // The log is made beside it, and names it.
    assert_eq!(place.run("cat").code, 1);
    assert_eq!(place.run(&format!("append photos {{}} --content {}", digests[1])).code, 0);
    assert!(place.run("last").stdout.contains(&format!("\"content\":\"{}\"", digests[1])));
    // A reader that goes away is no error.
    let mut child = place.command(&format!("blob get {}", digests[1])).spawn().unwrap();
    let mut first = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    assert_eq!((child.wait().unwrap().code(), first.as_slice()), (Some(0), &large[..10]));
}

#[test]
fn what_is_wrong_with_content_is_said() {
    let place = Place::new(&[("small", "abc"), ("file", "")]);
    // What comes after it says that it was synced once.
    let ran = place.run("blob put small file --plane damaged");
    let digest = ran.stdout.lines().next().unwrap();
    let pack = place.path().join("sanctum-data/planes/damaged/blobs/pack-000001.bin");
    let bytes = std::fs::read(&pack).unwrap();
    let at = bytes.windows(3).position(|bytes| bytes == b"abc").unwrap();
    std::fs::write(&pack, [&bytes[..at], b"abd", &bytes[at + 3..]].concat()).unwrap();
    let mut text = String::new();
    for (arguments, code) in [
        ("blob", 2),
        ("blob get 7", 2),
        ("blob put - -", 2),
        ("blob get 0000000000000000000000000000000000000000000000000000000000000000", 1),
        (&format!("blob get {digest} --plane damaged"), 1),
        ("blob put missing", 1),
        ("blob put small missing", 1),
        ("blob put small --data file", 1),
    ] {
        let ran = place.run(arguments);
        assert_eq!(ran.code, code, "{arguments}: {}", ran.stderr);
        text.push_str(&format!(
            "$ sanctum {arguments}\n{}{}",
            ran.stdout,
            ran.stderr.split("\n\n").next().unwrap()
        ));
        text.push_str(if ran.stderr.contains("\n\n") { "\n" } else { "" });
    }
    insta::assert_snapshot!(text);
}

#[test]
fn content_outlives_the_run_that_put_it() {
    let put = r#"return { topic = "put", cast = function(event)
      return { ["$topic"] = "kept", ["$content"] = blob.put(event.text) }
    end }"#;
    let get = r#"return { topic = "get", start = "oldest", cast = function(event)
      print(blob.get(event.digest))
    end }"#;
    let [abc, xyz] = [b"abc", b"xyz"].map(|bytes| blake3::hash(bytes).to_hex().to_string());
    let wanted: String =
        [&abc, &xyz].map(|digest| format!("{{\"$topic\":\"get\",\"digest\":\"{digest}\"}}\n")).concat();
    let place = Place::new(&[
        ("put.lua", put),
        ("get.lua", get),
        ("put.ndjson", "{\"$topic\":\"put\",\"text\":\"abc\"}"),
        ("get.ndjson", &wanted),
        ("outside", "xyz"),
    ]);
    let place_of = "--data sanctum-data";
    assert_eq!(place.run(&format!("cast put.lua --seed put.ndjson {place_of}")).code, 0);
    assert!(place.run("last --topic kept").stdout.contains(&abc));
    assert_eq!(place.run(&format!("blob get {abc}")).stdout, "abc");
    // A digest of nothing that is there is nil to a spell; what was stored meanwhile, in whatever way, is seen.
    assert_eq!(place.run(&format!("cast get.lua --seed get.ndjson {place_of}")).stdout, "abc\nnil\n");
    assert_eq!(place.run("blob put outside").stdout.trim_end(), xyz);
    let again = format!("cast get.lua --seed get.ndjson {place_of} --again");
    assert_eq!(place.run(&again).stdout, "abc\nxyz\n");
    // Another plane has content of its own.
    assert_eq!(place.run(&format!("{again} --plane other")).stdout, "nil\nnil\n");
    // What cannot be read is a fault, and not nil.
    let pack = place.path().join("sanctum-data/planes/main/blobs/pack-000001.bin");
    let mut bytes = std::fs::read(&pack).unwrap();
    let at = bytes.windows(3).position(|bytes| bytes == b"abc").unwrap();
    bytes[at] = b'A';
    std::fs::write(&pack, bytes).unwrap();
    insta::assert_snapshot!(place.run(&again).text());
}

#[test]
fn one_stores_at_a_time() {
    let place = Place::new(&[("small", "abc")]);
    let mut child = place.command("blob put -").stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"abc").unwrap();
    while !place.has("sanctum-data/planes/main/blobs/LOCK") {
        std::thread::yield_now();
    }
    let ran = place.run("blob put small");
    assert!(ran.code == 1 && ran.stderr.contains("another process stores content"), "{}", ran.stderr);
    // Appending goes on, and so does reading.
    assert_eq!(place.run("append a {}").code, 0);
    drop(stdin);
    assert!(child.wait().unwrap().success());
}
