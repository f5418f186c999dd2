//! What comes back from a cast: each returned or emitted table becomes an output of the round.
//!
//! Nothing raises in here: an error's message is left on top for the cast loop, or `emit`, to raise.

use std::ffi::c_int;
use std::sync::Arc;

use mlua::ffi::{self, lua_State};

use super::codec::encode::{EncodeError, Encoder};
use super::core::Core;
use super::meter::Stop;
use super::object;

/// Takes one returned value: nil, an energy, or a list of energies.
#[inline(always)]
pub(super) unsafe fn take_result(
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
        let table = (*core).job.read_table.0;
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
pub(super) unsafe fn fail(
    state: *mut lua_State,
    core: *mut Core,
    message: &std::fmt::Arguments<'_>,
) -> Result<(), ()> {
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
