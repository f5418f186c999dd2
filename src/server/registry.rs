//! Who runs the spells of the planes, as requests see it.
//!
//! The server knows nothing of spells but this: an engine that lives beside the sockets implements it, and gives it to
//! the server by [`Resident::registry`](super::Resident::registry). Everything here blocks, and is called on threads for that.

use std::fmt::Debug;

use serde_json::Value;

use super::problem::{Code, Problem};

/// A spell that is to be bound.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// Its file on the machine of the server, from the root.
    pub path: String,
    /// What it is to be called; else as it says.
    pub name: Option<String>,
    /// The spell whose shadow it is to be; else as it says.
    pub shadow: Option<String>,
}

/// Why it is not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The spell cannot run: the report, as the command line prints it.
    #[error("the spell is refused")]
    Spell(String),
    /// Who starts the server says otherwise.
    #[error(
        "`{0}` is one of the spells that the server was started with: change its file, or give this one another name"
    )]
    Named(String),
    /// No such spell is bound.
    #[error("no spell `{0}` is bound")]
    Unknown(String),
    /// The engine does not run, or not yet.
    #[error("{0}")]
    Unavailable(String),
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let detail = refused.to_string();
        match refused {
            Refused::Spell(report) => Self::new(Code::SpellRefused, detail).with("report", report),
            Refused::Named(spell) => Self::new(Code::SpellConflict, detail).with("spell", spell),
            Refused::Unknown(_) => Self::new(Code::NotFound, detail),
            Refused::Unavailable(_) => Self::new(Code::Unavailable, detail),
        }
    }
}

/// See the module.
pub trait Registry: Debug + Send + Sync {
    /// Binds a spell on a plane, and says which it is, once that is as durable as the log is.
    ///
    /// # Errors
    /// [`Refused`].
    fn bind(&self, plane: &str, wish: &Wish) -> Result<Value, Refused>;

    /// Has a plane run a spell no longer.
    ///
    /// # Errors
    /// [`Refused::Unknown`], [`Refused::Named`], [`Refused::Unavailable`].
    fn unbind(&self, plane: &str, spell: &str) -> Result<(), Refused>;

    /// Loads all spells anew, soon.
    fn reload(&self);

    /// Why no spells run on a plane any more; `None` where nothing failed.
    fn failure(&self, plane: &str) -> Option<String>;
}
