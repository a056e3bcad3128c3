//! Prometheus' HTTP API over the lake's series, with what it tells of the server and of what is scraped.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;
use tripod_api::prometheus::{About, Prometheus, WalReplay};
use tripod_lake::ReplayProgress;
use tripod_promql::engine::Engine;
use tripod_storage::series::SeriesStore;

use super::series::SeriesReceivers;
use crate::settings::Settings;

/// What stands for a secret where settings are shown, as in Prometheus.
const SECRET: &str = "<secret>";

/// Keys of settings whose values are shown to nobody.
const SECRET_KEYS: [&str; 5] = ["bearer_token", "credentials", "password", "proxy_url", "http_headers"];

/// The API.
///
/// # Errors
/// When the settings cannot be written as text.
pub(super) fn answers(
    settings: &Settings,
    series: &Arc<dyn SeriesStore>,
    receivers: &Arc<SeriesReceivers>,
    replayed: WalReplay,
) -> anyhow::Result<Prometheus> {
    let mut shown = serde_json::to_value(settings)?;
    hide(&mut shown);
    let mut flags = BTreeMap::new();
    flatten(&shown, "", &mut flags);
    let about = About {
        version: env!("CARGO_PKG_VERSION"),
        config: serde_saphyr::to_string(&shown)?,
        flags,
        retention: format!("{}s", settings.store.retention.series_seconds),
        started: SystemTime::now(),
    };
    let engine = Engine::new(Arc::clone(series), settings.api.prometheus.engine());
    let reloaded = Arc::clone(receivers);
    Ok(Prometheus::new(engine, settings.api.prometheus.clone(), about)
        .with_targets(receivers.scraper())
        .with_wal_replay(replayed)
        .with_reload(Arc::new(move || reloaded.reload())))
}

/// How far the log of samples was read, in the API's words.
pub(super) fn wal_replay(progress: &ReplayProgress) -> WalReplay {
    WalReplay { min: 0, max: progress.segments().saturating_sub(1), current: progress.current() }
}

/// Takes secrets out of a tree of settings, those of pasted `scrape_configs` too.
fn hide(tree: &mut Value) {
    match tree {
        Value::Object(entries) => {
            for (name, value) in entries {
                if SECRET_KEYS.contains(&name.as_str()) && !value.is_null() {
                    *value = SECRET.into();
                } else {
                    hide(value);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(hide),
        _ => {}
    }
}

/// The values of a tree of settings by their full keys.
fn flatten(tree: &Value, key: &str, flags: &mut BTreeMap<String, String>) {
    match tree {
        Value::Object(entries) => {
            for (name, value) in entries {
                let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                flatten(value, &key, flags);
            }
        }
        Value::String(text) => drop(flags.insert(key.to_owned(), text.clone())),
        other => drop(flags.insert(key.to_owned(), other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_settings_are_shown_to_nobody() {
        let mut tree = serde_json::json!({
            "api": {"bearer_token": "canary"},
            "ingest": {"bearer_token": null},
            "prometheus": {"scrape_configs": [
                {"basic_auth": {"username": "u", "password": "canary"}, "authorization": {"credentials": "canary"}},
                {"proxy_url": "http://u:canary@proxy", "http_headers": {"x": {"values": ["canary"]}}},
            ]},
        });
        hide(&mut tree);
        let mut flags = BTreeMap::new();
        flatten(&tree, "", &mut flags);
        assert!(!tree.to_string().contains("canary"), "{tree}");
        assert_eq!((flags["api.bearer_token"].as_str(), flags["ingest.bearer_token"].as_str()), (SECRET, "null"));
    }
}
