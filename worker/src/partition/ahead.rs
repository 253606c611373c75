//! What the log says of actors that are of an earlier epoch: the proposals of what they begin this one with.

use std::collections::{BTreeMap, HashMap};

use confab_chat::{ActorKey, EntryId, Timestamp};
use confab_proto::message::{EntryBody, Logged, Restored, RestoredActor};

use crate::seams::Fault;

/// The proposals that stand in the log from the loop's place on, as far as it was looked through.
pub(super) struct Ahead {
    /// The last entry looked at.
    upto: u64,
    proposals: HashMap<ActorKey, Proposals>,
}

/// The proposals of one actor.
#[derive(Default)]
struct Proposals {
    /// The first that was whole, and when.
    first: Option<(Timestamp, Vec<RestoredActor>)>,
    /// Until then: the parts of each.
    parts: BTreeMap<EntryId, BTreeMap<u32, RestoredActor>>,
}

impl Proposals {
    fn note(&mut self, time: Timestamp, restored: &Restored) {
        if self.first.is_some() {
            return;
        }
        let parts = self.parts.entry(restored.proposal.clone()).or_default();
        parts.insert(restored.part, restored.actor.clone());
        if parts.len() as u64 == u64::from(restored.parts) {
            self.first = Some((time, std::mem::take(parts).into_values().collect()));
            self.parts.clear();
        }
    }
}

impl Ahead {
    /// Nothing is looked at yet after an entry.
    pub(super) fn after(upto: u64) -> Self {
        Self {
            upto,
            proposals: HashMap::new(),
        }
    }

    /// The last entry looked at.
    pub(super) fn upto(&self) -> u64 {
        self.upto
    }

    /// Looks at entries; those seen before are passed over.
    pub(super) fn look(&mut self, entries: &[Logged]) -> Result<(), Fault> {
        let seen = entries.partition_point(|logged| logged.seq <= self.upto);
        for logged in entries.iter().skip(seen) {
            if logged.seq != self.upto + 1 {
                let why = format!("entry {} comes after {}", logged.seq, self.upto);
                return Err(Fault::Alarm(why));
            }
            self.upto = logged.seq;
            if let EntryBody::Restored(restored) = &logged.entry.body {
                let proposals = self.proposals.entry(restored.actor.key()).or_default();
                proposals.note(logged.time, restored);
            }
        }
        Ok(())
    }

    /// The loop has passed entries: the actors that they restore are restored.
    pub(super) fn pass(&mut self, entries: &[Logged]) {
        for logged in entries {
            if let EntryBody::Restored(restored) = &logged.entry.body {
                self.proposals.remove(&restored.actor.key());
            }
        }
    }

    /// Whether a whole proposal of an actor was found.
    pub(super) fn knows(&self, actor: &ActorKey) -> bool {
        let proposals = self.proposals.get(actor);
        proposals.is_some_and(|proposals| proposals.first.is_some())
    }

    /// The first whole proposal of an actor, and when it was made.
    pub(super) fn take(&mut self, actor: &ActorKey) -> Result<(Timestamp, Vec<RestoredActor>), Fault> {
        let proposals = self.proposals.remove(actor);
        let first = proposals.and_then(|proposals| proposals.first);
        first.ok_or_else(|| Fault::Alarm(format!("{actor} was not restored")))
    }
}
