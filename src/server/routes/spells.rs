//! What the log tells of spells: where they stand, what they keep, what they failed on; and what comes of what.

use super::append::commit_to;
use super::events::{answer, blocking};
use super::names::{limit, object, rows};
use crate::engine::inspection::{self, InspectionError, Range};
use crate::engine::release::{FaultRecord, Verdict, records};
use crate::event::Events;
use crate::log::place::Place;
use crate::log::{Commit, Trace};
use crate::server::call::{Answer, Call, invalid};
use crate::server::media::Media;
use crate::server::problem::{Code, Problem};

/// Ancestors and descendants of a trace, unless the parameter says otherwise.
const TRACED: u64 = 10_000;

impl From<InspectionError> for Problem {
    fn from(error: InspectionError) -> Self {
        match error {
            InspectionError::Log(error) => error.into(),
            InspectionError::Spell { .. } => Self::new(Code::NotFound, error.to_string()),
            InspectionError::Key { .. } => Self::new(Code::InvalidParameter, error.to_string()),
            InspectionError::Stored(_) => Self::new(Code::Internal, error.to_string()),
        }
    }
}

/// `GET /v1/{plane}/spells`.
pub async fn spells(call: Call) -> Answer {
    rows(call, |call| Ok(inspection::spells(&**call.plane()?.log())?)).await
}

/// `GET /v1/{plane}/faults`.
pub async fn faults(call: Call) -> Answer {
    let all = call.flag("all")?;
    rows(call, move |call| Ok(inspection::faults(&**call.plane()?.log(), call.first("spell"), all)?)).await
}

/// `GET /v1/{plane}/faults/{place}`.
pub async fn fault(call: Call) -> Answer {
    object(call, |call| Ok(inspection::fault(&find(call)?, true))).await
}

/// `POST /v1/{plane}/faults/{place}/release`.
pub async fn release(call: Call) -> Answer {
    decide(call, Verdict::Wanted).await
}

/// `POST /v1/{plane}/faults/{place}/discard`.
pub async fn discard(call: Call) -> Answer {
    decide(call, Verdict::Discarded).await
}

async fn decide(call: Call, verdict: Verdict) -> Answer {
    let plane = call.plane()?.clone();
    let (call, mut record) = blocking(move || find(&call).map(|record| (call, record))).await?;
    if record.verdict == Some(Verdict::Released) {
        let why = format!("the energy of record {} was released and cast already", record.position);
        return Err(Problem::new(Code::ConditionFailed, why));
    }
    let mut commit = Commit::default();
    verdict.record(record.id, &mut commit.changes);
    commit_to(&call, &plane, commit, None).await?;
    record.verdict = Some(verdict);
    Ok(answer(Media::Json, format!("{}\n", inspection::fault(&record, false)).into_bytes()))
}

fn place(call: &Call) -> Result<Place, Problem> {
    call.part("place").parse().map_err(|why: String| invalid("place", &why))
}

fn find(call: &Call) -> Result<FaultRecord, Problem> {
    let log = call.plane()?.log();
    let position = place(call)?.position(&**log)?;
    let found = records(&**log)?.into_iter().find(|record| record.position == position);
    found.ok_or_else(|| {
        Problem::new(Code::NotFound, format!("the energy at position {position} is no record of a fault"))
    })
}

/// `GET /v1/{plane}/state/{spell}`, `GET /v1/{plane}/state/{spell}/{bucket}`.
pub async fn state(call: Call) -> Answer {
    let text = |name: &str| call.one(name, |text| Ok(text.to_owned()));
    let mut range = Range {
        bucket: call.part("bucket").to_owned(),
        lane: text("lane")?,
        from: text("from")?,
        to: text("to")?,
        prefix: text("prefix")?,
        reverse: call.flag("reverse")?,
        limit: limit(&call)?,
    };
    let Some(key) = text("key")? else {
        return rows(call, move |call| Ok(range.rows(&**call.plane()?.log(), call.part("spell"))?)).await;
    };
    object(call, move |call| {
        let wanted = inspection::key_of(&key).map(|_| inspection::shown(&inspection::argument(&key)))?;
        range.prefix = Some(key.clone());
        let rows = range.rows(&**call.plane()?.log(), call.part("spell"))?;
        let row = rows.into_iter().find(|row| row["key"] == wanted);
        row.ok_or_else(|| {
            Problem::new(Code::NotFound, format!("the spell keeps nothing under the key {key}"))
        })
    })
    .await
}

/// `GET /v1/{plane}/trace/{place}`.
pub async fn trace(call: Call) -> Answer {
    let limit = call.number("limit")?.unwrap_or(TRACED);
    let place = place(&call)?;
    let json = blocking(move || {
        let log = call.plane()?.log();
        let position = place.read(&**log, &mut Events::default())?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let gone =
            || Problem::new(Code::Gone, format!("the energy at position {position} is no longer kept"));
        Trace::of(&**log, position, limit)?.map(|trace| trace.to_json()).ok_or_else(gone)
    });
    Ok(answer(Media::Json, json.await?))
}
