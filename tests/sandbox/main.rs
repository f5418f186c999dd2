//! Hostile spells: each ends in a clear fault within its limits, while its neighbours and its own later casts go on.

mod bombs;
mod coroutines;
mod escapes;
mod harness;
mod loops;
mod memory;
mod repeat;
mod results;
mod vessels;
