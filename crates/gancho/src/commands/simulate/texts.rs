//! What the page says, in English and in Spanish.

use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;

/// The texts of one language.
#[derive(Debug)]
pub(super) struct Texts {
    pub(super) tag: &'static str,
    pub(super) title: &'static str,
    pub(super) to_form: &'static str,
    pub(super) conversation: &'static str,
    pub(super) live: &'static str,
    pub(super) lost: &'static str,
    pub(super) still: &'static str,
    pub(super) reload: &'static str,
    pub(super) newer: &'static str,
    pub(super) empty_title: &'static str,
    pub(super) empty: [&'static str; 3],
    pub(super) you: &'static str,
    pub(super) bot: &'static str,
    pub(super) name: &'static str,
    pub(super) message: &'static str,
    pub(super) hint: &'static str,
    pub(super) send: &'static str,
    pub(super) let_fail: &'static str,
    pub(super) your_bot: &'static str,
    pub(super) our_bot: &'static str,
    pub(super) how: &'static str,
    pub(super) how_before: &'static str,
    pub(super) how_after: &'static str,
    pub(super) taken: &'static str,
    pub(super) waits: &'static str,
    pub(super) under_way: &'static str,
    pub(super) failing: &'static str,
    pub(super) held: &'static str,
    pub(super) dead: &'static str,
    pub(super) cancelled: &'static str,
    pub(super) attempt: &'static str,
    pub(super) next_try: &'static str,
    pub(super) no_answer: &'static str,
    pub(super) quiet: &'static str,
    pub(super) on_its_way: &'static str,
    pub(super) accepted: &'static str,
    pub(super) sent: &'static str,
    pub(super) delivered: &'static str,
    pub(super) read: &'static str,
    pub(super) played: &'static str,
    pub(super) failed: &'static str,
    pub(super) unknown: &'static str,
    pub(super) kinds: &'static [(&'static str, &'static str)],
    pub(super) too_long: &'static str,
    pub(super) not_ours: &'static str,
    pub(super) not_stored: &'static str,
    pub(super) not_readable: &'static str,
    pub(super) crowded: &'static str,
}

static ENGLISH: Texts = Texts {
    tag: "en",
    title: "Gancho simulation",
    to_form: "Skip to the message",
    conversation: "Conversation",
    live: "live",
    lost: "connecting again…",
    still: "Without JavaScript the page does not move by itself.",
    reload: "Reload",
    newer: "New messages ↓",
    empty_title: "Write first",
    empty: [
        "You are the customer. What you write reaches the gateway as the platform would send it: signed.",
        "The gateway stores it and delivers it to your bot. You see here whether your bot took it.",
        "Your bot answers through the gateway, and you see here how far the answer came.",
    ],
    you: "You, the customer",
    bot: "Bot",
    name: "Your name",
    message: "Message",
    hint: "Enter sends · Shift + Enter begins a line",
    send: "Send",
    let_fail: "Answers to this do not arrive",
    your_bot: "Your bot",
    our_bot: "one of ours, which says everything again",
    how: "How your bot answers",
    how_before: "Every event names its conversation in context.conversation. Answer there:",
    how_after: "The token and the endpoint's secret are where the simulation was started.",
    taken: "your bot took it",
    waits: "waits for your bot",
    under_way: "your bot has it now",
    failing: "your bot did not take it",
    held: "held: the endpoint is paused or disabled",
    dead: "given up",
    cancelled: "called off",
    attempt: "attempt",
    next_try: "again at",
    no_answer: "no answer",
    quiet: "has not been sent anything yet",
    on_its_way: "on its way",
    accepted: "accepted",
    sent: "sent",
    delivered: "delivered",
    read: "read",
    played: "played",
    failed: "failed",
    unknown: "unknown whether the platform took it",
    kinds: &[
        ("image", "Image"),
        ("video", "Video"),
        ("audio", "Audio"),
        ("document", "Document"),
        ("sticker", "Sticker"),
        ("reaction", "Reaction"),
        ("interactive", "Buttons or list"),
        ("template", "Template"),
        ("location", "Location"),
        ("contacts", "Contacts"),
    ],
    too_long: "A message has 1 to 4,096 characters.",
    not_ours: "This did not come from this page as it is now. Reload it and send again.",
    not_stored: "The gateway did not acknowledge it; the platform sends it again by itself.",
    not_readable: "The conversation cannot be read now. Reload the page.",
    crowded: "The page is open too often.",
};

static SPANISH: Texts = Texts {
    tag: "es",
    title: "Simulación de Gancho",
    to_form: "Ir al mensaje",
    conversation: "Conversación",
    live: "en vivo",
    lost: "conectando de nuevo…",
    still: "Sin JavaScript la página no se actualiza sola.",
    reload: "Recargar",
    newer: "Mensajes nuevos ↓",
    empty_title: "Escribe primero",
    empty: [
        "Eres el cliente. Lo que escribes llega a la pasarela como lo enviaría la plataforma: firmado.",
        "La pasarela lo guarda y lo entrega a tu bot. Aquí ves si tu bot lo aceptó.",
        "Tu bot responde a través de la pasarela, y aquí ves hasta dónde llegó la respuesta.",
    ],
    you: "Tú, el cliente",
    bot: "Bot",
    name: "Tu nombre",
    message: "Mensaje",
    hint: "Intro envía · Mayús + Intro empieza una línea",
    send: "Enviar",
    let_fail: "Las respuestas a esto no llegan",
    your_bot: "Tu bot",
    our_bot: "uno nuestro, que lo repite todo",
    how: "Cómo responde tu bot",
    how_before: "Cada evento nombra su conversación en context.conversation. Responde ahí:",
    how_after: "El token y el secreto del endpoint están donde se inició la simulación.",
    taken: "tu bot lo aceptó",
    waits: "espera a tu bot",
    under_way: "tu bot lo tiene ahora",
    failing: "tu bot no lo aceptó",
    held: "retenido: el endpoint está en pausa o desactivado",
    dead: "sin más intentos",
    cancelled: "cancelado",
    attempt: "intento",
    next_try: "otra vez a las",
    no_answer: "sin respuesta",
    quiet: "aún no se le ha enviado nada",
    on_its_way: "en camino",
    accepted: "aceptado",
    sent: "enviado",
    delivered: "entregado",
    read: "leído",
    played: "reproducido",
    failed: "falló",
    unknown: "no se sabe si la plataforma lo aceptó",
    kinds: &[
        ("image", "Imagen"),
        ("video", "Vídeo"),
        ("audio", "Audio"),
        ("document", "Documento"),
        ("sticker", "Sticker"),
        ("reaction", "Reacción"),
        ("interactive", "Botones o lista"),
        ("template", "Plantilla"),
        ("location", "Ubicación"),
        ("contacts", "Contactos"),
    ],
    too_long: "Un mensaje tiene de 1 a 4096 caracteres.",
    not_ours: "Esto no vino de esta página tal como está ahora. Recárgala y envíalo otra vez.",
    not_stored: "La pasarela no lo confirmó; la plataforma lo envía otra vez por sí sola.",
    not_readable: "Ahora no se puede leer la conversación. Recarga la página.",
    crowded: "La página está abierta demasiadas veces.",
};

impl Texts {
    /// The language of ours with the highest weight in `Accept-Language` (RFC 9110 12.5.4); English otherwise.
    pub(super) fn of(headers: &HeaderMap) -> &'static Texts {
        let accepted = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut best = (0.0, &ENGLISH);
        for range in accepted.split(',') {
            let (tag, parameters) = range.split_once(';').unwrap_or((range, "q=1"));
            let weight = parameters.trim().strip_prefix("q=").and_then(|text| text.parse::<f32>().ok());
            let texts = match tag.trim().split('-').next() {
                Some(tag) if tag.eq_ignore_ascii_case("es") => &SPANISH,
                Some(tag) if tag.eq_ignore_ascii_case("en") => &ENGLISH,
                _ => continue,
            };
            if weight.is_some_and(|weight| weight > best.0) {
                best = (weight.unwrap_or_default(), texts);
            }
        }
        best.1
    }

    /// What people call a kind of message.
    pub(super) fn kind(&self, kind: &str) -> &'static str {
        self.kinds.iter().find(|(name, _)| *name == kind).map_or("", |(_, words)| words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn the_heavier_language_of_ours_wins_and_english_is_the_rest() {
        for (accepted, tag) in
            [("es-CO,es;q=0.9,en;q=0.8", "es"), ("fr, en;q=0.9, es;q=0.1", "en"), ("fr", "en"), ("ES", "es")]
        {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, HeaderValue::from_static(accepted));
            assert_eq!(Texts::of(&headers).tag, tag, "{accepted}");
        }
        assert_eq!(Texts::of(&HeaderMap::new()).tag, "en");
    }
}
