//! Feels one child's pulse from the system's thread: pings it, orders its restart when it hangs, and finds
//! out when even its thread is stuck.

use std::time::Instant;

use actix::WeakRecipient;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use crate::supervise::board::Reporter;
use crate::supervise::health::State;
use crate::supervise::keep::Order;
use crate::supervise::messages::Ping;
use crate::supervise::policy::Policy;

/// What it takes to watch a child. The address is a weak one: it must not keep the actor alive.
#[derive(Debug)]
pub(crate) struct Pulse {
    pub(crate) ping: WeakRecipient<Ping>,
    pub(crate) orders: mpsc::UnboundedSender<Order>,
    pub(crate) reporter: Reporter,
    pub(crate) policy: Policy,
}

impl Pulse {
    pub(crate) async fn watch(self) {
        while self.reporter.state() != State::Ended {
            sleep(self.policy.ping_every).await;
            if let Some(life) = self.reporter.life()
                && !self.is_answered().await
                && self.reporter.life() == Some(life)
            {
                self.order_restart().await;
            }
        }
    }

    /// A ping lost with a panic or an end counts as answered: the loop around the actor knows already.
    async fn is_answered(&self) -> bool {
        let Some(recipient) = self.ping.upgrade() else { return true };
        // A fresh sender has a guaranteed place in the mailbox, and a ping given up is skipped there.
        let answer = recipient.send(Ping);
        drop(recipient);
        timeout(self.policy.ping_timeout, answer).await.is_ok()
    }

    async fn order_restart(&self) {
        let (taken, mut took) = oneshot::channel();
        let ordered = Instant::now();
        let by = ordered + self.policy.order_timeout;
        if self.orders.send(Order::Restart { by, taken }).is_err() {
            return;
        }
        if timeout(self.policy.order_timeout, &mut took).await.is_err() && self.reporter.blocked() {
            // Either answer means that the thread moves again: taken, or dropped with the child.
            let _ = took.await;
            self.reporter.unblocked(ordered.elapsed());
        }
    }
}
