//! Writes the reference pages anew: `cargo run -p gancho --example reference docs/reference`.

use std::path::PathBuf;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let into: PathBuf = std::env::args_os().nth(1).map_or("docs/reference".into(), PathBuf::from);
    let folder = tempfile::tempdir()?;
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    for (file, text) in gancho::reference::pages(folder.path()).await? {
        std::fs::write(into.join(file), text)?;
    }
    Ok(())
}
