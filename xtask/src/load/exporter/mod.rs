//! A fleet of hosts, each with node-exporter and a web service, as remote write carries it.
//!
//! All values follow from the seed, and every system gets the same bytes. A request holds one sample for each of its series,
//! as Prometheus sends what it scrapes. It is kept encoded, and a scrape patches times and values in place, so that the load
//! generator costs little beside the server.

mod catalogue;
mod values;

use anyhow::{Result, ensure};

use self::catalogue::CATALOGUE;
use self::values::Walk;

/// Milliseconds between scrapes.
pub(crate) const INTERVAL_MILLIS: i64 = 15_000;

/// Times are of this many bytes as a varint, so that they can be patched: the years 1987 to 2109.
const TIME_BYTES: usize = 6;

/// A family with more than a hundred series on each host.
pub(crate) const LARGEST_FAMILY: &str = "node_cpu_seconds_total";

/// The name of a host in the label `instance`.
pub(crate) fn host(number: usize) -> String {
    format!("host-{number:03}.example.com:9100")
}

/// Series of one host.
pub(crate) fn series_per_host() -> usize {
    CATALOGUE
        .iter()
        .map(|families| families.names.split_whitespace().count() * families.dimension.members().len())
        .sum()
}

/// Some of the fleet's series, and the request with their next samples.
pub(crate) struct Part {
    walks: Vec<Walk>,
    hosts: Vec<u32>,
    /// Where the value and the time of each series lie in the request.
    places: Vec<(usize, usize)>,
    request: Vec<u8>,
    seed: u64,
    /// Time of the first scrape, milliseconds since the epoch.
    start: i64,
    step: usize,
}

/// The fleet's first `series` series in so many parts; `start` is the time of the first scrape in milliseconds since the
/// epoch.
///
/// # Errors
/// When the start lies outside the years in which times can be written.
pub(crate) fn fleet(series: usize, parts: usize, start: i64, seed: u64) -> Result<Vec<Part>> {
    ensure!((1 << 39..1 << 42).contains(&start), "the first scrape must lie between the years 1987 and 2109");
    let empty =
        || Part { walks: Vec::new(), hosts: Vec::new(), places: Vec::new(), request: Vec::new(), seed, start, step: 0 };
    let size = series.div_ceil(parts.max(1));
    let mut fleet: Vec<Part> = Vec::new();
    let mut count = 0;
    for number in 0.. {
        for families in CATALOGUE {
            for name in families.names.split_whitespace() {
                for member in families.dimension.members() {
                    if count == series {
                        return Ok(fleet);
                    }
                    if count % size == 0 {
                        fleet.push(empty());
                    }
                    let chance =
                        member.chance.map_or(count as u64, |chance| (1 << 40 | number << 8) as u64 | chance as u64);
                    // Some hosts' service is rolled out anew once.
                    let own = name.starts_with("http_") || name.starts_with("sixseven_");
                    let restart = (own && number % 3 == 0).then(|| mix(seed, number as u64) as usize % 5_760);
                    let walk = Walk::new(families.kind, member.share, mix(seed, chance), restart);
                    let job = if own { "sixseven" } else { "node" };
                    let mut labels = member.labels;
                    let host = host(number);
                    labels.extend([("__name__", name), ("instance", &host), ("job", job)]);
                    labels.sort_unstable();
                    if let Some(part) = fleet.last_mut() {
                        part.push(walk, number as u32, &labels);
                    }
                    count += 1;
                }
            }
        }
    }
    Ok(fleet)
}

impl Part {
    fn push(&mut self, walk: Walk, host: u32, labels: &[(&str, &str)]) {
        let mut series = Vec::new();
        for (name, value) in labels {
            let mut label = Vec::new();
            for (field, text) in [(0x0a, name), (0x12, value)] {
                label.push(field);
                put(text.len(), &mut label);
                label.extend_from_slice(text.as_bytes());
            }
            series.push(0x0a);
            put(label.len(), &mut series);
            series.extend(label);
        }
        // The sample: a double and a time.
        series.extend([0x12, (9 + 1 + TIME_BYTES) as u8, 0x09]);
        let value = series.len();
        series.extend([0; 8]);
        series.push(0x10);
        let time = series.len();
        series.extend([0; TIME_BYTES]);
        self.request.push(0x0a);
        put(series.len(), &mut self.request);
        let begin = self.request.len();
        self.request.extend(series);
        self.places.push((begin + value, begin + time));
        self.walks.push(walk);
        self.hosts.push(host);
    }

    /// Series, and samples of each request.
    pub(crate) fn len(&self) -> usize {
        self.walks.len()
    }

    /// The request of the next scrape, uncompressed: `prometheus.WriteRequest`.
    pub(crate) fn next(&mut self) -> &[u8] {
        let mut scraped = (u32::MAX, 0);
        for ((walk, host), (value, time)) in self.walks.iter_mut().zip(&self.hosts).zip(&self.places) {
            if scraped.0 != *host {
                scraped = (*host, scrape_time(self.seed, self.start, *host, self.step));
            }
            let next = walk.next(self.step, scraped.1);
            self.request[*value..*value + 8].copy_from_slice(&next.to_le_bytes());
            put_time(scraped.1, &mut self.request[*time..*time + TIME_BYTES]);
        }
        self.step += 1;
        &self.request
    }
}

/// Each host has its own phase. Prometheus keeps to the millisecond what comes nearly in time; one scrape in twenty is late.
fn scrape_time(seed: u64, start: i64, host: u32, step: usize) -> i64 {
    let phase = mix(seed, u64::from(host)) % INTERVAL_MILLIS as u64;
    let drawn = mix(seed ^ u64::from(host) << 32, step as u64);
    let late = if drawn.is_multiple_of(20) { 3 + (drawn >> 32) % 30 } else { 0 };
    start + step as i64 * INTERVAL_MILLIS + phase as i64 + late as i64
}

/// A number that looks like chance (SplitMix64's last step).
fn mix(seed: u64, number: u64) -> u64 {
    let mut mixed = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

fn put(mut value: usize, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_time(time: i64, place: &mut [u8]) {
    for (index, byte) in place.iter_mut().enumerate() {
        let more = if index + 1 < TIME_BYTES { 0x80 } else { 0 };
        *byte = (time >> (7 * index)) as u8 & 0x7f | more;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet, HashMap};

    use prost::Message;

    use super::*;

    #[derive(Message)]
    struct WriteRequest {
        #[prost(message, repeated, tag = "1")]
        timeseries: Vec<TimeSeries>,
    }

    #[derive(Message)]
    struct TimeSeries {
        #[prost(message, repeated, tag = "1")]
        labels: Vec<Label>,
        #[prost(message, repeated, tag = "2")]
        samples: Vec<Sample>,
    }

    #[derive(Message)]
    struct Label {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(string, tag = "2")]
        value: String,
    }

    #[derive(Message)]
    struct Sample {
        #[prost(double, tag = "1")]
        value: f64,
        #[prost(int64, tag = "2")]
        timestamp: i64,
    }

    type Scrapes = HashMap<BTreeMap<String, String>, Vec<(i64, f64)>>;

    fn scrapes(series: usize, parts: usize, steps: usize) -> Scrapes {
        let mut found = Scrapes::new();
        for mut part in fleet(series, parts, 1_700_000_000_000, 7).unwrap() {
            for _ in 0..steps {
                for series in WriteRequest::decode(part.next()).unwrap().timeseries {
                    assert!(series.labels.is_sorted_by_key(|label| &label.name));
                    let labels = series.labels.into_iter().map(|label| (label.name, label.value)).collect();
                    let [sample] = &series.samples[..] else { panic!("not one sample") };
                    found.entry(labels).or_default().push((sample.timestamp, sample.value));
                }
            }
        }
        found
    }

    #[test]
    fn the_parts_do_not_matter() {
        let count = 2 * series_per_host();
        let all = scrapes(count, 1, 20);
        assert_eq!(all.len(), count);
        assert_eq!(all, scrapes(count, 7, 20));
        let hosts: BTreeSet<_> = all.keys().map(|labels| labels["instance"].clone()).collect();
        assert_eq!(hosts, BTreeSet::from([host(0), host(1)]));
    }

    #[test]
    fn it_looks_like_a_host() {
        let all = scrapes(series_per_host(), 1, 100);
        let mut moving = 0;
        for (labels, samples) in &all {
            assert!(samples.is_sorted_by(|a, b| a.0 < b.0) && samples.iter().all(|(_, value)| value.is_finite()));
            moving += usize::from(samples.iter().any(|(_, value)| *value != samples[0].1));
            if labels["__name__"].ends_with("_total") {
                assert!(samples.is_sorted_by(|a, b| a.1 <= b.1) || labels["job"] == "sixseven", "{labels:?}");
            }
            // A histogram's buckets hold each other.
            if labels.contains_key("le") {
                let count = BTreeMap::from_iter(
                    labels
                        .iter()
                        .filter(|(name, _)| *name != "le")
                        .map(|(name, value)| (name.clone(), value.replace("_bucket", "_count"))),
                );
                assert!(all[&count].iter().zip(samples).all(|(count, bucket)| bucket.1 <= count.1), "{labels:?}");
            }
        }
        let share = moving as f64 / all.len() as f64;
        assert!((0.25..0.6).contains(&share), "{share}");
    }
}
