//! What the demo on several platforms says.

use model::receipt::Language;
use simulator::bot::Attempt;

use super::Words;
use crate::commands::stage::cast::{Heard, steps};

/// How wide the name of a platform is shown.
const NAME: usize = 20;

impl Words {
    /// There is no such platform, or it cannot be written to; these can.
    pub fn platform_unknown(&self, name: &str, known: &[&str]) -> String {
        let (unknown, list) = match self.language {
            Language::English => ("cannot be written to here; these can:", known.join(", ")),
            Language::Spanish => ("no se puede usar aquí; estas sí:", known.join(", ")),
        };
        format!("{name:?} {unknown} {list}")
    }

    /// The first lines.
    pub fn crowd_begins(&self, address: &str, platforms: usize) -> String {
        let title = self.paint(1, self.pick("Gancho demo", "Demostración de Gancho"));
        let what = match self.language {
            Language::English => format!(
                "Ana writes on {platforms} platforms at once; one gateway proves, stores and acknowledges; one bot receives and answers."
            ),
            Language::Spanish => format!(
                "Ana escribe por {platforms} plataformas a la vez; una pasarela verifica, guarda y confirma; un bot recibe y responde."
            ),
        };
        format!("{title}  {address}\n{what}\n")
    }

    /// One message was acknowledged, or its platform sends it again.
    pub fn crowd_acknowledged(&self, platform: &str, text: &str, heard: &Heard) -> String {
        let became = match heard.is_acknowledged {
            true => self.pick("on disk, then 200", "en disco y luego 200").to_owned(),
            false => format!("{}: {}", self.pick("will be sent again", "se enviará otra vez"), heard.words),
        };
        let took = heard.latency.as_secs_f64() * 1e3;
        format!("  {platform:<NAME$} {} {text:<20} {became}  {took:.1} ms", self.paint(36, "Ana → gancho"))
    }

    /// One event was delivered.
    pub fn crowd_delivered(&self, platform: &str, attempt: &Attempt) -> String {
        format!("  {platform:<NAME$} {}", self.demo_delivered(attempt).trim_start())
    }

    /// The head of the table.
    pub fn crowd_head(&self) -> String {
        let names = [
            self.pick("PLATFORM", "PLATAFORMA"),
            self.pick("MESSAGES", "MENSAJES"),
            self.pick("REPLIES", "RESPUESTAS"),
            self.pick("STATUSES", "ESTADOS"),
        ];
        let head = format!("  {:<NAME$} {:>10} {:>11} {:>9}", names[0], names[1], names[2], names[3]);
        self.paint(1, &head)
    }

    /// One platform of the table, with the steps that it tells of.
    pub fn crowd_row(&self, platform: &str, messages: usize, replies: usize, statuses: usize) -> String {
        let steps = steps(platform).join(", ");
        format!("  {platform:<NAME$} {messages:>10} {replies:>11} {statuses:>9}  {steps}")
    }
}
