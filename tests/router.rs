//! Who receives an energy: patterns, tries and routes against a simple model, filters against another.
#![allow(clippy::unwrap_used)]

#[path = "router/errors.rs"]
mod errors;
#[path = "router/filters.rs"]
mod filters;
#[path = "router/model.rs"]
mod model;

use proptest::prelude::*;
use sanctum::event::{Events, Extra, Head, Uuid, msgpack};
use sanctum::router::{Filter, FilterError, Pattern, Router, Subscriptions};

/// The canonical bytes of a JSON document.
fn bytes_of(json: &serde_json::Value) -> Vec<u8> {
    encode(&tree_of(json))
}

fn encode(tree: &rmpv::Value) -> Vec<u8> {
    let mut plain = Vec::new();
    rmpv::encode::write_value(&mut plain, tree).unwrap();
    let mut canonical = Vec::new();
    msgpack::canonicalize(&plain, &mut canonical).unwrap();
    canonical
}

fn tree_of(json: &serde_json::Value) -> rmpv::Value {
    match json {
        serde_json::Value::Null => rmpv::Value::Nil,
        serde_json::Value::Bool(value) => (*value).into(),
        serde_json::Value::Number(value) => match value.as_i64() {
            Some(int) => int.into(),
            None => value.as_f64().unwrap().into(),
        },
        serde_json::Value::String(value) => value.as_str().into(),
        serde_json::Value::Array(list) => rmpv::Value::Array(list.iter().map(tree_of).collect()),
        serde_json::Value::Object(map) => {
            rmpv::Value::Map(map.iter().map(|(key, value)| (key.as_str().into(), tree_of(value))).collect())
        }
    }
}

fn compile(spec: &serde_json::Value) -> Result<Filter, FilterError> {
    Filter::compile(&bytes_of(spec))
}

/// A batch of one energy.
fn energy(topic: &str, data: &[u8], extra: Option<Extra>) -> Events {
    let mut events = Events::default();
    let mut head = Head::seed(Uuid::from_u128(0xA1), 1_000);
    head.topic = events.store(topic.as_bytes());
    head.stream = head.topic;
    head.data = events.store(data);
    head.position = 7;
    head.version = 3;
    events.push(head, extra);
    events
}

/// What a pattern means, said as plainly as possible.
fn model_matches(pattern: &[&str], topic: &[&str]) -> bool {
    match (pattern, topic) {
        ([], []) => true,
        ([">"], [_, ..]) => true,
        ([first, pattern @ ..], [token, topic @ ..]) => {
            (*first == "*" || first == token) && model_matches(pattern, topic)
        }
        _ => false,
    }
}

fn pattern_text() -> impl Strategy<Value = String> {
    let token = prop_oneof![3 => "[abc]", 1 => Just("*".to_owned()), 1 => "[ab]{2}"];
    (prop::collection::vec(token, 1..5), any::<bool>()).prop_map(|(mut tokens, rest)| {
        if rest {
            tokens.pop();
            tokens.push(">".to_owned());
        }
        tokens.join(".")
    })
}

fn topic_text() -> impl Strategy<Value = String> {
    prop::collection::vec(prop_oneof![3 => "[abc]", 1 => "[ab]{2}"], 1..6).prop_map(|tokens| tokens.join("."))
}

proptest! {
    #[test]
    fn a_pattern_matches_as_the_model_says(pattern in pattern_text(), topic in topic_text()) {
        let tokens: Vec<_> = pattern.split('.').collect();
        let parts: Vec<_> = topic.split('.').collect();
        let parsed = Pattern::parse(&pattern).unwrap();
        prop_assert_eq!(parsed.matches(&topic), model_matches(&tokens, &parts));
        prop_assert_eq!(parsed.to_string(), pattern);
    }

    #[test]
    fn any_text_is_a_pattern_or_an_error(text in ".{0,20}|[a>*.]{0,8}") {
        match Pattern::parse(&text) {
            Ok(pattern) => prop_assert_eq!(pattern.as_str(), text),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn a_trie_and_a_router_find_what_each_pattern_alone_finds(
        lists in prop::collection::vec(prop::collection::vec(pattern_text(), 0..4), 0..30),
        topics in prop::collection::vec(topic_text(), 1..20),
    ) {
        let lists: Vec<Vec<_>> = lists
            .iter()
            .map(|list| list.iter().map(|text| Pattern::parse(text).unwrap()).collect())
            .collect();
        let mut subscriptions = Subscriptions::new();
        // The order of insertion is not the order of ids.
        for (id, patterns) in lists.iter().enumerate().rev() {
            subscriptions.insert(patterns, id as u32);
        }
        let expected = |topic: Option<&str>| -> Vec<u32> {
            let takes = |patterns: &[Pattern]| {
                patterns.is_empty() || topic.is_some_and(|topic| patterns.iter().any(|one| one.matches(topic)))
            };
            (0_u32..).zip(&lists).filter(|(_, patterns)| takes(patterns)).map(|(id, _)| id).collect()
        };
        let mut found = Vec::new();
        let mut router = Router::new(subscriptions.clone());
        for topic in topics.iter().chain(&topics) {
            subscriptions.matching(Some(topic.as_bytes()), &mut found);
            prop_assert_eq!(&found, &expected(Some(topic)));
            prop_assert_eq!(router.route(topic.as_bytes()), expected(Some(topic)));
        }
        subscriptions.matching(None, &mut found);
        prop_assert_eq!(&found, &expected(None));
        prop_assert_eq!(router.route(b""), expected(None));
    }
}

#[test]
fn a_router_forgets_before_it_grows_without_end() {
    let mut subscriptions = Subscriptions::new();
    subscriptions.insert(&[Pattern::parse("user.>").unwrap()], 1);
    subscriptions.insert(&[Pattern::parse("*.7").unwrap()], 0);
    let mut router = Router::new(subscriptions);
    for round in 0..3 {
        for user in 0..Router::TOPICS_MAX / 2 + 1 {
            let topic = format!("user.{}", user + round * 1_000_000);
            let expected: &[u32] = if topic == "user.7" { &[0, 1] } else { &[1] };
            assert_eq!(router.route(topic.as_bytes()), expected, "{topic}");
            assert!(router.topics_remembered() <= Router::TOPICS_MAX);
        }
    }
    assert_eq!(router.route(b"user.7"), [0, 1]);
    assert!(router.topics_remembered() < Router::TOPICS_MAX);
}

#[test]
fn what_a_router_remembers_is_bounded_in_subscribers_too() {
    let mut subscriptions = Subscriptions::new();
    let ids = 100_000;
    for id in 0..ids {
        subscriptions.insert(&[Pattern::parse(">").unwrap()], id);
    }
    let mut router = Router::new(subscriptions);
    for topic in 0..100 {
        assert_eq!(router.route(format!("t{topic}").as_bytes()).len(), ids as usize);
        assert!(router.topics_remembered() * ids as usize <= Router::IDS_MAX);
    }
}

#[test]
fn a_pattern_of_many_stars_costs_no_more_than_the_trie_holds() {
    // 2^16 patterns of `a` and `*`: the topic matches all, each node is visited once.
    let mut subscriptions = Subscriptions::new();
    for bits in 0..1_u32 << 16 {
        let tokens: Vec<_> = (0..16).map(|bit| if bits >> bit & 1 == 0 { "a" } else { "*" }).collect();
        subscriptions.insert(&[Pattern::parse(&tokens.join(".")).unwrap()], bits);
    }
    let mut found = Vec::new();
    subscriptions.matching(Some(vec!["a"; 16].join(".").as_bytes()), &mut found);
    assert_eq!(found.len(), 1 << 16);
    subscriptions.matching(Some(vec!["a"; 17].join(".").as_bytes()), &mut found);
    assert!(found.is_empty());
}
