//! JSON in and out, against `serde_json` and by example.

use proptest::prelude::*;
use sanctum::event::json::{self, JsonError, Parser};
use sanctum::event::{Events, Extra, Fields, Head, Ttl, Uuid, msgpack};

use crate::model::{any_value, canonical, encode};

fn parse(text: &str) -> Result<(Vec<u8>, u32), JsonError> {
    let mut out = Vec::new();
    let notes = Parser::new().to_msgpack(text.as_bytes(), &mut out)?;
    let mut again = Vec::new();
    msgpack::canonicalize(&out, &mut again).unwrap();
    assert_eq!(out, again, "{text} is canonical");
    Ok((out, notes.big_uints))
}

fn print(data: &[u8]) -> String {
    let mut out = Vec::new();
    json::write_value(data, &mut out);
    String::from_utf8(out).unwrap()
}

/// What a text becomes when it is read and written again.
fn round(text: &str) -> String {
    print(&parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).0)
}

/// Any JSON that `serde_json` can hold, keys sorted and each once.
fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let scalar = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        (any::<i64>(), 0..64_u32).prop_map(|(value, shift)| (value >> shift).into()),
        any::<f64>().prop_map(Into::into),
        any::<f64>().prop_filter("finite", |value| value.is_finite()).prop_map(Into::into),
        ".{0,40}".prop_map(Into::into),
        "[ -~]{0,60}".prop_map(Into::into),
    ];
    scalar.prop_recursive(5, 80, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Into::into),
            prop::collection::btree_map("[a-z]{0,12}|.{0,10}", inner, 0..40).prop_map(|map| {
                serde_json::Value::Object(map.into_iter().filter(|(key, _)| !key.starts_with('$')).collect())
            }),
        ]
    })
}

fn tree(value: &serde_json::Value) -> rmpv::Value {
    match value {
        serde_json::Value::Null => rmpv::Value::Nil,
        serde_json::Value::Bool(value) => (*value).into(),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(value) => value.into(),
            None => number.as_f64().unwrap().into(),
        },
        serde_json::Value::String(text) => text.as_str().into(),
        serde_json::Value::Array(items) => rmpv::Value::Array(items.iter().map(tree).collect()),
        serde_json::Value::Object(map) => {
            rmpv::Value::Map(map.iter().map(|(key, value)| (key.as_str().into(), tree(value))).collect())
        }
    }
}

fn reversed(value: &serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Array(items) => items.iter().map(reversed).collect(),
        serde_json::Value::Object(map) => {
            map.iter().rev().map(|(key, value)| (key.clone(), reversed(value))).collect()
        }
        other => other.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn json_becomes_the_same_tree(value in any_json()) {
        let text = value.to_string();
        let expected = canonical(&tree(&value)).0;
        prop_assert_eq!(&parse(&text).unwrap().0, &encode(&expected));
        prop_assert_eq!(&parse(&round(&text)).unwrap().0, &encode(&expected));
        // As text it is JSON to others, too. (`serde_json` rounds floats that it reads.)
        prop_assert!(serde_json::from_str::<serde_json::Value>(&round(&text)).is_ok());
    }

    #[test]
    fn json_in_any_form_is_the_same(value in any_json()) {
        let expected = parse(&value.to_string()).unwrap();
        prop_assert_eq!(&parse(&reversed(&value).to_string()).unwrap(), &expected);
        prop_assert_eq!(&parse(&serde_json::to_string_pretty(&value).unwrap()).unwrap(), &expected);
    }

    /// Data with string keys that are not spellings comes back to the bit, whatever it holds.
    #[test]
    fn data_comes_back_from_json(value in any_value()) {
        let value = with_string_keys(&value);
        let mut data = Vec::new();
        msgpack::canonicalize(&encode(&value), &mut data).unwrap();
        let text = print(&data);
        prop_assert_eq!(parse(&text).unwrap().0, data, "{}", text);
    }

    #[test]
    fn numbers_are_read_as_by_serde(text in "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?") {
        match (serde_json::from_str::<f64>(&text), parse(&text)) {
            (Ok(expected), Ok((data, big))) => match msgpack::token_at(&data).unwrap() {
                msgpack::Token::Int(value) => prop_assert_eq!(value.to_string(), text.replacen("-0", "0", usize::from(text == "-0"))),
                msgpack::Token::Float(value) => {
                    prop_assert_eq!(value.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{} {}", text, expected);
                    prop_assert_eq!(big > 0, !text.contains(['.', 'e', 'E']));
                }
                other => panic!("{other:?}"),
            },
            (Err(_), Err(_)) => {}
            (expected, found) => panic!("{text}: {expected:?} {found:?}"),
        }
    }

    #[test]
    fn strings_are_read_as_by_serde(body in "([ -!#-\\[\\]-~é😀]|\\\\[\"\\\\/bfnrtu]|\\\\u[0-9a-fA-F]{4}|\\\\ud83d\\\\ude00){0,12}") {
        let text = format!("\"{body}\"");
        match (serde_json::from_str::<String>(&text), parse(&text)) {
            (Ok(expected), Ok((data, _))) => {
                prop_assert_eq!(msgpack::token_at(&data).unwrap(), msgpack::Token::Str(expected.as_bytes()));
            }
            (Err(_), Err(_)) => {}
            (expected, found) => panic!("{text}: {expected:?} {found:?}"),
        }
    }
}

fn with_string_keys(value: &rmpv::Value) -> rmpv::Value {
    use rmpv::Value;
    match value {
        Value::Array(items) => Value::Array(items.iter().map(with_string_keys).collect()),
        Value::Map(entries) => {
            let entries =
                entries.iter().map(|(key, value)| (format!("k{key}").into(), with_string_keys(value)));
            Value::Map(entries.collect())
        }
        // A NaN's payload has no spelling.
        Value::F64(float) if float.is_nan() => Value::F64(f64::NAN),
        Value::F32(float) if float.is_nan() => Value::F64(f64::NAN),
        other => other.clone(),
    }
}

#[test]
fn values_are_written_as_documented() {
    for (text, expected) in [
        ("2", "2"),
        ("2.0", "2.0"),
        ("1e3", "1000.0"),
        ("1E+2", "100.0"),
        ("-0", "0"),
        ("-0.0", "-0.0"),
        ("1e300", "1e300"),
        ("1.5e-7", "1.5e-7"),
        ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("9223372036854775808", "9.223372036854776e18"),
        ("18446744073709551615", "1.8446744073709552e19"),
        ("18446744073709551616", "1.8446744073709552e19"),
        (
            "\"\\u0000\\u001f\\b\\f\\n\\r\\t\\\"\\\\\\/\\u00e9\"",
            "\"\\u0000\\u001f\\b\\f\\n\\r\\t\\\"\\\\/é\"",
        ),
        ("\"\\ud83d\\ude00\"", "\"😀\""),
        (" [ ] ", "[]"),
        ("{ }", "{}"),
        ("[{},[],null,true,false]", "[{},[],null,true,false]"),
        ("{\"b\":1,\"a\":2,\"b\":3}", "{\"a\":2,\"b\":3}"),
        (
            "{\"b\":1,\"\":2,\"ab\":3,\"a\":4,\"a\\u0000\":5}",
            "{\"\":2,\"a\":4,\"a\\u0000\":5,\"ab\":3,\"b\":1}",
        ),
        (
            "{\"customer_b\":1,\"customer_a\":2,\"customer\":3}",
            "{\"customer\":3,\"customer_a\":2,\"customer_b\":1}",
        ),
        ("{\"$bin\":\"/w==\"}", "{\"$bin\":\"/w==\"}"),
        ("{\"$bin\":\"/w\"}", "{\"$bin\":\"/w==\"}"),
        ("{\"$bin\":\"YQ==\"}", "\"a\""),
        ("{\"$bin\":\"\"}", "\"\""),
        ("{\"$float\":\"nan\"}", "{\"$float\":\"nan\"}"),
        ("[{\"$float\":\"inf\"},{\"$float\":\"-inf\"}]", "[{\"$float\":\"inf\"},{\"$float\":\"-inf\"}]"),
        ("{\"$ext\":[-1,\"AAAA\"]}", "{\"$ext\":[-1,\"AAAA\"]}"),
        // Two members are never a spelling, nor is another name.
        ("{\"$bin\":\"/w==\",\"a\":1}", "{\"$bin\":\"/w==\",\"a\":1}"),
        ("{\"$other\":\"/w==\"}", "{\"$other\":\"/w==\"}"),
    ] {
        assert_eq!(round(text), expected, "{text}");
    }
}

#[test]
fn integers_that_become_floats_are_counted() {
    let text = "[9223372036854775808,18446744073709551616,-9223372036854775809,1e300,\"99999999999999999999\",-9223372036854775808,{\"9999999999999999999999\":99999999999999999999}]";
    assert_eq!(parse(text).unwrap().1, 4);
    assert_eq!(parse("[1e19,1.0,9223372036854775807]").unwrap().1, 0);
}

#[test]
fn keys_that_are_not_strings_are_written_as_strings() {
    let mut map = vec![0x87];
    for key in [-1, 1] {
        msgpack::write_int(&mut map, key);
        map.push(0xc0);
    }
    for key in [f64::NEG_INFINITY, 1.5] {
        msgpack::write_float(&mut map, key);
        map.push(0xc0);
    }
    for key in [0xc2, 0xc3] {
        map.extend([key, 0xc0]);
    }
    map.extend([0xc4, 1, 0xff, 0xc0]);
    assert_eq!(msgpack::canonicalize(&map, &mut Vec::new()), Ok(msgpack::Notes::default()));
    let expected =
        "{\"-1\":null,\"1\":null,\"-inf\":null,\"1.5\":null,\"false\":null,\"true\":null,\"\u{fffd}\":null}";
    assert_eq!(print(&map), expected);
}

#[test]
fn errors_say_where() {
    let deep = format!("{{\"a\":\n {}{}}}", "[".repeat(64), "]".repeat(64));
    for (text, line, column, message) in [
        ("", 1, 1, "EOF while parsing a value"),
        ("  ", 1, 2, "EOF while parsing a value"),
        ("{\"a\":1,}", 1, 8, "trailing comma"),
        ("{\"a\":1\n\"b\":2}", 2, 1, "expected `,` or `}`"),
        ("{\"a\":tru}", 1, 9, "expected ident"),
        ("{\"a\" 1}", 1, 6, "expected `:`"),
        ("[1,2", 1, 4, "EOF while parsing a list"),
        ("[1] 2", 1, 5, "trailing characters"),
        ("1e400", 1, 5, "number out of range"),
        ("01", 1, 2, "invalid number"),
        ("\"a\nb\"", 2, 1, "control character (\\u0000-\\u001F) found while parsing a string"),
        ("{\"$bin\":5}", 1, 2, "`$bin` must be a string of base64"),
        ("[\n{\"\\u0024bin\":\"?\"}]", 2, 2, "`$bin` must hold base64: Invalid symbol 63, offset 0."),
        ("{\"$float\":1.5}", 1, 2, "`$float` must be \"nan\", \"inf\" or \"-inf\""),
        ("{\"$ext\":[128,\"\"]}", 1, 2, "`$ext` must be [type, \"<base64>\"], the type from -128 to 127"),
        ("{\"$ext\":[1,\"\",2]}", 1, 2, "`$ext` must be [type, \"<base64>\"], the type from -128 to 127"),
        (deep.as_str(), 2, 65, "JSON nests deeper than 64 levels"),
    ] {
        let error = parse(text).unwrap_err();
        assert_eq!((error.line, error.column), (line, column), "{text}: {error}");
        assert_eq!(error.message, message, "{text}");
    }
    assert!(parse(&"[".repeat(100_000)).is_err());
    assert!(parse(&format!("{}{}", "[".repeat(64), "]".repeat(64))).is_ok());
    assert!(Parser::new().to_msgpack(b"\"\xff\"", &mut Vec::new()).is_err());
}

#[test]
fn events_set_their_fields() {
    let mut parser = Parser::new();
    let (mut out, mut fields) = (Vec::new(), Fields::default());
    let text = "{\"z\":1,\"$topic\":\"orders.eu\",\"$tags\":{\"b\":\"2\",\"a\":\"1\"},\"a\":{\"$x\":2,\"b\":1},\"$time\":5,\"!\":0}";
    parser.to_event(text.as_bytes(), &mut out, &mut fields).unwrap();
    assert_eq!(print(&out), "{\"!\":0,\"a\":{\"$x\":2,\"b\":1},\"z\":1}");
    assert_eq!(fields.topic.as_deref(), Some("orders.eu"));
    assert_eq!(fields.time_ms, Some(5));
    assert_eq!(fields.tags.len(), 2);

    out.clear();
    parser.to_event(b"{}", &mut out, &mut fields).unwrap();
    assert_eq!(out, [0x80]);
    assert!(fields.is_default(), "fields of the energy before are gone");

    // Of equal keys the last one counts, among fields too, and nil is no value.
    let twice =
        b"{\"$topic\":\"a\",\"$ttl\":\"last:1\",\"$topic\":null,\"$tags\":{\"a\":\"1\"},\"$tags\":{}}";
    out.clear();
    parser.to_event(twice, &mut out, &mut fields).unwrap();
    assert_eq!((fields.topic.as_deref(), fields.ttl, fields.tags.len()), (None, Ttl::Last(1), 0));

    for (text, column, message) in [
        ("[1]", 1, "an energy is a JSON object"),
        ("5", 1, "an energy is a JSON object"),
        (
            "{\"a\":1, \"$topik\":1}",
            9,
            "unknown key `$topik` (did you mean `$topic`?); allowed are $topic, $stream, $id, $time, $tags, $ttl, $expect, $content",
        ),
        (
            "{\"$position\":1}",
            2,
            "only the log may set `$position`; allowed are $topic, $stream, $id, $time, $tags, $ttl, $expect, $content",
        ),
        ("{\"$topic\":5}", 2, "`$topic` is an integer; it must be a topic"),
        (
            "{\"$topic\":\"a b\"}",
            2,
            "`$topic`: topic `a b` has ' ' at column 2; a token is one or more of A-Z a-z 0-9 _ - $",
        ),
        (
            "{\"$bin\":\"\"}",
            2,
            "unknown key `$bin`; allowed are $topic, $stream, $id, $time, $tags, $ttl, $expect, $content",
        ),
    ] {
        out.clear();
        let error = parser.to_event(text.as_bytes(), &mut out, &mut fields).unwrap_err();
        assert_eq!((error.line, error.column, error.message.as_str()), (1, column, message), "{text}");
        assert!(out.is_empty());
    }
}

#[test]
fn energies_are_printed_as_documented() {
    let mut events = Events::default();
    let id = Uuid::from_u128(0x0123_4567_89ab_8def_8123_4567_89ab_cdef);
    let mut head = Head::seed(id, 1_517_363_399_650);
    head.position = 7;
    head.data = events.store(&[0x81, 0xa1, b'a', 1]);
    events.push(head, None);
    head.topic = events.store(b"orders");
    head.stream = head.topic;
    head.version = 3;
    head.hops = 1;
    head.correlation = id;
    head.causation = id;
    events.push(head, None);
    head.stream = events.store(b"user-\"1");
    let tags = [("k".to_owned(), "v".to_owned()), ("l".to_owned(), "w".to_owned())].into();
    events
        .push(head, Some(Extra { tags, ttl: Ttl::Last(5), content: Some("abc".into()), ..Extra::default() }));
    head.topic = sanctum::event::Span::EMPTY;
    head.data = events.store(&[0x80]);
    events.push(head, Some(Extra { ttl: Ttl::TimeMs(10), ..Extra::default() }));

    let lines = |write: fn(sanctum::event::EventRef<'_>, &mut Vec<u8>)| -> Vec<String> {
        let line = |event| {
            let mut out = Vec::new();
            write(event, &mut out);
            String::from_utf8(out).unwrap()
        };
        events.iter().map(line).collect()
    };
    let uuid = "\"01234567-89ab-8def-8123-456789abcdef\"";
    assert_eq!(
        lines(json::write_event),
        [
            format!(
                "{{\"position\":7,\"id\":{uuid},\"time\":1517363399650,\"version\":0,\"hops\":0,\"tags\":{{}},\"ttl\":\"forever\",\"data\":{{\"a\":1}}}}"
            ),
            format!(
                "{{\"position\":7,\"id\":{uuid},\"time\":1517363399650,\"topic\":\"orders\",\"stream\":\"orders\",\"version\":3,\"correlation\":{uuid},\"causation\":{uuid},\"hops\":1,\"tags\":{{}},\"ttl\":\"forever\",\"data\":{{\"a\":1}}}}"
            ),
            format!(
                "{{\"position\":7,\"id\":{uuid},\"time\":1517363399650,\"topic\":\"orders\",\"stream\":\"user-\\\"1\",\"version\":3,\"correlation\":{uuid},\"causation\":{uuid},\"hops\":1,\"tags\":{{\"k\":\"v\",\"l\":\"w\"}},\"ttl\":\"last:5\",\"content\":\"abc\",\"data\":{{\"a\":1}}}}"
            ),
            format!(
                "{{\"position\":7,\"id\":{uuid},\"time\":1517363399650,\"stream\":\"user-\\\"1\",\"version\":3,\"correlation\":{uuid},\"causation\":{uuid},\"hops\":1,\"tags\":{{}},\"ttl\":\"time:10\",\"data\":{{}}}}"
            ),
        ]
    );
    let outputs = lines(json::write_output);
    assert_eq!(
        outputs,
        [
            "{\"a\":1}",
            "{\"$topic\":\"orders\",\"a\":1}",
            "{\"$topic\":\"orders\",\"$stream\":\"user-\\\"1\",\"$tags\":{\"k\":\"v\",\"l\":\"w\"},\"$ttl\":\"last:5\",\"$content\":\"abc\",\"a\":1}",
            "{\"$stream\":\"user-\\\"1\",\"$ttl\":\"time:10\"}",
        ]
    );
    let mut fields = Fields::default();
    Parser::new().to_event(outputs[2].as_bytes(), &mut Vec::new(), &mut fields).unwrap();
    assert_eq!(fields.extra().as_ref(), events.get(2).extra());
}
