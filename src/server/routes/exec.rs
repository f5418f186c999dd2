//! Programs that the server keeps running: what they do, and whether they are to run.

use serde_json::Value;

use super::events::answer;
use super::names::rows;
use crate::server::call::{Answer, Call};
use crate::server::media::Media;
use crate::server::problem::{Code, Problem};

/// `GET /v1/{plane}/exec`.
pub async fn list(call: Call) -> Answer {
    rows(call, |call| Ok(call.server.commands.rows(call.plane()?.name()))).await
}

/// `POST /v1/{plane}/exec/{name}/start`.
pub async fn start(call: Call) -> Answer {
    want(&call, true)
}

/// `POST /v1/{plane}/exec/{name}/stop`.
pub async fn stop(call: Call) -> Answer {
    want(&call, false)
}

fn want(call: &Call, is_wanted: bool) -> Answer {
    let (plane, name) = (call.plane()?.name(), call.part("name"));
    let row: Option<Value> = call.server.commands.want(plane, name, is_wanted);
    let row = row.ok_or_else(|| {
        let why = format!("the runeset has no program `{name}` for the plane `{plane}`");
        Problem::new(Code::NotFound, why)
    })?;
    Ok(answer(Media::Json, format!("{row}\n").into_bytes()))
}
