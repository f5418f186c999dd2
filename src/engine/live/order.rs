//! What a live run is told to do, and how it answers.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use super::binding::Binding;
use crate::runeset::Diagnostic;
use crate::spell::Spell;

/// A spell that is to run, and what was found against it before the engine saw it.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The spell.
    pub spell: Arc<Spell>,
    /// Why it is not to run; nothing where it is.
    pub objections: Vec<Diagnostic>,
}

impl From<Arc<Spell>> for Candidate {
    fn from(spell: Arc<Spell>) -> Self {
        Self { spell, objections: Vec::new() }
    }
}

/// Why a spell does not run. The one that runs under its name, if any, goes on.
#[derive(Clone, Debug, Default)]
pub struct Refusal {
    /// The spell, where it is one alone.
    pub spell: Option<String>,
    /// What is wrong.
    pub problems: Vec<Diagnostic>,
}

/// What became of an order: whether anything changed.
pub type Answer = Result<bool, Refusal>;

/// Where the answer to an order goes. It is sent once what it says is in the log.
#[derive(Debug, Default)]
pub struct Reply(Option<SyncSender<Answer>>);

impl Reply {
    /// To who waits at the other end of a channel that has room for it.
    #[must_use]
    pub fn to(sender: SyncSender<Answer>) -> Self {
        Self(Some(sender))
    }

    pub(super) fn send(self, answer: Answer) {
        if let Some(sender) = self.0 {
            // Who does not wait any more finds it in the log.
            let _gone = sender.try_send(answer);
        }
    }
}

/// What a live run is told.
#[derive(Debug)]
pub enum Order {
    /// To run these spells, and no others but those that were bound: those that are the same go on.
    Replace(Vec<Candidate>),
    /// To run this spell, too or instead of the one of that name. With the binding, later starts are to bind it again.
    Bind(Candidate, Option<Binding>, Reply),
    /// To run the spell of that name no longer.
    Unbind(String, Reply),
    /// That spells could not be loaded: it goes on with those that it has.
    Refuse(Refusal),
}

impl Order {
    /// To run a spell, without an answer.
    #[must_use]
    pub fn bind(spell: Arc<Spell>) -> Self {
        Self::Bind(spell.into(), None, Reply::default())
    }

    /// To run a spell no longer, without an answer.
    #[must_use]
    pub fn unbind(name: &str) -> Self {
        Self::Unbind(name.to_owned(), Reply::default())
    }
}
