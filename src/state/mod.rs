//! What a spell keeps: an ordered map of its own, in scopes and buckets.
//!
//! A [`Store`] belongs to one VM. It is split into *scopes*, the lane keys of a laned spell (all others
//! have the one empty scope), and each scope into *buckets*, of which the empty name is `state` itself.
//! In a bucket, keys in the order-preserving encoding of [`key`] lead to canonical MessagePack values.
//!
//! Writes belong to a cast: [`Store::begin`] opens it, [`Store::commit`] keeps what it wrote, and
//! [`Store::rollback`] takes all of it back. The store holds no clock, no file and no Lua; being
//! durable is the business of whoever folds the log into it.
//!
//! Bounds: a key has at most [`key::BYTES_MAX`] bytes; keys and values, with [`store::ENTRY_BYTES`] for each
//! entry, at most `limits.state_bytes` in all; the caller bounds each value.

mod address;
mod bucket;
mod bytes;
mod cursor;
pub mod key;
pub mod store;

pub use address::Address;
pub use cursor::CursorId;
pub use store::{Full, Store};
