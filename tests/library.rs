//! The library of spells, through Lua: what each function gives, refuses and costs.

#![allow(clippy::unwrap_used)]

#[path = "library/harness.rs"]
mod harness;

#[path = "library/base.rs"]
mod base;
#[path = "library/codecs.rs"]
mod codecs;
#[path = "library/content.rs"]
mod content;
#[path = "library/envelope.rs"]
mod envelope;
#[path = "library/modules.rs"]
mod modules;
#[path = "library/random.rs"]
mod random;
#[path = "library/time.rs"]
mod time;
