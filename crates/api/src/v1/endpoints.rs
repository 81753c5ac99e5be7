//! Endpoints over REST.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use control::endpoints::{EndpointSettings, NewEndpoint};
use control::{Control, Words};
use http::StatusCode;
use model::endpoint::{Endpoint, Format, OnDead, Order};
use model::event::EventPattern;
use model::id::{Id, Kind, kind};
use model::retry::RetryPolicy;
use model::secret::Secret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::body::{self, Body, Named, Query, id_if, one_of_if};
use crate::page::{List, PageView};
use crate::problem::Problem;
use crate::version::{IfMatch, Tagged};

/// Where events of an app are delivered.
#[derive(Serialize, ToSchema)]
#[schema(as = Endpoint)]
pub(crate) struct EndpointView {
    id: String,
    /// Whose events it gets.
    app: String,
    /// What people call it.
    name: String,
    /// Where it is.
    url: String,
    /// `standard` or `platform`.
    format: String,
    /// Event types it wants; all when empty.
    types: Vec<String>,
    /// Sources it wants events of; all when empty.
    sources: Vec<String>,
    /// Accounts it wants events of; all when empty.
    accounts: Vec<String>,
    /// Names of the headers sent along; their values may be secrets and are not shown.
    header_names: Vec<String>,
    /// The waits between attempts: `5s,5m,30m`.
    retry: String,
    /// How many deliveries may be under way at a time.
    concurrency: u16,
    /// How many seconds a whole exchange may take.
    timeout_s: u64,
    /// `conversation` or `none`.
    order: String,
    /// What happens to a line when its head dies: `skip` or `hold`.
    on_dead: String,
    /// Whether plain http is allowed.
    allow_http: bool,
    /// `enabled`, `paused` or `disabled`.
    state: String,
    /// Since when it has only failed.
    failing_since: Option<String>,
    /// When each of its keys stops signing, current first; absent while it is current.
    keys_retire_at: Vec<Option<String>>,
    /// When it was made.
    created_at: String,
}

impl EndpointView {
    fn of(endpoint: Endpoint) -> EndpointView {
        let wants = &endpoint.subscription;
        EndpointView {
            id: endpoint.id.to_string(),
            app: endpoint.app.to_string(),
            format: endpoint.format.as_str().to_owned(),
            types: wants.types.iter().map(|pattern| pattern.as_str().to_owned()).collect(),
            sources: wants.sources.iter().map(ToString::to_string).collect(),
            accounts: wants.accounts.iter().map(ToString::to_string).collect(),
            header_names: endpoint.headers.into_iter().map(|(name, _)| name).collect(),
            retry: endpoint.retry.to_string(),
            concurrency: endpoint.concurrency,
            timeout_s: endpoint.timeout.as_secs(),
            order: endpoint.order.as_str().to_owned(),
            on_dead: endpoint.on_dead.as_str().to_owned(),
            allow_http: endpoint.allow_http,
            state: endpoint.state.as_str().to_owned(),
            failing_since: endpoint.failing_since.map(|at| at.to_string()),
            keys_retire_at: endpoint.keys.iter().map(|key| key.retires_at.map(|at| at.to_string())).collect(),
            created_at: endpoint.id.made_at().to_string(),
            name: endpoint.name,
            url: endpoint.url,
        }
    }
}

/// An endpoint just made, with its secret.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedEndpoint {
    #[serde(flatten)]
    endpoint: EndpointView,
    /// The secret its deliveries are signed with; shown this once, and absent when the same is answered again under an
    /// idempotency key.
    #[schema(required = false)]
    secret: String,
}

/// A schedule: `5s,5m,30m`, or a list of such waits.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(untagged)]
enum Schedule {
    Text(String),
    List(Vec<String>),
}

impl Schedule {
    fn read(self) -> Result<RetryPolicy, Problem> {
        let text = match self {
            Schedule::Text(text) => text,
            Schedule::List(waits) if waits.is_empty() => return Ok(RetryPolicy { waits: Vec::new() }),
            Schedule::List(waits) => waits.join(","),
        };
        RetryPolicy::parse(&text).ok_or_else(|| {
            let words =
                Words::new("at most 300 waits such as 5s,5m,30m", "como máximo 300 esperas como 5s,5m,30m");
            Problem::invalid("retry", words)
        })
    }
}

/// An endpoint to be made.
#[derive(Deserialize, ToSchema)]
#[schema(examples(json!({ "name": "bot", "url": "https://example.com/hook", "types": ["message.*"] })))]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateEndpoint {
    /// Whose events it gets; the only app's when absent.
    app: Option<String>,
    /// What people call it; its URL's host when absent.
    name: Option<String>,
    /// Where it is.
    url: String,
    /// The key its deliveries are signed with: `whsec_…`; made by us when absent.
    secret: Option<String>,
    /// `standard` (the default) or `platform`.
    format: Option<String>,
    /// Event types it wants: `message.received`, `message.*`, `*`.
    types: Option<Vec<String>>,
    /// Sources it wants events of.
    sources: Option<Vec<String>>,
    /// Accounts it wants events of.
    accounts: Option<Vec<String>>,
    /// Headers sent along.
    headers: Option<BTreeMap<String, String>>,
    /// The waits between attempts.
    retry: Option<Schedule>,
    /// How many deliveries may be under way at a time: 1 to 100.
    concurrency: Option<u16>,
    /// How many seconds a whole exchange may take: 1 to 60.
    timeout_s: Option<u64>,
    /// `conversation` (the default) or `none`.
    order: Option<String>,
    /// `skip` (the default) or `hold`.
    on_dead: Option<String>,
    /// Whether plain http is allowed.
    allow_http: Option<bool>,
}

impl CreateEndpoint {
    fn read(self) -> Result<NewEndpoint, Problem> {
        let app = id_if(self.app.as_deref(), "app")?;
        let mut settings = EndpointSettings::at(&self.url);
        let change = UpdateEndpoint {
            name: self.name,
            url: None,
            format: self.format,
            types: self.types,
            sources: self.sources,
            accounts: self.accounts,
            headers: self.headers,
            retry: self.retry,
            concurrency: self.concurrency,
            timeout_s: self.timeout_s,
            order: self.order,
            on_dead: self.on_dead,
            allow_http: self.allow_http,
        };
        change.read()?.apply(&mut settings);
        Ok(NewEndpoint { app, secret: self.secret.map(Secret::new), settings })
    }
}

/// What is to change; what is absent stays. The secret is rotated, not changed.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateEndpoint {
    name: Option<String>,
    url: Option<String>,
    /// `standard` or `platform`.
    format: Option<String>,
    types: Option<Vec<String>>,
    sources: Option<Vec<String>>,
    accounts: Option<Vec<String>>,
    /// All of its headers.
    headers: Option<BTreeMap<String, String>>,
    retry: Option<Schedule>,
    concurrency: Option<u16>,
    timeout_s: Option<u64>,
    order: Option<String>,
    on_dead: Option<String>,
    allow_http: Option<bool>,
}

/// A change whose names and ids have been read.
#[derive(Clone)]
struct Change {
    plain: UpdateEndpoint,
    format: Option<Format>,
    types: Option<Vec<EventPattern>>,
    sources: Option<Vec<Id<kind::Source>>>,
    accounts: Option<Vec<Id<kind::Account>>>,
    retry: Option<RetryPolicy>,
    order: Option<Order>,
    on_dead: Option<OnDead>,
}

impl UpdateEndpoint {
    fn read(mut self) -> Result<Change, Problem> {
        Ok(Change {
            format: one_of_if(self.format.as_deref(), Format::parse, "format")?,
            types: self.types.take().map(|texts| patterns(&texts)).transpose()?,
            sources: self.sources.take().map(|texts| ids(&texts, "sources")).transpose()?,
            accounts: self.accounts.take().map(|texts| ids(&texts, "accounts")).transpose()?,
            retry: self.retry.take().map(Schedule::read).transpose()?,
            order: one_of_if(self.order.as_deref(), Order::parse, "order")?,
            on_dead: one_of_if(self.on_dead.as_deref(), OnDead::parse, "on_dead")?,
            plain: self,
        })
    }
}

impl Change {
    fn apply(self, settings: &mut EndpointSettings) {
        fn set<T>(place: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *place = value;
            }
        }
        set(&mut settings.name, self.plain.name);
        set(&mut settings.url, self.plain.url);
        set(&mut settings.headers, self.plain.headers.map(|headers| headers.into_iter().collect()));
        set(&mut settings.concurrency, self.plain.concurrency);
        set(&mut settings.timeout, self.plain.timeout_s.map(Duration::from_secs));
        set(&mut settings.allow_http, self.plain.allow_http);
        set(&mut settings.format, self.format);
        set(&mut settings.subscription.types, self.types);
        set(&mut settings.subscription.sources, self.sources);
        set(&mut settings.subscription.accounts, self.accounts);
        set(&mut settings.retry, self.retry);
        set(&mut settings.order, self.order);
        set(&mut settings.on_dead, self.on_dead);
    }
}

fn patterns(texts: &[String]) -> Result<Vec<EventPattern>, Problem> {
    let read = |(at, text): (usize, &String)| {
        EventPattern::new(text).ok_or_else(|| {
            let words = Words::new("an event type, message.* or *", "un tipo de evento, message.* o *");
            Problem::invalid(&format!("types/{at}"), words)
        })
    };
    texts.iter().enumerate().map(read).collect()
}

fn ids<K: Kind>(texts: &[String], field: &str) -> Result<Vec<Id<K>>, Problem> {
    texts.iter().enumerate().map(|(at, text)| body::id(text, &format!("{field}/{at}"))).collect()
}

/// A key that takes the place of the one before.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateKey {
    /// The secret; made by us when absent.
    secret: Option<String>,
    /// How many seconds the ones before sign along: at most a day, which is also the default.
    overlap_s: Option<u64>,
}

/// What came of a rotation.
#[derive(Serialize, ToSchema)]
#[schema(as = RotatedKey)]
pub(crate) struct RotatedKeyView {
    /// The secret, if it was made by us; shown this once.
    secret: Option<String>,
}

pub(crate) async fn list(
    State(control): State<Control>,
    Caller(actor): Caller,
    Query(query): Query<List>,
) -> Result<Json<PageView<EndpointView>>, Problem> {
    Ok(PageView::of(control.endpoints().list(&actor, query.wanted()?).await?, EndpointView::of))
}

pub(crate) async fn create(
    State(control): State<Control>,
    Caller(actor): Caller,
    Body(new): Body<CreateEndpoint>,
) -> Result<(StatusCode, Tagged<CreatedEndpoint>), Problem> {
    let (endpoint, secret) = control.endpoints().create(&actor, new.read()?).await?;
    let created = Tagged::of(endpoint, |endpoint| CreatedEndpoint {
        endpoint: EndpointView::of(endpoint),
        secret: secret.expose().to_owned(),
    });
    Ok((StatusCode::CREATED, created))
}

pub(crate) async fn get(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::Endpoint>,
) -> Result<Tagged<EndpointView>, Problem> {
    Ok(Tagged::of(control.endpoints().get(&actor, id).await?, EndpointView::of))
}

pub(crate) async fn update(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::Endpoint>,
    IfMatch(expected): IfMatch,
    Body(change): Body<UpdateEndpoint>,
) -> Result<Tagged<EndpointView>, Problem> {
    let change = change.read()?;
    let apply = |settings: &mut EndpointSettings| change.clone().apply(settings);
    Ok(Tagged::of(control.endpoints().update(&actor, id, &expected, apply).await?, EndpointView::of))
}

pub(crate) async fn delete(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::Endpoint>,
    IfMatch(expected): IfMatch,
) -> Result<StatusCode, Problem> {
    control.endpoints().delete(&actor, id, &expected).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn pause(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::Endpoint>,
    IfMatch(expected): IfMatch,
) -> Result<Tagged<EndpointView>, Problem> {
    Ok(Tagged::of(control.endpoints().pause(&actor, id, &expected).await?, EndpointView::of))
}

pub(crate) async fn resume(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::Endpoint>,
    IfMatch(expected): IfMatch,
) -> Result<Tagged<EndpointView>, Problem> {
    Ok(Tagged::of(control.endpoints().resume(&actor, id, &expected).await?, EndpointView::of))
}

pub(crate) async fn rotate(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::Endpoint>,
    IfMatch(expected): IfMatch,
    Body(body): Body<RotateKey>,
) -> Result<Json<RotatedKeyView>, Problem> {
    let was_given = body.secret.is_some();
    let key = (body.secret.map(Secret::new), body.overlap_s.map(Duration::from_secs));
    let fresh = control.endpoints().rotate(&actor, id, &expected, key).await?;
    Ok(Json(RotatedKeyView { secret: (!was_given).then(|| fresh.expose().to_owned()) }))
}
