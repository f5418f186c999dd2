//! A VM that stands before a cast: the energy in globals, and lines of Lua evaluated one by one.

use std::sync::Arc;

use mlua::ffi;

use super::cast::Task;
use super::frame::{Entry, Frame, Kind, Raise};
use super::meter;
use super::vm::{LOOP, MODULE, Vm};
use crate::event::{Events, json};
use crate::spell::fault::{Fault, FaultKind};
use crate::spell::host::{Outcome, Phase};

/// Bytes of a value that is shown as JSON.
const SHOWN_BYTES_MAX: usize = 1 << 20;
/// The name of the chunk that a line is.
const CHUNK: &str = "prompt";

/// Stands in for the spell's `cast`, and keeps what it was called with.
static CAPTURE: Entry = ("capture", capture);

fn capture(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    frame.push_globals();
    for (index, name) in [(1, "event"), (2, "envelope")] {
        frame.push_copy(index);
        frame.set_field(-2, name);
    }
    Ok(0)
}

impl Vm {
    /// Sets the globals `event`, `envelope` and `cast` as a task has them, and leaves the VM as it is during its cast.
    /// False when the energy cannot be read. The VM casts no more.
    pub fn stand(&mut self, events: &Arc<Events>, task: Task) -> bool {
        let input = match &task {
            Task::Cast(index) | Task::Tick { event: index, .. } => vec![(events.clone(), *index)],
            Task::Batch(members) => members.clone(),
        };
        // SAFETY: the limit is lifted between protected calls; the stack is reset.
        unsafe {
            (*self.core).arena.lifted = 1;
            (*self.core).job.has_filter = false;
            (*self.core).job.cast_envelope = true;
            ffi::lua_settop(self.state, 0);
            let mut frame = self.frame();
            frame.push_registry();
            frame.get_field(1, MODULE);
            frame.push_globals();
            frame.get_field(2, "cast");
            frame.set_field(3, "cast");
            frame.get_field(1, LOOP);
            frame.push_native(&CAPTURE, 0);
            // The first upvalue of the loop is the function that it calls.
            ffi::lua_setupvalue(self.state, 4, 1);
            ffi::lua_settop(self.state, 0);
        }
        self.run(events, vec![task], 0, false);
        let host = self.host();
        host.input.events = input;
        host.phase = Phase::Cast;
        matches!(host.round.casts.pop().map(|cast| cast.outcome), Some(Outcome::Done))
    }

    /// Evaluates an expression or a statement under the limits of a cast, and shows its results. What it wrote to the
    /// state stays, unless it failed.
    pub fn evaluate_line(&mut self, line: &str) -> Result<Vec<String>, Fault> {
        // SAFETY: as `stand`.
        unsafe {
            ffi::lua_settop(self.state, 0);
            (*self.core).arena.lifted = 1;
            (*self.core).host.phase = Phase::Cast;
            (*self.core).host.begin_again();
            (*self.core).meter.restart();
            (*self.core).forget_trace();
            (*self.core).bad_output = false;
            (*self.core).arena.settle();
            meter::arm(self.state, meter::step_for((*self.core).meter.step, &(*self.core).arena));
        }
        let result = self.load_line(line).and_then(|()| self.call(0, ffi::LUA_MULTRET));
        let result = result.map(|()| (1..=self.frame().top()).map(|index| self.shown(index)).collect());
        self.settle(&result);
        result
    }

    /// As an expression, or else as it stands.
    fn load_line(&mut self, line: &str) -> Result<(), Fault> {
        if self.frame().load(CHUNK, format!("return {line}").as_bytes()).is_ok() {
            return Ok(());
        }
        // SAFETY: drops the message.
        unsafe { ffi::lua_settop(self.state, 0) };
        match self.frame().load(CHUNK, line.as_bytes()) {
            Ok(()) => Ok(()),
            Err(Raise::Value) => Err(self.fault(ffi::LUA_ERRSYNTAX)),
            Err(_) => Err(Fault::new(FaultKind::Syntax, "the line cannot be read", Vec::new())),
        }
    }

    /// A value as text: a table as JSON where it can be, everything else as `tostring` has it.
    fn shown(&mut self, index: i32) -> String {
        let mut frame = self.frame();
        let mut data = Vec::new();
        if frame.kind(index) == Kind::Table && frame.encode(index, &mut data, SHOWN_BYTES_MAX).is_ok() {
            let mut text = Vec::new();
            json::write_value(&data, &mut text);
            return String::from_utf8_lossy(&text).into_owned();
        }
        let text = frame.tostring(index).ok().and_then(|()| frame.copy_bytes(-1)).unwrap_or_default();
        frame.pop(1);
        String::from_utf8_lossy(&text).into_owned()
    }
}
