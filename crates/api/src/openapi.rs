//! The OpenAPI document, made from the list of routes.

use std::collections::BTreeMap;

use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem,
};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{ComponentsBuilder, ObjectBuilder, Ref, Schema, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Content, Header, InfoBuilder, OpenApi, OpenApiBuilder, PathsBuilder, RefOr, Required, Response,
    ResponseBuilder,
};

use crate::members;
use crate::problem::ProblemView;
use crate::route::{Route, Shape};
use crate::router::routes;
use crate::v1::outgoing;

const PROBLEM_JSON: &str = "application/problem+json";
const SCHEME: &str = "token";

/// The document of every route.
pub fn document() -> OpenApi {
    let routes = routes();
    let mut schemas: BTreeMap<String, RefOr<Schema>> = problem().schemas.into_iter().collect();
    let mut items: BTreeMap<&str, PathItem> = BTreeMap::new();
    for route in &routes {
        let shapes = route.body.iter().chain(&route.answer);
        schemas.extend(shapes.flat_map(|shape| shape.schemas.iter().cloned()));
        let item = PathItem::new(method(route), operation(route));
        items.entry(route.path).and_modify(|held| held.merge_operations(item.clone())).or_insert(item);
    }
    schemas.iter_mut().for_each(|(name, schema)| members::complete(name, schema));
    if let Some(RefOr::T(message)) = schemas.get_mut("SendMessage")
        && let Schema::Object(object) = message
    {
        *message = outgoing::told_apart(object);
    }
    let paths = items.into_iter().fold(PathsBuilder::new(), |paths, (path, item)| paths.path(path, item));
    let bearer = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    let components =
        ComponentsBuilder::new().schemas_from_iter(schemas).security_scheme(SCHEME, bearer).build();
    let description = "The webhook gateway for conversations. Errors are RFC 9457 problems; listings are paged by \
        cursor, newest first; POST takes an Idempotency-Key; what is configured has an ETag, and a change with an \
        If-Match of another version is refused with 412. Every answer to a token says in RateLimit how many requests \
        it has left.";
    OpenApiBuilder::new()
        .info(InfoBuilder::new().title("Gancho").version("1").description(Some(description)).build())
        .paths(paths.build())
        .components(Some(components))
        .security(Some([SecurityRequirement::new(SCHEME, Vec::<String>::new())]))
        .build()
}

/// The document as it is served and kept in `docs/reference/openapi.json`.
pub fn json() -> String {
    document().to_pretty_json().expect("a document has text keys only") + "\n"
}

fn problem() -> Shape {
    Shape::of::<ProblemView>()
}

fn method(route: &Route) -> HttpMethod {
    match route.method.as_str() {
        "POST" => HttpMethod::Post,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

fn operation(route: &Route) -> Operation {
    let id = route.summary.to_ascii_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let operation = OperationBuilder::new()
        .tag(noun(route))
        .summary(Some(route.summary))
        .operation_id(Some(id))
        .request_body(route.body.as_ref().map(body))
        .response(route.status.to_string(), answer(route))
        .response("default", response("A problem.", PROBLEM_JSON, Some(&problem())));
    parameters(route).into_iter().fold(operation, OperationBuilder::parameter).build()
}

/// What a route is about, in the plural of its path.
fn noun(route: &Route) -> &'static str {
    route.path.trim_start_matches("/v1").split('/').nth(1).unwrap_or_default()
}

/// A body; it may be left out where nothing in it must be there.
fn body(shape: &Shape) -> RequestBody {
    let needs = |(name, schema): &(String, RefOr<Schema>)| {
        *name == shape.name
            && matches!(schema, RefOr::T(Schema::Object(object)) if !object.required.is_empty())
    };
    let required = if shape.schemas.iter().any(needs) { Required::True } else { Required::False };
    RequestBodyBuilder::new().content(shape.media_type(), content(shape)).required(Some(required)).build()
}

/// What a route is asked with beside its body.
fn parameters(route: &Route) -> Vec<Parameter> {
    // Bytes are not read twice to compare them.
    let takes_bytes = route.body.as_ref().is_some_and(Shape::is_bytes);
    let takes_key = route.method == http::Method::POST && !takes_bytes;
    let own = [
        route.path.contains("{id}").then(|| text_parameter("id", ParameterIn::Path, Required::True)),
        takes_key.then(|| text_parameter("Idempotency-Key", ParameterIn::Header, Required::False)),
        route.is_conditional.then(|| text_parameter("If-Match", ParameterIn::Header, Required::False)),
    ];
    let mut all: Vec<Parameter> = own.into_iter().flatten().chain(route.query.iter().cloned()).collect();
    for parameter in &mut all {
        if let Some(schema) = &mut parameter.schema {
            members::complete_parameter(noun(route), &parameter.name, schema);
        }
    }
    all
}

fn answer(route: &Route) -> Response {
    let media_type = route.answer.as_ref().map_or("application/json", Shape::media_type);
    let mut response = response("All is well.", media_type, route.answer.as_ref());
    if route.is_versioned {
        let text = ObjectBuilder::new().schema_type(Type::String).build();
        response.headers.insert("ETag".to_owned(), RefOr::T(Header::new(text)));
    }
    response
}

fn response(description: &str, media_type: &str, shape: Option<&Shape>) -> Response {
    let response = ResponseBuilder::new().description(description);
    match shape {
        Some(shape) => response.content(media_type, content(shape)).build(),
        None => response.build(),
    }
}

fn content(shape: &Shape) -> Content {
    Content::new(Some(Ref::from_schema_name(&shape.name)))
}

fn text_parameter(name: &str, place: ParameterIn, required: Required) -> Parameter {
    let text = ObjectBuilder::new().schema_type(Type::String).build();
    ParameterBuilder::new().name(name).parameter_in(place).required(required).schema(Some(text)).build()
}
