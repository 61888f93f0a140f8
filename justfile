# `cargo dev` and `cargo test --workspace` need only Rust, a C compiler, and Postgres or a network connection to
# download it. The comments of the other recipes list what else they need.

# List the recipes.
default:
    @just --list --unsorted

# Run Postgres, the api, the worker, two example portals, and stand-ins for Supabase and Mailgun on this machine.
dev:
    cargo dev

# Run the workspace's tests, except those that need a browser, PgBouncer or Patroni.
test:
    cargo test --workspace

# Run the chaos test for this many seconds. To repeat a run, pass the seed that it printed.
chaos seconds="60" seed="":
    CHAOS_SECONDS={{seconds}} CHAOS_SEED={{seed}} cargo test --workspace --test chaos -- --nocapture

# Install what the browser tests need: the accessibility checker, and the server-rendered example portal's packages.
_browser-packages:
    cd tests/browser/axe && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
    cd openapi/examples/portal-ssr && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error

# Test all pages in a headless browser, with axe (needs npm with Node 20, chromium and chromedriver).
browser-test: _browser-packages
    cargo test --workspace --features tests/browser --test browser -- --test-threads=2

# Take the screenshots in docs/images (needs what `browser-test` needs).
browser-pictures: _browser-packages
    SCREENSHOTS="$PWD/docs/images" cargo test --workspace --features tests/browser --test browser pictures

# Check the HTML and CSS of all mails against the features that mail clients support (needs npm with Node 20).
mail-client-test:
    cd tests/mail-clients && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
    cd tests/mail-clients && node --test
    rm -rf target/mail-clients
    cargo run --quiet --bin magic-link-worker -- mail preview --out target/mail-clients
    PORTALS_FILE=tests/mail-clients/portals.toml cargo run --quiet --bin magic-link-worker -- mail preview --out target/mail-clients
    node tests/mail-clients/check.mjs target/mail-clients

# Test the programs behind a connection pooler (needs pgbouncer).
pgbouncer-test:
    cargo test --workspace --features tests/pgbouncer --test pgbouncer

# Test failovers of a Patroni cluster for eight minutes, or only one part, such as `shutdown-kill` (needs Debian).
ha-test only="":
    PATH="$(tests/ha/install):$PATH" HA_ONLY={{only}} cargo test --workspace --features tests/ha --test ha -- --nocapture

# Check the formatting, clippy, the docs and the alert rules (needs promtool). Warnings are errors.
lint: alerts
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo clippy --workspace --features tests/browser,tests/ha,tests/pgbouncer --test browser --test ha --test pgbouncer -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

# Test the alert rules and parse the dashboard (needs promtool, from Debian's package prometheus).
alerts:
    deploy/check-rules

# Write openapi/openapi.json after a change to the api.
openapi:
    cargo run --quiet --bin magic-link-api -- openapi > openapi/openapi.json

# Write docs/settings.md, and the example that `magic-link-worker example-env` prints, after a change to a setting.
settings:
    cargo run --quiet --example write_settings

# Lint the OpenAPI document with redocly and spectral (needs npm).
openapi-lint:
    cd openapi/tools && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
    cd openapi/tools && REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true npx --no-install redocly lint --config ../redocly.yaml ../openapi.json
    cd openapi/tools && npx --no-install spectral lint --ruleset ../spectral.yaml --fail-severity=hint ../openapi.json

# List API changes since the last release that would break callers. Never fails because of them (needs go).
openapi-breaking:
    openapi/tools/breaking

# Install the pinned schemathesis in a virtual environment (needs python3 with venv).
_schemathesis:
    test -x target/schemathesis/bin/python || python3 -m venv target/schemathesis
    target/schemathesis/bin/python -m pip install --quiet --disable-pip-version-check --requirement openapi/contract/requirements.txt

# Check a live api against the OpenAPI document with over 2,000 requests, always the same (needs python3 with venv).
contract-test: _schemathesis
    cargo run --quiet --bin sandbox -- api target/schemathesis/bin/python openapi/contract/run.py --seed 1 --generation-deterministic

# Like contract-test, but with many more requests and a random seed. Prints each failure as a curl command.
fuzz examples="10000" seed=`shuf -i 1-1000000000 -n 1`: _schemathesis
    cargo run --quiet --bin sandbox -- api target/schemathesis/bin/python openapi/contract/run.py --seed {{seed}} --max-examples {{examples}}

# Generate TypeScript, Python and Rust clients into target/sdk, and type-check them (needs npm, and python3 with venv).
sdk:
    openapi/sdks/generate

# Test the generated clients against a live api: responses 200, 400, 429 and 503 (needs what `sdk` needs).
sdk-test: sdk
    cargo run --quiet --bin sandbox -- api openapi/sdks/test

# Write .sqlx after a change to a query or a migration (needs `cargo install sqlx-cli`).
sqlx:
    cargo run --quiet --bin sandbox -- database -- cargo sqlx prepare --workspace

# Check that .sqlx matches the queries and migrations (needs `cargo install sqlx-cli`).
sqlx-check:
    cargo run --quiet --bin sandbox -- database -- cargo sqlx prepare --workspace --check

# Check the dependencies' licences, sources and bans (needs `cargo install cargo-deny`).
deny:
    cargo deny check bans licenses sources

# Fuzz each parser of untrusted input for this many minutes (needs `cargo install cargo-fuzz` and a C++ compiler).
fuzz-parsers minutes="10":
    fuzz/run {{minutes}}

# Build the fuzz targets and run them on their seeds (needs a C++ compiler).
fuzz-seeds:
    fuzz/try-seeds

# Build the Debian package of both programs into target/debian (needs `cargo install cargo-deb`).
deb:
    deploy/debian/build

# Test the Debian package in a container (needs root, cargo-deb, lintian, mmdebstrap, systemd-container and shellcheck).
deb-test:
    shellcheck deploy/debian/build deploy/debian/test deploy/debian/test-inside
    deploy/debian/test

# Run everything that a change must pass, in the same order as .ci/run.
check: lint test pgbouncer-test fuzz-seeds browser-test mail-client-test openapi-lint openapi-breaking contract-test sdk-test sqlx-check deny deb-test
