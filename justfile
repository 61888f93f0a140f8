# What there is to run. `cargo dev` and `cargo test --workspace` need no more than Rust; the rest is here.

# List the recipes.
default:
    @just --list --unsorted

# Everything on one machine: Postgres, the stand-ins, the api, the worker and the mailbox page.
dev:
    cargo dev

# All tests.
test:
    cargo test --workspace

# The chaos test, longer (seconds) or once more (the seed that a run printed at its start).
chaos seconds="60" seed="":
    CHAOS_SECONDS={{seconds}} CHAOS_SEED={{seed}} cargo test -p tests --test chaos -- --nocapture

# The accessibility checker that the browser tests inject (needs npm).
_axe:
    cd tests/browser/axe && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error

# All pages in a headless browser, and axe on each (needs npm, and Debian's chromium and chromium-driver, or the like).
browser-test: _axe
    cargo test --workspace --features tests/browser --test browser -- --test-threads=2

# The same, and its pictures into docs/images.
browser-pictures: _axe
    SCREENSHOTS="$PWD/docs/images" cargo test --workspace --features tests/browser --test browser pictures

# The programs behind a connection pooler (needs pgbouncer).
pgbouncer-test:
    cargo test --workspace --features tests/pgbouncer --test pgbouncer

# Both programs on a Patroni cluster that fails over: eight minutes, or a part such as `shutdown-kill` (brings its programs on Debian).
ha-test only="":
    PATH="$(tests/ha/install):$PATH" HA_ONLY={{only}} cargo test --workspace --features tests/ha --test ha -- --nocapture

# Format, clippy, docs and alert rules, each without a warning.
lint: alerts
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo clippy --workspace --features tests/browser,tests/ha,tests/pgbouncer --test browser --test ha --test pgbouncer -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

# Whether the alert rules do what they say and the dashboard parses (needs promtool: Debian's package prometheus).
alerts:
    deploy/check-rules

# Write the OpenAPI document anew after a change of the api.
openapi:
    cargo run --quiet --bin magic-link-api -- openapi > openapi/openapi.json

# Write docs/settings.md, and the example that `magic-link-worker example-env` prints, anew after a change of a setting.
settings:
    cargo run --quiet --example write_settings

# What two linters say of the document: nothing, or it fails (needs npm).
openapi-lint:
    cd openapi/tools && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
    cd openapi/tools && REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true npx --no-install redocly lint --config ../redocly.yaml ../openapi.json
    cd openapi/tools && npx --no-install spectral lint --ruleset ../spectral.yaml --fail-severity=hint ../openapi.json

# What would break callers of the last release (needs go, once there is a release). Advisory.
openapi-breaking:
    openapi/tools/breaking

# schemathesis, pinned, in a virtual environment of its own (needs python3 with venv).
_schemathesis:
    test -x target/schemathesis/bin/python || python3 -m venv target/schemathesis
    target/schemathesis/bin/python -m pip install --quiet --disable-pip-version-check --requirement openapi/contract/requirements.txt

# Whether a live api answers as the document says: over 2,000 requests made from it, always the same ones.
contract-test: _schemathesis
    cargo run --quiet --bin sandbox -- api target/schemathesis/bin/python openapi/contract/run.py --seed 1 --generation-deterministic

# The same with many more requests, and fresh ones; what fails is shown as a curl that repeats it.
fuzz examples="10000" seed=`shuf -i 1-1000000000 -n 1`: _schemathesis
    cargo run --quiet --bin sandbox -- api target/schemathesis/bin/python openapi/contract/run.py --seed {{seed}} --max-examples {{examples}}

# Clients in TypeScript, Python and Rust into target/sdk, compiled and type-checked (needs npm, and python3 with venv).
sdk:
    openapi/sdks/generate

# Each of the three against a live api: 200, 400, 429, 503.
sdk-test: sdk
    cargo run --quiet --bin sandbox -- api openapi/sdks/test

# Write .sqlx anew after a change of a query or a migration (needs `cargo install sqlx-cli`).
sqlx:
    cargo run --quiet --bin sandbox -- database -- cargo sqlx prepare --workspace

# Whether .sqlx is what the queries and migrations say.
sqlx-check:
    cargo run --quiet --bin sandbox -- database -- cargo sqlx prepare --workspace --check

# Whether the dependencies' licences, sources and bans hold (needs `cargo install cargo-deny`).
deny:
    cargo deny check bans licenses sources

# Fuzz the parsers of what callers send, each for so many minutes (needs `cargo install cargo-fuzz` and a C++ compiler).
fuzz-parsers minutes="10":
    fuzz/run {{minutes}}

# Whether the fuzz targets build and hold on their seeds (needs a C++ compiler).
fuzz-seeds:
    fuzz/try-seeds

# All that a change must pass, from the cheapest to the dearest.
check: lint test pgbouncer-test browser-test openapi-lint contract-test sdk-test openapi-breaking sqlx-check deny
