//! The URL of the app, and the app on each page or account.

use serde_json::json;

use super::Product;
use super::send::graph;
use crate::meta::register::Subject;
use crate::platform::Unsupported;
use crate::registration::{Step, Wanted};

/// The app, where the source names it, then each account.
pub(super) fn steps(product: &Product, wanted: &Wanted<'_>) -> Result<Vec<Step>, Unsupported> {
    let settings = &wanted.source.settings;
    let fields = settings.text("fields").unwrap_or(product.fields);
    let subject = Subject { graph: graph(product, settings), object: product.object, fields };
    let app = settings.text("app_id").map(|app_id| subject.app(wanted, app_id)).transpose()?;
    let body = json!({ "subscribed_fields": fields });
    let account = |account: &&str| subject.account(wanted, account, &body, false);
    // An app alone is a beginning: its accounts may not have written yet.
    let accounts = if app.is_some() { wanted.accounts } else { wanted.some_accounts()? };
    app.map(Ok).into_iter().chain(accounts.iter().map(account)).collect()
}
