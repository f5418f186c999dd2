//! `stats`: averages, spreads, percentiles and histograms, of lists and of what arrives one by one.
//!
//! Of a list of numbers; nil for an empty list, but `sum` is 0 and `histogram` all zeros:
//!
//! ```lua
//! stats.sum(list)  stats.mean(list)  stats.min(list)  stats.max(list)  stats.median(list)
//! stats.variance(list)  stats.stddev(list)   -- of the list as a whole (divided by n)
//! stats.percentile(list, 99)                 -- 0 to 100, between two values by their distance
//! stats.percentile(list, { 50, 95, 99 })     -- several from one sort, as a list
//! stats.histogram(list, { 10, 20, 50 })      -- counts: up to 10, above 10 up to 20, up to 50, above 50
//! stats.bucket({ 10, 20, 50 }, value)        -- which of these a value falls into: 1 to 4
//! ```
//!
//! One by one. What is kept is plain data, so it can live in `state` and in windows; pass nil to begin:
//!
//! ```lua
//! state.load = stats.ewma(state.load, event.load, 0.1)      -- exponential average, a number
//! local kept, mean = stats.moving(state.last, event.ms, 50) -- mean of the last 50 values
//! state.last = kept
//! state.acc = stats.welford(state.acc, event.ms)            -- { count=, mean=, m2=, min=, max= }
//! stats.summary(state.acc)                                  -- { count=, mean=, variance=, stddev=, min=, max= }
//! stats.merge(a, b)                                         -- of two such accumulators, or of one and nil
//! ```
//!
//! `moving` and `welford` change the table they are given and return it. Sums of integers are exact integers while
//! they fit in 64 bits; sums of floats are compensated (Neumaier). All of it runs in Rust and counts as work: an
//! element is an instruction, and a sort counts its comparisons.

use std::cmp::Ordering;

use super::extend;
use crate::spell::raw::{Entry, Frame, Kind, Raise};

const STATS: &[Entry] = &[
    ("sum", sum),
    ("mean", mean),
    ("variance", variance),
    ("stddev", stddev),
    ("min", min),
    ("max", max),
    ("median", median),
    ("percentile", percentile),
    ("histogram", histogram),
    ("bucket", bucket),
    ("ewma", ewma),
    ("moving", moving),
    ("welford", welford),
    ("summary", summary),
    ("merge", merge),
];

/// Values that `moving` keeps at most.
const MOVING_MAX: i64 = 65_536;

/// Sets `stats`.
pub(crate) fn install(frame: &mut Frame<'_>) {
    frame.push_globals();
    extend(frame, "stats", STATS);
    frame.pop(1);
}

#[derive(Clone, Copy)]
enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    fn float(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Float(value) => value,
        }
    }

    /// By value, NaN last.
    fn order(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Int(left), Self::Int(right)) => left.cmp(&right),
            _ => self.float().total_cmp(&other.float()),
        }
    }

    fn push(self, frame: &mut Frame<'_>) {
        match self {
            Self::Int(value) => frame.push_int(value),
            Self::Float(value) => frame.push_float(value),
        }
    }
}

fn number_at(frame: &Frame<'_>, index: i32) -> Option<Number> {
    match frame.kind(index) {
        Kind::Integer => frame.int_at(index).map(Number::Int),
        _ => frame.number_at(index).map(Number::Float),
    }
}

/// The numbers of the list that an argument is.
fn list(frame: &mut Frame<'_>, index: usize) -> Result<Vec<Number>, Raise> {
    frame.table(index)?;
    let len = frame.raw_len(index as i32);
    frame.charge(len as u64)?;
    let mut numbers = Vec::with_capacity(len);
    for at in 1..=len {
        frame.raw_geti(index as i32, at as i64);
        let Some(number) = number_at(frame, -1) else {
            let found = frame.type_name(-1);
            return Err(Raise::argument(index, format!("element {at} is not a number but {found}")));
        };
        numbers.push(number);
        frame.pop(1);
    }
    Ok(numbers)
}

fn floats(frame: &mut Frame<'_>, index: usize) -> Result<Vec<f64>, Raise> {
    Ok(list(frame, index)?.into_iter().map(Number::float).collect())
}

/// Pushes a float, or nil.
fn give(frame: &mut Frame<'_>, value: Option<f64>) -> Result<usize, Raise> {
    match value {
        Some(value) => frame.push_float(value),
        None => frame.push_nil(),
    }
    Ok(1)
}

/// A sum whose rounding errors are summed as well.
fn total(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0_f64, 0.0_f64);
    for value in values {
        let next = sum + value;
        lost += if sum.abs() >= value.abs() { (sum - next) + value } else { (value - next) + sum };
        sum = next;
    }
    if lost.is_finite() { sum + lost } else { sum }
}

fn average(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| total(values.iter().copied()) / values.len() as f64)
}

fn spread(values: &[f64]) -> Option<f64> {
    let mean = average(values)?;
    let squares = values.iter().map(|value| (value - mean) * (value - mean));
    Some(total(squares) / values.len() as f64)
}

fn sum(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let numbers = list(frame, 1)?;
    let exact = numbers.iter().try_fold(0_i128, |sum, number| match number {
        Number::Int(value) => Some(sum + i128::from(*value)),
        Number::Float(_) => None,
    });
    match exact.and_then(|sum| i64::try_from(sum).ok()) {
        Some(sum) => frame.push_int(sum),
        None => frame.push_float(total(numbers.into_iter().map(Number::float))),
    }
    Ok(1)
}

fn mean(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let values = floats(frame, 1)?;
    give(frame, average(&values))
}

fn variance(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let values = floats(frame, 1)?;
    give(frame, spread(&values))
}

fn stddev(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let values = floats(frame, 1)?;
    give(frame, spread(&values).map(f64::sqrt))
}

fn extreme(frame: &mut Frame<'_>, wanted: Ordering) -> Result<usize, Raise> {
    let numbers = list(frame, 1)?;
    let found = numbers.into_iter().reduce(|best, next| if next.order(best) == wanted { next } else { best });
    match found {
        Some(number) => number.push(frame),
        None => frame.push_nil(),
    }
    Ok(1)
}

fn min(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    extreme(frame, Ordering::Less)
}

fn max(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    extreme(frame, Ordering::Greater)
}

/// The list in order; its comparisons are charged.
fn sorted(frame: &mut Frame<'_>) -> Result<Vec<f64>, Raise> {
    let mut values = floats(frame, 1)?;
    let rounds = usize::BITS - values.len().leading_zeros();
    frame.charge(values.len() as u64 * u64::from(rounds))?;
    values.sort_unstable_by(f64::total_cmp);
    Ok(values)
}

/// The value below which a share of the sorted values lies, with its neighbours weighed by distance.
fn quantile(values: &[f64], percent: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let at = percent / 100.0 * last as f64;
    let below = (at.floor() as usize).min(last);
    let above = (below + 1).min(last);
    let weight = at - below as f64;
    if weight == 0.0 {
        Some(values[below])
    } else {
        Some(values[below] + (values[above] - values[below]) * weight)
    }
}

fn median(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let values = sorted(frame)?;
    give(frame, quantile(&values, 50.0))
}

fn percentile(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let within = |percent: f64| {
        if (0.0..=100.0).contains(&percent) {
            Ok(percent)
        } else {
            Err(Raise::argument(2, format!("a percentile lies between 0 and 100, not at {percent}")))
        }
    };
    if frame.kind(2) != Kind::Table {
        let percent = within(frame.number(2)?)?;
        let values = sorted(frame)?;
        return give(frame, quantile(&values, percent));
    }
    let percents = floats(frame, 2)?;
    let values = sorted(frame)?;
    frame.push_table(percents.len(), 0);
    for (at, percent) in (1..).zip(percents) {
        if let Some(value) = quantile(&values, within(percent)?) {
            frame.push_float(value);
            frame.raw_seti(-2, at);
        }
    }
    Ok(1)
}

/// Ascending bounds; an argument.
fn bounds(frame: &mut Frame<'_>, index: usize) -> Result<Vec<f64>, Raise> {
    let bounds = floats(frame, index)?;
    if bounds.windows(2).all(|pair| pair[0] < pair[1]) {
        Ok(bounds)
    } else {
        Err(Raise::argument(index, "bounds must ascend"))
    }
}

/// Which bucket a value falls into, from 0; NaN falls into the last.
fn place(bounds: &[f64], value: f64) -> usize {
    bounds.partition_point(|bound| value.partial_cmp(bound).is_none_or(Ordering::is_gt))
}

fn histogram(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let bounds = bounds(frame, 2)?;
    let values = floats(frame, 1)?;
    let mut counts = vec![0_i64; bounds.len() + 1];
    for value in values {
        counts[place(&bounds, value)] += 1;
    }
    frame.push_table(counts.len(), 0);
    for (at, count) in (1..).zip(counts) {
        frame.push_int(count);
        frame.raw_seti(-2, at);
    }
    Ok(1)
}

fn bucket(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let bounds = bounds(frame, 1)?;
    let value = frame.number(2)?;
    frame.push_int(place(&bounds, value) as i64 + 1);
    Ok(1)
}

fn ewma(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let previous = frame.opt_number(1)?;
    let value = frame.number(2)?;
    let alpha = frame.number(3)?;
    if !(alpha > 0.0 && alpha <= 1.0) {
        return Err(Raise::argument(
            3,
            format!("the weight of the new value lies above 0 and up to 1, not at {alpha}"),
        ));
    }
    give(frame, Some(previous.map_or(value, |previous| previous + alpha * (value - previous))))
}

/// Pushes the table that argument 1 is, or a new one.
fn push_kept(frame: &mut Frame<'_>) -> Result<(), Raise> {
    if frame.is_absent(1) {
        frame.push_table(0, 5);
    } else {
        frame.table(1)?;
        frame.push_copy(1);
    }
    Ok(())
}

/// A number in a field of the table at `table`; `None` where there is nothing.
fn field(frame: &mut Frame<'_>, table: i32, name: &str) -> Result<Option<Number>, Raise> {
    let kind = frame.get_field(table, name);
    let number = number_at(frame, -1);
    frame.pop(1);
    match (kind, number) {
        (Kind::Nil, _) => Ok(None),
        (_, Some(number)) => Ok(Some(number)),
        (kind, None) => Err(Raise::message(format!(
            "`{name}` of what is kept is a {}, not a number: it was not made by `stats`",
            kind.name()
        ))),
    }
}

fn moving(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let value = frame.number(2)?;
    let size = frame.int(3)?;
    if !(1..=MOVING_MAX).contains(&size) {
        return Err(Raise::argument(3, format!("between 1 and {MOVING_MAX} values can be kept, not {size}")));
    }
    push_kept(frame)?;
    let kept = frame.top();
    let full = frame.raw_len(kept) as i64;
    frame.charge(full as u64)?;
    // Oldest first: a list that any reader understands. Moving it is cheap beside keeping it.
    let drop = (full + 1 - size).max(0);
    let mut values = Vec::with_capacity(size.min(full + 1) as usize);
    for at in drop + 1..=full {
        frame.raw_geti(kept, at);
        let Some(number) = frame.number_at(-1) else {
            return Err(Raise::argument(
                1,
                format!("element {at} is not a number but {}", frame.type_name(-1)),
            ));
        };
        values.push(number);
        if drop > 0 {
            frame.raw_seti(kept, at - drop);
        } else {
            frame.pop(1);
        }
    }
    values.push(value);
    frame.push_copy(2);
    frame.raw_seti(kept, values.len() as i64);
    for at in values.len() as i64 + 1..=full {
        frame.push_nil();
        frame.raw_seti(kept, at);
    }
    give(frame, average(&values))?;
    Ok(2)
}

/// Moments of what was seen.
struct Moments {
    count: i64,
    mean: f64,
    m2: f64,
    min: f64,
    max: f64,
}

impl Moments {
    const NONE: Self = Self { count: 0, mean: 0.0, m2: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY };

    /// Reads an accumulator; an absent one is empty.
    fn read(frame: &mut Frame<'_>, index: usize) -> Result<Self, Raise> {
        if frame.is_absent(index) {
            return Ok(Self::NONE);
        }
        frame.table(index)?;
        let table = index as i32;
        let mut get =
            |name, default| Ok::<f64, Raise>(field(frame, table, name)?.map_or(default, Number::float));
        Ok(Self {
            count: get("count", 0.0)? as i64,
            mean: get("mean", 0.0)?,
            m2: get("m2", 0.0)?,
            min: get("min", f64::INFINITY)?,
            max: get("max", f64::NEG_INFINITY)?,
        })
    }

    /// Writes into the table on top.
    fn write(&self, frame: &mut Frame<'_>) {
        frame.push_int(self.count);
        frame.set_field(-2, "count");
        if self.count > 0 {
            for (name, value) in [("mean", self.mean), ("m2", self.m2), ("min", self.min), ("max", self.max)]
            {
                frame.push_float(value);
                frame.set_field(-2, name);
            }
        }
    }

    fn add(&mut self, value: f64) {
        self.count = self.count.saturating_add(1);
        let delta = value - self.mean;
        self.mean += delta / self.count as f64;
        self.m2 += delta * (value - self.mean);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        let count = self.count.saturating_add(other.count);
        let delta = other.mean - self.mean;
        let share = other.count as f64 / count as f64;
        self.mean += delta * share;
        self.m2 += other.m2 + delta * delta * share * self.count as f64;
        self.count = count;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }
}

fn welford(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let value = frame.number(2)?;
    let mut moments = Moments::read(frame, 1)?;
    moments.add(value);
    frame.charge(8)?;
    push_kept(frame)?;
    moments.write(frame);
    Ok(1)
}

fn summary(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let moments = Moments::read(frame, 1)?;
    frame.charge(8)?;
    frame.push_table(0, 6);
    moments.write(frame);
    frame.push_nil();
    frame.set_field(-2, "m2");
    if moments.count > 0 {
        let variance = moments.m2 / moments.count as f64;
        for (name, value) in [("variance", variance), ("stddev", variance.sqrt())] {
            frame.push_float(value);
            frame.set_field(-2, name);
        }
    }
    Ok(1)
}

fn merge(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let mut moments = Moments::read(frame, 1)?;
    let other = Moments::read(frame, 2)?;
    moments.merge(&other);
    frame.charge(8)?;
    frame.push_table(0, 5);
    moments.write(frame);
    Ok(1)
}
