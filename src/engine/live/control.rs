//! The other end of a live run, for other threads: what it is told, and to end.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::interlude::Interlude;
use super::order::Order;
use crate::log::Log;

/// See the module. Shared by threads.
#[derive(Debug, Default)]
pub struct Control {
    orders: Mutex<VecDeque<Order>>,
    arrived: Condvar,
    has_orders: AtomicBool,
    is_stopping: AtomicBool,
    pub(super) interlude: Interlude,
}

impl Control {
    /// Gives an order; it is followed at the boundary of the next round. After a stop it is dropped, unanswered.
    pub fn give(&self, order: Order) {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_stopping() {
            orders.push_back(order);
            self.has_orders.store(true, Ordering::Release);
        }
        self.arrived.notify_all();
    }

    /// Has the run end at the boundary of the next round.
    pub fn stop(&self) {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_stopping.store(true, Ordering::Release);
        orders.clear();
        self.arrived.notify_all();
    }

    /// Does work on the log between two runs, and waits for that: see the module `interlude`. `None` where the last run
    /// ended before: asked again, it is done at once.
    pub fn apart<T: Send + 'static>(
        &self,
        log: &dyn Log,
        work: impl FnOnce(&dyn Log) -> T + Send + 'static,
    ) -> Option<T> {
        let answer = self.interlude.hand_in(log, work);
        // Who waits for something to do hears of it.
        drop(self.orders.lock());
        self.arrived.notify_all();
        answer.recv().ok()
    }

    /// Whether it is to end.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// Whether anything was said that the run has not heard.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.is_stopping() || self.has_orders.load(Ordering::Acquire) || self.interlude.is_wanted()
    }

    /// Takes all orders.
    pub(super) fn take(&self) -> VecDeque<Order> {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        self.has_orders.store(false, Ordering::Release);
        std::mem::take(&mut orders)
    }

    /// Waits until anything is said, at most so long.
    pub(super) fn wait(&self, timeout: Duration) {
        let orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let nothing = |_: &mut VecDeque<Order>| !self.is_interrupted();
        drop(self.arrived.wait_timeout_while(orders, timeout, nothing));
    }
}
