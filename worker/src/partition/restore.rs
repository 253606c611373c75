//! The way back from a lost log: actors of an earlier epoch are brought into this one.
//!
//! Before the first entry that an actor has in an epoch, its state is restored from what stands of it. Rows change as
//! soon as the actor goes on, and of rows that a lost log wrote in part two readers may see different ones; so what one
//! owner has read is not good enough for all. It goes through the log: an owner that meets an actor of an earlier epoch
//! appends what it makes of it, a [`Restored`], and then looks ahead in the log for the first one of that actor, which is
//! what every owner takes, wherever it stands. Nobody writes a row of the actor in this epoch before that, and whoever has
//! read rows of this epoch appends after it: so the one that counts is made of facts older than the epoch.
//!
//! All that follows from restoring (rows, a mailbox's first event of the epoch) is an effect of the batch that has the
//! actor's first entry, and stands or is redone with it. Actors that nobody touches stay as they are.

use std::collections::{BTreeMap, HashMap, HashSet};

use confab_bus::{AppendError, Bus, PartitionReader, Position};
use confab_chat::conversation::restore as chats;
use confab_chat::{ActorKey, ChatKey, EntryId, Timestamp, UserId, conversation, mailbox};
use confab_proto::message::{Attach, EntryBody, LogEntry, Logged, Restored, RestoredActor};
use confab_proto::row::InboxRow;
use confab_store::Store;

use super::Owner;
use super::batch::Batch;
use super::cache::{Cached, Loaded};
use super::lookups::Lookups;
use crate::seams::{Fault, Seams};

/// A list of a restored state is cut at this size.
const PART_BYTES: usize = 256 * 1024;

/// Actors of an earlier epoch, as they were loaded.
#[derive(Default)]
pub(super) struct Lost {
    pub(super) chats: Loaded<conversation::State>,
    pub(super) mailboxes: Loaded<mailbox::State>,
}

impl Lost {
    fn actors(&self) -> Vec<ActorKey> {
        let chats = self.chats.iter().map(|(chat, _)| ActorKey::Chat(chat.clone()));
        let mailboxes = self
            .mailboxes
            .iter()
            .map(|(user, _)| ActorKey::Mailbox(user.clone()));
        chats.chain(mailboxes).collect()
    }
}

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

    fn knows(&self, actor: &ActorKey) -> bool {
        let proposals = self.proposals.get(actor);
        proposals.is_some_and(|proposals| proposals.first.is_some())
    }

    fn take(&mut self, actor: &ActorKey) -> Result<(Timestamp, Vec<RestoredActor>), Fault> {
        let proposals = self.proposals.remove(actor);
        let first = proposals.and_then(|proposals| proposals.first);
        first.ok_or_else(|| Fault::Alarm(format!("{actor} was not restored")))
    }
}

impl<B: Bus, S: Store> Owner<B, S> {
    /// Takes actors of an earlier epoch into the batch, restored.
    pub(super) async fn restore(
        &mut self,
        lost: Lost,
        batch: &mut Batch,
        lookups: &mut Lookups,
    ) -> Result<(), Fault> {
        let actors = lost.actors();
        if actors.is_empty() {
            return Ok(());
        }
        tracing::info!(
            partition = self.partition.0,
            epoch = self.epoch,
            actors = actors.len(),
            "actors are restored from their rows"
        );
        let proposals = self.proposals(&lost).await?;
        let (seams, partition) = (&self.seams, self.partition);
        let appends = proposals.into_iter().map(|entries| async move {
            for entry in entries {
                seams.append(partition, entry).await;
            }
            Ok(())
        });
        super::concurrently(appends.collect()).await?;
        self.look_ahead_for(&actors).await?;
        for (chat, before) in lost.chats {
            self.begin_chat(chat, before, batch, lookups)?;
        }
        for (user, before) in lost.mailboxes {
            self.begin_mailbox(user, before, batch)?;
        }
        Ok(())
    }

    /// What this owner makes of actors, as entries: those of one actor together. None of an actor that the log is known to
    /// say something of.
    async fn proposals(&mut self, lost: &Lost) -> Result<Vec<Vec<LogEntry>>, Fault> {
        let (seams, ahead, epoch) = (&self.seams, &self.ahead, self.epoch);
        let chats = lost.chats.iter().map(|(_, before)| &before.state);
        let chats = chats.filter(|state| !ahead.knows(&ActorKey::Chat(state.key.clone())));
        let chats = chats.map(|state| seams.restored_chat(state, epoch));
        let mailboxes = lost.mailboxes.iter().map(|(_, before)| &before.state);
        let mailboxes = mailboxes.filter(|state| !ahead.knows(&ActorKey::Mailbox(state.user.clone())));
        let mailboxes = mailboxes.map(|state| seams.restored_mailbox(state, epoch));
        let mut proposals = super::concurrently(chats.collect()).await?;
        proposals.append(&mut super::concurrently(mailboxes.collect()).await?);
        Ok(proposals
            .into_iter()
            .map(|parts| self.restore_entries(parts))
            .collect())
    }

    fn restore_entries(&mut self, actor: Vec<RestoredActor>) -> Vec<LogEntry> {
        let proposal = self.next_entry_id();
        let parts = u32::try_from(actor.len()).unwrap_or(u32::MAX);
        let entries = (0u32..).zip(actor).map(|(part, actor)| LogEntry {
            id: EntryId(format!("{}.{part}", proposal.0).into()),
            body: EntryBody::Restored(Box::new(Restored {
                proposal: proposal.clone(),
                part,
                parts,
                actor,
            })),
        });
        entries.collect()
    }

    /// Reads ahead in the log until it says something of each.
    async fn look_ahead_for(&mut self, actors: &[ActorKey]) -> Result<(), Fault> {
        let mut unknown: HashSet<&ActorKey> = actors.iter().collect();
        unknown.retain(|actor| !self.ahead.knows(actor));
        if unknown.is_empty() {
            return Ok(());
        }
        let after = Position {
            epoch: self.epoch,
            seq: self.ahead.upto,
        };
        let mut reader = self.seams.bus.open(self.partition, after).await?;
        while !unknown.is_empty() {
            self.ahead.look(&reader.next(self.config.batch).await?)?;
            unknown.retain(|actor| !self.ahead.knows(actor));
        }
        Ok(())
    }

    fn begin_chat(
        &mut self,
        chat: ChatKey,
        before: Cached<conversation::State>,
        batch: &mut Batch,
        lookups: &mut Lookups,
    ) -> Result<(), Fault> {
        let (_, parts) = self.ahead.take(&ActorKey::Chat(chat.clone()))?;
        let (state, rows) = chats::begin(whole_chat(parts)?);
        // The entries of this batch see what restoring writes.
        lookups.expect_more(&chat);
        lookups.expect(&chat, None);
        for row in rows {
            lookups.made(&chat, &row);
            batch.rows.chat(&chat, state.head.version, row, true);
        }
        self.chats.take_in(chat, Cached::restored(state, before));
        Ok(())
    }

    fn begin_mailbox(
        &mut self,
        user: UserId,
        before: Cached<mailbox::State>,
        batch: &mut Batch,
    ) -> Result<(), Fault> {
        let (time, parts) = self.ahead.take(&ActorKey::Mailbox(user.clone()))?;
        let mut state = whole_mailbox(parts)?;
        let effects = mailbox::begin_epoch(&mut state, time);
        for (id, event) in effects.events {
            let row = InboxRow {
                at: effects.at,
                chat: ChatKey::dialog(&user, &user),
                version: 0,
                event,
                rest: 0,
            };
            self.put_event(&user, (effects.version, id), row, batch);
        }
        self.mailboxes.take_in(user, Cached::restored(state, before));
        Ok(())
    }

    /// The loop comes to what restores an actor. Where it did that before, or the actor's rows did, this entry is skipped.
    pub(super) fn pass_restored(&mut self, restored: &Restored, batch: &mut Batch) -> Result<(), Fault> {
        match restored.actor.key() {
            ActorKey::Chat(chat) => self.chats.working(&chat)?.whole = true,
            ActorKey::Mailbox(user) => {
                self.mailboxes.working(&user)?.whole = true;
                let pending = self.soft.pending.iter();
                let waiting = pending.filter(|(_, (attach, _))| attach.user == user);
                batch.waiting.extend(waiting.map(|(session, _)| session.clone()));
            }
        }
        Ok(())
    }

    /// Sessions attach to mailboxes of an earlier epoch: they are restored through the log, and then the sessions are
    /// attached. Where the log does not take it their gateways ask again.
    pub(super) async fn reopen(&mut self, mut asks: Vec<Attach>) -> Result<(), Fault> {
        let pending = &self.soft.pending;
        asks.retain(|attach| !pending.contains_key(&(attach.gateway.clone(), attach.session)));
        let seams = &self.seams;
        let states = asks.iter().map(|attach| seams.load_state(attach.user.clone()));
        let lost = Lost {
            mailboxes: super::concurrently(states.collect()).await?,
            ..Lost::default()
        };
        let mut refused = false;
        for entry in self.proposals(&lost).await?.into_iter().flatten() {
            if let Err(AppendError::Refused(why)) = self.seams.bus.append(self.partition, entry).await {
                tracing::warn!(
                    why,
                    "the log does not take a restored mailbox, its gateway will ask again"
                );
                refused = true;
            }
        }
        let now = self.soft.now();
        let waiting = asks.into_iter().filter(|_| !refused).map(|attach| {
            let session = (attach.gateway.clone(), attach.session);
            (session, (attach, now))
        });
        self.soft.pending.extend(waiting);
        Ok(())
    }
}

impl<B: Bus, S: Store> Seams<B, S> {
    async fn restored_chat(
        &self,
        before: &conversation::State,
        epoch: u32,
    ) -> Result<Vec<RestoredActor>, Fault> {
        let standing = self.standing_chat(before).await?;
        let chats::Restored { state, holes } = chats::restore(before, &standing, epoch);
        let mut members = split(state.members.into_iter().collect(), |(user, _)| {
            user.as_str().len() + 96
        });
        let mut holes = split(holes, |hole| hole.sender.as_str().len() + 32);
        let parts = members.len().max(holes.len()).max(1);
        members.resize_with(parts, Vec::new);
        holes.resize_with(parts, Vec::new);
        let parts = members
            .into_iter()
            .zip(holes)
            .map(|(members, holes)| RestoredActor::Chat {
                chat: state.key.clone(),
                head: state.head.clone(),
                members,
                holes,
            });
        Ok(parts.collect())
    }

    async fn restored_mailbox(
        &self,
        before: &mailbox::State,
        epoch: u32,
    ) -> Result<Vec<RestoredActor>, Fault> {
        let standing = self.standing_inbox(before).await?;
        let state = mailbox::restore(before, &standing, epoch);
        let mut seen = split(state.seen.into_iter().collect(), |(chat, _)| {
            chat.as_str().len() + 24
        });
        seen.resize_with(seen.len().max(1), Vec::new);
        let parts = seen.into_iter().map(|seen| RestoredActor::Mailbox {
            user: state.user.clone(),
            head: state.head,
            seen,
        });
        Ok(parts.collect())
    }
}

/// Cuts a list where it takes more than a part has room for.
fn split<T>(items: Vec<T>, bytes: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut parts: Vec<Vec<T>> = Vec::new();
    let mut room = 0;
    for item in items {
        let taken = bytes(&item);
        match parts.last_mut().filter(|_| taken <= room) {
            Some(part) => part.push(item),
            None => {
                parts.push(vec![item]);
                room = PART_BYTES;
            }
        }
        room = room.saturating_sub(taken);
    }
    parts
}

fn whole_chat(parts: Vec<RestoredActor>) -> Result<chats::Restored, Fault> {
    let mut whole: Option<chats::Restored> = None;
    for part in parts {
        let RestoredActor::Chat {
            chat,
            head,
            members,
            holes,
        } = part
        else {
            return Err(no_part(&part));
        };
        let whole = whole.get_or_insert_with(|| chats::Restored {
            state: conversation::State {
                key: chat,
                head,
                members: BTreeMap::new(),
            },
            holes: Vec::new(),
        });
        whole.state.members.extend(members);
        whole.holes.extend(holes);
    }
    whole.ok_or_else(|| Fault::Alarm("a restored chat has no parts".to_owned()))
}

fn whole_mailbox(parts: Vec<RestoredActor>) -> Result<mailbox::State, Fault> {
    let mut whole: Option<mailbox::State> = None;
    for part in parts {
        let RestoredActor::Mailbox { user, head, seen } = part else {
            return Err(no_part(&part));
        };
        let whole = whole.get_or_insert_with(|| mailbox::State {
            head,
            ..mailbox::State::new(user)
        });
        whole.seen.extend(seen);
    }
    whole.ok_or_else(|| Fault::Alarm("a restored mailbox has no parts".to_owned()))
}

fn no_part(part: &RestoredActor) -> Fault {
    Fault::Alarm(format!(
        "a restored {} among the parts of another actor",
        part.key()
    ))
}
