//! Which service calls which.
//!
//! A call is a span whose parent belongs to another service. Spans and their parents arrive in any order, so all
//! spans of a window have to be known before the calls can be counted. To bound the memory, a window with more spans
//! than [`MAX_HELD`] is read several times, each time for a part of the traces: parts are chosen by the trace's id,
//! and a part that is still too large is halved. A parent that started before the window is not seen.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, StringViewArray};
use futures::StreamExt;
use serde::Serialize;
use tripod_model::{SpanId, TraceId};
use tripod_storage::{Select, SelectError, Signal, Store, TimeRange};

use super::trace::NO_SERVICE_NAME;

/// Spans held at a time, at some 100 bytes each.
const MAX_HELD: usize = 1_000_000;

/// How often one service called another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Dependency {
    pub(super) parent: String,
    pub(super) child: String,
    pub(super) call_count: u64,
}

/// The calls of a window, and how many spans were read.
pub(super) async fn dependencies(
    store: &Arc<dyn Store>,
    window: TimeRange,
) -> Result<(Vec<Dependency>, u64), SelectError> {
    count(store, window, MAX_HELD).await
}

async fn count(
    store: &Arc<dyn Store>,
    window: TimeRange,
    max_held: usize,
) -> Result<(Vec<Dependency>, u64), SelectError> {
    let mut services = Services::default();
    let mut calls: HashMap<(u32, u32), u64> = HashMap::new();
    let mut rows = 0;
    let mut parts = vec![Part { modulus: 1, remainder: 0 }];
    while let Some(part) = parts.pop() {
        match read(store, window, part, max_held, &mut services, &mut rows).await? {
            Some(held) => held.count(&mut calls),
            None => parts.extend(part.halves()),
        }
    }
    let mut dependencies: Vec<_> = calls
        .into_iter()
        .map(|((parent, child), call_count)| Dependency {
            parent: services.names[parent as usize].clone(),
            child: services.names[child as usize].clone(),
            call_count,
        })
        .collect();
    dependencies.sort_by(|a, b| (&a.parent, &a.child).cmp(&(&b.parent, &b.child)));
    Ok((dependencies, rows))
}

/// Traces whose id leaves this remainder.
#[derive(Clone, Copy)]
struct Part {
    modulus: u64,
    remainder: u64,
}

impl Part {
    /// One trace cannot be divided: at some depth a part is taken as it is.
    const MAX_MODULUS: u64 = 1 << 10;

    fn has(self, trace: TraceId) -> bool {
        // The last bytes: some systems pad 64-bit ids with zeros in front. The multiplication mixes ids that count up.
        let [.., a, b, c, d, e, f, g, h] = trace.0;
        let id = u64::from_be_bytes([a, b, c, d, e, f, g, h]).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (id >> 32) % self.modulus == self.remainder
    }

    fn halves(self) -> [Self; 2] {
        let modulus = self.modulus * 2;
        [Self { modulus, ..self }, Self { modulus, remainder: self.remainder + self.modulus }]
    }
}

/// Service names by number.
#[derive(Default)]
struct Services {
    names: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Services {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.names.len() as u32;
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }
}

/// The spans of a part of the traces.
#[derive(Default)]
struct Held {
    services: HashMap<(TraceId, SpanId), u32>,
    children: Vec<(TraceId, SpanId, u32)>,
}

impl Held {
    fn count(self, calls: &mut HashMap<(u32, u32), u64>) {
        for (trace, parent, service) in self.children {
            if let Some(caller) = self.services.get(&(trace, parent))
                && *caller != service
            {
                *calls.entry((*caller, service)).or_default() += 1;
            }
        }
    }
}

/// `None` when the part has too many spans.
async fn read(
    store: &Arc<dyn Store>,
    window: TimeRange,
    part: Part,
    max_held: usize,
    services: &mut Services,
    rows_read: &mut u64,
) -> Result<Option<Held>, SelectError> {
    let columns = ["trace_id", "span_id", "parent_span_id", "service_name"];
    let select = Select::all(Signal::Spans).during(window).columns(columns);
    let mut stream = store.select(select).await?.into_stream();
    let mut held = Held::default();
    while let Some(rows) = stream.next().await {
        let rows = rows?;
        let missing = || SelectError::Invalid("spans were read without their ids".to_owned());
        let column = |index: usize| rows.columns().get(index).and_then(|array| array.as_string_view_opt());
        let column = |index| column(index).ok_or_else(missing);
        let (traces, spans, parents, names) = (column(0)?, column(1)?, column(2)?, column(3)?);
        *rows_read += rows.num_rows() as u64;
        for row in 0..rows.num_rows() {
            let trace = id(traces, row)?;
            if !part.has(trace) {
                continue;
            }
            let name = if names.is_null(row) { NO_SERVICE_NAME } else { names.value(row) };
            let service = services.number(name);
            held.services.insert((trace, id(spans, row)?), service);
            if parents.is_valid(row) {
                held.children.push((trace, id(parents, row)?, service));
            }
        }
        if held.services.len() > max_held && part.modulus < Part::MAX_MODULUS {
            return Ok(None);
        }
    }
    Ok(Some(held))
}

fn id<T: std::str::FromStr<Err = tripod_model::InvalidId>>(
    column: &StringViewArray,
    row: usize,
) -> Result<T, SelectError> {
    column.value(row).parse().map_err(|error| SelectError::Failed(Box::new(error)))
}

#[cfg(test)]
mod tests {
    use tripod_model::{Attribute, Scope, Span};

    use super::*;
    use crate::testing::{T0, memory, resource, span_id, spans};

    #[tokio::test]
    async fn a_window_that_is_too_large_is_read_in_parts() {
        let services = ["a", "b", "c"].map(|name| resource([Attribute::new("service.name", name)]));
        // Thirty traces of a → b → c → c.
        let rows = (0..120u8).map(|n| {
            let (trace, depth) = (n / 4, n % 4);
            let span = Span {
                trace_id: TraceId([trace + 1; 16]),
                span_id: span_id(depth + 1),
                parent_span_id: span_id(depth),
                start_time_unix_nano: T0,
                ..Span::default()
            };
            (&services[usize::from(depth.min(2))], Scope::default(), span)
        });
        let store = memory([spans(rows.collect::<Vec<_>>())]).await as Arc<dyn Store>;
        let (whole, read) = count(&store, TimeRange::ALL, 1_000).await.unwrap();
        let call =
            |parent: &str, child: &str| Dependency { parent: parent.into(), child: child.into(), call_count: 30 };
        assert_eq!((&whole, read), (&vec![call("a", "b"), call("b", "c")], 120));
        for max_held in [0, 1, 10, 50] {
            let (parts, read) = count(&store, TimeRange::ALL, max_held).await.unwrap();
            assert_eq!(parts, whole, "{max_held}");
            assert!(read > 120);
        }
    }
}
