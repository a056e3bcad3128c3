use std::collections::HashMap;

use tripod_model::series::Labels;

use crate::ast::VectorMatching;
use crate::engine::column::Column;
use crate::engine::labels::match_labels;

/// Which series of two vectors find each other: those with the same signature.
#[derive(Debug)]
pub(super) struct Signatures {
    /// How many different ones there are.
    pub count: usize,
    /// By series of the left side.
    pub left: Vec<usize>,
    /// By series of the right side.
    pub right: Vec<usize>,
}

impl Signatures {
    pub(super) fn of(matching: &VectorMatching, left: &[Column], right: &[Column]) -> Self {
        let mut known: HashMap<Labels, usize> = HashMap::with_capacity(left.len().max(right.len()));
        let mut number = |column: &Column| {
            let next = known.len();
            *known.entry(match_labels(&column.labels, matching.on, &matching.labels)).or_insert(next)
        };
        let left = left.iter().map(&mut number).collect();
        let right = right.iter().map(&mut number).collect();
        Self { count: known.len(), left, right }
    }
}

/// For each of some groups, at which steps it is present.
#[derive(Debug)]
pub(super) struct Presence {
    steps: usize,
    present: Vec<bool>,
}

impl Presence {
    pub(super) fn new(groups: usize, steps: usize) -> Self {
        Self { steps, present: vec![false; groups * steps] }
    }

    /// Marks the steps at which a column has a value.
    pub(super) fn add(&mut self, group: usize, column: &Column) {
        for (step, present) in self.present[group * self.steps..][..self.steps].iter_mut().enumerate() {
            *present |= column.has(step);
        }
    }

    pub(super) fn of(columns: &[Column], groups: &[usize], count: usize, steps: usize) -> Self {
        let mut presence = Self::new(count, steps);
        for (column, group) in columns.iter().zip(groups) {
            presence.add(*group, column);
        }
        presence
    }

    /// Marks a step; whether it was marked before.
    pub(super) fn mark(&mut self, group: usize, step: usize) -> bool {
        std::mem::replace(&mut self.present[group * self.steps + step], true)
    }

    pub(super) fn has(&self, group: usize, step: usize) -> bool {
        self.present[group * self.steps + step]
    }
}
