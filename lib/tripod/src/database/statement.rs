//! What spans show of a statement.

use crate::redaction::sanitize;

/// The longest summary, in bytes, as the conventions have it.
const MAX_SUMMARY: usize = 255;

/// A statement as spans show it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statement {
    /// The statement with `?` in place of values; empty when there is none.
    pub text: String,
    /// What it does, in capitals: `SELECT`.
    pub operation: String,
    /// To what: the first table.
    pub collection: Option<String>,
    /// Operations and tables in their order: `INSERT orders SELECT carts`. Of few values: it names spans.
    pub summary: String,
}

impl Statement {
    pub(super) fn of_sql(sql: &str) -> Self {
        let text = sanitize(sql);
        let mut statement = Self { text, ..Self::default() };
        let mut words = Words(statement.text.as_str());
        let mut summary: Vec<String> = Vec::new();
        let mut operation = String::new();
        let mut collection = None;
        let mut wants_table = false;
        while let Some(word) = words.next() {
            let upper = word.to_ascii_uppercase();
            if wants_table {
                // `INSERT INTO IF …`, `DROP TABLE IF EXISTS jobs`
                if matches!(upper.as_str(), "IF" | "NOT" | "EXISTS" | "ONLY" | "INTO" | "FROM" | "TABLE" | "LATERAL") {
                    continue;
                }
                wants_table = false;
                if is_table(word) {
                    let table = word.trim_matches(['"', '`', '[', ']']).to_owned();
                    collection.get_or_insert_with(|| table.clone());
                    summary.push(table);
                    continue;
                }
            }
            match upper.as_str() {
                "SELECT" | "INSERT" | "UPDATE" | "DELETE" | "MERGE" | "REPLACE" | "CREATE" | "ALTER" | "DROP"
                | "TRUNCATE" | "BEGIN" | "COMMIT" | "ROLLBACK" | "SAVEPOINT" | "RELEASE" | "CALL" | "EXPLAIN"
                | "COPY" | "VACUUM" | "ANALYZE" | "PRAGMA" | "SET" | "SHOW" | "LISTEN" | "NOTIFY" | "GRANT"
                | "REVOKE"
                    if operation.is_empty() || matches!(upper.as_str(), "SELECT" | "INSERT" | "UPDATE" | "DELETE") =>
                {
                    // `FOR UPDATE`, `ON CONFLICT DO UPDATE SET` and `ON DELETE CASCADE` begin nothing.
                    if matches!(words.before(&statement.text, word), Some("FOR" | "DO" | "ON")) {
                        continue;
                    }
                    if operation.is_empty() {
                        operation.clone_from(&upper);
                    }
                    wants_table = matches!(upper.as_str(), "UPDATE");
                    summary.push(upper);
                }
                "FROM" | "INTO" | "JOIN" | "TABLE" => wants_table = !summary.is_empty(),
                _ => {}
            }
        }
        summary.dedup();
        let mut joined = String::new();
        for part in summary {
            if joined.len() + part.len() + 1 > MAX_SUMMARY {
                break;
            }
            if !joined.is_empty() {
                joined.push(' ');
            }
            joined.push_str(&part);
        }
        statement.operation = operation;
        statement.collection = collection;
        statement.summary = joined;
        statement
    }

    pub(super) fn of_operation(operation: &str, collection: Option<&str>) -> Self {
        let summary = match collection {
            Some(collection) => format!("{operation} {collection}"),
            None => operation.to_owned(),
        };
        Self {
            text: String::new(),
            operation: operation.to_owned(),
            collection: collection.map(str::to_owned),
            summary,
        }
    }
}

/// Words of a sanitised statement: names with their schema and quotes, everything else one by one.
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '"' | '`' | '$');
        let text = self.0.trim_start();
        let first = text.chars().next()?;
        let end = if is_word(first) { text.find(|c| !is_word(c)).unwrap_or(text.len()) } else { first.len_utf8() };
        let (word, rest) = text.split_at(end);
        self.0 = rest;
        Some(word)
    }

    /// The word before this one, in capitals if it is one of those that matter.
    fn before(&self, text: &'a str, word: &'a str) -> Option<&'static str> {
        let start = text.len().checked_sub(self.0.len() + word.len())?;
        let last = text.get(..start)?.trim_end().rsplit(|c: char| !c.is_alphanumeric()).next()?;
        ["FOR", "DO", "ON"].into_iter().find(|known| last.eq_ignore_ascii_case(known))
    }
}

fn is_table(word: &str) -> bool {
    let name = word.trim_matches(['"', '`']);
    name.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_') && !name.eq_ignore_ascii_case("select")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::redaction::MAX_STATEMENT;

    #[test]
    fn summaries_name_operations_and_tables() {
        for (sql, summary, collection) in [
            ("SELECT * FROM jobs WHERE id = 1", "SELECT jobs", Some("jobs")),
            ("select a from app.jobs j join users u on u.id = j.user_id", "SELECT app.jobs users", Some("app.jobs")),
            ("INSERT INTO orders SELECT * FROM carts", "INSERT orders SELECT carts", Some("orders")),
            ("INSERT INTO jobs (id) VALUES (1) ON CONFLICT DO UPDATE SET id = 2", "INSERT jobs", Some("jobs")),
            ("UPDATE jobs SET status = 'x' WHERE id = 1", "UPDATE jobs", Some("jobs")),
            ("DELETE FROM \"Jobs\"", "DELETE Jobs", Some("Jobs")),
            ("WITH x AS (SELECT 1 FROM a) SELECT * FROM x FOR UPDATE", "SELECT a SELECT x", Some("a")),
            ("CREATE TABLE IF NOT EXISTS jobs (id INT)", "CREATE jobs", Some("jobs")),
            ("SELECT 1", "SELECT", None),
            ("BEGIN", "BEGIN", None),
            ("", "", None),
        ] {
            let statement = Statement::of_sql(sql);
            assert_eq!((statement.summary.as_str(), statement.collection.as_deref()), (summary, collection), "{sql}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_and_stays_bounded(sql in any::<String>()) {
            let statement = Statement::of_sql(&sql);
            prop_assert!(statement.text.len() <= MAX_STATEMENT + 8 || sql.len() < statement.text.len() + 8);
            prop_assert!(statement.summary.len() <= MAX_SUMMARY);
        }
    }
}
