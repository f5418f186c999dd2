//! One bounded VM: made, loaded with a spell, cast, dropped.

use std::ffi::c_int;
use std::marker::PhantomData;
use std::ptr;

use mlua::ffi::{self, lua_State};

use super::arena::{Arena, ReserveError};
use super::cast::{self, Job, Task};
use super::codec::encode::Encoder;
use super::codec::layout;
use super::core::{Core, allocate, on_error};
use super::frame::{Frame, Raise};
use super::meter::{self, Meter};
use super::object;
use super::profile::Stacks;
use super::sandbox;
use crate::spell::fault::{Fault, FaultKind};
use crate::spell::host::{Host, Outcome, Phase};
use crate::spell::library;

/// The hash seed of every VM: with it, and addresses that repeat, `pairs` has one order.
const SEED: u32 = 0x5a9c_71e3;
/// Bytes of an error value that a report shows.
const MESSAGE_BYTES_MAX: usize = 4096;
/// Bytes of a spell member's value.
const VALUE_BYTES_MAX: usize = 1 << 20;
/// Registry names of the spell's parts.
pub(super) const MODULE: &str = "spell";
pub(super) const LOOP: &str = "loop";

/// Why there is no VM.
#[derive(Debug, thiserror::Error)]
pub enum VmError {
    /// No address space, or no memory.
    #[error(transparent)]
    Reserve(#[from] ReserveError),
    /// Another Lua than this crate was written for.
    #[error("this program was built with a Lua whose tables it cannot read; build it with `--locked`")]
    Layout,
}

/// A member of the table that a spell returns.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its key.
    pub name: String,
    /// What is there.
    pub value: MemberValue,
}

/// The value of a member.
#[derive(Clone, Debug)]
pub enum MemberValue {
    /// A Lua function: the line where it is defined, and whether it takes a second argument.
    Function {
        /// Line in its chunk.
        line: u32,
        /// Whether it has a second parameter or is variadic.
        takes_envelope: bool,
        /// How many parameters it has; the highest number for one that is variadic.
        parameters: u8,
    },
    /// Data, as canonical MessagePack.
    Data(Vec<u8>),
    /// Something else, by its type's name.
    Other(&'static str),
}

/// See the module. Not `Send`: a VM stays on its thread.
pub struct Vm {
    pub(super) state: *mut lua_State,
    pub(super) core: *mut Core,
    _thread: PhantomData<*mut ()>,
}

impl Vm {
    /// A fresh VM with the whole library. `clock_ms` is any steady clock; `exact` counts every instruction.
    pub fn new(host: Host, clock_ms: fn() -> u64, exact: bool) -> Result<Self, VmError> {
        let limits = &host.limits;
        let arena = Arena::new(limits.memory_bytes as usize)?;
        let meter = Meter::new(limits.instructions, limits.time_ms, clock_ms, exact);
        let core = Box::into_raw(Box::new(Core::new(arena, meter, host)));
        // SAFETY: the core outlives the state; its address does not change.
        unsafe {
            (*core).arena.lifted = 1;
            let state = ffi::lua_newstate(allocate, (&raw mut (*core).arena).cast(), SEED);
            if state.is_null() {
                drop(Box::from_raw(core));
                return Err(ReserveError::out_of_memory().into());
            }
            ffi::lua_getextraspace(state).cast::<*mut Core>().write(core);
            let vm = Self { state, core, _thread: PhantomData };
            ffi::lua_pushcclosure(state, sandbox::open, 0);
            let status = ffi::lua_pcallk(state, 0, 0, 0, 0, None);
            debug_assert_eq!(status, ffi::LUA_OK, "the sandbox opens");
            if !layout::fits(state) {
                return Err(VmError::Layout);
            }
            (*core).array_metatable = object::array_metatable(state).cast();
            library::install(&mut Frame::host_frame(state));
            ffi::lua_settop(state, 0);
            Ok(vm)
        }
    }

    /// The host's side.
    pub fn host(&mut self) -> &mut Host {
        // SAFETY: no Lua code runs while the borrow lives.
        unsafe { &mut (*self.core).host }
    }

    /// Bytes in use, and the most that were.
    #[must_use]
    pub fn memory_bytes(&self) -> (usize, usize) {
        // SAFETY: the core is live.
        unsafe { ((*self.core).arena.used, (*self.core).arena.peak) }
    }

    /// Counts instructions by stack from now on, a sample every so many of them.
    pub fn profile(&mut self, every: u16) {
        // SAFETY: the core is live; no Lua code runs.
        unsafe {
            (*self.core).meter.sample_every(c_int::from(every));
            (*self.core).stacks = Some(Stacks::default());
        }
    }

    /// What was counted; nothing where it was not asked for.
    pub fn take_stacks(&mut self) -> Stacks {
        // SAFETY: as `profile`.
        unsafe { (*self.core).stacks.take().unwrap_or_default() }
    }

    /// Runs a chunk that returns a table, and lists that table's members. The table becomes the spell.
    pub fn load(&mut self, name: &str, source: &[u8]) -> Result<Vec<Member>, Fault> {
        self.start(Phase::Load);
        let loaded = self.evaluate(name, source);
        self.adopt(loaded, "cast")
    }

    /// As [`load`](Vm::load), the chunk run by another, which is given its function: the one that makes a fold a
    /// spell. It is the host's own, and no traceback shows it.
    pub fn load_within(&mut self, wrapper: &str, name: &str, source: &[u8]) -> Result<Vec<Member>, Fault> {
        self.start(Phase::Load);
        let loaded = self.compile("=sanctum", wrapper.as_bytes()).and_then(|()| self.compile(name, source));
        let loaded = loaded.and_then(|()| self.call(1, 1));
        self.adopt(loaded, "fold")
    }

    /// Makes the table on top the spell, and lists its members; `hook` is what it has to have.
    fn adopt(&mut self, loaded: Result<(), Fault>, hook: &str) -> Result<Vec<Member>, Fault> {
        let result = match loaded {
            Err(fault) => Err(fault),
            Ok(()) => {
                let mut frame = self.frame();
                if frame.kind(-1) == super::Kind::Table {
                    frame.push_copy(-1);
                    frame.push_registry();
                    frame.insert(2);
                    frame.set_field(-2, MODULE);
                    frame.pop(1);
                    Ok(self.members())
                } else {
                    let text = format!(
                        "the file returns {}, not a table with a function `{hook}`",
                        article(frame.type_name(-1))
                    );
                    Err(Fault::new(FaultKind::Output, &text, Vec::new()))
                }
            }
        };
        self.settle(&result);
        result
    }

    /// Runs a chunk and returns what it returns, as canonical MessagePack, `null` kept.
    pub fn evaluate_data(&mut self, name: &str, source: &[u8], bytes_max: usize) -> Result<Vec<u8>, Fault> {
        self.start(Phase::Load);
        let result = self.evaluate(name, source).and_then(|()| {
            let mut out = Vec::new();
            self.frame().encode(-1, &mut out, bytes_max).map(|()| out).map_err(|error| {
                Fault::new(FaultKind::Output, &format!("what it returns is no energy: {error}"), Vec::new())
            })
        });
        self.settle(&result);
        result
    }

    /// Leaves what the chunk returns on top, the limit lifted.
    fn evaluate(&mut self, name: &str, source: &[u8]) -> Result<(), Fault> {
        self.compile(name, source)?;
        self.call(0, 1)
    }

    /// Leaves the chunk's function on top.
    fn compile(&mut self, name: &str, source: &[u8]) -> Result<(), Fault> {
        let source = source.strip_prefix(b"\xef\xbb\xbf").unwrap_or(source);
        let loaded = self.frame().load(name, source);
        match loaded {
            Ok(()) => Ok(()),
            Err(Raise::Value) => Err(self.fault(ffi::LUA_ERRSYNTAX)),
            Err(_) => Err(Fault::new(FaultKind::Syntax, "the file's name holds a NUL byte", Vec::new())),
        }
    }

    /// Calls a hook of the spell with the runes; nothing where it has none.
    pub fn hook(&mut self, name: &str, phase: Phase, takes_runes: bool) -> Result<(), Fault> {
        self.start(phase);
        let mut frame = self.frame();
        frame.push_registry();
        frame.get_field(-1, MODULE);
        let result = if frame.get_field(-1, name) == super::Kind::Function {
            let args = c_int::from(takes_runes);
            if takes_runes {
                frame.push_globals();
                frame.get_field(-1, "runes");
                frame.drop_below_top();
            }
            self.call(args, 0)
        } else {
            Ok(())
        };
        self.settle(&result);
        result
    }

    /// Calls `migrate` with the version of the state that a lane key has, and that state; nothing where the spell has none.
    pub fn migrate(&mut self, old: u64, scope: &[u8]) -> Result<(), Fault> {
        self.start(Phase::Prepare);
        self.host().state.set_scope(scope);
        let mut frame = self.frame();
        frame.push_registry();
        frame.get_field(-1, MODULE);
        let result = if frame.get_field(-1, "migrate") == super::Kind::Function {
            frame.push_int(i64::try_from(old).unwrap_or(i64::MAX));
            frame.push_globals();
            frame.get_field(-1, "state");
            frame.drop_below_top();
            self.call(2, 0)
        } else {
            Ok(())
        };
        self.settle(&result);
        self.host().state.set_scope(&[]);
        result
    }

    /// Prepares the cast loop. `cast` and `filter` say whether they take the envelope.
    pub fn arm(&mut self, job: impl FnOnce(&mut Job)) {
        // SAFETY: the limit is lifted; the stack is reset.
        unsafe {
            (*self.core).arena.lifted = 1;
            job(&mut (*self.core).job);
            let mut frame = self.frame();
            frame.push_registry();
            frame.get_field(-1, MODULE);
            frame.get_field(-1, "cast");
            frame.get_field(-2, "filter");
            frame.get_field(-3, "tick");
            cast::push_loop(self.state);
            let mut frame = self.frame();
            frame.set_field(1, LOOP);
            ffi::lua_settop(self.state, 0);
        }
    }

    /// Runs tasks over the energies of a round; what they did is added to `host().round`.
    /// `keep_going` decides, for the fault of a task, whether it is recorded and the rest runs. Returns the tasks after
    /// one that is held.
    pub fn run(
        &mut self,
        events: &std::sync::Arc<crate::event::Events>,
        tasks: Vec<Task>,
        retries: u32,
        keep_going: bool,
    ) -> Vec<Task> {
        // SAFETY: the core is live; no reference into it is held across the protected call.
        unsafe {
            let core = self.core;
            (*core).host.phase = Phase::Cast;
            (*core).job.events = events.clone();
            (*core).job.tasks = tasks;
            (*core).job.next = 0;
            let mut tries = 0;
            let mut failed_at = usize::MAX;
            loop {
                (*core).arena.lifted = 1;
                ffi::lua_settop(self.state, 0);
                ffi::lua_pushcclosure(self.state, on_error, 0);
                let mut frame = self.frame();
                frame.push_registry();
                frame.get_field(-1, LOOP);
                frame.drop_below_top();
                (*core).arena.lifted = 0;
                let status = ffi::lua_pcallk(self.state, 0, 0, 1, 0, None);
                (*core).arena.lifted = 1;
                if status == ffi::LUA_OK {
                    break;
                }
                let at = (*core).job.next - 1;
                if at != failed_at {
                    (failed_at, tries) = (at, 0);
                }
                if tries < retries {
                    tries += 1;
                    (*core).host.retry();
                    (*core).job.next = at;
                    continue;
                }
                let mut fault = self.fault(status);
                fault.in_filter = std::mem::take(&mut (*core).job.in_filter);
                let used = (*core).meter.used;
                (*core).host.finish(Outcome::Fault(Box::new(fault)), used, 0);
                if !keep_going {
                    break;
                }
            }
            ffi::lua_settop(self.state, 0);
            let job = &mut (*core).job;
            job.events = Default::default();
            (*core).host.input.events.clear();
            let tasks = std::mem::take(&mut job.tasks);
            if (*core).host.round.is_held { tasks.into_iter().skip(job.next).collect() } else { Vec::new() }
        }
    }

    /// Begins work of the host that is no cast: a fresh count, an empty stack.
    fn start(&mut self, phase: Phase) {
        // SAFETY: nothing runs.
        unsafe {
            ffi::lua_settop(self.state, 0);
            (*self.core).arena.lifted = 1;
            (*self.core).host.phase = phase;
            // Hooks see what belongs to no lane key.
            (*self.core).host.state.set_scope(&[]);
            (*self.core).host.begin();
            (*self.core).meter.restart();
            (*self.core).forget_trace();
            (*self.core).bad_output = false;
            (*self.core).arena.settle();
            meter::arm(self.state, meter::step_for((*self.core).meter.step, &(*self.core).arena));
        }
    }

    /// Keeps or undoes the state that a hook wrote.
    pub(super) fn settle<T>(&mut self, result: &Result<T, Fault>) {
        if result.is_ok() {
            self.host().commit_state();
        } else {
            self.host().state.rollback();
        }
        // SAFETY: nothing runs.
        unsafe { ffi::lua_settop(self.state, 0) };
    }

    pub(super) fn frame(&mut self) -> Frame<'static> {
        // SAFETY: the limit is lifted between protected calls; the frame is used at once.
        unsafe { Frame::host_frame(self.state) }
    }

    /// Calls the function below its arguments, protected, with a traceback on an error.
    pub(super) fn call(&mut self, args: c_int, results: c_int) -> Result<(), Fault> {
        // SAFETY: the handler sits below the function; the limit is in force during the call.
        unsafe {
            let base = ffi::lua_gettop(self.state) - args;
            ffi::lua_checkstack(self.state, 8);
            ffi::lua_pushcclosure(self.state, on_error, 0);
            ffi::lua_rotate(self.state, base, 1);
            (*self.core).arena.lifted = 0;
            let status = ffi::lua_pcallk(self.state, args, results, base, 0, None);
            (*self.core).arena.lifted = 1;
            // A limit that a coroutine or `pcall` met stands, though nothing was raised here.
            if status == ffi::LUA_OK && (*self.core).meter.stop.is_none() {
                ffi::lua_rotate(self.state, base, -1);
                ffi::lua_settop(self.state, -2);
                return Ok(());
            }
            Err(self.fault(status))
        }
    }

    /// Makes a fault of the error value on top.
    pub(super) fn fault(&mut self, status: c_int) -> Fault {
        // SAFETY: the error value is on the stack while it is described.
        unsafe {
            let mut trace = std::mem::take(&mut (*self.core).trace);
            (*self.core).traced = false;
            trace.retain(|frame| frame.source != "=sanctum");
            let bad_output = std::mem::take(&mut (*self.core).bad_output);
            if let Some(stop) = (*self.core).meter.stop {
                return Fault::new(FaultKind::Limit(stop), stop.message(), trace);
            }
            let text = self.describe();
            let kind = match status {
                ffi::LUA_ERRMEM => FaultKind::Memory,
                _ if text.ends_with("not enough memory") => FaultKind::Memory,
                ffi::LUA_ERRSYNTAX => FaultKind::Syntax,
                _ if bad_output => FaultKind::Output,
                _ => FaultKind::Error,
            };
            if kind == FaultKind::Memory {
                if trace.is_empty() {
                    trace.extend((*self.core).take_sample());
                }
                return Fault::new(kind, "needs more memory than its limit allows", trace);
            }
            Fault::new(kind, &text, trace)
        }
    }

    /// The error value on top as text; spell code is never asked.
    fn describe(&mut self) -> String {
        let mut frame = self.frame();
        if let Some(mut bytes) = frame.copy_bytes(-1) {
            if bytes.len() > MESSAGE_BYTES_MAX {
                bytes.truncate(MESSAGE_BYTES_MAX);
                bytes.extend_from_slice(b" ...");
            }
            return String::from_utf8_lossy(&bytes).into_owned();
        }
        let mut out = Vec::new();
        let name = frame.type_name(-1);
        let is_table = frame.kind(-1) == super::Kind::Table;
        if is_table && frame.encode(-1, &mut out, MESSAGE_BYTES_MAX).is_ok() {
            let mut text = Vec::new();
            crate::event::json::write_value(&out, &mut text);
            return String::from_utf8_lossy(&text).into_owned();
        }
        format!("the error is {}", article(name))
    }

    /// The members of the module table on top.
    fn members(&mut self) -> Vec<Member> {
        let mut members = Vec::new();
        let mut frame = self.frame();
        let table = frame.top();
        frame.push_nil();
        while frame.next(table) {
            let name = match frame.copy_bytes(-2) {
                Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                None => frame.type_name(-2).to_owned(),
            };
            let value = match frame.kind(-1) {
                super::Kind::Function => self.function(),
                _ => {
                    let mut out = Vec::new();
                    // SAFETY: the value is on top; the limit is lifted.
                    let encoded =
                        unsafe { Encoder::new(self.state, self.core, &mut out, VALUE_BYTES_MAX).value() };
                    let kind = self.frame().type_name(-1);
                    match encoded {
                        Ok(()) => MemberValue::Data(out),
                        Err(_) => MemberValue::Other(kind),
                    }
                }
            };
            members.push(Member { name, value });
            frame = self.frame();
            // SAFETY: leaves the key for the next step, whatever a failed encoding left.
            unsafe { ffi::lua_settop(self.state, table + 1) };
        }
        members.sort_by(|a, b| a.name.cmp(&b.name));
        members
    }

    /// Describes the function on top.
    fn function(&mut self) -> MemberValue {
        // SAFETY: `>` takes the function from the top.
        unsafe {
            let mut debug = std::mem::MaybeUninit::<ffi::lua_Debug>::zeroed();
            ffi::lua_pushvalue(self.state, -1);
            ffi::lua_getinfo(self.state, c">Su".as_ptr(), debug.as_mut_ptr());
            let debug = debug.assume_init();
            MemberValue::Function {
                line: u32::try_from(debug.linedefined).unwrap_or(0),
                takes_envelope: debug.nparams >= 2 || debug.isvararg != 0,
                parameters: if debug.isvararg != 0 { u8::MAX } else { debug.nparams },
            }
        }
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        // SAFETY: all of Lua's memory lies in the arena, which the core takes with it; there are no
        // finalizers to run, so the state need not be closed.
        unsafe { drop(Box::from_raw(self.core)) };
        self.state = ptr::null_mut();
    }
}

/// `a table`, `an array`, `nil`.
fn article(name: &str) -> String {
    match name {
        "nil" | "no value" | "null" => name.to_owned(),
        _ if name.starts_with(['a', 'e', 'i', 'o', 'u']) => format!("an {name}"),
        _ => format!("a {name}"),
    }
}
