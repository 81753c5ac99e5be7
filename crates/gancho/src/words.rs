//! What the terminal says, in English and in Spanish.

mod crowd;
mod simulate;

pub use self::simulate::Ready;

use std::time::Duration;

use model::receipt::Language;
use simulator::bot::Attempt;
use simulator::sender::Answered;

use crate::commands::trigger::Advice;

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

    /// The head of the list of samples.
    pub fn trigger_head(&self) -> String {
        let names = [
            self.pick("EVENT", "EVENTO"),
            self.pick("BECOMES", "SE CONVIERTE EN"),
            self.pick("SECRET", "SECRETO"),
        ];
        self.paint(1, &format!("{:<30} {:<48} {}", names[0], names[1], names[2]))
    }

    /// There is no such sample; these are near.
    pub fn trigger_unknown(&self, name: &str, near: &[String]) -> String {
        let unknown = self.pick("there is no sample", "no hay ninguna muestra");
        match near {
            [] => {
                let look = self.pick("shows all there are", "muestra todas las que hay");
                format!("{unknown} {name:?}: `gancho trigger --list` {look}")
            }
            near => format!("{unknown} {name:?}: {}", near.join(", ")),
        }
    }

    /// One request was answered, or was not.
    pub fn trigger_answered(&self, number: u32, name: &str, is_again: bool, answered: &Answered) -> String {
        let again = if is_again { self.pick("(again)", "(otra vez)") } else { "" };
        let took = answered.latency.as_secs_f64() * 1e3;
        let status = match answered.status {
            Some(status) => self.paint(if answered.is_acknowledged() { 32 } else { 31 }, &status.to_string()),
            None => self.paint(31, "---"),
        };
        let said = if answered.is_acknowledged() { "" } else { answered.words.as_str() };
        let line = format!("{number:>5}  {name:<30} {status}  {took:>8.1} ms");
        [line.as_str(), again, said]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("  ")
    }

    /// What to do, on a line of its own.
    pub fn trigger_advice(&self, advice: &Advice) -> String {
        format!("\n       → {}", self.trigger_what_to_do(advice))
    }

    /// What to do about an answer that is not the right one.
    pub fn trigger_what_to_do(&self, advice: &Advice) -> String {
        let text = match advice {
            Advice::Secret { role, public } => return self.trigger_secret(role.as_str(), public.as_deref()),
            Advice::Start => (
                "nobody listens there: is the gateway running?",
                "ahí no escucha nadie: ¿está en marcha la pasarela?",
            ),
            Advice::Url => (
                "no source has this URL: give the source's own with --to, as in http://127.0.0.1:8080/in/src_…",
                "ninguna fuente tiene esta URL: indica la de la fuente con --to, como en http://127.0.0.1:8080/in/src_…",
            ),
            Advice::Later => (
                "the gateway cannot take more now: send again later, or look at /readyz",
                "la pasarela no puede aceptar más ahora: envíalo otra vez más tarde o mira /readyz",
            ),
            Advice::Unsigned => (
                "the source took what was not signed with its secret: its settings accept that",
                "la fuente aceptó lo que no iba firmado con su secreto: sus ajustes lo permiten",
            ),
            Advice::Look => (
                "look at the gateway's log, and whether this is a gateway at all",
                "mira el registro de la pasarela, y si esto es de verdad una pasarela",
            ),
        };
        self.pick(text.0, text.1).to_owned()
    }

    fn trigger_secret(&self, role: &str, public: Option<&str>) -> String {
        match (self.language, public) {
            (Language::English, None) => format!(
                "the secret is not the one that the source has as {role:?}, or the source proves requests in another way: see --source"
            ),
            (Language::Spanish, None) => format!(
                "el secreto no es el que la fuente tiene como {role:?}, o la fuente verifica de otra manera: mira --source"
            ),
            (Language::English, Some(key)) => format!("the source must have this as {role:?}: {key}"),
            (Language::Spanish, Some(key)) => format!("la fuente debe tener esto como {role:?}: {key}"),
        }
    }

    /// Not every request was answered as it should be.
    pub fn trigger_failed(&self, right: u32, all: u32, wants_refusal: bool) -> String {
        match (self.language, wants_refusal) {
            (Language::English, false) => format!("{right} of {all} were acknowledged"),
            (Language::Spanish, false) => format!("se confirmaron {right} de {all}"),
            (Language::English, true) => format!("{right} of {all} were refused"),
            (Language::Spanish, true) => format!("se rechazaron {right} de {all}"),
        }
    }
}
