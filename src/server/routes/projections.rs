//! What projections make of the log: their states now and then, and as they change.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::events::{answer, blocking};
use super::names::rows;
use crate::engine::Clock;
use crate::engine::inspection::shown;
use crate::engine::projected::{Moment, object};
use crate::projection::Row;
use crate::server::call::{Answer, Call, invalid};
use crate::server::media::Media;
use crate::server::problem::{Code, Problem};
use crate::server::projections::{Asked, Changes, Folding};
use crate::server::stream::{self, Piece};
use crate::server::{Plane, Server};

/// `GET /v1/{plane}/projections`.
pub async fn list(call: Call) -> Answer {
    rows(call, |call| {
        call.plane()?;
        let all = call.server.projections.list().map_err(|error| {
            tracing::error!(%error, "the projections cannot be listed");
            Problem::new(Code::Internal, "the server failed; its log says why")
        })?;
        Ok(all.into_keys().map(|name| json!({ "projection": name })).collect())
    })
    .await
}

/// `GET /v1/{plane}/projections/{name}`.
pub async fn all(call: Call) -> Answer {
    let asked = asked(&call, None)?;
    if call.flag("follow")? {
        return follow(call, asked).await;
    }
    rows(call, move |call| {
        let plane = call.plane()?;
        let folding = call.server.projections.of(plane.name(), call.part("name"))?;
        Ok(folding.ask(plane, &asked)?.iter().map(object).collect())
    })
    .await
}

/// `GET /v1/{plane}/projections/{name}/{key}`.
pub async fn one(call: Call) -> Answer {
    let asked = asked(&call, Some(call.part("key").to_owned()))?;
    if call.flag("follow")? {
        return follow(call, asked).await;
    }
    let state = blocking(move || {
        let plane = call.plane()?;
        let folding = call.server.projections.of(plane.name(), call.part("name"))?;
        Ok(folding.ask(plane, &asked)?.first().map_or(Value::Null, |row| shown(&row.state)))
    });
    Ok(answer(Media::Json, format!("{}\n", state.await?).into_bytes()))
}

fn asked(call: &Call, key: Option<String>) -> Result<Asked, Problem> {
    let at = call.one("at", |text| Moment::parse(text, Clock::System.now_ms()))?;
    let is_cached = call.one("freshness", |text| match text {
        "exact" => Ok(false),
        "cached" => Ok(true),
        _ => Err("it is exact or cached".to_owned()),
    })?;
    let is_cached = is_cached.unwrap_or(false);
    if at.is_some() && is_cached {
        return Err(invalid("at", "it does not go with `freshness=cached`"));
    }
    if call.flag("follow")? && (at.is_some() || is_cached) {
        return Err(invalid("follow", "it goes with neither `at` nor `freshness=cached`"));
    }
    Ok(Asked { key, at, is_cached })
}

/// The states, and then their changes as they come, a line each.
async fn follow(call: Call, asked: Asked) -> Answer {
    let media = Media::choose(call.first("format"), &call.headers, &[Media::Ndjson])?;
    let (server, plane) = (call.server.clone(), call.plane()?.clone());
    let is_one = asked.key.is_some();
    let following = blocking({
        let plane = plane.clone();
        move || {
            let folding = call.server.projections.of(plane.name(), call.part("name"))?;
            let (rows, changes) = folding.follow(&plane, asked.key.as_deref())?;
            Ok((rows, changes, folding))
        }
    });
    let (rows, changes, folding) = following.await?;
    let (sender, body) = stream::body();
    tokio::spawn(async move {
        server.metrics.reader(1);
        Following { plane, folding, changes, sender, is_one }.run(&server, rows).await;
        server.metrics.reader(-1);
    });
    let mut response: Response<Body> = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, media.content_type());
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

struct Following {
    plane: Arc<Plane>,
    folding: Arc<Folding>,
    changes: Changes,
    sender: mpsc::Sender<Piece>,
    is_one: bool,
}

impl Following {
    async fn run(mut self, server: &Server, rows: Vec<Row>) {
        let mut visible = self.plane.visible();
        if !self.send(&rows).await {
            return;
        }
        // What came while the states were read is folded at once.
        visible.mark_changed();
        loop {
            tokio::select! {
                news = self.changes.news.recv() => {
                    let Ok(rows) = news else { return self.cut("its projection has changed, or it is too slow").await };
                    if !self.send(&rows).await {
                        return;
                    }
                }
                changed = visible.changed() => {
                    let (plane, folding) = (self.plane.clone(), self.folding.clone());
                    let advanced = blocking(move || folding.advance(&plane)).await;
                    if changed.is_err() || advanced.is_err() {
                        return self.cut("the projection failed").await;
                    }
                }
                () = self.sender.closed() => return,
                () = server.stopped() => return,
            }
        }
    }

    /// Sends what concerns it; false where nobody takes it any more.
    async fn send(&self, rows: &[Row]) -> bool {
        let mut out = String::new();
        for row in rows.iter().filter(|row| self.changes.concern(row)) {
            let line = if self.is_one { shown(&row.state) } else { object(row) };
            out.push_str(&line.to_string());
            out.push('\n');
        }
        out.is_empty() || self.sender.send(Ok(out.into())).await.is_ok()
    }

    /// Breaks the answer off, so that the client can tell that it is not whole.
    async fn cut(&self, why: &str) {
        let _gone_already = self.sender.send(Err(std::io::Error::other(why.to_owned()))).await;
    }
}
