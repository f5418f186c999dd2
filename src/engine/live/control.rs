//! What a live run is told from outside: which spells it is to run, and to stop.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::runeset::Diagnostic;
use crate::spell::Spell;

/// What it is told.
#[derive(Debug)]
pub enum Order {
    /// To run these spells and no others: those that are the same go on.
    Replace(Vec<Arc<Spell>>),
    /// To run this spell, too or instead of the one of that name.
    Bind(Arc<Spell>),
    /// To run the spell of that name no longer.
    Unbind(String),
    /// That spells could not be loaded: it goes on with those that it has.
    Refuse(Vec<Diagnostic>),
}

/// The other end of a live run. Shared by threads.
#[derive(Debug, Default)]
pub struct Control {
    orders: Mutex<VecDeque<Order>>,
    has_orders: AtomicBool,
    is_stopping: AtomicBool,
}

impl Control {
    /// Gives an order; it is followed at the boundary of the next round.
    pub fn give(&self, order: Order) {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).push_back(order);
        self.has_orders.store(true, Ordering::Release);
    }

    /// Has the run end at the boundary of the next round.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
    }

    /// Whether it is to end.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// Whether anything was said that the run has not heard.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.is_stopping() || self.has_orders.load(Ordering::Acquire)
    }

    /// Takes all orders.
    pub(super) fn take(&self) -> VecDeque<Order> {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        self.has_orders.store(false, Ordering::Release);
        std::mem::take(&mut orders)
    }
}
