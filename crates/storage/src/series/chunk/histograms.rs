//! A column of native histograms: runs of one layout, each bucket a column of floats.
//!
//! ```text
//! runs: samples (varint), schema (varint, zigzag), counter reset hint (1 byte), zero threshold (8 bytes),
//!       positive spans and negative spans (number, then offset zigzag and length of each; varints),
//!       custom values (number as varint, 8 bytes each),
//!       columns: zero counts, counts, sums, each positive bucket, each negative bucket; each its length (varint) and
//!       the column of floats
//! ```

use std::sync::Arc;

use tripod_model::series::{CounterResetHint, FloatHistogram, NativeSpan};

use super::bits::{put_varint, take, take_varint, unzigzag, zigzag};
use super::floats;

/// Numbers that a column may hold in all its histograms, to bound memory.
pub(super) const MOST_NUMBERS: usize = 8 << 20;

const HINTS: [CounterResetHint; 4] = [
    CounterResetHint::Unknown,
    CounterResetHint::CounterReset,
    CounterResetHint::NotCounterReset,
    CounterResetHint::Gauge,
];

/// How many numbers a histogram is made of, spans counted as one.
pub(super) fn numbers(histogram: &FloatHistogram) -> usize {
    let buckets = histogram.positive_buckets.len() + histogram.negative_buckets.len();
    let spans = histogram.positive_spans.len() + histogram.negative_spans.len();
    3 + buckets + spans + histogram.custom_values.len()
}

/// Appends a column.
pub(super) fn encode(values: &[Arc<FloatHistogram>], out: &mut Vec<u8>) {
    let mut column = Vec::new();
    let mut encoded = Vec::new();
    for run in values.chunk_by(|a, b| has_layout_of(a, b)) {
        let first = &run[0];
        put_varint(run.len() as u64, out);
        put_varint(zigzag(i64::from(first.schema)), out);
        out.push(first.counter_reset_hint as u8);
        out.extend_from_slice(&first.zero_threshold.to_le_bytes());
        put_spans(&first.positive_spans, out);
        put_spans(&first.negative_spans, out);
        put_varint(first.custom_values.len() as u64, out);
        for value in &first.custom_values {
            out.extend_from_slice(&value.to_le_bytes());
        }
        let mut put = |number: &dyn Fn(&FloatHistogram) -> f64| {
            column.clear();
            column.extend(run.iter().map(|histogram| number(histogram)));
            encoded.clear();
            floats::encode(&column, &mut encoded);
            put_varint(encoded.len() as u64, out);
            out.extend_from_slice(&encoded);
        };
        put(&|histogram| histogram.zero_count);
        put(&|histogram| histogram.count);
        put(&|histogram| histogram.sum);
        for index in 0..first.positive_buckets.len() {
            put(&|histogram| histogram.positive_buckets[index]);
        }
        for index in 0..first.negative_buckets.len() {
            put(&|histogram| histogram.negative_buckets[index]);
        }
    }
}

/// Whether two histograms differ in numbers only.
fn has_layout_of(a: &FloatHistogram, b: &FloatHistogram) -> bool {
    let same = |a: &[f64], b: &[f64]| a.iter().map(|a| a.to_bits()).eq(b.iter().map(|b| b.to_bits()));
    a.schema == b.schema
        && a.counter_reset_hint == b.counter_reset_hint
        && a.zero_threshold.to_bits() == b.zero_threshold.to_bits()
        && a.positive_spans == b.positive_spans
        && a.negative_spans == b.negative_spans
        && a.positive_buckets.len() == b.positive_buckets.len()
        && a.negative_buckets.len() == b.negative_buckets.len()
        && same(&a.custom_values, &b.custom_values)
}

fn put_spans(spans: &[NativeSpan], out: &mut Vec<u8>) {
    put_varint(spans.len() as u64, out);
    for span in spans {
        put_varint(zigzag(i64::from(span.offset)), out);
        put_varint(u64::from(span.length), out);
    }
}

fn take_spans(rest: &mut &[u8]) -> Option<(Vec<NativeSpan>, usize)> {
    let count = take_varint(rest)?;
    let mut spans = Vec::new();
    let mut buckets = 0usize;
    for _ in 0..count {
        let offset = i32::try_from(unzigzag(take_varint(rest)?)).ok()?;
        let length = u32::try_from(take_varint(rest)?).ok()?;
        buckets = buckets.checked_add(length as usize)?;
        spans.push(NativeSpan { offset, length });
    }
    Some((spans, buckets))
}

fn take_float(rest: &mut &[u8]) -> Option<f64> {
    take(rest, 8)?.first_chunk().map(|bytes| f64::from_le_bytes(*bytes))
}

/// Reads `count` histograms that stand alone in `bytes`; `None` when the bytes are not what [`encode`] writes.
pub(super) fn decode(bytes: &[u8], count: usize) -> Option<Vec<Arc<FloatHistogram>>> {
    let mut rest = bytes;
    let mut numbers = 0usize;
    let mut histograms = Vec::new();
    while histograms.len() < count {
        let samples = usize::try_from(take_varint(&mut rest)?).ok()?;
        if samples == 0 || samples > count - histograms.len() {
            return None;
        }
        let schema = i32::try_from(unzigzag(take_varint(&mut rest)?)).ok()?;
        let counter_reset_hint = *HINTS.get(usize::from(take(&mut rest, 1)?[0]))?;
        let zero_threshold = take_float(&mut rest)?;
        let (positive_spans, positive) = take_spans(&mut rest)?;
        let (negative_spans, negative) = take_spans(&mut rest)?;
        let mut custom_values = Vec::new();
        for _ in 0..take_varint(&mut rest)? {
            custom_values.push(take_float(&mut rest)?);
        }
        let columns = positive.checked_add(negative)?.checked_add(3)?;
        let extent = columns.checked_add(custom_values.len() + positive_spans.len() + negative_spans.len())?;
        numbers = samples.checked_mul(extent)?.checked_add(numbers)?;
        if numbers > MOST_NUMBERS {
            return None;
        }
        let layout = FloatHistogram {
            schema,
            counter_reset_hint,
            zero_threshold,
            positive_spans,
            positive_buckets: vec![0.0; positive],
            negative_spans,
            negative_buckets: vec![0.0; negative],
            custom_values,
            ..FloatHistogram::default()
        };
        let mut run = vec![layout; samples];
        for column in 0..columns {
            let length = usize::try_from(take_varint(&mut rest)?).ok()?;
            let values = floats::decode(take(&mut rest, length)?, samples)?;
            for (histogram, value) in run.iter_mut().zip(values) {
                *match column {
                    0 => &mut histogram.zero_count,
                    1 => &mut histogram.count,
                    2 => &mut histogram.sum,
                    bucket if bucket - 3 < positive => &mut histogram.positive_buckets[bucket - 3],
                    bucket => &mut histogram.negative_buckets[bucket - 3 - positive],
                } = value;
            }
        }
        histograms.extend(run.into_iter().map(Arc::new));
    }
    rest.is_empty().then_some(histograms)
}
