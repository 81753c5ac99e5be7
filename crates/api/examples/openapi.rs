//! Writes the OpenAPI document to standard output: `cargo run -p api --example openapi > docs/reference/openapi.json`.

use std::io::Write;

fn main() -> std::io::Result<()> {
    std::io::stdout().write_all(api::openapi::json().as_bytes())
}
