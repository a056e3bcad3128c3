//! From runs to figures: medians over the rounds, differences to the bare service of the same round.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::subject::Subject;

/// One service, one sampling, one round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Run {
    pub(crate) subject: &'static str,
    pub(crate) sampling: f64,
    pub(crate) round: usize,
    pub(crate) requests: usize,
    pub(crate) lost: usize,
    pub(crate) cpu_us: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) resident_bytes: u64,
    pub(crate) exported_bytes: f64,
    pub(crate) log_bytes: f64,
    pub(crate) lines: f64,
    pub(crate) spans: f64,
    pub(crate) records: f64,
    #[serde(skip)]
    pub(crate) of: Subject,
}

/// What a service adds to its bare one, a request; medians over the rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    subject: &'static str,
    sampling: f64,
    cpu_us: f64,
    added_cpu_us: f64,
    /// The least and the most of the rounds.
    added_cpu_us_range: [f64; 2],
    added_p50_us: f64,
    added_p99_us: f64,
    added_resident_bytes: f64,
    exported_bytes: f64,
    log_bytes: f64,
    lines: f64,
    /// Spans that arrived, of three a request.
    spans: f64,
    /// Log records that arrived over OTLP.
    records: f64,
    /// Added CPU, as a multiple of what the SDK adds in the same round at the same sampling.
    times_tripod: Option<f64>,
}

/// Everything, for a machine to read.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) rows: Vec<Row>,
    pub(crate) runs: Vec<Run>,
}

impl Report {
    pub(crate) fn new(runs: Vec<Run>) -> Self {
        // Sampling as thousandths, to be a key.
        let key = |subject: Subject, sampling: f64, round| (subject.name(), (sampling * 1000.0) as u64, round);
        let by_key: BTreeMap<_, _> =
            runs.iter().map(|run| (key(run.of, run.sampling, run.round), run.clone())).collect();
        let mut samplings: Vec<f64> = runs.iter().map(|run| run.sampling).collect();
        samplings.sort_by(|left, right| right.total_cmp(left));
        samplings.dedup();
        let mut rows = Vec::new();
        for sampling in samplings {
            for subject in Subject::ALL {
                let pairs: Vec<_> = runs
                    .iter()
                    .filter(|run| run.of == subject && run.sampling == sampling)
                    .filter_map(|run| Some((run, by_key.get(&key(subject.baseline(), sampling, run.round))?)))
                    .collect();
                if pairs.is_empty() {
                    continue;
                }
                let middle = |value: &dyn Fn(&Run) -> f64| median(pairs.iter().map(|(run, _)| value(run)).collect());
                let added = |value: &dyn Fn(&Run) -> f64| -> Vec<f64> {
                    pairs.iter().map(|(run, bare)| value(run) - value(bare)).collect()
                };
                let ratios = pairs.iter().filter_map(|(run, bare)| {
                    let tripod = by_key.get(&key(Subject::Tripod, sampling, run.round))?;
                    let axum = by_key.get(&key(Subject::Bare, sampling, run.round))?;
                    Some((run.cpu_us - bare.cpu_us) / (tripod.cpu_us - axum.cpu_us))
                });
                let ratios: Vec<f64> = ratios.collect();
                let cpu = added(&|run| run.cpu_us);
                rows.push(Row {
                    subject: subject.name(),
                    sampling,
                    cpu_us: middle(&|run| run.cpu_us),
                    added_cpu_us_range: [
                        cpu.iter().copied().fold(f64::INFINITY, f64::min),
                        cpu.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                    ],
                    added_cpu_us: median(cpu),
                    added_p50_us: median(added(&|run| run.p50_us)),
                    added_p99_us: median(added(&|run| run.p99_us)),
                    added_resident_bytes: median(added(&|run| run.resident_bytes as f64)),
                    exported_bytes: middle(&|run| run.exported_bytes),
                    log_bytes: middle(&|run| run.log_bytes),
                    lines: middle(&|run| run.lines),
                    spans: middle(&|run| run.spans),
                    records: middle(&|run| run.records),
                    times_tripod: (subject.has_telemetry() && !ratios.is_empty()).then(|| median(ratios)),
                });
            }
        }
        Self { rows, runs }
    }

    /// The table, in Markdown.
    pub(crate) fn table(&self) -> String {
        let mut table = String::from(
            "| sampled | service | CPU added, x Tripod | CPU | CPU added (least to most) | p50 / p99 added | memory added \
             | OTLP bytes | log bytes | lines | spans arrived |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
        );
        for row in &self.rows {
            let times = row.times_tripod.map(|times| format!("{times:.1}")).unwrap_or_default();
            let [least, most] = row.added_cpu_us_range;
            table += &format!(
                "| {:.0}% | {} | {times} | {:.1} µs | {:.1} ({least:.1} to {most:.1}) µs | {:.0} / {:.0} µs | {:.1} MB \
                 | {:.0} | {:.0} | {:.2} | {:.2} |\n",
                row.sampling * 100.0,
                row.subject,
                row.cpu_us,
                row.added_cpu_us,
                row.added_p50_us,
                row.added_p99_us,
                row.added_resident_bytes / 1e6,
                row.exported_bytes,
                row.log_bytes,
                row.lines,
                row.spans,
            );
        }
        table
    }
}

/// The middle one; of an even number, the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle), values.len() % 2) {
        (None, _) => f64::NAN,
        (Some(upper), 0) => (values[middle - 1] + upper) / 2.0,
        (Some(middle), _) => *middle,
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn median_is_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(Vec::new()).is_nan());
    }
}
