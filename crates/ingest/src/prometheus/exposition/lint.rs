//! What is wrong with metrics though they can be read: what `promtool check metrics` says, in its words.

use std::collections::HashSet;
use std::fmt;

use tripod_model::series::{METRIC_NAME, MetricType};

use super::{ExpositionSink, HistogramPoint, LabelSet, Metadata, Sample};

/// More problems than anybody reads.
const MAX_PROBLEMS: usize = 1000;

/// Units, with the base unit that should be used.
const UNITS: [(&str, &str); 24] = [
    ("amperes", "amperes"),
    ("bytes", "bytes"),
    ("celsius", "celsius"),
    ("grams", "grams"),
    ("joules", "joules"),
    ("kelvin", "kelvin"),
    ("meters", "meters"),
    ("metres", "metres"),
    ("seconds", "seconds"),
    ("volts", "volts"),
    ("minutes", "seconds"),
    ("hours", "seconds"),
    ("days", "seconds"),
    ("weeks", "seconds"),
    ("kelvins", "kelvin"),
    ("fahrenheit", "celsius"),
    ("rankine", "celsius"),
    ("inches", "meters"),
    ("yards", "meters"),
    ("miles", "meters"),
    ("bits", "bytes"),
    ("calories", "joules"),
    ("pounds", "grams"),
    ("ounces", "grams"),
];

const PREFIXES: [&str; 18] = [
    "pico", "nano", "micro", "milli", "centi", "deci", "deca", "hecto", "kilo", "kibi", "mega", "mibi", "giga", "gibi",
    "tera", "tebi", "peta", "pebi",
];

const ABBREVIATIONS: [&str; 14] = ["s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d"];

/// Something that is wrong with a metric family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LintProblem {
    /// The family.
    pub metric: String,
    /// What is wrong.
    pub text: String,
}

impl fmt::Display for LintProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.metric, self.text)
    }
}

/// A sink that looks at what it gets.
#[derive(Debug, Default)]
pub struct Linter {
    families: Vec<Family>,
    problems: Vec<LintProblem>,
}

#[derive(Debug, Default)]
struct Family {
    name: String,
    metric_type: MetricType,
    has_help: bool,
    has_samples: bool,
    series: HashSet<Vec<u8>>,
}

impl Linter {
    /// All problems, those of one family together.
    pub fn finish(mut self) -> Vec<LintProblem> {
        for family in std::mem::take(&mut self.families) {
            self.check_family(&family);
        }
        let mut seen = HashSet::new();
        self.problems.retain(|problem| seen.insert((problem.metric.clone(), problem.text.clone())));
        self.problems.sort_by(|a, b| a.metric.cmp(&b.metric));
        self.problems
    }

    fn problem(&mut self, metric: &str, text: impl Into<String>) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(LintProblem { metric: metric.to_owned(), text: text.into() });
        }
    }

    fn check_family(&mut self, family: &Family) {
        // A family of which nothing but a line of metadata is there is not looked at.
        if !family.has_samples {
            return;
        }
        let name = family.name.as_str();
        if !family.has_help {
            self.problem(name, "no help text");
        }
        if let Some((unit, base)) = unit(name).filter(|(unit, base)| unit != base) {
            self.problem(name, format!("use base unit {base:?} instead of {unit:?}"));
        }
        if name.contains(':') {
            self.problem(name, "metric names should not contain ':'");
        }
        if is_camel_case(name) {
            self.problem(name, "metric names should be written in 'snake_case' not 'camelCase'");
        }
        let lower = name.to_lowercase();
        let has_word = |word: &str| lower.contains(&format!("_{word}_")) || lower.ends_with(&format!("_{word}"));
        for _ in ABBREVIATIONS.iter().filter(|unit| has_word(unit)) {
            self.problem(name, "metric names should not contain abbreviated units");
        }
        if family.metric_type == MetricType::Unknown {
            return;
        }
        let type_name = match family.metric_type {
            MetricType::GaugeHistogram => "gauge_histogram",
            other => other.name(),
        };
        if has_word(type_name) {
            self.problem(name, format!("metric name should not include type '{type_name}'"));
        }
        let is_counter = family.metric_type == MetricType::Counter;
        let is_histogram = family.metric_type == MetricType::Histogram;
        let has_count = is_histogram || family.metric_type == MetricType::Summary;
        for (is_wrong, text) in [
            (is_counter && !name.ends_with("_total"), "counter metrics should have \"_total\" suffix"),
            (!is_counter && name.ends_with("_total"), "non-counter metrics should not have \"_total\" suffix"),
            (!is_histogram && name.ends_with("_bucket"), "non-histogram metrics should not have \"_bucket\" suffix"),
            (
                !has_count && name.ends_with("_count"),
                "non-histogram and non-summary metrics should not have \"_count\" suffix",
            ),
            (
                !has_count && name.ends_with("_sum"),
                "non-histogram and non-summary metrics should not have \"_sum\" suffix",
            ),
        ] {
            if is_wrong {
                self.problem(name, text);
            }
        }
    }

    /// The family of a sample: that of the last metadata when the name fits, else one of its own.
    fn family(&mut self, name: &str) -> usize {
        let fits = |family: &Family| {
            let suffix = name.strip_prefix(family.name.as_str());
            match family.metric_type {
                MetricType::Histogram => matches!(suffix, Some("" | "_bucket" | "_sum" | "_count" | "_created")),
                MetricType::Summary => matches!(suffix, Some("" | "_sum" | "_count" | "_created")),
                MetricType::Counter => matches!(suffix, Some("" | "_total" | "_created")),
                MetricType::GaugeHistogram => matches!(suffix, Some("_bucket" | "_gsum" | "_gcount")),
                MetricType::Info => matches!(suffix, Some("_info")),
                _ => suffix == Some(""),
            }
        };
        if let Some(last) = self.families.len().checked_sub(1)
            && fits(&self.families[last])
        {
            return last;
        }
        if let Some(at) = self.families.iter().position(fits) {
            return at;
        }
        self.families.push(Family { name: name.to_owned(), ..Family::default() });
        self.families.len() - 1
    }

    fn take(&mut self, labels: &LabelSet) {
        let at = self.family(labels.metric_name());
        let mut key = Vec::new();
        labels.write_key(&mut key);
        let family = &mut self.families[at];
        family.has_samples = true;
        // OpenMetrics names the family of a counter without what its sample's name ends with.
        if family.metric_type == MetricType::Counter && labels.metric_name().ends_with("_total") {
            labels.metric_name().clone_into(&mut family.name);
        }
        let (name, metric_type) = (family.name.clone(), family.metric_type);
        if !family.series.insert(key) {
            self.problem(&name, "metric not unique");
        }
        for (label, _) in labels.iter().filter(|(label, _)| *label != METRIC_NAME) {
            if is_camel_case(label) {
                self.problem(&name, "label names should be written in 'snake_case' not 'camelCase'");
            }
            if metric_type == MetricType::Unknown {
                continue;
            }
            if label == "le" && !matches!(metric_type, MetricType::Histogram | MetricType::GaugeHistogram) {
                self.problem(&name, "non-histogram metrics should not have \"le\" label");
            }
            if label == "quantile" && metric_type != MetricType::Summary {
                self.problem(&name, "non-summary metrics should not have \"quantile\" label");
            }
        }
    }
}

impl ExpositionSink for Linter {
    fn metadata(&mut self, name: &str, metadata: Metadata<'_>) {
        if self.families.last().is_none_or(|family| family.name != name) {
            self.families.push(Family { name: name.to_owned(), ..Family::default() });
        }
        let Some(family) = self.families.last_mut() else { return };
        match metadata {
            Metadata::Type(metric_type) => family.metric_type = metric_type,
            Metadata::Help(_) => family.has_help = true,
            Metadata::Unit(_) => {}
        }
    }

    fn sample(&mut self, sample: Sample<'_>) {
        self.take(sample.labels);
    }

    fn histogram(&mut self, histogram: HistogramPoint<'_>) {
        self.take(histogram.labels);
    }
}

/// The first unit in a name, with its base unit.
fn unit(name: &str) -> Option<(&str, &'static str)> {
    name.split('_').find_map(|word| {
        let base = |word: &str| UNITS.iter().find(|(unit, _)| *unit == word).map(|(_, base)| *base);
        let prefixed = || PREFIXES.iter().filter_map(|prefix| word.strip_prefix(prefix)).find_map(base);
        base(word).or_else(prefixed).map(|base| (word, base))
    })
}

fn is_camel_case(name: &str) -> bool {
    name.as_bytes().windows(2).any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::super::{Format, ParseOptions, parse};
    use super::*;

    fn lint(format: Format, text: &str) -> Vec<String> {
        let mut linter = Linter::default();
        parse(format, text.as_bytes(), &ParseOptions::default(), &mut linter).unwrap();
        linter.finish().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn problems_are_said_as_promtool_says_them() {
        for (text, problems) in [
            ("# HELP x_total X.\n# TYPE x_total counter\nx_total 1\n", vec![]),
            ("x 1\n", vec!["x no help text"]),
            ("# HELP x X.\n# TYPE x counter\nx 1\n", vec!["x counter metrics should have \"_total\" suffix"]),
            (
                "# HELP x_total X.\n# TYPE x_total gauge\nx_total 1\n",
                vec!["x_total non-counter metrics should not have \"_total\" suffix"],
            ),
            (
                "# HELP x_milliseconds X.\nx_milliseconds 1\n",
                vec!["x_milliseconds use base unit \"seconds\" instead of \"milliseconds\""],
            ),
            ("# HELP x_ms X.\nx_ms 1\n", vec!["x_ms metric names should not contain abbreviated units"]),
            ("# HELP a:b X.\na:b 1\n", vec!["a:b metric names should not contain ':'"]),
            (
                "# HELP aB X.\naB{cD=\"\"} 1\n",
                vec![
                    "aB label names should be written in 'snake_case' not 'camelCase'",
                    "aB metric names should be written in 'snake_case' not 'camelCase'",
                ],
            ),
            (
                "# HELP x_gauge X.\n# TYPE x_gauge gauge\nx_gauge{le=\"1\"} 1\n",
                vec![
                    "x_gauge non-histogram metrics should not have \"le\" label",
                    "x_gauge metric name should not include type 'gauge'",
                ],
            ),
            ("# HELP x X.\nx 1\nx 2\n", vec!["x metric not unique"]),
            ("# HELP h X.\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n", vec![]),
        ] {
            assert_eq!(lint(Format::Text, text), problems, "{text}");
        }
        assert_eq!(lint(Format::OpenMetrics, "# TYPE x counter\n# HELP x X.\nx_total 1\n# EOF\n"), [] as [&str; 0]);
    }
}
