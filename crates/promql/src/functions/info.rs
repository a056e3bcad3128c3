//! `info`: labels of info metrics for the series that they tell about.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tripod_model::series::{Labels, METRIC_NAME};
use tripod_storage::series::{LabelMatcher, MatchOp, MillisRange, SelectSeries};

use crate::engine::{
    CallPlan, Column, Evaluated, Evaluator, Grid, Node, NodeKind, Notes, QueryError, VectorPlan, labels, selector,
};

/// The labels by which an info series and the series that it tells about find each other.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// Of more values than this a label is not asked for one of them, but for any.
const MOST_VALUES: usize = 4096;

/// The info metric that is meant when none is named.
const TARGET_INFO: &str = "target_info";

pub(super) fn info(
    evaluator: &Evaluator,
    _: &Node,
    plan: &CallPlan,
    grid: Grid,
    notes: &mut Notes,
) -> Result<Evaluated, QueryError> {
    let columns = evaluator.vector(&plan.args[0], grid, notes)?;
    let wanted = Wanted::of(plan.args.get(1));
    let ignored: Vec<bool> = columns.iter().map(|column| wanted.is_info(&column.labels)).collect();
    let (at, offset) = moment(&plan.args[0]).unwrap_or((None, 0));
    let series = match wanted.matchers(&columns, &ignored)? {
        None => Vec::new(),
        Some(matchers) => {
            let selector =
                VectorPlan { matchers, offset, at, extension: None, without_buckets: false, slot: usize::MAX };
            InfoSeries::select(evaluator, selector, grid)?
        }
    };
    enrich(evaluator, &columns, &ignored, &series, &wanted, grid).map(Evaluated::Vector)
}

/// What the second argument asks for.
struct Wanted {
    /// Conditions on the names of info metrics.
    names: Vec<LabelMatcher>,
    /// Conditions on labels to take over, by label; empty for all labels.
    data: BTreeMap<String, Vec<LabelMatcher>>,
}

impl Wanted {
    fn of(arg: Option<&Node>) -> Self {
        let mut names = Vec::new();
        let mut data: BTreeMap<String, Vec<LabelMatcher>> = BTreeMap::new();
        if let Some(NodeKind::Vector(selector)) = arg.map(|arg| &arg.kind) {
            for matcher in &selector.matchers {
                match matcher.name() {
                    METRIC_NAME => names.push(matcher.clone()),
                    name => data.entry(name.to_owned()).or_default().push(matcher.clone()),
                }
            }
        }
        let positive = names.iter().any(|matcher| matches!(matcher.op(), MatchOp::Equal | MatchOp::Regex));
        if names.is_empty() {
            names.push(LabelMatcher::equal(METRIC_NAME, TARGET_INFO));
        } else if !positive {
            // Exceptions alone: from all metrics that are named as info metrics are.
            names.extend(LabelMatcher::new(METRIC_NAME, MatchOp::Regex, ".+_info"));
        }
        Self { names, data }
    }

    /// Whether a series is an info series itself.
    fn is_info(&self, labels: &Labels) -> bool {
        self.names.iter().all(|matcher| matcher.matches(labels.metric_name().unwrap_or("")))
    }

    /// What to select; `None` when no series could be told about.
    fn matchers(&self, columns: &[Column], ignored: &[bool]) -> Result<Option<Vec<LabelMatcher>>, QueryError> {
        let mut matchers = Vec::new();
        for label in IDENTIFYING {
            let told = columns.iter().zip(ignored).filter(|(_, ignored)| !**ignored);
            let values: BTreeSet<&str> = told.filter_map(|(column, _)| column.labels.get(label)).collect();
            if values.is_empty() {
                continue;
            }
            if values.len() > MOST_VALUES {
                matchers.extend(LabelMatcher::new(label, MatchOp::NotEqual, ""));
                continue;
            }
            let pattern = values.into_iter().map(regex::escape).collect::<Vec<_>>().join("|");
            let matcher = LabelMatcher::new(label, MatchOp::Regex, pattern);
            matchers.push(matcher.map_err(|error| QueryError::execution(error.to_string()))?);
        }
        if matchers.is_empty() {
            return Ok(None);
        }
        matchers.extend(self.data.values().flatten().cloned());
        matchers.extend(self.names.iter().cloned());
        Ok(Some(matchers))
    }

    /// Whether a label is taken over.
    fn takes(&self, label: &str) -> bool {
        label != METRIC_NAME && (self.data.is_empty() || self.data.contains_key(label))
    }

    /// Whether a series without info series has what is asked for: nothing.
    fn accepts_nothing(&self) -> bool {
        self.data.values().flatten().all(|matcher| matcher.matches(""))
    }
}

/// The moment and offset at which info series are looked at: those of the first selector in an expression. Offsets of
/// subqueries around it add up until one of them fixes the moment.
fn moment(node: &Node) -> Option<(Option<i64>, i64)> {
    match &node.kind {
        NodeKind::Number(_) | NodeKind::String(_) => None,
        NodeKind::Vector(selector) => Some((selector.at, selector.offset)),
        NodeKind::Matrix(matrix) => Some((matrix.vector.at, matrix.vector.offset)),
        NodeKind::Subquery(subquery) => moment(&subquery.expr).map(|(at, offset)| match at {
            Some(_) => (at, offset),
            None => (subquery.at, offset + subquery.offset),
        }),
        NodeKind::Sign(_, inner) | NodeKind::Paren(inner) | NodeKind::Invariant(inner) => moment(inner),
        NodeKind::Binary(binary) => moment(&binary.lhs).or_else(|| moment(&binary.rhs)),
        NodeKind::Aggregate(aggregate) => moment(&aggregate.expr).or_else(|| aggregate.param.as_ref().and_then(moment)),
        NodeKind::Call(call) => call.args.iter().find_map(moment),
    }
}

/// A series of an info metric.
struct InfoSeries {
    labels: Labels,
    /// When the sample was taken that holds at a step, milliseconds.
    times: Vec<Option<i64>>,
}

impl InfoSeries {
    fn select(evaluator: &Evaluator, selector: VectorPlan, grid: Grid) -> Result<Vec<Self>, QueryError> {
        let context = &evaluator.context;
        let range = selector::needed(&selector, grid, context.lookback_ms);
        let select = SelectSeries {
            matchers: selector.matchers.clone(),
            range: MillisRange { start: range.start, end: range.end },
        };
        let selected = context
            .runtime
            .block_on(context.store.select_series(select))
            .map_err(|error| selector::store_failed(&error))?;
        context.check_cells(selected.len(), grid)?;
        let mut all = Vec::with_capacity(selected.len());
        for series in &selected {
            context.check()?;
            let samples = selector::decode(series, &selector, range)?;
            let mut times = vec![None; grid.steps()];
            let mut histogram = false;
            selector::look_up(&samples, &selector, grid, context.lookback_ms, |step, found| {
                times[step] = Some(found.time);
                histogram |= matches!(found.value, selector::FoundValue::Histogram(_));
            });
            if histogram {
                return Err(QueryError::execution(format!(
                    "this should be an info metric, with float samples: {}",
                    series.labels
                )));
            }
            context.hold(times.iter().flatten().count())?;
            all.push(Self { labels: series.labels.clone(), times });
        }
        Ok(all)
    }
}

/// The identifying labels of a series.
fn signature(labels: &Labels) -> Labels {
    labels.keep(|name| IDENTIFYING.contains(&name))
}

fn enrich(
    evaluator: &Evaluator,
    columns: &[Column],
    ignored: &[bool],
    series: &[InfoSeries],
    wanted: &Wanted,
    grid: Grid,
) -> Result<Vec<Column>, QueryError> {
    // The info series by what they tell about, and among those by metric.
    let mut by_signature: HashMap<Labels, BTreeMap<&str, Vec<&InfoSeries>>> = HashMap::new();
    for info in series {
        let metric = info.labels.metric_name().unwrap_or("");
        by_signature.entry(signature(&info.labels)).or_default().entry(metric).or_default().push(info);
    }
    let mut results = Vec::with_capacity(columns.len());
    for (column, ignored) in columns.iter().zip(ignored) {
        evaluator.context.check()?;
        let metrics = match ignored {
            true => None,
            false => by_signature.get(&signature(&column.labels)),
        };
        let Some(metrics) = metrics else {
            if *ignored || wanted.accepts_nothing() {
                results.push(column.clone());
            }
            continue;
        };
        // Mostly the same info series hold at all steps.
        let mut by_labels: Vec<(Vec<&Labels>, Option<Column>)> = Vec::new();
        for step in 0..grid.steps() {
            let Some(cell) = column.cell(step) else { continue };
            let mut current = Vec::with_capacity(metrics.len());
            for same in metrics.values() {
                current.extend(newest(same, step)?.map(|info| &info.labels));
            }
            let place = by_labels.iter().position(|(labels, _)| *labels == current);
            let place = match place {
                Some(place) => place,
                None => {
                    let labels = enriched(&column.labels, &current, wanted)?;
                    let drop_name = column.drop_name;
                    let result = labels.map(|labels| Column { drop_name, ..Column::absent(labels, grid.steps()) });
                    by_labels.push((current, result));
                    by_labels.len() - 1
                }
            };
            if let Some(result) = &mut by_labels[place].1 {
                result.set(step, cell);
            }
        }
        results.extend(by_labels.into_iter().filter_map(|(_, column)| column));
    }
    labels::merge(results)
}

/// Of info series that tell about the same the one with the newest sample.
fn newest<'a>(series: &[&'a InfoSeries], step: usize) -> Result<Option<&'a InfoSeries>, QueryError> {
    let mut newest: Option<(&InfoSeries, i64)> = None;
    for info in series {
        let Some(time) = info.times[step] else { continue };
        match newest {
            Some((_, other)) if other > time => {}
            Some((other, same)) if same == time => {
                return Err(QueryError::execution(format!(
                    "found duplicate series for info metric: existing {} @ {time}, new {} @ {time}",
                    other.labels, info.labels
                )));
            }
            _ => newest = Some((info, time)),
        }
    }
    Ok(newest.map(|(info, _)| info))
}

/// The labels of a series with those of info series; `None` when nothing tells about it although something should.
fn enriched(labels: &Labels, infos: &[&Labels], wanted: &Wanted) -> Result<Option<Labels>, QueryError> {
    if infos.is_empty() {
        return Ok(wanted.accepts_nothing().then(|| labels.clone()));
    }
    let mut added = Labels::empty().to_builder();
    for (name, value) in infos.iter().flat_map(|info| info.iter()).filter(|(name, _)| wanted.takes(name)) {
        if added.get(name).is_some_and(|other| other != value) {
            return Err(QueryError::execution(format!("conflicting label: {name}")));
        }
        if labels.get(name).is_none() {
            added.set(name, value);
        }
    }
    let mut all = labels.to_builder();
    for (name, value) in added.build().iter() {
        all.set(name, value);
    }
    Ok(Some(all.build()))
}
