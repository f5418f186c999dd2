//! Spells that come and go.

use axum::body::Body;
use serde_json::json;

use super::events::{answer, blocking};
use crate::server::call::{Answer, Call};
use crate::server::media::Media;
use crate::server::problem::{Code, Problem};
use crate::server::registry::{Registry, Wish};

/// The longest body that asks for a spell.
const WISH_BYTES_MAX: usize = 64 << 10;

/// `POST /v1/{plane}/spells`.
pub async fn bind(call: Call, body: Body) -> Answer {
    let taken = call.server.take(&call.headers, body, WISH_BYTES_MAX).await?;
    let wish: Wish = serde_json::from_slice(&taken.bytes).map_err(|error| {
        let why = format!("the body is `{{\"path\":…}}`, with `name` where it is to have another: {error}");
        Problem::new(Code::InvalidBody, why)
    })?;
    let row = blocking(move || Ok(registry(&call)?.bind(call.plane()?.name(), &wish)?)).await?;
    Ok(answer(Media::Json, format!("{row}\n").into_bytes()))
}

/// `DELETE /v1/{plane}/spells/{spell}`.
pub async fn unbind(call: Call) -> Answer {
    let row = blocking(move || {
        let spell = call.part("spell");
        registry(&call)?.unbind(call.plane()?.name(), spell)?;
        Ok(json!({ "spell": spell }))
    });
    Ok(answer(Media::Json, format!("{}\n", row.await?).into_bytes()))
}

fn registry(call: &Call) -> Result<&dyn Registry, Problem> {
    let registry = call.server.registry.as_deref();
    registry.ok_or_else(|| Problem::new(Code::Unavailable, "this server runs no spells"))
}
