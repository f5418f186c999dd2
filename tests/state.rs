//! The state store and its keys, against simple models.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use rmpv::Value;
use sanctum::log::{Change, Changes, Commit, Log, MemoryLog, Table};
use sanctum::state::store::ENTRY_BYTES;
use sanctum::state::{Address, Base, Store, key};

// --- keys ---

fn msgpack(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    rmpv::encode::write_value(&mut out, value).unwrap();
    out
}

fn encoded(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    key::encode(&msgpack(value), &mut out).unwrap();
    out
}

fn decoded(bytes: &[u8]) -> Value {
    let mut out = Vec::new();
    key::decode(bytes, &mut out).unwrap();
    let mut rest = out.as_slice();
    let value = rmpv::decode::read_value(&mut rest).unwrap();
    assert!(rest.is_empty());
    value
}

fn string(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::from(text),
        Err(_) => Value::Binary(bytes.to_vec()),
    }
}

fn float() -> impl Strategy<Value = f64> {
    let near = prop_oneof![
        Just(0.0),
        Just(0.5),
        Just(1.0),
        Just(9_007_199_254_740_992.0),
        Just(9_223_372_036_854_775_808.0),
        Just(9_223_372_036_854_774_784.0),
        Just(f64::INFINITY),
        Just(f64::MIN_POSITIVE),
        Just(5e-324),
        Just(255.0),
        Just(256.0),
    ];
    prop_oneof![
        any::<f64>(),
        -300.0..300.0,
        (near, -1_i32..=1, any::<bool>()).prop_map(|(value, step, negative): (f64, i32, bool)| {
            let value = match step {
                -1 => value.next_down(),
                1 => value.next_up(),
                _ => value,
            };
            if negative { -value } else { value }
        }),
    ]
    .prop_filter("NaN is no key", |value| !value.is_nan())
}

fn int() -> impl Strategy<Value = i64> {
    let near = prop_oneof![
        Just(0_i64),
        Just(127),
        Just(255),
        Just(256),
        Just(65_535),
        Just(1 << 53),
        Just(i64::MAX),
        Just(i64::MIN),
    ];
    prop_oneof![
        any::<i64>(),
        -300_i64..300,
        (near, -2_i64..=2).prop_map(|(value, step)| value.saturating_add(step))
    ]
}

fn scalar() -> impl Strategy<Value = Value> {
    let bytes =
        prop_oneof![vec(any::<u8>(), 0..6), vec(prop_oneof![Just(0_u8), Just(0xff), Just(b'a')], 0..5)];
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        int().prop_map(Value::from),
        float().prop_map(Value::from),
        bytes.prop_map(|bytes| string(&bytes)),
    ]
}

fn any_key() -> impl Strategy<Value = Value> {
    prop_oneof![2 => scalar(), 3 => vec(scalar(), 1..4).prop_map(Value::Array)]
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Boolean(false) => 0,
        Value::Boolean(true) => 1,
        Value::Integer(_) | Value::F64(_) => 2,
        Value::String(_) | Value::Binary(_) => 3,
        _ => 4,
    }
}

fn bytes(value: &Value) -> &[u8] {
    match value {
        Value::String(text) => text.as_bytes(),
        Value::Binary(bytes) => bytes,
        _ => &[],
    }
}

/// Exact comparison of an integer and a float.
fn compare_mixed(int: i64, float: f64) -> Ordering {
    if float >= 9_223_372_036_854_775_808.0 {
        return Ordering::Less;
    }
    if float < -9_223_372_036_854_775_808.0 {
        return Ordering::Greater;
    }
    let floor = float.floor();
    int.cmp(&(floor as i64)).then(if float > floor { Ordering::Less } else { Ordering::Equal })
}

/// The order that the module states.
fn order(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Array(left), Value::Array(right)) => left
            .iter()
            .zip(right)
            .map(|(left, right)| order(left, right))
            .find(|order| order.is_ne())
            .unwrap_or(left.len().cmp(&right.len())),
        (Value::Integer(left), Value::Integer(right)) => left.as_i64().cmp(&right.as_i64()),
        (Value::F64(left), Value::F64(right)) => left.partial_cmp(right).unwrap(),
        (Value::Integer(left), Value::F64(right)) => compare_mixed(left.as_i64().unwrap(), *right),
        (Value::F64(left), Value::Integer(right)) => compare_mixed(right.as_i64().unwrap(), *left).reverse(),
        _ => rank(left).cmp(&rank(right)).then_with(|| bytes(left).cmp(bytes(right))),
    }
}

/// A key as it reads back: a whole float is an integer.
fn normal(value: &Value) -> Value {
    match value {
        Value::F64(float) if float.fract() == 0.0 && compare_mixed(i64::MIN, *float).is_le() => {
            if *float < 9_223_372_036_854_775_808.0 { Value::from(*float as i64) } else { value.clone() }
        }
        Value::Array(elements) => Value::Array(elements.iter().map(normal).collect()),
        _ => value.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_bytes_is_the_order_of_keys(left in any_key(), right in any_key()) {
        prop_assert_eq!(encoded(&left).cmp(&encoded(&right)), order(&left, &right));
    }

    #[test]
    fn a_key_reads_back(value in any_key()) {
        prop_assert_eq!(decoded(&encoded(&value)), normal(&value));
    }

    #[test]
    fn a_tuple_comes_before_what_it_begins(
        head in vec(scalar(), 1..3), tail in vec(scalar(), 1..3), other in any_key(),
    ) {
        let short = encoded(&Value::Array(head.clone()));
        let mut end = short.clone();
        key::end_of_prefix(&mut end, 0);
        let long = encoded(&Value::Array(head.iter().cloned().chain(tail).collect()));
        prop_assert!(short < long && long < end);
        let begins = match &other {
            Value::Array(elements) => {
                elements.len() >= head.len()
                    && elements.iter().zip(&head).all(|(left, right)| order(left, right).is_eq())
            }
            _ => false,
        };
        let other = encoded(&other);
        prop_assert_eq!(short <= other && other < end, begins);
    }

    #[test]
    fn a_prefix_of_strings_ends_after_its_last(head in vec(any::<u8>(), 1..4), other in vec(any::<u8>(), 0..6)) {
        let start = encoded(&string(&head));
        let mut end = start.clone();
        key::end_of_prefix(&mut end, 0);
        let found = encoded(&string(&other));
        prop_assert_eq!(start <= found && found < end, other.starts_with(&head));
    }

    #[test]
    fn no_bytes_are_a_panic(bytes in vec(any::<u8>(), 0..24), tag in 0_u8..0x32) {
        let mut out = Vec::new();
        let _ = key::decode(&bytes, &mut out);
        let _ = key::encode(&bytes, &mut out);
        let tagged: Vec<u8> = [0x30, tag].into_iter().chain(bytes).collect();
        let _ = key::decode(&tagged, &mut out);
        let _ = key::decode(&tagged[1..], &mut out);
    }
}

#[test]
fn what_cannot_be_a_key_says_so() {
    let text = |value: Value| key::encode(&msgpack(&value), &mut Vec::new()).unwrap_err().to_string();
    assert_eq!(text(Value::F64(f64::NAN)), "NaN cannot be a key");
    assert_eq!(text(Value::Nil), "a key is a string, a number, a boolean or a list of those, not null");
    assert_eq!(text(Value::Array(vec![])), "an empty list cannot be a key");
    assert_eq!(
        text(Value::Array(vec![Value::from(1), Value::Nil])),
        "a list that is a key holds strings, numbers and booleans; element 2 is null"
    );
    assert_eq!(text(Value::from("x".repeat(5000))), "a key has at most 4096 bytes; this one has 5001");
}

// --- the store ---

#[derive(Clone, Debug)]
enum Step {
    Put(u8, Vec<u8>, Vec<u8>),
    Delete(u8, Vec<u8>),
    Commit,
    Rollback,
    Scope(u8),
    Range(u8, Vec<u8>, Vec<u8>, u64, bool),
    /// A walk that deletes and writes ahead of itself.
    Sweep(u8, bool),
    /// A round ends: what was written goes to the log, and the store may forget.
    Round,
}

fn short() -> impl Strategy<Value = Vec<u8>> {
    vec(0_u8..3, 0..4)
}

fn step() -> impl Strategy<Value = Step> {
    let value = prop_oneof![vec(any::<u8>(), 0..8), vec(any::<u8>(), 20..40)];
    let limit = prop_oneof![Just(u64::MAX), 0_u64..4];
    prop_oneof![
        8 => (0_u8..3, short(), value).prop_map(|(bucket, key, value)| Step::Put(bucket, key, value)),
        3 => (0_u8..3, short()).prop_map(|(bucket, key)| Step::Delete(bucket, key)),
        2 => Just(Step::Commit),
        2 => Just(Step::Rollback),
        1 => (0_u8..3).prop_map(Step::Scope),
        2 => (0_u8..3, short(), short(), limit, any::<bool>())
            .prop_map(|(bucket, from, to, limit, reverse)| Step::Range(bucket, from, to, limit, reverse)),
        1 => (0_u8..3, any::<bool>()).prop_map(|(bucket, reverse)| Step::Sweep(bucket, reverse)),
        2 => Just(Step::Round),
    ]
}

type Model = BTreeMap<(u8, u8, Vec<u8>), Vec<u8>>;
type Entry = (Vec<u8>, Vec<u8>);

const BUCKETS: [&[u8]; 3] = [b"", b"b", b"a bucket with a rather long name"];
const SCOPES: [&[u8]; 3] = [b"", b"s", b"another"];

fn name(bucket: u8) -> &'static [u8] {
    BUCKETS[usize::from(bucket)]
}

/// A store, what it should hold, and the log that has what earlier rounds wrote.
struct Story {
    store: Store,
    log: Arc<MemoryLog>,
    bytes_max: u64,
    scope: u8,
    /// As of the last commit, and now.
    kept: Model,
    now: Model,
    unlogged: Changes,
}

impl Story {
    fn new(bytes_max: u64, cache_bytes: Option<u64>) -> Self {
        let log = Arc::new(MemoryLog::new());
        let mut store = Store::new(bytes_max);
        if let Some(cache_bytes) = cache_bytes {
            store.rest_on(Base::new(log.clone(), "spell".into()), None, cache_bytes);
        }
        let (kept, now) = (Model::new(), Model::new());
        Self { store, log, bytes_max, scope: 0, kept, now, unlogged: Changes::default() }
    }

    fn commit(&mut self) {
        for (bucket, key, value) in self.store.written() {
            let (spell, scope) = (&b"spell"[..], SCOPES[usize::from(self.scope)]);
            let mut address = Vec::new();
            Address { spell, scope, bucket, key }.write(&mut address);
            self.unlogged.push(Change { table: Table::State, key: &address, value });
        }
        self.store.commit();
        self.kept = self.now.clone();
    }

    fn walk(&mut self, bucket: u8, from: &[u8], to: &[u8], limit: u64, reverse: bool) -> Vec<Entry> {
        let cursor = self.store.open(name(bucket), from, to, limit, reverse);
        let mut found = Vec::new();
        loop {
            let (mut key, mut value) = (Vec::new(), Vec::new());
            if self.store.step(cursor, &mut key, &mut value) != Ok(Some(true)) {
                return found;
            }
            found.push((key, value));
        }
    }

    fn expected(&self, bucket: u8, from: &[u8], to: &[u8], limit: u64, reverse: bool) -> Vec<Entry> {
        let inside = self.now.iter().filter(|((scope, of, key), _)| {
            (*scope, *of) == (self.scope, bucket) && from <= key.as_slice() && key.as_slice() < to
        });
        let mut found: Vec<Entry> = inside.map(|((_, _, key), value)| (key.clone(), value.clone())).collect();
        if reverse {
            found.reverse();
        }
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        found
    }

    fn tell(&mut self, step: Step) {
        match step {
            Step::Put(bucket, key, value) => {
                let mut next = self.now.clone();
                next.insert((self.scope, bucket, key.clone()), value.clone());
                let put = self.store.put(name(bucket), &key, &value);
                assert_eq!(put.is_ok(), model_bytes(&next) <= self.bytes_max);
                if put.is_ok() {
                    self.now = next;
                }
            }
            Step::Delete(bucket, key) => {
                let deleted = self.store.delete(name(bucket), &key);
                assert_eq!(deleted, Ok(self.now.remove(&(self.scope, bucket, key)).is_some()));
            }
            Step::Commit => self.commit(),
            Step::Rollback => {
                self.store.rollback();
                self.now = self.kept.clone();
            }
            Step::Scope(to) => {
                self.commit();
                self.scope = to;
                self.store.set_scope(SCOPES[usize::from(to)]);
                self.store.begin();
            }
            Step::Range(bucket, from, to, limit, reverse) => {
                let expected = self.expected(bucket, &from, &to, limit, reverse);
                assert_eq!(self.walk(bucket, &from, &to, limit, reverse), expected);
            }
            Step::Sweep(bucket, reverse) => self.sweep(bucket, reverse),
            Step::Round => {
                self.commit();
                let changes = std::mem::take(&mut self.unlogged);
                self.log.append(Commit { changes, ..Commit::default() }).unwrap();
                self.store.relieve();
            }
        }
    }

    /// Deletes each second entry before the walk comes to it.
    fn sweep(&mut self, bucket: u8, reverse: bool) {
        let all = self.expected(bucket, &[], &[0xff], u64::MAX, reverse);
        let cursor = self.store.open(name(bucket), &[], &[0xff], u64::MAX, reverse);
        for pair in all.chunks(2) {
            let (mut key, mut value) = (Vec::new(), Vec::new());
            assert_eq!(self.store.step(cursor, &mut key, &mut value), Ok(Some(true)));
            assert_eq!((&key, &value), (&pair[0].0, &pair[0].1));
            if let Some((next, _)) = pair.get(1) {
                assert_eq!(self.store.delete(name(bucket), next), Ok(true));
                self.now.remove(&(self.scope, bucket, next.clone()));
            }
        }
        assert_eq!(self.store.step(cursor, &mut Vec::new(), &mut Vec::new()), Ok(Some(false)));
    }

    fn check(&mut self) {
        assert_eq!(self.store.bytes(), model_bytes(&self.now));
        for bucket in 0..3 {
            let all = self.expected(bucket, &[], &[0xff], u64::MAX, false);
            assert_eq!(self.store.count(name(bucket)), Ok(all.len()));
            for (key, value) in &all {
                assert_eq!(self.store.get(name(bucket), key), Ok(Some(value.as_slice())));
            }
        }
    }
}

fn model_bytes(model: &Model) -> u64 {
    model.iter().map(|((_, _, key), value)| ENTRY_BYTES + (key.len() + value.len()) as u64).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn the_store_does_what_its_model_does(steps in vec(step(), 1..80), bytes_max in 300_u64..4_000) {
        let mut story = Story::new(bytes_max, None);
        for step in steps {
            story.tell(step);
            story.check();
        }
    }

    /// Looking makes the store remember: so it is looked at in some places only.
    #[test]
    fn a_store_that_forgets_does_what_its_model_does(
        steps in vec((step(), any::<bool>()), 1..120),
        bytes_max in 300_u64..4_000,
        cache_bytes in prop_oneof![Just(0_u64), 0_u64..1_500],
    ) {
        let mut story = Story::new(bytes_max, Some(cache_bytes));
        for (step, is_checked) in steps {
            story.tell(step);
            if is_checked {
                story.check();
            }
        }
        story.tell(Step::Round);
        story.check();
        // Another one goes on where it ended.
        let mut later = Store::new(bytes_max);
        let bytes = story.store.bytes();
        later.rest_on(Base::new(story.log.clone(), "spell".into()), Some(bytes), cache_bytes);
        later.set_scope(SCOPES[usize::from(story.scope)]);
        story.store = later;
        story.check();
    }
}
