/// Replaces `${NAME}` and `${NAME:-default}` in a text by what `lookup` knows; `$$` stands for a dollar sign.
///
/// The default also replaces a variable that is set to nothing, as in a shell. Text that is put in is not expanded
/// again, so a value from the environment cannot reach further variables.
///
/// # Errors
/// Every variable that is missing and every form that is not understood, in the order of the text.
pub(crate) fn expand(text: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<String, Vec<String>> {
    let mut expanded = String::with_capacity(text.len());
    let mut mistakes = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find('$') {
        expanded.push_str(&rest[..start]);
        rest = &rest[start + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let Some((inner, after)) = after.split_once('}') else {
                mistakes.push("\"${\" without \"}\"; write \"$$\" for a dollar sign".to_owned());
                rest = "";
                break;
            };
            rest = after;
            match resolve(inner, &lookup) {
                Ok(value) => expanded.push_str(&value),
                Err(mistake) => mistakes.push(mistake),
            }
        } else {
            expanded.push('$');
        }
    }
    expanded.push_str(rest);
    if mistakes.is_empty() { Ok(expanded) } else { Err(mistakes) }
}

fn resolve(inner: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    let mut letters = name.chars();
    let valid = letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    if !valid {
        return Err(format!(
            "\"${{{inner}}}\" names no environment variable; write ${{NAME}} or ${{NAME:-default}}, \
             and \"$$\" for a dollar sign"
        ));
    }
    match (lookup(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => {
            Err(format!("the environment variable {name} is not set; set it or write ${{{name}:-default}}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<String, Vec<String>> {
        expand(text, |name| match name {
            "HOST" => Some("db.example.com".to_owned()),
            "EMPTY" => Some(String::new()),
            "DOLLAR" => Some("${HOST}".to_owned()),
            _ => None,
        })
    }

    #[test]
    fn variables_are_replaced() {
        for (text, expected) in [
            ("plain", "plain"),
            ("${HOST}:5432", "db.example.com:5432"),
            ("${HOST}${HOST}", "db.example.comdb.example.com"),
            ("${NONE:-fallback}", "fallback"),
            ("${NONE:-}", ""),
            ("${NONE:-a:-b}", "a:-b"),
            ("${EMPTY}", ""),
            ("${EMPTY:-full}", "full"),
            ("${HOST:-unused}", "db.example.com"),
            ("${DOLLAR}", "${HOST}"),
            ("$$", "$"),
            ("$${HOST}", "${HOST}"),
            ("cost: 5$", "cost: 5$"),
            ("$HOST", "$HOST"),
        ] {
            assert_eq!(check(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn every_missing_variable_is_named() {
        let mistakes = check("${ONE} ${HOST} ${TWO}").unwrap_err();
        assert_eq!(mistakes.len(), 2);
        assert!(mistakes[0].contains("ONE") && mistakes[1].contains("TWO"), "{mistakes:?}");
        assert!(check("${HOST").unwrap_err()[0].contains("without"));
        assert!(check("${}").is_err());
        assert!(check("${1A}").is_err());
        assert!(check("${a b}").is_err());
    }
}
