//! A plane's engine, as other threads see it.

use std::collections::BTreeMap;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::engine::live::{Answer, Binding, Control, Order, Reply};
use crate::server::registry::Refused;

/// How long an answer of the engine is waited for: it comes at the end of a round, which may be a long one.
const PATIENCE: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug, Default)]
pub struct Bench {
    /// Where the engine is told what to do.
    pub control: Arc<Control>,
    /// What was bound here, by name.
    bound: Mutex<BTreeMap<String, Binding>>,
    failure: Mutex<Option<String>>,
}

impl Bench {
    /// What was bound here, by name.
    pub fn bound(&self) -> MutexGuard<'_, BTreeMap<String, Binding>> {
        self.bound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up what was bound before.
    pub fn remember(&self, bindings: Vec<Binding>) {
        *self.bound() = bindings.into_iter().map(|binding| (binding.spell.clone(), binding)).collect();
    }

    /// Says that the engine runs no longer: who waits for it does not have to.
    pub fn fail(&self, why: String) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        self.control.stop();
    }

    /// Why it runs no longer.
    pub fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives an order and waits until it is done.
    pub fn ask(&self, order: impl FnOnce(Reply) -> Order) -> Result<Answer, Refused> {
        let (sender, answers) = sync_channel(1);
        self.control.give(order(Reply::to(sender)));
        answers.recv_timeout(PATIENCE).map_err(|error| {
            let why = match (error, self.failure()) {
                (_, Some(why)) => format!("spells run no longer on this plane: {why}"),
                (RecvTimeoutError::Disconnected, None) => {
                    "the spells of this plane do not run any more: the server stops, or `/readyz` says why".to_owned()
                }
                (RecvTimeoutError::Timeout, None) => format!(
                    "the spells that run take over {} s for a round; the log will tell on the topics `sanctum.spell.*` \
                     what became of this one",
                    PATIENCE.as_secs()
                ),
            };
            Refused::Unavailable(why)
        })
    }
}
