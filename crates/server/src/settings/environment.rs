use std::collections::BTreeMap;

use super::mistake::nearest;

/// Variables that are no settings but belong to the command line.
const OF_COMMANDS: &[&str] =
    &["TRIPOD_CONFIG", "TRIPOD_LOG", "TRIPOD_SERVER", "TRIPOD_TOKEN", "TRIPOD_INGEST_TOKEN", "TRIPOD_CA_CERTIFICATE"];

/// The environment variable of a setting: `store.wal.fsync` is `TRIPOD_STORE_WAL_FSYNC`.
pub(crate) fn variable(key: &str) -> String {
    format!("TRIPOD_{}", key.replace('.', "_").to_uppercase())
}

/// A sentence for every variable that begins like one of ours and is none. They are no error, since a machine's
/// environment is shared; `known` maps variables to keys.
pub(crate) fn warn_of_unknown<'a>(
    names: impl Iterator<Item = &'a str>,
    known: &BTreeMap<String, String>,
) -> Vec<String> {
    let candidates: Vec<&str> = known.keys().map(String::as_str).chain(OF_COMMANDS.iter().copied()).collect();
    names
        .filter(|name| name.starts_with("TRIPOD_") && !candidates.contains(name))
        .map(|name| {
            // The prefix that all share would make everything look near.
            let rest = |name: &'a str| name.trim_start_matches("TRIPOD_");
            let near = nearest(rest(name), candidates.iter().map(|name| name.trim_start_matches("TRIPOD_")));
            match near {
                Some(near) => format!("the environment variable {name} is no setting; did you mean TRIPOD_{near}?"),
                None => format!("the environment variable {name} is no setting and was ignored"),
            }
        })
        .collect()
}
