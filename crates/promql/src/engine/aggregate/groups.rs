use std::collections::HashMap;

use tripod_model::series::{Labels, METRIC_NAME};

use crate::engine::column::Column;
use crate::engine::plan::AggregatePlan;

/// Which series are aggregated together.
#[derive(Debug)]
pub(super) struct Groups {
    /// The labels of each group, in the order of their first series.
    pub labels: Vec<Labels>,
    /// The group of each series.
    pub of: Vec<usize>,
}

impl Groups {
    pub(super) fn new(plan: &AggregatePlan, columns: &[Column]) -> Self {
        let mut known: HashMap<Labels, usize> = HashMap::new();
        let mut labels = Vec::new();
        let of = columns.iter().map(|column| {
            let group = group_labels(&column.labels, &plan.labels, plan.without);
            *known.entry(group).or_insert_with_key(|group| {
                labels.push(group.clone());
                labels.len() - 1
            })
        });
        let of = of.collect();
        Self { labels, of }
    }

    /// The series of each group.
    pub(super) fn members(&self) -> Vec<Vec<usize>> {
        let mut members = vec![Vec::new(); self.labels.len()];
        for (series, group) in self.of.iter().enumerate() {
            members[*group].push(series);
        }
        members
    }
}

/// The labels of a group: those of `by`, or all but those of `without` and the metric's name.
pub(super) fn group_labels(labels: &Labels, listed: &[String], without: bool) -> Labels {
    let is_listed = |name: &str| listed.iter().any(|each| each == name);
    match without {
        true => labels.keep(|name| name != METRIC_NAME && !is_listed(name)),
        false if listed.is_empty() => Labels::empty(),
        false => labels.keep(is_listed),
    }
}
