//! Who acts, what each role may do, and whose things an actor sees.

use model::access::{Role, Token};
use model::id::{AccountId, AppId, TokenId};

use crate::error::Error;

/// Somebody who acts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Actor {
    /// What the audit log calls them.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The one app they see and touch; all when absent.
    pub app: Option<AppId>,
    /// The one account they speak for.
    pub account: Option<AccountId>,
    /// The token they showed; `None` for the operator of this machine.
    pub token: Option<TokenId>,
}

/// A kind of act, as permissions know them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Looking at anything but secrets.
    Read,
    /// Following the messages one has sent.
    FollowMessages,
    /// Sending messages, calling them off, and marking them as read.
    Send,
    /// Replaying, releasing, cancelling, pausing, handing off.
    Operate,
    /// Creating, changing and deleting apps, sources, accounts and endpoints.
    Configure,
    /// Changing the secrets of what is there.
    ChangeSecrets,
    /// Taking a request for genuine that is not proven so.
    Trust,
    /// Listing, creating and revoking tokens.
    ManageTokens,
    /// Reading who did what.
    ReadAudit,
    /// Speaking for one account through the per-number API.
    SpeakForNumber,
}

impl Action {
    /// Every kind of act.
    pub const ALL: [Action; 10] = [
        Action::Read,
        Action::FollowMessages,
        Action::Send,
        Action::Operate,
        Action::Configure,
        Action::ChangeSecrets,
        Action::Trust,
        Action::ManageTokens,
        Action::ReadAudit,
        Action::SpeakForNumber,
    ];
}

/// The permission matrix.
pub fn may(role: Role, action: Action) -> bool {
    match role {
        Role::Admin => action != Action::SpeakForNumber,
        Role::Operator => !matches!(
            action,
            Action::ChangeSecrets
                | Action::Trust
                | Action::ManageTokens
                | Action::ReadAudit
                | Action::SpeakForNumber
        ),
        Role::Viewer => matches!(action, Action::Read | Action::FollowMessages),
        Role::Sender => matches!(action, Action::Send | Action::FollowMessages),
        Role::Number => action == Action::SpeakForNumber,
    }
}

impl Actor {
    /// The operator at this machine's own command line.
    pub fn console() -> Actor {
        Actor::of_this_machine("console")
    }

    /// Whoever holds the configuration of this machine, by what the audit log calls them.
    pub fn of_this_machine(name: &str) -> Actor {
        Actor { name: name.to_owned(), role: Role::Admin, app: None, account: None, token: None }
    }

    /// Whoever shows a token.
    pub fn with(token: &Token) -> Actor {
        let name = format!("{} {}", token.id, token.name);
        Actor { name, role: token.role, app: token.app, account: token.account, token: Some(token.id) }
    }

    /// Fails unless the actor's role may do this.
    pub fn must(&self, action: Action) -> Result<(), Error> {
        if may(self.role, action) { Ok(()) } else { Err(Error::Forbidden) }
    }

    /// Whether the actor sees what belongs to this app.
    pub fn sees(&self, app: AppId) -> bool {
        self.app.is_none_or(|own| own == app)
    }

    /// Fails, as if it were not there, unless the actor sees what belongs to this app.
    pub(crate) fn must_see(&self, app: AppId, what: &'static str) -> Result<(), Error> {
        if self.sees(app) { Ok(()) } else { Err(Error::NotFound(what)) }
    }

    /// Fails when the actor is bound to one app: some acts concern all.
    pub(crate) fn must_be_unbound(&self) -> Result<(), Error> {
        if self.app.is_none() { Ok(()) } else { Err(Error::Forbidden) }
    }

    /// Which app a listing is narrowed to: the actor's own, or the one asked for. Another's is not there.
    pub(crate) fn narrowed(&self, asked: Option<AppId>) -> Result<Option<AppId>, Error> {
        match (self.app, asked) {
            (Some(own), Some(asked)) if own != asked => Err(Error::NotFound("app")),
            (own, asked) => Ok(own.or(asked)),
        }
    }

    /// The number idempotency keys are bound to: no two tokens share one.
    pub(crate) fn caller(&self) -> i64 {
        self.token.map_or(0, TokenId::raw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_permission_matrix_is_as_written_down() {
        use Action::{
            ChangeSecrets, Configure, FollowMessages, ManageTokens, Operate, Read, ReadAudit, Send,
            SpeakForNumber, Trust,
        };
        let written: [(Role, &[Action]); 5] = [
            (
                Role::Admin,
                &[
                    Read,
                    FollowMessages,
                    Send,
                    Operate,
                    Configure,
                    ChangeSecrets,
                    Trust,
                    ManageTokens,
                    ReadAudit,
                ],
            ),
            (Role::Operator, &[Read, FollowMessages, Send, Operate, Configure]),
            (Role::Viewer, &[Read, FollowMessages]),
            (Role::Sender, &[Send, FollowMessages]),
            (Role::Number, &[SpeakForNumber]),
        ];
        for (role, allowed) in written {
            for action in Action::ALL {
                assert_eq!(may(role, action), allowed.contains(&action), "{role:?} {action:?}");
            }
        }
    }

    #[test]
    fn an_actor_of_one_app_finds_nothing_of_another() {
        let (own, other) = (AppId::from_raw(1), AppId::from_raw(2));
        let bound = Actor { app: Some(own), ..Actor::of_this_machine("test") };
        assert!(bound.must_see(own, "event").is_ok());
        assert!(matches!(bound.must_see(other, "event"), Err(Error::NotFound("event"))));
        assert!(matches!(bound.narrowed(Some(other)), Err(Error::NotFound("app"))));
        assert_eq!(bound.narrowed(None).ok(), Some(Some(own)));
        assert!(bound.must_be_unbound().is_err());
        assert_eq!(Actor::of_this_machine("test").narrowed(Some(other)).ok(), Some(Some(other)));
    }
}
