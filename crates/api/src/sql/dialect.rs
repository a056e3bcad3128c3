//! The dialect of queries: PostgreSQL's, with what people miss in it when they look at wide tables.
//!
//! PostgreSQL's operators bind as PostgreSQL documents them, so that `attributes ->> 'k' = 'v'` compares the attribute
//! and not the key (the generic dialect reads it the other way). Beyond it there are `SELECT * EXCLUDE (…)`,
//! `EXCEPT`, `REPLACE` and `RENAME`, subscripts, `GROUP BY ALL`, named windows and trailing commas.

use std::any::TypeId;

use datafusion::logical_expr::sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use datafusion::logical_expr::sqlparser::keywords::Keyword;
use datafusion::logical_expr::sqlparser::parser::{Parser, ParserError};

#[derive(Debug)]
pub(super) struct QueryDialect;

const BASE: PostgreSqlDialect = PostgreSqlDialect {};

/// Switches of the parser that are on.
macro_rules! on {
    ($($switch:ident),* $(,)?) => {
        $(fn $switch(&self) -> bool {
            true
        })*
    };
}

impl Dialect for QueryDialect {
    fn dialect(&self) -> TypeId {
        TypeId::of::<PostgreSqlDialect>()
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        BASE.identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        BASE.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        BASE.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        BASE.is_identifier_part(ch)
    }

    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        BASE.is_reserved_for_identifier(keyword)
    }

    fn is_custom_operator_part(&self, ch: char) -> bool {
        BASE.is_custom_operator_part(ch)
    }

    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        BASE.get_next_precedence(parser)
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        BASE.prec_value(precedence)
    }

    on! {
        allow_extract_custom,
        allow_extract_single_quotes,
        supports_array_typedef_with_brackets,
        supports_bitwise_shift_operators,
        supports_comma_separated_trim,
        supports_explain_with_utility_options,
        supports_filter_during_aggregation,
        // Its `?` is what makes the operator one.
        supports_geometric_types,
        supports_group_by_expr,
        supports_group_by_with_modifier,
        supports_interval_options,
        supports_nested_comments,
        supports_notnull_operator,
        supports_numeric_literal_underscores,
        supports_projection_trailing_commas,
        supports_select_wildcard_except,
        supports_select_wildcard_exclude,
        supports_select_wildcard_rename,
        supports_select_wildcard_replace,
        supports_string_escape_constant,
        supports_trailing_commas,
        supports_unicode_string_literal,
        supports_window_clause_named_window_reference,
        supports_window_function_null_treatment_arg,
    }
}
