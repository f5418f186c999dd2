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
use super::codec::encode::{EncodeError, Encoder};
use super::codec::keys::KEYS_MAX;
use super::core::{Core, core_of};
use super::meter::{self, Stop};
use super::object;
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
    /// Declared fields, sorted: all that is decoded.
    pub reads: Option<Vec<Box<[u8]>>>,
    /// The table that holds them in this cast; null where all fields are decoded.
    read_table: Address,
    started: u64,
}

/// Where a table is; only compared.
struct Address(*const std::ffi::c_void);

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
        while begin(state, core) {
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
        meter::arm(state, meter::step_for(meter.step, arena));
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

/// Takes one returned value: nil, an energy, or a list of energies.
#[inline(always)]
unsafe fn take_result(
    state: *mut lua_State,
    core: *mut Core,
    index: c_int,
    results: c_int,
) -> Result<(), ()> {
    // SAFETY: reads the stack; a copy of the value is on top while it is encoded.
    unsafe {
        match ffi::lua_type(state, index) {
            ffi::LUA_TNIL => Ok(()),
            ffi::LUA_TTABLE => {
                if index != results {
                    ffi::lua_checkstack(state, 8);
                    ffi::lua_pushvalue(state, index);
                }
                let taken = take_table(state, core);
                if index != results {
                    ffi::lua_settop(state, results);
                }
                taken
            }
            kind => {
                let name = std::ffi::CStr::from_ptr(ffi::lua_typename(state, kind)).to_string_lossy();
                let text = Arc::<str>::from(name);
                fail_output(state, core, &text)
            }
        }
    }
}

#[cold]
unsafe fn fail_output(state: *mut lua_State, core: *mut Core, name: &str) -> Result<(), ()> {
    // SAFETY: as `fail`.
    unsafe {
        (*core).bad_output = true;
        fail(
            state,
            core,
            &format_args!("returned a {name}; it may return nil, an energy (a table) or a list of energies"),
        )
    }
}

/// Takes the table on top: an energy, or a list of them.
pub unsafe fn take_table(state: *mut lua_State, core: *mut Core) -> Result<(), ()> {
    // SAFETY: the table stays on the stack.
    unsafe {
        if !is_list(state) {
            // `array{}`, such as a list that stayed empty, is a list of no energies.
            let list = ffi::lua_rawlen(state, -1) == 0 && object::is_array(state, -1);
            return if list { Ok(()) } else { take_energy(state, core) };
        }
        let count = ffi::lua_rawlen(state, -1) as i64;
        for index in 1..=count {
            ffi::lua_rawgeti(state, -1, index);
            take_energy(state, core)?;
            ffi::lua_settop(state, -2);
        }
        Ok(())
    }
}

/// Whether the table on top is a non-empty sequence of tables with no other keys.
unsafe fn is_list(state: *mut lua_State) -> bool {
    // SAFETY: raw reads.
    unsafe {
        ffi::lua_checkstack(state, 8);
        if ffi::lua_rawgeti(state, -1, 1) != ffi::LUA_TTABLE {
            ffi::lua_settop(state, -2);
            return false;
        }
        ffi::lua_settop(state, -2);
        let count = ffi::lua_rawlen(state, -1) as i64;
        let mut seen = 0;
        ffi::lua_pushnil(state);
        while ffi::lua_next(state, -2) != 0 {
            let fits = ffi::lua_type(state, -1) == ffi::LUA_TTABLE
                && ffi::lua_isinteger(state, -2) != 0
                && (1..=count).contains(&ffi::lua_tointeger(state, -2));
            ffi::lua_settop(state, -2);
            if !fits {
                ffi::lua_settop(state, -2);
                return false;
            }
            seen += 1;
        }
        seen == count
    }
}

/// Encodes the table on top as one output.
#[inline(always)]
unsafe fn take_energy(state: *mut lua_State, core: *mut Core) -> Result<(), ()> {
    // SAFETY: the arena is the host's, no part of the codec; nothing raises until `fail`'s caller.
    unsafe {
        let bytes_max = (*core).host.limits.event_bytes as usize;
        let (start, encoded) = if is_read_table(state, core) {
            let start = (*core).host.round.outputs.byte_len();
            (start, encode_changed(state, core, bytes_max))
        } else {
            let (arena, envelope) = (*core).host.draft();
            let start = arena.len();
            (start, Encoder::new(state, core, arena, bytes_max).energy(envelope))
        };
        let completed = match encoded {
            // The header of a map; an array of what is no table is no energy.
            Ok(()) if !matches!((*core).host.round.outputs.byte_at(start), 0x80..=0x8f | 0xde | 0xdf) => {
                (*core).bad_output = true;
                return fail(state, core, &format_args!("an output is an array; an energy has named fields"));
            }
            Ok(()) => {
                // One instruction can return what took many to make, over and over.
                let bytes = (*core).host.round.outputs.byte_len() - start;
                if bytes >= 1024 && !(*core).meter.charge(bytes as u64 / 16) {
                    Err((*core).meter.stop.unwrap_or(Stop::Instructions))
                } else {
                    (*core).host.complete(start)
                }
            }
            Err(EncodeError::Work) => Err((*core).meter.stop.unwrap_or(Stop::Instructions)),
            Err(error) => {
                (*core).bad_output = true;
                return fail(state, core, &format_args!("an output is not an energy: {error}"));
            }
        };
        if let Err(stop) = completed {
            (*core).meter.stop.get_or_insert(stop);
            return fail(state, core, &format_args!("{}", stop.message()));
        }
        Ok(())
    }
}

/// Whether the table on top is the one that got the declared fields of this cast's energy.
#[inline(always)]
unsafe fn is_read_table(state: *mut lua_State, core: *mut Core) -> bool {
    // SAFETY: compares addresses; the energy's table is alive while its cast runs.
    unsafe {
        let Address(table) = (*core).job.read_table;
        !table.is_null() && std::ptr::eq(table, ffi::lua_topointer(state, -1))
    }
}

/// Encodes that table, and merges it with the bytes that it came from.
unsafe fn encode_changed(
    state: *mut lua_State,
    core: *mut Core,
    bytes_max: usize,
) -> Result<(), EncodeError> {
    // SAFETY: scratch is taken out of the codec while the encoder uses it.
    unsafe {
        let mut changed = std::mem::take(&mut (*core).codec.changed);
        changed.clear();
        let envelope = (*core).host.draft().1;
        let mut result = Encoder::new(state, core, &mut changed, bytes_max).energy(envelope);
        if result.is_ok() {
            let Core { host, codec, job, .. } = &mut *core;
            result = host.splice(&changed, job.reads.as_deref().unwrap_or_default(), &mut codec.merged);
        }
        (*core).codec.changed = changed;
        result
    }
}

/// Pushes a message for the loop to raise, and puts the limit back in force.
#[cold]
unsafe fn fail(state: *mut lua_State, core: *mut Core, message: &std::fmt::Arguments<'_>) -> Result<(), ()> {
    let text = message.to_string();
    // SAFETY: the limit is lifted; the text is dropped before anything is raised.
    unsafe {
        ffi::lua_checkstack(state, 4);
        ffi::lua_pushlstring(state, text.as_ptr().cast(), text.len());
        (*core).arena.lifted -= 1;
    }
    Err(())
}

/// Takes the table on top for `emit`.
///
/// # Safety
/// Called in a native, whose limit is lifted.
pub unsafe fn emit(state: *mut lua_State, core: *mut Core) -> Result<(), ()> {
    // SAFETY: `fail` lowers the lift that the loop would hold; a native keeps its own.
    unsafe {
        let lifted = (*core).arena.lifted;
        let taken = take_table(state, core);
        (*core).arena.lifted = lifted;
        taken
    }
}
