# Shorthands; nothing needs them. `scripts/test` is the check that counts.

# List the recipes
default:
    @just --list --unsorted

# Build the binary; its build script builds the plugins into it
build:
    cargo build --package ml-intern

# Build the first-party plugins for wasm by themselves
plugins:
    cd plugins && cargo build --workspace --target wasm32-wasip2 --release

# Run every check
test:
    scripts/test

# Run the tests and go through changed snapshots (needs cargo-insta)
snap:
    cargo insta test --workspace --review

lint:
    cargo clippy --workspace --all-targets -- -D warnings
    cd plugins && cargo clippy --workspace --target wasm32-wasip2 -- -D warnings

fmt:
    cargo fmt --all
    cd plugins && cargo fmt --all

# Build the documentation of our crates
doc:
    cargo doc --workspace --no-deps

# Measure what must stay fast
bench:
    cargo bench --workspace --benches

# Run the binary: just run -- --help
run *args:
    cargo run --package ml-intern -- {{ args }}

# Check licences, sources and advisories of all dependencies (needs cargo-deny)
deny:
    cargo deny --workspace check
    cd plugins && cargo deny --workspace check --config ../deny.toml
