//! Attaching a session: the one way in, for a connection, a resumption, a takeover and a lost frame alike.

use std::collections::BTreeSet;
use std::sync::Arc;

use confab_bus::{AppendError, Bus, Position};
use confab_chat::{Partition, Timestamp, UserId, mailbox};
use confab_proto::message::{Attach, AttachFrom, Attached, DeliveryBody, Enroll, EntryBody, LogEntry};
use confab_proto::row::{CursorRow, ReachRow, UserRow};
use confab_store::{Key, StatePart, Store};

use super::Owner;
use super::cache::{Stored, is_current};
use super::presence::{contacts, merged};
use super::resume::{self, Page};
use super::sessions::{Session, Told};
use super::signals::Outbox;
use crate::config::Config;
use crate::seams::{Fault, Seams};

/// How old a cursor's note of when it was used may get before it is written again.
const USED_NOTE: u64 = 60 * 60 * 1000;

/// A session to attach.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) attach: Attach,
    /// Answer also where there is nothing to say.
    answer: bool,
}

impl Ask {
    /// The gateway waits for an answer.
    pub(super) fn answered(attach: Attach) -> Self {
        Self { attach, answer: true }
    }

    /// The gateway waits for nothing: it hears only of what its session has missed.
    pub(super) fn if_behind(attach: Attach) -> Self {
        Self {
            attach,
            answer: false,
        }
    }
}

/// What the loop has in memory about the user of an attachment.
struct Known {
    /// The mailbox's last event, by its state.
    last: Option<u64>,
    cursor: Option<CursorRow>,
    online: bool,
}

/// Who looks something up for an attachment.
#[derive(Clone, Copy)]
struct Here<'a> {
    partition: Partition,
    /// How far this owner has come.
    at: Position,
    config: &'a Config,
}

/// What was read for an attachment.
struct Found {
    last: u64,
    /// The mailbox is of an earlier epoch: what was read of it may not be all.
    lost: bool,
    place: Where,
    user: Option<UserRow>,
    contacts: BTreeSet<UserId>,
}

/// Where a session goes on, as far as this owner can tell.
enum Where {
    /// The device must be enrolled first.
    Nowhere,
    /// Past this owner's last event, and rows are ahead of it. What it knows of the mailbox may be old, and nothing
    /// of that is said.
    Beyond,
    /// Here.
    At(Place),
}

/// Where a session goes on.
struct Place {
    after: u64,
    /// The device's cursor as it was, where the session starts from it.
    cursor: Option<CursorRow>,
    page: Page,
    reset: bool,
    /// The device, or its cursor, is past the mailbox's last event.
    is_past: bool,
}

async fn look_up<B: Bus, S: Store>(
    seams: &Seams<B, S>,
    ask: &Attach,
    known: Known,
    here: Here<'_>,
) -> Result<Found, Fault> {
    let user = &ask.user;
    let (last, lost) = match known.last {
        Some(last) => (last, false),
        None => {
            let head = stored_head(seams, user).await?;
            (head.last, !is_current(head.epoch, here.at.epoch))
        }
    };
    let mut found = Found {
        last,
        lost,
        place: place(seams, ask, known.cursor, last, here.config).await?,
        user: None,
        contacts: BTreeSet::new(),
    };
    if !lost && matches!(&found.place, Where::At(place) if place.is_past) && is_behind(seams, here).await? {
        found.place = Where::Beyond;
    }
    if matches!(found.place, Where::At(_)) && !lost && !ask.away {
        if !ask.repeat || !known.online {
            found.user = seams.get(Key::User(user.clone())).await?;
        }
        if !ask.repeat {
            found.contacts = contacts(seams, user).await?;
        }
    }
    Ok(found)
}

/// The head of a mailbox whose state is not in memory, and so stands in its row.
pub(super) async fn stored_head<B: Bus, S: Store>(
    seams: &Seams<B, S>,
    user: &UserId,
) -> Result<mailbox::Head, Fault> {
    let key = Key::State(mailbox::State::actor(user), StatePart::Head);
    let head: Option<mailbox::Head> = seams.get(key).await?;
    Ok(head.unwrap_or_default())
}

async fn place<B: Bus, S: Store>(
    seams: &Seams<B, S>,
    ask: &Attach,
    moved: Option<CursorRow>,
    last: u64,
    config: &Config,
) -> Result<Where, Fault> {
    let (cursor, after, claimed) = match ask.from {
        AttachFrom::After(after) => (None, after, after),
        AttachFrom::Cursor { last_event_id } => {
            let row = match moved {
                Some(row) => Some(row),
                None => {
                    let device = (ask.user.clone(), ask.device.clone());
                    seams.cursor(device, config).await?
                }
            };
            let Some(row) = row.filter(|row| !row.forgotten) else {
                return Ok(Where::Nowhere);
            };
            let claimed = last_event_id.unwrap_or(0);
            (Some(row), row.up_to.max(claimed), claimed)
        }
    };
    let ahead = claimed > last;
    let page = if ahead {
        Page::default()
    } else {
        resume::page(seams, &ask.user, after, last).await?
    };
    let reset = ahead || page.expired;
    Ok(Where::At(Place {
        after: after.min(last),
        cursor,
        page,
        reset,
        is_past: after > last,
    }))
}

/// Whether rows come of entries that this owner has not come to: another has, or an actor was restored by one. The events themselves
/// do not tell: they may have expired.
async fn is_behind<B: Bus, S: Store>(seams: &Seams<B, S>, here: Here<'_>) -> Result<bool, Fault> {
    let reach: Option<ReachRow> = seams.get(Key::Reach(here.partition)).await?;
    Ok(reach.is_some_and(|reach| (reach.epoch, reach.seq) > (here.at.epoch, here.at.seq)))
}

impl<B: Bus, S: Store> Owner<B, S> {
    /// Attaches sessions of different users.
    pub(super) async fn attach(&mut self, asks: Vec<Ask>, out: &mut Outbox) -> Result<(), Fault> {
        let known: Vec<Known> = asks.iter().map(|ask| self.known(&ask.attach)).collect();
        let seams = &self.seams;
        let here = Here {
            partition: self.partition,
            at: self.position(),
            config: &self.config,
        };
        let lookups = asks
            .iter()
            .zip(known)
            .map(|(ask, known)| look_up(seams, &ask.attach, known, here));
        let found = super::concurrently(lookups.collect()).await?;
        let mut lost = Vec::new();
        for (ask, found) in asks.into_iter().zip(found) {
            match found.place {
                Where::At(_) | Where::Beyond if found.lost => lost.push(ask.attach),
                Where::At(_) => self.attached(ask, found, out),
                Where::Nowhere => self.enroll(ask.attach).await,
                // The gateway asks again, or another owner has answered.
                Where::Beyond => {}
            }
        }
        if !lost.is_empty() {
            self.reopen(lost).await?;
        }
        Ok(())
    }

    fn known(&mut self, ask: &Attach) -> Known {
        let present = self.soft.sessions.get(&ask.user);
        let online = present.is_some_and(|present| present.told == Told::Online);
        Known {
            last: self.mailboxes.peek(&ask.user).map(|state| state.head.last),
            cursor: self.soft.cursors.get(&(ask.user.clone(), ask.device.clone())),
            online,
        }
    }

    /// A device connects for the first time: its cursor goes through the log, and then it is attached. Where the log does
    /// not take it the gateway asks again.
    async fn enroll(&mut self, attach: Attach) {
        let AttachFrom::Cursor { last_event_id } = attach.from else {
            return;
        };
        let waits = (attach.gateway.clone(), attach.session);
        if self.soft.pending.contains_key(&waits) {
            return;
        }
        let entry = LogEntry {
            id: self.next_entry_id(),
            body: EntryBody::Enroll(Enroll {
                user: attach.user.clone(),
                device: attach.device.clone(),
                after: last_event_id,
                gateway: attach.gateway.clone(),
                session: attach.session,
            }),
        };
        match self.seams.bus.append(self.partition, entry).await {
            Ok(_) | Err(AppendError::Unknown(_)) => {
                let now = self.soft.now();
                self.soft.pending.insert(waits, (attach, now));
            }
            Err(AppendError::Refused(why)) => {
                tracing::warn!(
                    why,
                    "the log does not take a new device, its gateway will ask again"
                );
            }
        }
    }

    fn attached(&mut self, ask: Ask, found: Found, out: &mut Outbox) {
        let Found {
            last,
            place: Where::At(place),
            user: row,
            contacts,
            ..
        } = found
        else {
            return;
        };
        let Ask { attach, answer } = ask;
        let cursor = self.move_cursor(&attach, &place);
        let row = out.users.get(&attach.user).cloned().or(row);
        let was_online = match self.soft.sessions.told(&attach.user) {
            Some(Told::Online) => true,
            Some(Told::AsTheRow) => row.as_ref().is_some_and(|row| row.online),
            Some(Told::Offline) | None => false,
        };
        let session = Session {
            gateway: attach.gateway.clone(),
            id: attach.session,
            device: attach.device.clone(),
            away: attach.away,
            cursor,
            heard: self.soft.now(),
        };
        let ended = self
            .soft
            .sessions
            .register(&attach.user, session, last, !attach.repeat);
        for ended in ended {
            let body = DeliveryBody::Replaced { session: ended.id };
            out.deliver(ended.gateway, attach.user.clone(), body);
        }
        let mut probes = 0;
        if attach.away {
            if let Some(until) = self.soft.gathers() {
                self.soft.sessions.hold(&attach.user, Some(until));
            }
        } else {
            self.come_online(&attach, row, was_online, out);
            if !attach.repeat {
                self.soft.has_connected(&attach.user);
                let session = (attach.gateway.clone(), attach.session);
                probes = self.probe(&attach.user, !was_online, Some(&session), contacts, out);
            }
        }
        if answer || place.reset || !place.page.events.is_empty() {
            let body = DeliveryBody::Attached(Attached {
                session: attach.session,
                after: place.after,
                events: place.page.events,
                more: place.page.more,
                reset: place.reset.then_some(last),
                probes,
            });
            out.deliver(attach.gateway, attach.user, body);
        }
    }

    /// The cursor that a session starts with. What a client says it has processed is acknowledged by that. The one event
    /// that stands for all that is gone is not: its connection may break before it is there.
    fn move_cursor(&mut self, attach: &Attach, place: &Place) -> Option<u64> {
        let row = place.cursor?;
        let up_to = place.after;
        let now = self.seams.bus.now();
        if up_to != row.up_to || now.0.saturating_sub(row.used_at.0) > USED_NOTE {
            self.set_cursor((attach.user.clone(), attach.device.clone()), up_to);
        }
        Some(up_to)
    }

    /// A session that counts as online. On a repeat contacts know already, unless the row says that they were told
    /// otherwise: then the user is settled as one who returns.
    fn come_online(&mut self, attach: &Attach, row: Option<UserRow>, was_online: bool, out: &mut Outbox) {
        let now = self.soft.now();
        if attach.repeat && was_online {
            if !self.soft.sessions.is_online(&attach.user) {
                self.soft.sessions.set_online(&attach.user, true, now);
                // The row of an owner that is gone says nothing for long.
                if let Some(row) = row.filter(|row| row.worker != self.config.name) {
                    let row = UserRow {
                        last_seen: self.later(row.last_seen),
                        worker: Arc::clone(&self.config.name),
                        ..row
                    };
                    out.users.insert(attach.user.clone(), row);
                }
            }
            return;
        }
        if attach.repeat && row.as_ref().is_none_or(|row| !row.online) {
            out.unsettled.push(attach.user.clone());
            return;
        }
        let old = row.unwrap_or_default();
        let profile = merged(old.profile.clone(), attach.profile.clone());
        if !was_online || profile != old.profile || old.worker != self.config.name {
            let row = UserRow {
                profile,
                last_seen: self.later(old.last_seen),
                online: true,
                worker: Arc::clone(&self.config.name),
            };
            out.users.insert(attach.user.clone(), row);
        }
        if !self.soft.sessions.is_online(&attach.user) {
            self.soft.sessions.set_online(&attach.user, true, now);
        }
    }

    fn later(&self, than: Timestamp) -> Timestamp {
        self.seams.bus.now().max(than)
    }
}
