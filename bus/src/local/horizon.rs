//! How far the journal is.

use std::sync::Arc;

use super::append::Core;

/// How many entries, of all partitions together, were appended since the bus was opened, and how many of them are durable.
#[derive(Clone, Debug)]
pub struct Horizon(pub(super) Arc<Core>);

/// The journal has failed, or was closed: what is not durable yet never will be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal commits nothing more: {0}")]
pub struct JournalFailed(pub String);

impl Horizon {
    /// How many entries were appended.
    #[must_use]
    pub fn appended(&self) -> u64 {
        self.0.journal.appended()
    }

    /// How many of them are durable.
    #[must_use]
    pub fn committed(&self) -> u64 {
        self.0.journal.committed()
    }

    /// Waits until the first `count` appended entries are durable. Cancel-safe.
    ///
    /// # Errors
    /// They never will be.
    pub async fn wait(&self, count: u64) -> Result<(), JournalFailed> {
        loop {
            // Before the look: a commit between the two rings for this.
            let progress = self.0.progress.notified();
            if let Some(outcome) = self.outcome(count) {
                return outcome;
            }
            progress.await;
        }
    }

    /// As [`wait`](Self::wait), blocking the thread.
    ///
    /// # Errors
    /// They never will be.
    pub fn wait_blocking(&self, count: u64) -> Result<(), JournalFailed> {
        let mut blocked = self.0.blocked.lock();
        loop {
            if let Some(outcome) = self.outcome(count) {
                return outcome;
            }
            self.0.unblock.wait(&mut blocked);
        }
    }

    fn outcome(&self, count: u64) -> Option<Result<(), JournalFailed>> {
        if self.committed() >= count {
            return Some(Ok(()));
        }
        // Ended is set after the last commit.
        let why = self.0.ended()?;
        Some(if self.committed() >= count {
            Ok(())
        } else {
            Err(JournalFailed(why.to_owned()))
        })
    }
}
