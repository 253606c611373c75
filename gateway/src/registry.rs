//! The sessions of this gateway, by user, and the way of a worker's message to them.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use confab_chat::{DeviceId, Event, Partition, SessionId, UserId};
use confab_proto::client::CloseCode;
use confab_proto::message::{Beat, DeliveryBody, MailboxEvent, ToGateway};
use dashmap::DashMap;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::mpsc::{self, error::TrySendError};

use crate::config::{QUEUE_BYTES, REATTACH_PAUSE, REATTACHES};

/// Bytes of a frame without a text, about.
const FRAME_BYTES: usize = 256;

/// What waits for a session's task.
#[derive(Clone, Debug)]
pub(crate) enum Mail {
    /// From a worker; one message for all the user's sessions here.
    Delivery(Arc<DeliveryBody>),
    /// The mailbox has a new owner: attach again.
    Reattach,
}

impl Mail {
    /// About how many bytes it takes as frames.
    fn weight(&self) -> usize {
        match self {
            Self::Delivery(body) => match &**body {
                DeliveryBody::Live(events) => events.iter().map(weight).sum(),
                DeliveryBody::Attached(attached) => attached.events.iter().map(weight).sum(),
                DeliveryBody::Contacts { online, .. } | DeliveryBody::Online(online) => {
                    online.len() * FRAME_BYTES
                }
                _ => FRAME_BYTES,
            },
            Self::Reattach => 0,
        }
    }
}

fn weight(event: &MailboxEvent) -> usize {
    let (text, attachments) = match &*event.event {
        Event::New {
            text, attachments, ..
        }
        | Event::Edit {
            text, attachments, ..
        } => (text.len(), attachments.len()),
        _ => (0, 0),
    };
    let quoted = event.quoted.as_ref().and_then(|quoted| quoted.text.as_ref());
    // Attachments stand in a frame twice.
    FRAME_BYTES + text + quoted.map_or(0, String::len) + attachments * 2 * FRAME_BYTES
}

/// Why the service ends a session.
#[derive(Clone, Debug)]
pub(crate) struct End {
    /// The close code.
    pub(crate) code: u16,
    /// The close reason.
    pub(crate) reason: Cow<'static, str>,
}

impl End {
    /// For one of the reasons of the protocol.
    pub(crate) fn of(code: CloseCode) -> Self {
        Self {
            code: code.code(),
            reason: Cow::Borrowed(code.reason()),
        }
    }

    /// The gateway goes away; the client should be back after so many milliseconds.
    pub(crate) fn draining(code: CloseCode, back_after: u64) -> Self {
        Self {
            code: code.code(),
            reason: Cow::Owned(back_after.to_string()),
        }
    }

    /// Whether the client will be back soon, since it is the gateway that goes.
    pub(crate) fn is_draining(&self) -> bool {
        self.code == CloseCode::Restart.code() || self.code == CloseCode::Away.code()
    }
}

/// What others may know and do of a running session.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) session: SessionId,
    pub(crate) user: UserId,
    pub(crate) device: DeviceId,
    pub(crate) mailbox: Partition,
    mail: mpsc::Sender<Mail>,
    /// Bytes that wait in it, about.
    waiting: AtomicUsize,
    /// The last durable event written to the socket.
    pub(crate) forwarded: AtomicU64,
    /// Attached at least once: it may be repeated in a heartbeat.
    pub(crate) attached: AtomicBool,
    /// The mailbox may know of it: it must hear when the session ends.
    pub(crate) known: AtomicBool,
    /// Counts as offline.
    pub(crate) away: AtomicBool,
    end: Mutex<Option<End>>,
    ended: Notify,
}

impl Handle {
    /// Ends the session. The first reason stands.
    pub(crate) fn end(&self, end: End) {
        self.end.lock().get_or_insert(end);
        self.ended.notify_waiters();
    }

    /// Waits for the end.
    pub(crate) async fn ended(&self) -> End {
        loop {
            // Before the look: an end between the two is heard.
            let ended = self.ended.notified();
            let end = self.end.lock().clone();
            if let Some(end) = end {
                return end;
            }
            ended.await;
        }
    }

    fn send(&self, mail: Mail) {
        let weight = mail.weight();
        let waiting = self.waiting.fetch_add(weight, Ordering::AcqRel);
        // What alone is larger than all that may wait is let through: nothing else would ever carry it.
        let full = waiting > 0 && waiting + weight > QUEUE_BYTES;
        if full || matches!(self.mail.try_send(mail), Err(TrySendError::Full(_))) {
            self.end(End::of(CloseCode::TooSlow));
        }
    }

    /// Has the session attach again. One whose queue is full is passed over: the next heartbeat makes up for it.
    fn reattach(&self) {
        let _full_or_gone = self.mail.try_send(Mail::Reattach);
    }

    /// A message was taken out.
    pub(crate) fn taken(&self, mail: &Mail) {
        self.waiting.fetch_sub(mail.weight(), Ordering::AcqRel);
    }
}

/// Shards of the map of users. Fixed: in which order it is walked depends on no machine.
const SHARDS: usize = 64;

/// The sessions of this gateway.
#[derive(Debug)]
pub(crate) struct Registry {
    users: DashMap<UserId, Vec<Arc<Handle>>>,
    sessions: AtomicU64,
    /// Partitions that have begun, and whose sessions do not know yet.
    begun: Mutex<BTreeSet<Partition>>,
    begins: Notify,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            users: DashMap::with_shard_amount(SHARDS),
            sessions: AtomicU64::default(),
            begun: Mutex::default(),
            begins: Notify::new(),
        }
    }
}

impl Registry {
    /// Adds a session and gives its handle and its mail. `None` where the user has as many as are allowed; those of the
    /// same device do not count, since they are about to end.
    pub(crate) fn add(
        &self,
        (user, device): (UserId, DeviceId),
        mailbox: Partition,
        queue: usize,
        at_most: usize,
    ) -> Option<(Arc<Handle>, mpsc::Receiver<Mail>)> {
        let mut sessions = self.users.entry(user.clone()).or_default();
        let others = sessions.iter().filter(|other| other.device != device);
        if others.count() >= at_most {
            return None;
        }
        let (mail, inbox) = mpsc::channel(queue);
        let handle = Arc::new(Handle {
            session: SessionId(self.sessions.fetch_add(1, Ordering::Relaxed) + 1),
            user,
            device,
            mailbox,
            mail,
            waiting: AtomicUsize::new(0),
            forwarded: AtomicU64::new(0),
            attached: AtomicBool::new(false),
            known: AtomicBool::new(false),
            away: AtomicBool::new(false),
            end: Mutex::new(None),
            ended: Notify::new(),
        });
        sessions.push(Arc::clone(&handle));
        Some((handle, inbox))
    }

    /// Forgets a session.
    pub(crate) fn remove(&self, handle: &Handle) {
        if let Some(mut sessions) = self.users.get_mut(&handle.user) {
            sessions.retain(|known| known.session != handle.session);
        }
        self.users
            .remove_if(&handle.user, |_, sessions| sessions.is_empty());
    }

    /// Hands a worker's message to the sessions it is for. A session whose queue is full is too slow, and ends.
    pub(crate) fn route(&self, message: ToGateway) {
        let Some(sessions) = self.users.get(&message.user) else {
            return;
        };
        let one = match &message.body {
            DeliveryBody::Reply { session, .. }
            | DeliveryBody::Contacts { session, .. }
            | DeliveryBody::Replaced { session } => Some(*session),
            DeliveryBody::Attached(attached) => Some(attached.session),
            DeliveryBody::Live(_)
            | DeliveryBody::Online(_)
            | DeliveryBody::Offline { .. }
            | DeliveryBody::Typing { .. } => None,
        };
        let ends = matches!(message.body, DeliveryBody::Replaced { .. });
        let body = Arc::new(message.body);
        for handle in sessions.iter() {
            if one.is_some_and(|one| one != handle.session) {
                continue;
            }
            if ends {
                handle.end(End::of(CloseCode::Replaced));
            } else {
                handle.send(Mail::Delivery(Arc::clone(&body)));
            }
        }
    }

    /// A mailbox partition has a new owner: its sessions are to attach again.
    pub(crate) fn reattach(&self, partition: Partition) {
        self.begun.lock().insert(partition);
        self.begins.notify_one();
    }

    /// Waits until partitions have begun, and tells their sessions, all in one walk and a few at a time: that many may
    /// begin at once must not be a flood for the bus and for those who answer.
    pub(crate) async fn reattach_begun(&self) {
        self.begins.notified().await;
        let begun = std::mem::take(&mut *self.begun.lock());
        let mut sessions = Vec::new();
        for known in &self.users {
            let concerned = known.iter().filter(|handle| begun.contains(&handle.mailbox));
            sessions.extend(concerned.cloned());
        }
        for some in sessions.chunks(REATTACHES) {
            for handle in some {
                handle.reattach();
            }
            tokio::time::sleep(REATTACH_PAUSE).await;
        }
    }

    /// Ends all sessions of a user.
    pub(crate) fn end_user(&self, user: &UserId, code: CloseCode) {
        if let Some(sessions) = self.users.get(user) {
            for handle in sessions.iter() {
                handle.end(End::of(code));
            }
        }
    }

    /// All sessions, at this moment.
    pub(crate) fn all(&self) -> Vec<Arc<Handle>> {
        self.users
            .iter()
            .flat_map(|sessions| sessions.iter().cloned().collect::<Vec<_>>())
            .collect()
    }

    /// The attached sessions of each mailbox partition, as a heartbeat names them.
    pub(crate) fn beats(&self, partitions: u16) -> Vec<Vec<Beat>> {
        let mut beats = vec![Vec::new(); usize::from(partitions)];
        for sessions in &self.users {
            for handle in sessions.iter() {
                let Some(beats) = beats.get_mut(usize::from(handle.mailbox.0)) else {
                    continue;
                };
                if handle.attached.load(Ordering::Acquire) {
                    beats.push(Beat {
                        user: handle.user.clone(),
                        device: handle.device.clone(),
                        session: handle.session,
                        forwarded: handle.forwarded.load(Ordering::Acquire),
                        away: handle.away.load(Ordering::Acquire),
                    });
                }
            }
        }
        beats
    }
}

#[cfg(test)]
mod tests {
    use confab_chat::{ActorKey, DeviceId, Partition, UserId};
    use tokio::sync::mpsc;

    use super::{Mail, Registry};

    const PARTITIONS: u16 = 64;

    fn session(
        registry: &Registry,
        name: &str,
        queue: usize,
    ) -> (std::sync::Arc<super::Handle>, mpsc::Receiver<Mail>) {
        let user = UserId::parse(name).unwrap();
        let mailbox = ActorKey::Mailbox(user.clone()).partition(PARTITIONS);
        let device = DeviceId::parse("default").unwrap();
        registry.add((user, device), mailbox, queue, 1).unwrap()
    }

    #[tokio::test]
    async fn ten_thousand_sessions_hear_once_that_their_partition_has_begun() {
        let registry = Registry::default();
        let mut sessions: Vec<_> = (0..10_000)
            .map(|n| session(&registry, &format!("u{n}"), 16))
            .collect();
        for _ in 0..3 {
            (0..PARTITIONS)
                .map(Partition)
                .for_each(|began| registry.reattach(began));
        }
        registry.reattach_begun().await;
        for (_, mail) in &mut sessions {
            assert!(matches!(mail.try_recv(), Ok(Mail::Reattach)));
            assert!(mail.try_recv().is_err());
        }
    }

    #[tokio::test]
    async fn partitions_that_begin_do_not_end_a_session_whose_queue_is_full() {
        let registry = Registry::default();
        let (full, _mail) = session(&registry, "full", 1);
        full.reattach();
        registry.reattach(full.mailbox);
        registry.reattach_begun().await;
        assert!(full.end.lock().is_none());
        // And what has begun is begun: nobody is told twice.
        let again = futures_util::FutureExt::now_or_never(registry.reattach_begun());
        assert!(again.is_none());
    }
}
