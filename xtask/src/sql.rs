//! Questions in SQL to a server's front door.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};

/// A client of `POST /api/v1/sql`.
pub(crate) struct Sql {
    client: reqwest::Client,
    url: String,
}

#[derive(Deserialize)]
struct Answer {
    columns: Vec<Column>,
    rows: Vec<Vec<Value>>,
}

#[derive(Deserialize)]
struct Column {
    name: String,
}

/// Rows of an answer, by column name.
pub(crate) struct Rows {
    names: Vec<String>,
    rows: Vec<Vec<Value>>,
}

impl Sql {
    /// A client of the server whose front door has this URL.
    pub(crate) fn new(front_door: &str) -> Result<Self> {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(300)).build()?;
        Ok(Self { client, url: format!("{front_door}/api/v1/sql") })
    }

    /// Asks and waits for all rows.
    ///
    /// # Errors
    /// What the server says is wrong with the query, or that it does not answer.
    pub(crate) async fn query(&self, query: &str) -> Result<Rows> {
        let body = json!({ "query": query });
        let response = self.client.post(&self.url).json(&body).send().await;
        let response = response.with_context(|| format!("{} does not answer", self.url))?;
        let status = response.status();
        let text = response.text().await.context("the answer broke off")?;
        if !status.is_success() {
            bail!("the query is refused with {status}: {text}\nquery: {query}");
        }
        let answer: Answer = serde_json::from_str(&text)
            .with_context(|| format!("the answer has another form: {}", text.chars().take(300).collect::<String>()))?;
        Ok(Rows { names: answer.columns.into_iter().map(|column| column.name).collect(), rows: answer.rows })
    }

    /// The one number that a query gives.
    pub(crate) async fn number(&self, query: &str) -> Result<u64> {
        let rows = self.query(query).await?;
        let value = rows.rows.first().and_then(|row| row.first()).and_then(integer);
        let value = value.with_context(|| format!("the answer is no number; query: {query}"))?;
        u64::try_from(value).with_context(|| format!("the answer is negative; query: {query}"))
    }
}

impl Rows {
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// A column of whole numbers.
    ///
    /// # Errors
    /// When there is no such column or a value is something else.
    pub(crate) fn integers(&self, name: &str) -> Result<Vec<i64>> {
        self.column(name)?
            .map(|value| integer(value).with_context(|| format!("{name} holds {value}, which is no whole number")))
            .collect()
    }

    /// A column of text.
    ///
    /// # Errors
    /// When there is no such column or a value is something else.
    pub(crate) fn texts(&self, name: &str) -> Result<Vec<String>> {
        self.column(name)?
            .map(|value| value.as_str().map(str::to_owned).with_context(|| format!("{name} holds {value}, no text")))
            .collect()
    }

    fn column(&self, name: &str) -> Result<impl Iterator<Item = &Value>> {
        let names = &self.names;
        let index = names.iter().position(|known| known == name);
        let index = index.with_context(|| format!("the answer has no column {name}, only {}", names.join(", ")))?;
        Ok(self.rows.iter().filter_map(move |row| row.get(index)))
    }
}

/// 64-bit integers may come as text, since many JSON readers only know doubles.
fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}
