//! Messages out: checked against what the platform can and may do, then owed to it.

use std::sync::Arc;
use std::time::Duration;

use model::conversation::{Conversation, Identifier};
use model::delivery::{Attempt, AttemptOf};
use model::id::{AccountId, ConversationId, SendId};
use model::page::{Page, PageRequest};
use model::send::{OutgoingBody, OutgoingMessage, OwedSend, ReadMark, Recipient, SendState};
use model::source::{Account, Source};
use platforms::platform::{Platform, Sender};
use platforms::registry;
pub use store::sends::SendFilter;
use store::sends::{CalledOff, NewSend, Queued};

use crate::{Action, Actor, Control, Error, Words};

/// How often it is looked whether a platform has said something of a message.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Messages out.
pub struct Messages<'c>(&'c Control);

impl Control {
    /// Messages out.
    pub fn messages(&self) -> Messages<'_> {
        Messages(self)
    }
}

/// A message to be sent.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// The account it leaves from: an id of ours or the platform's address; the conversation's when absent.
    pub from: Option<String>,
    /// The conversation it belongs to.
    pub conversation: Option<ConversationId>,
    /// Who gets it; the conversation's contact when absent.
    pub to: Option<Recipient>,
    /// The id of the message it answers.
    pub reply_to: Option<String>,
    /// What it holds.
    pub body: OutgoingBody,
    /// Whether to try even when the service window seems closed.
    pub override_window: bool,
    /// The caller's idempotency key: the same key makes at most one send.
    pub key: Option<String>,
}

impl Messages<'_> {
    /// Owes a message to a platform. What the platform cannot or may not take is refused before anything is queued.
    pub async fn send(&self, actor: &Actor, new: NewMessage) -> Result<OwedSend, Error> {
        actor.must(Action::Send)?;
        let conversation = match new.conversation {
            Some(id) => Some(self.0.conversations().find(actor, id).await?),
            None => None,
        };
        let account = self.account(actor, new.from.as_deref(), conversation.as_ref()).await?;
        let source = self.source(&account)?;
        let platform = registry::find(&source.platform).ok_or(Error::NotFound("platform"))?;
        let to = match (new.to, &conversation) {
            (Some(to), _) => to,
            (None, Some(conversation)) => self.recipient(platform, conversation).await?,
            (None, None) => {
                return Err(Error::invalid("to", Words::new("say who gets it", "indica quién lo recibe")));
            }
        };
        if to.address().is_empty() || to.address().chars().any(char::is_control) {
            let words = Words::new(
                "a number, jid or chat id in one line",
                "un número, jid o id de chat en una línea",
            );
            return Err(Error::invalid("to", words));
        }
        let conversation = match conversation {
            Some(conversation) => Some(conversation),
            None => self.0.store.conversations().with(account.app, account.id, names(platform, &to)).await?,
        };
        self.0.files().check_sent(account.app, &new.body).await?;
        let message = OutgoingMessage { to, reply_to: new.reply_to, body: new.body };
        self.compose(platform, &source, &account, &message)?;
        if !new.override_window {
            self.check_window(platform, conversation.as_ref(), &message.body)?;
        }
        let key = new.key.map(|key| (actor.caller(), key));
        let conversation = conversation.map(|conversation| conversation.id);
        let send = NewSend { app: account.app, account: account.id, conversation, message, key };
        let store = self.0.acting(actor, Some(account.app), "message.send", &account.id);
        match store.sends().queue(send).await? {
            Queued::New(id) | Queued::Before(id) => Ok(self.0.store.sends().get(id).await?),
            Queued::KeyReused => Err(Error::KeyReused),
        }
    }

    /// Marks a message of a conversation's contact as read, where the platform can.
    pub async fn mark_read(
        &self,
        actor: &Actor,
        conversation: ConversationId,
        read: ReadMark,
        key: Option<String>,
    ) -> Result<OwedSend, Error> {
        let body = OutgoingBody::Read { read };
        let conversation = Some(conversation);
        let new = NewMessage {
            from: None,
            conversation,
            to: None,
            reply_to: None,
            body,
            override_window: true,
            key,
        };
        self.send(actor, new).await
    }

    /// Calls off a message that waits. A call that is under way cannot be taken back.
    pub async fn cancel(&self, actor: &Actor, id: SendId) -> Result<OwedSend, Error> {
        actor.must(Action::Send)?;
        let send = self.find(actor, id).await?;
        let store = self.0.acting(actor, Some(send.app), "message.cancel", &id);
        match store.sends().cancel(id).await? {
            CalledOff::Done => Ok(self.0.store.sends().get(id).await?),
            CalledOff::UnderWay => Err(Error::conflict(
                "it is being sent at this moment and cannot be called off",
                "se está enviando en este momento y ya no se puede cancelar",
            )),
            CalledOff::Ended => {
                Err(Error::conflict("it no longer waits to be sent", "ya no está a la espera de envío"))
            }
        }
    }

    /// One message with where it stands.
    pub async fn get(&self, actor: &Actor, id: SendId) -> Result<OwedSend, Error> {
        actor.must(Action::FollowMessages)?;
        let send = self.find(actor, id).await?;
        self.0.audit_view(actor, Some(send.app), "message.view", &id).await;
        Ok(send)
    }

    /// One message once its platform has said something of it, or the patience is over.
    pub async fn settled(&self, actor: &Actor, id: SendId, patience: Duration) -> Result<OwedSend, Error> {
        let waiting = async {
            loop {
                let send = self.find(actor, id).await?;
                if !matches!(send.state, SendState::Pending | SendState::InFlight) {
                    return Ok(send);
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        match tokio::time::timeout(patience, waiting).await {
            Ok(settled) => settled,
            Err(_) => self.find(actor, id).await,
        }
    }

    /// Each call that was made for a message, oldest first.
    pub async fn attempts(&self, actor: &Actor, id: SendId) -> Result<Vec<Attempt>, Error> {
        actor.must(Action::FollowMessages)?;
        self.find(actor, id).await?;
        Ok(self.0.store.deliveries().attempts(AttemptOf::Send(id)).await?)
    }

    /// Messages out, newest first.
    pub async fn list(
        &self,
        actor: &Actor,
        filter: SendFilter,
        page: PageRequest,
    ) -> Result<Page<OwedSend>, Error> {
        actor.must(Action::Read)?;
        let filter = SendFilter { app: actor.narrowed(filter.app)?, ..filter };
        Ok(self.0.store.sends().list(filter, page).await?)
    }

    /// The only account the actor sees on a platform.
    pub async fn sole_account(&self, actor: &Actor, platform: &str) -> Result<AccountId, Error> {
        actor.must(Action::Send)?;
        let routing = self.0.store.routing();
        let mut accounts = self.0.store.sources().accounts().await?;
        let is_on =
            |account: &Account| routing.source(account.source).is_some_and(|one| one.platform == platform);
        accounts.retain(|account| actor.sees(account.app) && is_on(account));
        match accounts.as_slice() {
            [only] => Ok(only.id),
            [] => Err(Error::invalid(
                "from",
                Words::new(
                    format!("no {platform} account is known yet: name one on its source"),
                    format!("aún no se conoce ninguna cuenta de {platform}: nómbrala en su fuente"),
                ),
            )),
            _ => Err(several("from")),
        }
    }

    async fn find(&self, actor: &Actor, id: SendId) -> Result<OwedSend, Error> {
        let send = self.0.store.sends().get(id).await?;
        actor.must_see(send.app, "message")?;
        Ok(send)
    }

    /// The account a message leaves from: named by id or address, or the conversation's.
    async fn account(
        &self,
        actor: &Actor,
        from: Option<&str>,
        conversation: Option<&Conversation>,
    ) -> Result<Account, Error> {
        let accounts = self.0.store.sources().accounts().await?;
        let mut seen = accounts.into_iter().filter(|account| actor.sees(account.app));
        let Some(from) = from else {
            let id = conversation.map(|conversation| conversation.account).ok_or_else(|| {
                Error::invalid("from", Words::new("say which account sends it", "indica qué cuenta lo envía"))
            })?;
            return seen.find(|account| account.id == id).ok_or(Error::NotFound("account"));
        };
        let id: Option<AccountId> = from.parse().ok();
        let named: Vec<Account> =
            seen.filter(|account| Some(account.id) == id || account.address == from).collect();
        let account = match <[Account; 1]>::try_from(named) {
            Ok([only]) => only,
            Err(none) if none.is_empty() => {
                return Err(Error::invalid(
                    "from",
                    Words::new("no account is called this", "ninguna cuenta se llama así"),
                ));
            }
            Err(_) => return Err(several("from")),
        };
        if conversation.is_some_and(|conversation| conversation.account != account.id) {
            let words =
                Words::new("the conversation is on another account", "la conversación está en otra cuenta");
            return Err(Error::invalid("from", words));
        }
        Ok(account)
    }

    fn source(&self, account: &Account) -> Result<Arc<Source>, Error> {
        self.0.store.routing().source(account.source).cloned().ok_or_else(|| {
            Error::conflict("the account's source was removed", "la fuente de la cuenta fue eliminada")
        })
    }

    /// How the platform calls the contact of a conversation.
    async fn recipient(
        &self,
        platform: &dyn Platform,
        conversation: &Conversation,
    ) -> Result<Recipient, Error> {
        let contact = self.0.store.conversations().contact(conversation.contact).await?;
        recipient(platform, &contact.identifiers).ok_or_else(|| {
            let words = Words::new(
                "the contact has no address: say who gets it",
                "el contacto no tiene dirección: indica quién lo recibe",
            );
            Error::invalid("to", words)
        })
    }

    /// Makes the call, and makes no use of it: whatever the platform cannot send is known here.
    fn compose(
        &self,
        platform: &dyn Platform,
        source: &Source,
        account: &Account,
        message: &OutgoingMessage,
    ) -> Result<(), Error> {
        let correlation = SendId::from_raw(0).to_string();
        let sender =
            Sender { source, account: &account.address, correlation: &correlation, now: self.0.now() };
        let composed = platform.compose(&sender, &self.0.store.linked(message));
        composed.map(|_| ()).map_err(|cannot| Error::Unsupported(Words::untranslated(cannot.0)))
    }

    fn check_window(
        &self,
        platform: &dyn Platform,
        conversation: Option<&Conversation>,
        body: &OutgoingBody,
    ) -> Result<(), Error> {
        let is_free = matches!(body, OutgoingBody::Template { .. } | OutgoingBody::Read { .. });
        let Some(window) = platform.window().filter(|_| !is_free) else { return Ok(()) };
        let wrote_at = conversation.and_then(|conversation| conversation.last_inbound_at);
        match wrote_at.is_some_and(|at| self.0.now() < at.plus(window)) {
            true => Ok(()),
            false => Err(Error::WindowClosed),
        }
    }
}

fn several(field: &str) -> Error {
    Error::invalid(
        field,
        Words::new(
            "several accounts fit: name one by its id",
            "varias cuentas encajan: indica una por su id",
        ),
    )
}

/// How a contact is written to, by what they are known by: the surest way first.
fn recipient(platform: &dyn Platform, identifiers: &[(String, String)]) -> Option<Recipient> {
    let named =
        |wanted: &str| identifiers.iter().find(|(kind, _)| kind == wanted).map(|(_, value)| value.clone());
    let address = platform.addressed_by().iter().copied().find_map(named).map(Recipient::Address);
    address.or_else(|| named("bsuid").map(|bsuid| Recipient::Bsuid { bsuid }))
}

/// Sorts of identifier that are a phone number: its digits, however it is typed.
const NUMBERS: [&str; 2] = ["wa_id", "phone"];

/// What the contact behind a recipient may be known by.
fn names(platform: &dyn Platform, to: &Recipient) -> Vec<Identifier> {
    match to {
        Recipient::Bsuid { bsuid } => vec![Identifier::new("bsuid", bsuid)],
        Recipient::Address(address) => {
            let digits: String = address.chars().filter(char::is_ascii_digit).collect();
            let named = |kind: &&'static str| match NUMBERS.contains(kind) {
                true => Identifier::new(*kind, &digits),
                false => Identifier::new(*kind, address),
            };
            platform.addressed_by().iter().map(named).filter(|name| !name.value.is_empty()).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_written_to_by_number_and_by_user_id_only_without_one() {
        let pair = |kind: &str, value: &str| (kind.to_owned(), value.to_owned());
        let known = [pair("bsuid", "US.1"), pair("wa_id", "15550000001")];
        let platform = registry::find("whatsapp").expect("a platform");
        assert_eq!(recipient(platform, &known), Some(Recipient::Address("15550000001".to_owned())));
        assert_eq!(recipient(platform, &known[..1]), Some(Recipient::Bsuid { bsuid: "US.1".to_owned() }));
        assert_eq!(recipient(platform, &[pair("username", "ana")]), None);
    }

    #[test]
    fn a_number_finds_its_contact_however_it_is_typed() {
        let platform = registry::find("whatsapp").expect("a platform");
        let found = names(platform, &Recipient::Address("+1 (555) 000-0001".to_owned()));
        assert!(found.contains(&Identifier::new("wa_id", "15550000001")));
    }
}
