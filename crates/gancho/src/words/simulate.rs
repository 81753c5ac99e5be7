//! What the simulation says where it was started.

use model::secret::Secret;

use super::Words;

/// What somebody needs who develops a bot.
pub struct Ready<'r> {
    /// The platform that is played.
    pub platform: &'r str,
    /// The page.
    pub page: &'r str,
    /// Where the bot is; nobody's where it is ours.
    pub bot: Option<&'r str>,
    /// What deliveries are signed with.
    pub key: &'r Secret,
    /// Where the gateway is.
    pub gateway: &'r str,
    /// Opens its API.
    pub token: &'r Secret,
}

impl Words {
    /// Everything has started: where it is, and what a bot needs.
    pub fn simulation_ready(&self, ready: &Ready<'_>) -> String {
        let (key, token) = (ready.key.expose(), ready.token.expose());
        let ours = self.pick("one of ours, which says everything again", "uno nuestro, que lo repite todo");
        let rows = [
            (self.pick("page", "página"), self.paint(36, ready.page)),
            (self.pick("your bot", "tu bot"), ready.bot.unwrap_or(ours).to_owned()),
            (self.pick("endpoint secret", "secreto del endpoint"), key.to_owned()),
            (self.pick("gateway's API", "API de la pasarela"), format!("{}/v1", ready.gateway)),
            (self.pick("API token", "token de la API"), token.to_owned()),
        ];
        let title = self.paint(1, self.pick("Gancho simulation", "Simulación de Gancho"));
        let mut said = format!("{title}  {}\n\n", ready.platform);
        for (name, value) in rows {
            said.push_str(&format!("  {name:<22}{value}\n"));
        }
        let answer = self.pick(
            "Your bot answers with the event's context.conversation:",
            "Tu bot responde con el context.conversation del evento:",
        );
        let end = self.pick("Ctrl-C ends it and removes its data.", "Ctrl-C la termina y borra sus datos.");
        said.push_str(&format!(
            "\n{answer}\n  curl -sS {}/v1/messages -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' \\\n    -d '{{\"conversation\": \"cnv_…\", \"type\": \"text\", \"text\": {{\"body\": \"¡hola!\"}}}}'\n\n{end}",
            ready.gateway
        ));
        said
    }

    /// The URL is none that a bot can be at.
    pub fn bot_url_unfit(&self, url: &str) -> String {
        let words = self.pick(
            "cannot be the URL of your bot: https://… anywhere, or http://… on this machine",
            "no puede ser la URL de tu bot: https://… en cualquier sitio, o http://… en esta máquina",
        );
        format!("{url:?} {words}")
    }

    /// Somebody listens there already.
    pub fn page_taken(&self, address: &str) -> String {
        let (before, after) = match self.language {
            model::receipt::Language::English => ("cannot listen on", "choose another address with --listen"),
            model::receipt::Language::Spanish => {
                ("no se puede escuchar en", "elige otra dirección con --listen")
            }
        };
        format!("{before} {address}: {after}")
    }
}
