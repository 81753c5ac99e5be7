//! What a message to be sent may hold: each is a type, and the member that says it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{Object, OneOf, Schema, SchemaType, Type};

/// The types there are.
pub(crate) const BODIES: [&str; 11] = [
    "text",
    "image",
    "video",
    "audio",
    "document",
    "sticker",
    "template",
    "interactive",
    "reaction",
    "location",
    "contacts",
];

/// Written words.
#[derive(Deserialize, Serialize, ToSchema)]
pub(crate) struct OutgoingText {
    /// The words.
    body: String,
    /// Whether the first link is previewed.
    #[serde(default)]
    preview_url: bool,
}

/// A file: by its `id` with the platform, by a `link`, or one that is stored here as `file`.
#[derive(Deserialize, Serialize, ToSchema)]
pub(crate) struct OutgoingMedia {
    /// The platform's id of an uploaded file.
    id: Option<String>,
    /// Where the platform can fetch it.
    link: Option<String>,
    /// The id of a file that is stored here; the platform fetches it from us.
    file: Option<String>,
    /// The words under it: of an image, a video or a document.
    caption: Option<String>,
    /// Its name: of a document.
    filename: Option<String>,
}

/// A reaction to a message.
#[derive(Deserialize, Serialize, ToSchema)]
pub(crate) struct OutgoingReaction {
    /// The platform's id of the message reacted to.
    message_id: String,
    /// The emoji; absent or empty takes the reaction back.
    emoji: Option<String>,
}

/// A place.
#[derive(Deserialize, Serialize, ToSchema)]
pub(crate) struct OutgoingLocation {
    /// Degrees north.
    latitude: f64,
    /// Degrees east.
    longitude: f64,
    /// What the place is called.
    name: Option<String>,
    /// Its postal address.
    address: Option<String>,
    /// A page about the place.
    url: Option<String>,
}

/// A member as JSON, where it is there.
pub(crate) fn json<T: Serialize>(member: Option<T>) -> Option<Value> {
    member.and_then(|member| serde_json::to_value(member).ok())
}

/// The schema of a message, told apart by `type`: one for each, with the member it names and none of the others.
pub(crate) fn told_apart(message: &Object) -> Schema {
    let one = |name: &&str| {
        let mut one = message.clone();
        (one.title, one.description) = (Some((*name).to_owned()), None);
        one.properties.retain(|member, _| member == name || !BODIES.contains(&member.as_str()));
        one.required.push((*name).to_owned());
        one.properties.get_mut(*name).into_iter().for_each(must_be_there);
        if let Some(RefOr::T(Schema::Object(named))) = one.properties.get_mut("type") {
            named.description = None;
            named.enum_values = Some(vec![Value::from(*name)]);
        }
        RefOr::T(Schema::Object(one))
    };
    let mut all = OneOf::new();
    all.items = BODIES.iter().map(one).collect();
    all.description.clone_from(&message.description);
    Schema::OneOf(all)
}

/// Takes `null` out of what a schema allows.
fn must_be_there(schema: &mut RefOr<Schema>) {
    let only = |held: &mut SchemaType| {
        if let SchemaType::Array(types) = held
            && let Some(other) = types.iter().find(|one| **one != Type::Null)
        {
            *held = SchemaType::Type(other.clone());
        }
    };
    match schema {
        RefOr::T(Schema::Object(object)) => only(&mut object.schema_type),
        RefOr::T(Schema::Array(array)) => only(&mut array.schema_type),
        RefOr::T(Schema::OneOf(either)) => {
            let first = either.items.first().cloned();
            first.into_iter().for_each(|first| *schema = first);
        }
        _ => {}
    }
}
