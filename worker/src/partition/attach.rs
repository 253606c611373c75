//! Attaching a session: the one way in, for a connection, a resumption, a takeover and a lost frame alike.

use std::collections::BTreeSet;

use confab_bus::{AppendError, Bus};
use confab_chat::{Timestamp, UserId, mailbox};
use confab_proto::message::{Attach, AttachFrom, Attached, DeliveryBody, Enroll, EntryBody, LogEntry};
use confab_proto::row::{CursorRow, UserRow};
use confab_store::{Key, StatePart, Store};

use super::Owner;
use super::cache::Stored;
use super::presence::{contacts, merged};
use super::resume::{self, Page};
use super::sessions::Session;
use super::signals::Outbox;
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
    last: Option<u64>,
    cursor: Option<CursorRow>,
    online: bool,
}

/// What was read for an attachment.
struct Found {
    last: u64,
    /// `None` for a device that must be enrolled first.
    place: Option<Place>,
    user: Option<UserRow>,
    contacts: BTreeSet<UserId>,
}

/// Where a session goes on.
struct Place {
    after: u64,
    /// The device's cursor as it was, where the session starts from it.
    cursor: Option<CursorRow>,
    page: Page,
    reset: bool,
}

async fn look_up<B: Bus, S: Store>(seams: &Seams<B, S>, ask: &Attach, known: Known) -> Result<Found, Fault> {
    let user = &ask.user;
    let last = match known.last {
        Some(last) => last,
        None => stored_last(seams, user).await?,
    };
    let mut found = Found {
        last,
        place: place(seams, ask, known.cursor, last).await?,
        user: None,
        contacts: BTreeSet::new(),
    };
    if found.place.is_some() && !ask.away {
        if !ask.repeat || !known.online {
            found.user = seams.get(Key::User(user.clone())).await?;
        }
        if !ask.repeat {
            found.contacts = contacts(seams, user).await?;
        }
    }
    Ok(found)
}

/// The last event of a mailbox whose state is not in memory, and so stands in its row.
async fn stored_last<B: Bus, S: Store>(seams: &Seams<B, S>, user: &UserId) -> Result<u64, Fault> {
    let key = Key::State(mailbox::State::actor(user), StatePart::Head);
    let head: Option<mailbox::Head> = seams.get(key).await?;
    Ok(head.map_or(0, |head| head.last))
}

async fn place<B: Bus, S: Store>(
    seams: &Seams<B, S>,
    ask: &Attach,
    moved: Option<CursorRow>,
    last: u64,
) -> Result<Option<Place>, Fault> {
    let (cursor, after, claimed) = match ask.from {
        AttachFrom::After(after) => (None, after, after),
        AttachFrom::Cursor { last_event_id } => {
            let row = match moved {
                Some(row) => Some(row),
                None => {
                    seams
                        .get(Key::Cursor(ask.user.clone(), ask.device.clone()))
                        .await?
                }
            };
            let Some(row) = row.filter(|row| !row.forgotten) else {
                return Ok(None);
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
    Ok(Some(Place {
        after: after.min(last),
        cursor,
        page,
        reset,
    }))
}

impl<B: Bus, S: Store> Owner<B, S> {
    /// Attaches sessions of different users.
    pub(super) async fn attach(&mut self, asks: Vec<Ask>, out: &mut Outbox) -> Result<(), Fault> {
        let known: Vec<Known> = asks.iter().map(|ask| self.known(&ask.attach)).collect();
        let seams = &self.seams;
        let lookups = asks
            .iter()
            .zip(known)
            .map(|(ask, known)| look_up(seams, &ask.attach, known));
        let found = super::concurrently(lookups.collect()).await?;
        for (ask, found) in asks.into_iter().zip(found) {
            match found.place {
                Some(_) => self.attached(ask, found, out),
                None => self.enroll(ask.attach).await,
            }
        }
        Ok(())
    }

    fn known(&mut self, ask: &Attach) -> Known {
        let present = self.soft.sessions.get(&ask.user);
        let online = present.is_some_and(|present| present.online);
        let last = present.map(|present| present.last);
        let cached = self.mailboxes.peek(&ask.user).map(|state| state.head.last);
        Known {
            last: cached.or(last),
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
            place: Some(place),
            user: row,
            contacts,
        } = found
        else {
            return;
        };
        let Ask { attach, answer } = ask;
        let cursor = self.move_cursor(&attach, &place, last);
        let was_online = self.soft.sessions.is_online(&attach.user);
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
        if !attach.away {
            self.come_online(&attach, row, was_online, out);
            if !attach.repeat {
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

    /// The cursor that a session starts with. What a client says it has processed is acknowledged by that; where it is
    /// reset it goes on from the last event.
    fn move_cursor(&mut self, attach: &Attach, place: &Place, last: u64) -> Option<u64> {
        let row = place.cursor?;
        let up_to = if place.reset { last } else { place.after };
        let now = self.seams.bus.now();
        if up_to != row.up_to || now.0.saturating_sub(row.used_at.0) > USED_NOTE {
            self.set_cursor((attach.user.clone(), attach.device.clone()), up_to);
        }
        Some(up_to)
    }

    /// A session that counts as online. On a repeat contacts know already, unless the row says that they were told
    /// otherwise: then the user is settled as one who returns.
    fn come_online(&mut self, attach: &Attach, row: Option<UserRow>, was_online: bool, out: &mut Outbox) {
        if attach.repeat && was_online {
            return;
        }
        let now = self.soft.now();
        if attach.repeat && row.as_ref().is_none_or(|row| !row.online) {
            out.unsettled.push(attach.user.clone());
            return;
        }
        let old = row.unwrap_or_default();
        let profile = merged(old.profile.clone(), attach.profile.clone());
        if !was_online || profile != old.profile {
            let row = UserRow {
                profile,
                last_seen: self.later(old.last_seen),
                online: true,
            };
            self.write_user(&attach.user, &row, out);
        }
        if !was_online {
            self.soft.sessions.set_online(&attach.user, true, now);
        }
    }

    fn later(&self, than: Timestamp) -> Timestamp {
        self.seams.bus.now().max(than)
    }
}
