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

use std::collections::HashSet;

use confab_bus::{AppendError, Bus, PartitionReader, Position};
use confab_chat::conversation::restore as chats;
use confab_chat::{ActorKey, ChatKey, EntryId, UserId, conversation, mailbox};
use confab_proto::message::{Attach, EntryBody, LogEntry, Restored, RestoredActor};
use confab_proto::row::InboxRow;
use confab_store::Store;

use super::Owner;
use super::batch::Batch;
use super::begin::Standing;
use super::cache::{Cached, Loaded};
use super::lookups::Lookups;
use super::proposal::{whole_chat, whole_mailbox};
use crate::seams::Fault;

/// Actors of an earlier epoch, as they were loaded.
#[derive(Default)]
pub(super) struct Lost {
    pub(super) chats: Loaded<conversation::State>,
    pub(super) mailboxes: Loaded<mailbox::State>,
}

impl Lost {
    pub(super) fn is_empty(&self) -> bool {
        self.chats.is_empty() && self.mailboxes.is_empty()
    }

    fn actors(&self) -> Vec<ActorKey> {
        let chats = self.chats.iter().map(|(chat, _)| ActorKey::Chat(chat.clone()));
        let mailboxes = self
            .mailboxes
            .iter()
            .map(|(user, _)| ActorKey::Mailbox(user.clone()));
        chats.chain(mailboxes).collect()
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
        tracing::info!(
            partition = self.partition.0,
            epoch = self.epoch,
            actors = actors.len(),
            "actors are restored from their rows"
        );
        // Another owner may have come so far, and the log have lost what it restored them by: its rows must not be restored from.
        let standing = Standing::read(&self.seams, self.partition).await?;
        standing.open(&self.seams.bus, self.partition).await?;
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
        // What this batch writes comes of those entries too, which may stand far behind it.
        if let Some((seq, id)) = self.ahead.last_of(&actors) {
            self.reaches(seq, &id).await?;
        }
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
        let (seams, ahead, epoch, config) = (&self.seams, &self.ahead, self.epoch, &*self.config);
        let chats = lost.chats.iter().map(|(_, before)| &before.state);
        let chats = chats.filter(|state| !ahead.knows(&ActorKey::Chat(state.key.clone())));
        let chats = chats.map(|state| Box::pin(seams.restored_chat(state, epoch)));
        let mailboxes = lost.mailboxes.iter().map(|(_, before)| &before.state);
        let mailboxes = mailboxes.filter(|state| !ahead.knows(&ActorKey::Mailbox(state.user.clone())));
        let mailboxes = mailboxes.map(|state| Box::pin(seams.restored_mailbox(state, epoch, config)));
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
            seq: self.ahead.upto(),
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
        lookups.restored(&chat);
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
