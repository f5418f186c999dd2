//! The cast loop: one protected call runs many casts.
//!
//! The loop is a closure whose upvalues are the spell's functions and the field names it has seen.
//! For each task it decodes the energy, calls the spell, and encodes what comes back into the round's
//! arena. An error leaves the protected call; the caller records it, undoes that cast, and enters the
//! loop again at the next task. Nothing with a destructor lives on the loop's frame.

use std::ffi::c_int;
use std::sync::Arc;

use mlua::ffi::{self, lua_State};

use super::codec::decode::{self, Kept};
use super::codec::keys::KEYS_MAX;
use super::core::{Core, core_of};
use super::meter;
use super::take::{fail, take_result};
use crate::event::Events;
use crate::event::msgpack::{Reader, Token};
use crate::spell::host::{Outcome, Phase};
use crate::spell::lane_key;
use crate::spell::library::envelope;

/// One call of a spell.
#[derive(Clone, Debug)]
pub enum Task {
    /// `cast` with the energy at this index of the round.
    Cast(u32),
    /// `cast` with several energies, the last of which completed the batch or made it due.
    Batch(Vec<(Arc<Events>, u32)>),
    /// `tick(now)`, since the energy at `event` carries a time past `now_ms`.
    Tick {
        /// The time that was due, in milliseconds since the epoch.
        now_ms: i64,
        /// The energy whose time made it due.
        event: u32,
        /// Counts the ticks that one energy makes due.
        ordinal: u32,
    },
}

/// What the loop works on; set by `Vm::run` for the time of one protected call.
#[derive(Default)]
pub struct Job {
    pub events: Arc<Events>,
    pub tasks: Vec<Task>,
    pub next: usize,
    /// Field names of the filter and cast functions: whether they take the envelope.
    pub filter_envelope: bool,
    pub cast_envelope: bool,
    pub has_filter: bool,
    /// Whether the filter function runs.
    pub in_filter: bool,
    /// Reads a steady clock in nanoseconds, where cast times are asked for.
    pub timer: Option<fn() -> u64>,
    /// The data path of the lane key, where the spell has one.
    pub lane: Option<Vec<crate::event::msgpack::PathPart>>,
    /// Whether the lane key is the energy's stream.
    pub by_stream: bool,
    /// Declared fields, sorted: all that is decoded.
    pub reads: Option<Vec<Box<[u8]>>>,
    /// The table that holds them in this cast; null where all fields are decoded.
    pub(super) read_table: Address,
    started: u64,
}

/// Where a table is; only compared.
pub(super) struct Address(pub(super) *const std::ffi::c_void);

impl Default for Address {
    fn default() -> Self {
        Self(std::ptr::null())
    }
}

// Upvalues of the loop.
const CAST: c_int = 1;
const FILTER: c_int = 2;
const TICK: c_int = 3;
const TOPIC_KEY: c_int = 4;
const TOPIC: c_int = 5;
const KEYS: c_int = 6;

/// Pushes the loop's closure. The functions `cast`, `filter`, `tick` are on top and are popped.
///
/// # Safety
/// The VM's limit is lifted; there is room for [`KEYS_MAX`] values.
pub unsafe fn push_loop(state: *mut lua_State) {
    // SAFETY: by the contract.
    unsafe {
        ffi::lua_checkstack(state, KEYS_MAX as c_int + 8);
        ffi::lua_pushlstring(state, c"$topic".as_ptr(), 6);
        for _ in TOPIC..KEYS + KEYS_MAX as c_int {
            ffi::lua_pushnil(state);
        }
        ffi::lua_pushcclosure(state, cast_loop, KEYS + KEYS_MAX as c_int - 1);
    }
}

unsafe extern "C-unwind" fn cast_loop(state: *mut lua_State) -> c_int {
    // SAFETY: see the module; references into the core end before each call into Lua.
    unsafe {
        let core = core_of(state);
        while !(*core).host.round.is_held && begin(state, core) {
            let outcome = match step(state, core) {
                Ok(outcome) => outcome,
                Err(()) => ffi::lua_error(state),
            };
            finish(core, outcome);
        }
    }
    0
}

/// Points host and meter at the next task; false when there is none.
unsafe fn begin(state: *mut lua_State, core: *mut Core) -> bool {
    // SAFETY: no call into Lua but to reset its stack and hook.
    unsafe {
        (*core).forget_trace();
        let Core { job, host, meter, arena, bad_output, .. } = &mut *core;
        let Some(task) = job.tasks.get(job.next) else { return false };
        let input = &mut host.input;
        match task {
            Task::Cast(event) => {
                // One slot, refilled in place: the common case touches no reference count.
                match input.events.as_mut_slice() {
                    [(events, index)] if Arc::ptr_eq(events, &job.events) => *index = *event,
                    _ => {
                        input.events.clear();
                        input.events.push((job.events.clone(), *event));
                    }
                }
                input.salt = 0;
            }
            Task::Batch(members) => {
                input.events.clone_from(members);
                input.salt = 1;
            }
            Task::Tick { event, ordinal, .. } => {
                input.events.clear();
                input.events.push((job.events.clone(), *event));
                input.salt = 2 + ordinal;
            }
        }
        let cause = input.events.last().map(|(events, index)| events.get(*index as usize));
        input.time_ms = match task {
            Task::Tick { now_ms, .. } => *now_ms,
            _ => cause.map_or(0, |event| event.head().time_ms),
        };
        if let Some(path) = &job.lane {
            match (task, cause) {
                (Task::Tick { .. }, _) | (_, None) => host.state.set_scope(&[]),
                (_, Some(event)) => host.state.set_scope(&lane_key(event.data(), path)),
            }
        }
        if job.by_stream {
            host.state.set_scope(cause.map_or(&[], |event| event.stream_bytes()));
        }
        job.next += 1;
        if let Some(timer) = job.timer {
            job.started = timer();
        }
        host.phase = Phase::Cast;
        job.read_table = Address::default();
        *bad_output = false;
        host.begin();
        host.phase = Phase::Cast;
        meter.restart();
        arena.settle();
        meter::arm(state, meter.first_step(arena));
        ffi::lua_settop(state, 0);
        true
    }
}

unsafe fn finish(core: *mut Core, outcome: Outcome) {
    // SAFETY: no call into Lua.
    unsafe {
        let Core { job, host, meter, .. } = &mut *core;
        let nanos = job.timer.map_or(0, |timer| timer() - job.started);
        host.finish(outcome, meter.used, nanos);
    }
}

/// Runs the task that `begin` set. On an error the message is on top, to be raised.
#[inline(always)]
unsafe fn step(state: *mut lua_State, core: *mut Core) -> Result<Outcome, ()> {
    // SAFETY: the stack discipline is that of any C function.
    unsafe {
        let at = (*core).job.next - 1;
        (*core).arena.lifted += 1;
        let args = match &(&(*core).job.tasks)[at] {
            &Task::Cast(event) => {
                push_event(state, core, event, false)?;
                if (*core).job.has_filter && !filter(state, core)? {
                    return Ok(Outcome::Filtered);
                }
                ffi::lua_pushvalue(state, ffi::lua_upvalueindex(CAST));
                ffi::lua_rotate(state, 1, 1);
                if (*core).job.cast_envelope {
                    envelope::push(state_frame(state), 0);
                    2
                } else {
                    1
                }
            }
            Task::Batch(members) => {
                let count = members.len();
                ffi::lua_pushvalue(state, ffi::lua_upvalueindex(CAST));
                push_batch(state, core, count)?;
                if (*core).job.cast_envelope { 2 } else { 1 }
            }
            &Task::Tick { now_ms, .. } => {
                ffi::lua_pushvalue(state, ffi::lua_upvalueindex(TICK));
                ffi::lua_pushinteger(state, now_ms);
                1
            }
        };
        (*core).arena.lifted -= 1;
        ffi::lua_call(state, args, ffi::LUA_MULTRET);
        (*core).arena.lifted += 1;
        refuse_stopped(state, core)?;
        let results = ffi::lua_gettop(state);
        for index in 1..=results {
            take_result(state, core, index, results)?;
        }
        (*core).arena.lifted -= 1;
        Ok(Outcome::Done)
    }
}

fn state_frame(state: *mut lua_State) -> super::frame::Frame<'static> {
    // SAFETY: the loop has lifted the limit; the frame is used for one push.
    unsafe { super::frame::Frame::host_frame(state) }
}

/// Pushes the energy at `index` of the round as a table, `$topic` included.
#[inline(always)]
unsafe fn push_event(state: *mut lua_State, core: *mut Core, index: u32, in_batch: bool) -> Result<(), ()> {
    // SAFETY: the job's events are held by the core, and outlive the pushes.
    unsafe {
        let Core { job, host, codec, .. } = &mut *core;
        let event = job.events.get(index as usize);
        let topic = event.topic_bytes();
        let mut reader = Reader::new(event.data());
        let mut names = Kept(&mut codec.keys, KEYS);
        let reads = job.reads.as_deref().filter(|_| !in_batch);
        let pushed = match reader.token() {
            Ok(Token::Map(len)) if reads.is_some() => decode::push_fields(
                state,
                &mut names,
                &mut reader,
                len,
                host.nulls,
                reads.unwrap_or_default(),
            ),
            Ok(Token::Map(len)) => {
                let extra = c_int::from(!topic.is_empty());
                decode::push_map(state, &mut names, &mut reader, len, host.nulls, 0, extra)
            }
            _ => decode::push_value(state, &mut names, &mut Reader::new(event.data()), host.nulls, 0),
        };
        if let Err(error) = pushed {
            return fail(state, core, &format_args!("the energy cannot be read: {error}"));
        }
        if reads.is_some() {
            job.read_table = Address(ffi::lua_topointer(state, -1));
        }
        if !topic.is_empty() && ffi::lua_type(state, -1) == ffi::LUA_TTABLE {
            ffi::lua_pushvalue(state, ffi::lua_upvalueindex(TOPIC_KEY));
            push_topic(state, codec, topic);
            ffi::lua_rawset(state, -3);
        }
        Ok(())
    }
}

/// Pushes a topic, most often that of the energy before.
#[inline(always)]
unsafe fn push_topic(state: *mut lua_State, codec: &mut super::codec::Codec, topic: &[u8]) {
    // SAFETY: upvalue TOPIC holds the string of `codec.topic` once that is not empty.
    unsafe {
        if codec.topic != topic {
            codec.topic.clear();
            codec.topic.extend_from_slice(topic);
            ffi::lua_pushlstring(state, topic.as_ptr().cast(), topic.len());
            ffi::lua_copy(state, -1, ffi::lua_upvalueindex(TOPIC));
        } else {
            ffi::lua_pushvalue(state, ffi::lua_upvalueindex(TOPIC));
        }
    }
}

/// Pushes the array of a batch's energies, and that of their envelopes where it is asked for.
unsafe fn push_batch(state: *mut lua_State, core: *mut Core, count: usize) -> Result<(), ()> {
    // SAFETY: as `push_event`; the members are cloned out one by one.
    unsafe {
        ffi::lua_createtable(state, count as c_int, 0);
        for at in 0..count {
            let (events, index) = (&(*core).host.input.events)[at].clone();
            let round = std::mem::replace(&mut (*core).job.events, events);
            let pushed = push_event(state, core, index, true);
            (*core).job.events = round;
            pushed?;
            ffi::lua_rawseti(state, -2, at as i64 + 1);
        }
        if (*core).job.cast_envelope {
            ffi::lua_createtable(state, count as c_int, 0);
            for at in 0..count {
                envelope::push(state_frame(state), at);
                ffi::lua_rawseti(state, -2, at as i64 + 1);
            }
        }
        Ok(())
    }
}

/// A limit that was met stands, though what ran into it was caught and no instruction followed.
#[inline(always)]
unsafe fn refuse_stopped(state: *mut lua_State, core: *mut Core) -> Result<(), ()> {
    // SAFETY: the limit is lifted.
    unsafe {
        match (*core).meter.stop {
            None => Ok(()),
            Some(stop) => fail(state, core, &format_args!("{}", stop.message())),
        }
    }
}

/// Asks the filter function about the energy on the stack, which stays there.
unsafe fn filter(state: *mut lua_State, core: *mut Core) -> Result<bool, ()> {
    // SAFETY: the limit is in force while the filter runs.
    unsafe {
        ffi::lua_pushvalue(state, ffi::lua_upvalueindex(FILTER));
        ffi::lua_pushvalue(state, 1);
        let mut args = 1;
        if (*core).job.filter_envelope {
            envelope::push(state_frame(state), 0);
            args = 2;
        }
        (*core).job.in_filter = true;
        (*core).host.phase = Phase::Filter;
        (*core).arena.lifted -= 1;
        ffi::lua_call(state, args, 1);
        (*core).arena.lifted += 1;
        (*core).host.phase = Phase::Cast;
        refuse_stopped(state, core)?;
        (*core).job.in_filter = false;
        let keep = ffi::lua_toboolean(state, -1) != 0;
        ffi::lua_settop(state, 1);
        if !keep {
            (*core).arena.lifted -= 1;
        }
        Ok(keep)
    }
}
