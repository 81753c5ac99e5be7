//! What is seen: the conversation, and what whoever writes the bot has to know. Everything that people wrote is escaped.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use model::receipt::Language;
use model::time::Timestamp;

use super::room::{Line, NAME_MAX, Opening, TEXT_MAX, Tick};

/// The page's own style, script and icon.
pub(super) const STYLE: &str = include_str!("style.css");
pub(super) const SCRIPT: &str = include_str!("script.js");
pub(super) const ICON: &str = include_str!("icon.svg");

/// The whole page.
pub(super) fn whole(language: Language, opening: &Opening, lines: &[Line]) -> String {
    let say = |english, spanish| pick(language, english, spanish);
    let tongue = pick(language, "en", "es");
    let page = html! {
        (DOCTYPE)
        html lang=(tongue) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Gancho · " (say("simulated WhatsApp", "WhatsApp simulado")) }
                link rel="icon" href="/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="/style.css";
                script src="/script.js" defer {}
            }
            body {
                header {
                    h1 { span aria-hidden="true" { "⚓" } " Gancho " small { (say("simulated WhatsApp", "WhatsApp simulado")) } }
                    p id="state" role="status" data-live=(say("live", "en vivo")) data-lost=(say("reconnecting…", "reconectando…")) {}
                }
                main {
                    section.chat aria-label=(say("Conversation", "Conversación")) {
                        div id="log" role="log" aria-live="polite" tabindex="0" { (PreEscaped(log(language, lines))) }
                        (form(language))
                    }
                    (details(language, opening))
                }
            }
        }
    };
    page.into_string()
}

/// Where the customer writes.
fn form(language: Language) -> Markup {
    let say = |english, spanish| pick(language, english, spanish);
    html! {
        form id="say" method="post" action="/say" {
            label for="name" { (say("Name", "Nombre")) }
            input id="name" name="name" value="Ana" maxlength=(NAME_MAX) autocomplete="off";
            label.hidden for="text" { (say("What the customer writes", "Lo que escribe el cliente")) }
            textarea id="text" name="text" rows="1" maxlength=(TEXT_MAX) required autofocus
                placeholder=(say("Write…", "Escribe…")) {}
            button type="submit" { (say("Send", "Enviar")) }
        }
    }
}

/// What the bot's author has to know.
fn details(language: Language, opening: &Opening) -> Markup {
    let say = |english, spanish| pick(language, english, spanish);
    let facts = [
        (say("Your bot", "Tu bot"), opening.bot_url.as_str()),
        (say("Secret of its deliveries", "Secreto de sus entregas"), opening.bot_secret.expose()),
        (say("API of the gateway", "API de la pasarela"), opening.api.as_str()),
        (say("Token for it", "Token para ella"), opening.token.expose()),
    ];
    let listing =
        format!("curl -H 'Authorization: Bearer {}' {}/v1/deliveries", opening.token.expose(), opening.api);
    html! {
        aside aria-label=(say("For your bot", "Para tu bot")) {
            h2 { (say("For your bot", "Para tu bot")) }
            p { (say(
                "What you write comes to your bot as a signed webhook. It answers with POST /v1/messages.",
                "Lo que escribes llega a tu bot como webhook firmado. Responde con POST /v1/messages.",
            )) }
            dl { @for (name, value) in facts { dt { (name) } dd { code { (value) } } } }
            p { (say("How deliveries stand:", "Cómo van las entregas:")) }
            pre tabindex="0" { code { (listing) } }
            (legend(language))
        }
    }
}

/// What the marks mean.
fn legend(language: Language) -> Markup {
    let all = [Tick::Waiting, Tick::Sent, Tick::Delivered, Tick::Read, Tick::Failed];
    html! {
        ul.legend { @for tick in all { li { (mark(language, true, tick)) " " (word(language, false, tick)) } } }
    }
}

/// The conversation.
pub(super) fn log(language: Language, lines: &[Line]) -> String {
    let shown = html! {
        @for line in lines { (one(language, line)) }
        @if lines.is_empty() {
            p.nothing { (pick(language, "Nothing has been said yet. Write something.", "Aún no se ha dicho nada. Escribe algo.")) }
        }
    };
    // Events are sent line by line, and know no carriage returns.
    shown.into_string().replace('\r', "")
}

fn one(language: Language, line: &Line) -> Markup {
    let side = if line.is_customer { "said customer" } else { "said bot" };
    html! {
        article class=(side) {
            span.who { (line.name) }
            p.text { (line.text) }
            span.foot {
                time datetime=(line.at.to_string()) { (clock(line.at)) " UTC" }
                " " (mark(language, line.is_customer, line.tick))
            }
            @if let Some(words) = &line.words { p.words { (words) } }
        }
    }
}

fn mark(language: Language, is_customer: bool, tick: Tick) -> Markup {
    let (class, sign) = match tick {
        Tick::Waiting => ("tick waiting", "◷"),
        Tick::Sent => ("tick", "✓"),
        Tick::Delivered => ("tick", "✓✓"),
        Tick::Read => ("tick read", "✓✓"),
        Tick::Failed => ("tick failed", "✕"),
    };
    let word = word(language, is_customer, tick);
    html! { span class=(class) role="img" aria-label=(word) title=(word) { (sign) } }
}

fn word(language: Language, is_customer: bool, tick: Tick) -> &'static str {
    let say = |english, spanish| pick(language, english, spanish);
    match (is_customer, tick) {
        (_, Tick::Waiting) => say("waits to be sent", "espera a salir"),
        (true, Tick::Sent) => say("stored; not yet with the bot", "guardado; aún no está en el bot"),
        (true, Tick::Delivered | Tick::Read) => say("the bot has it", "el bot lo tiene"),
        (false, Tick::Sent) => say("sent", "enviado"),
        (false, Tick::Delivered) => say("delivered", "entregado"),
        (false, Tick::Read) => say("read", "leído"),
        (_, Tick::Failed) => say("failed", "falló"),
    }
}

/// Hours, minutes and seconds of the day.
fn clock(at: Timestamp) -> String {
    let second = at.as_secs().rem_euclid(24 * 3600);
    format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

fn pick(language: Language, english: &'static str, spanish: &'static str) -> &'static str {
    match language {
        Language::English => english,
        Language::Spanish => spanish,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_shown_and_never_run() {
        let hostile = "<script>alert(1)</script>\r\n\"'><img src=x onerror=alert(1)>";
        let line = |is_customer| Line {
            is_customer,
            name: hostile.to_owned(),
            text: hostile.to_owned(),
            at: Timestamp::from_secs(0),
            tick: Tick::Failed,
            words: Some(hostile.to_owned()),
        };
        let shown = log(Language::Spanish, &[line(true), line(false)]);
        assert!(!shown.contains("<script") && !shown.contains("<img") && !shown.contains('\r'), "{shown}");
        assert!(
            shown.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && shown.contains("falló"),
            "{shown}"
        );
    }

    #[test]
    fn a_time_of_day_is_written_in_full() {
        assert_eq!(clock(Timestamp::from_secs(1_700_000_000)), "22:13:20");
    }
}
