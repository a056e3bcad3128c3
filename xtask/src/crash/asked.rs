//! What PromQL's HTTP API gives back of the samples that were sent.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

use super::ledger::{Batch, Kind};
use super::samples::{self, BLOCK, Found, METRIC};
use super::verify::Held;

/// How many numbers one query asks for: whole blocks.
const PAGE: u64 = 200 * BLOCK;

/// A client of `/api/v1/query`.
pub(super) struct PromQl {
    client: reqwest::Client,
    url: String,
}

#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    metric: BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<(f64, String)>,
    #[serde(default)]
    histograms: Vec<(f64, Totals)>,
    value: Option<(f64, String)>,
}

#[derive(Deserialize)]
struct Totals {
    count: String,
    sum: String,
}

/// What is held of each request, and what does not belong to any.
#[derive(Default)]
pub(super) struct Samples {
    pub(super) held: HashMap<usize, Held>,
    pub(super) rows: u64,
    pub(super) foreign: Vec<String>,
}

impl PromQl {
    /// A client of the server whose front door has this URL.
    pub(super) fn new(front_door: &str) -> Result<Self> {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(300)).build()?;
        Ok(Self { client, url: format!("{front_door}/prometheus/api/v1/query") })
    }

    async fn ask(&self, query: &str, time: i64) -> Result<Vec<Series>> {
        let time = format!("{}.{:03}", time / 1000, time % 1000);
        let url = reqwest::Url::parse_with_params(&self.url, [("query", query), ("time", &time)])?;
        let response = self.client.get(url).send().await;
        let response = response.with_context(|| format!("{} does not answer", self.url))?;
        let status = response.status();
        let text = response.text().await.context("the answer broke off")?;
        ensure!(status.is_success(), "{query} is refused with {status}: {text}");
        let answer: Answer = serde_json::from_str(&text)
            .with_context(|| format!("the answer has another form: {}", text.chars().take(300).collect::<String>()))?;
        Ok(answer.data.result)
    }

    /// How many samples there are of any number below `end`.
    pub(super) async fn count(&self, end: u64) -> Result<u64> {
        let (last, length) = span(0, end.next_multiple_of(PAGE));
        // A day more on both sides, so that strays are counted too.
        const DAY: i64 = 86_400_000;
        let query = format!("sum(count_over_time({METRIC}[{}ms]))", length + 2 * DAY);
        let result = self.ask(&query, last + DAY).await?;
        let Some((_, count)) = result.first().and_then(|series| series.value.as_ref()) else { return Ok(0) };
        count.parse::<f64>().map(|count| count as u64).context("the count is no number")
    }

    /// Every sample that was sent, by request.
    ///
    /// # Errors
    /// When the server does not answer.
    pub(super) async fn samples(&self, batches: &[Batch]) -> Result<Samples> {
        let mut samples = Samples::default();
        let mut seen = HashMap::new();
        let end = batches.last().map_or(0, |batch| batch.first + batch.count);
        for first in (0..end).step_by(PAGE as usize) {
            let (last, length) = span(first, first + PAGE);
            for series in self.ask(&format!("{METRIC}[{length}ms]"), last).await? {
                for (time, value) in &series.values {
                    let found = Found { labels: &series.metric, is_histogram: false, value: number(value)? };
                    samples.add(batches, *time, &found, &mut seen);
                }
                for (time, totals) in &series.histograms {
                    let (count, sum) = (number(&totals.count)?, number(&totals.sum)?);
                    let value = if count == sum { count } else { f64::NAN };
                    let found = Found { labels: &series.metric, is_histogram: true, value };
                    samples.add(batches, *time, &found, &mut seen);
                }
            }
        }
        let all = self.count(end).await?;
        if all != samples.rows {
            samples.foreign.push(format!("{all} samples are counted, but {} are found one by one", samples.rows));
        }
        Ok(samples)
    }

    /// Whether queries are answered at all.
    pub(super) async fn check(&self) -> Result<()> {
        let result = self.ask("vector(1)", 0).await?;
        if result.first().and_then(|series| series.value.as_ref()).is_none_or(|(_, value)| value != "1") {
            bail!("vector(1) is not 1");
        }
        Ok(())
    }
}

/// The last moment of whole blocks of numbers, and how long before it a range begins that holds them and nothing else.
fn span(first: u64, end: u64) -> (i64, i64) {
    // A block's first number is its last moment.
    let last = samples::time(end - BLOCK);
    (last, last - samples::time(first + BLOCK - 1) + 1)
}

fn number(text: &str) -> Result<f64> {
    text.parse().with_context(|| format!("{} is no number", Value::from(text)))
}

impl Samples {
    fn add(&mut self, batches: &[Batch], seconds: f64, found: &Found<'_>, seen: &mut HashMap<u64, u64>) {
        self.rows += 1;
        let time = (seconds * 1000.0).round() as i64;
        let place = samples::number(time).and_then(|number| {
            let index = batches.partition_point(|batch| batch.first <= number).checked_sub(1)?;
            let batch = &batches[index];
            let is_sent = batch.kind == Kind::Samples && number < batch.first + batch.count;
            (is_sent && samples::is_as_sent(number, index, found)).then_some((number, index))
        });
        let Some((number, index)) = place else {
            self.foreign.push(format!("{} at {time} under {:?} was never sent so", found.value, found.labels));
            return;
        };
        let held = self.held.entry(index).or_default();
        let times = seen.entry(number).or_insert(0u64);
        *times += 1;
        let id = number as i64;
        *held = Held {
            rows: held.rows + 1,
            distinct: held.distinct + u64::from(*times == 1),
            lowest: if held.rows == 0 { id } else { held.lowest.min(id) },
            highest: held.highest.max(id),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_whole_blocks() {
        let (last, length) = span(0, 2 * BLOCK);
        let times: Vec<_> = (0..2 * BLOCK).map(samples::time).collect();
        assert_eq!(times.iter().max(), Some(&last));
        // The beginning of a range is not part of it.
        assert_eq!(times.iter().min(), Some(&(last - length + 1)));
    }

    #[test]
    fn samples_are_held_against_what_was_sent() {
        let batch = |first, count, kind| Batch { kind, first, count, acknowledged: true };
        let batches = [batch(0, 10, Kind::ALL[0]), batch(10, 5, Kind::Samples)];
        let labels = |lane: &str| {
            BTreeMap::from([("lane".to_owned(), lane.to_owned()), ("generation".to_owned(), "0".to_owned())])
        };
        let seconds = |number: u64| samples::time(number) as f64 / 1000.0;
        let mut samples = Samples::default();
        let mut seen = HashMap::new();
        let lane = labels("1");
        let found = |value| Found { labels: &lane, is_histogram: false, value };
        samples.add(&batches, seconds(11), &found(11.0), &mut seen);
        samples.add(&batches, seconds(12), &found(12.0), &mut seen);
        samples.add(&batches, seconds(12), &found(12.0), &mut seen);
        assert!(samples.foreign.is_empty());
        let held = samples.held[&1];
        assert_eq!((held.rows, held.distinct, held.lowest, held.highest), (3, 2, 11, 12));
        // Another value, a record of another kind, a number that was never sent, other labels.
        for (number, value) in [(13, 14.0), (9, 9.0), (15, 15.0)] {
            samples.add(&batches, seconds(number), &found(value), &mut seen);
        }
        let lane = labels("2");
        let found = Found { labels: &lane, is_histogram: false, value: 13.0 };
        samples.add(&batches, seconds(13), &found, &mut seen);
        assert_eq!(samples.foreign.len(), 4);
    }
}
