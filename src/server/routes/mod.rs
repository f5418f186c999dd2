//! The table of routes: what is asked how, by whom, and who answers.
//!
//! One table leads requests, checks roles and parameters, and makes the OpenAPI document.

pub mod append;
mod binding;
pub mod blobs;
pub mod events;
mod exec;
mod health;
mod kv;
mod local;
mod names;
mod plain;
mod projections;
mod spells;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request};
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use tracing::Instrument;

use super::call::{Answer, Call, read_query};
use super::connection::Peer;
use super::entry::Entry;
use super::problem::{Code, Problem};
use super::reading::FILTERS;
use super::telemetry::span;
use super::token::Role;
use super::{Server, access};

/// A handler's answer, to come.
pub type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// One row.
#[derive(Debug)]
pub struct Route {
    /// `GET`, `POST`, `PUT`, `DELETE`.
    pub method: &'static str,
    /// The path, with `{names}`.
    pub path: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// What is needed by TCP; `None`: nothing.
    pub role: Option<Role>,
    /// The parameters of the query.
    pub query: &'static [&'static [&'static str]],
    handler: fn(Call, Body) -> Answering,
}

impl Route {
    /// The parameters of the query.
    pub fn parameters(&self) -> impl Iterator<Item = &'static str> + Clone {
        self.query.iter().flat_map(|group| group.iter().copied())
    }

    /// Whether it asks of a plane.
    #[must_use]
    pub fn has_plane(&self) -> bool {
        self.path.contains("{plane}") || self.parameters().any(|name| name == "plane")
    }
}

/// What a reader of energies may say.
const PAGING: &[&str] = &["after", "before", "limit", "last", "reverse", "follow", "pulse", "format"];
/// What a reader of keys' changes may say.
const CHANGES: &[&str] = &["follow", "after", "last", "limit", "pulse", "format"];
/// What a reader of state may say.
const ENTRIES: &[&str] = &["key", "lane", "from", "to", "prefix", "reverse", "limit"];
/// What a reader of a projection may say.
const STATES: &[&str] = &["at", "freshness", "follow"];
/// How rows are written.
const FORMAT: &[&str] = &["format"];
/// Which plane the short form means.
const PLANE: &[&str] = &["plane"];

/// Every route.
pub const ROUTES: &[Route] = &[
    Route {
        method: "GET",
        path: "/v1/{plane}/events",
        about: "Energies: history, and with `follow` what comes",
        role: Some(Role::Read),
        query: &[FILTERS, PAGING],
        handler: |call, _| Box::pin(events::list(call)),
    },
    Route {
        method: "GET",
        path: "/v1/{plane}/events/{place}",
        about: "One energy, by id or position",
        role: Some(Role::Read),
        query: &[FORMAT],
        handler: |call, _| Box::pin(events::one(call)),
    },
    Route {
        method: "POST",
        path: "/v1/{plane}/append/{topic}",
        about: "Append one energy, or several as one commit",
        role: Some(Role::Append),
        query: &[append::ENVELOPE, append::CONDITIONS],
        handler: |call, body| Box::pin(append::append(call, body)),
    },
    Route {
        method: "GET",
        path: "/v1/{plane}/topics",
        about: "Topics, and how many energies they have",
        role: Some(Role::Read),
        query: &[&["topic"], FORMAT],
        handler: |call, _| Box::pin(names::topics(call)),
    },
    Route {
        method: "GET",
        path: "/v1/{plane}/streams",
        about: "Streams, their versions, and how many energies they have",
        role: Some(Role::Read),
        query: &[&["prefix", "limit"], FORMAT],
        handler: |call, _| Box::pin(names::streams(call)),
    },
    Route {
        method: "GET",
        path: "/v1/{plane}/streams/{*name}",
        about: "Where a stream stands",
        role: Some(Role::Read),
        query: &[],
        handler: |call, _| Box::pin(names::stream(call)),
    },
    Route {
        method: "GET",
        path: "/v1/{plane}/trace/{place}",
        about: "What an energy comes from, and what came of it",
        role: Some(Role::Read),
        query: &[&["limit"]],
        handler: |call, _| Box::pin(spells::trace(call)),
    },
    Route {
        method: "POST",
        path: "/v1/{plane}/blobs",
        about: "Store content; its digest is the answer",
        role: Some(Role::Append),
        query: &[],
        handler: |call, body| Box::pin(blobs::put(call, body)),
    },
    Route {
        method: "GET",
        path: "/v1/{plane}/blobs/{digest}",
        about: "Content, by digest",
        role: Some(Role::Read),
        query: &[],
        handler: |call, _| Box::pin(blobs::get(call)),
    },
    Route {
        method: "GET",
        path: "/v1/{plane}/kv",
        about: "Keys and their versions; with `follow` every change",
        role: Some(Role::Read),
        query: &[&["prefix"], CHANGES],
        handler: |call, _| Box::pin(kv::list(call)),
    },
    Route {
        method: "GET",
        path: "/v1/{plane}/kv/{*key}",
        about: "The value of a key; with `follow` its changes",
        role: Some(Role::Read),
        query: &[CHANGES],
        handler: |call, _| Box::pin(kv::get(call)),
    },
    Route {
        method: "PUT",
        path: "/v1/{plane}/kv/{*key}",
        about: "Set a key, with `If-Match` only at that version",
        role: Some(Role::Append),
        query: &[],
        handler: |call, body| Box::pin(kv::put(call, body)),
    },
    Route {
        method: "DELETE",
        path: "/v1/{plane}/kv/{*key}",
        about: "Delete a key, with `If-Match` only at that version",
        role: Some(Role::Append),
        query: &[],
        handler: |call, _| Box::pin(kv::delete(call)),
    },
    Route {
        method: "GET",
        path: "/v1/{plane}/spells",
        about: "Spells that have run on the log, and where they stand",
        role: Some(Role::Read),
        query: &[FORMAT],
        handler: |call, _| Box::pin(spells::spells(call)),
    },
    Route {
        method: "POST",
        path: "/v1/{plane}/spells",
        about: "Bind a spell: a file on the machine of the server, as `{\"path\":…,\"name\":…}`",
        role: Some(Role::Admin),
        query: &[],
        handler: |call, body| Box::pin(binding::bind(call, body)),
    },
    Route {
        method: "DELETE",
        path: "/v1/{plane}/spells/{spell}",
        about: "Unbind a spell",
        role: Some(Role::Admin),
        query: &[],
        handler: |call, _| Box::pin(binding::unbind(call)),
    },
    Route {
        method: "GET",
        path: "/v1/{plane}/faults",
        about: "Energies in quarantine",
        role: Some(Role::Read),
        query: &[&["spell", "all"], FORMAT],
        handler: |call, _| Box::pin(spells::faults(call)),
    },
    Route {
        method: "GET",
        path: "/v1/{plane}/faults/{place}",
        about: "One of them, with the energy that failed",
        role: Some(Role::Read),
        query: &[],
        handler: |call, _| Box::pin(spells::fault(call)),
    },
    Route {
        method: "POST",
        path: "/v1/{plane}/faults/{place}/release",
        about: "Have it cast once more",
        role: Some(Role::Admin),
        query: &[],
        handler: |call, _| Box::pin(spells::release(call)),
    },
    Route {
        method: "POST",
        path: "/v1/{plane}/faults/{place}/discard",
        about: "Let it go",
        role: Some(Role::Admin),
        query: &[],
        handler: |call, _| Box::pin(spells::discard(call)),
    },
    Route {
        method: "GET",
        path: "/v1/{plane}/state/{spell}",
        about: "What a spell keeps",
        role: Some(Role::Read),
        query: &[ENTRIES, FORMAT],
        handler: |call, _| Box::pin(spells::state(call)),
    },
    Route {
        method: "GET",
        path: "/v1/{plane}/state/{spell}/{bucket}",
        about: "What a spell keeps in a bucket",
        role: Some(Role::Read),
        query: &[ENTRIES, FORMAT],
        handler: |call, _| Box::pin(spells::state(call)),
    },
    Route {
        method: "GET",
        path: "/v1/{plane}/exec",
        about: "Programs that the server keeps running",
        role: Some(Role::Read),
        query: &[FORMAT],
        handler: |call, _| Box::pin(exec::list(call)),
    },
    Route {
        method: "POST",
        path: "/v1/{plane}/exec/{name}/start",
        about: "Have a program run",
        role: Some(Role::Admin),
        query: &[],
        handler: |call, _| Box::pin(exec::start(call)),
    },
    Route {
        method: "POST",
        path: "/v1/{plane}/exec/{name}/stop",
        about: "Have a program run no longer",
        role: Some(Role::Admin),
        query: &[],
        handler: |call, _| Box::pin(exec::stop(call)),
    },
    Route {
        method: "GET",
        path: "/v1/{plane}/projections",
        about: "Projections, by name",
        role: Some(Role::Read),
        query: &[FORMAT],
        handler: |call, _| Box::pin(projections::list(call)),
    },
    Route {
        method: "GET",
        path: "/v1/{plane}/projections/{name}",
        about: "What a projection makes of the log, every key; with `follow` every change",
        role: Some(Role::Read),
        query: &[STATES, FORMAT],
        handler: |call, _| Box::pin(projections::all(call)),
    },
    Route {
        method: "GET",
        path: "/v1/{plane}/projections/{name}/{*key}",
        about: "The state of a key; with `follow` its changes",
        role: Some(Role::Read),
        query: &[STATES, FORMAT],
        handler: |call, _| Box::pin(projections::one(call)),
    },
    Route {
        method: "GET",
        path: "/v1/openapi.json",
        about: "This document",
        role: None,
        query: &[],
        handler: |call, _| Box::pin(health::openapi(call)),
    },
    Route {
        method: "GET",
        path: "/healthz",
        about: "Whether the process lives",
        role: None,
        query: &[],
        handler: |call, _| Box::pin(health::live(call)),
    },
    Route {
        method: "GET",
        path: "/readyz",
        about: "Whether appends are taken and spells run",
        role: None,
        query: &[],
        handler: |call, _| Box::pin(health::ready(call)),
    },
    Route {
        method: "GET",
        path: "/metrics",
        about: "What was counted, for Prometheus",
        role: Some(Role::Read),
        query: &[],
        handler: |call, _| Box::pin(health::metrics(call)),
    },
    Route {
        method: "GET",
        path: "/",
        about: "Short form: energies",
        role: Some(Role::Read),
        query: &[FILTERS, PAGING, PLANE],
        handler: |call, _| Box::pin(plain::stream(call)),
    },
    Route {
        method: "GET",
        path: "/{name}",
        about: "Short form: one energy",
        role: Some(Role::Read),
        query: &[FORMAT, PLANE],
        handler: |call, _| Box::pin(plain::energy(call)),
    },
    Route {
        method: "POST",
        path: "/{name}",
        about: "Short form: append to a topic; what is no JSON object becomes content",
        role: Some(Role::Append),
        query: &[append::ENVELOPE, append::CONDITIONS, PLANE],
        handler: |call, body| Box::pin(plain::append(call, body)),
    },
    Route {
        method: "GET",
        path: "/cas/{digest}",
        about: "Short form: content",
        role: Some(Role::Read),
        query: &[PLANE],
        handler: |call, _| Box::pin(blobs::get(call)),
    },
    Route {
        method: "POST",
        path: "/cas",
        about: "Short form: store content",
        role: Some(Role::Append),
        query: &[PLANE],
        handler: |call, body| Box::pin(blobs::put(call, body)),
    },
    Route {
        method: "GET",
        path: "/kv/{*key}",
        about: "Short form: the value of a key",
        role: Some(Role::Read),
        query: &[CHANGES, PLANE],
        handler: |call, _| Box::pin(kv::get(call)),
    },
    Route {
        method: "POST",
        path: "/kv/{*key}",
        about: "Short form: set a key",
        role: Some(Role::Append),
        query: &[PLANE],
        handler: |call, body| Box::pin(kv::put(call, body)),
    },
];

/// The routes as a peer has them.
pub fn router(server: &Arc<Server>, peer: Peer) -> Router {
    let mut router = Router::new();
    for (index, route) in ROUTES.iter().enumerate() {
        let server = server.clone();
        let handler = move |path: Result<RawPathParams, RawPathParamsRejection>, request: Request| {
            let server = server.clone();
            async move {
                let entry = Entry::begin(&request);
                let span = span::request(Some(route.path), &request);
                let answering = answer(server.clone(), peer, route, path, request);
                let answered = answering.instrument(span.clone()).await;
                let response = answered.unwrap_or_else(Problem::into_response);
                span::answered(&span, &response);
                server.metrics.request(index, response.status().as_u16());
                entry.into_iter().for_each(|entry| entry.end(&response));
                response
            }
        };
        router = router.route(route.path, on(filter(route.method), handler));
    }
    for route in local::LOCAL_ROUTES.iter().filter(|_| peer == Peer::Owner) {
        let server = server.clone();
        let handler = move |path: Result<RawPathParams, RawPathParamsRejection>, request: Request| {
            let answering = answer(server.clone(), peer, route, path, request);
            async move { answering.await.unwrap_or_else(Problem::into_response) }
        };
        router = router.route(route.path, on(filter(route.method), handler));
    }
    router.fallback(no_route).method_not_allowed_fallback(no_method)
}

fn filter(method: &str) -> MethodFilter {
    match method {
        "POST" => MethodFilter::POST,
        "PUT" => MethodFilter::PUT,
        "DELETE" => MethodFilter::DELETE,
        _ => MethodFilter::GET,
    }
}

async fn answer(
    server: Arc<Server>,
    peer: Peer,
    route: &'static Route,
    path: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
) -> Answer {
    let path = path.map_err(|_| Problem::new(Code::InvalidParameter, "the path is not UTF-8"))?;
    let path = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let (head, body) = request.into_parts();
    let query = read_query(head.uri.query().unwrap_or_default(), route)?;
    let call = Call { server, route, method: head.method, headers: head.headers, path, query };
    if let Some(role) = route.role {
        let plane = route.has_plane().then(|| call.plane_name());
        access::check(&call.server, peer, &call.headers, role, plane)?;
    }
    (route.handler)(call, body).await
}

async fn no_route(request: Request) -> Response {
    let path: String = request.uri().path().chars().take(200).collect();
    Problem::new(Code::NoRoute, format!("there is no route `{path}`; `/v1/openapi.json` lists all"))
        .into_response()
}

async fn no_method(request: Request) -> Response {
    let method = request.method();
    Problem::new(Code::MethodNotAllowed, format!("the route does not take {method}")).into_response()
}
