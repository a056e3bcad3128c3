//! The command line: what can be said, and the help that explains it.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::settings::{Overrides, Unit};

/// The commit that was built, when the build was told so by the environment variable `TRIPOD_REVISION`.
pub(crate) const REVISION: Option<&str> = option_env!("TRIPOD_REVISION");

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Yellow.on_default().bold())
    .usage(AnsiColor::Yellow.on_default().bold())
    .literal(AnsiColor::Green.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

fn version() -> &'static str {
    const PLAIN: &str = env!("CARGO_PKG_VERSION");
    match REVISION {
        Some(revision) => Box::leak(format!("{PLAIN} ({revision})").into_boxed_str()),
        None => PLAIN,
    }
}

/// Logs, traces and metrics in one process: takes in OpenTelemetry, keeps it, and answers questions about it.
#[derive(Debug, Parser)]
#[command(name = "tripod", version = version(), styles = STYLES, max_term_width = 110)]
#[command(after_help = "Examples:
  tripod serve                        start a server on this machine, data under ./tripod-data
  tripod query \"select service_name, count(*) from spans group by 1\"
  tripod doctor                       send one of each signal through a running server and read it back")]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server until Ctrl-C or SIGTERM.
    #[command(after_help = "Every setting can be given in the file, as an environment variable (store.flush.rows is \
                            TRIPOD_STORE_FLUSH_ROWS) or by --set; flags beat the environment, which beats the file. \
                            See them all with: tripod config --defaults

Examples:
  tripod serve --data-dir /var/lib/tripod
  tripod serve --listen 0.0.0.0:6767 --otlp-grpc-listen 0.0.0.0:4317
  tripod serve --jaeger-listen off --set store.retention.spans_seconds=30d")]
    Serve(ServeArgs),
    /// Ask a running server in SQL or PromQL.
    #[command(after_help = "The tables are spans, logs, series, labels and points('selector'). On a terminal the \
                            answer is a table, or a chart when it is a range in PromQL; in a pipe it is JSON Lines.

Examples:
  tripod query \"select service_name, count(*) from spans group by 1\"
  tripod query \"select * from logs order by time desc\" --limit 20
  tripod query - --format csv < report.sql > report.csv
  tripod query \"select trace_id, name from spans where status_code = 'error'\" | jq .trace_id
  tripod query --promql 'sum by (job) (rate(http_requests_total[5m]))' --range 1h --step 15s")]
    Query(QueryArgs),
    /// Check files without starting anything.
    Check {
        /// What to check.
        #[command(subcommand)]
        what: Check,
    },
    /// Send dumps of metrics to a running server.
    #[command(after_help = "What was kept and what was refused is said at the end; a dump can be sent twice.

Examples:
  tripod import dump.om
  curl -s localhost:8000/metrics | tripod import -
  promtool tsdb dump-openmetrics data > dump.om && tripod import dump.om --server http://tripod:6767")]
    Import(ImportArgs),
    /// Print the configuration in effect, or all settings with their defaults.
    #[command(after_help = "Examples:
  tripod config --defaults > tripod.yaml      begin a configuration file
  tripod config --config tripod.yaml          what is in effect, and where each value comes from")]
    Config(ConfigArgs),
    /// Send one span, one log record and one metric point through a running server and read them back.
    #[command(after_help = "Exits with 1 when something is wrong, and says how to mend it.

Examples:
  tripod doctor
  tripod doctor --server https://tripod.example.com --token \"$TOKEN\" --format json")]
    Doctor(DoctorArgs),
    /// Print the completion script of a shell.
    #[command(after_help = "Examples:
  tripod completions bash > /etc/bash_completion.d/tripod
  tripod completions zsh > \"${fpath[1]}/_tripod\"
  tripod completions fish > ~/.config/fish/completions/tripod.fish")]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// What can be checked.
#[derive(Debug, Subcommand)]
pub(crate) enum Check {
    /// Check a configuration file, with the environment as it is now; exits with 1 after listing all mistakes.
    Config {
        /// The file; without it TRIPOD_CONFIG, else the environment alone is checked.
        #[arg(env = "TRIPOD_CONFIG")]
        file: Option<PathBuf>,
        /// How to print mistakes.
        #[arg(long, value_enum, default_value_t)]
        format: ReportFormat,
    },
    /// Check what a program exposes as metrics, as promtool check metrics does; exits with 1 when it cannot be read and
    /// with 3 when something should be better.
    Metrics {
        /// Files; without any, standard input.
        files: Vec<PathBuf>,
        /// The form; auto takes what ends with "# EOF" for OpenMetrics, which is checked against its specification.
        #[arg(long, value_enum, default_value_t)]
        form: ExpositionForm,
        /// How to print what was found.
        #[arg(long, value_enum, default_value_t)]
        format: ReportFormat,
    },
}

/// Arguments of `tripod import`.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Files of Prometheus text or OpenMetrics, "-" for standard input; samples without a time get that of the import.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The form of the files; auto takes what ends with "# EOF" for OpenMetrics.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) form: ExpositionForm,
    /// Which server.
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Bearer token for sending, when the server asks for one (ingest.bearer_token) [default: that of --token].
    #[arg(long, env = "TRIPOD_INGEST_TOKEN", hide_env_values = true)]
    pub(crate) ingest_token: Option<String>,
}

/// A form of metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExpositionForm {
    /// Told by the end of the text.
    #[default]
    Auto,
    /// Prometheus text.
    Text,
    /// OpenMetrics text.
    Openmetrics,
    /// Delimited protobuf.
    Protobuf,
}

/// Where settings come from besides the environment.
#[derive(Debug, Default, Args)]
pub(crate) struct SettingsArgs {
    /// Configuration file in YAML.
    #[arg(long, value_name = "FILE", env = "TRIPOD_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Where all data lies [default: tripod-data] [env: TRIPOD_DATA_DIR].
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Any setting by its full key, for example store.flush.rows=1000; may be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_and_value)]
    pub(crate) set: Vec<(String, String)>,
}

/// Arguments of `tripod serve`.
#[derive(Debug, Default, Args)]
pub(crate) struct ServeArgs {
    /// Settings.
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
    /// Address of the front door: health, metrics, SQL and every API under its prefix [default: 127.0.0.1:6767].
    #[arg(long, value_name = "HOST:PORT|off")]
    pub(crate) listen: Option<String>,
    /// Address of OTLP over gRPC [default: 127.0.0.1:4317].
    #[arg(long, value_name = "HOST:PORT|off")]
    pub(crate) otlp_grpc_listen: Option<String>,
    /// Address of OTLP over HTTP [default: 127.0.0.1:4318].
    #[arg(long, value_name = "HOST:PORT|off")]
    pub(crate) otlp_http_listen: Option<String>,
    /// Address of the Jaeger query API [default: 127.0.0.1:16686].
    #[arg(long, value_name = "HOST:PORT|off")]
    pub(crate) jaeger_listen: Option<String>,
    /// Address of Prometheus' HTTP API [default: 127.0.0.1:9090].
    #[arg(long, value_name = "HOST:PORT|off")]
    pub(crate) prometheus_listen: Option<String>,
}

/// Arguments of `tripod config`.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// Settings.
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
    /// Print every setting with its default and what it means, as a file to begin with.
    #[arg(long, conflicts_with_all = ["config", "data_dir", "set"])]
    pub(crate) defaults: bool,
}

/// Which server to speak to.
#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// The server's front door.
    #[arg(long, value_name = "URL", env = "TRIPOD_SERVER", default_value = "http://127.0.0.1:6767")]
    pub(crate) server: String,
    /// Bearer token, when the server asks for one (api.bearer_token).
    #[arg(long, env = "TRIPOD_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// PEM file with the authority that signed the server's certificate, besides those that the system trusts.
    #[arg(long, value_name = "FILE", env = "TRIPOD_CA_CERTIFICATE")]
    pub(crate) ca_certificate: Option<PathBuf>,
}

/// Arguments of `tripod query`.
#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    /// The query; "-" reads it from standard input.
    pub(crate) query: String,
    /// The query is PromQL.
    #[arg(long)]
    pub(crate) promql: bool,
    /// Ask for a range of time that ends now, or at --at, for example 1h or 7d.
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "promql")]
    pub(crate) range: Option<Duration>,
    /// Time between the moments of a range [default: a 250th of it].
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "range")]
    pub(crate) step: Option<Duration>,
    /// Ask for another moment than now: RFC 3339, or seconds since the Unix epoch.
    #[arg(long, value_name = "TIME", value_parser = moment, requires = "promql")]
    pub(crate) at: Option<f64>,
    /// Which server.
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// How to print the answer [default: table on a terminal, else jsonl].
    #[arg(long, short, value_enum)]
    pub(crate) format: Option<AnswerFormat>,
    /// Print at most so many rows, or series.
    #[arg(long, short = 'n', value_name = "ROWS")]
    pub(crate) limit: Option<u64>,
    /// Give up after this time, for example 30s or 2m; the server stops the query [default: the server's limit].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
}

/// Arguments of `tripod doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Which server.
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Bearer token for sending, when the server asks for one (ingest.bearer_token) [default: that of --token].
    #[arg(long, env = "TRIPOD_INGEST_TOKEN", hide_env_values = true)]
    pub(crate) ingest_token: Option<String>,
    /// How to print what was found.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: ReportFormat,
}

/// How the answer of a query is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AnswerFormat {
    /// Columns side by side, for people.
    Table,
    /// One document with columns and rows.
    Json,
    /// One object a row.
    Jsonl,
    /// RFC 4180 with a line of names.
    Csv,
}

/// How a report is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

impl SettingsArgs {
    /// What the flags set.
    pub(crate) fn overrides(&self) -> Overrides {
        let mut overrides = Overrides::new();
        if let Some(data_dir) = &self.data_dir {
            overrides.push(("data_dir".to_owned(), literal(&data_dir.to_string_lossy()), "--data-dir"));
        }
        overrides.extend(self.set.iter().map(|(key, value)| (key.clone(), value.clone(), "--set")));
        overrides
    }
}

impl ServeArgs {
    /// What the flags set, those of listeners included.
    pub(crate) fn overrides(&self) -> Overrides {
        let mut overrides = self.settings.overrides();
        for (listener, address, flag) in [
            ("front_door", &self.listen, "--listen"),
            ("otlp_grpc", &self.otlp_grpc_listen, "--otlp-grpc-listen"),
            ("otlp_http", &self.otlp_http_listen, "--otlp-http-listen"),
            ("jaeger", &self.jaeger_listen, "--jaeger-listen"),
            ("prometheus", &self.prometheus_listen, "--prometheus-listen"),
        ] {
            match address.as_deref() {
                None => {}
                Some("off") => overrides.push((format!("listeners.{listener}.enabled"), "false".to_owned(), flag)),
                Some(address) => {
                    overrides.push((format!("listeners.{listener}.enabled"), "true".to_owned(), flag));
                    overrides.push((format!("listeners.{listener}.address"), literal(address), flag));
                }
            }
        }
        overrides
    }
}

/// The shell has expanded variables of these flags already; a dollar sign means itself.
fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE, for example store.flush.rows=1000".to_owned()),
    }
}

/// Seconds since the Unix epoch.
fn moment(text: &str) -> Result<f64, String> {
    if let Some(seconds) = text.parse().ok().filter(|seconds: &f64| seconds.is_finite()) {
        return Ok(seconds);
    }
    let time = chrono::DateTime::parse_from_rfc3339(text)
        .map_err(|_| format!("\"{text}\" is no time; write for example 2026-01-31T12:00:00Z"))?;
    Ok(time.timestamp_micros() as f64 / 1e6)
}

fn duration(text: &str) -> Result<Duration, String> {
    let seconds = Unit::Seconds.parse(text)?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(format!("\"{text}\" is no time to wait")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_become_settings() {
        let cli =
            Cli::parse_from(["tripod", "serve", "--listen", "[::]:1", "--jaeger-listen", "off", "--set", "a.b=c=d"]);
        let Command::Serve(serve) = cli.command else { panic!("another command") };
        let overrides = serve.overrides();
        let pairs: Vec<_> = overrides.iter().map(|(key, value, _)| (key.as_str(), value.as_str())).collect();
        assert_eq!(
            pairs,
            [
                ("a.b", "c=d"),
                ("listeners.front_door.enabled", "true"),
                ("listeners.front_door.address", "[::]:1"),
                ("listeners.jaeger.enabled", "false"),
            ]
        );
    }

    #[test]
    fn timeouts_are_human() {
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert!(duration("0s").is_err());
        assert!(duration("-1").is_err());
        assert_eq!(moment("2026-01-31T12:00:00.5Z"), Ok(1_769_860_800.5));
        assert_eq!(moment("-1.5"), Ok(-1.5));
        assert!(moment("tomorrow").is_err() && moment("inf").is_err());
    }
}
