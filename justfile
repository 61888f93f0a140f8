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

# Format, clippy, docs and alert rules, each without a warning.
lint: alerts
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

# Whether the alert rules do what they say and the dashboard parses (needs promtool: Debian's package prometheus).
alerts:
    deploy/check-rules

# Write the OpenAPI document anew after a change of the api.
openapi:
    cargo run --quiet --bin magic-link-api -- openapi > openapi/openapi.json

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
check: lint test sqlx-check deny
