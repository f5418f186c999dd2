//! The codecs: MessagePack, JSON, topics and the envelope, through the public interface.
#![allow(clippy::unwrap_used)]

mod envelope;
mod fuzz;
mod json;
mod model;
mod msgpack;
mod vectors;
