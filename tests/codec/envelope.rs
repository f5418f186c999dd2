//! The `$` keys, topics and ids.

use std::collections::BTreeSet;

use rmpv::Value;
use sanctum::event::envelope::{self, ALLOWED, LOG_ONLY, SeedChain, output_id, seed_id, spell_key};
use sanctum::event::{Expect, Fields, Ttl, Uuid, topic};

use crate::model::{decode, encode};

fn set(key: &str, value: impl Into<Value>) -> Result<Fields, String> {
    let mut fields = Fields::default();
    match fields.set(key, &encode(&value.into())) {
        Ok(()) => Ok(fields),
        Err(error) => {
            assert_eq!(error.key(), key);
            let text = error.to_string();
            assert!(text.contains(&format!("`{key}`")), "{text} names {key}");
            Err(text)
        }
    }
}

#[test]
fn fields_are_set() {
    assert_eq!(set("$topic", "a.b").unwrap().topic.as_deref(), Some("a.b"));
    assert_eq!(set("$stream", "user 1 é").unwrap().stream.as_deref(), Some("user 1 é"));
    assert_eq!(set("$content", "blake3:00ff").unwrap().content.as_deref(), Some("blake3:00ff"));
    let id = "01234567-89ab-8def-8123-456789abcdef";
    assert_eq!(set("$id", id).unwrap().id, Some(id.parse::<Uuid>().unwrap()));
    assert_eq!(set("$time", -5).unwrap().time_ms, Some(-5));
    assert_eq!(set("$time", 1.5e12).unwrap().time_ms, Some(1_500_000_000_000));
    assert_eq!(set("$time", "2018-01-31T01:49:59.65Z").unwrap().time_ms, Some(1_517_363_399_650));
    assert_eq!(set("$time", "2018-01-31T02:49:59.650+01:00").unwrap().time_ms, Some(1_517_363_399_650));
    for (text, ttl) in [
        ("forever", Ttl::Forever),
        ("ephemeral", Ttl::Ephemeral),
        ("time:60000", Ttl::TimeMs(60_000)),
        ("last:1", Ttl::Last(1)),
    ] {
        assert_eq!(set("$ttl", text).unwrap().ttl, ttl);
        assert_eq!(ttl.to_string(), text);
    }
    for (value, expect) in [
        (Value::from("any"), Expect::Any),
        (Value::from("none"), Expect::None),
        (Value::from(7), Expect::Version(7)),
        (Value::from("7"), Expect::Version(7)),
    ] {
        assert_eq!(set("$expect", value).unwrap().expect, expect);
        assert_eq!(expect.to_string().parse(), Ok(expect));
    }
    let tags = Value::Map(vec![("k".into(), "v".into())]);
    assert_eq!(set("$tags", tags).unwrap().tags, [("k".to_owned(), "v".to_owned())].into());
    assert_eq!(set("$tags", Value::Array(vec![])).unwrap(), Fields::default());
    for key in ALLOWED {
        assert!(set(key, Value::Nil).unwrap().is_default(), "nil leaves {key} unset");
    }
}

#[test]
fn bad_fields_are_refused() {
    for key in LOG_ONLY {
        let text = set(key, 1).unwrap_err();
        assert!(text.starts_with(&format!("only the log may set `{key}`")), "{text}");
        assert!(ALLOWED.iter().all(|allowed| text.contains(allowed)), "{text} lists what is allowed");
    }
    let text = set("$tiem", 1).unwrap_err();
    assert!(text.starts_with("unknown key `$tiem` (did you mean `$time`?)"), "{text}");
    for key in ["$", "$TOPIC ", "$correlationid", "topic"] {
        assert!(set(key, 1).unwrap_err().starts_with("unknown key"));
    }
    for (key, value) in [
        ("$topic", Value::from("")),
        ("$topic", Value::from("a..b")),
        ("$topic", Value::from("sanctum.fault")),
        ("$topic", Value::from("$sys.x")),
        ("$topic", Value::from(1)),
        ("$topic", Value::Binary(vec![0xff])),
        ("$stream", Value::from("")),
        ("$stream", Value::from("a\nb")),
        ("$stream", Value::from("x".repeat(256))),
        ("$stream", Value::from(5)),
        ("$content", Value::from("")),
        ("$content", Value::from("a b")),
        ("$id", Value::from("x")),
        ("$id", Value::from("00000000-0000-0000-0000-000000000000")),
        ("$id", Value::from(1)),
        ("$time", Value::from(1.5)),
        ("$time", Value::F64(f64::NAN)),
        ("$time", Value::from("yesterday")),
        ("$time", Value::from("2018-01-31")),
        ("$time", Value::from(u64::MAX)),
        ("$tags", Value::from("a")),
        ("$tags", Value::Map(vec![("a".into(), 1.into())])),
        ("$tags", Value::Map(vec![(1.into(), "a".into())])),
        ("$ttl", Value::from("time:")),
        ("$ttl", Value::from("time:1s")),
        ("$ttl", Value::from("time:-1")),
        ("$ttl", Value::from("last:0")),
        ("$ttl", Value::from("last:+1")),
        ("$ttl", Value::from("Forever")),
        ("$ttl", Value::from(5)),
        ("$expect", Value::from(-1)),
        ("$expect", Value::from("some")),
        ("$expect", Value::from("")),
        ("$expect", Value::from(true)),
    ] {
        let text = set(key, value.clone()).expect_err(&format!("{key} = {value}"));
        assert!(!text.is_empty());
    }
}

#[test]
fn fields_are_split_from_data() {
    let entries = vec![
        (Value::from(1), Value::from("one")),
        (Value::from("!"), Value::from(1)),
        (Value::from("$time"), Value::from(5)),
        (Value::from("$topic"), Value::from("a.b")),
        (Value::from("a"), Value::from(2)),
        (Value::from("b"), Value::Map(vec![(Value::from("$x"), Value::from(1))])),
    ];
    let data = encode(&Value::Map(entries.clone()));
    let (mut out, mut fields) = (Vec::new(), Fields::default());
    envelope::split(&data, &mut out, &mut fields).unwrap();
    assert_eq!(fields.topic.as_deref(), Some("a.b"));
    assert_eq!(fields.time_ms, Some(5));
    let rest: Vec<_> =
        entries.into_iter().filter(|(key, _)| !matches!(key.as_str(), Some("$time" | "$topic"))).collect();
    assert_eq!(decode(&out), Value::Map(rest));

    let plain = encode(&Value::Map(vec![(Value::from("a"), Value::from(2))]));
    out.clear();
    envelope::split(&plain, &mut out, &mut fields).unwrap();
    assert_eq!(out, plain);
    assert!(fields.is_default());

    out.clear();
    let unknown = encode(&Value::Map(vec![(Value::from("$nope"), Value::from(2))]));
    assert!(envelope::split(&unknown, &mut out, &mut fields).unwrap_err().to_string().contains("`$nope`"));
    let binary = encode(&Value::Map(vec![(Value::Binary(b"$\xff".into()), Value::from(2))]));
    assert!(envelope::split(&binary, &mut out, &mut fields).is_err());
    assert!(envelope::split(&[0x90], &mut out, &mut fields).is_err());
    assert!(envelope::split(&[], &mut out, &mut fields).is_err());
    assert!(out.is_empty());
}

#[test]
fn topics_are_tokens() {
    for good in ["a", "orders.eu.placed", "A-z_0.$x", "sanctum", "sanctumx.y", &"x".repeat(255)] {
        assert_eq!(topic::validate(good), Ok(()), "{good}");
        assert!(!topic::is_reserved(good), "{good}");
    }
    for reserved in ["$a", "sanctum.fault", "sanctum.tick"] {
        assert_eq!(topic::validate(reserved), Ok(()));
        assert!(topic::is_reserved(reserved), "{reserved}");
    }
    for (bad, column) in [
        ("", 1),
        (".", 1),
        (".a", 1),
        ("a.", 3),
        ("a..b", 3),
        ("a b", 2),
        ("a.*", 3),
        ("orders.>", 8),
        ("é", 1),
        ("aé", 2),
        ("a/b", 2),
        (&"x".repeat(256), 256),
    ] {
        assert_eq!(topic::validate(bad).map_err(|error| error.column()), Err(column), "{bad}");
    }
}

#[test]
fn seed_ids_follow_from_the_file() {
    let ids = |file: &str, records: &[&str]| -> Vec<Uuid> {
        let mut chain = SeedChain::new(file);
        records.iter().map(|record| chain.next(record.as_bytes())).collect()
    };
    let once = ids("a.ndjson", &["1", "2", "2", "", "", "3"]);
    assert_eq!(once, ids("a.ndjson", &["1", "2", "2", "", "", "3"]));
    assert_eq!(once.iter().collect::<BTreeSet<_>>().len(), once.len(), "equal records have ids of their own");
    assert!(once.iter().all(|id| id.get_version_num() == 8 && id.get_variant() == uuid::Variant::RFC4122));
    assert!(ids("b.ndjson", &["1", "2"]).iter().all(|id| !once.contains(id)));
    // A changed record changes every later id; the ones before stay.
    let changed = ids("a.ndjson", &["1", "X", "2", "", "", "3"]);
    assert_eq!(once[..2], changed[..2]);
    assert!(once[2..].iter().zip(&changed[2..]).all(|(a, b)| a != b));
    // A chain can be kept and taken up again.
    let mut chain = SeedChain::new("a.ndjson");
    chain.next(b"1");
    let kept = SeedChain { chain: chain.chain, ordinal: chain.ordinal };
    assert_eq!(seed_id(kept.chain, kept.ordinal), once[1]);
    // Where a record ends matters, and so do zeros at its end.
    let seconds: BTreeSet<_> =
        ["", "\0", "0123456789abcdef", "0123456789abcdef\0", "0123456789abcde", "123456789abcdef0"]
            .iter()
            .map(|first| ids("a.ndjson", &[first, "x"])[1])
            .chain([ids("a.ndjson", &["0123456789abcdef", "", "x"])[2]])
            .collect();
    assert_eq!(seconds.len(), 7);
    // Pinned: the ids of what is on disk must never change.
    insta::assert_snapshot!(once[0], @"de226e77-0e48-8536-9ce9-3691ccec7eac");
    insta::assert_snapshot!(once[5], @"42eb199a-a432-8398-8756-9d04e1feef00");
}

#[test]
fn output_ids_follow_from_the_cast() {
    let input = Uuid::from_u128(1);
    let (a, b) = (spell_key("a", 0), spell_key("b", 0));
    let ids: BTreeSet<_> = [&a, &b]
        .into_iter()
        .flat_map(|spell| (0..100).map(|index| output_id(input, spell, index)))
        .chain([output_id(Uuid::from_u128(2), &a, 0)])
        .collect();
    assert_eq!(ids.len(), 201);
    assert!(ids.iter().all(|id| id.get_version_num() == 8));
    insta::assert_snapshot!(output_id(input, &a, 0), @"7be1deac-f9c7-809c-8544-44a36238e0f2");
}

/// Each bit of an id hangs on each bit of what it is derived from, wherever that is.
#[test]
fn ids_look_random() {
    let after = |record: &[u8]| {
        let mut chain = SeedChain::new("a.ndjson");
        chain.next(record);
        chain.next(b"{}").as_u128()
    };
    let ones = |left: u128, right: u128| (left ^ right).count_ones();
    let mut record = [b'x'; 40];
    // What the chain holds shows in the next id.
    let id = |record: &[u8]| {
        let mut chain = SeedChain::new("a.ndjson");
        chain.next(record);
        seed_id(chain.chain, chain.ordinal).as_u128()
    };
    assert_eq!(id(&record), after(&record));
    let origin = after(&record);
    let mut total = 0;
    for bit in 0..8 * record.len() {
        record[bit / 8] ^= 1 << (bit % 8);
        let changed = ones(origin, after(&record));
        record[bit / 8] ^= 1 << (bit % 8);
        assert!((30..=92).contains(&changed), "bit {bit} changes {changed} of 122");
        total += changed;
    }
    assert!((55..=67).contains(&(total / 320)), "a bit changes {} of 122 on average", total / 320);

    let key = spell_key("a", 0);
    let outputs: BTreeSet<_> = (0..1_000_u128)
        .flat_map(|input| (0..20).map(move |index| output_id(Uuid::from_u128(input << 64), &key, index)))
        .collect();
    assert_eq!(outputs.len(), 20_000);
    for bit in 0..128 {
        let fixed = (62..64).contains(&bit) || (76..80).contains(&bit);
        let set = outputs.iter().filter(|id| (id.as_u128() >> bit) & 1 == 1).count();
        assert!(fixed || (9_500..=10_500).contains(&set), "bit {bit} is set in {set} of 20,000");
    }
}
