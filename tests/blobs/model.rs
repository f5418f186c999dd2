//! Any sequence of operations does what a map would.

use std::collections::HashMap;

use proptest::prelude::*;
use sanctum::blob::Hash;

use super::{content, findings, get, reader, writer};

#[derive(Clone, Debug)]
enum Step {
    Put(u32, usize),
    Stream(u32, usize),
    Sync,
    Reopen,
    /// Keeps content whose number has this remainder by 3.
    Collect(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let len = prop_oneof![4 => 0usize..100, 1 => 95usize..400];
    prop_oneof![
        8 => (0u32..40, len.clone()).prop_map(|(n, len)| Step::Put(n, len)),
        3 => (0u32..40, len).prop_map(|(n, len)| Step::Stream(n, len)),
        2 => Just(Step::Sync),
        1 => Just(Step::Reopen),
        1 => (0u32..3).prop_map(Step::Collect),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn it_is_a_map(steps in prop::collection::vec(step(), 1..60)) {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("blobs");
        let mut store = Some(writer(&folder));
        let watcher = reader(&folder);
        // Digest to content, its number, and whether it has to be there.
        let mut model: HashMap<Hash, (Vec<u8>, u32, bool)> = HashMap::new();
        for step in steps {
            let here = store.as_ref().unwrap();
            match step {
                Step::Put(n, len) => {
                    let bytes = content(n, len);
                    let hash = here.put(&bytes).unwrap();
                    prop_assert_eq!(hash, blake3::hash(&bytes));
                    model.insert(hash, (bytes, n, true));
                }
                Step::Stream(n, len) => {
                    let bytes = content(n, len);
                    let (hash, count) = here.put_stream(&mut bytes.as_slice()).unwrap();
                    prop_assert_eq!((hash, count), (blake3::hash(&bytes), bytes.len() as u64));
                    model.insert(hash, (bytes, n, true));
                }
                Step::Sync => here.sync().unwrap(),
                Step::Reopen => {
                    drop(store.take());
                    store = Some(writer(&folder));
                }
                Step::Collect(rest) => {
                    let before = here.len().unwrap();
                    let collected = here
                        .collect(here.mark(), &mut |hash| model[hash].1 % 3 == rest)
                        .unwrap();
                    prop_assert_eq!(before - collected.count, here.len().unwrap());
                    for (_, n, wanted) in model.values_mut() {
                        *wanted &= *n % 3 == rest;
                    }
                }
            }
            let here = store.as_ref().unwrap();
            for (hash, (bytes, _, wanted)) in &model {
                let there = get(here, hash);
                let same = there.as_ref() == Some(bytes);
                prop_assert!(same || (!*wanted && there.is_none()));
                prop_assert!(!*wanted || get(&watcher, hash).as_ref() == Some(bytes));
            }
        }
        prop_assert_eq!(findings(store.as_ref().unwrap()), vec![]);
        prop_assert_eq!(findings(&watcher), vec![]);
        prop_assert_eq!(watcher.list().unwrap(), store.unwrap().list().unwrap());
    }
}
