//! Signals: what gateways and other loops say that is not logged, since it is soft.
//!
//! What a run of signals leads to is gathered and leaves together: rows first, then messages to gateways, then signals to
//! other partitions.

use std::collections::BTreeMap;
use std::time::Duration;

use confab_bus::Bus;
use confab_chat::{DeviceId, GatewayId, Partition, SessionId, UserId};
use confab_proto::message::{Attach, AttachFrom, Beat, DeliveryBody, Signal, ToGateway};
use confab_proto::row::{CursorRow, UserRow};
use confab_store::{Key, Store};
use tokio::time::Instant;

use super::attach::{Ask, stored_head};
use super::sessions::{Millis, millis};
pub(super) use super::soft::Soft;
use super::{Begins, Owner};
use crate::config::Placement;
use crate::seams::Fault;

/// How many attachments are looked up at a time.
const ASKS: usize = 64;
/// After this long an event that a session should have had was lost on its way.
const LOST: Millis = 1000;
/// How long a first connection waits for its cursor; the gateway asks again long before.
const PENDING: Millis = 10_000;

/// How long it takes to begin what a dead worker has left, after it was missed; and to say it again.
const TAKEOVER: Duration = Duration::from_secs(5);

/// What a run of signals leads to.
#[derive(Default)]
pub(super) struct Outbox {
    /// Rows of users, each once.
    pub(super) users: BTreeMap<UserId, UserRow>,
    messages: Vec<(GatewayId, ToGateway)>,
    pub(super) signals: Vec<(Partition, Signal)>,
    /// Users whose sessions came or went.
    pub(super) unsettled: Vec<UserId>,
}

impl Outbox {
    pub(super) fn deliver(&mut self, gateway: GatewayId, user: UserId, body: DeliveryBody) {
        self.messages.push((gateway, ToGateway { user, body }));
    }
}

impl<B: Bus, S: Store> Owner<B, S> {
    /// Handles signals, in order.
    pub(super) async fn signals(&mut self, signals: impl Iterator<Item = Signal>) -> Result<(), Fault> {
        let mut out = Outbox::default();
        let mut asks: Vec<Ask> = Vec::new();
        for signal in signals {
            match signal {
                Signal::Attach(attach) => self.ask(Ask::answered(attach), &mut asks, &mut out).await?,
                Signal::Heartbeat { gateway, sessions } => {
                    self.attach(std::mem::take(&mut asks), &mut out).await?;
                    for beat in sessions {
                        if let Some(ask) = self.beat(&gateway, beat, &mut out) {
                            self.ask(ask, &mut asks, &mut out).await?;
                        }
                    }
                }
                other => {
                    self.attach(std::mem::take(&mut asks), &mut out).await?;
                    self.signal(other, &mut out).await?;
                }
            }
        }
        self.attach(asks, &mut out).await?;
        self.finish(out).await
    }

    /// Puts an attachment to the others that are looked up together; each user once, so that they stay in order.
    async fn ask(&mut self, ask: Ask, asks: &mut Vec<Ask>, out: &mut Outbox) -> Result<(), Fault> {
        if asks.len() >= ASKS || asks.iter().any(|other| other.attach.user == ask.attach.user) {
            self.attach(std::mem::take(asks), out).await?;
        }
        asks.push(ask);
        Ok(())
    }

    async fn signal(&mut self, signal: Signal, out: &mut Outbox) -> Result<(), Fault> {
        match signal {
            // Both are handled where several are taken together.
            Signal::Attach(_) | Signal::Heartbeat { .. } => {}
            Signal::Detach {
                user,
                gateway,
                session,
                draining,
            } => self.detach(user, &gateway, session, draining, out),
            Signal::Ack { user, device, up_to } => self.ack(user, device, up_to).await?,
            Signal::Away {
                user,
                gateway,
                session,
                away,
            } => {
                if self.soft.sessions.session(&user, &gateway, session).is_some() {
                    self.set_away(user, &gateway, session, away, out);
                }
            }
            Signal::Typing { chat, user, stop } => self.typing(chat, user, stop, out).await?,
            Signal::TypingTo { chat, user, stop, to } => self.typing_to(&chat, &user, stop, to, out),
            Signal::Probe {
                from,
                announce,
                reply_to,
                to,
            } => self.probed(from, announce, reply_to, to, out),
            Signal::AreOnline { to, users } => self.are_online(to, users, out),
            Signal::WentOffline { from, last_seen, to } => self.went_offline(from, last_seen, to, out),
            Signal::HandOver { online } => self.handed_over(online),
        }
        Ok(())
    }

    /// Settles presence, and sends everything out.
    async fn finish(&mut self, mut out: Outbox) -> Result<(), Fault> {
        let unsettled = std::mem::take(&mut out.unsettled);
        self.settle(unsettled, &mut out).await?;
        self.meters
            .sessions
            .set(crate::metrics::number(self.soft.sessions.len()));
        self.write_users(out.users).await?;
        for (gateway, message) in out.messages {
            self.seams
                .bus
                .deliver(self.partition, self.applied, &gateway, message)
                .await;
        }
        let now = Instant::now();
        for (partition, signal) in out.signals {
            if self.config.placement == Placement::Shared {
                self.soft.said.note(now, partition, &signal);
            }
            self.seams.bus.signal(partition, signal).await;
        }
        Ok(())
    }

    /// What follows softly from a batch of the log.
    pub(super) async fn after_batch(
        &mut self,
        greets: Vec<(UserId, Vec<UserId>)>,
        waiting: Vec<(GatewayId, SessionId)>,
    ) -> Result<(), Fault> {
        let mut out = Outbox::default();
        for (user, greeted) in greets {
            self.probe(&user, true, None, greeted, &mut out);
        }
        let mut asks = Vec::new();
        for session in waiting {
            if let Some((attach, _)) = self.soft.pending.remove(&session) {
                self.ask(Ask::answered(attach), &mut asks, &mut out).await?;
            }
        }
        self.attach(asks, &mut out).await?;
        self.finish(out).await
    }

    /// Looks through the sessions: silent ones are gone, held-back ones may be due, old rows are written again.
    pub(super) async fn sweep(&mut self, begins: &Begins) -> Result<(), Fault> {
        let now = self.soft.now();
        let mut out = Outbox::default();
        // Nobody is silent before there was time to speak.
        let since = now.checked_sub(millis(self.config.heartbeat_silence));
        let since = since.filter(|since| self.soft.has_listened(*since));
        let swept = self.soft.sessions.sweep(now, since.unwrap_or(0));
        for (user, session) in swept.silent {
            self.leave_cursor(&user, session.device, session.cursor);
        }
        out.unsettled = swept.unsettled;
        self.soft.throttle.sweep(now);
        self.soft.pending.retain(|_, (_, since)| now < *since + PENDING);
        for signal in self.soft.take_early() {
            self.signal(signal, &mut out).await?;
        }
        if since.is_some() {
            self.refresh(&mut out).await?;
        }
        self.finish(out).await?;
        self.say_again(begins).await;
        Ok(())
    }

    /// Says to partitions that had no owner what they have missed.
    async fn say_again(&mut self, begins: &Begins) {
        let now = Instant::now();
        if let Some(before) = now.checked_sub(self.config.gone_after + TAKEOVER) {
            self.soft.said.forget(before);
        }
        for (partition, signal) in self.soft.said.unheard(begins, now) {
            self.seams.bus.signal(partition, signal).await;
        }
    }

    /// To every gateway where a user has a session.
    pub(super) fn to_sessions(&self, user: &UserId, body: impl Fn() -> DeliveryBody, out: &mut Outbox) {
        for gateway in self.soft.sessions.gateways(user) {
            out.deliver(gateway, user.clone(), body());
        }
    }

    fn detach(&mut self, user: UserId, gateway: &GatewayId, id: SessionId, draining: bool, out: &mut Outbox) {
        self.soft.pending.remove(&(gateway.clone(), id));
        let back_by = self.soft.now().saturating_add(millis(self.config.drain_hold));
        let drained = draining.then_some(back_by);
        let hold = drained.max(self.soft.gathers());
        match self.soft.sessions.remove(&user, gateway, id) {
            Some(session) => {
                if !session.away {
                    self.soft.sessions.hold(&user, hold);
                }
                self.leave_cursor(&user, session.device, session.cursor);
            }
            // It ended before it was attached again: contacts may have been told of it by the owner before.
            None => self.soft.sessions.expect(user.clone(), hold),
        }
        out.unsettled.push(user);
    }

    /// A session that is known counts as offline, or again as online.
    fn set_away(&mut self, user: UserId, gateway: &GatewayId, id: SessionId, away: bool, out: &mut Outbox) {
        if let Some(session) = self.soft.sessions.session(&user, gateway, id) {
            session.away = away;
        }
        if let Some(until) = self.soft.gathers().filter(|_| away) {
            self.soft.sessions.hold(&user, Some(until));
        }
        out.unsettled.push(user);
    }

    /// Notes when a device was last connected.
    fn leave_cursor(&mut self, user: &UserId, device: DeviceId, cursor: Option<u64>) {
        if let Some(up_to) = cursor {
            self.set_cursor((user.clone(), device), up_to);
        }
    }

    pub(super) fn set_cursor(&mut self, device: (UserId, DeviceId), up_to: u64) {
        let row = CursorRow {
            up_to,
            used_at: self.seams.bus.now(),
            forgotten: false,
        };
        self.soft.cursors.set(device, row);
    }

    /// A device has acknowledged everything up to an event.
    async fn ack(&mut self, user: UserId, device: DeviceId, up_to: u64) -> Result<(), Fault> {
        if !self.soft.sessions.has(&user) {
            return Ok(());
        }
        let up_to = up_to.min(self.last_event(&user).await?);
        let Some(present) = self.soft.sessions.get(&user) else {
            return Ok(());
        };
        let known = present.sessions.iter().find(|session| session.device == device);
        let device = (user, device);
        let cursor = match known.and_then(|session| session.cursor) {
            Some(cursor) => Some(cursor),
            None => self.stored_cursor(&device).await?.map(|row| row.up_to),
        };
        // A device without a cursor is none that was ever attached.
        let Some(cursor) = cursor else { return Ok(()) };
        let moved = up_to.max(cursor);
        if let Some(present) = self.soft.sessions.get_mut(&device.0) {
            let sessions = present
                .sessions
                .iter_mut()
                .filter(|session| session.device == device.1);
            sessions.for_each(|session| session.cursor = Some(moved));
        }
        if moved > cursor {
            self.set_cursor(device, moved);
        }
        Ok(())
    }

    /// The last event of a mailbox, or an earlier one.
    async fn last_event(&mut self, user: &UserId) -> Result<u64, Fault> {
        if let Some(state) = self.mailboxes.peek(user) {
            return Ok(state.head.last);
        }
        match self.soft.sessions.get(user).and_then(|present| present.last) {
            Some(last) => Ok(last),
            None => Ok(stored_head(&self.seams, user).await?.last),
        }
    }

    async fn stored_cursor(&self, device: &(UserId, DeviceId)) -> Result<Option<CursorRow>, Fault> {
        let row = match self.soft.cursors.get(device) {
            Some(row) => Some(row),
            None => {
                self.seams
                    .get(Key::Cursor(device.0.clone(), device.1.clone()))
                    .await?
            }
        };
        Ok(row.filter(|row| !row.forgotten))
    }

    /// A session of a heartbeat: one that is forgotten, or has missed something, is attached again.
    fn beat(&mut self, gateway: &GatewayId, beat: Beat, out: &mut Outbox) -> Option<Ask> {
        let now = self.soft.now();
        let behind = self.soft.sessions.get(&beat.user).is_some_and(|present| {
            let is_behind = present.last.is_none_or(|last| beat.forwarded < last);
            is_behind && now.saturating_sub(present.advanced) >= LOST
        });
        if let Some(session) = self.soft.sessions.session(&beat.user, gateway, beat.session) {
            session.heard = now;
            if session.away != beat.away {
                self.set_away(beat.user.clone(), gateway, beat.session, beat.away, out);
            }
            if !behind {
                return None;
            }
        }
        Some(Ask::if_behind(Attach {
            user: beat.user,
            device: beat.device,
            gateway: gateway.clone(),
            session: beat.session,
            from: AttachFrom::After(beat.forwarded),
            repeat: true,
            away: beat.away,
            profile: None,
        }))
    }
}
