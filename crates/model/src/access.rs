//! Who may do what: apps, tokens and their roles.

use crate::id::{AccountId, AppId, TokenId};
use crate::time::Timestamp;

/// The owner of endpoints: you, or one of your customers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct App {
    /// Its id.
    pub id: AppId,
    /// What people call it.
    pub name: String,
}

/// What a token may do. Each role may do less than the one before, but for `Sender`, which may only send, and `Number`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Everything.
    Admin,
    /// Everything but tokens and secrets.
    Operator,
    /// Reading.
    Viewer,
    /// Sending messages and publishing events.
    Sender,
    /// Speaking for one account through the per-number API, and nothing else.
    Number,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 5] = [Role::Admin, Role::Operator, Role::Viewer, Role::Sender, Role::Number];

    /// Those that a person chooses from: the key of a number is made for its account.
    pub const CHOSEN: [Role; 4] = [Role::Admin, Role::Operator, Role::Viewer, Role::Sender];

    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Operator => "operator",
            Role::Viewer => "viewer",
            Role::Sender => "sender",
            Role::Number => "number",
        }
    }

    /// Reads the name.
    pub fn parse(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

/// A credential for our API. Only the hash of its text is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The one app it may touch; all when absent.
    pub app: Option<AppId>,
    /// The one account it speaks for, of role [`Role::Number`].
    pub account: Option<AccountId>,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
    /// The last characters of its text, to tell tokens apart.
    pub hint: String,
}
