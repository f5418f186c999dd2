//! How an error of a native reads.

use mlua::ffi;

use super::super::core::{frame_at, is_method};
use super::super::meter::Stop;
use super::{Frame, Raise};

impl<'l> Frame<'l> {
    pub(super) fn push_error(&mut self, name: &str, raise: Raise) {
        let text = match raise {
            Raise::Value => return,
            Raise::Limit => {
                // SAFETY: as `host`.
                let stop = unsafe { (*self.core).meter.stop };
                stop.unwrap_or(Stop::Instructions).message().to_owned()
            }
            Raise::Memory => format!("{}not enough memory", self.place()),
            Raise::Message(message) => format!("{}{message}", self.place()),
            Raise::Argument { index, message } => {
                format!("{}{}", self.place(), self.bad_argument(name, index, &message))
            }
        };
        self.room();
        // SAFETY: room; the limit is lifted.
        unsafe { ffi::lua_pushlstring(self.state, text.as_ptr().cast(), text.len()) };
    }

    /// As `luaL_argerror`: a method's `self` is not counted.
    fn bad_argument(&self, name: &str, index: usize, message: &str) -> String {
        // SAFETY: reads the call stack.
        let method = unsafe { is_method(self.state) };
        match (method, index) {
            (true, 1) => format!("calling '{name}' on bad self ({message})"),
            (true, _) => format!("bad argument #{} to '{name}' ({message})", index - 1),
            _ => format!("bad argument #{index} to '{name}' ({message})"),
        }
    }

    /// `source:line: ` of the caller, as `luaL_where`.
    fn place(&self) -> String {
        // SAFETY: reads the call stack.
        match unsafe { frame_at(self.state, 1) } {
            Some(frame) if frame.line > 0 => format!("{}:{}: ", frame.source, frame.line),
            _ => String::new(),
        }
    }
}
