//! What spells remember, and what they count with: `state`, `window`, `stats`, as Lua sees them.

mod harness;
mod join;
mod state;
mod stats;
mod window;
