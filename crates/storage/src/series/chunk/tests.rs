use proptest::prelude::*;
use tripod_model::series::{CounterResetHint, FloatHistogram, NativeSpan};

use super::*;

fn starts() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(prop_oneof![3 => Just(0i64), 1 => any::<i64>()], 300)
}

fn histogram() -> impl Strategy<Value = FloatHistogram> {
    let bits = || any::<u64>().prop_map(f64::from_bits);
    let buckets = || prop::collection::vec(prop_oneof![bits(), (0u8..9).prop_map(f64::from)], 0..4);
    (buckets(), buckets(), prop::collection::vec(bits(), 0..3), bits(), any::<i32>(), 0usize..4).prop_map(
        |(positive_buckets, negative_buckets, custom_values, number, schema, hint)| FloatHistogram {
            schema,
            counter_reset_hint: [
                CounterResetHint::Unknown,
                CounterResetHint::CounterReset,
                CounterResetHint::NotCounterReset,
                CounterResetHint::Gauge,
            ][hint],
            zero_threshold: number,
            zero_count: 1.0,
            count: -number,
            sum: number,
            positive_spans: vec![NativeSpan { offset: schema, length: positive_buckets.len() as u32 }],
            positive_buckets,
            negative_spans: negative_buckets.iter().map(|_| NativeSpan { offset: -1, length: 1 }).collect(),
            negative_buckets,
            custom_values,
        },
    )
}

proptest! {
    #[test]
    fn floats_come_back(
        times in prop::collection::btree_set(any::<i64>(), 1..300),
        bits in prop::collection::vec(any::<u64>(), 300),
        starts in starts(),
    ) {
        let mut samples = FloatSamples::default();
        for ((time, bits), start) in times.into_iter().zip(bits).zip(starts) {
            samples.push(time, f64::from_bits(bits), start);
        }
        let chunks = ChunkEncoder::default().floats(&samples);
        prop_assert_eq!(chunks.len(), 1);
        let mut decoded = chunks[0].decode().unwrap().floats;
        if decoded.start_timestamps.is_empty() {
            // Unknown for all is the same as a column of zeros.
            decoded.start_timestamps = vec![0; samples.start_timestamps.len()];
        }
        prop_assert_eq!(decoded, samples);
    }

    #[test]
    fn histograms_come_back(
        run in prop::collection::vec((histogram(), 1usize..4), 1..6),
    ) {
        let mut samples = HistogramSamples::default();
        for (time, value) in run.into_iter().flat_map(|(value, times)| vec![value; times]).enumerate() {
            samples.push(time as i64, Arc::new(value), 7);
        }
        let chunks = ChunkEncoder::default().histograms(&samples);
        prop_assert_eq!(chunks.len(), 1);
        prop_assert_eq!(chunks[0].decode().unwrap().histograms, samples);
    }

    #[test]
    fn damage_is_told(place in any::<prop::sample::Index>(), flip in 1u8.., column in 0..2) {
        let mut samples = FloatSamples::default();
        for index in 0..200i64 {
            samples.push(index * 15_000 + index % 3, index as f64 / 10.0, 0);
        }
        let mut chunk = ChunkEncoder::default().floats(&samples).remove(0);
        let bytes = if column == 0 { &mut chunk.timestamps } else { &mut chunk.values };
        let mut damaged = bytes.to_vec();
        let at = place.index(damaged.len());
        damaged[at] ^= flip;
        *bytes = damaged.into();
        prop_assert!(chunk.decode().is_err());
    }

    /// With the right checksum, so that the decoders themselves are met.
    #[test]
    fn nonsense_never_panics(
        count in 0u32..2000,
        times in prop::collection::vec(any::<u8>(), 0..100),
        values in prop::collection::vec(any::<u8>(), 0..200),
        is_float in any::<bool>(),
    ) {
        let seal = |bytes: &[u8]| column(count as usize, |out| out.extend_from_slice(bytes));
        let steady = column(count as usize, |out| integers::encode(&(0..i64::from(count)).collect::<Vec<_>>(), out));
        let kind = if is_float { ChunkKind::Float } else { ChunkKind::Histogram };
        let mut chunk = EncodedChunk {
            kind, count, first: 0, last: 0, timestamps: steady, start_timestamps: Some(seal(&times)), values: seal(&values),
        };
        let _ = chunk.decode();
        chunk.start_timestamps = None;
        let _ = chunk.decode();
        chunk.timestamps = seal(&times);
        let _ = chunk.decode();
    }
}

#[test]
fn long_columns_are_cut() {
    let mut samples = FloatSamples::default();
    for index in 0..MOST_SAMPLES as i64 + 10 {
        samples.push(index, 1.0, 1);
    }
    let chunks = ChunkEncoder::default().floats(&samples);
    assert_eq!(chunks.iter().map(|chunk| chunk.count).collect::<Vec<_>>(), [MOST_SAMPLES as u32, 10]);
    assert_eq!(chunks[1].decode().unwrap().floats.timestamps[0], MOST_SAMPLES as i64);
    assert!(chunks[0].bytes() < 60, "{}", chunks[0].bytes());
}
