//! The reference pages say what the code does.

use std::path::Path;

#[tokio::test(flavor = "multi_thread")]
async fn the_kept_pages_are_those_that_are_made() -> anyhow::Result<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let folder = tempfile::tempdir()?;
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference");
    for (file, made) in gancho::reference::pages(folder.path()).await? {
        assert!(
            std::fs::read_to_string(kept.join(file)).is_ok_and(|kept| kept == made),
            "{file} is not what the code says: cargo run -p gancho --example reference, and look at the difference"
        );
    }
    Ok(())
}
