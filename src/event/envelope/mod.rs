//! The envelope: what a producer may set by `$` keys, and how ids are derived.
//!
//! - [`Fields`] collects the `$` keys of one energy; [`split`] takes them out of canonical data.
//! - [`Ttl`] and [`Expect`] are two of them that have a syntax of their own.
//! - [`write_record`] and [`RecordReader`]: an energy with its whole envelope, from log to log.
//! - [`SeedChain`] and [`output_id`] derive ids, so that a replay, or the same batch run again, has the
//!   same ones.

mod condition;
mod fields;
mod id;
mod record;

pub use condition::{ConditionError, Expect, Ttl};
pub use fields::{ALLOWED, FieldError, Fields, LOG_ONLY, split};
pub use id::{SeedChain, output_id, seed_id, spell_key};
pub use record::{Members, RecordError, RecordReader, write_record};
