use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value as Json, json};

use super::assemble::{leaves, look_up, to_json};
use super::document::{self, Value};
use super::*;

fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn load_text(text: &str, variables: &[(&str, &str)], flags: &[(&str, &str, &'static str)]) -> Result<Loaded, Mistakes> {
    let flags = flags.iter().map(|(key, value, flag)| ((*key).to_owned(), (*value).to_owned(), *flag)).collect();
    load(Some((Path::new("tripod.yaml"), text)), &environment(variables), &flags)
}

/// The mistakes of a file, a line each, as the user sees them.
fn mistakes(text: &str) -> String {
    match load_text(text, &[], &[]) {
        Ok(_) => panic!("no mistake was found in {text}"),
        Err(Mistakes(mistakes)) => mistakes.iter().map(|mistake| format!("{mistake}\n")).collect(),
    }
}

#[test]
fn the_documented_defaults_are_the_defaults() {
    let loaded = load_text(DEFAULTS, &[], &[]).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert_eq!(to_json(&loaded.settings), to_json(&Settings::default()));
    assert!(loaded.warnings.is_empty());
}

#[test]
fn every_setting_is_documented() {
    let root = document::parse(DEFAULTS).unwrap();
    let lines: Vec<&str> = DEFAULTS.lines().collect();
    fn check(node: &document::Node, tree: &Json, key: &str, lines: &[&str]) {
        let Json::Object(settings) = tree else { return };
        let Value::Map(entries) = &node.value else { return };
        for name in settings.keys() {
            let entry = entries.iter().find(|entry| entry.key == *name);
            let entry = entry.unwrap_or_else(|| panic!("{key}{name} is not in defaults.yaml"));
            let above = lines[entry.position.line as usize - 2].trim();
            assert!(above.starts_with("# ") && above.len() > 6, "{key}{name} has no comment above it");
            check(&entry.node, &settings[name], &format!("{key}{name}."), lines);
        }
    }
    check(&root, &to_json(&Settings::default()), "", &lines);
}

#[test]
fn flags_beat_the_environment_which_beats_the_file() {
    let text = "store:\n  flush:\n    rows: 1\n    interval_seconds: 1m\n  wal:\n    segment_bytes: 1MiB\n";
    let variables = [("TRIPOD_STORE_FLUSH_ROWS", "2"), ("TRIPOD_STORE_FLUSH_INTERVAL_SECONDS", "2m")];
    let loaded =
        load_text(text, &variables, &[("store.flush.rows", "3", "--set")]).unwrap_or_else(|error| panic!("{error}"));
    let store = &loaded.settings.store;
    assert_eq!((store.flush.rows, store.flush.interval_seconds, store.wal.segment_bytes), (3, 120, 1 << 20));
    assert_eq!(loaded.origins["store.flush.rows"], Origin::Flag("--set"));
    assert_eq!(
        loaded.origins["store.flush.interval_seconds"],
        Origin::Environment("TRIPOD_STORE_FLUSH_INTERVAL_SECONDS".to_owned())
    );
    assert_eq!(loaded.origins["store.wal.segment_bytes"].to_string(), "tripod.yaml:6:20");
}

#[test]
fn every_key_has_a_variable_of_its_own() {
    let keys = leaves(&to_json(&Settings::shape()));
    let variables: std::collections::BTreeSet<_> = keys.iter().map(|key| environment::variable(key)).collect();
    assert_eq!(variables.len(), keys.len());
    for name in variables {
        // What commands read must not be mistaken for settings.
        assert!(!["TRIPOD_CONFIG", "TRIPOD_LOG", "TRIPOD_SERVER", "TRIPOD_TOKEN"].contains(&name.as_str()));
    }
}

#[test]
fn all_mistakes_are_told_at_once_with_their_places() {
    let text = "\
stroe:
  flush: {}
store:
  flush:
    row: 5
    bytes: many
    interval_seconds: 90x
  compaction: 7
  retention:
    spans_seconds: -1
logging:
  format: yaml
  level: [info]
api:
  bearer_token: 12345
ingest:
  cors_allowed_origins: [\"app.example.com\"]
server:
  max_connections: 0
  segment_bytes: 1
";
    let told = mistakes(text);
    for expected in [
        "tripod.yaml:1:1: stroe: there is no such setting; did you mean \"store\"?",
        "tripod.yaml:5:5: store.flush.row: there is no such setting; did you mean \"rows\"?",
        "tripod.yaml:6:12: store.flush.bytes: \"many\" is not a size such as 512KiB, 64MiB or 2GB",
        "tripod.yaml:7:23: store.flush.interval_seconds: \"90x\" is not a duration",
        "tripod.yaml:8:15: store.compaction: must be a section with keys of its own, not a number",
        "tripod.yaml:10:20: store.retention.spans_seconds: invalid value: integer `-1`",
        "tripod.yaml:12:11: logging.format: unknown variant `yaml`, expected one of `auto`, `pretty`, `json`",
        "tripod.yaml:13:10: logging.level: must be text, not a list",
        "tripod.yaml:15:17: api.bearer_token: must be text; put it in quotes, not a number",
        "tripod.yaml:17:25: ingest.cors_allowed_origins: \"app.example.com\" is no origin",
        "tripod.yaml:19:20: server.max_connections: must be at least 1",
        "tripod.yaml:20:3: server.segment_bytes: there is no such setting here; did you mean \"store.wal.segment_bytes\"?",
    ] {
        assert!(told.contains(expected), "{expected}\nis not in\n{told}");
    }
    assert_eq!(told.lines().count(), 12, "{told}");
}

#[test]
fn syntax_errors_name_their_line() {
    let told = mistakes("store:\n  flush: [1\nlogging: {}\n");
    assert!(told.starts_with("tripod.yaml:"), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
}

#[test]
fn values_that_do_not_work_together_name_their_line() {
    let told = mistakes("store:\n  flush:\n    bytes: 1GiB\n");
    assert!(told.contains("store.memory_limit_bytes: "), "{told}");
    let told = mistakes("store:\n  memory_limit_bytes: 1MiB\n");
    assert!(told.starts_with("tripod.yaml:2:23: store.memory_limit_bytes: "), "{told}");
}

#[test]
fn variables_are_expanded_and_typed() {
    let text = "\
api:
  bearer_token: ${TOKEN}
listeners:
  jaeger:
    address: ${HOST:-127.0.0.1}:${PORT}
    enabled: ${ON}
store:
  flush:
    rows: ${ROWS:-77}
  wal:
    segment_bytes: ${SIZE}
";
    let variables = [("TOKEN", "a$b"), ("PORT", "99"), ("ON", "false"), ("SIZE", "2MiB")];
    let loaded = load_text(text, &variables, &[]).unwrap_or_else(|error| panic!("{error}"));
    let settings = &loaded.settings;
    assert_eq!(settings.api.bearer_token.as_deref(), Some("a$b"));
    assert_eq!(settings.listeners.jaeger.address, "127.0.0.1:99");
    assert!(!settings.listeners.jaeger.enabled);
    assert_eq!((settings.store.flush.rows, settings.store.wal.segment_bytes), (77, 2 << 20));
    let told = mistakes(text);
    for name in ["TOKEN", "PORT", "ON", "SIZE"] {
        assert!(told.contains(&format!("the environment variable {name} is not set")), "{told}");
    }
    assert!(told.contains("tripod.yaml:2:17: api.bearer_token: "), "{told}");
}

#[test]
fn lists_and_optional_values_come_from_the_environment_too() {
    let variables = [
        ("TRIPOD_INGEST_CORS_ALLOWED_ORIGINS", "http://localhost:3000, http://localhost:3001"),
        ("TRIPOD_INGEST_BEARER_TOKEN", "123"),
        ("TRIPOD_DATA_DIR", "/data"),
        ("TRIPOD_LISTENERS_JAEGER_TLS_CERTIFICATE", "/dev/null"),
        ("TRIPOD_LISTENERS_JAEGER_TLS_KEY", "/dev/null"),
    ];
    let loaded = load(None, &environment(&variables), &Vec::new()).unwrap_or_else(|error| panic!("{error}"));
    let settings = &loaded.settings;
    assert_eq!(settings.ingest.cors_allowed_origins, ["http://localhost:3000", "http://localhost:3001"]);
    assert_eq!(settings.ingest.bearer_token.as_deref(), Some("123"));
    assert_eq!(settings.data_dir, Path::new("/data"));
    assert!(settings.listeners.jaeger.tls.is_some());
    assert!(!loaded.names_address("jaeger"));
}

#[test]
fn half_of_a_tls_section_is_refused() {
    let told = mistakes("listeners:\n  jaeger:\n    tls:\n      certificate: /dev/null\n");
    assert!(told.starts_with("tripod.yaml:4:20: listeners.jaeger.tls: missing field `key`"), "{told}");
}

#[test]
fn unknown_variables_are_warned_about() {
    let variables =
        [("TRIPOD_STORE_FLUSH_ROW", "1"), ("TRIPOD_TOKEN", "x"), ("TRIPOD_WHATEVER", "1"), ("PATH", "/bin")];
    let loaded = load(None, &environment(&variables), &Vec::new()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(loaded.warnings.len(), 2, "{:?}", loaded.warnings);
    assert!(loaded.warnings[0].contains("TRIPOD_STORE_FLUSH_ROWS?"), "{:?}", loaded.warnings);
    assert!(loaded.warnings[1].contains("TRIPOD_WHATEVER"), "{:?}", loaded.warnings);
}

#[test]
fn unknown_flags_are_refused() {
    let told = load(None, &BTreeMap::new(), &vec![("store.flush.row".to_owned(), "1".to_owned(), "--set")]);
    let Err(Mistakes(mistakes)) = told else { panic!("accepted") };
    assert_eq!(
        mistakes[0].to_string(),
        "--set: store.flush.row: there is no such setting; did you mean \"store.flush.rows\"?"
    );
}

#[test]
fn addresses_are_checked() {
    for address in ["127.0.0.1:0", "[::1]:4317", "localhost:80", "0.0.0.0:65535"] {
        assert_eq!(check_address(address), Ok(()), "{address}");
    }
    for address in ["4317", ":4317", "localhost", "localhost:", "localhost:http", "::1:4317", "127.0.0.1:65536"] {
        assert!(check_address(address).is_err(), "{address}");
    }
}

#[test]
fn what_is_printed_reads_as_the_same_without_secrets() {
    let text = "\
data_dir: /var/lib/$$HOME
ingest:
  bearer_token: hunter2
  cors_allowed_origins: [\"http://localhost:3000\"]
store:
  retention: {spans_seconds: 30d}
";
    let loaded = load_text(text, &[("TRIPOD_STORE_FLUSH_ROWS", "1000")], &[]).unwrap_or_else(|error| panic!("{error}"));
    let printed = print(&loaded);
    assert!(!printed.contains("hunter2"), "{printed}");
    for line in [
        "    spans_seconds: 30d  # tripod.yaml:6:30",
        "    rows: 1000  # environment variable TRIPOD_STORE_FLUSH_ROWS",
        "    logs_seconds: 14d",
        "  bearer_token: \"********\"  # tripod.yaml:3:17",
        "  bearer_token: null",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line}\nis not in\n{printed}");
    }
    let mut again = load_text(&printed, &[], &[]).unwrap_or_else(|error| panic!("{error}\n{printed}")).settings;
    again.ingest.bearer_token = loaded.settings.ingest.bearer_token.clone();
    assert_eq!(to_json(&again), to_json(&loaded.settings));
    assert_eq!(look_up(&to_json(&again), "data_dir"), Some(&Json::from("/var/lib/$HOME")));
}

#[test]
fn scrape_configs_are_taken_as_they_stand() {
    let text = "prometheus:\n  global: {scrape_interval: 5s}\n  scrape_configs:\n    - job_name: a\n      relabel_configs:\n        - \
                {source_labels: [x], target_label: y, replacement: '${1}-$2'}\n";
    let loaded = load_text(text, &[], &[]).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let job = &loaded.settings.prometheus.scrape_configs[0];
    assert_eq!(job["relabel_configs"][0]["replacement"], "${1}-$2");
    let configuration = loaded.settings.prometheus.load().unwrap();
    assert_eq!(configuration.jobs[0].interval, Duration::from_secs(5));
    let text = "prometheus:\n  scrape_configs:\n  - job_name: 1.10\n    honor_labels: yes\n    sample_limit: 5\n    static_configs: \
                [{targets: ['h:1'], labels: {zip: 01234, on: y}}]\n";
    let loaded = load_text(text, &[], &[]).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let labels = json!({"zip": "01234", "on": "y"});
    assert_eq!(
        loaded.settings.prometheus.scrape_configs[0],
        json!({
            "job_name": "1.10", "honor_labels": true, "sample_limit": 5,
            "static_configs": [{"targets": ["h:1"], "labels": labels}],
        })
    );
    let text = "prometheus:\n  scrape_configs: [{job_name: a, basic_auth: {username: me, password: hunter2}}]\n";
    let loaded = load_text(text, &[], &[]).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let printed = print(&loaded);
    assert!(printed.contains("\"username\":\"me\"") && !printed.contains("hunter2"), "{printed}");
    let found = mistakes("prometheus:\n  scrape_configs:\n    - job_name: a\n      scrape_intervall: 5s\n");
    assert!(found.contains("tripod.yaml:3:5: prometheus: scrape_configs[0] (a): there is no key"), "{found}");
    assert!(found.contains("did you mean \"scrape_interval\"?"), "{found}");
    assert!(mistakes("prometheus:\n  scrape_configs: {}\n").contains("must be a list"));
    let found = mistakes("prometheus:\n  config_file: /does/not/exist.yml\n");
    assert!(found.contains("prometheus.config_file: /does/not/exist.yml"), "{found}");
}
