//! How a batch leaves: rows, then answers, then deliveries to mailboxes, then live frames.
//!
//! Appends to one partition go out one after the other, the next when the last is acknowledged, so that the first copy
//! of every item arrives in the chat's order. Different partitions do not wait for each other.

use std::collections::HashMap;

use confab_bus::Bus;
use confab_chat::{EntryId, UserId};
use confab_proto::message::{DeliveryBody, EntryBody, LogEntry, Logged, MailboxEvent, ToGateway};
use confab_store::Store;

use super::Owner;
use super::batch::{Batch, Mail};
use super::resume;
use crate::seams::Fault;

impl<B: Bus, S: Store> Owner<B, S> {
    /// Sends a batch out; `last` is its last entry.
    pub(super) async fn send(&mut self, mut batch: Batch, last: &Logged) -> Result<(), Fault> {
        let mut rows = batch.rows.take();
        rows.push(self.reach(last.seq, &last.entry.id));
        self.seams.write(rows).await?;
        for (seq, gateway, message) in batch.replies {
            self.seams
                .bus
                .deliver(self.partition, seq, &gateway, message)
                .await;
        }
        self.append_mail(batch.mail).await?;
        (self.applied, self.applied_id) = (last.seq, last.entry.id.clone());
        self.send_live(batch.live).await?;
        if !batch.greets.is_empty() || !batch.waiting.is_empty() {
            self.after_batch(batch.greets, batch.waiting).await?;
        }
        Ok(())
    }

    async fn append_mail(&mut self, mail: Mail) -> Result<(), Fault> {
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
        let seams = &self.seams;
        let appends = runs.into_iter().map(|(partition, run)| async move {
            for entry in run {
                seams.append(partition, entry).await;
            }
            Ok(())
        });
        super::concurrently(appends.collect()).await?;
        Ok(())
    }

    /// The id of an entry that this loop appends.
    pub(super) fn next_entry_id(&mut self) -> EntryId {
        self.appended += 1;
        EntryId(format!("{}.{}", self.prefix, self.appended).into())
    }

    /// New events, to every gateway where their user has a session.
    async fn send_live(&mut self, live: HashMap<UserId, Vec<MailboxEvent>>) -> Result<(), Fault> {
        for (user, events) in live {
            if let Some(last) = events.last() {
                self.soft.advance(&user, last.id);
            }
            let events = if events.iter().any(resume::quotes) {
                resume::dress(&self.seams, &user, events, resume::Deleted::AsItWas).await?
            } else {
                events
            };
            let mut gateways = self.soft.sessions.gateways(&user);
            let Some(first) = gateways.pop() else {
                continue;
            };
            for gateway in gateways {
                let message = ToGateway {
                    user: user.clone(),
                    body: DeliveryBody::Live(events.clone()),
                };
                self.seams
                    .bus
                    .deliver(self.partition, self.applied, &gateway, message)
                    .await;
            }
            let body = DeliveryBody::Live(events);
            let message = ToGateway { user, body };
            self.seams
                .bus
                .deliver(self.partition, self.applied, &first, message)
                .await;
        }
        Ok(())
    }
}
