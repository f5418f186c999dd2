//! Properties of canonical data, against the model.

use proptest::prelude::*;
use rmpv::Value;
use sanctum::event::msgpack::{self, DEPTH_MAX, PathPart, Reader, Token};

use crate::model::{any_value, bytes_of, canonical, decode, encode, integer};

fn canonical_bytes(input: &[u8]) -> (Vec<u8>, u32) {
    let mut out = Vec::new();
    let notes = msgpack::canonicalize(input, &mut out).unwrap();
    (out, notes.big_uints)
}

/// Bits, where `==` would hold NaN unlike itself.
fn same(a: &Value, b: &Value) -> bool {
    encode(a) == encode(b)
}

/// Entries in another order, and every key twice, the first with another value.
fn shuffled(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(shuffled).collect()),
        Value::Map(entries) => {
            let decoys = entries.iter().rev().map(|(key, _)| (key.clone(), Value::from(0)));
            let real = entries.iter().rev().map(|(key, value)| (key.clone(), shuffled(value)));
            Value::Map(decoys.chain(real).collect())
        }
        other => other.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn canonical_data_is_what_the_model_says(value in any_value()) {
        let (bytes, big_uints) = canonical_bytes(&encode(&value));
        let (expected, count) = canonical(&value);
        prop_assert!(same(&decode(&bytes), &expected), "{:?}\n{expected:?}", decode(&bytes));
        prop_assert_eq!(&bytes, &encode(&expected), "lengths and integers are the shortest");
        prop_assert_eq!(big_uints, count);
    }

    #[test]
    fn canonical_data_stays_as_it_is(value in any_value()) {
        let (once, _) = canonical_bytes(&encode(&value));
        let (twice, big_uints) = canonical_bytes(&once);
        prop_assert_eq!(&once, &twice);
        prop_assert_eq!(big_uints, 0);
    }

    #[test]
    fn equal_data_has_equal_bytes(value in any_value()) {
        let (expected, _) = canonical(&value);
        let (bytes, _) = canonical_bytes(&encode(&shuffled(&expected)));
        prop_assert_eq!(bytes, encode(&expected));
    }

    #[test]
    fn integers_stay_integers(value in integer()) {
        let (bytes, _) = canonical_bytes(&encode(&value));
        match value.as_i64() {
            Some(value) => prop_assert_eq!(msgpack::token_at(&bytes), Ok(Token::Int(value))),
            None => prop_assert_eq!(msgpack::token_at(&bytes), Ok(Token::Float(value.as_u64().unwrap() as f64))),
        }
    }

    #[test]
    fn floats_keep_their_bits(bits in any::<u64>()) {
        let mut bytes = Vec::new();
        msgpack::write_float(&mut bytes, f64::from_bits(bits));
        let (bytes, _) = canonical_bytes(&bytes);
        let Ok(Token::Float(float)) = msgpack::token_at(&bytes) else { panic!("not a float") };
        prop_assert_eq!(float.to_bits(), bits);
        prop_assert_eq!(bytes.len(), 9);
    }

    #[test]
    fn strings_are_str_if_they_are_utf8(string in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut bytes = Vec::new();
        msgpack::write_bytes(&mut bytes, &string);
        let utf8 = std::str::from_utf8(&string).is_ok();
        match msgpack::token_at(&bytes).unwrap() {
            Token::Str(read) => prop_assert!(utf8 && read == string),
            Token::Bin(read) => prop_assert!(!utf8 && read == string),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_prefix_is_refused(value in any_value(), at in any::<prop::sample::Index>()) {
        let bytes = encode(&value);
        let cut = at.index(bytes.len());
        prop_assert!(msgpack::canonicalize(&bytes[..cut], &mut Vec::new()).is_err());
        prop_assert!(Reader::new(&bytes[..cut]).skip().is_err());
    }

    #[test]
    fn trailing_bytes_are_refused(value in any_value(), more in any::<u8>()) {
        let mut bytes = encode(&value);
        bytes.push(more);
        let error = msgpack::canonicalize(&bytes, &mut Vec::new()).unwrap_err();
        prop_assert_eq!(error, msgpack::Error::Trailing { at: bytes.len() - 1 });
        prop_assert_eq!(msgpack::canonicalize_prefix(&bytes, &mut Vec::new()).unwrap().0, bytes.len() - 1);
    }

    #[test]
    fn fields_are_found(value in any_value()) {
        let (bytes, _) = canonical_bytes(&encode(&value));
        check_fields(&bytes);
    }

    #[test]
    fn depth_is_bounded(levels in 1..200_usize, maps in any::<bool>()) {
        let open: &[u8] = if maps { &[0x81, 0xa1, b'k'] } else { &[0x91] };
        let mut bytes = open.repeat(levels);
        bytes.push(0xc0);
        let result = msgpack::canonicalize(&bytes, &mut Vec::new());
        prop_assert_eq!(result.is_ok(), levels <= DEPTH_MAX);
    }
}

fn check_fields(bytes: &[u8]) {
    match decode(bytes) {
        Value::Map(entries) => {
            for (key, value) in entries {
                let value = encode(&value);
                match &key {
                    Value::String(_) | Value::Binary(_) => {
                        let name = bytes_of(&key);
                        assert_eq!(msgpack::field(bytes, name), Some(value.as_slice()));
                        assert_eq!(
                            msgpack::path(bytes, &[PathPart::Key(name.into())]),
                            Some(value.as_slice())
                        );
                        assert_eq!(msgpack::field(bytes, &[name, b"\x00absent"].concat()), None);
                    }
                    Value::Integer(number) => {
                        let number = number.as_i64().unwrap();
                        let part = PathPart::new(&number.to_string());
                        assert_eq!(msgpack::path(bytes, &[part]), Some(value.as_slice()));
                    }
                    _ => {}
                }
                check_fields(&value);
            }
        }
        Value::Array(items) => {
            for (index, item) in (1..).zip(&items) {
                let found = msgpack::path(bytes, &[PathPart::Number(index, b"".as_slice().into())]);
                assert_eq!(found, Some(encode(item).as_slice()));
            }
            for absent in [0, -1, i64::MIN, items.len() as i64 + 1, i64::MAX] {
                assert_eq!(msgpack::path(bytes, &[PathPart::Number(absent, b"".as_slice().into())]), None);
            }
        }
        _ => assert_eq!(msgpack::field(bytes, b"a"), None),
    }
}

#[test]
fn paths_lead_through_maps_and_arrays() {
    let data = encode(&Value::Map(vec![
        (Value::from(7), Value::from("seven")),
        (Value::from("8"), Value::from("text")),
        (
            Value::from("items"),
            Value::Array(vec![Value::Map(vec![(Value::from("price"), Value::from(5))]), Value::Nil]),
        ),
    ]));
    let found = |path: &str| msgpack::path(&data, &msgpack::parse_path(path)).map(decode);
    assert_eq!(found("items.1.price"), Some(Value::from(5)));
    assert_eq!(found("items.2"), Some(Value::Nil));
    assert_eq!(found("items.2.price"), None);
    assert_eq!(found("items.3"), None);
    assert_eq!(found("7"), Some(Value::from("seven")));
    assert_eq!(found("8"), Some(Value::from("text")));
    assert_eq!(found("07"), None);
    assert_eq!(found("items.price"), None);
    assert_eq!(found(""), None);
    assert_eq!(
        msgpack::parse_path("a.2"),
        [PathPart::Key(b"a".as_slice().into()), PathPart::Number(2, b"2".as_slice().into())]
    );
}

proptest! {
    /// Skipping ends where reading token by token does.
    #[test]
    fn values_are_skipped_whole(value in any_value(), more in any::<u8>()) {
        let mut bytes = encode(&value);
        let len = bytes.len();
        bytes.push(more);
        let mut reader = Reader::new(&bytes);
        reader.skip().unwrap();
        prop_assert_eq!(reader.position(), len);
        prop_assert_eq!(Reader::new(&bytes).raw().unwrap(), &bytes[..len]);
    }
}
