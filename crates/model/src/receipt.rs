//! Receipts: every request as it came, with what became of it and why.

use crate::id::{ReceiptId, SourceId};

/// What became of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReceiptState {
    /// It was genuine and at least one event of it was new.
    Accepted,
    /// It was genuine, and every event of it had come before.
    Duplicate,
    /// It was the platform's check that the URL is ours, and was answered.
    Answered,
    /// It was not proven genuine.
    Rejected,
    /// Nobody has said whose it is.
    Unrouted,
}

impl ReceiptState {
    /// Every state.
    pub const ALL: [ReceiptState; 5] = [
        ReceiptState::Accepted,
        ReceiptState::Duplicate,
        ReceiptState::Answered,
        ReceiptState::Rejected,
        ReceiptState::Unrouted,
    ];

    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            ReceiptState::Accepted => "accepted",
            ReceiptState::Duplicate => "duplicate",
            ReceiptState::Answered => "answered",
            ReceiptState::Rejected => "rejected",
            ReceiptState::Unrouted => "unrouted",
        }
    }

    /// Reads the name.
    pub fn parse(name: &str) -> Option<ReceiptState> {
        ReceiptState::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// The number it is stored as.
    pub fn code(self) -> i64 {
        ReceiptState::ALL.iter().position(|state| *state == self).map_or(0, |at| at as i64)
    }

    /// Reads the stored number.
    pub fn from_code(code: i64) -> Option<ReceiptState> {
        usize::try_from(code).ok().and_then(|at| ReceiptState::ALL.get(at)).copied()
    }
}

/// A language we speak.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Language {
    /// English.
    English,
    /// Spanish.
    Spanish,
}

/// Why a request was not accepted, in words a person understands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reason {
    /// The signature header is not there.
    SignatureMissing,
    /// The signature header cannot be read.
    SignatureMalformed,
    /// The signature does not match the body.
    SignatureWrong,
    /// The signed time is too far from ours.
    TimestampOutside,
    /// A header that proves something is there more than once.
    HeaderRepeated,
    /// No credential was shown.
    CredentialMissing,
    /// The credential is not the one we know.
    CredentialWrong,
    /// The token has expired.
    CredentialExpired,
    /// The source has no secret to check with.
    SecretNotConfigured,
    /// The verify token is not ours.
    VerifyTokenWrong,
    /// The address is not on the source's list.
    AddressNotAllowed,
    /// The method is not one the platform uses.
    MethodNotAllowed,
    /// The body cannot be read as the platform's.
    BodyUnreadable,
    /// No source has this URL.
    SourceUnknown,
    /// Nobody has said whose account this is.
    AccountUnknown,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Reason; 15] = [
        Reason::SignatureMissing,
        Reason::SignatureMalformed,
        Reason::SignatureWrong,
        Reason::TimestampOutside,
        Reason::HeaderRepeated,
        Reason::CredentialMissing,
        Reason::CredentialWrong,
        Reason::CredentialExpired,
        Reason::SecretNotConfigured,
        Reason::VerifyTokenWrong,
        Reason::AddressNotAllowed,
        Reason::MethodNotAllowed,
        Reason::BodyUnreadable,
        Reason::SourceUnknown,
        Reason::AccountUnknown,
    ];

    /// The fixed name, the same in every language.
    pub fn code(self) -> &'static str {
        match self {
            Reason::SignatureMissing => "signature_missing",
            Reason::SignatureMalformed => "signature_malformed",
            Reason::SignatureWrong => "signature_wrong",
            Reason::TimestampOutside => "timestamp_outside",
            Reason::HeaderRepeated => "header_repeated",
            Reason::CredentialMissing => "credential_missing",
            Reason::CredentialWrong => "credential_wrong",
            Reason::CredentialExpired => "credential_expired",
            Reason::SecretNotConfigured => "secret_not_configured",
            Reason::VerifyTokenWrong => "verify_token_wrong",
            Reason::AddressNotAllowed => "address_not_allowed",
            Reason::MethodNotAllowed => "method_not_allowed",
            Reason::BodyUnreadable => "body_unreadable",
            Reason::SourceUnknown => "source_unknown",
            Reason::AccountUnknown => "account_unknown",
        }
    }

    /// Reads the fixed name.
    pub fn parse(code: &str) -> Option<Reason> {
        Reason::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// What happened and what to do about it.
    pub fn words(self, language: Language) -> &'static str {
        let (english, spanish) = self.texts();
        match language {
            Language::English => english,
            Language::Spanish => spanish,
        }
    }

    fn texts(self) -> (&'static str, &'static str) {
        match self {
            Reason::SignatureMissing => (
                "the signature header is missing: the sender does not sign, or a proxy removed it",
                "falta la cabecera de firma: el emisor no firma o un proxy la quitó",
            ),
            Reason::SignatureMalformed => (
                "the signature header cannot be read: compare its prefix and encoding with the source's settings",
                "no se puede leer la cabecera de firma: compara su prefijo y codificación con los ajustes de la fuente",
            ),
            Reason::SignatureWrong => (
                "the signature does not match the body: check the signing secret, then verify this request again",
                "la firma no coincide con el cuerpo: revisa el secreto de firma y vuelve a verificar esta petición",
            ),
            Reason::TimestampOutside => (
                "the signed time is too far from ours: check both clocks, or it is an old request sent again",
                "la hora firmada está demasiado lejos de la nuestra: revisa ambos relojes, o es una petición antigua repetida",
            ),
            Reason::HeaderRepeated => (
                "a header that proves the sender came more than once: a proxy adds a copy, or somebody tries to mislead",
                "una cabecera que acredita al emisor llegó más de una vez: un proxy añade una copia o alguien intenta engañar",
            ),
            Reason::CredentialMissing => (
                "no credential was shown: the sender must send the one configured for this source",
                "no se mostró ninguna credencial: el emisor debe enviar la configurada para esta fuente",
            ),
            Reason::CredentialWrong => (
                "the credential is not the one configured for this source",
                "la credencial no es la configurada para esta fuente",
            ),
            Reason::CredentialExpired => (
                "the token has expired: check the sender's clock and the token's lifetime",
                "el token ha caducado: revisa el reloj del emisor y la vida del token",
            ),
            Reason::SecretNotConfigured => (
                "this source has no secret to check with: set one, then verify this request again",
                "esta fuente no tiene secreto con que verificar: configura uno y vuelve a verificar esta petición",
            ),
            Reason::VerifyTokenWrong => (
                "the verify token is not the one configured for this source",
                "el token de verificación no es el configurado para esta fuente",
            ),
            Reason::AddressNotAllowed => (
                "the sender's address is not on this source's list",
                "la dirección del emisor no está en la lista de esta fuente",
            ),
            Reason::MethodNotAllowed => {
                ("the platform does not use this HTTP method", "la plataforma no usa este método HTTP")
            }
            Reason::BodyUnreadable => (
                "the body cannot be read as this platform's: it is kept as it came",
                "el cuerpo no se puede leer como de esta plataforma: se guarda tal como llegó",
            ),
            Reason::SourceUnknown => (
                "no source has this URL: create one, or correct the URL at the sender",
                "ninguna fuente tiene esta URL: crea una o corrige la URL en el emisor",
            ),
            Reason::AccountUnknown => (
                "nobody has said whose account this is: name its app, then release this request",
                "nadie ha dicho de quién es esta cuenta: indica su app y libera esta petición",
            ),
        }
    }
}

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// Its id.
    pub id: ReceiptId,
    /// The source it reached, if any.
    pub source: Option<SourceId>,
    /// What became of it.
    pub state: ReceiptState,
    /// Why, where it was not accepted.
    pub reason: Option<Reason>,
    /// The HTTP method.
    pub method: String,
    /// Path and query, secrets in the query removed.
    pub path: String,
    /// The sender's address.
    pub peer: String,
    /// How many bytes the body had.
    pub body_bytes: i64,
    /// How many items the request carried.
    pub items: i64,
    /// How many of them were new.
    pub items_new: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_words_in_both_languages_and_a_code_of_its_own() {
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.code()), Some(reason));
            assert_ne!(reason.words(Language::English), reason.words(Language::Spanish));
        }
    }

    #[test]
    fn every_state_is_read_back() {
        for state in ReceiptState::ALL {
            assert_eq!(ReceiptState::from_code(state.code()), Some(state));
            assert_eq!(ReceiptState::parse(state.as_str()), Some(state));
        }
        assert_eq!(ReceiptState::from_code(99), None);
    }
}
