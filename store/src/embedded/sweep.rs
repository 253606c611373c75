//! Removes expired rows, slowly: some users' inboxes at a time, round and round.
//!
//! An inbox expires from its beginning, so a look at its first rows is enough.

use std::time::{Duration, Instant};

use super::keys::{self, KeyWriter, RowKey, Table};
use super::open::{Shared, store_error};
use super::values::Stored;
use crate::{Key, StoreError};

/// Most inboxes looked at, and most rows removed, in one step.
const INBOXES: usize = 512;
const ROWS: usize = 16 * 1024;

/// Where the sweep is.
pub(super) struct Sweep {
    every: Duration,
    due: Instant,
    next: RowKey,
}

impl Sweep {
    pub(super) fn new(every: Duration) -> Self {
        Self {
            every,
            due: Instant::now() + every,
            next: beginning(),
        }
    }

    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Does some of the work, if it is time.
    pub(super) fn step(&mut self, shared: &Shared) -> Result<(), StoreError> {
        if Instant::now() < self.due {
            return Ok(());
        }
        self.due = Instant::now() + self.every;
        let mut batch = shared.database.batch();
        for _ in 0..INBOXES {
            if batch.len() >= ROWS {
                break;
            }
            let inbox = shared.table(Table::Inbox);
            let mut after = None;
            for guard in inbox.range(self.next.on_disk().clone()..) {
                let (key, stored) = guard.into_inner().map_err(|error| store_error(&error))?;
                let stored = Stored::from_disk(Table::Inbox, stored)?;
                let row = RowKey::from_disk(Table::Inbox, key.clone());
                let Key::Inbox(user, _) = keys::decode(&row)? else {
                    break;
                };
                let behind = KeyWriter::under(Table::Inbox, user.as_str()).behind().finish();
                let other = after.as_ref().is_some_and(|after| *after != behind);
                after.get_or_insert(behind);
                if other || batch.len() >= ROWS || !stored.is_expired(Table::Inbox, shared.now()) {
                    break;
                }
                batch.remove(inbox, key);
            }
            let Some(after) = after else {
                self.next = beginning();
                break;
            };
            self.next = after;
        }
        metrics::counter!("confab_store_rows_expired_total").increment(batch.len() as u64);
        batch.commit().map_err(|error| store_error(&error))
    }
}

fn beginning() -> RowKey {
    KeyWriter::new(Table::Inbox).finish()
}
