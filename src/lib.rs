//! Sanctum: an event log that runs Lua.
//!
//! A spell is a Lua module that says which energies (events) it draws on; Sanctum routes each
//! energy to the spells that match, runs them in sandboxed VMs, and appends what they return to the
//! same log, where other spells find it. The same log, spells and runes give the same outputs, in
//! the same order, to the byte, whatever the number of threads.
//!
//! Modules, in reading order; each depends only on those before it (`tests/tidy.rs` holds it so).

pub mod blob;
pub mod cli;
pub mod disk;
pub mod engine;
pub mod event;
pub mod log;
pub mod projection;
pub mod regression;
pub mod router;
pub mod runeset;
pub mod server;
pub mod spell;
pub mod state;
