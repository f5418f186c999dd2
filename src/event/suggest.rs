//! The nearest known name, for "did you mean" in every message about an unknown one.
//!
//! The distance counts insertions, deletions, replacements and swaps of neighbours (optimal string
//! alignment), without regard to case, and with `-` and `_` alike. A name is near when at most a third
//! of it differs. Names over [`LENGTH_MAX`] characters are never near: the cost stays bounded.

/// Longer names are not compared.
pub const LENGTH_MAX: usize = 64;

/// The candidate nearest to `name`, if one is near; of equally near ones the first.
#[must_use]
pub fn suggest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = folded(name)?;
    let mut best: Option<(usize, &'a str)> = None;
    for candidate in candidates {
        let Some(known) = folded(candidate) else { continue };
        let allowed = (wanted.len().max(known.len()) / 3).max(1);
        if wanted.len().abs_diff(known.len()) > allowed || known.len().min(wanted.len()) < 2 {
            continue;
        }
        let distance = distance(&wanted, &known);
        if distance <= allowed && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// The characters that are compared; `None` for a name that is too long.
fn folded(name: &str) -> Option<Vec<char>> {
    let chars: Vec<char> = name
        .chars()
        .take(LENGTH_MAX + 1)
        .map(|char| if char == '-' { '_' } else { char.to_ascii_lowercase() })
        .collect();
    (chars.len() <= LENGTH_MAX).then_some(chars)
}

/// Optimal string alignment with three rows.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut row: Vec<usize> = vec![0; b.len() + 1];
    for i in 1..=a.len() {
        row[0] = i;
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        std::mem::swap(&mut before, &mut last);
        std::mem::swap(&mut last, &mut row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 5] = ["path", "name", "topic", "max_casts", "instructions"];

    #[test]
    fn near_names_are_found() {
        for (typed, expected) in [
            ("topik", Some("topic")),
            ("tpoic", Some("topic")),
            ("Topic", Some("topic")),
            ("max-casts", Some("max_casts")),
            ("instruction", Some("instructions")),
            ("pathh", Some("path")),
            ("seeds", None),
            ("", None),
            ("x", None),
            ("wholly different", None),
        ] {
            assert_eq!(suggest(typed, NAMES), expected, "{typed}");
        }
    }

    #[test]
    fn long_names_cost_nothing() {
        assert_eq!(suggest(&"a".repeat(1 << 20), NAMES), None);
        assert_eq!(distance(&['a'; 64], &['b'; 64]), 64);
    }
}
