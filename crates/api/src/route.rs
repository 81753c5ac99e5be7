//! A route: where it is, who may, what it takes and gives, and who answers.

use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};
use control::{Action, Control};
use http::Method;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::Schema;
use utoipa::openapi::RefOr;
use utoipa::{IntoParams, ToSchema};

use crate::rates::Budget;

/// The schema of a body.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// Its name among the document's schemas.
    pub(crate) name: fn() -> std::borrow::Cow<'static, str>,
    /// Itself and all it refers to.
    pub(crate) schemas: fn() -> Vec<(String, RefOr<Schema>)>,
}

impl Shape {
    pub(crate) fn of<T: ToSchema>() -> Shape {
        Shape { name: T::name, schemas: schemas::<T> }
    }
}

fn schemas<T: ToSchema>() -> Vec<(String, RefOr<Schema>)> {
    let mut all = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut all);
    all
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
        Route { status: 204, ..Route::of(Method::DELETE, path, action, summary, on(MethodFilter::DELETE, handler)) }
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

    /// Gives this body.
    pub(crate) fn gives<A: ToSchema>(self) -> Route {
        Route { answer: Some(Shape::of::<A>()), ..self }
    }

    /// Makes something: 201 instead of 200.
    pub(crate) fn creates<A: ToSchema>(self) -> Route {
        Route { status: 201, ..self.gives::<A>() }
    }

    /// Takes on something that happens later: 202 instead of 200, and keys are bound to what is taken on.
    pub(crate) fn accepts<A: ToSchema>(self) -> Route {
        Route { status: 202, sees_to_keys: true, ..self.gives::<A>() }
    }

    /// Is paid from the budget of replays.
    pub(crate) fn replays(self) -> Route {
        Route { budget: Budget::Replays, ..self }
    }
}
