//! Encoded requests in which only what must differ is written anew.
//!
//! Building and encoding a request of 512 spans costs a generator about as much as decoding it costs a server. A
//! template is built once; a send copies it and overwrites fixed-width fields: ids are mixed with a mask of the send,
//! times move to now, so do the digits of ids in text, counters go on counting. What is stored therefore repeats neither ids
//! nor times, which would flatter compression.

use anyhow::{Context, Result, ensure};
use prost::Message;

use super::source::{HEX, SHIFTING, Source};
use super::wire::{self, Field};
use super::{Signal, logs, metrics, spans};

/// Nanoseconds between two scrapes of a host.
const SCRAPE_NANOS: u64 = 15_000_000_000;

/// Templates are built as if it were this moment; a send shifts their times. Nanoseconds since the epoch.
const ORIGIN: u64 = 1_700_000_000_000_000_000;

/// How many distinct items the templates of a pool hold together, at least.
const POOL_ITEMS: usize = 32_768;

/// A span's end is moved by up to this, so that durations do not repeat. Nanoseconds, a power of two less one.
const END_JITTER: u64 = (1 << 20) - 1;

/// One encoded request and the places in it that change.
struct Template {
    bytes: Vec<u8>,
    patches: Vec<Patch>,
}

struct Patch {
    offset: u32,
    length: u32,
    what: Change,
}

#[derive(Clone, Copy)]
enum Change {
    Id,
    Time,
    End,
    Digits,
    Level,
    Count,
    Amount,
}

/// What one send writes into its template.
struct Stamp {
    mask: u64,
    shift: u64,
    step: u64,
}

/// Templates of one signal.
pub(crate) struct Pool {
    templates: Vec<Template>,
    signal: Signal,
    batch: usize,
    /// Random, so that two runs into one store do not send the same ids.
    run: u64,
    /// The moment of the first scrape, nanoseconds since the epoch.
    first_scrape: u64,
}

impl Pool {
    /// Builds templates of `batch` items each; `now` in nanoseconds since the epoch.
    pub(crate) fn new(signal: Signal, batch: usize, now: u64) -> Result<Self> {
        ensure!(batch > 0, "a request must hold at least one item");
        let count = POOL_ITEMS.div_ceil(batch).clamp(1, 1_024);
        let mut source = Source::of_templates(20_240_601);
        let templates = (0..count)
            .map(|index| match signal {
                Signal::Spans => template(&spans::request(&mut source, batch, ORIGIN), wire::SPANS),
                Signal::Logs => template(&logs::request(&mut source, batch, ORIGIN), wire::LOGS),
                Signal::Metrics => template(&metrics::request(&mut source, index, batch, ORIGIN), wire::METRICS),
            })
            .collect::<Result<_>>()?;
        Ok(Self { templates, signal, batch, run: rand::random(), first_scrape: now - 3_600_000_000_000 })
    }

    /// Items in every request.
    pub(crate) fn batch(&self) -> usize {
        self.batch
    }

    /// Mean size of a request in bytes.
    pub(crate) fn mean_bytes(&self) -> f64 {
        self.templates.iter().map(|template| template.bytes.len()).sum::<usize>() as f64 / self.templates.len() as f64
    }

    /// Request number `number`; no two numbers give the same one. `now` in nanoseconds since the epoch.
    pub(crate) fn request(&self, number: u64, now: u64) -> Vec<u8> {
        let count = self.templates.len() as u64;
        let template = &self.templates[(number % count) as usize];
        let step = number / count;
        // A scrape has a timestamp of its own, the other signals happen now.
        let time = match self.signal {
            Signal::Metrics => self.first_scrape + step * SCRAPE_NANOS,
            Signal::Spans | Signal::Logs => now,
        };
        let stamp = Stamp { mask: mix(self.run ^ mix(number)), shift: time.wrapping_sub(ORIGIN), step };
        let mut bytes = template.bytes.clone();
        stamp.write(&template.patches, &mut bytes);
        bytes
    }
}

fn is_shifting(byte: u8) -> bool {
    (SHIFTING..SHIFTING + 16).contains(&byte)
}

fn template(request: &impl Message, fields: &[(u32, Field)]) -> Result<Template> {
    let bytes = request.encode_to_vec();
    let mut patches = Vec::new();
    wire::walk(&bytes, fields, &mut |field, offset, value| {
        let mut patch = |offset: usize, length: usize, what| {
            patches.push(Patch { offset: offset as u32, length: length as u32, what });
        };
        match field {
            Field::Message(_) => {}
            Field::Id if value.len().is_multiple_of(8) => patch(offset, value.len(), Change::Id),
            Field::Id => {}
            Field::Time => patch(offset, value.len(), Change::Time),
            Field::End => patch(offset, value.len(), Change::End),
            Field::Level => patch(offset, value.len(), Change::Level),
            Field::Count => patch(offset, value.len(), Change::Count),
            Field::Amount => patch(offset, value.len(), Change::Amount),
            Field::Text => {
                let mut at = 0;
                for run in value.chunk_by(|left, right| is_shifting(*left) == is_shifting(*right)) {
                    if is_shifting(run[0]) {
                        patch(offset + at, run.len(), Change::Digits);
                    }
                    at += run.len();
                }
            }
        }
    })
    .context("a message that was just encoded cannot be read")?;
    ensure!(u32::try_from(bytes.len()).is_ok(), "a request is larger than 4 GiB; take a smaller batch");
    Ok(Template { bytes, patches })
}

impl Stamp {
    fn write(&self, patches: &[Patch], bytes: &mut [u8]) {
        let mut random = self.mask;
        for patch in patches {
            let place = &mut bytes[patch.offset as usize..(patch.offset + patch.length) as usize];
            if let Change::Digits = patch.what {
                // The mask depends on the send alone, so that what is equal stays equal.
                for (index, digit) in place.iter_mut().enumerate() {
                    let mask = (self.mask >> (4 * (index % 16))) as u8 & 15;
                    *digit = HEX[usize::from((*digit - SHIFTING) ^ mask)];
                }
                continue;
            }
            // A packed field has several words, all others one or two.
            for word in place.chunks_exact_mut(8) {
                let Ok(old) = <[u8; 8]>::try_from(&*word).map(u64::from_le_bytes) else { continue };
                let new = match patch.what {
                    Change::Id => old ^ self.mask,
                    Change::Time => old.wrapping_add(self.shift),
                    Change::End => {
                        random = mix(random);
                        old.wrapping_add(self.shift).wrapping_add(random & END_JITTER)
                    }
                    Change::Level => {
                        random = mix(random);
                        let change = 1.0 + ((random >> 40) as f64 / (1u64 << 24) as f64 - 0.5) / 50.0;
                        (f64::from_bits(old) * change).round().to_bits()
                    }
                    Change::Count => old.wrapping_mul(self.step + 1),
                    Change::Amount => (f64::from_bits(old) * (self.step + 1) as f64).to_bits(),
                    Change::Digits => old,
                };
                word.copy_from_slice(&new.to_le_bytes());
            }
        }
    }
}

/// A step of the generator SplitMix64: cheap and well spread.
fn mix(state: u64) -> u64 {
    let mut value = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    use opentelemetry_proto::tonic::trace::v1::Span;

    use super::*;

    const NOW: u64 = 1_800_000_000_000_000_000;

    fn spans(pool: &Pool, number: u64) -> Vec<Span> {
        let request = ExportTraceServiceRequest::decode(pool.request(number, NOW).as_slice()).unwrap();
        request
            .resource_spans
            .into_iter()
            .flat_map(|resource| resource.scope_spans)
            .flat_map(|scope| scope.spans)
            .collect()
    }

    #[test]
    fn requests_of_spans_are_whole_and_never_repeat_an_id() {
        let pool = Pool::new(Signal::Spans, 200, NOW).unwrap();
        let mut ids = HashSet::new();
        let mut request_ids = HashMap::new();
        for number in [0, 1, pool.templates.len() as u64] {
            let spans = spans(&pool, number);
            assert_eq!(spans.len(), 200);
            let traces: HashSet<_> = spans.iter().map(|span| span.trace_id.clone()).collect();
            assert!((13..=40).contains(&traces.len()), "{}", traces.len());
            let own: HashSet<_> = spans.iter().map(|span| (span.trace_id.clone(), span.span_id.clone())).collect();
            for span in &spans {
                assert!(span.end_time_unix_nano > span.start_time_unix_nano);
                assert!(NOW - span.start_time_unix_nano < 3_000_000_000, "{}", span.start_time_unix_nano);
                assert!((9..=14).contains(&span.attributes.len()), "{} {}", span.name, span.attributes.len());
                if !span.parent_span_id.is_empty() {
                    assert!(own.contains(&(span.trace_id.clone(), span.parent_span_id.clone())), "the parent is lost");
                }
                assert!(!format!("{:?}", span.attributes).contains("\\u{1"), "a digit was not shifted");
                let request_id =
                    format!("{:?}", span.attributes.iter().find(|attribute| attribute.key == "request_id"));
                let of_trace = request_ids.entry(span.trace_id.clone()).or_insert_with(|| request_id.clone());
                assert_eq!(*of_trace, request_id, "the spans of a trace share the request's id");
                assert!(ids.insert(span.span_id.clone()), "a span id came twice");
            }
        }
    }

    #[test]
    fn log_lines_have_their_size() {
        let pool = Pool::new(Signal::Logs, 100, NOW).unwrap();
        let request = ExportLogsServiceRequest::decode(pool.request(7, NOW).as_slice()).unwrap();
        let records: Vec<_> = request
            .resource_logs
            .into_iter()
            .flat_map(|resource| resource.scope_logs)
            .flat_map(|scope| scope.log_records)
            .collect();
        assert_eq!(records.len(), 100);
        for record in records {
            let text = format!("{:?}", record.body);
            assert!((280..=420).contains(&text.len()), "{text}");
            assert!(!text.contains("\\u{1"), "{text}");
        }
    }

    #[test]
    fn counters_count_on_and_histograms_stay_sound() {
        let pool = Pool::new(Signal::Metrics, 100, NOW).unwrap();
        let points = |number| -> (u64, Vec<i64>) {
            let request = ExportMetricsServiceRequest::decode(pool.request(number, NOW).as_slice()).unwrap();
            let mut time = 0;
            let mut counts = Vec::new();
            for metric in &request.resource_metrics[0].scope_metrics[0].metrics {
                match metric.data.as_ref().unwrap() {
                    Data::Histogram(histogram) => {
                        for point in &histogram.data_points {
                            assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count);
                            time = point.time_unix_nano;
                        }
                    }
                    Data::Sum(sum) => counts.extend(sum.data_points.iter().filter_map(|point| match point.value {
                        Some(opentelemetry_proto::tonic::metrics::v1::number_data_point::Value::AsInt(value)) => {
                            Some(value)
                        }
                        _ => None,
                    })),
                    _ => {}
                }
            }
            (time, counts)
        };
        let (first_time, first) = points(3);
        let (next_time, next) = points(3 + pool.templates.len() as u64);
        assert_eq!(next_time - first_time, SCRAPE_NANOS);
        assert!(!first.is_empty());
        for (first, next) in first.iter().zip(next) {
            assert_eq!(next, 2 * first);
        }
    }
}
