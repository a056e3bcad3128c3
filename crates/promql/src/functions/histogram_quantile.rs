//! `histogram_quantile`, `histogram_quantiles` and `histogram_fraction`, of classic and of native histograms.

use std::collections::HashMap;

use tripod_model::series::{FloatHistogram, Labels, ShortFloat};

use super::classic::{self, Bucket};
use super::native_quantile;
use crate::engine::{
    CallPlan, Column, Evaluated, Evaluator, ForcedMonotonicity, Grid, Node, Note, Notes, QueryError, is_absent, labels,
};
use crate::literal::lossy;

/// The label that holds the upper bound of a bucket.
const BOUND: &str = "le";

pub(super) fn histogram_quantile(
    evaluator: &Evaluator,
    _: &Node,
    plan: &CallPlan,
    grid: Grid,
    notes: &mut Notes,
) -> Result<Evaluated, QueryError> {
    let ranks = evaluator.scalar(&plan.args[0], grid, notes)?;
    note_ranks(&ranks, plan.args[0].position, notes);
    let histograms = Histograms::of(evaluator, &plan.args[1], grid, notes)?;
    let columns = histograms.quantiles(&ranks, notes)?;
    labels::merge_unless_delayed(evaluator, columns).map(Evaluated::Vector)
}

pub(super) fn histogram_quantiles(
    evaluator: &Evaluator,
    _: &Node,
    plan: &CallPlan,
    grid: Grid,
    notes: &mut Notes,
) -> Result<Evaluated, QueryError> {
    let label = lossy(plan.args[1].text());
    let all_ranks = evaluator.scalars(&plan.args[2..], grid, notes)?;
    for (ranks, arg) in all_ranks.iter().zip(&plan.args[2..]) {
        note_ranks(ranks, arg.position, notes);
    }
    let histograms = Histograms::of(evaluator, &plan.args[0], grid, notes)?;
    let mut results = Vec::new();
    for ranks in &all_ranks {
        for column in histograms.quantiles(ranks, notes)? {
            // The label tells the rank, which may differ between steps.
            let mut by_rank: Vec<(u64, Column)> = Vec::new();
            for (step, rank) in ranks.iter().enumerate().filter(|(step, _)| column.has(*step)) {
                let known = by_rank.iter().position(|(bits, _)| *bits == rank.to_bits());
                let place = known.unwrap_or_else(|| {
                    let mut builder = column.labels.to_builder();
                    builder.set(&label, &rank_text(*rank));
                    let drop_name = column.drop_name;
                    let result = Column { drop_name, ..Column::absent(builder.build(), grid.steps()) };
                    by_rank.push((rank.to_bits(), result));
                    by_rank.len() - 1
                });
                by_rank[place].1.floats[step] = column.floats[step];
            }
            results.extend(by_rank.into_iter().map(|(_, column)| column));
        }
    }
    if grid.is_instant() && evaluator.context.options.delayed_name_removal {
        return Ok(Evaluated::Vector(results));
    }
    labels::merge(results).map(Evaluated::Vector)
}

pub(super) fn histogram_fraction(
    evaluator: &Evaluator,
    _: &Node,
    plan: &CallPlan,
    grid: Grid,
    notes: &mut Notes,
) -> Result<Evaluated, QueryError> {
    let lower = evaluator.scalar(&plan.args[0], grid, notes)?;
    let upper = evaluator.scalar(&plan.args[1], grid, notes)?;
    let histograms = Histograms::of(evaluator, &plan.args[2], grid, notes)?;
    let position = histograms.position;
    let columns = histograms.compute(
        notes,
        |step, histogram, metric, notes| {
            native_quantile::fraction(lower[step], upper[step], histogram, position, metric, notes)
        },
        |step, buckets, _, _| classic::fraction(lower[step], upper[step], buckets),
    )?;
    labels::merge_unless_delayed(evaluator, columns).map(Evaluated::Vector)
}

fn note_ranks(ranks: &[f64], position: usize, notes: &mut Notes) {
    for rank in ranks.iter().filter(|rank| !(0.0..=1.0).contains(*rank)) {
        notes.add(Note::invalid_quantile(position, *rank));
    }
}

/// A rank as a label's value: with a decimal point or an exponent.
fn rank_text(rank: f64) -> String {
    let text = ShortFloat(rank).to_string();
    if rank.is_finite() && !text.contains(['.', 'e']) { format!("{text}.0") } else { text }
}

/// The histograms in a vector: native ones are series of their own, classic ones consist of a series by bucket.
struct Histograms<'a> {
    evaluator: &'a Evaluator,
    columns: Vec<Column>,
    /// Series that hold a native histogram at some step.
    native: Vec<usize>,
    classic: Vec<Classic>,
    grid: Grid,
    position: usize,
    /// For series with native histograms, the classic histogram that has the same labels.
    twins: HashMap<usize, usize>,
}

/// A classic histogram.
struct Classic {
    /// Its labels without the bound.
    labels: Labels,
    /// Its series with their bounds, in the order of the bounds.
    buckets: Vec<(f64, usize)>,
}

impl<'a> Histograms<'a> {
    fn of(evaluator: &'a Evaluator, arg: &Node, grid: Grid, notes: &mut Notes) -> Result<Self, QueryError> {
        let columns = evaluator.vector(arg, grid, notes)?;
        let position = arg.position;
        let mut classic: Vec<Classic> = Vec::new();
        let mut native = Vec::new();
        let mut places: HashMap<Labels, usize> = HashMap::new();
        for (index, column) in columns.iter().enumerate() {
            if column.histograms.iter().any(Option::is_some) {
                native.push(index);
            }
            if column.floats.iter().all(|value| is_absent(*value)) {
                continue;
            }
            let text = column.labels.get(BOUND).unwrap_or("");
            let Some(bound) = bound(text) else {
                notes.add(Note::bad_bucket_label(position, shown_metric(evaluator, &column.labels), text));
                continue;
            };
            let labels = column.labels.keep(|name| name != BOUND);
            let next = classic.len();
            let place = *places.entry(labels.clone()).or_insert(next);
            if place == next {
                classic.push(Classic { labels, buckets: Vec::new() });
            }
            classic[place].buckets.push((bound, index));
        }
        for histogram in &mut classic {
            histogram.buckets.sort_by(|left, right| left.0.partial_cmp(&right.0).unwrap_or(std::cmp::Ordering::Equal));
        }
        let twin = |index: &usize| places.get(&columns[*index].labels).map(|place| (*index, *place));
        let twins = native.iter().filter_map(twin).collect();
        Ok(Self { evaluator, columns, native, classic, grid, position, twins })
    }

    fn quantiles(&self, ranks: &[f64], notes: &mut Notes) -> Result<Vec<Column>, QueryError> {
        let (evaluator, position, grid) = (self.evaluator, self.position, self.grid);
        self.compute(
            notes,
            |step, histogram, metric, notes| native_quantile::quantile(ranks[step], histogram, position, metric, notes),
            |step, buckets, labels, notes| {
                let (value, forced) = classic::quantile(ranks[step], buckets);
                if let Some(forced) = forced {
                    let time = grid.time(step);
                    let forced = ForcedMonotonicity {
                        min_bucket: forced.min_bucket,
                        max_bucket: forced.max_bucket,
                        max_diff: forced.max_diff,
                        min_time: time,
                        max_time: time,
                        samples: 1,
                    };
                    notes.add(Note::forced_monotonicity(position, shown_metric(evaluator, labels), forced));
                }
                value
            },
        )
    }

    /// A number for each histogram at each step.
    fn compute(
        &self,
        notes: &mut Notes,
        native: impl Fn(usize, &FloatHistogram, &str, &mut Notes) -> f64 + Sync,
        classic: impl Fn(usize, &mut Vec<Bucket>, &Labels, &mut Notes) -> f64 + Sync,
    ) -> Result<Vec<Column>, QueryError> {
        let context = &self.evaluator.context;
        let steps = self.grid.steps();
        // At a step with both kinds under the same labels, nothing is computed.
        let mixed = |index: usize, step: usize| {
            let twin = self.twins.get(&index).map(|place| &self.classic[*place]);
            twin.is_some_and(|twin| self.has(twin, step)) && self.columns[index].histogram(step).is_some()
        };
        let mut columns = context.each(
            &self.native,
            notes,
            || (),
            |(), &index, worker| {
                let column = &self.columns[index];
                let mut result = Column::absent(column.labels.clone(), steps);
                labels::drop_name(self.evaluator, &mut result);
                for (step, histogram) in column.histograms.iter().enumerate() {
                    let Some(histogram) = histogram else { continue };
                    if mixed(index, step) {
                        let metric = shown_metric(self.evaluator, &column.labels);
                        worker.notes.add(Note::mixed_classic_native(self.position, metric));
                        continue;
                    }
                    let metric = result.labels.metric_name().unwrap_or("");
                    result.floats[step] = native(step, histogram, metric, &mut worker.notes);
                }
                Ok((!result.is_empty()).then_some(result))
            },
        )?;
        let classic =
            context.each(&self.classic, notes, Vec::new, |buckets: &mut Vec<Bucket>, histogram, worker| {
                let twin = self.native.iter().find(|index| self.columns[**index].labels == histogram.labels);
                let mut result = Column::absent(histogram.labels.clone(), steps);
                for step in 0..steps {
                    buckets.clear();
                    for (upper, index) in &histogram.buckets {
                        let count = self.columns[*index].floats[step];
                        if !is_absent(count) {
                            buckets.push(Bucket { upper: *upper, count });
                        }
                    }
                    if buckets.is_empty() || twin.is_some_and(|index| mixed(*index, step)) {
                        continue;
                    }
                    result.floats[step] = classic(step, buckets, &histogram.labels, &mut worker.notes);
                }
                labels::drop_name(self.evaluator, &mut result);
                Ok((!result.is_empty()).then_some(result))
            })?;
        columns.extend(classic);
        Ok(columns)
    }

    fn has(&self, histogram: &Classic, step: usize) -> bool {
        histogram.buckets.iter().any(|(_, index)| !is_absent(self.columns[*index].floats[step]))
    }
}

/// The metric's name, if it is still there when names are dropped at once.
fn shown_metric<'a>(evaluator: &Evaluator, labels: &'a Labels) -> &'a str {
    match evaluator.context.options.delayed_name_removal {
        true => labels.metric_name().unwrap_or(""),
        false => "",
    }
}

/// An upper bound as Go reads it: a number too large for 64 bits is none.
fn bound(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    let overflow = value.is_infinite() && !text.contains(['n', 'N']);
    (!overflow).then_some(value)
}
