//! Out of one log and into another.

use sanctum::disk::SimulatedDisk;
use sanctum::event::{Events, Extra, Head, Uuid};
use sanctum::log::export::end_of;
use sanctum::log::{
    Commit, Exported, FileLog, Imported, Log, MemoryLog, Query, RecordFormat, export, import,
};

use super::world::{Model, drafts, open, set_now_ms};

const FORMATS: [RecordFormat; 2] = [RecordFormat::Ndjson, RecordFormat::Msgpack];

fn exported(log: &dyn Log, from: u64, format: RecordFormat) -> (Vec<u8>, Exported) {
    let mut bytes = Vec::new();
    let done = export(log, from, &Query::default(), format, &mut bytes, &mut |_| {}).expect("it exports");
    (bytes, done)
}

fn imported(log: &dyn Log, mut bytes: &[u8]) -> Imported {
    import(log, &mut bytes, &mut |_| {}).expect("it imports")
}

fn refused(log: &dyn Log, mut bytes: &[u8]) -> String {
    import(log, &mut bytes, &mut |_| {}).expect_err("it is refused").to_string()
}

/// A log whose energies have all that an envelope can have.
fn rich() -> (SimulatedDisk, FileLog, Model) {
    set_now_ms(1_000_000);
    let disk = SimulatedDisk::new(1);
    let log = open(&disk);
    let mut model = Model::default();
    for n in 0..20 {
        model.append(&log, &drafts(n, 9));
    }
    let mut events = Events::default();
    for n in 0..3_u128 {
        // From the future, by its id and by its time.
        let mut head = Head::seed(Uuid::from_u128(u128::MAX - n), i64::MAX / 2);
        head.topic = events.store_topic(b"sanctum.fault");
        head.stream = if n == 0 { head.topic } else { events.store("straße".as_bytes()) };
        head.data =
            events.store(&[0x82, 1, 0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0, 0xa1, b'b', 0xc4, 2, 0xff, 0]);
        (head.correlation, head.causation, head.hops) = (Uuid::from_u128(7), Uuid::from_u128(8), 3);
        let tags = [("a".to_owned(), "1".to_owned())].into();
        events.push(head, Some(Extra { tags, content: Some("blake3-1".into()), ..Extra::default() }));
    }
    log.append(Commit::of(events)).expect("it appends");
    (disk, log, model)
}

#[test]
fn all_but_position_and_version_is_kept() {
    let (_disk, log, _) = rich();
    for format in FORMATS {
        let (bytes, done) = exported(&log, 0, format);
        let copy = MemoryLog::default();
        let into = imported(&copy, &bytes);
        assert_eq!((into.stored, into.known, into.bytes), (done.energies, 0, bytes.len() as u64));
        // A log that is as full gives the same, but for what a ttl has taken from the first.
        let (again, _) = exported(&copy, 0, RecordFormat::Ndjson);
        let plain = |bytes: &[u8]| -> Vec<serde_json::Value> {
            let rows = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            rows.map(|line| {
                let mut row: serde_json::Value = serde_json::from_slice(line).expect("JSON");
                let object = row.as_object_mut().expect("an object");
                object.remove("position");
                object.remove("version");
                row
            })
            .collect()
        };
        assert_eq!(plain(&again), plain(&exported(&log, 0, RecordFormat::Ndjson).0));
    }
}

#[test]
fn what_is_there_is_known_and_what_was_cut_off_goes_on() {
    let (_disk, log, _) = rich();
    let (bytes, done) = exported(&log, 0, RecordFormat::Msgpack);
    assert_eq!(
        imported(&log, &bytes),
        Imported { known: done.energies, bytes: bytes.len() as u64, ..Imported::default() }
    );
    let copy = MemoryLog::default();
    let half = &bytes[..bytes.len() / 2];
    let cut = refused(&copy, half);
    assert!(cut.contains("ends within record "), "{cut}");
    let stored = copy.head();
    assert!(stored > 10, "what came before is stored");
    let into = imported(&copy, &bytes);
    assert_eq!((into.known, into.stored), (stored, done.energies - stored));
}

#[test]
fn an_export_that_was_cut_anywhere_goes_on_and_is_the_same() {
    let (_disk, log, _) = rich();
    for format in FORMATS {
        let (bytes, _) = exported(&log, 0, format);
        let first = {
            let mut input = &bytes[..];
            end_of(&mut input).expect("it is whole")
        };
        assert_eq!(first, (bytes.len() as u64, Some(log.head())));
        for cut in (bytes.len() / 2..bytes.len()).step_by(37) {
            let mut input = &bytes[..cut];
            let (whole, position) = end_of(&mut input).expect("an export");
            let mut resumed = bytes[..whole as usize].to_vec();
            resumed.extend(exported(&log, position.expect("a position"), format).0);
            assert_eq!(resumed, bytes, "cut at {cut}");
        }
    }
}

#[test]
fn bad_input_is_told_with_its_place() {
    let log = MemoryLog::default();
    let id = Uuid::from_u128(1);
    let line = format!(r#"{{"id":"{id}","time":5,"topic":"a","data":{{"n":1}}}}"#);
    let other = line.replace("\"n\":1", "\"n\":2");
    let inputs = [
        format!("{line}\n{{\"id\":\"{id}\",\n"),
        format!("{line}\n\n{other}\n"),
        "[1]".to_owned(),
        "{\"$topic\":\"a\",\"amount\":7}".to_owned(),
        "{\"data\":{},\"time\":5}".to_owned(),
        format!("{{\"id\":\"{id}\",\"data\":{{}}}}"),
        line.replace("\"a\"", "\"a..b\""),
        line.replace(":5,", ":5,\"hops\":-1,"),
        line.replace(":5,", ":5,\"causation\":\"me\","),
        line.replace(":5,", ":\"today\","),
        line.replace("\"n\"", "\"$n\""),
        line.replace("{\"n\":1}", "7"),
    ];
    let mut texts: Vec<String> = inputs.iter().map(|input| refused(&log, input.as_bytes())).collect();
    texts.push(refused(&log, &[0x81, 0xa1, b'a', 0xc1]));
    assert_eq!(log.head(), 1, "what came before is stored, once");
    insta::assert_snapshot!(texts.join("\n"));
}
