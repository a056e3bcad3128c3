use std::collections::HashMap;

use tripod_model::series::Labels;

use super::element::{self, Outcome};
use super::matching::{Presence, Signatures};
use super::{LastNotes, changes_schema, floats_with_scalar};
use crate::ast::{BinaryOp, Cardinality, VectorMatching};
use crate::engine::column::{ABSENT, Cell, Column, is_absent};
use crate::engine::error::QueryError;
use crate::engine::evaluator::Evaluator;
use crate::engine::grid::Grid;
use crate::engine::labels::{is_metadata, match_labels, merge};
use crate::engine::notes::Notes;
use crate::engine::plan::{BinaryPlan, Node};

/// An operator between two vectors, set operators aside.
///
/// "Many" is the side whose labels the result has, "one" the other; with `group_right` the sides are swapped.
pub(super) fn evaluate(
    evaluator: &Evaluator,
    node: &Node,
    plan: &BinaryPlan,
    left: Vec<Column>,
    right: Vec<Column>,
    grid: Grid,
    notes: &mut Notes,
) -> Result<Vec<Column>, QueryError> {
    let Some(matching) = &plan.matching else {
        return Err(QueryError::execution("vectors are matched by labels"));
    };
    let swapped = matching.cardinality == Cardinality::OneToMany;
    let (many, one) = if swapped { (right, left) } else { (left, right) };
    // Upstream does not swap these: `fill_left` is always for the many side.
    let (fill_many, fill_one) = (matching.fill_left, matching.fill_right);
    let filled = fill_many.is_some() || fill_one.is_some();
    if !filled && (many.is_empty() || one.is_empty()) {
        return Ok(Vec::new());
    }
    let signatures = Signatures::of(matching, &many, &one);
    evaluator.context.check_cells(signatures.count.saturating_add(many.len()), grid)?;
    let steps = grid.steps();
    let operation = Operation {
        evaluator,
        plan,
        matching,
        swapped,
        position: node.position,
        steps,
        partners: partners(matching, &many, &one, &signatures, filled, steps)?,
        many_of: counts(&signatures.left, signatures.count),
        one: &one,
    };
    let mut matches =
        Matches { matched: fill_many.map(|_| Presence::new(signatures.count, steps)), seen: HashMap::new() };
    let mut last_notes = LastNotes::default();
    let mut out = Vec::with_capacity(many.len());
    for (column, signature) in many.iter().zip(&signatures.left) {
        evaluator.context.check()?;
        if let Some(result) = operation.numbers(column, *signature, filled) {
            out.extend(result);
        } else {
            operation.cells(column, *signature, fill_one, &mut matches, &mut last_notes, &mut out)?;
        }
    }
    if let (Some(fill), Some(matched)) = (fill_many, &matches.matched) {
        for (column, signature) in one.iter().zip(&signatures.right) {
            evaluator.context.check()?;
            out.extend(operation.fill(column, |step| matched.has(*signature, step), fill, &mut last_notes));
        }
    }
    last_notes.finish(notes);
    merge(out)
}

fn counts(groups: &[usize], count: usize) -> Vec<usize> {
    let mut counts = vec![0; count];
    groups.iter().for_each(|group| counts[*group] += 1);
    counts
}

/// The series of the one side by signature. At no step may there be two of them, unless there is nothing to match.
fn partners(
    matching: &VectorMatching,
    many: &[Column],
    one: &[Column],
    signatures: &Signatures,
    filled: bool,
    steps: usize,
) -> Result<Vec<Vec<usize>>, QueryError> {
    let mut partners = vec![Vec::new(); signatures.count];
    for (index, signature) in signatures.right.iter().enumerate() {
        partners[*signature].push(index);
    }
    for same in partners.iter().filter(|same| same.len() > 1) {
        for step in 0..steps {
            let mut present = same.iter().map(|index| &one[*index]).filter(|column| column.has(step));
            let (Some(first), Some(second)) = (present.next(), present.next()) else { continue };
            if !filled && !many.iter().any(|column| column.has(step)) {
                continue;
            }
            let side = if matching.cardinality == Cardinality::OneToMany { "left" } else { "right" };
            let group = match_labels(&second.labels, matching.on, &matching.labels);
            let mut texts = [first.labels.to_string(), second.labels.to_string()];
            texts.sort_unstable();
            return Err(QueryError::execution(format!(
                "found duplicate series for the match group {group} on the {side} hand-side of the operation: [{}, {}]\
                 ;many-to-many matching not allowed: matching labels must be unique on one side",
                texts[0], texts[1]
            )));
        }
    }
    Ok(partners)
}

/// What was matched so far, where that matters.
#[derive(Debug)]
struct Matches {
    /// By signature: a match was found; only when the many side is filled up.
    matched: Option<Presence>,
    /// By signature and, where many series may match, labels of the result: a result was found.
    seen: HashMap<(usize, Labels), Vec<bool>>,
}

struct Operation<'a> {
    evaluator: &'a Evaluator,
    plan: &'a BinaryPlan,
    matching: &'a VectorMatching,
    swapped: bool,
    position: usize,
    steps: usize,
    one: &'a [Column],
    /// The series of the one side by signature.
    partners: Vec<Vec<usize>>,
    /// How many series of the many side have the signature.
    many_of: Vec<usize>,
}

impl Operation<'_> {
    /// The frequent case that two series of numbers match that nobody else matches; `None` when it is not that case.
    fn numbers(&self, column: &Column, signature: usize, filled: bool) -> Option<Option<Column>> {
        let [partner] = self.partners[signature][..] else {
            return (self.partners[signature].is_empty() && !filled).then_some(None);
        };
        let partner = &self.one[partner];
        let numbers = column.histograms.is_empty() && partner.histograms.is_empty();
        let trims = matches!(self.plan.op, BinaryOp::TrimLower | BinaryOp::TrimUpper);
        if filled || self.many_of[signature] > 1 || !numbers || trims {
            return None;
        }
        let mut values = column.floats.clone();
        for (value, other) in values.iter_mut().zip(&partner.floats) {
            if is_absent(*other) {
                *value = ABSENT;
            }
        }
        let op = self.plan.op;
        floats_with_scalar(op, &mut values, &partner.floats, self.swapped, self.plan.return_bool);
        if self.swapped && op.is_comparison() && !self.plan.return_bool {
            // What is kept is the left side.
            for (value, other) in values.iter_mut().zip(&partner.floats) {
                if !is_absent(*value) {
                    *value = *other;
                }
            }
        }
        let labels = self.result_labels(&column.labels, &partner.labels);
        let result = Column { labels, drop_name: self.plan.return_bool, floats: values, histograms: Vec::new() };
        Some((!result.is_empty()).then_some(result))
    }

    fn cells(
        &self,
        column: &Column,
        signature: usize,
        fill: Option<f64>,
        matches: &mut Matches,
        last_notes: &mut LastNotes,
        out: &mut Vec<Column>,
    ) -> Result<(), QueryError> {
        let partners = &self.partners[signature];
        // One result by partner, as labels may come from it; the last place is for the fill value.
        let mut results: Vec<Option<Column>> = vec![None; partners.len() + 1];
        for step in 0..self.steps {
            let Some(own) = column.cell(step) else { continue };
            let place = partners.iter().position(|index| self.one[*index].has(step)).unwrap_or(partners.len());
            let partner = partners.get(place).map(|index| &self.one[*index]);
            let other = match (partner.and_then(|partner| partner.cell(step)), fill) {
                (Some(cell), _) => cell,
                (None, Some(fill)) => Cell::Float(fill),
                (None, None) => continue,
            };
            let Some(outcome) = self.apply(own, other, step, last_notes) else { continue };
            let result = results[place].get_or_insert_with(|| {
                let labels = match partner {
                    Some(partner) => self.result_labels(&column.labels, &partner.labels),
                    None => self.result_labels(&column.labels, &self.group(&column.labels)),
                };
                self.column(labels)
            });
            self.check_unique(signature, &result.labels, step, matches)?;
            self.put(outcome, result, step);
        }
        out.extend(results.into_iter().flatten().filter(|column| !column.is_empty()));
        Ok(())
    }

    /// The results of a series of the one side where it was not matched.
    fn fill(
        &self,
        column: &Column,
        matched: impl Fn(usize) -> bool,
        fill: f64,
        last_notes: &mut LastNotes,
    ) -> Option<Column> {
        let mut result = self.column(self.result_labels(&self.group(&column.labels), &column.labels));
        for step in (0..self.steps).filter(|step| !matched(*step)) {
            let Some(other) = column.cell(step) else { continue };
            if let Some(outcome) = self.apply(Cell::Float(fill), other, step, last_notes) {
                self.put(outcome, &mut result, step);
            }
        }
        (!result.is_empty()).then_some(result)
    }

    /// The labels that are matched.
    fn group(&self, labels: &Labels) -> Labels {
        match_labels(labels, self.matching.on, &self.matching.labels)
    }

    fn column(&self, labels: Labels) -> Column {
        Column { drop_name: self.plan.return_bool, ..Column::absent(labels, self.steps) }
    }

    /// The operator on an element of the many side and one of the other.
    fn apply(&self, own: Cell<'_>, other: Cell<'_>, step: usize, last_notes: &mut LastNotes) -> Option<Outcome> {
        let (left, right) = if self.swapped { (other, own) } else { (own, other) };
        let mut outcome = element::cells(self.plan.op, left, right, self.position);
        if let Some(note) = outcome.error.take() {
            last_notes.set(step, note, self.steps);
            return None;
        }
        if let Some(note) = outcome.info.take() {
            last_notes.set(step, note, self.steps);
        }
        Some(outcome)
    }

    fn put(&self, outcome: Outcome, result: &mut Column, step: usize) {
        if self.plan.return_bool {
            result.floats[step] = f64::from(u8::from(outcome.keep));
        } else if let Some(value) = outcome.value.filter(|_| outcome.keep) {
            value.put(result, step);
        }
    }

    /// Notes that there is a result. There may be one by signature or, where many may match, by labels.
    fn check_unique(
        &self,
        signature: usize,
        labels: &Labels,
        step: usize,
        matches: &mut Matches,
    ) -> Result<(), QueryError> {
        if let Some(matched) = &mut matches.matched {
            matched.mark(signature, step);
        }
        if self.many_of[signature] < 2 {
            return Ok(());
        }
        let one_to_one = self.matching.cardinality == Cardinality::OneToOne;
        let key = (signature, if one_to_one { Labels::empty() } else { labels.clone() });
        let seen = matches.seen.entry(key).or_insert_with(|| vec![false; self.steps]);
        if !std::mem::replace(&mut seen[step], true) {
            return Ok(());
        }
        Err(QueryError::execution(match one_to_one {
            true => "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
            false => "multiple matches for labels: grouping labels must ensure unique matches",
        }))
    }

    /// The labels of a result.
    fn result_labels(&self, own: &Labels, other: &Labels) -> Labels {
        let matching = self.matching;
        let delayed = self.evaluator.context.options.delayed_name_removal;
        let drop_metadata = changes_schema(self.plan.op) || (self.plan.return_bool && !delayed);
        let one_to_one = matching.cardinality == Cardinality::OneToOne;
        let listed = |name: &str| matching.labels.iter().any(|each| each == name);
        let labels =
            own.keep(|name| !(drop_metadata && is_metadata(name)) && (!one_to_one || listed(name) == matching.on));
        if matching.include.is_empty() {
            return labels;
        }
        let mut builder = labels.to_builder();
        for name in &matching.include {
            builder.set(name, other.get(name).unwrap_or(""));
        }
        builder.build()
    }
}
