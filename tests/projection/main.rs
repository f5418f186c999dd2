//! Projections over a log in files: the same answer however it was come by.

#![allow(missing_docs, clippy::unwrap_used)]

mod harness;
mod kept;
mod model;
mod stories;
