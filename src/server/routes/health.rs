//! Whether the server is well, and what it counted.

use axum::body::Body;
use axum::response::Response;
use hyper::header::{CONTENT_TYPE, HeaderValue};

use crate::server::call::{Answer, Call};
use crate::server::problem::{Code, Problem};
use crate::server::{metrics, openapi};

/// `GET /healthz`.
pub async fn live(_call: Call) -> Answer {
    Ok(text("ok\n".into(), "text/plain; charset=utf-8"))
}

/// `GET /readyz`.
pub async fn ready(call: Call) -> Answer {
    if call.server.is_stopping() {
        return Err(Problem::new(Code::Unavailable, "the server stops"));
    }
    for (name, plane) in &call.server.planes {
        plane.log().health()?;
        if let Some(why) = call.server.registry.as_ref().and_then(|registry| registry.failure(name)) {
            let why = format!("spells run no longer on the plane `{name}`: {why}");
            return Err(Problem::new(Code::Unavailable, why).with("plane", name.as_str()));
        }
    }
    Ok(text("ready\n".into(), "text/plain; charset=utf-8"))
}

/// `GET /v1/openapi.json`.
pub async fn openapi(_call: Call) -> Answer {
    Ok(text(format!("{:#}\n", openapi::document()), "application/json"))
}

/// `GET /metrics`.
pub async fn metrics(call: Call) -> Answer {
    Ok(text(metrics::text(&call.server), "text/plain; version=0.0.4; charset=utf-8"))
}

fn text(text: String, kind: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
