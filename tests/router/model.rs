//! Random filters on random data, against an evaluation that walks trees in the plainest way.

use std::cmp::Ordering;

use proptest::prelude::*;
use rmpv::Value;
use sanctum::router::Filter;

use super::{encode, energy};

/// Compares as rationals: an `f64` below 2^100 has a floor that an `i128` holds.
fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::String(a), Value::String(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
        (Value::Integer(a), Value::Integer(b)) => a.as_i64()?.partial_cmp(&b.as_i64()?),
        (Value::F64(a), Value::F64(b)) => a.partial_cmp(b),
        (Value::Integer(a), Value::F64(b)) => {
            let whole = i128::from(a.as_i64()?).cmp(&(b.floor() as i128));
            let has_fraction = b.floor() < *b;
            Some(if whole == Ordering::Equal && has_fraction { Ordering::Less } else { whole })
        }
        (Value::F64(_), Value::Integer(_)) => compare(b, a).map(Ordering::reverse),
        _ => None,
    }
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Nil, Value::Nil) => true,
        (Value::Boolean(a), Value::Boolean(b)) => a == b,
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, value)| {
                    b.iter().any(|(other, _)| other == key)
                        && equal(value, &member(&Value::Map(b.clone()), key))
                })
        }
        _ => compare(a, b) == Some(Ordering::Equal),
    }
}

/// The last one counts, as in canonical data.
fn member(map: &Value, wanted: &Value) -> Value {
    let Value::Map(members) = map else { return Value::Nil };
    members.iter().rev().find(|(key, _)| key == wanted).map_or(Value::Nil, |(_, value)| value.clone())
}

fn at(data: &Value, path: &str) -> Value {
    path.split('.').fold(data.clone(), |value, part| match (&value, part.parse::<usize>()) {
        (Value::Array(list), Ok(index)) => {
            index.checked_sub(1).and_then(|index| list.get(index)).cloned().unwrap_or(Value::Nil)
        }
        (Value::Map(members), Ok(index)) if members.iter().any(|(key, _)| *key == Value::from(index)) => {
            member(&value, &Value::from(index))
        }
        _ => member(&value, &Value::from(part)),
    })
}

fn list(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(list) => list.clone(),
        other => vec![other.clone()],
    }
}

fn condition(value: &Value, spec: &Value) -> bool {
    let Value::Map(operators) = spec else { return equal(value, spec) };
    operators.iter().all(|(name, operand)| {
        let order = compare(value, operand);
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let both = text(value).zip(text(operand));
        match name.as_str().unwrap() {
            "eq" => equal(value, operand),
            "ne" => !equal(value, operand),
            "gt" => order == Some(Ordering::Greater),
            "ge" => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
            "lt" => order == Some(Ordering::Less),
            "le" => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            "in" => list(operand).iter().any(|one| equal(value, one)),
            "exists" => (*value != Value::Nil) == operand.as_bool().unwrap(),
            "prefix" => both.is_some_and(|(value, part)| value.starts_with(&part)),
            "suffix" => both.is_some_and(|(value, part)| value.ends_with(&part)),
            "contains" => match value {
                Value::Array(list) => list.iter().any(|one| equal(one, operand)),
                _ => both.is_some_and(|(value, part)| value.contains(&part)),
            },
            "all" => list(operand).iter().all(|one| condition(value, one)),
            "any" => list(operand).iter().any(|one| condition(value, one)),
            "none" => !list(operand).iter().any(|one| condition(value, one)),
            other => panic!("{other}"),
        }
    })
}

fn filter(data: &Value, spec: &Value) -> bool {
    let Value::Map(members) = spec else { panic!("{spec}") };
    members.iter().all(|(key, value)| match key.as_str().unwrap() {
        "all" => list(value).iter().all(|one| filter(data, one)),
        "any" => list(value).iter().any(|one| filter(data, one)),
        "none" => !list(value).iter().any(|one| filter(data, one)),
        path => condition(&at(data, path), value),
    })
}

fn scalar() -> impl Strategy<Value = Value> {
    let floats =
        [0.0, -0.0, 0.5, 1.0, 2.0, -1.5, 9.007_199_254_740_992e15, 9.223_372_036_854_776e18, -1e19, 1e25];
    let ints = [i64::MIN, -2, -1, 0, 1, 2, 3, (1 << 53) + 1, i64::MAX - 1, i64::MAX];
    prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::from),
        prop::sample::select(ints.to_vec()).prop_map(Value::from),
        prop::sample::select(floats.to_vec()).prop_map(Value::from),
        "[ab]{0,3}".prop_map(Value::from),
    ]
}

fn key() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "ab", "abcdefgh", "abcdefghi", "abcdefghj", "1", "2", "é"])
        .prop_map(str::to_owned)
}

fn map_of(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let key = prop_oneof![4 => key().prop_map(Value::from), 1 => (1_i64..3).prop_map(Value::from)];
    prop::collection::vec((key, value), 0..6).prop_map(|mut members| {
        let mut seen = Vec::new();
        members.retain(|(key, _)| {
            !seen.contains(key) && {
                seen.push(key.clone());
                true
            }
        });
        Value::Map(members)
    })
}

fn tree() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 16, 4, |inner| {
        prop_oneof![prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array), map_of(inner)]
    })
}

fn one(name: &str, operand: Value) -> Value {
    Value::Map(vec![(name.into(), operand)])
}

fn operators() -> impl Strategy<Value = Value> {
    let ordered = scalar().prop_filter("ordered", |value| value.is_number() || value.is_str());
    let simple = prop_oneof![
        (prop::sample::select(vec!["eq", "ne", "contains"]), tree())
            .prop_map(|(name, operand)| one(name, operand)),
        (prop::sample::select(vec!["gt", "ge", "lt", "le"]), ordered)
            .prop_map(|(name, operand)| one(name, operand)),
        prop::collection::vec(tree(), 0..4).prop_map(|list| one("in", Value::Array(list))),
        any::<bool>().prop_map(|wanted| one("exists", wanted.into())),
        (prop::sample::select(vec!["prefix", "suffix"]), "[ab]{0,2}")
            .prop_map(|(name, operand)| one(name, operand.into())),
        scalar(),
    ];
    simple.prop_recursive(2, 6, 3, |inner| {
        (prop::sample::select(vec!["all", "any", "none"]), prop::collection::vec(inner, 1..3))
            .prop_map(|(name, list)| one(name, Value::Array(list)))
    })
}

fn spec() -> impl Strategy<Value = Value> {
    let path = prop::collection::vec(key(), 1..4).prop_map(|parts| parts.join("."));
    let fields = prop::collection::btree_map(path, operators(), 1..4)
        .prop_map(|map| Value::Map(map.into_iter().map(|(path, value)| (path.into(), value)).collect()));
    fields.prop_recursive(2, 6, 3, |inner| {
        (prop::sample::select(vec!["all", "any", "none"]), prop::collection::vec(inner, 1..3))
            .prop_map(|(name, list)| one(name, Value::Array(list)))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_filter_agrees_with_the_model(spec in spec(), data in prop::collection::vec(map_of(tree()), 8)) {
        let compiled = Filter::compile(&encode(&spec)).unwrap();
        for data in data {
            let events = energy("t", &encode(&data), None);
            prop_assert_eq!(compiled.matches(events.get(0)), filter(&data, &spec), "{} on {}", spec, data);
        }
    }

    #[test]
    fn any_table_compiles_or_is_an_error(spec in tree()) {
        if let Err(error) = Filter::compile(&encode(&spec)) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn any_bytes_compile_or_are_an_error(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = Filter::compile(&bytes);
    }
}
