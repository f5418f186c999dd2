//! Random energies, folded bit by bit, against a model: now, and at every position there was.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sanctum::projection::Freshness;

use crate::harness::{Place, SUM};

/// What one energy is: whether it matters, whose it is, and its number.
type Energy = (bool, u8, i16);

/// The rows after the first energies.
fn model(energies: &[Energy]) -> Vec<String> {
    let mut sums: BTreeMap<u8, (usize, u64, i64)> = BTreeMap::new();
    for (position, (_, who, n)) in energies.iter().enumerate().filter(|(_, energy)| energy.0) {
        let (last, count, sum) = sums.entry(*who).or_default();
        (*last, *count, *sum) = (position, *count + 1, *sum + i64::from(*n));
    }
    let line = |(who, (last, count, sum))| format!("{who} @{last} {{\"count\":{count},\"sum\":{sum}}}");
    sums.into_iter().map(line).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn bit_by_bit_is_from_scratch_is_the_model(
        parts in prop::collection::vec((prop::collection::vec((prop::bool::weighted(0.7), 0..6_u8, any::<i16>()), 1..30), any::<bool>()), 1..8),
        places in prop::collection::vec(any::<prop::sample::Index>(), 4),
    ) {
        let place = Place::new();
        let mut energies: Vec<Energy> = Vec::new();
        let mut held = place.projection(SUM);
        for (part, is_reopened) in parts {
            let data: Vec<_> = part.iter().map(|(_, who, n)| format!("{{\"who\":{who},\"n\":{n}}}")).collect();
            let topic = |energy: &Energy| if energy.0 { "n.in" } else { "other" };
            let batch: Vec<_> = part.iter().zip(&data).map(|(energy, data)| (topic(energy), "s", data.as_str())).collect();
            place.append(&batch);
            energies.extend(&part);
            if is_reopened {
                held.release();
            }
            prop_assert_eq!(place.ask(&mut held, Freshness::Exact), model(&energies));
        }
        prop_assert_eq!(place.made_anew(SUM, Freshness::Exact), model(&energies));
        for at in places {
            let at = at.index(energies.len());
            let expected = model(&energies[..=at]);
            prop_assert_eq!(&place.ask(&mut held, Freshness::At(at as u64)), &expected);
            prop_assert_eq!(&place.made_anew(SUM, Freshness::At(at as u64)), &expected);
        }
    }
}
