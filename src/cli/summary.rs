//! `--summary`: what a run did, as a table.

use std::fmt::Write;

use crate::engine::{SpellSummary, Summary};

/// Columns after the name, all aligned to the right.
const COLUMNS: [&str; 13] = [
    "casts", "in", "out", "filtered", "faults", "retries", "casts/s", "p50", "p99", "max", "memory", "state",
    "lag",
];

/// The table, then the totals.
#[must_use]
pub fn table(summary: &Summary, nanos: u64) -> String {
    let mut rows: Vec<Vec<String>> =
        vec![std::iter::once("spell").chain(COLUMNS).map(str::to_owned).collect()];
    rows.extend(summary.spells.iter().map(row));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..=COLUMNS.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = format!("{:<width$}", row[0], width = widths[0]);
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            // Writing to a string cannot fail.
            let _ = write!(line, "  {cell:>width$}");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.push('\n');
    let events = summary.seeds + summary.produced;
    let seconds = nanos as f64 / 1e9;
    let rate = if nanos == 0 { 0.0 } else { events as f64 / seconds };
    let _ = writeln!(
        text,
        "{} seeds, {} produced, {} casts in {seconds:.3} s: {} events/s",
        summary.seeds,
        summary.produced,
        summary.casts,
        count(rate)
    );
    text
}

fn row(spell: &SpellSummary) -> Vec<String> {
    let seconds = spell.cast_ns_total as f64 / 1e9;
    let rate = if spell.cast_ns_total == 0 { "-".into() } else { count(spell.casts as f64 / seconds) };
    let time = |quantile: f64| match spell.cast_ns.len() {
        0 => "-".to_owned(),
        _ => duration(spell.cast_ns_at(quantile)),
    };
    vec![
        spell.name.clone(),
        spell.casts.to_string(),
        spell.energies_in.to_string(),
        spell.energies_out.to_string(),
        spell.filtered.to_string(),
        spell.faults.to_string(),
        spell.retries.to_string(),
        rate,
        time(0.5),
        time(0.99),
        time(1.0),
        bytes(spell.usage.peak_bytes),
        bytes(usize::try_from(spell.usage.state_bytes).unwrap_or(usize::MAX)),
        spell.lag.to_string(),
    ]
}

/// A rate in three digits or so.
fn count(rate: f64) -> String {
    match rate {
        rate if rate >= 1e6 => format!("{:.2}M", rate / 1e6),
        rate if rate >= 1e4 => format!("{:.0}k", rate / 1e3),
        rate => format!("{rate:.0}"),
    }
}

fn duration(nanos: u64) -> String {
    match nanos {
        0..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => format!("{:.1}µs", nanos as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1}ms", nanos as f64 / 1e6),
        _ => format!("{:.2}s", nanos as f64 / 1e9),
    }
}

fn bytes(bytes: usize) -> String {
    if bytes >= 1 << 20 {
        format!("{:.1}MiB", bytes as f64 / f64::from(1 << 20))
    } else {
        format!("{}KiB", bytes.div_ceil(1 << 10))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!([count(999.6), count(12_345.0), count(2_345_678.0)], ["1000", "12k", "2.35M"]);
        assert_eq!([duration(9), duration(1_540), duration(2_000_000_000)], ["9ns", "1.5µs", "2.00s"]);
        assert_eq!([bytes(1), bytes(3 << 20)], ["1KiB", "3.0MiB"]);
    }

    #[test]
    fn an_empty_run_has_a_table() {
        let text = table(&Summary::default(), 0);
        assert!(text.ends_with("0 seeds, 0 produced, 0 casts in 0.000 s: 0 events/s\n"), "{text}");
    }
}
