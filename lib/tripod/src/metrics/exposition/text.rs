//! Both text formats: they differ in names, order of the metadata, escapes, exemplars and the end.

use std::fmt::Write;

use super::number;
use crate::metrics::exemplar::Exemplar;
use crate::metrics::name;
use crate::metrics::snapshot::{FamilySnapshot, HistogramValue, Kind, Labels, SeriesValue, Snapshot};

/// All values in the Prometheus text format, version 0.0.4. It has no form for info metrics: they are gauges.
pub fn prometheus_text(snapshot: &Snapshot) -> String {
    let mut out = String::with_capacity(capacity(snapshot));
    for family in &snapshot.families {
        let exposed = family.exposed_name();
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge | Kind::Info => "gauge",
            Kind::Histogram => "histogram",
        };
        let _ = write!(out, "# HELP {exposed} ");
        escape(&mut out, &family.help, false);
        let _ = writeln!(out, "\n# TYPE {exposed} {kind}");
        samples(&mut out, family, &exposed, false, None);
    }
    out
}

/// All values in the OpenMetrics text format, version 1.0.0.
pub fn openmetrics_text(snapshot: &Snapshot) -> String {
    let mut out = String::with_capacity(capacity(snapshot));
    for family in &snapshot.families {
        let stem = name::stem(&family.name, family.unit.as_deref(), family.kind);
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Info => "info",
        };
        let _ = writeln!(out, "# TYPE {stem} {kind}");
        // The specification wants the name to end in the unit.
        if let Some(unit) = family.unit.as_deref().filter(|unit| stem.ends_with(unit)) {
            let _ = writeln!(out, "# UNIT {stem} {unit}");
        }
        let _ = write!(out, "# HELP {stem} ");
        escape(&mut out, &family.help, true);
        out.push('\n');
        let created = snapshot.created_lines.then_some(&*stem);
        samples(&mut out, family, &family.exposed_name(), true, created);
    }
    out.push_str("# EOF\n");
    out
}

fn capacity(snapshot: &Snapshot) -> usize {
    snapshot.families.iter().map(|family| 200 + 120 * family.series.len()).sum()
}

/// `created` is the family's name, when lines are wanted that say since when a series counts.
fn samples(out: &mut String, family: &FamilySnapshot, exposed: &str, open: bool, created: Option<&str>) {
    for series in &family.series {
        match &series.value {
            SeriesValue::Counter(value) | SeriesValue::Gauge(value) => {
                out.push_str(exposed);
                labels(out, &series.labels, None);
                out.push(' ');
                number::write(out, *value);
                if let Some(exemplar) = series.exemplar.as_ref().filter(|_| open) {
                    self::exemplar(out, exemplar);
                }
                out.push('\n');
            }
            SeriesValue::Info => {
                out.push_str(exposed);
                labels(out, &series.labels, None);
                out.push_str(if open { " 1\n" } else { " 1.0\n" });
            }
            SeriesValue::Histogram(histogram) => self::histogram(out, exposed, &series.labels, histogram, open),
        }
        if let Some(stem) = created.filter(|_| matches!(family.kind, Kind::Counter | Kind::Histogram)) {
            out.push_str(stem);
            out.push_str("_created");
            labels(out, &series.labels, None);
            out.push(' ');
            seconds(out, series.created);
            out.push('\n');
        }
    }
}

fn histogram(out: &mut String, exposed: &str, series: &Labels, histogram: &HistogramValue, open: bool) {
    let mut cumulative = 0;
    let bounds = histogram.bounds.iter().copied().chain([f64::INFINITY]);
    for (index, (bound, count)) in bounds.zip(&histogram.counts).enumerate() {
        cumulative += count;
        out.push_str(exposed);
        out.push_str("_bucket");
        labels(out, series, Some(bound));
        out.push(' ');
        number::write(out, cumulative as f64);
        if let Some(exemplar) = histogram.exemplars.get(index).and_then(Option::as_ref).filter(|_| open) {
            self::exemplar(out, exemplar);
        }
        out.push('\n');
    }
    // A sum may go down when negative values are observed, and OpenMetrics then wants it left out.
    let falls = histogram.bounds.first().is_some_and(|bound| *bound < 0.0);
    if !(open && falls) {
        out.push_str(exposed);
        out.push_str("_sum");
        labels(out, series, None);
        out.push(' ');
        number::write(out, histogram.sum);
        out.push('\n');
    }
    if !(open && falls) {
        out.push_str(exposed);
        out.push_str("_count");
        labels(out, series, None);
        out.push(' ');
        number::write(out, cumulative as f64);
        out.push('\n');
    }
}

fn labels(out: &mut String, labels: &Labels, bound: Option<f64>) {
    if labels.is_empty() && bound.is_none() {
        return;
    }
    out.push('{');
    for (index, (name, value)) in labels.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        let _ = write!(out, "{name}=\"");
        escape(out, value, true);
        out.push('"');
    }
    if let Some(bound) = bound {
        out.push_str(if labels.is_empty() { "le=\"" } else { ",le=\"" });
        number::write(out, bound);
        out.push('"');
    }
    out.push('}');
}

fn exemplar(out: &mut String, exemplar: &Exemplar) {
    let _ = write!(out, " # {{trace_id=\"{}\",span_id=\"{}\"}} ", exemplar.trace_id, exemplar.span_id);
    number::write(out, exemplar.value);
    out.push(' ');
    seconds(out, exemplar.time);
}

/// Nanoseconds as seconds, exactly.
fn seconds(out: &mut String, nanoseconds: u64) {
    let _ = write!(out, "{}.{:09}", nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
}

fn escape(out: &mut String, text: &str, quotes: bool) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            c => out.push(c),
        }
    }
}
