//! How a batch leaves: rows, then answers, then deliveries to mailboxes and live frames.
//!
//! Appends to one partition go out one after the other, the next when the last is acknowledged, so that the first copy
//! of every item arrives in the chat's order. Different partitions do not wait for each other.

use std::collections::HashMap;

use confab_bus::Bus;
use confab_chat::{EntryId, GatewayId, Partition, UserId};
use confab_proto::message::{DeliveryBody, EntryBody, LogEntry, Logged, MailboxEvent, ToGateway};
use confab_service::mistake::{Mistake, is_made};
use confab_store::Store;
use futures_util::future::try_join;

use super::batch::{Batch, Mail};
use super::{Owner, bounds, resume};
use crate::seams::{Fault, Seams};

impl<B: Bus, S: Store> Owner<B, S> {
    /// Sends a batch out; `last` is its last entry.
    pub(super) async fn send(&mut self, mut batch: Batch, last: &Logged) -> Result<(), Fault> {
        let rows = batch.rows.take();
        if is_made(Mistake::ReplyBeforeRows) {
            self.send_replies(std::mem::take(&mut batch.replies)).await;
        }
        self.seams.write(rows).await?;
        self.send_replies(batch.replies).await;
        // What is live follows from the rows; that deliveries to other mailboxes are acknowledged is nothing to it.
        let mail = self.entries(batch.mail);
        let seams = self.seams.clone();
        try_join(append_all(&seams, mail), self.send_live(batch.live, last.seq)).await?;
        (self.applied, self.applied_id) = (last.seq, last.entry.id.clone());
        if !batch.greets.is_empty() || !batch.waiting.is_empty() {
            self.after_batch(batch.greets, batch.waiting).await?;
        }
        Ok(())
    }

    async fn send_replies(&self, replies: Vec<(u64, GatewayId, ToGateway)>) {
        for (seq, gateway, message) in replies {
            self.seams
                .bus
                .deliver(self.partition, seq, &gateway, message)
                .await;
        }
    }

    /// The entries that bring mail to each partition.
    fn entries(&mut self, mail: Mail) -> Vec<(Partition, Vec<LogEntry>)> {
        let mut runs = Vec::new();
        for (partition, entries) in mail.into_entries() {
            let mut run = Vec::with_capacity(entries.len());
            for items in entries {
                run.push(LogEntry {
                    id: self.next_entry_id(),
                    body: EntryBody::Deliver(items),
                });
            }
            runs.push((partition, run));
        }
        runs
    }

    /// The id of an entry that this loop appends.
    pub(super) fn next_entry_id(&mut self) -> EntryId {
        self.appended += 1;
        EntryId(format!("{}.{}", self.prefix, self.appended).into())
    }

    /// New events, to every gateway where their user has a session; they follow from the entries up to `seq`.
    async fn send_live(&mut self, live: HashMap<UserId, Vec<MailboxEvent>>, seq: u64) -> Result<(), Fault> {
        for (user, events) in live {
            if let Some(last) = events.last() {
                self.soft.advance(&user, last.id);
            }
            let events = if events.iter().any(resume::quotes) {
                resume::dress(&self.seams, &user, events, resume::Deleted::AsItWas).await?
            } else {
                events
            };
            let gateways = self.soft.sessions.gateways(&user);
            for events in bounds::runs(events, bounds::mailbox_event_bytes) {
                self.send_run(&user, events, &gateways, seq).await;
            }
        }
        Ok(())
    }

    async fn send_run(&self, user: &UserId, events: Vec<MailboxEvent>, gateways: &[GatewayId], seq: u64) {
        let Some((last, others)) = gateways.split_last() else {
            return;
        };
        let message = |events| ToGateway {
            user: user.clone(),
            body: DeliveryBody::Live(events),
        };
        let (bus, partition) = (&self.seams.bus, self.partition);
        for gateway in others {
            bus.deliver(partition, seq, gateway, message(events.clone()))
                .await;
        }
        bus.deliver(partition, seq, last, message(events)).await;
    }
}

/// Appends to each partition, one entry after the other; no partition waits for another.
async fn append_all<B: Bus, S: Store>(
    seams: &Seams<B, S>,
    mail: Vec<(Partition, Vec<LogEntry>)>,
) -> Result<(), Fault> {
    let appends = mail.into_iter().map(|(partition, entries)| async move {
        for entry in entries {
            seams.append(partition, entry).await;
        }
        Ok(())
    });
    super::concurrently(appends.collect()).await?;
    Ok(())
}
