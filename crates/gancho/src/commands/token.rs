//! stub
/// x
pub async fn run(_config: &crate::settings::Config, _name: &str, _role: &str) -> anyhow::Result<()> { Ok(()) }
