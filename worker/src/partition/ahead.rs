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
    /// The entries that actors were restored by, and that the loop has not come to yet.
    taken: BTreeMap<u64, EntryId>,
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
            taken: BTreeMap::new(),
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

    /// The loop comes to entries. One that an actor was restored by must still be there: rows stand that come of it.
    pub(super) fn check(&self, entries: &[Logged]) -> Result<(), Fault> {
        for logged in entries {
            let taken = self.taken.get(&logged.seq);
            if let Some(id) = taken.filter(|id| **id != logged.entry.id) {
                let why = format!(
                    "the log has {} at {}, where {} was, by which an actor was restored: it has lost its end",
                    logged.entry.id.0, logged.seq, id.0
                );
                return Err(Fault::Alarm(why));
            }
        }
        Ok(())
    }

    /// The loop has passed entries: the actors that they restore are restored.
    pub(super) fn pass(&mut self, entries: &[Logged]) {
        if let Some(last) = entries.last() {
            self.taken = self.taken.split_off(&(last.seq + 1));
        }
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
        let first = first.ok_or_else(|| Fault::Alarm(format!("{actor} was not restored")))?;
        self.taken.insert(first.seq, first.id);
        Ok((first.time, first.parts))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use confab_chat::{UserId, mailbox};
    use confab_proto::message::LogEntry;

    use super::*;

    fn logged(seq: u64, id: &str, body: EntryBody) -> Logged {
        let id = EntryId(id.into());
        Logged {
            seq,
            time: Timestamp(1),
            entry: Arc::new(LogEntry { id, body }),
        }
    }

    /// A log may lose its end, and get another one, behind a loop that has looked ahead and does not hear of it.
    #[test]
    fn an_entry_that_an_actor_was_restored_by_must_be_there_when_the_loop_comes_to_it() {
        let user = UserId::parse("ann").unwrap();
        let restored = Restored {
            proposal: EntryId("w.1".into()),
            part: 0,
            parts: 1,
            actor: RestoredActor::Mailbox {
                user: user.clone(),
                head: mailbox::Head::default(),
                seen: Vec::new(),
            },
        };
        let other = |seq, id| logged(seq, id, EntryBody::SetLogic(1));
        let mut ahead = Ahead::after(5);
        let entries = [
            other(6, "a"),
            logged(7, "w.1.0", EntryBody::Restored(Box::new(restored))),
        ];
        ahead.look(&entries).unwrap();
        let actor = ActorKey::Mailbox(user);
        assert_eq!(
            ahead.last_of(std::slice::from_ref(&actor)),
            Some((7, EntryId("w.1.0".into())))
        );
        ahead.take(&actor).unwrap();
        ahead.check(&entries).unwrap();
        ahead.pass(&entries[..1]);
        let Err(Fault::Alarm(why)) = ahead.check(&[other(7, "b"), other(8, "c")]) else {
            panic!("the log has another entry there");
        };
        assert!(why.contains("w.1.0"), "{why}");
        ahead.pass(&entries[1..]);
        ahead.check(&[other(7, "b")]).unwrap();
    }
}
