use std::sync::Arc;

use tripod_storage::series::{MemorySeriesStore, SeriesStore};

use super::compare::{compare, sorted, vector_at};
use super::fixed::fixed;
use super::load::batch;
use super::script::{Command, Eval, Expected, Load, Message, Remarks, Script, When};
use crate::engine::{Annotations, Answer, Engine, Options, QueryOptions, Value};

/// What became of an eval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The line of the script, counted from 1.
    pub line: usize,
    /// The query.
    pub query: String,
    /// What was expected and what came; `None` when all was as expected.
    pub failure: Option<String>,
}

/// The engine's options with which Prometheus runs its scripts.
pub fn options() -> Options {
    Options { max_samples: 10_000, start_timestamps: true, ..Options::experimental() }
}

/// Where the samples of a script are kept.
pub trait Stores {
    /// An empty store, for the beginning and after each `clear`.
    fn empty(&self) -> impl Future<Output = Arc<dyn SeriesStore>>;

    /// What happens to a store between `load`s and the evals that follow: nothing, or whatever must not change an
    /// answer.
    fn loaded(&self, store: Arc<dyn SeriesStore>) -> impl Future<Output = Arc<dyn SeriesStore>> {
        std::future::ready(store)
    }
}

/// Stores in memory.
#[derive(Clone, Copy, Debug)]
pub struct InMemory;

impl Stores for InMemory {
    async fn empty(&self) -> Arc<dyn SeriesStore> {
        Arc::new(MemorySeriesStore::new())
    }
}

impl Script {
    /// Runs the script.
    ///
    /// Every instant query is evaluated again as a range query around its moment, and with its selectors fixed by `@` at
    /// other moments, as Prometheus does.
    pub async fn run(&self, options: &Options, stores: &impl Stores) -> Vec<Outcome> {
        let mut current = Engine::new(stores.empty().await, options.clone());
        let mut is_loaded = true;
        let mut outcomes = Vec::new();
        // What was not loaded makes what follows meaningless.
        let mut not_loaded: Option<String> = None;
        for command in &self.commands {
            match command {
                Command::Clear => {
                    current = Engine::new(stores.empty().await, options.clone());
                    is_loaded = true;
                    not_loaded = None;
                }
                Command::Load(load) => {
                    is_loaded = false;
                    if let Err(reason) = append(&current, load).await {
                        not_loaded = Some(format!("line {}: {reason}", load.line));
                    }
                }
                Command::Eval(eval) => {
                    if !std::mem::replace(&mut is_loaded, true) {
                        let store = Arc::clone(current.store());
                        drop(current);
                        current = Engine::new(stores.loaded(store).await, options.clone());
                    }
                    let checked = match &not_loaded {
                        Some(reason) => Err(format!("not loaded: {reason}")),
                        None => check(&current, eval).await,
                    };
                    outcomes.push(Outcome { line: eval.line, query: eval.query.clone(), failure: checked.err() });
                }
            }
        }
        outcomes
    }
}

async fn append(engine: &Engine, load: &Load) -> Result<(), String> {
    let appended = engine.store().append_series(batch(load)?).await.map_err(|error| error.to_string())?;
    match appended.rejected.first() {
        Some(refused) => Err(format!("{} at {}: {}", refused.labels, refused.timestamp, refused.reason)),
        None if appended.refused > 0 => Err(format!("{} samples were refused", appended.refused)),
        None => Ok(()),
    }
}

async fn check(engine: &Engine, eval: &Eval) -> Result<(), String> {
    let at = match eval.when {
        When::Instant { at } => at,
        When::Range { start, end, step } => {
            let answer = evaluate(engine, &eval.query, When::Range { start, end, step }).await;
            return match expected_answer(eval, answer)? {
                Some(answer) => compare(eval, &answer.value),
                None => Ok(()),
            };
        }
    };
    check_instant(engine, eval, &eval.query, at).await?;
    // A query that cannot be parsed was met above, with what was expected of it.
    for (query, moment) in fixed(&eval.query, at).unwrap_or_default() {
        check_instant(engine, eval, &query, moment).await.map_err(|reason| format!("{query} at {moment}: {reason}"))?;
    }
    Ok(())
}

async fn check_instant(engine: &Engine, eval: &Eval, query: &str, at: i64) -> Result<(), String> {
    let answer = evaluate(engine, query, When::Instant { at }).await;
    let Some(answer) = expected_answer(eval, answer)? else { return Ok(()) };
    compare(eval, &answer.value)?;

    let only_instant = matches!(eval.expected, Expected::String(_) | Expected::Series { steps: Some(_), .. });
    // These depend on the query's range.
    let of_range = ["start()", "end()", "range()", "step()"].iter().any(|function| query.contains(function));
    if only_instant || of_range {
        return Ok(());
    }
    const MINUTE: i64 = 60_000;
    let when = When::Range { start: at - MINUTE, end: at + MINUTE, step: MINUTE };
    let ranged = evaluate(engine, query, when).await.map_err(|error| format!("as a range query: {error}"))?;
    if eval.ordered {
        return Ok(());
    }
    let Value::Matrix(matrix) = ranged.value else { return Err("a range query gave no matrix".into()) };
    sorted(&matrix)?;
    let vector = vector_at(&matrix, at);
    let middle = match (&answer.value, vector.first()) {
        (Value::Scalar { .. }, Some(sample)) => match &sample.value {
            crate::engine::SampleValue::Float(value) => Value::Scalar { timestamp: at, value: *value },
            crate::engine::SampleValue::Histogram(_) => return Err("as a range query: a histogram for a scalar".into()),
        },
        _ => Value::Vector(vector),
    };
    compare(eval, &middle).map_err(|difference| format!("as a range query: {difference}"))
}

/// The answer of a query that should and did succeed with the right annotations; `None` of one that should and did fail.
fn expected_answer(eval: &Eval, answer: Result<Answer, String>) -> Result<Option<Answer>, String> {
    match (answer, &eval.fail) {
        (Ok(_), Some(_)) => Err("expected an error, got an answer".into()),
        (Err(error), None) => Err(error),
        (Err(error), Some(message)) => match message {
            Some(message) if !message.matches(&error) => {
                Err(format!("expected the error {}, got {error:?}", show(message)))
            }
            _ => Ok(None),
        },
        (Ok(answer), None) => {
            check_annotations(eval, &answer.annotations)?;
            Ok(Some(answer))
        }
    }
}

fn check_annotations(eval: &Eval, annotations: &Annotations) -> Result<(), String> {
    check_remarks("warning", &eval.warnings, &annotations.warnings)?;
    check_remarks("info", &eval.infos, &annotations.infos)
}

fn check_remarks(kind: &str, expected: &Remarks, got: &[String]) -> Result<(), String> {
    if expected.none && !got.is_empty() {
        return Err(format!("expected no {kind}, got {got:?}"));
    }
    if expected.some.is_empty() {
        return Ok(());
    }
    if let Some(missing) = expected.some.iter().find(|message| !got.iter().any(|text| message.matches(text))) {
        return Err(format!("expected the {kind} {}, got {got:?}", show(missing)));
    }
    match got.iter().find(|text| !expected.some.iter().any(|message| message.matches(text))) {
        Some(unexpected) => Err(format!("unexpected {kind} {unexpected:?}")),
        None => Ok(()),
    }
}

fn show(message: &Message) -> String {
    match message {
        Message::Any => "of any text".into(),
        Message::Exactly(text) => format!("{text:?}"),
        Message::Matching(regex) => format!("that matches {regex}"),
    }
}

/// Evaluates on a task of its own, so that a panic is one failure among others.
async fn evaluate(engine: &Engine, query: &str, when: When) -> Result<Answer, String> {
    let (engine, query) = (engine.clone(), query.to_owned());
    let task = tokio::spawn(async move {
        match when {
            When::Instant { at } => engine.instant(&query, at, QueryOptions::default()).await,
            When::Range { start, end, step } => engine.range(&query, start, end, step, QueryOptions::default()).await,
        }
    });
    match task.await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(panic) => Err(format!("the evaluation panicked: {panic}")),
    }
}
