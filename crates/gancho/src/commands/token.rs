//! Makes a token on the store itself, for whoever has no token yet.

use anyhow::Context;
use control::Control;
use control::actor::Actor;
use control::tokens::NewToken;
use model::access::Role;

use crate::app::{World, open_store};
use crate::settings::Config;

/// Makes a token and prints its text, which is never shown again.
#[allow(clippy::print_stdout, reason = "what the user asked to see")]
pub async fn run(config: &Config, name: &str, role: &str) -> anyhow::Result<()> {
    let role = Role::parse(role)
        .with_context(|| format!("there is no role {role}: admin, operator, viewer or sender"))?;
    let world = World::real();
    let control = Control::new(open_store(config, &world).await?, world.random.clone(), None);
    let new = NewToken { name: name.to_owned(), role, app: None, expires_at: None };
    let (_, text) = control.tokens().create(&Actor::console(), new).await?;
    println!("{}", text.expose());
    Ok(())
}
