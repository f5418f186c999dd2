//! The Lua boundary: the only unsafe code of Sanctum.
//!
//! The safety argument, in five rules that every file here keeps:
//!
//! 1. A VM and all that belongs to it lives on one thread ([`Vm`] is not `Send`).
//! 2. Lua raises errors by `longjmp`. No Rust value with a destructor is alive in a frame that a raise
//!    can cross: natives return before their error is raised (`frame.rs`), and the cast loop
//!    (`cast.rs`), which calls into Lua unprotected, keeps everything it owns in the [`core::Core`].
//! 3. While host code runs, the VM's memory limit is lifted, so a push cannot fail; what it may
//!    push is bounded by checks before it. The limit is back whenever spell code runs.
//! 4. Pointers into Lua (strings, userdata) are used only while the value is on the stack.
//! 5. The core is reached through one raw pointer; references into it never live across a call into
//!    Lua.

mod arena;
mod cast;
mod codec;
mod core;
mod coroutine;
mod frame;
mod iterators;
mod meter;
mod object;
mod profile;
mod prompt;
mod sandbox;
mod take;
mod vm;

pub use cast::Task;
pub use codec::encode::{EncodeError, Envelope};
pub use codec::splice::splice;
pub use frame::{Entry, Frame, Kind, Raise};
pub use meter::Stop;
pub use profile::Stacks;
pub use vm::{Member, MemberValue, Vm, VmError};
