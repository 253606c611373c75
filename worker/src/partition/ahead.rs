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
    /// The first that was whole.
    first: Option<First>,
    /// Until then: the parts of each.
    parts: BTreeMap<EntryId, BTreeMap<u32, RestoredActor>>,
}

/// What every owner takes.
struct First {
    /// The entry by which it was whole.
    seq: u64,
    id: EntryId,
    time: Timestamp,
    parts: Vec<RestoredActor>,
}

impl Proposals {
    fn note(&mut self, logged: &Logged, restored: &Restored) {
        if self.first.is_some() {
            return;
        }
        let parts = self.parts.entry(restored.proposal.clone()).or_default();
        parts.insert(restored.part, restored.actor.clone());
        if parts.len() as u64 == u64::from(restored.parts) {
            self.first = Some(First {
                seq: logged.seq,
                id: logged.entry.id.clone(),
                time: logged.time,
                parts: std::mem::take(parts).into_values().collect(),
            });
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
                proposals.note(logged, restored);
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
        self.first(actor).is_some()
    }

    fn first(&self, actor: &ActorKey) -> Option<&First> {
        self.proposals.get(actor)?.first.as_ref()
    }

    /// The last of the entries that these actors are restored by.
    pub(super) fn last_of(&self, actors: &[ActorKey]) -> Option<(u64, EntryId)> {
        let firsts = actors.iter().filter_map(|actor| self.first(actor));
        let last = firsts.max_by_key(|first| first.seq)?;
        Some((last.seq, last.id.clone()))
    }

    /// The first whole proposal of an actor, and when it was made.
    pub(super) fn take(&mut self, actor: &ActorKey) -> Result<(Timestamp, Vec<RestoredActor>), Fault> {
        let proposals = self.proposals.remove(actor);
        let first = proposals.and_then(|proposals| proposals.first);
        let taken = first.map(|first| (first.time, first.parts));
        taken.ok_or_else(|| Fault::Alarm(format!("{actor} was not restored")))
    }
}
