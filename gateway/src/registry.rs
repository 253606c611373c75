//! The sessions of this gateway, by user, and the way of a worker's message to them.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use confab_chat::{DeviceId, Partition, SessionId, UserId};
use confab_proto::client::CloseCode;
use confab_proto::message::{Beat, DeliveryBody, ToGateway};
use dashmap::DashMap;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::config::{REATTACH_PAUSE, REATTACHES};
use crate::inbox::{Full, Inbox, Mail};

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
    pub(crate) inbox: Inbox,
    /// The last durable event written to the socket.
    pub(crate) forwarded: AtomicU64,
    /// Attached at least once: it may be repeated in a heartbeat.
    pub(crate) attached: AtomicBool,
    /// The mailbox may know of it: it must hear when the session ends.
    pub(crate) known: AtomicBool,
    /// Counts as offline.
    pub(crate) away: AtomicBool,
    end: Mutex<Option<Box<End>>>,
    ended: Notify,
}

impl Handle {
    /// Ends the session. The first reason stands.
    pub(crate) fn end(&self, end: End) {
        self.end.lock().get_or_insert_with(|| Box::new(end));
        self.ended.notify_waiters();
    }

    /// Waits for the end.
    pub(crate) async fn ended(&self) -> End {
        loop {
            // Before the look: an end between the two is heard.
            let ended = self.ended.notified();
            let end = self.end.lock().clone();
            if let Some(end) = end {
                return *end;
            }
            ended.await;
        }
    }

    /// Gives the session a message. One that does not keep up ends.
    fn send(&self, mail: Mail) {
        if let Err(Full) = self.inbox.put(mail) {
            self.end(End::of(CloseCode::TooSlow));
        }
    }

    /// Has the session attach again. One whose queue is full is passed over: the next heartbeat makes up for it.
    fn reattach(&self) {
        let _full = self.inbox.put(Mail::Reattach);
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
    /// Adds a session and gives its handle. `None` where the user has as many as are allowed; those of the
    /// same device do not count, since they are about to end.
    pub(crate) fn add(
        &self,
        (user, device): (UserId, DeviceId),
        mailbox: Partition,
        queue: usize,
        at_most: usize,
    ) -> Option<Arc<Handle>> {
        let mut sessions = self.users.entry(user.clone()).or_default();
        let others = sessions.iter().filter(|other| other.device != device);
        if others.count() >= at_most {
            return None;
        }
        let handle = Arc::new(Handle {
            session: SessionId(self.sessions.fetch_add(1, Ordering::Relaxed) + 1),
            user,
            device,
            mailbox,
            inbox: Inbox::new(queue),
            forwarded: AtomicU64::new(0),
            attached: AtomicBool::new(false),
            known: AtomicBool::new(false),
            away: AtomicBool::new(false),
            end: Mutex::new(None),
            ended: Notify::new(),
        });
        // Most users have one: no room for more of them.
        sessions.reserve_exact(1);
        sessions.push(Arc::clone(&handle));
        Some(handle)
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
    use std::sync::Arc;

    use confab_chat::{ActorKey, DeviceId, Partition, UserId};

    use super::{Handle, Mail, Registry};

    const PARTITIONS: u16 = 64;

    fn session(registry: &Registry, name: &str, queue: usize) -> Arc<Handle> {
        let user = UserId::parse(name).unwrap();
        let mailbox = ActorKey::Mailbox(user.clone()).partition(PARTITIONS);
        let device = DeviceId::parse("default").unwrap();
        registry.add((user, device), mailbox, queue, 1).unwrap()
    }

    #[tokio::test]
    async fn ten_thousand_sessions_hear_once_that_their_partition_has_begun() {
        let registry = Registry::default();
        let sessions: Vec<_> = (0..10_000)
            .map(|n| session(&registry, &format!("u{n}"), 16))
            .collect();
        for _ in 0..3 {
            (0..PARTITIONS)
                .map(Partition)
                .for_each(|began| registry.reattach(began));
        }
        registry.reattach_begun().await;
        for handle in &sessions {
            assert!(matches!(handle.inbox.take(), Some(Mail::Reattach)));
            assert!(handle.inbox.take().is_none());
        }
    }

    #[tokio::test]
    async fn partitions_that_begin_do_not_end_a_session_whose_queue_is_full() {
        let registry = Registry::default();
        let full = session(&registry, "full", 1);
        full.reattach();
        registry.reattach(full.mailbox);
        registry.reattach_begun().await;
        assert!(full.end.lock().is_none());
        // And what has begun is begun: nobody is told twice.
        let again = futures_util::FutureExt::now_or_never(registry.reattach_begun());
        assert!(again.is_none());
    }
}
