//! What a projection is made of, and what it answers.

use std::time::Duration;

use sanctum::event::msgpack;
use sanctum::projection::{Freshness, project, watch_projection};

use crate::harness::{Place, SUM, fold, shown};

fn grown() -> Place {
    let place = Place::new();
    place.append(&[
        ("n.in", "shop-1", r#"{"who":"ann","n":3}"#),
        ("other", "shop-1", r#"{"who":"ann","n":100}"#),
        ("n.in", "shop-2", r#"{"who":"bob","n":5}"#),
        ("n.out", "shop-1", r#"{"who":"ann","n":-1}"#),
        ("n.in", "shop-2", r#"{"n":7}"#),
    ]);
    place
}

#[test]
fn energies_are_folded_by_a_field() {
    let place = grown();
    let mut sums = place.projection(SUM);
    assert_eq!(
        place.ask(&mut sums, Freshness::Exact),
        [
            r#"null @4 {"count":1,"sum":7}"#,
            r#""ann" @3 {"count":2,"sum":2}"#,
            r#""bob" @2 {"count":1,"sum":5}"#
        ]
    );
    let mut key = Vec::new();
    msgpack::write_str(&mut key, "bob");
    let bob = project(&place.log, &mut sums, Some(&key), Freshness::Exact).unwrap();
    assert_eq!(shown(bob), [r#""bob" @2 {"count":1,"sum":5}"#]);
    msgpack::write_nil(&mut key);
    assert_eq!(project(&place.log, &mut sums, Some(&key), Freshness::Exact).unwrap(), []);
}

#[test]
fn or_by_their_stream_or_all_together() {
    let place = grown();
    let streams = r#"return { by = "stream", fold = function(state, event, envelope)
        return { n = (state and state.n or 0) + event.n, stream = envelope.stream, position = envelope.position }
    end }"#;
    assert_eq!(
        place.made_anew(streams, Freshness::Exact),
        [
            r#""shop-1" @3 {"n":102,"position":3,"stream":"shop-1"}"#,
            r#""shop-2" @4 {"n":12,"position":4,"stream":"shop-2"}"#
        ]
    );
    let one = r#"return { topic = { "n.in", "n.out" }, seed = 0, fold = function(sum, event) return sum + event.n end }"#;
    assert_eq!(place.made_anew(one, Freshness::Exact), ["null @4 14"]);
}

#[test]
fn keys_are_any_value_and_come_in_their_order() {
    let place = Place::new();
    for key in ["2", "10", "2.0", "true", "\"b\"", "\"10\"", "[1,\"x\"]", "{\"a\":1}", "null", "-3", "2.5"] {
        place.append(&[("n.in", "s", &format!("{{\"who\":{key},\"n\":1}}"))]);
    }
    let rows = place.made_anew(SUM, Freshness::Exact);
    let keys: Vec<_> = rows.iter().map(|row| row.split(" @").next().unwrap()).collect();
    assert_eq!(keys, ["null", "true", "-3", "2", "2.5", "10", "\"10\"", "\"b\"", "[1,\"x\"]", "{\"a\":1}"]);
}

#[test]
fn a_key_is_forgotten_and_begins_anew() {
    let place = grown();
    let text = r#"return { by = "who", topic = "n.>", seed = { n = 1 }, snapshot_every = 2, fold = function(state, event)
        if event.n < 0 then return nil end
        state.n = state.n + event.n
        return state
    end }"#;
    let mut projection = place.projection(text);
    let rows = place.ask(&mut projection, Freshness::Exact);
    assert_eq!(rows, [r#"null @4 {"n":8}"#, r#""bob" @2 {"n":6}"#]);
    assert_eq!(place.ask(&mut projection, Freshness::At(2)).len(), 2);
    place.append(&[("n.in", "shop-1", r#"{"who":"ann","n":2}"#)]);
    assert_eq!(place.ask(&mut projection, Freshness::Exact)[1], r#""ann" @5 {"n":3}"#);
    // What the seed is stays what it is, however often it was changed.
    assert_eq!(place.made_anew(text, Freshness::Exact)[1], r#""ann" @5 {"n":3}"#);
}

#[test]
fn the_past_is_answered_as_it_was() {
    let place = grown();
    let mut sums = place.projection(SUM);
    place.ask(&mut sums, Freshness::Exact);
    assert_eq!(place.ask(&mut sums, Freshness::At(0)), [r#""ann" @0 {"count":1,"sum":3}"#]);
    assert_eq!(place.ask(&mut sums, Freshness::At(1)), [r#""ann" @0 {"count":1,"sum":3}"#]);
    assert_eq!(place.ask(&mut sums, Freshness::At(2)).len(), 2);
    assert_eq!(place.ask(&mut sums, Freshness::At(4)), place.ask(&mut sums, Freshness::Exact));
}

#[test]
fn a_watcher_hears_what_changes() {
    let place = grown();
    let mut sums = place.projection(SUM);
    place.ask(&mut sums, Freshness::Exact);
    let mut watch = watch_projection(&place.log, &mut sums, None, 5);
    assert_eq!(watch.next(Duration::ZERO).unwrap(), []);
    place.append(&[("n.in", "s", r#"{"who":"bob","n":1}"#), ("n.in", "s", r#"{"who":"bob","n":1}"#)]);
    let news = shown(watch.next(Duration::from_secs(1)).unwrap());
    assert_eq!(news, [r#""bob" @6 {"count":3,"sum":7}"#]);
    place.append(&[("other", "s", r#"{"who":"bob","n":1}"#)]);
    assert_eq!(watch.next(Duration::from_millis(10)).unwrap(), []);
    // Somebody else folds some of it first.
    place.append(&[("n.in", "s", r#"{"who":"cid","n":1}"#)]);
    place.ask(&mut place.projection(SUM), Freshness::Exact);
    place.append(&[("n.in", "s", r#"{"who":"bob","n":1}"#)]);
    let news = shown(watch.next(Duration::from_secs(1)).unwrap());
    assert_eq!(news, [r#""bob" @9 {"count":4,"sum":8}"#, r#""cid" @8 {"count":1,"sum":1}"#]);
}

#[test]
fn what_is_wrong_with_a_projection_is_listed_at_once() {
    let text = r#"
return {
  topic = "a..b",
  by = 7,
  sed = {},
  seed = print,
  snapshot_every = "10s",
  limits = { memroy = "1MiB" },
  fold = true,
}
"#;
    insta::assert_snapshot!(fold(text).unwrap_err());
    insta::assert_snapshot!(
        [fold("return 7"), fold("return {}"), fold("return {")].map(|folded| folded.unwrap_err()).join("\n")
    );
}

#[test]
fn a_fold_that_faults_says_where() {
    let place = grown();
    let mut texts = Vec::new();
    for body in [
        "return state.n + event.n",
        "",
        "return function() end",
        "emit { n = 1 }",
        "state = stats.count()",
        "while true do end",
    ] {
        let text = format!("return {{ topic = \"n.*\", fold = function(state, event)\n  {body}\nend }}\n");
        let report = place.fault(&mut place.projection(&text));
        texts.push(
            report.lines().filter(|line| !line.contains("position 0, id")).collect::<Vec<_>>().join("\n"),
        );
    }
    insta::assert_snapshot!(texts.join("\n\n"));
}
