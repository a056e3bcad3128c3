# Every command that a developer needs.

_list:
    @just --list --unsorted

# A server from the working tree, data under ./tripod-data.
serve *arguments:
    cargo run --release -- serve {{arguments}}

# What to run before a commit.
check: format lint test

# Formats, or says what is not formatted when CI is set.
format:
    cargo fmt --all {{ if env("CI", "") != "" { "-- --check" } else { "" } }}

lint:
    cargo clippy --workspace --all-targets -- -D warnings

test:
    cargo test --workspace

# Licences, and one version of the data stack.
deny:
    cargo deny check bans licenses sources

# kill -9 under load, restart, count; then a full disk and a damaged log.
crash rounds="50":
    cargo xtask crash --rounds {{rounds}}
    cargo xtask crash --disk-full
    cargo xtask crash --corrupt
    cargo xtask crash --lost

# Official SDKs of other languages against the server.
interop:
    cargo build --package tripod-server
    interop/run

# Prometheus' published test scripts against the PromQL engine over every store, as a table; needs ../shared/conformance.
conformance *arguments:
    cargo xtask conformance promql {{arguments}}

# Every fuzz target, so many seconds each.
fuzz seconds="60":
    cargo xtask fuzz --seconds {{seconds}}

# Throughput of a durable server; see bench/RESULTS.md for the others.
bench-ingest *arguments:
    cargo xtask bench ingest {{arguments}}

# Tripod, Prometheus and VictoriaMetrics with the same metrics; their binaries must be there.
bench-metrics *arguments:
    cargo xtask bench metrics {{arguments}}

# How attributes are stored, measured.
bench-attributes:
    cargo run --release --package tripod-bench --bin attributes

# Decoding, measured.
bench-decode:
    cargo bench --package tripod-otlp

# What the SDK costs a request, against bare axum and the stock stack; with TRIPOD_BENCH_PYTHON set, Python as well.
bench-sdk *arguments:
    cargo run --release --package tripod-bench-sdk -- {{arguments}}
