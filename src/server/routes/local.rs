//! What commands ask: the one route that is no part of the API, and that only the Unix socket has.
//!
//! Changes of what spells keep and of where they stand are made between two runs, so that a run that has them in
//! memory neither overwrites them nor goes on with what they were. All else goes the way of every append.

use std::sync::Arc;

use axum::body::Body;

use super::append::hand_in;
use super::events::{answer, blocking};
use super::{Answering, Route};
use crate::engine::rewinding::{RewindError, rewind};
use crate::event::Uuid;
use crate::log::file::Durability;
use crate::log::{Appended, Commit, FileLog, Log, Table};
use crate::server::Plane;
use crate::server::call::{Answer, Call};
use crate::server::compaction::{CompactionError, compact};
use crate::server::media::Media;
use crate::server::outcome::{write_appended, write_pairs, write_value};
use crate::server::problem::{Code, Problem};
use crate::server::wire::{Ask, Compacting, Unread};

/// The routes of the Unix socket alone.
pub const LOCAL_ROUTES: &[Route] = &[Route {
    method: "POST",
    path: "/local/{plane}",
    about: "What commands of the same version ask",
    role: None,
    query: &[],
    handler: |call, body| -> Answering { Box::pin(local(call, body)) },
}];

impl From<RewindError> for Problem {
    fn from(error: RewindError) -> Self {
        match error {
            RewindError::Inspection(error) => error.into(),
            RewindError::Beyond { .. } => Self::new(Code::NotFound, error.to_string()),
            RewindError::Place(_) => Self::new(Code::InvalidParameter, error.to_string()),
        }
    }
}

impl From<CompactionError> for Problem {
    fn from(error: CompactionError) -> Self {
        match error {
            CompactionError::Log(error) => error.into(),
            CompactionError::Content(error) => error.into(),
        }
    }
}

async fn local(call: Call, body: Body) -> Answer {
    let plane = call.plane()?.clone();
    let taken = call.server.take(&call.headers, body, call.server.limits.bodies_bytes).await?;
    let (id, ask) = blocking(move || Ask::read(&taken.bytes).map_err(unread)).await?;
    if id != plane.log().id() {
        let why = format!("the server has another log as its plane `{}`", plane.name());
        return Err(Problem::new(Code::NoPlane, why));
    }
    let bytes = match ask {
        Ask::Hello => Vec::new(),
        Ask::Commit { commit, cause, is_synced } => {
            write_appended(&append(&call, &plane, commit, cause, is_synced).await?)
        }
        Ask::Value(table, key) => {
            blocking(move || Ok(write_value(plane.log().value(table, &key)?.as_deref()))).await?
        }
        Ask::Values(table, prefix) => {
            blocking(move || Ok(write_pairs(&plane.log().values(table, &prefix)?))).await?
        }
        Ask::Range { table, from, to, direction, limit } => {
            let found = move |log: &FileLog| {
                let bounds = (from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice));
                log.range(table, bounds, direction, usize::try_from(limit).unwrap_or(usize::MAX))
            };
            blocking(move || Ok(write_pairs(&found(plane.log())?))).await?
        }
        Ask::Compact(what) => blocking(move || compacted(&plane, &what)).await?,
        Ask::Rewind { spell, to, fresh } => {
            apart(&plane, move |log| rewind(log, &spell, &to, fresh).map_err(Problem::from)).await?;
            Vec::new()
        }
    };
    Ok(answer(Media::Msgpack, bytes))
}

fn unread(why: Unread) -> Problem {
    let version = env!("CARGO_PKG_VERSION");
    match why {
        Unread::Version => {
            let why = format!("the server is of version {version} and the command is not: use that one");
            Problem::new(Code::InvalidBody, why)
        }
        Unread::Malformed => Problem::new(Code::InvalidBody, "the body is not what commands ask"),
    }
}

fn compacted(plane: &Plane, what: &Compacting) -> Result<Vec<u8>, Problem> {
    let contents = plane.contents();
    // Where there never was content nothing is said of it.
    let contents = if contents.is_empty()? { None } else { Some(&**contents) };
    let object = compact(plane.log(), contents, what, &mut |_| {})?;
    Ok(object.to_string().into_bytes())
}

async fn append(
    call: &Call,
    plane: &Arc<Plane>,
    commit: Commit,
    cause: Option<Uuid>,
    is_synced: bool,
) -> Result<Appended, Problem> {
    let appended = if commit.changes.iter().any(|change| is_of_spells(change.table)) {
        apart(plane, move |log| {
            Ok(match cause {
                Some(cause) => log.append_reaction(cause, commit)?,
                None => log.append(commit)?,
            })
        })
        .await?
    } else {
        hand_in(call, plane, commit, cause).await?
    };
    if is_synced && plane.log().options().durability != Durability::Commit {
        let plane = plane.clone();
        blocking(move || Ok(plane.log().sync()?)).await?;
    }
    Ok(appended)
}

/// Whether a run of spells has the table in memory.
fn is_of_spells(table: Table) -> bool {
    matches!(table, Table::Spell | Table::State | Table::Flush)
}

/// Does work on the log while no spell runs over it.
async fn apart<T: Send + 'static>(
    plane: &Arc<Plane>,
    work: impl FnOnce(&dyn Log) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let plane = plane.clone();
    let gone = || Problem::new(Code::Unavailable, "the spells of the server ended meanwhile: try again");
    blocking(move || plane.apart(work).unwrap_or_else(|| Err(gone()))).await
}
