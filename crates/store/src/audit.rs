//! The audit log: who did what, written in the same transaction as what was done.

use std::sync::Arc;

use model::id::{AppId, AuditId, TokenId};
use model::page::{Page, PageRequest, Span};

use crate::Store;
use crate::db::Tx;
use crate::error::Error;
use crate::listing::Listing;
use crate::value::{Row, Value};

/// Who acts, and what they are about to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Act {
    /// The app concerned, if one is.
    pub app: Option<AppId>,
    /// Who acts: the id of a token and its name, or a name alone.
    pub actor: String,
    /// What is done: `endpoint.create`.
    pub action: String,
    /// To what: an id of ours. Where only the outcome tells, the store says it.
    pub subject: String,
}

/// One line of the audit log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditLine {
    /// Its id, which is also when it was written.
    pub id: AuditId,
    /// What was done, and by whom.
    pub act: Act,
}

/// Which lines are wanted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AuditFilter {
    /// Those that concern one app.
    pub app: Option<AppId>,
    /// Those of one actor.
    pub actor: Option<Who>,
    /// Those of one action, or of every action that begins so: `endpoint.create`, `endpoint.*`.
    pub action: Option<String>,
    /// Those written within a span.
    pub span: Span,
}

/// An actor, as one is looked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Who {
    /// Whoever showed this token.
    Token(TokenId),
    /// Whoever is called exactly this.
    Name(String),
}

/// The audit log.
pub struct Audit<'s>(&'s Store);

impl Store {
    /// The audit log.
    pub fn audit(&self) -> Audit<'_> {
        Audit(self)
    }

    /// The same store for somebody who acts: whatever is done through it is written to the audit log in the same
    /// transaction. What changes nothing leaves no line.
    pub fn acting(&self, act: Act) -> Store {
        Store { act: Some(Arc::new(act)), ..self.clone() }
    }

    /// The line that whoever acts through this store leaves.
    pub(crate) fn trail(&self) -> Trail {
        let line = |act: &Arc<Act>| AuditLine { id: self.fresh_id(), act: Act::clone(act) };
        Trail(self.act.as_ref().map(line))
    }
}

/// A line that is still to be written; none where nobody acts.
#[derive(Clone)]
pub(crate) struct Trail(Option<AuditLine>);

impl Trail {
    /// Writes it.
    pub(crate) async fn write(self, tx: &mut Tx) -> Result<(), Error> {
        let Some(AuditLine { id, act }) = self.0 else { return Ok(()) };
        let sql = "INSERT INTO audit (id, app, actor, action, subject) VALUES (?1, ?2, ?3, ?4, ?5)";
        let args = [id.into(), Value::from(act.app), act.actor.into(), act.action.into(), act.subject.into()];
        tx.execute(sql, &args).await.map(|_| ())
    }

    /// The same line about something that only the outcome tells.
    pub(crate) fn about(mut self, subject: impl FnOnce(&str) -> String) -> Trail {
        if let Some(line) = &mut self.0 {
            line.act.subject = subject(&line.act.subject);
        }
        self
    }
}

impl Audit<'_> {
    /// Writes the line of an act that changes nothing: that something was looked at.
    pub async fn note(&self) -> Result<(), Error> {
        let trail = self.0.trail();
        self.0.inner.db.write(move |tx| Box::pin(trail.write(tx))).await
    }

    /// Lines, newest first.
    pub async fn list(&self, filter: AuditFilter, page: PageRequest) -> Result<Page<AuditLine>, Error> {
        let listing = filter.listing();
        self.0.inner.db.read(move |tx| Box::pin(async move { listing.page(tx, page, line).await })).await
    }
}

impl AuditFilter {
    pub(crate) fn listing(self) -> Listing {
        let listing = Listing::of("audit", "id, app, actor, action, subject")
            .within(self.span)
            .only("app", self.app.map(Value::from));
        let listing = match self.actor {
            None => listing,
            Some(Who::Name(name)) => listing.only("actor", Some(name.into())),
            // Ids have one length; what the token is called follows.
            Some(Who::Token(token)) => listing.only_beginning("actor", token.to_string()),
        };
        match self.action.as_deref().map(|action| (action, action.strip_suffix('*'))) {
            None => listing,
            Some((_, Some(beginning))) => listing.only_beginning("action", beginning.to_owned()),
            Some((action, None)) => listing.only("action", Some(action.into())),
        }
    }
}

fn line(row: &Row) -> Result<AuditLine, Error> {
    let act = Act {
        app: row.opt_id(1)?,
        actor: row.text(2)?.to_owned(),
        action: row.text(3)?.to_owned(),
        subject: row.text(4)?.to_owned(),
    };
    Ok(AuditLine { id: row.id(0)?, act })
}
