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
//! Over a durable log a store may be larger than memory. It then has a [`Base`], the log's table, and holds what was
//! read or written lately: between two rounds, when all that was written is in the log, it may forget
//! ([`Store::relieve`]). Whether it forgot does not show but in time taken. Only its own VM changes
//! what it holds, so what was read stays true.
//!
//! Bounds: a key has at most [`key::BYTES_MAX`] bytes; keys and values, with [`store::ENTRY_BYTES`] for each
//! entry, at most `limits.state_bytes` in all; the caller bounds each value. In memory, with a base: at most
//! `limits.state_cache_bytes` and what one round touches.

mod address;
mod base;
mod bucket;
mod bytes;
mod cursor;
pub mod key;
pub mod store;

pub use address::Address;
pub use base::Base;
pub use cursor::CursorId;
pub use store::{Denied, Store, Unread};
