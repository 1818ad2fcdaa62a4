//! Pings one child from the system's thread, restarts it when it hangs, and detects that its thread is blocked.

use std::time::Instant;

use actix::WeakRecipient;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use crate::supervise::health::ChildState;
use crate::supervise::messages::Ping;
use crate::supervise::policy::SupervisionPolicy;
use crate::supervise::registry::ChildStatus;
use crate::supervise::runner::RunnerCommand;

/// Watches one child. Its address is weak, because it must not keep the actor alive.
#[derive(Debug)]
pub(crate) struct PingMonitor {
    pub(crate) ping: WeakRecipient<Ping>,
    pub(crate) commands: mpsc::UnboundedSender<RunnerCommand>,
    pub(crate) status: ChildStatus,
    pub(crate) policy: SupervisionPolicy,
}

impl PingMonitor {
    pub(crate) async fn run(self) {
        while self.status.state() != ChildState::Ended {
            sleep(self.policy.ping_interval).await;
            if let Some(incarnation) = self.status.incarnation()
                && !self.is_answered().await
                && self.status.incarnation() == Some(incarnation)
            {
                self.restart().await;
            }
        }
    }

    /// A ping that was lost in a panic or a stop counts as answered: the runner knows about those already.
    async fn is_answered(&self) -> bool {
        let Some(recipient) = self.ping.upgrade() else { return true };
        // A fresh sender has a guaranteed slot in the mailbox, and an abandoned ping is skipped there.
        let answer = recipient.send(Ping);
        drop(recipient);
        timeout(self.policy.ping_timeout, answer).await.is_ok()
    }

    async fn restart(&self) {
        let (received, mut on_received) = oneshot::channel();
        let start = Instant::now();
        let deadline = start + self.policy.command_timeout;
        if self.commands.send(RunnerCommand::Restart { deadline, received }).is_err() {
            return;
        }
        if timeout(self.policy.command_timeout, &mut on_received).await.is_err() && self.status.blocked() {
            // Received, or dropped together with the child: either way the thread runs again.
            let _ = on_received.await;
            self.status.unblocked(start.elapsed());
        }
    }
}
