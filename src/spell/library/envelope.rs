//! The second argument of `cast`: the input's envelope, read-only, decoded field by field when touched.
//!
//! `envelope.id`, `position`, `version`, `time`, `topic`, `stream`, `correlation`, `causation`, `hops`,
//! `tags` (always a table), `ttl` and `content`; a field that the energy does not have is nil, a
//! name that no envelope has is an error. `pairs` gives the fields that are there, in that order.
//! It is valid during its own cast only: it refers to the input, and copies nothing.

use crate::event::suggest::suggest;
use crate::event::{EventRef, Head, Ttl, Uuid};
use crate::spell::raw::{Entry, Frame, Raise};

/// The class of the object.
pub const CLASS: &str = "envelope";

/// Every field, in the order of `pairs`.
const FIELDS: [&str; 12] = [
    "id",
    "position",
    "version",
    "time",
    "topic",
    "stream",
    "correlation",
    "causation",
    "hops",
    "tags",
    "ttl",
    "content",
];

static META: &[Entry] = &[("__index", index), ("__newindex", newindex), ("__pairs", pairs)];
static NEXT: Entry = ("next", next);

/// Fills the class.
pub fn install(frame: &mut Frame<'_>) {
    frame.push_class(CLASS);
    super::define(frame, META);
    frame.pop(1);
}

/// Pushes the envelope of a member of the running cast's input.
pub fn push(mut frame: Frame<'_>, member: usize) {
    let mut payload = [0; 12];
    payload[..8].copy_from_slice(&frame.host().input.sequence.to_le_bytes());
    payload[8..].copy_from_slice(&(member as u32).to_le_bytes());
    frame.push_object(CLASS, &payload);
}

/// The energy that the object at argument 1 stands for.
fn event<'f>(frame: &'f mut Frame<'_>) -> Result<EventRef<'f>, Raise> {
    let payload = frame.object(1, CLASS)?;
    let (Some((sequence, member)), input) = (payload.split_first_chunk(), &frame.host().input) else {
        return Err(Raise::message("internal error: an envelope without payload"));
    };
    let member = member.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    if u64::from_le_bytes(*sequence) == input.sequence
        && let Some(event) = input.get(member as usize)
    {
        return Ok(event);
    }
    Err(Raise::message("this envelope belongs to an earlier cast; keep the fields you need instead"))
}

/// A field's value, on its way from the event to the stack.
enum Value {
    Absent,
    Int(i64),
    Id(Uuid),
    Text(String),
    Tags(Vec<(String, String)>),
}

fn value(event: EventRef<'_>, field: &str) -> Option<Value> {
    let (head, extra) = (event.head(), event.extra());
    let text = |text: Option<&str>| text.map_or(Value::Absent, |text| Value::Text(text.to_owned()));
    let id = |id: Uuid| if id.is_nil() { Value::Absent } else { Value::Id(id) };
    Some(match field {
        "id" => Value::Id(head.id),
        "position" | "version" if head.position == Head::UNSTORED => Value::Absent,
        "position" => Value::Int(head.position as i64),
        "version" => Value::Int(head.version as i64),
        "time" => Value::Int(head.time_ms),
        "topic" => text(event.topic()),
        "stream" => text(event.stream()),
        "correlation" => id(head.correlation),
        "causation" => id(head.causation),
        "hops" => Value::Int(i64::from(head.hops)),
        "tags" => Value::Tags(extra.map_or_else(Vec::new, |extra| {
            extra.tags.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
        })),
        "ttl" => Value::Text(extra.map_or(Ttl::Forever, |extra| extra.ttl).to_string()),
        "content" => text(extra.and_then(|extra| extra.content.as_deref())),
        _ => return None,
    })
}

fn push_field(frame: &mut Frame<'_>, value: Value) -> Result<(), Raise> {
    match value {
        Value::Absent => frame.push_nil(),
        Value::Int(value) => frame.push_int(value),
        Value::Id(id) => frame.push_str(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()))?,
        Value::Text(text) => frame.push_str(&text)?,
        Value::Tags(tags) => {
            frame.charge(tags.len() as u64)?;
            frame.push_table(0, tags.len());
            for (key, value) in &tags {
                frame.push_str(value)?;
                frame.set_field(-2, key);
            }
        }
    }
    Ok(())
}

/// `envelope.field`
fn index(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let name = if frame.kind(2) == crate::spell::raw::Kind::String { frame.bytes(2)? } else { b"" };
    let name = std::str::from_utf8(name).unwrap_or_default();
    let Some(value) = value(event(frame)?, name) else {
        return Err(unknown(frame, name));
    };
    push_field(frame, value)?;
    Ok(1)
}

fn unknown(frame: &mut Frame<'_>, name: &str) -> Raise {
    let fields = FIELDS.join(", ");
    if name.is_empty() {
        let kind = frame.type_name(2);
        return Raise::message(format!("an envelope has no field of type {kind}; its fields: {fields}"));
    }
    let near = suggest(name.trim_start_matches('$'), FIELDS);
    let near = near.map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default();
    Raise::message(format!("an envelope has no field `{name}`{near}; its fields: {fields}"))
}

/// `envelope.field = value`
fn newindex(_: &mut Frame<'_>) -> Result<usize, Raise> {
    Err(Raise::message("the envelope is read-only; an output sets its own fields by `$` keys, as `$topic`"))
}

/// `pairs(envelope)`
fn pairs(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    event(frame)?;
    frame.push_native(&NEXT, 0);
    frame.push_copy(1);
    frame.push_nil();
    Ok(3)
}

/// The step of `pairs`: the next field that is there.
fn next(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let after = frame.opt_bytes(2)?;
    let from = after.map_or(0, |after| {
        FIELDS.iter().position(|field| field.as_bytes() == after).map_or(FIELDS.len(), |at| at + 1)
    });
    for field in &FIELDS[from..] {
        match value(event(frame)?, field) {
            None | Some(Value::Absent) => {}
            Some(value) => {
                frame.push_str(field)?;
                push_field(frame, value)?;
                return Ok(2);
            }
        }
    }
    frame.push_nil();
    Ok(1)
}
