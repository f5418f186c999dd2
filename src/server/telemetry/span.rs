//! The spans of a server, by OpenTelemetry's names where it has some. Those of an engine are opened there.

use axum::extract::Request;
use axum::response::Response;
use hyper::HeaderMap;
use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TraceContextExt;
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::TARGET;

/// The longest path that is told, in characters.
const PATH_MAX: usize = 256;

/// A request, a part of the trace that its header `traceparent` names, if it is a good one. `route` is its pattern; the
/// public face has none.
#[must_use]
pub fn request(route: Option<&str>, request: &Request) -> Span {
    let method = request.method().as_str();
    let span = tracing::info_span!(
        target: TARGET,
        "request",
        otel.name = name(method, route),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        url.path = request.uri().path().chars().take(PATH_MAX).collect::<String>(),
        http.response.status_code = Empty,
    );
    if !span.is_disabled()
        && let Some(parent) = parent(request.headers())
    {
        // It was not entered yet: nothing speaks against it.
        let _ = span.set_parent(parent);
    }
    span
}

/// The answer to a request begins: its body may go on for long.
pub fn answered(span: &Span, response: &Response) {
    let status = response.status();
    span.record("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
}

/// A commit, until it is as durable as it is to be.
#[must_use]
pub fn append(plane: &str, energies: usize) -> Span {
    tracing::info_span!(target: TARGET, "append", sanctum.plane = plane, sanctum.energies = energies as i64)
}

fn name(method: &str, route: Option<&str>) -> String {
    route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"))
}

/// The span that a request comes from.
fn parent(headers: &HeaderMap) -> Option<Context> {
    if !headers.contains_key("traceparent") {
        return None;
    }
    let context =
        TraceContextPropagator::new().extract_with_context(&Context::new(), &HeaderExtractor(headers));
    let is_valid = context.span().span_context().is_valid();
    is_valid.then_some(context)
}
