//! Sources over REST.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use control::Control;
use control::sources::{NewSource, SecretRotation, SourceChange};
use http::StatusCode;
use model::id::kind;
use model::secret::Secret;
use model::source::{SecretRole, Settings, Source, UnknownAccounts};
use model::watch::Watchdog;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::body::{Body, Named, Query, given, id_if, one_of, one_of_if};
use crate::page::{List, PageView};
use crate::problem::Problem;
use crate::version::{IfMatch, Tagged};

/// One configured place webhooks come in.
#[derive(Serialize, ToSchema)]
#[schema(as = Source)]
pub(crate) struct SourceView {
    id: String,
    /// Who its events belong to, unless the account says otherwise.
    app: String,
    /// The kind of outside system.
    platform: String,
    /// What people call it.
    name: String,
    /// Where it always is.
    url_path: String,
    /// A path of its own.
    path: Option<String>,
    /// What the adapter needs to know besides secrets.
    #[schema(value_type = Object)]
    settings: Map<String, Value>,
    /// Which secrets it has; never the secrets themselves.
    secrets: Vec<HeldSecretView>,
    /// `adopt` or `quarantine`.
    unknown_accounts: String,
    /// Networks requests may come from; anywhere when empty.
    allowed_networks: Vec<String>,
    /// The most requests a second.
    rate_per_second: Option<u32>,
    /// What is done when the platform no longer calls our URL, or falls silent: `off`, `tells` or `registers`.
    watchdog: String,
    /// Whether the files of its messages are fetched and stored here, before the platform forgets them.
    fetches_files: bool,
    /// Whether requests are believed without proof, because its settings say so.
    unsigned: bool,
    /// When it was made.
    created_at: String,
}

/// A secret that is held.
#[derive(Serialize, ToSchema)]
#[schema(as = HeldSecret)]
struct HeldSecretView {
    /// What it is for: `signing`, `verify_token`, `credential` or `access_token`.
    role: String,
    /// When it stops being good; absent while it is current.
    retires_at: Option<String>,
}

impl SourceView {
    fn of(source: Source) -> SourceView {
        let settings = &source.settings;
        let secrets = source.secrets.iter().map(|held| HeldSecretView {
            role: held.role.as_str().to_owned(),
            retires_at: held.key.retires_at.map(|at| at.to_string()),
        });
        SourceView {
            id: source.id.to_string(),
            app: source.app.to_string(),
            url_path: format!("/in/{}", source.id),
            settings: settings.object().clone(),
            unsigned: settings.flag("unsigned") || settings.text("scheme") == Some("unsigned"),
            secrets: secrets.collect(),
            unknown_accounts: source.unknown_accounts.as_str().to_owned(),
            created_at: source.id.made_at().to_string(),
            platform: source.platform,
            name: source.name,
            path: source.path,
            allowed_networks: source.allowed_networks,
            rate_per_second: source.rate_per_second,
            watchdog: source.watchdog.as_str().to_owned(),
            fetches_files: source.fetches_files,
        }
    }
}

/// A source to be made.
#[derive(Deserialize, ToSchema)]
#[schema(examples(json!({
    "platform": "whatsapp",
    "name": "the shop's number",
    "secrets": [
        { "role": "signing", "secret": "the App Secret of the Meta app" },
        { "role": "verify_token", "secret": "the verify token of the webhook" },
    ],
})))]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateSource {
    /// Who its events belong to; the only app when absent.
    app: Option<String>,
    /// The kind of outside system: `whatsapp`, `whatzme`, `generic`, `standard_webhooks`, ….
    platform: String,
    /// What people call it.
    name: String,
    /// A path of its own, such as `/webhooks/whatz`.
    path: Option<String>,
    /// What the adapter needs to know besides secrets.
    #[serde(default)]
    #[schema(value_type = Object)]
    settings: Map<String, Value>,
    /// Its secrets, by what they are for.
    #[serde(default)]
    secrets: Vec<GivenSecret>,
    /// What happens to an account that nobody has named: `adopt` (the default) or `quarantine`.
    unknown_accounts: Option<String>,
    /// Networks requests may come from.
    #[serde(default)]
    allowed_networks: Vec<String>,
    /// The most requests a second.
    rate_per_second: Option<u32>,
    /// What is done when the platform no longer calls our URL, or falls silent: `off`; `tells` (the default): an event tells
    /// of it; `registers`: the URL is also registered again.
    watchdog: Option<String>,
    /// Whether the files of its messages are fetched and stored here, before the platform forgets them.
    #[serde(default)]
    fetches_files: bool,
}

/// A secret and what it is for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GivenSecret {
    /// `signing`, `verify_token`, `credential` or `access_token`.
    role: String,
    /// The secret itself.
    secret: String,
}

impl CreateSource {
    fn read(self) -> Result<NewSource, Problem> {
        let secret = |(at, given): (usize, GivenSecret)| {
            let role = one_of(&given.role, SecretRole::parse, &format!("secrets/{at}/role"))?;
            Ok((role, Secret::new(given.secret)))
        };
        let secrets: Result<Vec<_>, Problem> = self.secrets.into_iter().enumerate().map(secret).collect();
        let unknown_accounts = self.unknown_accounts.as_deref().unwrap_or("adopt");
        Ok(NewSource {
            app: id_if(self.app.as_deref(), "app")?,
            platform: self.platform,
            name: self.name,
            path: self.path,
            secrets: secrets?,
            settings: Settings::new(self.settings),
            unknown_accounts: one_of(unknown_accounts, UnknownAccounts::parse, "unknown_accounts")?,
            allowed_networks: self.allowed_networks,
            rate_per_second: self.rate_per_second,
            watchdog: one_of(self.watchdog.as_deref().unwrap_or("tells"), Watchdog::parse, "watchdog")?,
            fetches_files: self.fetches_files,
        })
    }
}

/// What is to change; what is absent stays. Secrets are rotated, not changed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateSource {
    name: Option<String>,
    /// A path of its own; `null` takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    path: Option<Option<String>>,
    /// All of its settings.
    #[schema(value_type = Option<Object>)]
    settings: Option<Map<String, Value>>,
    /// `adopt` or `quarantine`.
    unknown_accounts: Option<String>,
    allowed_networks: Option<Vec<String>>,
    /// The most requests a second; `null` takes the limit away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    rate_per_second: Option<Option<u32>>,
    /// `off`, `tells` or `registers`.
    watchdog: Option<String>,
    /// Whether the files of its messages are fetched and stored here.
    fetches_files: Option<bool>,
}

impl UpdateSource {
    fn read(self) -> Result<SourceChange, Problem> {
        Ok(SourceChange {
            name: self.name,
            path: self.path,
            settings: self.settings.map(Settings::new),
            unknown_accounts: one_of_if(
                self.unknown_accounts.as_deref(),
                UnknownAccounts::parse,
                "unknown_accounts",
            )?,
            allowed_networks: self.allowed_networks,
            rate_per_second: self.rate_per_second,
            watchdog: one_of_if(self.watchdog.as_deref(), Watchdog::parse, "watchdog")?,
            fetches_files: self.fetches_files,
        })
    }
}

/// A secret that takes the place of those of its role.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateSecret {
    /// `signing`, `verify_token`, `credential` or `access_token`.
    role: String,
    /// The secret; made by us when absent.
    secret: Option<String>,
    /// How many seconds the ones before stay good: at most a day, which is also the default.
    overlap_s: Option<u64>,
}

/// What came of a rotation.
#[derive(Serialize, ToSchema)]
#[schema(as = RotatedSecret)]
pub(crate) struct RotatedView {
    /// What it is for.
    role: String,
    /// The secret, if it was made by us; shown this once.
    secret: Option<String>,
}

pub(crate) async fn list(
    State(control): State<Control>,
    Caller(actor): Caller,
    Query(query): Query<List>,
) -> Result<Json<PageView<SourceView>>, Problem> {
    Ok(PageView::of(control.sources().list(&actor, query.wanted()?).await?, SourceView::of))
}

pub(crate) async fn create(
    State(control): State<Control>,
    Caller(actor): Caller,
    Body(new): Body<CreateSource>,
) -> Result<(StatusCode, Tagged<SourceView>), Problem> {
    let source = control.sources().create(&actor, new.read()?).await?;
    Ok((StatusCode::CREATED, Tagged::of(source, SourceView::of)))
}

pub(crate) async fn get(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::Source>,
) -> Result<Tagged<SourceView>, Problem> {
    Ok(Tagged::of(control.sources().get(&actor, id).await?, SourceView::of))
}

pub(crate) async fn update(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::Source>,
    IfMatch(expected): IfMatch,
    Body(change): Body<UpdateSource>,
) -> Result<Tagged<SourceView>, Problem> {
    Ok(Tagged::of(control.sources().update(&actor, id, &expected, change.read()?).await?, SourceView::of))
}

pub(crate) async fn delete(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::Source>,
    IfMatch(expected): IfMatch,
) -> Result<StatusCode, Problem> {
    control.sources().delete(&actor, id, &expected).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn rotate(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::Source>,
    IfMatch(expected): IfMatch,
    Body(body): Body<RotateSecret>,
) -> Result<Json<RotatedView>, Problem> {
    let role = one_of(&body.role, SecretRole::parse, "role")?;
    let was_given = body.secret.is_some();
    let (secret, overlap) = (body.secret.map(Secret::new), body.overlap_s.map(Duration::from_secs));
    let rotation = SecretRotation { role, secret, overlap };
    let fresh = control.sources().rotate(&actor, id, &expected, rotation).await?;
    let secret = (!was_given).then(|| fresh.expose().to_owned());
    Ok(Json(RotatedView { role: body.role, secret }))
}
