//! What most stories begin with.

use std::path::Path;

use testkit::place::{Engine, Place};
use testkit::process::{Gancho, free_address};
use testkit::receiver::{Manner, Receiver};
use testkit::scene::{Scene, open};
use testkit::sender::{client, message, post_signed};

/// A gateway with one WhatsApp source and one endpoint.
pub(crate) struct Story {
    pub(crate) place: Place,
    pub(crate) gancho: Gancho,
    pub(crate) scene: Scene,
    pub(crate) receiver: Receiver,
    pub(crate) url: String,
}

impl Story {
    /// Begins with a well-behaved endpoint that takes a hundred at a time.
    pub(crate) async fn begin(engine: Engine) -> anyhow::Result<Option<Story>> {
        let Some(place) = Place::fresh(engine).await? else { return Ok(None) };
        let store = open(&place).await?;
        let scene = Scene::build(&store).await?;
        let receiver = Receiver::start(Manner::Good).await?;
        scene.endpoint(&store, receiver.url(), |endpoint| endpoint.concurrency = 100).await?;
        drop(store);
        let address = free_address()?;
        let gancho = Gancho::start(Path::new(env!("CARGO_BIN_EXE_gancho")), &place, address, &[]).await?;
        let url = format!("http://{address}/in/{}", scene.source);
        Ok(Some(Story { place, gancho, scene, receiver, url }))
    }

    /// Ends the gateway and opens its store to see what it kept.
    pub(crate) async fn kept(self) -> anyhow::Result<(store::Store, Place)> {
        anyhow::ensure!(self.gancho.stop().await?, "it ends well");
        Ok((open(&self.place).await?, self.place))
    }

    /// Sends one message of a contact and expects it to be acknowledged.
    pub(crate) async fn receives(&self, id: &str, contact: u64, text: &str) -> anyhow::Result<()> {
        let answer = post_signed(&client(), &self.url, &message(id, contact, text)).await?;
        anyhow::ensure!(answer.status == 200, "answered {}", answer.status);
        Ok(())
    }
}
