use tripod_storage::series::SelectedSeries;

use super::column::{Column, Evaluated};
use super::context::Context;
use super::error::QueryError;
use super::grid::Grid;
use super::notes::Notes;
use super::plan::{CallPlan, MatrixPlan, Node, NodeKind, SubqueryPlan};
use super::window::RangeSeries;
use super::{aggregate, binary, labels, range_call, selector, smoothed};
use crate::ast::RangeExtension;
use crate::functions::Eval;
use crate::literal::lossy;

/// Evaluates the plan of one query.
#[derive(Debug)]
pub(crate) struct Evaluator {
    pub context: Context,
    /// The selected series by slot.
    pub slots: Vec<Vec<SelectedSeries>>,
}

impl Evaluator {
    /// The values of an expression at the steps.
    pub(crate) fn evaluate(&self, node: &Node, grid: Grid, notes: &mut Notes) -> Result<Evaluated, QueryError> {
        self.context.check()?;
        let held = self.context.held();
        let value = self.dispatch(node, grid, notes)?;
        self.context.hold_exactly(held + value.samples())?;
        Ok(value)
    }

    fn dispatch(&self, node: &Node, grid: Grid, notes: &mut Notes) -> Result<Evaluated, QueryError> {
        match &node.kind {
            NodeKind::Number(value) => {
                self.context.check_cells(1, grid)?;
                Ok(Evaluated::Scalar(vec![*value; grid.steps()]))
            }
            NodeKind::String(text) => Ok(Evaluated::String(lossy(text))),
            NodeKind::Paren(inner) | NodeKind::Sign(false, inner) => self.dispatch(inner, grid, notes),
            NodeKind::Sign(true, inner) => self.negate(inner, grid, notes),
            NodeKind::Invariant(inner) => self.once(inner, grid, notes),
            NodeKind::Vector(_) | NodeKind::Aggregate(_) | NodeKind::Call(_) | NodeKind::Binary(_)
                if grid.steps() == 0 =>
            {
                Ok(Evaluated::Vector(Vec::new()))
            }
            NodeKind::Vector(plan) => {
                let series = &self.slots[plan.slot];
                let columns = match plan.extension {
                    Some(RangeExtension::Smoothed) => {
                        smoothed::instant_vector(&self.context, plan, series, grid, node.position, notes)
                    }
                    _ => selector::instant_vector(&self.context, plan, series, grid, notes),
                };
                columns.map(Evaluated::Vector)
            }
            NodeKind::Binary(plan) => binary::evaluate(self, node, plan, grid, notes),
            NodeKind::Aggregate(plan) => aggregate::evaluate(self, node, plan, grid, notes).map(Evaluated::Vector),
            NodeKind::Call(plan) => self.call(node, plan, grid, notes),
            // The type check has seen to it that these stand only where they are handled: in calls and at the top.
            NodeKind::Matrix(_) | NodeKind::Subquery(_) => {
                Err(QueryError::execution("cannot do range evaluation of matrix selector"))
            }
        }
    }

    /// Evaluates an expression that gives series.
    pub(crate) fn vector(&self, node: &Node, grid: Grid, notes: &mut Notes) -> Result<Vec<Column>, QueryError> {
        match self.evaluate(node, grid, notes)? {
            Evaluated::Vector(columns) => Ok(columns),
            Evaluated::Scalar(_) | Evaluated::String(_) => {
                Err(QueryError::execution("expected an instant vector".to_owned()))
            }
        }
    }

    /// Evaluates an expression that gives a number per step.
    pub(crate) fn scalar(&self, node: &Node, grid: Grid, notes: &mut Notes) -> Result<Vec<f64>, QueryError> {
        match self.evaluate(node, grid, notes)? {
            Evaluated::Scalar(values) => Ok(values),
            // There is no step at all.
            _ if grid.steps() == 0 => Ok(Vec::new()),
            Evaluated::Vector(_) | Evaluated::String(_) => Err(QueryError::execution("expected a scalar".to_owned())),
        }
    }

    fn negate(&self, inner: &Node, grid: Grid, notes: &mut Notes) -> Result<Evaluated, QueryError> {
        match self.dispatch(inner, grid, notes)? {
            Evaluated::Scalar(mut values) => {
                values.iter_mut().for_each(|value| *value = -*value);
                Ok(Evaluated::Scalar(values))
            }
            Evaluated::Vector(mut columns) => {
                for column in &mut columns {
                    labels::drop_name(self, column);
                    for value in column.floats.iter_mut().filter(|value| !super::column::is_absent(**value)) {
                        *value = -*value;
                    }
                    for histogram in column.histograms.iter_mut().flatten() {
                        *histogram = crate::functions::histogram::negated(histogram);
                    }
                }
                labels::merge_unless_delayed(self, columns).map(Evaluated::Vector)
            }
            text @ Evaluated::String(_) => Ok(text),
        }
    }

    /// Evaluates at the first step and repeats the result at the others.
    fn once(&self, inner: &Node, grid: Grid, notes: &mut Notes) -> Result<Evaluated, QueryError> {
        let steps = grid.steps();
        if steps == 0 {
            return self.dispatch(inner, grid, notes);
        }
        let value = self.context.once(steps, || self.evaluate(inner, grid.first(), notes))?;
        Ok(match value {
            Evaluated::Scalar(values) => {
                self.context.check_cells(1, grid)?;
                Evaluated::Scalar(values.first().map(|value| vec![*value; steps]).unwrap_or_default())
            }
            Evaluated::Vector(mut columns) => {
                self.context.check_cells(columns.len(), grid)?;
                for column in &mut columns {
                    column.floats = vec![column.floats[0]; steps];
                    if let Some(first) = column.histograms.first().cloned() {
                        column.histograms = vec![first; steps];
                    }
                }
                Evaluated::Vector(columns)
            }
            text @ Evaluated::String(_) => text,
        })
    }

    fn call(&self, node: &Node, plan: &CallPlan, grid: Grid, notes: &mut Notes) -> Result<Evaluated, QueryError> {
        match plan.function.eval {
            Eval::Scalar(function) => {
                let args = self.scalars(&plan.args, grid, notes)?;
                self.context.check_cells(1, grid)?;
                let mut values = vec![0.0; args.len()];
                let at_step = |(step, time): (usize, i64)| {
                    values.iter_mut().zip(&args).for_each(|(value, arg)| *value = arg[step]);
                    function(time, &values)
                };
                Ok(Evaluated::Scalar(grid.times().enumerate().map(at_step).collect()))
            }
            Eval::Map(function) => {
                let columns = self.vector(&plan.args[0], grid, notes)?;
                let columns = columns.into_iter().map(|column| {
                    let mut column = column.map_floats(function);
                    labels::drop_name(self, &mut column);
                    column
                });
                let columns = columns.filter(|column| !column.is_empty()).collect();
                labels::merge_unless_delayed(self, columns).map(Evaluated::Vector)
            }
            Eval::MapWith(function) => {
                let mut columns = self.vector(&plan.args[0], grid, notes)?;
                let args = self.scalars(&plan.args[1..], grid, notes)?;
                let mut values = vec![0.0; args.len()];
                for column in &mut columns {
                    column.histograms = Vec::new();
                    labels::drop_name(self, column);
                    for (step, cell) in column.floats.iter_mut().enumerate() {
                        if !super::column::is_absent(*cell) {
                            values.iter_mut().zip(&args).for_each(|(value, arg)| *value = arg[step]);
                            *cell = function(*cell, &values).unwrap_or(super::column::ABSENT);
                        }
                    }
                }
                columns.retain(|column| !column.is_empty());
                labels::merge_unless_delayed(self, columns).map(Evaluated::Vector)
            }
            Eval::Histogram(function) => {
                let columns = self.vector(&plan.args[0], grid, notes)?;
                let columns = columns.into_iter().filter(|column| !column.histograms.is_empty()).map(|column| {
                    let mut numbers = Column::absent(column.labels, column.floats.len());
                    numbers.drop_name = column.drop_name;
                    for (cell, histogram) in numbers.floats.iter_mut().zip(&column.histograms) {
                        if let Some(histogram) = histogram {
                            *cell = function(histogram);
                        }
                    }
                    labels::drop_name(self, &mut numbers);
                    numbers
                });
                let columns = columns.filter(|column| !column.is_empty()).collect();
                labels::merge_unless_delayed(self, columns).map(Evaluated::Vector)
            }
            Eval::Range(kernel) => range_call::evaluate(self, plan, kernel, grid, notes).map(Evaluated::Vector),
            Eval::Node(function) => function(self, node, plan, grid, notes),
            // Numbers since the plan was made.
            Eval::Constant => Err(QueryError::execution(format!("{} has no value here", plan.function.name))),
        }
    }

    /// The numbers that arguments give at each step.
    pub(crate) fn scalars(&self, args: &[Node], grid: Grid, notes: &mut Notes) -> Result<Vec<Vec<f64>>, QueryError> {
        args.iter().map(|arg| self.scalar(arg, grid, notes)).collect()
    }

    /// The samples of a range, for a query that asks for nothing else.
    pub(crate) fn matrix(&self, node: &Node, grid: Grid, notes: &mut Notes) -> Result<Vec<RangeSeries>, QueryError> {
        match &node.kind {
            NodeKind::Paren(inner) | NodeKind::Invariant(inner) => self.matrix(inner, grid, notes),
            NodeKind::Matrix(plan) => self.selected_matrix(plan, grid, notes),
            NodeKind::Subquery(plan) => {
                let inner = plan.grid(grid);
                let series = match self.evaluate(&plan.expr, inner, notes)? {
                    Evaluated::Vector(columns) => columns,
                    Evaluated::Scalar(values) => vec![scalar_column(values)],
                    Evaluated::String(_) => Vec::new(),
                };
                Ok(series.into_iter().map(|column| column_series(column, inner)).collect())
            }
            _ => Err(QueryError::execution("expected a range vector".to_owned())),
        }
    }

    fn selected_matrix(
        &self,
        plan: &MatrixPlan,
        grid: Grid,
        notes: &mut Notes,
    ) -> Result<Vec<RangeSeries>, QueryError> {
        let shape = range_call::shape(plan, self.context.lookback_ms);
        let (first, last) = shape.bounds(grid.start);
        let needed = range_call::after(first, last);
        self.context.each(
            &self.slots[plan.vector.slot],
            notes,
            || (),
            |(), selected, worker| {
                let samples = selector::decode(selected, &plan.vector, needed)?;
                let mut series = RangeSeries::from_samples(selected.labels.clone(), samples, false);
                if let Some(extension) = plan.vector.extension {
                    smoothed::extend(&mut series, extension, last_of(&shape, grid))?;
                }
                let window = super::window::Window {
                    step: 0,
                    time: grid.start,
                    start: first,
                    end: last,
                    floats: 0..series.times.len(),
                    histograms: 0..series.histograms.len(),
                };
                let count = window.samples(&series);
                worker.count(0, count as u64);
                worker.count_read(count as u64);
                self.context.hold(count)?;
                Ok((count > 0).then_some(series))
            },
        )
    }

    /// The values of a subquery as samples, for a range function over them.
    pub(crate) fn subquery(
        &self,
        plan: &SubqueryPlan,
        grid: Grid,
        notes: &mut Notes,
    ) -> Result<Vec<RangeSeries>, QueryError> {
        let inner = plan.grid(grid);
        let columns = match self.context.within(|| self.evaluate(&plan.expr, inner, notes))? {
            Evaluated::Vector(columns) => columns,
            Evaluated::Scalar(values) if !values.is_empty() => vec![scalar_column(values)],
            _ => Vec::new(),
        };
        Ok(columns.into_iter().map(|column| column_series(column, inner)).collect())
    }
}

/// The range without what an extension adds.
fn last_of(shape: &super::window::WindowShape, grid: Grid) -> (i64, i64) {
    let plain = super::window::WindowShape { extension: None, ..*shape };
    plain.bounds(grid.start)
}

fn scalar_column(values: Vec<f64>) -> Column {
    Column { labels: Default::default(), drop_name: false, floats: values, histograms: Vec::new() }
}

/// The values of a column as samples. What a histogram knows of resets does not hold between samples of a subquery.
fn column_series(column: Column, grid: Grid) -> RangeSeries {
    let mut series = RangeSeries { labels: column.labels, drop_name: column.drop_name, ..RangeSeries::default() };
    for (time, value) in grid.times().zip(&column.floats) {
        if !super::column::is_absent(*value) {
            series.times.push(time);
            series.values.push(*value);
        }
    }
    for (time, histogram) in grid.times().zip(column.histograms) {
        if let Some(histogram) = histogram {
            series.histogram_times.push(time);
            series.histograms.push(crate::functions::histogram::without_reset_hint(histogram));
        }
    }
    series
}
