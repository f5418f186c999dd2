//! The rules of canonical data once more, over `rmpv`'s tree and without any care for speed.

use std::cmp::Ordering;

use proptest::prelude::*;
use rmpv::Value;

/// Any tree that MessagePack can hold, keys of collections and NaN excepted.
pub fn any_value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Value::Array),
            prop::collection::vec((any_key(), inner), 0..20).prop_map(Value::Map),
        ]
    })
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Boolean),
        integer(),
        any::<f64>().prop_map(Value::F64),
        any::<f32>().prop_map(Value::F32),
        any::<u64>().prop_map(|bits| Value::F64(f64::from_bits(bits))),
        ".{0,40}".prop_map(|text| Value::String(text.into())),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Value::Binary),
        (any::<i8>(), prop::collection::vec(any::<u8>(), 0..20))
            .prop_map(|(kind, bytes)| Value::Ext(kind, bytes)),
    ]
}

/// Integers of every length, and their bounds.
pub fn integer() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (any::<i64>(), 0..64_u32).prop_map(|(value, shift)| Value::from(value >> shift)),
        prop::sample::select(vec![
            0,
            -1,
            -32,
            -33,
            127,
            128,
            255,
            256,
            -128,
            -129,
            32767,
            32768,
            65535,
            65536,
            -32768,
            -32769,
            i64::from(i32::MAX),
            i64::from(i32::MIN),
            i64::from(u32::MAX),
            i64::from(u32::MAX) + 1,
            i64::from(i32::MIN) - 1,
            i64::MIN,
            i64::MAX,
        ])
        .prop_map(Value::from),
        Just(Value::from(u64::MAX)),
        Just(Value::from(1_u64 << 63)),
    ]
}

fn any_key() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => "[a-c$]{0,3}".prop_map(|text| Value::String(text.into())),
        2 => ".{0,12}".prop_map(|text| Value::String(text.into())),
        1 => prop::collection::vec(any::<u8>(), 0..6).prop_map(Value::Binary),
        2 => (-3..3_i64).prop_map(Value::from),
        1 => integer(),
        1 => (-3..3_i32).prop_map(|value| Value::F64(f64::from(value) / 2.0)),
        1 => any::<f64>().prop_filter("NaN", |value| !value.is_nan()).prop_map(Value::F64),
        1 => any::<bool>().prop_map(Value::Boolean),
    ]
}

/// The canonical form of a tree, and how many integers became floats.
pub fn canonical(value: &Value) -> (Value, u32) {
    match value {
        Value::Integer(integer) => match integer.as_i64() {
            Some(value) => (Value::from(value), 0),
            None => (Value::F64(integer.as_u64().unwrap() as f64), 1),
        },
        Value::F32(value) => (Value::F64(f64::from(*value)), 0),
        Value::String(text) => (string(text.as_bytes()), 0),
        Value::Binary(bytes) => (string(bytes), 0),
        Value::Array(items) => {
            let mut count = 0;
            let items = items.iter().map(|item| {
                let (item, more) = canonical(item);
                count += more;
                item
            });
            (Value::Array(items.collect()), count)
        }
        Value::Map(entries) => {
            let mut count = 0;
            let mut kept: Vec<(Value, Value)> = Vec::new();
            for (key, value) in entries {
                let (key, more) = canonical(key);
                let key = match key {
                    Value::F64(float)
                        if float as i64 as f64 == float && float < 9.3e18 && float as i64 != i64::MAX =>
                    {
                        Value::from(float as i64)
                    }
                    key => key,
                };
                let (value, and_more) = canonical(value);
                count += more + and_more;
                match kept.iter_mut().find(|(known, _)| order(known, &key).is_eq()) {
                    Some(entry) => entry.1 = value,
                    None => kept.push((key, value)),
                }
            }
            kept.sort_by(|a, b| order(&a.0, &b.0));
            (Value::Map(kept), count)
        }
        other => (other.clone(), 0),
    }
}

fn string(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::String(text.into()),
        Err(_) => Value::Binary(bytes.to_vec()),
    }
}

fn order(a: &Value, b: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Integer(_) => 0,
        Value::F64(_) => 1,
        Value::Boolean(_) => 2,
        _ => 3,
    };
    rank(a).cmp(&rank(b)).then_with(|| match (a, b) {
        (Value::Integer(a), Value::Integer(b)) => a.as_i64().cmp(&b.as_i64()),
        (Value::F64(a), Value::F64(b)) => a.partial_cmp(b).unwrap(),
        (Value::Boolean(a), Value::Boolean(b)) => a.cmp(b),
        _ => bytes_of(a).cmp(bytes_of(b)),
    })
}

/// The bytes of a string of either kind.
pub fn bytes_of(value: &Value) -> &[u8] {
    match value {
        Value::String(text) => text.as_bytes(),
        Value::Binary(bytes) => bytes,
        other => panic!("{other} is not a string"),
    }
}

/// A tree's bytes, as `rmpv` writes them: shortest forms.
pub fn encode(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, value).unwrap();
    bytes
}

/// The tree that all of `bytes` are.
pub fn decode(mut bytes: &[u8]) -> Value {
    let value = rmpv::decode::read_value(&mut bytes).unwrap();
    assert!(bytes.is_empty(), "trailing bytes");
    value
}
