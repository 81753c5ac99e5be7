//! The event types that have a meaning of ours, with what they mean in English and in Spanish.

/// Every event type of ours; what only a platform says is named behind a prefix and not here.
pub const OURS: &[(&str, (&str, &str))] = &[
    ("message.received", ("the contact wrote a message", "el contacto escribió un mensaje")),
    ("message.edited", ("the contact changed a message", "el contacto cambió un mensaje")),
    ("message.deleted", ("the contact took a message back", "el contacto retiró un mensaje")),
    (
        "message.reaction",
        (
            "somebody reacted to a message, or took a reaction back (`emoji` is `null`)",
            "alguien reaccionó a un mensaje o retiró su reacción (`emoji` es `null`)",
        ),
    ),
    (
        "message.echo",
        (
            "a person or another program wrote on our side",
            "una persona u otro programa escribió de nuestro lado",
        ),
    ),
    ("message.accepted", ("the platform took a message of ours", "la plataforma aceptó un mensaje nuestro")),
    ("message.sent", ("it has left the platform", "ha salido de la plataforma")),
    ("message.delivered", ("it is on the contact's device", "está en el dispositivo del contacto")),
    ("message.read", ("the contact opened it", "el contacto lo abrió")),
    ("message.played", ("the contact listened to the voice note", "el contacto escuchó la nota de voz")),
    (
        "message.failed",
        (
            "it will not arrive; `errors` says why, or that it was called off",
            "no llegará; `errors` dice por qué, o que fue cancelado",
        ),
    ),
    (
        "conversation.created",
        ("somebody wrote on an account for the first time", "alguien escribió por primera vez a una cuenta"),
    ),
    (
        "conversation.handoff",
        ("a person has taken the conversation over", "una persona se hizo cargo de la conversación"),
    ),
    ("conversation.resolved", ("the conversation is done", "la conversación está resuelta")),
    (
        "conversation.reopened",
        (
            "the contact wrote again, or somebody opened it",
            "el contacto volvió a escribir, o alguien la abrió",
        ),
    ),
    ("contact.updated", ("a contact is known by something new", "se conoce algo nuevo de un contacto")),
    (
        "account.updated",
        ("the platform changed something of an account", "la plataforma cambió algo de una cuenta"),
    ),
    (
        "account.alert",
        (
            "the platform warns of an account: limits, quality, a ban",
            "la plataforma advierte sobre una cuenta: límites, calidad, un bloqueo",
        ),
    ),
    (
        "endpoint.disabled",
        (
            "an endpoint failed for too long, or said 410: what it is owed is held",
            "un endpoint falló demasiado tiempo, o dijo 410: lo que se le debe queda retenido",
        ),
    ),
    ("endpoint.recovered", ("a failing endpoint works again", "un endpoint que fallaba vuelve a funcionar")),
    (
        "delivery.dead",
        (
            "no attempts are left for a delivery; it can be replayed",
            "a una entrega no le quedan intentos; se puede reenviar",
        ),
    ),
    (
        "file.failed",
        (
            "a file of a message could not be fetched; `words` says why",
            "no se pudo traer un archivo de un mensaje; `words` dice por qué",
        ),
    ),
    (
        "source.unregistered",
        (
            "the platform no longer calls our URL; `registered_again` says whether it was told to",
            "la plataforma ya no llama a nuestra URL; `registered_again` dice si se volvió a registrar",
        ),
    ),
    (
        "source.silent",
        (
            "nothing has come for unusually long: more than twice the longest silence of the last seven days",
            "no llega nada desde hace más de lo normal: más del doble del silencio más largo de los últimos siete días",
        ),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventType;

    #[test]
    fn every_name_is_well_formed_and_there_once() {
        for (at, (name, (english, spanish))) in OURS.iter().enumerate() {
            assert!(EventType::new(name).is_some() && english != spanish, "{name}");
            assert!(OURS[at + 1..].iter().all(|(other, _)| other != name), "{name}");
        }
    }
}
