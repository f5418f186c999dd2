//! Each operator and each kind of path, by example.

use std::collections::BTreeMap;

use sanctum::event::{Extra, Ttl};
use serde_json::{Value, json};

use super::{bytes_of, compile, encode, energy};

fn holds(spec: Value, data: Value) -> bool {
    let filter = compile(&spec).unwrap_or_else(|error| panic!("{spec}: {error}"));
    let events = energy("orders.eu", &bytes_of(&data), None);
    filter.matches(events.get(0))
}

#[track_caller]
fn yes(spec: Value, data: Value) {
    assert!(holds(spec.clone(), data.clone()), "{spec} should match {data}");
}

#[track_caller]
fn no(spec: Value, data: Value) {
    assert!(!holds(spec.clone(), data.clone()), "{spec} should not match {data}");
}

#[test]
fn equality() {
    yes(json!({}), json!({}));
    yes(json!({ "a": 1 }), json!({ "a": 1.0 }));
    yes(json!({ "a": 1.0 }), json!({ "a": 1 }));
    no(json!({ "a": 1 }), json!({ "a": "1" }));
    no(json!({ "a": 1 }), json!({}));
    yes(json!({ "a": true, "b": "x" }), json!({ "a": true, "b": "x", "c": 1 }));
    no(json!({ "a": true, "b": "x" }), json!({ "a": true, "b": "y" }));
    yes(json!({ "a": { "eq": [1, { "x": 2 }] } }), json!({ "a": [1.0, { "x": 2.0 }] }));
    no(json!({ "a": { "eq": [1, 2] } }), json!({ "a": [1, 2, 3] }));
    yes(json!({ "a": { "ne": 1 } }), json!({ "a": 2 }));
    yes(json!({ "a": { "ne": 1 } }), json!({ "a": "1" }));
    yes(json!({ "a": { "ne": 1 } }), json!({}));
    no(json!({ "a": { "ne": 1 } }), json!({ "a": 1 }));
}

#[test]
fn order() {
    yes(json!({ "a": { "gt": 5, "lt": 10 } }), json!({ "a": 7.5 }));
    no(json!({ "a": { "gt": 5, "lt": 10 } }), json!({ "a": 5 }));
    yes(json!({ "a": { "ge": 5, "le": 5 } }), json!({ "a": 5.0 }));
    yes(json!({ "a": { "gt": "b" } }), json!({ "a": "ba" }));
    no(json!({ "a": { "gt": "b" } }), json!({ "a": 7 }));
    no(json!({ "a": { "gt": 5 } }), json!({ "a": "7" }));
    no(json!({ "a": { "le": 5 } }), json!({}));
    yes(json!({ "a": { "gt": 9_007_199_254_740_992.0 } }), json!({ "a": 9_007_199_254_740_993_i64 }));
    no(json!({ "a": { "ge": 9_223_372_036_854_775_808.0 } }), json!({ "a": i64::MAX }));
}

#[test]
fn lists_and_presence() {
    let spec = json!({ "a": { "in": ["DE", "FR", 5, 2.5, true, null, [1]] } });
    for value in
        [json!("DE"), json!("FR"), json!(5), json!(5.0), json!(2.5), json!(true), json!(null), json!([1])]
    {
        yes(spec.clone(), json!({ "a": value }));
    }
    for value in [json!("D"), json!(6), json!(2.25), json!(false), json!([2]), json!({})] {
        no(spec.clone(), json!({ "a": value }));
    }
    no(json!({ "a": { "in": {} } }), json!({ "a": 1 }));
    yes(json!({ "a": { "exists": true } }), json!({ "a": false }));
    no(json!({ "a": { "exists": true } }), json!({ "b": 1 }));
    no(json!({ "a": { "exists": true } }), json!({ "a": null }));
    yes(json!({ "a": { "exists": false } }), json!({ "a": null }));
    yes(json!({ "a": { "exists": false } }), json!({}));
}

#[test]
fn parts_of_strings_and_lists() {
    yes(json!({ "a": { "prefix": "ab", "suffix": "yz" } }), json!({ "a": "abyz" }));
    no(json!({ "a": { "prefix": "ab" } }), json!({ "a": "a" }));
    no(json!({ "a": { "suffix": "" } }), json!({ "a": 5 }));
    yes(json!({ "a": { "contains": "needle" } }), json!({ "a": "a needle in it" }));
    yes(json!({ "a": { "contains": "x" } }), json!({ "a": [1, "x"] }));
    no(json!({ "a": { "contains": "x" } }), json!({ "a": ["xx"] }));
    yes(json!({ "a": { "contains": 2 } }), json!({ "a": [1, 2.0] }));
    no(json!({ "a": { "contains": 2 } }), json!({ "a": "2" }));
    no(json!({ "a": { "contains": "x" } }), json!({ "a": { "x": 1 } }));
}

#[test]
fn a_search_is_linear() {
    let needle = format!("{}b", "a".repeat(200_000));
    no(json!({ "a": { "contains": needle } }), json!({ "a": "a".repeat(1_000_000) }));
}

#[test]
fn combinations() {
    let either = json!({ "any": [{ "a": 1 }, { "b": 2, "c": 3 }], "d": { "exists": false } });
    yes(either.clone(), json!({ "a": 1 }));
    yes(either.clone(), json!({ "b": 2, "c": 3 }));
    no(either.clone(), json!({ "b": 2 }));
    no(either, json!({ "a": 1, "d": 1 }));
    yes(json!({ "none": [{ "a": 1 }, { "b": 1 }] }), json!({ "c": 1 }));
    no(json!({ "none": [{ "a": 1 }, { "b": 1 }] }), json!({ "b": 1 }));
    no(json!({ "none": { "b": 1 } }), json!({ "b": 1 }));
    yes(json!({ "all": [{ "a": { "gt": 1 } }, { "a": { "lt": 5 } }] }), json!({ "a": 3 }));
    no(json!({ "all": [{ "a": { "gt": 1 } }, { "a": { "lt": 5 } }] }), json!({ "a": 6 }));
    let outside = json!({ "a": { "any": [{ "lt": 1 }, { "gt": 5 }, 3] } });
    yes(outside.clone(), json!({ "a": 0 }));
    yes(outside.clone(), json!({ "a": 3 }));
    no(outside, json!({ "a": 2 }));
    no(json!({ "a": { "none": [{ "prefix": "x" }, "y"] } }), json!({ "a": "y" }));
    yes(json!({ "a": { "none": [{ "prefix": "x" }, "y"] } }), json!({}));
}

#[test]
fn paths() {
    yes(
        json!({ "user.country": "DE", "user.age": { "gt": 17 } }),
        json!({ "user": { "age": 18, "country": "DE" } }),
    );
    no(
        json!({ "user.country": "DE", "user.age": { "gt": 17 } }),
        json!({ "user": { "age": 17, "country": "DE" } }),
    );
    no(json!({ "user.country": "DE" }), json!({ "user": "DE" }));
    yes(json!({ "user.country": { "exists": false } }), json!({ "user": "DE" }));
    yes(
        json!({ "user": { "exists": true }, "user.x": 1, "zip": 2 }),
        json!({ "user": { "x": 1 }, "zip": 2 }),
    );
    yes(json!({ "list.2": "b" }), json!({ "list": ["a", "b"] }));
    no(json!({ "list.0": "a" }), json!({ "list": ["a", "b"] }));
    no(json!({ "list.3": "a" }), json!({ "list": ["a", "b"] }));
    yes(json!({ "list.2.x": 5, "list.a": { "exists": false } }), json!({ "list": [1, { "x": 5 }] }));
    yes(json!({ "a.7": 1 }), json!({ "a": { "7": 1 } }));
    no(json!({ "a.07": 1 }), json!({ "a": { "7": 1 } }));
    let filter = compile(&json!({ "a.7": 1, "a.x": 2 })).unwrap();
    let inner = rmpv::Value::Map(vec![(7.into(), 1.into()), ("7".into(), 9.into()), ("x".into(), 2.into())]);
    let events = energy("t", &encode(&rmpv::Value::Map(vec![("a".into(), inner)])), None);
    assert!(filter.matches(events.get(0)), "the integer key comes before the string key");
}

#[test]
fn the_envelope() {
    let tags = BTreeMap::from([("region".to_owned(), "eu".to_owned()), ("a.b".to_owned(), "x".to_owned())]);
    let extra =
        Extra { tags, ttl: Ttl::TimeMs(u64::MAX), content: Some("blob".to_owned()), ..Extra::default() };
    let data = bytes_of(&json!({ "a": 1 }));
    let full = energy("orders.eu", &data, Some(extra));
    let bare = energy("", &data, None);
    let on = |events: &sanctum::event::Events, spec: Value| {
        compile(&spec).unwrap_or_else(|error| panic!("{spec}: {error}")).matches(events.get(0))
    };
    for spec in [
        json!({ "$topic": { "prefix": "orders." }, "a": 1 }),
        json!({ "$stream": "orders.eu" }),
        json!({ "$version": 3, "$position": { "ge": 7.0 }, "$hops": 0, "$time": { "lt": 1001 } }),
        json!({ "$id": "00000000-0000-0000-0000-0000000000a1" }),
        json!({ "$correlation": { "exists": false }, "$causation": { "exists": false } }),
        json!({ "$tags.region": "eu", "$tags.a.b": "x", "$tags.c": { "exists": false } }),
        json!({ "$ttl": "time:18446744073709551615" }),
        json!({ "$content": "blob" }),
        json!({ "any": [{ "$hops": 5 }, { "$hops": 0 }] }),
    ] {
        assert!(on(&full, spec.clone()), "{spec}");
    }
    for spec in [
        json!({ "$topic": { "exists": false }, "$stream": { "exists": false } }),
        json!({ "$ttl": "forever", "$content": { "exists": false }, "$tags.region": { "ne": "eu" } }),
    ] {
        assert!(on(&bare, spec.clone()), "{spec}");
        assert!(!on(&full, spec.clone()), "{spec}");
    }
}

#[test]
fn strings_that_are_not_utf8_are_strings() {
    let data = rmpv::Value::Map(vec![("a".into(), rmpv::Value::Binary(vec![0xff, b'x']))]);
    let spec = rmpv::Value::Map(vec![("a".into(), data.clone())]);
    assert!(sanctum::router::Filter::compile(&encode(&spec)).is_err(), "a nested table is no condition");
    for (operator, operand) in [("eq", vec![0xff, b'x']), ("prefix", vec![0xff]), ("contains", vec![b'x'])] {
        let condition = rmpv::Value::Map(vec![(operator.into(), rmpv::Value::Binary(operand))]);
        let spec = encode(&rmpv::Value::Map(vec![("a".into(), condition)]));
        let filter = sanctum::router::Filter::compile(&spec).unwrap();
        assert!(filter.matches(energy("t", &encode(&data), None).get(0)), "{operator}");
    }
}
