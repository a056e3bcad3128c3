//! Comparing the store with the ledger.

use anyhow::{Context, Result};

use super::asked::PromQl;
use super::ledger::{Batch, Kind, Ledger};
use super::writer::{BATCH, RECORD};
use crate::load::Signal;
use crate::server::{FRONT_DOOR, Server};
use crate::sql::Sql;
use crate::table;

/// How many requests one query asks for: as many rows come back.
const PAGE: usize = 5_000;

/// How many broken requests are described in full.
const DESCRIBED: usize = 10;

/// What the store holds of what was sent.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Acknowledged records.
    pub(super) acknowledged: u64,
    /// Of these, how many are there.
    pub(super) found: u64,
    /// Of these, how many are not.
    pub(super) missing: u64,
    /// Rows too many, of acknowledged records or not.
    pub(super) duplicated: u64,
    /// Rows that nobody sent.
    pub(super) foreign: u64,
    /// Records that are there although their answer never came, which is allowed.
    pub(super) unanswered: u64,
    /// Requests without an answer that are there in part, which is allowed too, but worth a look.
    pub(super) partial: u64,
    /// What is wrong, for people.
    pub(super) details: Vec<String>,
}

/// What the store holds of one request.
#[derive(Clone, Copy, Default)]
pub(super) struct Held {
    pub(super) rows: u64,
    pub(super) distinct: u64,
    pub(super) lowest: i64,
    pub(super) highest: i64,
}

/// Looks for every record of the ledger.
///
/// # Errors
/// When the server does not answer.
pub(super) async fn verify(server: &Server, ledger: &Ledger) -> Result<Findings> {
    let batches = ledger.batches();
    let mut findings = Findings::default();
    verify_rows(&Sql::new(server.url(FRONT_DOOR))?, &batches, &mut findings).await?;
    verify_samples(&PromQl::new(server.url(FRONT_DOOR))?, &batches, &mut findings).await?;
    Ok(findings)
}

async fn verify_samples(promql: &PromQl, batches: &[Batch], findings: &mut Findings) -> Result<()> {
    let samples = promql.samples(batches).await?;
    for (number, batch) in batches.iter().enumerate().filter(|(_, batch)| batch.kind == Kind::Samples) {
        let held = samples.held.get(&number).copied().unwrap_or_default();
        if findings.judge(batch, held) && findings.details.len() < DESCRIBED {
            findings.details.push(format!("{}; numbers from {}", summary(number, batch, held), batch.first));
        }
    }
    findings.foreign += samples.foreign.len() as u64;
    findings.details.extend(samples.foreign.into_iter().take(DESCRIBED));
    Ok(())
}

async fn verify_rows(sql: &Sql, batches: &[Batch], findings: &mut Findings) -> Result<()> {
    for kind in Kind::ROWS {
        let Kind::Rows(signal) = kind else { continue };
        let mut counted = 0;
        for start in (0..batches.len()).step_by(PAGE) {
            let end = (start + PAGE).min(batches.len());
            let held = held(sql, signal, start, end).await?;
            for (number, held) in (start..end).zip(held) {
                counted += held.rows;
                let batch = &batches[number];
                if batch.kind == kind {
                    if findings.judge(batch, held) && findings.details.len() < DESCRIBED {
                        findings.details.push(describe(sql, signal, number, batch, held).await?);
                    }
                } else if held.rows > 0 {
                    findings.foreign += held.rows;
                    findings.details.push(format!("request {number} is found in {}", signal.table()));
                }
            }
        }
        let all = sql.number(&format!("select count(*) from {}", signal.table())).await?;
        if all != counted {
            findings.foreign += all.abs_diff(counted);
            findings.details.push(format!(
                "{} holds {all} rows, but {counted} of them belong to requests that were sent",
                signal.table()
            ));
        }
    }
    Ok(())
}

async fn held(sql: &Sql, signal: Signal, start: usize, end: usize) -> Result<Vec<Held>> {
    let query = format!(
        "select batch, count(*) as held, count(distinct id) as ids, min(id) as lowest, max(id) as highest from \
         (select json_get_int(attributes, '{BATCH}') as batch, json_get_int(attributes, '{RECORD}') as id from {}) \
         where batch >= {start} and batch < {end} group by batch",
        signal.table()
    );
    let rows = sql.query(&query).await?;
    let mut held = vec![Held::default(); end - start];
    let columns = (rows.integers("batch")?, rows.integers("held")?, rows.integers("ids")?);
    let ranges = (rows.integers("lowest")?, rows.integers("highest")?);
    for row in 0..rows.len() {
        let index = usize::try_from(columns.0[row]).ok().and_then(|number| number.checked_sub(start));
        let place = index.and_then(|index| held.get_mut(index)).context("a row outside of the range came back")?;
        *place = Held {
            rows: columns.1[row] as u64,
            distinct: columns.2[row] as u64,
            lowest: ranges.0[row],
            highest: ranges.1[row],
        };
    }
    Ok(held)
}

impl Findings {
    /// Adds what is held of a request; gives whether the server broke its word. With all distinct numbers inside of
    /// the request's range, their count says whether one is missing.
    fn judge(&mut self, batch: &Batch, held: Held) -> bool {
        let range = batch.first as i64..(batch.first + batch.count) as i64;
        let outside = held.rows > 0 && !(range.contains(&held.lowest) && range.contains(&held.highest));
        let duplicated = held.rows - held.distinct;
        let missing = batch.count.saturating_sub(held.distinct);
        self.duplicated += duplicated;
        self.foreign += u64::from(outside);
        if batch.acknowledged {
            self.acknowledged += batch.count;
            self.found += batch.count - missing;
            self.missing += missing;
        } else {
            self.unanswered += held.distinct;
            self.partial += u64::from(held.distinct > 0 && missing > 0);
        }
        outside || duplicated > 0 || (batch.acknowledged && missing > 0)
    }
}

async fn describe(sql: &Sql, signal: Signal, number: usize, batch: &Batch, held: Held) -> Result<String> {
    let query = format!(
        "select json_get_int(attributes, '{RECORD}') as id from {} where json_get_int(attributes, '{BATCH}') = \
         {number} order by id",
        signal.table()
    );
    let ids = sql.query(&query).await?.integers("id")?;
    let expected = batch.first as i64..(batch.first + batch.count) as i64;
    let missing: Vec<_> = expected.clone().filter(|id| ids.binary_search(id).is_err()).take(20).collect();
    let mut twice: Vec<_> = ids.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    twice.dedup();
    twice.truncate(20);
    let summary = summary(number, batch, held);
    Ok(format!("{summary}; numbers {expected:?}; missing {missing:?}; more than once {twice:?}"))
}

fn summary(number: usize, batch: &Batch, held: Held) -> String {
    format!(
        "request {number} of {} {}s, {}: {} rows, {} distinct",
        batch.count,
        batch.kind.item(),
        if batch.acknowledged { "acknowledged" } else { "never answered" },
        held.rows,
        held.distinct,
    )
}

impl Findings {
    /// Whether the server kept its word.
    pub(super) fn is_sound(&self) -> bool {
        self.missing == 0 && self.duplicated == 0 && self.foreign == 0
    }

    /// Prints the sums, and everything that is wrong.
    pub(super) fn print(&self, title: &str) {
        let row = [
            title.to_owned(),
            table::count(self.acknowledged),
            table::count(self.found),
            table::count(self.missing),
            table::count(self.duplicated),
            table::count(self.foreign),
            table::count(self.unanswered),
            table::count(self.partial),
        ];
        table::print(
            &["", "acknowledged", "found", "missing", "duplicated", "foreign", "unanswered but kept", "kept in part"],
            &[row.to_vec()],
        );
        for detail in &self.details {
            println!("  {detail}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH_OF_TEN: Batch = Batch { kind: Kind::Samples, first: 100, count: 10, acknowledged: true };

    fn held(rows: u64, distinct: u64, lowest: i64, highest: i64) -> Held {
        Held { rows, distinct, lowest, highest }
    }

    #[test]
    fn every_way_to_break_the_word_is_seen() {
        let mut findings = Findings::default();
        assert!(!findings.judge(&BATCH_OF_TEN, held(10, 10, 100, 109)));
        assert!(findings.is_sound());
        for (held, missing, duplicated, foreign) in [
            (Held::default(), 10, 0, 0),
            (held(9, 9, 101, 109), 1, 0, 0),
            (held(20, 10, 100, 109), 0, 10, 0),
            (held(11, 10, 100, 109), 0, 1, 0),
            (held(10, 9, 100, 109), 1, 1, 0),
            (held(10, 10, 99, 109), 0, 0, 1),
            (held(10, 10, 100, 110), 0, 0, 1),
        ] {
            let mut findings = Findings::default();
            assert!(findings.judge(&BATCH_OF_TEN, held));
            assert!(!findings.is_sound());
            assert_eq!((findings.missing, findings.duplicated, findings.foreign), (missing, duplicated, foreign));
        }
    }

    #[test]
    fn what_was_never_answered_may_be_there_once_or_not() {
        let batch = Batch { acknowledged: false, ..BATCH_OF_TEN };
        let mut findings = Findings::default();
        assert!(!findings.judge(&batch, Held::default()));
        assert!(!findings.judge(&batch, held(10, 10, 100, 109)));
        assert!(!findings.judge(&batch, held(4, 4, 100, 103)));
        assert!(findings.is_sound());
        assert_eq!((findings.acknowledged, findings.unanswered, findings.partial), (0, 14, 1));
        assert!(findings.judge(&batch, held(20, 10, 100, 109)));
    }
}
