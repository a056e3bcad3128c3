//! Batches of samples as records of the series' write-ahead log.
//!
//! A series is a number in the log, given by a run of the server. Its labels come with the number in the first record of
//! each epoch that names it, and again in the second, fourth, eighth and so on: a damaged record takes nothing else with
//! it, and a damaged stretch of the log at most as many samples again. An epoch ends where a flush cuts the log ([`CUT`]),
//! so what stays after a flush never needs what was released.
//!
//! Layout, numbers as LEB128, signed ones zigzag:
//!
//! ```text
//! run          number of the first record that this run of the server could write; absent in [`SAMPLES_WITHOUT_RUN`]
//! series       count; each: number, length and packed labels
//! floats       count, 1 byte whether start times follow; each: number and time (both as difference to the one before),
//!              start time (likewise), value (8 bytes, little-endian)
//! histograms   count; each: number, time, start time, length and the histogram as a column of one
//! exemplars    count; each: number, time, value (8 bytes), length and packed labels
//! metadata     count; each: family, type, unit, help as length and text
//! ```

use std::sync::Arc;

use tripod_model::series::{FloatHistogram, Labels, MetricType, SeriesExemplar, SeriesMetadata};
use tripod_storage::series::chunk::{decode_histogram, encode_histogram};

/// The tag of a record with samples as it was before it named its run; fixed for ever.
pub(super) const SAMPLES_WITHOUT_RUN: u8 = 1;
/// The tag of the empty record at which a flush cuts the log; fixed for ever.
pub(super) const CUT: u8 = 2;
/// The tag of a record with samples; fixed for ever.
pub(super) const SAMPLES: u8 = 3;

/// What a record holds. Series are numbers of the log.
#[derive(Debug, Default, PartialEq)]
pub(super) struct SamplesRecord {
    /// Which run of the server gave the series their numbers: while a record of it is in the log and not in the table, a
    /// number means one series. 0 when it is not known.
    pub(super) run: u64,
    pub(super) series: Vec<(u32, Labels)>,
    pub(super) floats: Vec<Float>,
    pub(super) histograms: Vec<Histogram>,
    pub(super) exemplars: Vec<(u32, SeriesExemplar)>,
    pub(super) metadata: Vec<(String, SeriesMetadata)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Float {
    pub(super) series: u32,
    pub(super) timestamp: i64,
    pub(super) start: i64,
    pub(super) value: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Histogram {
    pub(super) series: u32,
    pub(super) timestamp: i64,
    pub(super) start: i64,
    pub(super) value: Arc<FloatHistogram>,
}

impl SamplesRecord {
    pub(super) fn is_empty(&self) -> bool {
        self.floats.is_empty() && self.histograms.is_empty() && self.exemplars.is_empty() && self.metadata.is_empty()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let labels: usize = self.series.iter().map(|(_, labels)| labels.as_bytes().len() + 8).sum();
        let mut out = Vec::with_capacity(labels + self.floats.len() * 14 + 64);
        put(self.run, &mut out);
        put(self.series.len() as u64, &mut out);
        for (series, labels) in &self.series {
            put(u64::from(*series), &mut out);
            put_bytes(labels.as_bytes(), &mut out);
        }
        put(self.floats.len() as u64, &mut out);
        let with_starts = self.floats.iter().any(|sample| sample.start != 0);
        out.push(u8::from(with_starts));
        let (mut series, mut timestamp, mut start) = (0i64, 0i64, 0i64);
        for sample in &self.floats {
            put_change(i64::from(sample.series), &mut series, &mut out);
            put_change(sample.timestamp, &mut timestamp, &mut out);
            if with_starts {
                put_change(sample.start, &mut start, &mut out);
            }
            out.extend_from_slice(&sample.value.to_le_bytes());
        }
        put(self.histograms.len() as u64, &mut out);
        for sample in &self.histograms {
            put(u64::from(sample.series), &mut out);
            put_change(sample.timestamp, &mut 0, &mut out);
            put_change(sample.start, &mut 0, &mut out);
            put_bytes(&encode_histogram(&sample.value), &mut out);
        }
        put(self.exemplars.len() as u64, &mut out);
        for (series, exemplar) in &self.exemplars {
            put(u64::from(*series), &mut out);
            put_change(exemplar.timestamp, &mut 0, &mut out);
            out.extend_from_slice(&exemplar.value.to_le_bytes());
            put_bytes(exemplar.labels.as_bytes(), &mut out);
        }
        put(self.metadata.len() as u64, &mut out);
        for (family, metadata) in &self.metadata {
            for text in [family, metadata.metric_type.name(), &metadata.unit, &metadata.help] {
                put_bytes(text.as_bytes(), &mut out);
            }
        }
        out
    }

    /// Reads a record; `None` when the bytes are not what [`SamplesRecord::encode`] writes, or wrote under this tag.
    pub(super) fn decode(tag: u8, bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut record = Self::default();
        match tag {
            SAMPLES => record.run = take(&mut rest)?,
            SAMPLES_WITHOUT_RUN => {}
            _ => return None,
        }
        for _ in 0..take(&mut rest)? {
            let series = take_series(&mut rest)?;
            record.series.push((series, Labels::from_bytes(take_bytes(&mut rest)?)?));
        }
        let count = take(&mut rest)?;
        let with_starts = take_slice(&mut rest, 1)?[0] != 0;
        let (mut series, mut timestamp, mut start) = (0i64, 0i64, 0i64);
        // The smallest sample takes ten bytes.
        record.floats.reserve(usize::try_from(count).ok()?.min(rest.len() / 10));
        for _ in 0..count {
            take_change(&mut rest, &mut series)?;
            take_change(&mut rest, &mut timestamp)?;
            if with_starts {
                take_change(&mut rest, &mut start)?;
            }
            let (series, value) = (u32::try_from(series).ok()?, take_float(&mut rest)?);
            record.floats.push(Float { series, timestamp, start, value });
        }
        for _ in 0..take(&mut rest)? {
            let series = take_series(&mut rest)?;
            let (mut timestamp, mut start) = (0, 0);
            take_change(&mut rest, &mut timestamp)?;
            take_change(&mut rest, &mut start)?;
            let value = Arc::new(decode_histogram(take_bytes(&mut rest)?)?);
            record.histograms.push(Histogram { series, timestamp, start, value });
        }
        for _ in 0..take(&mut rest)? {
            let series = take_series(&mut rest)?;
            let mut timestamp = 0;
            take_change(&mut rest, &mut timestamp)?;
            let value = take_float(&mut rest)?;
            let labels = Labels::from_bytes(take_bytes(&mut rest)?)?;
            record.exemplars.push((series, SeriesExemplar { labels, value, timestamp }));
        }
        for _ in 0..take(&mut rest)? {
            let family = take_text(&mut rest)?;
            let metric_type = MetricType::from_name(&take_text(&mut rest)?)?;
            let (unit, help) = (take_text(&mut rest)?, take_text(&mut rest)?);
            record.metadata.push((family, SeriesMetadata { metric_type, unit, help }));
        }
        rest.is_empty().then_some(record)
    }
}

fn put(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_change(value: i64, before: &mut i64, out: &mut Vec<u8>) {
    let change = value.wrapping_sub(std::mem::replace(before, value));
    put((change << 1 ^ change >> 63) as u64, out);
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn take(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn take_series(rest: &mut &[u8]) -> Option<u32> {
    u32::try_from(take(rest)?).ok()
}

fn take_change(rest: &mut &[u8], value: &mut i64) -> Option<()> {
    let change = take(rest)?;
    *value = value.wrapping_add((change >> 1) as i64 ^ -((change & 1) as i64));
    Some(())
}

fn take_slice<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(taken)
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take(rest)?).ok()?;
    take_slice(rest, length)
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    String::from_utf8(take_bytes(rest)?.to_vec()).ok()
}

fn take_float(rest: &mut &[u8]) -> Option<f64> {
    take_slice(rest, 8)?.first_chunk().map(|bytes| f64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn records_come_back(
            floats in prop::collection::vec((any::<u32>(), any::<i64>(), prop_oneof![Just(0i64), any::<i64>()], -1e9f64..1e9), 0..50),
            labels in prop::collection::vec(("[a-z]{1,9}", "[a-zé]{1,9}"), 0..5),
        ) {
            let labels = Labels::from_pairs(labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            let exemplar = SeriesExemplar { labels: labels.clone(), value: 0.5, timestamp: -7 };
            let histogram = FloatHistogram { schema: 3, sum: 1.5, ..FloatHistogram::default() };
            let metadata = SeriesMetadata { metric_type: MetricType::Counter, unit: "s".to_owned(), help: "é".to_owned() };
            let mut record = SamplesRecord {
                run: 300,
                series: vec![(7, labels), (9, Labels::empty())],
                floats: floats.iter().map(|(series, timestamp, start, value)| {
                    Float { series: *series, timestamp: *timestamp, start: *start, value: *value }
                }).collect(),
                histograms: vec![Histogram { series: 3, timestamp: -1, start: 5, value: Arc::new(histogram) }],
                exemplars: vec![(7, exemplar)],
                metadata: vec![("a".to_owned(), metadata)],
            };
            let bytes = record.encode();
            for end in 0..bytes.len() {
                prop_assert_eq!(SamplesRecord::decode(SAMPLES, &bytes[..end]), None);
            }
            let found = SamplesRecord::decode(SAMPLES, &bytes);
            prop_assert_eq!(found.as_ref(), Some(&record));
            // What earlier builds wrote begins after the run, which takes two bytes here.
            record.run = 0;
            prop_assert_eq!(SamplesRecord::decode(SAMPLES_WITHOUT_RUN, &bytes[2..]), Some(record));
            prop_assert_eq!(SamplesRecord::decode(CUT, &bytes), None);
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = SamplesRecord::decode(SAMPLES, &bytes);
        }
    }
}
