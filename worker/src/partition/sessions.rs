//! Who is connected: the sessions that gateways have attached, and whether their users count as online.
//!
//! All of it is soft: a gateway says it again with every heartbeat. It is kept small, since there is one of these for
//! every connected user; a mailbox's state is not part of it.

use std::collections::HashMap;

use confab_chat::{DeviceId, GatewayId, SessionId, UserId};

/// Milliseconds since the loop began.
pub(super) type Millis = u64;

/// A live connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) gateway: GatewayId,
    pub(super) id: SessionId,
    pub(super) device: DeviceId,
    /// Counts as offline.
    pub(super) away: bool,
    /// The device's cursor, where it is known.
    pub(super) cursor: Option<u64>,
    /// When its gateway last spoke of it.
    pub(super) heard: Millis,
}

/// A user with a session, or whose `offline` is held back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Present {
    /// The mailbox's last event.
    pub(super) last: u64,
    /// When that event came.
    pub(super) advanced: Millis,
    /// Contacts believe that the user is online.
    pub(super) online: bool,
    /// Not offline before this: the gateway drains, and the client will be back.
    pub(super) hold: Option<Millis>,
    /// When the row that says `online` was written.
    pub(super) row_at: Millis,
    pub(super) sessions: Vec<Session>,
}

impl Present {
    fn is_live(&self) -> bool {
        self.sessions.iter().any(|session| !session.away)
    }

    /// Contacts believe that the user is online, and nothing is left that says so.
    fn is_leaving(&self, now: Millis) -> bool {
        self.online && !self.is_live() && self.hold.is_none_or(|until| until <= now)
    }

    /// Contacts believe that the user is offline, but a session says otherwise.
    fn is_returning(&self) -> bool {
        !self.online && self.is_live()
    }
}

/// The users with sessions.
#[derive(Default)]
pub(super) struct Sessions(HashMap<UserId, Present>);

impl Sessions {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether a user has a session.
    pub(super) fn has(&self, user: &UserId) -> bool {
        self.0.contains_key(user)
    }

    pub(super) fn get(&self, user: &UserId) -> Option<&Present> {
        self.0.get(user)
    }

    pub(super) fn get_mut(&mut self, user: &UserId) -> Option<&mut Present> {
        self.0.get_mut(user)
    }

    /// Whether a user counts as online.
    pub(super) fn is_online(&self, user: &UserId) -> bool {
        self.0.get(user).is_some_and(|present| present.online)
    }

    /// The gateways where a user has sessions, each once.
    pub(super) fn gateways(&self, user: &UserId) -> Vec<GatewayId> {
        let sessions = self
            .0
            .get(user)
            .map(|present| &present.sessions[..])
            .unwrap_or_default();
        let mut gateways: Vec<GatewayId> = Vec::with_capacity(sessions.len().min(2));
        for session in sessions {
            if !gateways.contains(&session.gateway) {
                gateways.push(session.gateway.clone());
            }
        }
        gateways
    }

    /// Adds a session, or renews it. With `alone` other sessions of the same device end: they are returned.
    pub(super) fn register(
        &mut self,
        user: &UserId,
        session: Session,
        last: u64,
        alone: bool,
    ) -> Vec<Session> {
        let present = match self.0.get_mut(user) {
            Some(present) => present,
            None => self.0.entry(user.clone()).or_default(),
        };
        present.last = present.last.max(last);
        if !session.away {
            present.hold = None;
        }
        let is_same = |other: &Session| other.id == session.id && other.gateway == session.gateway;
        let mut ended = Vec::new();
        if alone {
            let is_ended = |other: &mut Session| other.device == session.device && !is_same(other);
            ended.extend(present.sessions.extract_if(.., is_ended));
        }
        match present.sessions.iter_mut().find(|other| is_same(other)) {
            Some(known) => {
                let cursor = session.cursor.max(known.cursor);
                *known = Session { cursor, ..session };
            }
            None => {
                present.sessions.reserve_exact(1);
                present.sessions.push(session);
            }
        }
        ended
    }

    /// Takes a session out.
    pub(super) fn remove(&mut self, user: &UserId, gateway: &GatewayId, id: SessionId) -> Option<Session> {
        let sessions = &mut self.0.get_mut(user)?.sessions;
        let place = sessions
            .iter()
            .position(|known| known.id == id && known.gateway == *gateway)?;
        Some(sessions.swap_remove(place))
    }

    /// A session that is known.
    pub(super) fn session(
        &mut self,
        user: &UserId,
        gateway: &GatewayId,
        id: SessionId,
    ) -> Option<&mut Session> {
        let sessions = &mut self.0.get_mut(user)?.sessions;
        sessions
            .iter_mut()
            .find(|known| known.id == id && known.gateway == *gateway)
    }

    /// Sets what contacts believe, and forgets a user of whom nothing is left.
    pub(super) fn set_online(&mut self, user: &UserId, online: bool, now: Millis) {
        if let Some(present) = self.0.get_mut(user) {
            present.online = online;
            present.row_at = now;
            if !online {
                present.hold = None;
            }
        }
        self.forget_absent(user);
    }

    /// Forgets a user of whom nothing is left.
    pub(super) fn forget_absent(&mut self, user: &UserId) {
        if self
            .0
            .get(user)
            .is_some_and(|present| present.sessions.is_empty() && !present.online)
        {
            self.0.remove(user);
        }
    }

    pub(super) fn is_leaving(&self, user: &UserId, now: Millis) -> bool {
        self.0.get(user).is_some_and(|present| present.is_leaving(now))
    }

    pub(super) fn is_returning(&self, user: &UserId) -> bool {
        self.0.get(user).is_some_and(Present::is_returning)
    }

    /// Drops the sessions not heard of since `silent_since`; returns them, and all users that have something to settle.
    pub(super) fn sweep(&mut self, now: Millis, silent_since: Millis) -> Swept {
        let mut swept = Swept::default();
        for (user, present) in &mut self.0 {
            let silent = present
                .sessions
                .extract_if(.., |session| session.heard < silent_since);
            swept.silent.extend(silent.map(|session| (user.clone(), session)));
            if present.is_leaving(now) || (present.sessions.is_empty() && !present.online) {
                swept.unsettled.push(user.clone());
            }
        }
        swept
    }

    /// Users whose row must be written again, so that it does not look like that of a dead worker.
    pub(super) fn stale(&self, written_before: Millis) -> Vec<UserId> {
        let stale = self
            .0
            .iter()
            .filter(|(_, present)| present.online && present.row_at < written_before);
        stale.map(|(user, _)| user.clone()).collect()
    }
}

/// What a sweep found.
#[derive(Default)]
pub(super) struct Swept {
    pub(super) silent: Vec<(UserId, Session)>,
    pub(super) unsettled: Vec<UserId>,
}

#[cfg(test)]
mod tests;
