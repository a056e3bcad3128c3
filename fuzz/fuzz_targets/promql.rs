//! Whatever arrives as a query: no panic, and what is read prints as text that reads back and prints the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tripod_promql::parser::{Options, parse};
use tripod_promql::printer::{pretty, to_json};

fuzz_target!(|data: &[u8]| {
    let Ok(query) = std::str::from_utf8(data) else {
        return;
    };
    match parse(query, Options::ALL) {
        Ok(expr) => {
            let text = expr.to_string();
            for written in [text.clone(), pretty(&expr)] {
                let again = parse(&written, Options::ALL);
                assert_eq!(
                    again.map(|again| again.to_string()),
                    Ok(text.clone()),
                    "{query:?}"
                );
            }
            assert!(to_json(&expr).starts_with('{'));
        }
        Err(error) => {
            assert!(!error.message.is_empty(), "a refusal says why");
            assert!(error.span.end <= query.len() && error.span.start <= error.span.end);
        }
    }
});
