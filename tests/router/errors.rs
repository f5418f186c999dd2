//! What is said about a filter that is none.

use insta::assert_snapshot;
use sanctum::router::filter::Step;
use serde_json::json;

use super::{compile, encode};

fn messages(specs: &[serde_json::Value]) -> String {
    let message = |spec| match compile(spec) {
        Ok(_) => format!("compiles: {spec}"),
        Err(error) => error.to_string(),
    };
    specs.iter().map(message).collect::<Vec<_>>().join("\n")
}

#[test]
fn operators() {
    let specs = [
        json!({ "amount": { "gte": 5 } }),
        json!({ "amount": { "prefiks": "a" } }),
        json!({ "user": { "country": "DE" } }),
        json!({ "$topic": { "country": "DE" } }),
        json!({ "amount": {} }),
        json!({ "amount": [1, 2] }),
    ];
    assert_snapshot!(messages(&specs), @r#"
    filter.amount.gte: unknown operator `gte` (did you mean `ge`?); operators are eq, ne, gt, ge, lt, le, in, exists, prefix, suffix, contains, all, any, none
    filter.amount.prefiks: unknown operator `prefiks` (did you mean `prefix`?); operators are eq, ne, gt, ge, lt, le, in, exists, prefix, suffix, contains, all, any, none
    filter.user.country: unknown operator `country`; operators are eq, ne, gt, ge, lt, le, in, exists, prefix, suffix, contains, all, any, none (for a nested field write ["user.country"])
    filter["$topic"].country: unknown operator `country`; operators are eq, ne, gt, ge, lt, le, in, exists, prefix, suffix, contains, all, any, none
    filter.amount: a condition needs an operator or a value; operators are eq, ne, gt, ge, lt, le, in, exists, prefix, suffix, contains, all, any, none
    filter.amount: a list alone is no condition: write ["in"] = {…} for one of these, or eq = {…} for the list itself
    "#);
}

#[test]
fn operands() {
    let specs = [
        json!({ "a": { "gt": true } }),
        json!({ "a": { "in": "x" } }),
        json!({ "a": { "exists": 1 } }),
        json!({ "a": { "prefix": 1 } }),
        json!({ "a": { "any": "x" } }),
    ];
    assert_snapshot!(messages(&specs), @r#"
    filter.a.gt: `gt` takes a number or a string, not a boolean
    filter.a["in"]: `in` takes a list, not a string
    filter.a.exists: `exists` takes true or false, not a number
    filter.a.prefix: `prefix` takes a string, not a number
    filter.a.any: `any` takes a list of tables, not a string
    "#);
    let nan = rmpv::Value::Map(vec![("a".into(), f64::NAN.into())]);
    assert_snapshot!(sanctum::router::Filter::compile(&encode(&nan)).unwrap_err(), @r#"filter.a: `eq` compares with NaN, which nothing equals"#);
}

#[test]
fn tables() {
    let specs = [
        json!(5),
        json!([{ "a": 1 }]),
        json!({ "any": {} }),
        json!({ "any": [{ "a": 1 }, {}] }),
        json!({ "any": { "a": 1, "b": 2 } }),
        json!({ "all": [1] }),
    ];
    assert_snapshot!(messages(&specs), @r#"
    filter: a filter is a table of fields and conditions, not a number
    filter: a filter is a table of fields and conditions, not a list; for alternatives write any = { {…}, {…} }
    filter.any: `any` needs at least one sub-filter
    filter.any[2]: a sub-filter without conditions
    filter.any: `any` has several conditions in one table, which must all hold together; write a list with a table for each: any = { {…}, {…} }
    filter.all[1]: a filter is a table of fields and conditions, not a number
    "#);
    let numbered = rmpv::Value::Map(vec![(1.into(), 2.into())]);
    assert_snapshot!(sanctum::router::Filter::compile(&encode(&numbered)).unwrap_err(), @r#"filter: a filter's keys are names of fields, not numbers or booleans"#);
}

#[test]
fn paths() {
    let specs = [
        json!({ "a..b": 1 }),
        json!({ "$topik": "x" }),
        json!({ "$tags": "x" }),
        json!({ "$expect": "x" }),
        json!({ vec!["a"; 65].join("."): 1 }),
    ];
    assert_snapshot!(messages(&specs), @r#"
    filter["a..b"]: the path `a..b` has an empty part
    filter["$topik"]: no envelope field `$topik` (did you mean `$topic`?); there are $topic, $stream, $version, $position, $id, $time, $correlation, $causation, $hops, $tags.NAME, $ttl, $content
    filter["$tags"]: no envelope field `$tags` (did you mean `$tags.NAME`?); there are $topic, $stream, $version, $position, $id, $time, $correlation, $causation, $hops, $tags.NAME, $ttl, $content
    filter["$expect"]: no envelope field `$expect`; there are $topic, $stream, $version, $position, $id, $time, $correlation, $causation, $hops, $tags.NAME, $ttl, $content
    filter["a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a"]: a path of 65 parts is too deep, data nests 64 deep at most
    "#);
}

#[test]
fn the_place_can_be_followed() {
    let error = compile(&json!({ "any": [{ "a": 1 }, { "user.country": { "eqq": 1 } }] })).unwrap_err();
    assert_snapshot!(error.place, @r#"filter.any[2]["user.country"].eqq"#);
    let key = |text: &str| Step::Key(text.to_owned());
    assert_eq!(error.path(), [key("any"), Step::Index(2), key("user.country"), key("eqq")]);
}

#[test]
fn bytes_that_are_no_value_are_refused() {
    for bytes in [&[][..], &[0xc1], &[0x81], &[0x81, 0xa1], &[0xdf, 0xff, 0xff, 0xff, 0xff]] {
        assert!(sanctum::router::Filter::compile(bytes).is_err(), "{bytes:x?}");
    }
}
