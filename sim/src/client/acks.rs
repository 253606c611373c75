//! What a device has acknowledged.

use std::collections::BTreeSet;

/// The acknowledgements of a device, over all its connections.
#[derive(Debug, Default)]
pub(super) struct Acks {
    /// Everything up to this one; unknown before the first event.
    up_to: Option<u64>,
    beyond: BTreeSet<u64>,
}

impl Acks {
    /// The first event that a device ever gets: what lies before it is not for it.
    pub(super) fn begin_before(&mut self, id: u64) {
        self.up_to.get_or_insert(id.saturating_sub(1));
    }

    /// Everything up to this one is acknowledged at once: the device says that it has it, or it will not come any more.
    pub(super) fn all_up_to(&mut self, id: u64) {
        self.up_to = Some(self.up_to.unwrap_or(0).max(id));
        self.join();
    }

    pub(super) fn ack(&mut self, id: u64) {
        if self.up_to.is_some_and(|up_to| id > up_to) {
            self.beyond.insert(id);
            self.join();
        }
    }

    pub(super) fn up_to(&self) -> Option<u64> {
        self.up_to
    }

    fn join(&mut self) {
        while let Some(up_to) = &mut self.up_to {
            self.beyond.retain(|id| id > up_to);
            if !self.beyond.remove(&(*up_to + 1)) {
                return;
            }
            *up_to += 1;
        }
    }
}
