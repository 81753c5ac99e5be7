//! Every route, in one list; the router and the OpenAPI document are made from it.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{any, get};
use control::Action::{
    ChangeSecrets, Configure, FollowMessages, ManageTokens, Operate, Read, ReadAudit, Send,
};
use control::Control;
use http::Method;
use http::header::CONTENT_TYPE;

use crate::auth::{self, Guard};
use crate::body::BODY_BYTES_MAX;
use crate::problem::{Code, Problem};
use crate::rates::Rates;
use crate::route::Route;
use crate::v1::{
    accounts, apps, audit, contacts, conversations, deliveries, endpoints, events, files, messages, receipts,
    registrations, sources, stats, tokens,
};
use crate::{idempotency, openapi, page, request_id, waba, whatzme};

/// The API over control: every answer has a request id, every error is a problem.
pub fn router(control: Control) -> Router {
    let rates: Arc<Rates> = Arc::default();
    let mut router = Router::new();
    for route in routes() {
        let guard = Guard {
            control: control.clone(),
            rates: Arc::clone(&rates),
            action: route.action,
            budget: route.budget,
        };
        let keyed = from_fn_with_state(control.clone(), idempotency::once);
        let is_keyed = route.method == Method::POST && !route.sees_to_keys;
        let handler = if is_keyed { route.handler.layer(keyed) } else { route.handler };
        router = router.route(route.path, handler.layer(from_fn_with_state(guard, auth::pass)));
    }
    let document = openapi::json();
    router
        .merge(waba::router(&control, &rates))
        .route("/openapi.json", get(move || async move { ([(CONTENT_TYPE, "application/json")], document) }))
        .route("/v1/{*rest}", any(|| async { Problem::of(Code::NotFound) }))
        .method_not_allowed_fallback(|| async { Problem::of(Code::MethodNotAllowed) })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(control.clone(), request_id::name))
        .with_state(control)
}

/// Where files are given to whoever has a link to one: beside the webhooks, for platforms come for them too.
pub fn files(control: Control) -> Router {
    Router::new()
        .route("/files/{id}", get(files::by_link))
        .layer(from_fn_with_state(control.clone(), request_id::name))
        .with_state(control)
}

/// Every route there is.
pub(crate) fn routes() -> Vec<Route> {
    [places(), sources_and_accounts(), endpoints_and_deliveries(), what_came(), talk(), operation()]
        .into_iter()
        .flatten()
        .collect()
}

fn places() -> Vec<Route> {
    vec![
        Route::get("/v1/apps", Read, "List apps", apps::list).asks::<page::List>().lists::<apps::AppView>(),
        Route::post("/v1/apps", Configure, "Create an app", apps::create)
            .takes::<apps::NameApp>()
            .creates::<apps::AppView>()
            .versioned(),
        Route::get("/v1/apps/{id}", Read, "Get an app", apps::get).gives::<apps::AppView>().versioned(),
        Route::patch("/v1/apps/{id}", Configure, "Rename an app", apps::rename)
            .takes::<apps::NameApp>()
            .gives::<apps::AppView>()
            .versioned()
            .conditional(),
    ]
}

fn sources_and_accounts() -> Vec<Route> {
    vec![
        Route::get("/v1/sources", Read, "List sources", sources::list)
            .asks::<page::List>()
            .lists::<sources::SourceView>(),
        Route::post("/v1/sources", Configure, "Create a source", sources::create)
            .takes::<sources::CreateSource>()
            .creates::<sources::SourceView>()
            .versioned(),
        Route::get("/v1/sources/{id}", Read, "Get a source", sources::get)
            .gives::<sources::SourceView>()
            .versioned(),
        Route::patch("/v1/sources/{id}", Configure, "Change a source", sources::update)
            .takes::<sources::UpdateSource>()
            .gives::<sources::SourceView>()
            .versioned()
            .conditional(),
        Route::delete("/v1/sources/{id}", Configure, "Delete a source", sources::delete).conditional(),
        Route::post(
            "/v1/sources/{id}/rotate-secret",
            ChangeSecrets,
            "Rotate a secret of a source",
            sources::rotate,
        )
        .takes::<sources::RotateSecret>()
        .gives::<sources::RotatedView>()
        .conditional(),
        Route::get(
            "/v1/sources/{id}/registration",
            Read,
            "Say whether the platform calls our URL",
            registrations::get,
        )
        .gives::<registrations::RegistrationView>(),
        Route::post(
            "/v1/sources/{id}/register",
            Configure,
            "Have the platform call our URL",
            registrations::register,
        )
        .gives::<registrations::RegistrationView>(),
        Route::get("/v1/accounts", Read, "List accounts", accounts::list)
            .asks::<accounts::List>()
            .lists::<accounts::AccountView>(),
        Route::post("/v1/accounts", Configure, "Name an account", accounts::create)
            .takes::<accounts::CreateAccount>()
            .creates::<accounts::AccountView>()
            .versioned(),
        Route::get("/v1/accounts/{id}", Read, "Get an account", accounts::get)
            .gives::<accounts::AccountView>()
            .versioned(),
        Route::patch("/v1/accounts/{id}", Configure, "Change an account", accounts::update)
            .takes::<accounts::UpdateAccount>()
            .gives::<accounts::AccountView>()
            .versioned()
            .conditional(),
        Route::post("/v1/accounts/{id}/key", ManageTokens, "Make a new key of a number", accounts::renew_key)
            .gives::<accounts::NumberKeyView>(),
    ]
}

fn endpoints_and_deliveries() -> Vec<Route> {
    vec![
        Route::get("/v1/endpoints", Read, "List endpoints", endpoints::list)
            .asks::<page::List>()
            .lists::<endpoints::EndpointView>(),
        Route::post("/v1/endpoints", Configure, "Create an endpoint", endpoints::create)
            .takes::<endpoints::CreateEndpoint>()
            .creates::<endpoints::CreatedEndpoint>()
            .versioned(),
        Route::get("/v1/endpoints/{id}", Read, "Get an endpoint", endpoints::get)
            .gives::<endpoints::EndpointView>()
            .versioned(),
        Route::patch("/v1/endpoints/{id}", Configure, "Change an endpoint", endpoints::update)
            .takes::<endpoints::UpdateEndpoint>()
            .gives::<endpoints::EndpointView>()
            .versioned()
            .conditional(),
        Route::delete("/v1/endpoints/{id}", Configure, "Delete an endpoint", endpoints::delete).conditional(),
        Route::post("/v1/endpoints/{id}/pause", Operate, "Pause an endpoint", endpoints::pause)
            .gives::<endpoints::EndpointView>()
            .versioned()
            .conditional(),
        Route::post("/v1/endpoints/{id}/resume", Operate, "Resume an endpoint", endpoints::resume)
            .gives::<endpoints::EndpointView>()
            .versioned()
            .conditional(),
        Route::post(
            "/v1/endpoints/{id}/rotate-secret",
            ChangeSecrets,
            "Rotate the secret of an endpoint",
            endpoints::rotate,
        )
        .takes::<endpoints::RotateKey>()
        .gives::<endpoints::RotatedKeyView>()
        .conditional(),
        Route::get("/v1/deliveries", Read, "List deliveries", deliveries::list)
            .asks::<deliveries::List>()
            .lists::<deliveries::DeliveryView>(),
        Route::get("/v1/deliveries/{id}", Read, "Get a delivery", deliveries::get)
            .gives::<deliveries::DeliveryView>(),
        Route::get(
            "/v1/deliveries/{id}/attempts",
            Read,
            "List the attempts of a delivery",
            deliveries::attempts,
        )
        .gives::<deliveries::AttemptsView>(),
        Route::post("/v1/deliveries/{id}/cancel", Operate, "Cancel a delivery", deliveries::cancel)
            .gives::<deliveries::DeliveryView>(),
        Route::post("/v1/deliveries/{id}/retry", Operate, "Attempt a delivery now", deliveries::retry)
            .gives::<deliveries::DeliveryView>(),
        Route::post("/v1/deliveries/{id}/replay", Operate, "Replay a delivery", deliveries::replay)
            .takes::<deliveries::ReplayDelivery>()
            .gives::<deliveries::ReplayView>()
            .replays(),
        Route::post("/v1/replays", Operate, "Replay dead deliveries", deliveries::replay_many)
            .takes::<deliveries::ReplayMany>()
            .gives::<deliveries::ReplayedView>()
            .replays(),
    ]
}

fn what_came() -> Vec<Route> {
    vec![
        Route::get("/v1/events", Read, "List events", events::list)
            .asks::<events::List>()
            .lists::<events::EventView>(),
        Route::get("/v1/events/{id}", Read, "Get an event", events::get).gives::<events::EventDetail>(),
        Route::post("/v1/events/{id}/replay", Operate, "Replay an event to an endpoint", events::replay)
            .takes::<events::ReplayEvent>()
            .gives::<deliveries::ReplayView>()
            .replays(),
        Route::get("/v1/receipts", Read, "List receipts", receipts::list)
            .asks::<receipts::List>()
            .lists::<receipts::ReceiptView>(),
        Route::get("/v1/receipts/{id}", Read, "Get a receipt", receipts::get)
            .gives::<receipts::ReceiptView>(),
        Route::get("/v1/receipts/{id}/request", Read, "Get what came in a request", receipts::request)
            .gives::<receipts::RequestView>(),
        Route::post("/v1/receipts/{id}/verify", Operate, "Verify a request again", receipts::verify)
            .gives::<receipts::VerificationView>(),
        Route::post("/v1/receipts/{id}/release", Operate, "Release a request", receipts::release)
            .takes::<receipts::Release>()
            .gives::<receipts::ReleasedView>(),
    ]
}

fn talk() -> Vec<Route> {
    vec![
        Route::get("/v1/conversations", Read, "List conversations", conversations::list)
            .asks::<conversations::List>()
            .lists::<conversations::ConversationView>(),
        Route::get("/v1/conversations/{id}", Read, "Get a conversation", conversations::get)
            .gives::<conversations::ConversationView>(),
        Route::post(
            "/v1/conversations/{id}/handoff",
            Operate,
            "Hand a conversation off",
            conversations::hand_off,
        )
        .gives::<conversations::ConversationView>(),
        Route::post(
            "/v1/conversations/{id}/resolve",
            Operate,
            "Resolve a conversation",
            conversations::resolve,
        )
        .gives::<conversations::ConversationView>(),
        Route::post("/v1/conversations/{id}/reopen", Operate, "Reopen a conversation", conversations::reopen)
            .gives::<conversations::ConversationView>(),
        Route::post("/v1/conversations/{id}/read", Send, "Mark a message as read", messages::mark_read)
            .takes::<messages::MarkRead>()
            .accepts::<messages::MessageView>(),
        Route::get("/v1/contacts", Read, "List contacts", contacts::list)
            .asks::<contacts::List>()
            .lists::<contacts::ContactView>(),
        Route::get("/v1/contacts/{id}", Read, "Get a contact", contacts::get)
            .gives::<contacts::ContactView>(),
        Route::get("/v1/messages", Read, "List messages", messages::list)
            .asks::<messages::List>()
            .lists::<messages::MessageView>(),
        Route::post("/v1/messages", Send, "Send a message", messages::send)
            .takes::<messages::SendMessage>()
            .accepts::<messages::MessageView>(),
        Route::get("/v1/messages/{id}", FollowMessages, "Get a message", messages::get)
            .gives::<messages::MessageDetail>(),
        Route::get(
            "/v1/messages/{id}/attempts",
            FollowMessages,
            "List the attempts of a message",
            messages::attempts,
        )
        .gives::<deliveries::AttemptsView>(),
        Route::post("/v1/messages/{id}/cancel", Send, "Cancel a message", messages::cancel)
            .gives::<messages::MessageView>(),
        Route::get("/v1/files", Read, "List files", files::list)
            .asks::<files::List>()
            .lists::<files::FileView>(),
        Route::post("/v1/files", Send, "Upload a file", files::upload)
            .asks::<files::Upload>()
            .takes_bytes()
            .creates::<files::FileView>()
            .seeing_to_keys(),
        Route::get("/v1/files/{id}", Read, "Get a file", files::get).gives::<files::FileView>(),
        Route::get("/v1/files/{id}/content", Read, "Get the bytes of a file", files::content).gives_bytes(),
        Route::post("/v1/files/{id}/retry", Operate, "Fetch a file again", files::retry)
            .gives::<files::FileView>(),
        Route::delete("/v1/files/{id}", Operate, "Remove the bytes of a file", files::delete),
        Route::post("/messages/send", Send, "Send as WhatzMeAPI does", whatzme::send)
            .asks::<whatzme::From>()
            .takes::<whatzme::SendText>()
            .gives::<whatzme::SentView>()
            .seeing_to_keys(),
    ]
}

fn operation() -> Vec<Route> {
    vec![
        Route::get("/v1/tokens", ManageTokens, "List tokens", tokens::list)
            .asks::<page::List>()
            .lists::<tokens::TokenView>(),
        Route::post("/v1/tokens", ManageTokens, "Create a token", tokens::create)
            .takes::<tokens::CreateToken>()
            .creates::<tokens::CreatedToken>(),
        Route::get("/v1/tokens/{id}", ManageTokens, "Get a token", tokens::get).gives::<tokens::TokenView>(),
        Route::delete("/v1/tokens/{id}", ManageTokens, "Revoke a token", tokens::revoke),
        Route::get("/v1/audit", ReadAudit, "List who did what", audit::list)
            .asks::<audit::List>()
            .lists::<audit::AuditLineView>(),
        Route::get("/v1/stats", Read, "Get what is waiting", stats::backlog).gives::<stats::BacklogView>(),
        Route::get("/v1/stats/counts", Operate, "Count what is kept", stats::counts)
            .gives::<stats::CountsView>(),
        Route::get("/v1/health", Read, "Check that the store can be written to", stats::health)
            .gives::<stats::HealthView>(),
    ]
}
