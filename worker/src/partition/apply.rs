//! Applying a batch: what its entries do to chats and mailboxes.

use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use confab_bus::Bus;
use confab_chat::conversation::{self, Input, Need};
use confab_chat::mailbox::{self, At, Incoming};
use confab_chat::{ChatKey, Command, EntryId, Op, UserId};
use confab_proto::message::{DeliverItem, Enroll, EntryBody, Logged, MailboxEvent, RestoredActor};
use confab_proto::row::{CursorRow, InboxRow};
use confab_service::mistake::{self, Mistake, is_made};
use confab_store::{Key, Range, Store, Take};
use smallvec::SmallVec;

use super::batch::Batch;
use super::cache::Cached;
use super::lookups::Lookups;
use super::restore::Lost;
use super::{LOGIC, Owner};
use crate::seams::{Fault, as_it_is};

/// A batch is cut where its entries name so many actors. So it has no more commands for one chat either.
pub(super) const BATCH_ACTORS: usize = 4096;

impl<B: Bus, S: Store> Owner<B, S> {
    /// How many of the entries make one batch, at least one.
    pub(super) fn batch_end(entries: &[Logged]) -> usize {
        let mut actors = 0;
        let fits = entries.iter().position(|logged| {
            actors += match &logged.entry.body {
                EntryBody::Deliver(items) => items.iter().map(|item| item.to.len()).sum(),
                EntryBody::Command(_)
                | EntryBody::Enroll(_)
                | EntryBody::SetLogic(_)
                | EntryBody::Restored(_) => 1,
            };
            actors > BATCH_ACTORS
        });
        fits.unwrap_or(entries.len()).max(1)
    }

    /// Applies entries in order; what they do is gathered, nothing leaves yet.
    pub(super) async fn apply(&mut self, entries: &[Logged]) -> Result<Batch, Fault> {
        let (mut batch, mut lookups) = (Batch::default(), Lookups::default());
        self.ahead.look(entries)?;
        let lost = self.load(entries).await?;
        if !lost.is_empty() {
            // Rare, and by far the largest future of all: none of what every batch has on its stack.
            Box::pin(self.restore(lost, &mut batch, &mut lookups)).await?;
        }
        self.look_up(entries, &mut lookups).await?;
        for logged in entries {
            match &logged.entry.body {
                EntryBody::Command(command) => {
                    self.apply_command(logged, command, &mut lookups, &mut batch)
                        .await?;
                }
                EntryBody::Deliver(items) => self.apply_deliver(logged, items, &mut batch)?,
                EntryBody::Enroll(enroll) => self.apply_enroll(logged, enroll, &mut batch).await?,
                EntryBody::SetLogic(version) => self.set_logic(*version)?,
                EntryBody::Restored(restored) => self.pass_restored(restored, &mut batch)?,
            }
        }
        self.ahead.pass(entries);
        Ok(batch)
    }

    fn set_logic(&mut self, version: u32) -> Result<(), Fault> {
        if version > LOGIC {
            let why = format!("logic {version} is in force from here on, this worker knows up to {LOGIC}");
            return Err(Fault::Alarm(why));
        }
        self.logic = self.logic.max(version);
        Ok(())
    }

    /// Loads the states that a batch needs and that are not here. Those of an earlier epoch are left to be restored.
    async fn load(&mut self, entries: &[Logged]) -> Result<Lost, Fault> {
        let mut chats: HashSet<&ChatKey> = HashSet::new();
        let mut users: HashSet<&UserId> = HashSet::new();
        for logged in entries {
            match &logged.entry.body {
                EntryBody::Command(command) if !self.chats.ready(&command.chat) => {
                    chats.insert(&command.chat);
                }
                EntryBody::Deliver(items) => {
                    let named = items.iter().flat_map(|item| &item.to);
                    users.extend(named.filter(|user| !self.mailboxes.ready(user)));
                }
                EntryBody::Enroll(enroll) if !self.mailboxes.ready(&enroll.user) => {
                    users.insert(&enroll.user);
                }
                EntryBody::Restored(restored) => match &restored.actor {
                    RestoredActor::Chat { chat, .. } if !self.chats.ready(chat) => {
                        chats.insert(chat);
                    }
                    RestoredActor::Mailbox { user, .. } if !self.mailboxes.ready(user) => {
                        users.insert(user);
                    }
                    RestoredActor::Chat { .. } | RestoredActor::Mailbox { .. } => {}
                },
                EntryBody::Command(_) | EntryBody::Enroll(_) | EntryBody::SetLogic(_) => {}
            }
        }
        let seams = &self.seams;
        let chats = chats.into_iter().map(|chat| seams.load_state(chat.clone()));
        let chats = super::concurrently(chats.collect()).await?;
        let users = users.into_iter().map(|user| seams.load_state(user.clone()));
        let users = super::concurrently(users.collect()).await?;
        Ok(Lost {
            chats: self.chats.take_in_current(chats)?,
            mailboxes: self.mailboxes.take_in_current(users)?,
        })
    }

    /// Reads ahead what the commands of a batch will ask for, as far as the states before the batch tell.
    async fn look_up(&mut self, entries: &[Logged], lookups: &mut Lookups) -> Result<(), Fault> {
        let mut wanted: Vec<(ChatKey, Need)> = Vec::new();
        for logged in entries {
            let EntryBody::Command(command) = &logged.entry.body else {
                continue;
            };
            lookups.meet(&command.chat);
            let state = &self.chats.working(&command.chat)?.state;
            if state.covers(self.epoch, logged.seq) {
                continue;
            }
            let needs = needs(state, &logged.entry.id, command);
            lookups.expect(&command.chat, needs.as_ref().map(Vec::len));
            wanted.extend(
                needs
                    .into_iter()
                    .flatten()
                    .map(|need| (command.chat.clone(), need)),
            );
        }
        lookups.fetch(&self.seams, wanted).await
    }

    async fn apply_command(
        &mut self,
        logged: &Logged,
        command: &Command,
        lookups: &mut Lookups,
        batch: &mut Batch,
    ) -> Result<(), Fault> {
        let id = &logged.entry.id;
        let cached = self.chats.working(&command.chat)?;
        if cached.state.covers(self.epoch, logged.seq) {
            cached.whole = !is_made(Mistake::SkipUnpaid);
            self.meters.skipped.increment(1);
            return Ok(());
        }
        let input = Input {
            id,
            epoch: self.epoch,
            seq: logged.seq,
            time: logged.time,
            command,
        };
        let facts = match lookups.first(&command.chat) {
            Some(facts) => Some(facts),
            None => match needs(&cached.state, id, command) {
                Some(needs) => Some(lookups.facts(&self.seams, &command.chat, needs).await?),
                None => None,
            },
        };
        let effects = facts.and_then(|facts| {
            guarded(|| {
                taste(command);
                conversation::apply(&mut cached.state, input, &facts)
            })
        });
        let effects = effects.unwrap_or_else(|| {
            self.meters.panics.increment(1);
            tracing::error!(chat = %command.chat, seq = logged.seq, id = &*id.0, "a chat panicked on an entry");
            conversation::apply_panicked(&mut cached.state, input)
        });
        self.meters.entries.increment(1);
        cached.changed.extend(effects.changed);
        let again = lookups.expects_more(&command.chat);
        for row in effects.rows {
            if again {
                lookups.made(&command.chat, &row);
            }
            batch.rows.chat(&command.chat, effects.version, row, again);
        }
        if let Some(result) = effects.reply {
            batch.reply(logged.seq, command, result);
        }
        for delivery in effects.deliveries {
            batch
                .mail
                .post(&command.chat, effects.version, delivery, self.partitions);
        }
        Ok(())
    }

    fn apply_deliver(
        &mut self,
        logged: &Logged,
        items: &[DeliverItem],
        batch: &mut Batch,
    ) -> Result<(), Fault> {
        if let [item] = items {
            for user in &item.to {
                self.apply_to_mailbox(logged, user, &[item], batch)?;
            }
            return Ok(());
        }
        let mut mailboxes: BTreeMap<&UserId, SmallVec<[&DeliverItem; 4]>> = BTreeMap::new();
        for item in items {
            for user in &item.to {
                mailboxes.entry(user).or_default().push(item);
            }
        }
        for (user, items) in mailboxes {
            self.apply_to_mailbox(logged, user, &items, batch)?;
        }
        Ok(())
    }

    fn apply_to_mailbox(
        &mut self,
        logged: &Logged,
        user: &UserId,
        items: &[&DeliverItem],
        batch: &mut Batch,
    ) -> Result<(), Fault> {
        let at = self.at(logged);
        let cached = self.mailboxes.working(user)?;
        if skipped(cached, at) {
            // Another owner has told the user, or has died before that.
            self.soft.advance(user, cached.state.head.last);
            self.meters.skipped.increment(1);
            return Ok(());
        }
        if is_made(Mistake::RepeatTaken) {
            cached.state.seen.clear();
        }
        let incoming: SmallVec<[_; 4]> = items.iter().copied().map(incoming).collect();
        let effects = mailbox::deliver(&mut cached.state, at, &incoming);
        self.meters.entries.increment(1);
        cached.changed.extend(effects.changed);
        let online = self.soft.sessions.is_online(user);
        let mut events = effects.events.into_iter();
        for item in effects.fresh.iter().filter_map(|place| items.get(*place)) {
            let mut rest = u32::try_from(item.events.len()).unwrap_or(u32::MAX);
            for (id, event) in events.by_ref().take(item.events.len()) {
                rest = rest.saturating_sub(1);
                let row = InboxRow {
                    at: effects.at,
                    chat: item.chat.clone(),
                    version: item.version,
                    event,
                    rest,
                };
                self.put_event(user, (effects.version, id), row, batch);
            }
            if online && !item.greet.is_empty() {
                batch.greets.push((user.clone(), item.greet.clone()));
            }
        }
        Ok(())
    }

    /// A mailbox of some version has got an event of some number: its row, and the frame where anybody is there.
    pub(super) fn put_event(
        &self,
        user: &UserId,
        (version, id): (u64, u64),
        row: InboxRow,
        batch: &mut Batch,
    ) {
        let expires = self.config.expiry(row.at);
        let key = Key::Inbox(user.clone(), id);
        batch.rows.event(key, version, &row, expires);
        if self.soft.sessions.has(user) {
            let event = MailboxEvent {
                id,
                at: row.at,
                event: row.event,
                quoted: None,
            };
            batch.live.entry(user.clone()).or_default().push(event);
        }
    }

    /// Sets the cursor of a device that has none. One that has got a cursor since keeps it: a second entry for
    /// the same device must not move it over events that the device has not seen.
    async fn apply_enroll(
        &mut self,
        logged: &Logged,
        enroll: &Enroll,
        batch: &mut Batch,
    ) -> Result<(), Fault> {
        let at = self.at(logged);
        batch.waiting.push((enroll.gateway.clone(), enroll.session));
        let cached = self.mailboxes.working(&enroll.user)?;
        if skipped(cached, at) {
            self.meters.skipped.increment(1);
            return Ok(());
        }
        let (effects, cursor) = mailbox::enroll(&mut cached.state, at, enroll.after);
        self.meters.entries.increment(1);
        let device = (enroll.user.clone(), enroll.device.clone());
        if batch.enrolled.contains(&device) {
            return Ok(());
        }
        let records = self
            .seams
            .scan(Range::Cursors(enroll.user.clone()), Take::All)
            .await?;
        let cursors = self.soft.cursors.over(&enroll.user, &records)?;
        if cursors.iter().any(|(known, _)| *known == enroll.device) {
            // Whoever reads it the next time must find it too.
            let key = Key::Cursor(enroll.user.clone(), enroll.device.clone());
            if let Some(found) = records.iter().find(|record| record.key == key) {
                batch.rows.push(as_it_is(found, None));
                batch.enrolled.push(device);
            }
            return Ok(());
        }
        let timestamp = self.soft.clock.at(effects.at);
        let row = CursorRow {
            up_to: cursor,
            used_at: effects.at,
            forgotten: false,
        };
        batch.rows.push(super::cursors::write(&device, row, timestamp));
        self.soft.cursors.drop_unwritten(&device);
        for (oldest, row) in super::cursors::surplus(cursors) {
            let device = (enroll.user.clone(), oldest);
            self.soft.cursors.set(device, row);
        }
        batch.enrolled.push(device);
        Ok(())
    }

    fn at(&self, logged: &Logged) -> At {
        At {
            epoch: self.epoch,
            seq: logged.seq,
            time: logged.time,
        }
    }
}

fn skipped(cached: &mut Cached<mailbox::State>, at: At) -> bool {
    let covered = cached.state.covers(at.epoch, at.seq);
    cached.whole |= covered && !is_made(Mistake::SkipUnpaid);
    covered
}

fn incoming(item: &DeliverItem) -> Incoming<'_> {
    Incoming {
        chat: &item.chat,
        version: item.version,
        events: &item.events,
    }
}

/// Panics on a poisoned message, where a simulation can poison any.
fn taste(command: &Command) {
    if let Op::New { text, .. } = &command.op {
        mistake::taste(text);
    }
}

/// `None` where it panicked.
fn needs(state: &conversation::State, id: &EntryId, command: &Command) -> Option<Vec<Need>> {
    guarded(|| conversation::needs(state, id, command))
}

/// A chat's decision is made before anything is changed, so what it panicked on is as it was.
fn guarded<T>(decision: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(decision)).ok()
}
