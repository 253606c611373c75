//! What is still owed when no more is waited for: lost, or late.

use std::collections::HashSet;
use std::time::Instant;

use super::marks::Unmarked;
use super::{Deed, Kind, Ledger};

/// What is owed to connections that were not there to get it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) owed: u64,
    pub(crate) devices: u32,
}

impl Ledger {
    /// No more is waited for. What is owed to a connection that was there and read since that time, and got nothing at
    /// all, is lost; to any other one it is late.
    pub(crate) fn close(&mut self, since: Option<Instant>) -> Left {
        let (mut owed, mut late) = (0, HashSet::new());
        for device in 0..self.views.len() as u32 {
            if self.views[device as usize].owed == 0 {
                continue;
            }
            if self.waited(device, since) {
                self.lost(device);
            } else {
                owed += self.views[device as usize].owed;
                late.insert(device);
            }
        }
        for unmarked in self.unmarked() {
            if self.waited(unmarked.device, since) {
                self.mark_lost(unmarked);
            } else {
                owed += 1;
                late.insert(unmarked.device);
            }
        }
        let devices = late.len() as u32;
        Left { owed, devices }
    }

    fn waited(&self, device: u32, since: Option<Instant>) -> bool {
        since.is_some_and(|since| self.views[device as usize].waited_since(since))
    }

    /// Whatever is owed to a connection does not come any more.
    fn lost(&mut self, device: u32) {
        let user = device / self.plan.devices;
        let name = self.plan.user_id(user);
        for chat in self.plan.of_user[user as usize].clone() {
            let (seen, last) = (self.last_seen(device, chat), self.last(chat));
            if seen < last {
                let detail = format!("{name} was told of messages up to {seen}, and {last} are known");
                self.violate(Kind::Missing, chat, detail);
            }
        }
        let untold = self.untold.iter();
        let own = untold.filter(|(_, untold)| untold.owed && untold.devices.contains(&device));
        for (chat, message_id, deed) in own.map(|(key, _)| *key).collect::<Vec<_>>() {
            let what = match deed {
                Deed::Edit(revision) => format!("edit {revision}"),
                Deed::Delete => "the deletion".to_owned(),
            };
            let detail = format!("{name} was not told of {what} of message {message_id}, which was answered");
            self.violate(Kind::Missing, chat, detail);
        }
    }

    fn mark_lost(&mut self, mark: Unmarked) {
        let name = self.plan.user_id(mark.device / self.plan.devices);
        let by = self.plan.user_id(mark.by);
        let kind = if mark.read { "read" } else { "dlvrd" };
        let detail = format!(
            "{name} was not told that {by} marked message {} or a later one as {kind}",
            mark.message_id
        );
        self.violate(Kind::Missing, mark.chat, detail);
    }
}
