//! What the terminal says, in English and in Spanish.

use std::time::Duration;

use model::receipt::Language;
use simulator::bot::Attempt;

/// The texts of one language, plain where nobody wants colours.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    language: Language,
    colours: bool,
}

impl Words {
    /// The language of the environment (`GANCHO_LANGUAGE`, `LC_ALL`, `LC_MESSAGES`, `LANG`); no colours with
    /// `NO_COLOR`, or where the output is not a terminal.
    pub fn of(environment: impl Fn(&str) -> Option<String>) -> Words {
        let named = ["GANCHO_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(&environment);
        let is_spanish = named.is_some_and(|name| name.starts_with("es"));
        let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stdout());
        Words {
            language: if is_spanish { Language::Spanish } else { Language::English },
            colours: is_terminal && environment("NO_COLOR").is_none(),
        }
    }

    fn pick<'w>(&self, english: &'w str, spanish: &'w str) -> &'w str {
        match self.language {
            Language::English => english,
            Language::Spanish => spanish,
        }
    }

    fn paint(&self, code: u8, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// The demo's first lines.
    pub fn demo_begins(&self, address: &str) -> String {
        let title = self.paint(1, self.pick("Gancho demo", "Demostración de Gancho"));
        let what = self.pick(
            "Ana writes on WhatsApp; the gateway proves, stores and acknowledges; a bot receives and answers.",
            "Ana escribe por WhatsApp; la pasarela verifica, guarda y confirma; un bot recibe y responde.",
        );
        format!("{title}  {address}\n{what}\n")
    }

    /// One message was acknowledged.
    pub fn demo_acknowledged(&self, text: &str, latency: Duration) -> String {
        let stored = self.pick("on disk, then 200", "en disco y luego 200");
        let took = latency.as_secs_f64() * 1e3;
        format!("  {} {text:<12} {stored}  {took:.1} ms", self.paint(36, "Ana → gancho"))
    }

    /// One event was delivered.
    pub fn demo_delivered(&self, attempt: &Attempt) -> String {
        let kind = attempt.event_type.as_deref().unwrap_or("?");
        let text = attempt.body.as_ref().and_then(|body| body.pointer("/data/message/text")?.as_str());
        format!("  {} {kind:<20} {}", self.paint(32, "gancho → bot"), text.unwrap_or_default())
    }

    /// Everything arrived.
    pub fn demo_ends(&self, messages: usize, replies: usize, steps: usize) -> String {
        let mark = self.paint(32, "✓");
        match self.language {
            Language::English => format!(
                "{mark} {messages} messages delivered exactly once, in order; {replies} replies sent; {steps} statuses returned"
            ),
            Language::Spanish => format!(
                "{mark} {messages} mensajes entregados exactamente una vez y en orden; {replies} respuestas enviadas; {steps} estados de vuelta"
            ),
        }
    }

    /// The gateway stays open.
    pub fn demo_stays(&self, address: &str, token: &str) -> String {
        let look = self
            .pick("The gateway stays open. Look around:", "La pasarela sigue abierta. Échale un vistazo:");
        let end = self.pick("Ctrl-C ends it and removes its data.", "Ctrl-C la termina y borra sus datos.");
        format!("\n{look}\n  curl -H 'Authorization: Bearer {token}' {address}/v1/events\n{end}")
    }
}
