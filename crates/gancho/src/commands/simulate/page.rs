//! The page as HTML. Everything that comes from outside is escaped.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::state::{at_the_bot, clock, nothing_yet, on_the_platform};
use super::texts::Texts;
use super::thread::{Entry, Said, Side, Thread};

/// The longest message, in characters.
pub(super) const TEXT_MAX: usize = 4096;
/// The longest name, in characters.
pub(super) const NAME_MAX: usize = 60;

/// What is simulated, and for whom.
pub(super) struct About {
    pub(super) platform: &'static str,
    /// Where the bot is; nobody's where it is ours.
    pub(super) bot: Option<String>,
    pub(super) gateway: String,
}

/// What a page is made of besides the conversation.
pub(super) struct View<'v> {
    pub(super) about: &'v About,
    pub(super) texts: &'v Texts,
    /// The name that the customer has chosen.
    pub(super) name: &'v str,
    /// Whether answers are let fail; `None` where the platform has no such choice.
    pub(super) lets_fail: Option<bool>,
    /// Shows that a form is of this page.
    pub(super) form_token: &'v str,
    /// Why what was sent has not come in, and what was sent.
    pub(super) notice: Option<(&'v str, &'v str)>,
}

/// Text as HTML, also within quotes.
pub(super) fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            letter => html.push(letter),
        }
    }
    html
}

/// The whole page.
pub(super) fn page(view: &View<'_>, thread: &Thread) -> String {
    let View { about, texts, name, .. } = view;
    let entries: String = thread.entries.iter().map(|one| entry(one, texts)).collect();
    let Texts { tag, title, to_form, conversation, live, lost, still, reload, newer, .. } = texts;
    let platform = called(about.platform);
    format!(
        r##"<!doctype html>
<html lang="{tag}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name} · {platform} · {title}</title>
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/simulate.css">
<script src="/simulate.js" defer></script>
</head>
<body data-page="{page}" data-live="{live}" data-lost="{lost}">
<a class="skip" href="#text">{to_form}</a>
<header class="bar">
<img class="mark" src="/icon.svg" alt="" width="28" height="28">
<h1>{title} <span class="platform">{platform}</span></h1>
<p class="link" id="link" role="status" hidden></p>
<noscript><p class="link">{still} <a href="/">{reload}</a></p></noscript>
</header>
<main>
<section class="chat">
<div class="scroll" id="scroll" tabindex="0" role="log" aria-live="polite" aria-label="{conversation}">
{empty}
<ol class="log" id="log">{entries}</ol>
</div>
<button class="newer" id="newer" type="button" hidden>{newer}</button>
{form}
</section>
<aside>
<div id="bot">{panel}</div>
{how}
</aside>
</main>
</body>
</html>
"##,
        name = escaped(name),
        page = mark(view.form_token),
        empty = empty(texts),
        form = form(view),
        panel = panel(about, texts, thread),
        how = how(about, texts),
    )
}

/// What stands there before anybody has written.
fn empty(texts: &Texts) -> String {
    let [first, second, third] = texts.empty;
    format!(
        r#"<div class="empty"><h2>{}</h2><ol><li>{first}</li><li>{second}</li><li>{third}</li></ol></div>"#,
        texts.empty_title
    )
}

fn form(view: &View<'_>) -> String {
    let Texts { name, message, hint, send, .. } = view.texts;
    let (notice, text) = view.notice.unwrap_or_default();
    let is_hidden = if notice.is_empty() { " hidden" } else { "" };
    format!(
        r#"<form class="say" id="say" method="post" action="/messages">
<p class="notice" id="notice" role="alert"{is_hidden}>{notice}</p>
<input type="hidden" name="token" value="{token}">
<label class="name"><span>{name}</span><input name="name" value="{who}" maxlength="{NAME_MAX}" autocomplete="off" spellcheck="false"></label>
<label class="text"><span>{message}</span><textarea id="text" name="text" rows="1" maxlength="{TEXT_MAX}" required autofocus aria-describedby="hint" placeholder="{message}">{text}</textarea></label>
<button class="send" type="submit"><svg viewBox="0 0 16 16" aria-hidden="true"><path d="M2 8L14 2.5L10.5 14L8 9.2zM8 9.2L14 2.5"/></svg><span>{send}</span></button>
<div class="foot"><p class="hint" id="hint">{hint}</p>{choice}</div>
</form>"#,
        choice = choice(view),
        notice = escaped(notice),
        token = escaped(view.form_token),
        who = escaped(view.name),
        text = escaped(text),
    )
}

/// Lets what the bot answers from now on fail, so that it can be seen what the bot makes of that.
fn choice(view: &View<'_>) -> String {
    let Some(is_on) = view.lets_fail else { return String::new() };
    let checked = if is_on { " checked" } else { "" };
    format!(
        r#"<label class="choice"><input type="checkbox" name="fail" value="on"{checked}><span>{}</span></label>"#,
        view.texts.let_fail
    )
}

/// What is known of the bot: where it is, and how the last event fared there.
pub(super) fn panel(about: &About, texts: &Texts, thread: &Thread) -> String {
    let place = about.bot.as_deref().unwrap_or(texts.our_bot);
    let health = match &thread.bot {
        Some(reached) => at_the_bot(reached, texts),
        None => nothing_yet(texts),
    };
    format!(
        r#"<h2>{}</h2><p class="place">{}</p><p class="health">{health}</p>"#,
        texts.your_bot,
        escaped(place)
    )
}

fn how(about: &About, texts: &Texts) -> String {
    let body = r#"{"conversation": "cnv_…", "type": "text", "text": {"body": "¡hola!"}}"#;
    let call = format!(
        "POST {}/v1/messages\nAuthorization: Bearer …\nContent-Type: application/json\n\n{body}",
        about.gateway
    );
    format!(
        r#"<details id="how"><summary>{}</summary><p>{}</p><pre tabindex="0"><code>{}</code></pre><p>{}</p></details>"#,
        texts.how,
        texts.how_before,
        escaped(&call),
        texts.how_after
    )
}

/// One message.
pub(super) fn entry(entry: &Entry, texts: &Texts) -> String {
    let (side, who, state) = match &entry.side {
        Side::Customer(name, reached) => {
            let who = if name.is_empty() { texts.you.to_owned() } else { name.clone() };
            ("customer", who, reached.as_ref().map_or_else(String::new, |one| at_the_bot(one, texts)))
        }
        Side::Bot(progress) => ("bot", texts.bot.to_owned(), on_the_platform(progress, texts)),
    };
    let said = match &entry.said {
        Said::Text(text) => escaped(text),
        Said::Other(kind, words) => {
            format!(r#"<span class="kind">{}</span> {}"#, texts.kind(kind), escaped(words))
        }
    };
    let at = clock(entry.at);
    let inside = format!(
        r#"<p class="who">{}</p><p class="said" dir="auto">{said}</p><p class="states" aria-live="off">{at}{state}</p>"#,
        escaped(&who)
    );
    format!(r#"<li id="{}" class="{side}" data-mark="{}">{inside}</li>"#, escaped(&entry.id), mark(&inside))
}

/// What tells one state of something from another.
pub(super) fn mark(html: &str) -> String {
    let mut hasher = DefaultHasher::new();
    html.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// What people call a platform.
fn called(platform: &str) -> &str {
    match platform {
        "whatsapp" => "WhatsApp",
        "whatsapp_onpremises" => "WhatsApp on-premises",
        "dialog360" => "360dialog",
        "telegram" => "Telegram",
        "messenger" => "Messenger",
        "instagram" => "Instagram",
        "discord" => "Discord",
        "wati" => "WATI",
        "line" => "LINE",
        "slack" => "Slack",
        "viber" => "Viber",
        "twilio" => "Twilio",
        other => other,
    }
}

#[cfg(test)]
mod tests;
