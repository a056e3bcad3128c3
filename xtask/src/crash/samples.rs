//! Records as samples: which number stands under which labels at which time, and the remote write that carries them.
//!
//! A sample's number is told by its time, its labels and its value, so that what comes back can be checked three times.

use std::collections::BTreeMap;

use anyhow::Result;
use prost::Message;

/// The metric that all samples belong to.
pub(super) const METRIC: &str = "crash_samples";

/// Time of number 0, milliseconds since the Unix epoch.
const ORIGIN: i64 = 1_750_000_000_000;

/// Numbers are turned round within blocks of this size, so that a series' later requests bring earlier samples.
pub(super) const BLOCK: u64 = 256;

/// Series of one writer at a time.
const LANES: u64 = 5;

/// The lane whose samples are native histograms.
const HISTOGRAMS: u64 = 4;

/// A writer's series are given up for others after so many requests of all writers.
const GENERATION: usize = 400;

/// The moment at which a record of this number is.
pub(super) fn time(number: u64) -> i64 {
    ORIGIN + (number ^ (BLOCK - 1)) as i64
}

/// The inverse of [`time`].
pub(super) fn number(time: i64) -> Option<u64> {
    u64::try_from(time.checked_sub(ORIGIN)?).ok().map(|number| number ^ (BLOCK - 1))
}

/// The labels of a record beside the writer's and the metric's name.
fn lane(number: u64) -> u64 {
    number / 7 % LANES
}

fn generation(batch: usize) -> usize {
    batch / GENERATION
}

/// Whether a sample that came back is the one that was sent under its number.
pub(super) fn is_as_sent(number: u64, batch: usize, found: &Found) -> bool {
    found.labels.get("lane") == Some(&lane(number).to_string())
        && found.labels.get("generation") == Some(&generation(batch).to_string())
        && found.is_histogram == (lane(number) == HISTOGRAMS)
        && found.value == number as f64
}

/// A sample that came back.
pub(super) struct Found<'a> {
    pub(super) labels: &'a BTreeMap<String, String>,
    pub(super) is_histogram: bool,
    /// The float, or count and sum of the histogram if they are equal.
    pub(super) value: f64,
}

/// A request with the records of a batch, compressed.
///
/// # Errors
/// When it cannot be compressed.
pub(super) fn request(writer: u32, batch: usize, first: u64, count: usize) -> Result<Vec<u8>> {
    let mut lanes: BTreeMap<u64, TimeSeries> = BTreeMap::new();
    let mut numbers: Vec<_> = (first..first + count as u64).collect();
    numbers.sort_by_key(|number| time(*number));
    for number in numbers {
        let lane = lane(number);
        let series = lanes.entry(lane).or_insert_with(|| TimeSeries {
            // In the order of their names, as the specification demands.
            labels: [
                ("__name__", METRIC.to_owned()),
                ("generation", generation(batch).to_string()),
                ("lane", lane.to_string()),
                ("writer", writer.to_string()),
            ]
            .map(|(name, value)| Label { name: name.to_owned(), value })
            .to_vec(),
            ..TimeSeries::default()
        });
        if lane == HISTOGRAMS {
            series.histograms.push(Histogram {
                count: number,
                sum: number as f64,
                zero_count: number,
                timestamp: time(number),
            });
        } else {
            series.samples.push(Sample { value: number as f64, timestamp: time(number) });
        }
    }
    let request = WriteRequest { timeseries: lanes.into_values().collect() };
    Ok(snap::raw::Encoder::new().compress_vec(&request.encode_to_vec())?)
}

/// `prometheus.WriteRequest` of remote write 1.0, as far as it is needed here.
#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
    #[prost(message, repeated, tag = "4")]
    histograms: Vec<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

/// A histogram with nothing but its bucket around zero.
#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(uint64, tag = "1")]
    count: u64,
    #[prost(double, tag = "3")]
    sum: f64,
    #[prost(uint64, tag = "6")]
    zero_count: u64,
    #[prost(int64, tag = "15")]
    timestamp: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_tells_its_number() {
        for each in [0, 1, 255, 256, 70_001] {
            assert_eq!(number(time(each)), Some(each));
        }
        assert_eq!(number(ORIGIN - 1), None);
        assert!(time(0) > time(BLOCK - 1) && time(BLOCK - 1) < time(BLOCK), "blocks are turned round, each in itself");
    }
}
