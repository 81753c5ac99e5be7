//! What a member of a body or a query is beyond its type, by its name: one word means one thing everywhere. The document
//! says it, so that clients made from it ask for nothing that is refused anyway.

use std::ops::RangeInclusive;

use control::check::{HEADERS_MAX, NAME_MAX, OVERLAP_S, PATH_MAX, URL_MAX};
use control::endpoints::{CONCURRENCY, SUBSCRIPTION_MAX, TIMEOUT_S};
use control::replay::MANY_MAX;
use control::sources::{NETWORKS_MAX, RATE_PER_SECOND, SECRET_BYTES_MAX, SECRETS_MAX, platforms};
use model::access::Role;
use model::conversation::ConversationState;
use model::delivery::DeliveryState;
use model::endpoint::{Format, OnDead, Order};
use model::event::EVENT_TYPE_BYTES_MAX;
use model::file::FileState;
use model::id::{Kind, kind};
use model::page::LIMIT_MAX;
use model::receipt::ReceiptState;
use model::retry::RETRIES_MAX;
use model::send::SendState;
use model::source::{ADDRESS_BYTES_MAX, SecretRole, UnknownAccounts};
use model::watch::Watchdog;
use serde_json::Value;
use utoipa::Number;
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayItems, Object, Schema, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{KnownFormat, RefOr};

use crate::page::Cursor;
use crate::v1::outgoing::BODIES;

/// What a text or a number may be.
enum Fact {
    Id(&'static str),
    Time,
    /// A name people give: one line, not blank.
    Name,
    OneOf(Vec<&'static str>),
    Like(&'static str),
    Within(RangeInclusive<u64>),
}

/// An idempotency key: plain characters, with no space at either end, where HTTP has none.
const KEY: &str = "^[!-~]([ -~]{0,253}[!-~])?$";
/// The dotted name of an event.
const EVENT_TYPE: &str = r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$";
/// What a subscription names: an event type, or all below a word, or all.
const EVENT_PATTERN: &str = r"^(\*|[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*(\.\*)?)$";
/// An address of the web in ASCII, as a URI is: a name or an address, and maybe a port.
const URL: &str = r"^(https|http)://([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?([/?#][!-~]*)?$";
/// A path of plain characters, with no part that is empty.
const PATH: &str = r"^(/[!$&-.0-;=@-\[\]-z|~]+)+$";
/// The waits of a schedule.
const WAITS: &str = r"^ *[0-9]+(ms|s|m|h|d) *(, *[0-9]+(ms|s|m|h|d) *)*$";
/// A network in CIDR notation.
const NETWORK: &str = "^[0-9A-Fa-f:.]+/[0-9]{1,3}$";
/// A text in one line that is not empty.
pub(crate) const LINE_OF_SOME: &str = r"^[^\x00-\x1f\x7f-\x9f]+$";
/// A text in one line.
const LINE: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";
/// The versions a change is for.
const VERSIONS: &str = r#"^(\*|"[0-9]+"(, ?"[0-9]+")*)$"#;

/// Completes the schema of this name. What is asked may be one of the names there are today only; what is answered is
/// described in words, so that a new name breaks no client.
pub(crate) fn complete(name: &str, schema: &mut RefOr<Schema>) {
    match schema {
        RefOr::T(Schema::Object(object)) => {
            let is_asked = matches!(
                object.additional_properties.as_deref(),
                Some(AdditionalProperties::FreeForm(false))
            );
            for (member, schema) in &mut object.properties {
                let fact = plain(name, member).or_else(|| is_asked.then(|| asked(name, member)).flatten());
                if let Some(fact) = fact {
                    fact.tell(schema);
                }
                if let Some(most) = most(name, member).filter(|_| is_asked) {
                    bound(schema, most);
                }
            }
        }
        RefOr::T(Schema::AllOf(all)) => all.items.iter_mut().for_each(|part| complete(name, part)),
        RefOr::T(Schema::OneOf(one)) if name == "Schedule" => {
            for schema in &mut one.items {
                Fact::Like(WAITS).tell(schema);
                if let RefOr::T(Schema::Array(waits)) = schema {
                    waits.max_items = Some(RETRIES_MAX);
                }
            }
        }
        _ => {}
    }
}

/// Completes the schema of a parameter of a route, which is about things of this noun.
pub(crate) fn complete_parameter(noun: &str, parameter: &str, schema: &mut RefOr<Schema>) {
    if let RefOr::T(Schema::Object(object)) = schema
        && let SchemaType::Array(types) = &object.schema_type
        && let [only, Type::Null] = types.as_slice()
    {
        // It is there or it is not: a query has no null.
        object.schema_type = SchemaType::Type(only.clone());
    }
    if let Some(fact) = plain(noun, parameter).or_else(|| asked(noun, parameter)) {
        fact.tell(schema);
    }
    if let Some(most) = most(noun, parameter) {
        bound(schema, most);
    }
}

/// What is so whether it is asked or answered.
fn plain(of: &str, member: &str) -> Option<Fact> {
    let prefix = match (of, member) {
        (_, "id") => return id_of(of),
        (_, "app") => kind::App::PREFIX,
        (_, "source" | "sources") => kind::Source::PREFIX,
        (_, "account" | "accounts") => kind::Account::PREFIX,
        (_, "endpoint") => kind::Endpoint::PREFIX,
        (_, "event") => kind::Event::PREFIX,
        (_, "receipt") => kind::Receipt::PREFIX,
        (_, "delivery" | "replayed_by") => kind::Delivery::PREFIX,
        (_, "conversation") => kind::Conversation::PREFIX,
        (_, "file") => kind::File::PREFIX,
        (_, "contact") => kind::Contact::PREFIX,
        (_, "cursor" | "next_cursor") => Cursor::PREFIX,
        (_, "since" | "until") => return Some(Fact::Time),
        (_, "failing_since") => return Some(Fact::Time),
        (_, member) if member.ends_with("_at") => return Some(Fact::Time),
        _ => return None,
    };
    Some(Fact::Id(prefix))
}

/// The id of a thing of a noun, in the singular of a schema or in the plural of a path.
fn id_of(noun: &str) -> Option<Fact> {
    let prefix = match noun {
        "App" | "apps" => kind::App::PREFIX,
        "Source" | "sources" => kind::Source::PREFIX,
        "Account" | "accounts" => kind::Account::PREFIX,
        "Endpoint" | "endpoints" => kind::Endpoint::PREFIX,
        "Event" | "events" => kind::Event::PREFIX,
        "Receipt" | "receipts" => kind::Receipt::PREFIX,
        "Delivery" | "deliveries" => kind::Delivery::PREFIX,
        "Attempt" => kind::Attempt::PREFIX,
        "Conversation" | "conversations" => kind::Conversation::PREFIX,
        "Contact" | "contacts" => kind::Contact::PREFIX,
        "File" | "files" => kind::File::PREFIX,
        "Message" | "messages" | "Sent" => kind::Send::PREFIX,
        "Token" | "tokens" => kind::Token::PREFIX,
        "AuditLine" => kind::Audit::PREFIX,
        _ => return None,
    };
    Some(Fact::Id(prefix))
}

/// What may be asked for.
fn asked(of: &str, member: &str) -> Option<Fact> {
    Some(match (of, member) {
        (_, "Idempotency-Key") => Fact::Like(KEY),
        (_, "If-Match") => Fact::Like(VERSIONS),
        (_, "name") => Fact::Name,
        (_, "types") => Fact::Like(EVENT_PATTERN),
        ("events", "type") => Fact::Like(EVENT_TYPE),
        (_, "url") => Fact::Like(URL),
        ("CreateSource" | "UpdateSource", "path") => Fact::Like(PATH),
        (_, "allowed_networks") => Fact::Like(NETWORK),
        ("audit", "actor" | "action") | (_, "address") => Fact::Like(LINE),
        (_, "to") => Fact::Like(LINE_OF_SOME),
        ("ReplayMany", "limit") => Fact::Within(1..=MANY_MAX as u64),
        (_, "limit") => Fact::Within(1..=u64::from(LIMIT_MAX)),
        (_, "concurrency") => Fact::Within(CONCURRENCY),
        (_, "timeout_s") => Fact::Within(TIMEOUT_S),
        (_, "overlap_s") => Fact::Within(OVERLAP_S),
        (_, "rate_per_second") => Fact::Within(RATE_PER_SECOND),
        ("CreateToken", "role") => Fact::OneOf(Role::CHOSEN.map(Role::as_str).into()),
        (_, "role") => Fact::OneOf(SecretRole::ALL.map(SecretRole::as_str).into()),
        (_, "platform") => Fact::OneOf(platforms()),
        (_, "format") => Fact::OneOf(Format::ALL.map(Format::as_str).into()),
        (_, "order") => Fact::OneOf(Order::ALL.map(Order::as_str).into()),
        (_, "on_dead") => Fact::OneOf(OnDead::ALL.map(OnDead::as_str).into()),
        (_, "watchdog") => Fact::OneOf(Watchdog::ALL.map(Watchdog::as_str).into()),
        (_, "unknown_accounts") => Fact::OneOf(UnknownAccounts::ALL.map(UnknownAccounts::as_str).into()),
        ("SendMessage", "type") => Fact::OneOf(BODIES.into()),
        ("deliveries", "status") => Fact::OneOf(DeliveryState::ALL.map(DeliveryState::as_str).into()),
        ("files", "status") => Fact::OneOf(FileState::ALL.map(FileState::as_str).into()),
        ("receipts", "status") => Fact::OneOf(ReceiptState::ALL.map(ReceiptState::as_str).into()),
        ("messages", "status") => Fact::OneOf(SendState::ALL.map(SendState::as_str).into()),
        ("conversations", "status") => {
            Fact::OneOf(ConversationState::ALL.map(ConversationState::as_str).into())
        }
        _ => return None,
    })
}

/// How long a text may be that is asked for, or how many entries a list or a map may have.
fn most(of: &str, member: &str) -> Option<usize> {
    Some(match (of, member) {
        (_, "url") => URL_MAX,
        ("CreateSource" | "UpdateSource", "path") => PATH_MAX,
        ("events", "type") => EVENT_TYPE_BYTES_MAX,
        ("CreateAccount", "address") => ADDRESS_BYTES_MAX,
        ("GivenSecret" | "RotateSecret", "secret") => SECRET_BYTES_MAX,
        ("CreateEndpoint" | "UpdateEndpoint", "types" | "sources" | "accounts") => SUBSCRIPTION_MAX,
        (_, "allowed_networks") => NETWORKS_MAX,
        (_, "secrets") => SECRETS_MAX,
        (_, "headers") => HEADERS_MAX,
        _ => return None,
    })
}

/// Bounds a text, a list or a map.
fn bound(schema: &mut RefOr<Schema>, most: usize) {
    match schema {
        RefOr::T(Schema::Array(array)) => array.max_items = Some(most),
        RefOr::T(Schema::Object(object)) if object.additional_properties.is_some() => {
            object.max_properties = Some(most);
        }
        RefOr::T(Schema::Object(object)) if is(object, &Type::String) => object.max_length = Some(most),
        _ => {}
    }
}

/// Whether an object of the document is of this type.
fn is(object: &Object, wanted: &Type) -> bool {
    match &object.schema_type {
        SchemaType::Type(held) => held == wanted,
        SchemaType::Array(held) => held.contains(wanted),
        SchemaType::AnyValue => false,
    }
}

impl Fact {
    fn tell(&self, schema: &mut RefOr<Schema>) {
        match schema {
            RefOr::T(Schema::Object(object)) if object.properties.is_empty() => self.tell_of(object),
            RefOr::T(Schema::Array(array)) => {
                if let ArrayItems::RefOrSchema(items) = &mut array.items {
                    self.tell(items);
                }
            }
            _ => {}
        }
    }

    fn tell_of(&self, object: &mut Object) {
        match self {
            Fact::Within(bounds) if is(object, &Type::Integer) => {
                object.minimum = Some(number(*bounds.start()));
                object.maximum = Some(number(*bounds.end()));
            }
            _ if !is(object, &Type::String) => {}
            // An id has eleven digits of 62, and its number fits 63 bits.
            Fact::Id(prefix) => object.pattern = Some(format!("^{prefix}_[0-9A][0-9A-Za-z]{{10}}$")),
            Fact::Time => object.format = Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)),
            Fact::Like(pattern) => object.pattern = Some((*pattern).to_owned()),
            Fact::Name => {
                (object.min_length, object.max_length) = (Some(1), Some(NAME_MAX));
                let line = r"[^\x00-\x1f\x7f-\x9f]*";
                object.pattern = Some(format!(r"^{line}[^\s\x00-\x1f\x7f-\x9f]{line}$"));
            }
            Fact::OneOf(names) => {
                let null = is(object, &Type::Null).then_some(Value::Null);
                object.enum_values = Some(names.iter().copied().map(Value::from).chain(null).collect());
            }
            Fact::Within(_) => {}
        }
    }
}

fn number(value: u64) -> Number {
    Number::UInt(usize::try_from(value).unwrap_or(usize::MAX))
}
