# Every command a person types. Each is one line, so that it can be typed without `just` as well.

# Lists the commands.
default:
    @just --list

# Shows a conversation go through, with nothing to set up.
demo:
    cargo run --release -- demo

# Runs the gateway.
serve:
    cargo run --release -- serve

# Runs everything that CI runs.
ci:
    scripts/test

# Tests one crate: `just test store`.
test crate:
    cargo test -p {{crate}}

# Checks the rules of the repository.
tidy:
    cargo test -p tidy

# Measures: `just bench ingest --seconds 5`.
bench *arguments:
    cargo run --release -- bench {{arguments}}

# Accepts changed snapshots after looking at each; needs cargo-insta.
review:
    cargo insta review

# Checks licences, advisories and sources of dependencies; the advisories are fetched from GitHub.
deny:
    scripts/deny all
