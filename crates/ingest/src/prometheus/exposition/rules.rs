//! What OpenMetrics demands beyond the syntax of a line: names, order, values.
//!
//! Prometheus does not look at these when it scrapes, so a scrape does not either; `tripod check metrics` and the
//! conformance run do. Each message says which rule of the specification was broken.

use std::collections::{HashMap, HashSet};

use tripod_model::series::MetricType;

use super::family::suffixes;
use super::number::parse_float;
use super::{Exemplar, LabelSet, Metadata};

/// The text of an exemplar's labels may have so many characters.
pub(super) const MAX_EXEMPLAR_CHARACTERS: usize = 128;

#[derive(Debug, Default)]
pub(super) struct FamilyRules {
    family: Option<Family>,
    /// Every name that a family has taken, with the family.
    taken: HashMap<String, String>,
}

#[derive(Debug, Default)]
struct Family {
    name: String,
    metric_type: Option<MetricType>,
    unit: Option<String>,
    has_help: bool,
    has_samples: bool,
    seen: HashSet<Vec<(String, String)>>,
    metric: Option<Metric>,
}

/// One label set of a family.
#[derive(Debug, Default)]
struct Metric {
    labels: Vec<(String, String)>,
    timestamp: Option<f64>,
    point: Point,
}

/// The samples of one metric at one time.
#[derive(Debug, Default)]
struct Point {
    samples: HashSet<(String, String)>,
    last_bound: Option<f64>,
    last_count: f64,
    has_infinite: bool,
    has_negative: bool,
    count: Option<f64>,
    sum: Option<f64>,
}

type Verdict = Result<(), String>;

impl FamilyRules {
    pub(super) fn metadata(&mut self, name: &str, metadata: Metadata<'_>) -> Verdict {
        if self.family.as_ref().is_none_or(|family| family.name != name) {
            self.begin(name)?;
        }
        let Some(family) = &mut self.family else { return Ok(()) };
        if family.has_samples {
            return Err(format!("HELP, TYPE and UNIT of {name:?} must stand before its samples"));
        }
        let is_new = match metadata {
            Metadata::Type(metric_type) => family.metric_type.replace(metric_type).is_none(),
            Metadata::Unit(unit) => family.unit.replace(unit.to_owned()).is_none(),
            Metadata::Help(_) => !std::mem::replace(&mut family.has_help, true),
        };
        if !is_new {
            return Err(format!("{name:?} has this line twice"));
        }
        let metric_type = family.metric_type.unwrap_or_default();
        let has_unit = family.unit.as_ref().is_some_and(|unit| !unit.is_empty());
        if has_unit && matches!(metric_type, MetricType::Info | MetricType::StateSet) {
            return Err(format!("{name:?} is of type {} and cannot have a unit", metric_type.name()));
        }
        if matches!(metadata, Metadata::Type(_)) {
            self.take_names(name, metric_type)?;
        }
        Ok(())
    }

    pub(super) fn sample(
        &mut self,
        labels: &LabelSet,
        value: f64,
        timestamp: Option<f64>,
        exemplar: Option<&Exemplar<'_>>,
    ) -> Verdict {
        let name = labels.metric_name();
        let belongs = self.family.as_ref().is_some_and(|family| family.suffix(name).is_some());
        if !belongs {
            self.begin(name)?;
        }
        let Some(family) = &mut self.family else { return Ok(()) };
        family.has_samples = true;
        let suffix = family.suffix(name).unwrap_or("").to_owned();
        check_value(family.metric_type(), &suffix, value)?;
        check_exemplar(family.metric_type(), &suffix, exemplar)?;
        family.sample(labels, &suffix, value, timestamp)
    }

    pub(super) fn finish(&mut self) -> Verdict {
        self.family.take().map_or(Ok(()), |mut family| family.finish_metric())
    }

    fn begin(&mut self, name: &str) -> Verdict {
        self.finish()?;
        if let Some(other) = self.taken.get(name) {
            return Err(if other == name {
                format!("{name:?} was there before: a family's lines must stand together")
            } else {
                format!("{name:?} is a name of a sample of {other:?}")
            });
        }
        self.taken.insert(name.to_owned(), name.to_owned());
        self.family = Some(Family { name: name.to_owned(), ..Family::default() });
        Ok(())
    }

    fn take_names(&mut self, name: &str, metric_type: MetricType) -> Verdict {
        for suffix in suffixes(metric_type).iter().filter(|suffix| !suffix.is_empty()) {
            let sample = format!("{name}{suffix}");
            if let Some(other) = self.taken.get(&sample) {
                return Err(format!("samples of {name:?} would be named {sample:?}, which belongs to {other:?}"));
            }
            self.taken.insert(sample, name.to_owned());
        }
        Ok(())
    }
}

impl Family {
    fn metric_type(&self) -> MetricType {
        self.metric_type.unwrap_or_default()
    }

    fn suffix<'a>(&self, name: &'a str) -> Option<&'a str> {
        let suffix = name.strip_prefix(self.name.as_str())?;
        suffixes(self.metric_type()).contains(&suffix).then_some(suffix)
    }

    fn sample(&mut self, labels: &LabelSet, suffix: &str, value: f64, timestamp: Option<f64>) -> Verdict {
        let metric_type = self.metric_type();
        let own = match (metric_type, suffix) {
            (MetricType::Histogram | MetricType::GaugeHistogram, "_bucket") => Some("le"),
            (MetricType::Summary, "") => Some("quantile"),
            (MetricType::StateSet, _) => Some(self.name.as_str()),
            _ => None,
        };
        let own_value = own.map(|own| labels.get(own).ok_or_else(|| format!("the label {own:?} is missing")));
        let own_value = own_value.transpose()?.unwrap_or("").to_owned();
        let mut rest: Vec<(String, String)> = labels
            .iter()
            .filter(|(name, _)| *name != "__name__" && Some(*name) != own)
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        rest.sort_unstable();
        if self.metric.as_ref().is_none_or(|metric| metric.labels != rest) {
            self.finish_metric()?;
            if !self.seen.insert(rest.clone()) {
                return Err("samples of one metric (the same labels) must stand together".to_owned());
            }
            self.metric = Some(Metric { labels: rest, timestamp, point: Point::default() });
        }
        let Some(metric) = &mut self.metric else { return Ok(()) };
        match (metric.timestamp, timestamp) {
            (Some(before), Some(now)) if now < before => return Err("time goes backwards".to_owned()),
            (Some(before), Some(now)) if now > before => {
                let point = std::mem::take(&mut metric.point);
                point.finish(metric_type)?;
            }
            (None, Some(_)) | (Some(_), None) => {
                return Err("either all samples of a metric have a time or none".to_owned());
            }
            _ => {}
        }
        metric.timestamp = timestamp;
        let is_new = metric.point.samples.insert((suffix.to_owned(), own_value.clone()));
        if !is_new && timestamp.is_none() {
            return Err("this sample is there twice".to_owned());
        }
        metric.point.take(metric_type, suffix, &own_value, value)
    }

    fn finish_metric(&mut self) -> Verdict {
        let metric_type = self.metric_type();
        self.metric.take().map_or(Ok(()), |metric| metric.point.finish(metric_type))
    }
}

impl Point {
    fn take(&mut self, metric_type: MetricType, suffix: &str, own: &str, value: f64) -> Verdict {
        match (metric_type, suffix) {
            (MetricType::Histogram | MetricType::GaugeHistogram, "_bucket") => {
                let bound = parse_float(own).filter(|bound| !bound.is_nan() && (bound.is_finite() || own == "+Inf"));
                let Some(bound) = bound else {
                    return Err(format!("le={own:?} is no number; the last bucket's is \"+Inf\""));
                };
                if self.last_bound.is_some_and(|last| bound <= last) {
                    return Err(format!("buckets must ascend, but le={own:?} follows a larger or equal bound"));
                }
                if self.last_bound.is_some() && value < self.last_count {
                    return Err("buckets count cumulatively, but this one counts less than the one before".to_owned());
                }
                self.has_infinite |= bound == f64::INFINITY;
                self.has_negative |= bound < 0.0;
                self.last_bound = Some(bound);
                self.last_count = value;
            }
            (MetricType::Histogram, "_count") | (MetricType::GaugeHistogram, "_gcount") => self.count = Some(value),
            (MetricType::Histogram, "_sum") | (MetricType::GaugeHistogram, "_gsum") => self.sum = Some(value),
            (MetricType::Summary, "") if !parse_float(own).is_some_and(|quantile| (0.0..=1.0).contains(&quantile)) => {
                return Err(format!("quantile={own:?} is no number between 0 and 1"));
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(&self, metric_type: MetricType) -> Verdict {
        let is_gauge = match metric_type {
            MetricType::Histogram => false,
            MetricType::GaugeHistogram => true,
            _ => return Ok(()),
        };
        let (count, sum) = if is_gauge { ("_gcount", "_gsum") } else { ("_count", "_sum") };
        if !self.has_infinite {
            return Err("the histogram before has no bucket with le=\"+Inf\"".to_owned());
        }
        if self.count.is_some_and(|count| count != self.last_count) {
            return Err(format!("{count} of the histogram before is not its bucket +Inf"));
        }
        if self.has_negative && self.sum.is_some() && !is_gauge {
            return Err(format!("the histogram before has buckets below 0 and so no {sum}"));
        }
        if !is_gauge && !self.has_negative && self.sum.is_some() != self.count.is_some()
            || is_gauge && self.sum.is_some() != self.count.is_some()
        {
            return Err(format!("the histogram before has only one of {count} and {sum}"));
        }
        if is_gauge && !self.has_negative && self.sum.is_some_and(|sum| sum < 0.0) {
            return Err(format!("{sum} of the histogram before is negative, though it has no bucket below 0"));
        }
        Ok(())
    }
}

fn check_value(metric_type: MetricType, suffix: &str, value: f64) -> Verdict {
    use MetricType::{Counter, GaugeHistogram, Histogram, Info, StateSet, Summary};
    match (metric_type, suffix) {
        (Counter, "_total") | (Histogram, "_bucket" | "_count" | "_sum") | (Summary, "_count" | "_sum")
            if value.is_nan() || value < 0.0 =>
        {
            Err(format!("{value} is no value of a counter, which is 0 or more"))
        }
        (GaugeHistogram, "_bucket" | "_gcount") if value.is_nan() || value < 0.0 => {
            Err(format!("{value} is no count, which is 0 or more"))
        }
        (GaugeHistogram, "_gsum") if value.is_nan() => Err("the sum is no number".to_owned()),
        (Summary, "") if value < 0.0 => Err("a quantile of a summary cannot be negative".to_owned()),
        (Info, _) if value != 1.0 => Err("the value of an info metric is 1".to_owned()),
        (StateSet, _) if value != 0.0 && value != 1.0 => Err("the value of a state is 0 or 1".to_owned()),
        _ => Ok(()),
    }
}

fn check_exemplar(metric_type: MetricType, suffix: &str, exemplar: Option<&Exemplar<'_>>) -> Verdict {
    let Some(exemplar) = exemplar else { return Ok(()) };
    let allowed = matches!(
        (metric_type, suffix),
        (MetricType::Counter, "_total") | (MetricType::Histogram | MetricType::GaugeHistogram, "_bucket")
    );
    if !allowed {
        return Err("only buckets and the _total of counters have exemplars".to_owned());
    }
    let characters: usize =
        exemplar.labels.iter().map(|(name, value)| name.chars().count() + value.chars().count()).sum();
    if characters > MAX_EXEMPLAR_CHARACTERS {
        return Err(format!(
            "the exemplar's labels have {characters} characters; {MAX_EXEMPLAR_CHARACTERS} are allowed"
        ));
    }
    Ok(())
}
