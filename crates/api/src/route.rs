//! A route: where it is, who may, what it takes and gives, and who answers.

use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};
use control::{Action, Control};
use http::Method;
use utoipa::openapi::RefOr;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::{
    ArrayBuilder, KnownFormat, ObjectBuilder, Ref, Schema, SchemaFormat, SchemaType, Type,
};
use utoipa::{IntoParams, ToSchema};

use crate::rates::Budget;

/// What the schema of bytes is called.
const BYTES: &str = "Bytes";

/// The schema of a body.
#[derive(Clone)]
pub(crate) struct Shape {
    /// Its name among the document's schemas.
    pub(crate) name: String,
    /// Itself and all it refers to.
    pub(crate) schemas: Vec<(String, RefOr<Schema>)>,
}

impl Shape {
    /// The schema of a type.
    pub(crate) fn of<T: ToSchema>() -> Shape {
        let name = T::name().into_owned();
        let mut schemas = vec![(name.clone(), T::schema())];
        T::schemas(&mut schemas);
        Shape { name, schemas }
    }

    /// Bytes of any kind.
    fn of_bytes() -> Shape {
        let bytes = ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)))
            .description(Some("The bytes of a file."));
        let name = BYTES.to_owned();
        Shape { schemas: vec![(name.clone(), bytes.into())], name }
    }

    /// Whether it is bytes of any kind.
    pub(crate) fn is_bytes(&self) -> bool {
        self.name == BYTES
    }

    /// The media type it is told with.
    pub(crate) fn media_type(&self) -> &'static str {
        if self.is_bytes() { "*/*" } else { "application/json" }
    }

    /// The schema of a page of rows of a type.
    fn page_of<T: ToSchema>() -> Shape {
        let row = Shape::of::<T>();
        let name = format!("{}Page", row.name);
        let cursor = SchemaType::from_iter([Type::String, Type::Null]);
        let page = ObjectBuilder::new()
            .description(Some(
                "One page of a listing, newest first. A page looks at a bounded number of rows, 20,000 where it is \
                narrowed by what has no index: it may be short, or empty, and still have a next one. The listing ends \
                where `next_cursor` is null.",
            ))
            .property("data", ArrayBuilder::new().items(RefOr::Ref(Ref::from_schema_name(row.name))))
            .required("data")
            .property("next_cursor", ObjectBuilder::new().schema_type(cursor))
            .required("next_cursor");
        let mut schemas = row.schemas;
        schemas.push((name.clone(), page.into()));
        Shape { name, schemas }
    }
}

/// One way to ask for something.
pub(crate) struct Route {
    /// The method.
    pub(crate) method: Method,
    /// The path; `{id}` stands for an id.
    pub(crate) path: &'static str,
    /// What a token must be allowed to do.
    pub(crate) action: Action,
    /// What it does, in the imperative.
    pub(crate) summary: &'static str,
    /// The query it understands.
    pub(crate) query: Vec<Parameter>,
    /// The body it takes.
    pub(crate) body: Option<Shape>,
    /// The body it gives.
    pub(crate) answer: Option<Shape>,
    /// The status when all is well.
    pub(crate) status: u16,
    /// Which budget it is paid from.
    pub(crate) budget: Budget,
    /// Whether its handler sees to idempotency keys itself.
    pub(crate) sees_to_keys: bool,
    /// Whether its answer has a version.
    pub(crate) is_versioned: bool,
    /// Whether it changes what has a version, so that the version it is for may be named.
    pub(crate) is_conditional: bool,
    /// Who answers.
    pub(crate) handler: MethodRouter<Control>,
}

impl Route {
    pub(crate) fn get<H, T>(path: &'static str, action: Action, summary: &'static str, handler: H) -> Route
    where
        H: Handler<T, Control>,
        T: 'static,
    {
        Route::of(Method::GET, path, action, summary, on(MethodFilter::GET, handler))
    }

    pub(crate) fn post<H, T>(path: &'static str, action: Action, summary: &'static str, handler: H) -> Route
    where
        H: Handler<T, Control>,
        T: 'static,
    {
        Route::of(Method::POST, path, action, summary, on(MethodFilter::POST, handler))
    }

    pub(crate) fn patch<H, T>(path: &'static str, action: Action, summary: &'static str, handler: H) -> Route
    where
        H: Handler<T, Control>,
        T: 'static,
    {
        Route::of(Method::PATCH, path, action, summary, on(MethodFilter::PATCH, handler))
    }

    pub(crate) fn delete<H, T>(path: &'static str, action: Action, summary: &'static str, handler: H) -> Route
    where
        H: Handler<T, Control>,
        T: 'static,
    {
        Route {
            status: 204,
            ..Route::of(Method::DELETE, path, action, summary, on(MethodFilter::DELETE, handler))
        }
    }

    fn of(
        method: Method,
        path: &'static str,
        action: Action,
        summary: &'static str,
        handler: MethodRouter<Control>,
    ) -> Route {
        Route {
            method,
            path,
            action,
            summary,
            query: Vec::new(),
            body: None,
            answer: None,
            status: 200,
            budget: Budget::Requests,
            sees_to_keys: false,
            is_versioned: false,
            is_conditional: false,
            handler,
        }
    }

    /// Understands this query.
    pub(crate) fn asks<Q: IntoParams>(self) -> Route {
        Route { query: Q::into_params(|| Some(ParameterIn::Query)), ..self }
    }

    /// Takes this body.
    pub(crate) fn takes<B: ToSchema>(self) -> Route {
        Route { body: Some(Shape::of::<B>()), ..self }
    }

    /// Takes bytes of any kind.
    pub(crate) fn takes_bytes(self) -> Route {
        Route { body: Some(Shape::of_bytes()), ..self }
    }

    /// Gives bytes of any kind.
    pub(crate) fn gives_bytes(self) -> Route {
        Route { answer: Some(Shape::of_bytes()), ..self }
    }

    /// Gives this body.
    pub(crate) fn gives<A: ToSchema>(self) -> Route {
        Route { answer: Some(Shape::of::<A>()), ..self }
    }

    /// Gives a page of such rows.
    pub(crate) fn lists<T: ToSchema>(self) -> Route {
        Route { answer: Some(Shape::page_of::<T>()), ..self }
    }

    /// Makes something: 201 instead of 200.
    pub(crate) fn creates<A: ToSchema>(self) -> Route {
        Route { status: 201, ..self.gives::<A>() }
    }

    /// Takes on something that happens later: 202 instead of 200, and keys are bound to what is taken on.
    pub(crate) fn accepts<A: ToSchema>(self) -> Route {
        Route { status: 202, ..self.gives::<A>().seeing_to_keys() }
    }

    /// Has a handler that sees to idempotency keys itself.
    pub(crate) fn seeing_to_keys(self) -> Route {
        Route { sees_to_keys: true, ..self }
    }

    /// Gives what has a version, which a change of it may name.
    pub(crate) fn versioned(self) -> Route {
        Route { is_versioned: true, ..self }
    }

    /// Changes what has a version, if it is still the one named.
    pub(crate) fn conditional(self) -> Route {
        Route { is_conditional: true, ..self }
    }

    /// Is paid from the budget of replays.
    pub(crate) fn replays(self) -> Route {
        Route { budget: Budget::Replays, ..self }
    }
}
