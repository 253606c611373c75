//! Who is connected: the sessions that gateways have attached, and whether their users count as online.
//!
//! All of it is soft: a gateway says it again with every heartbeat. It is kept small, since there is one of these for
//! every connected user; a mailbox's state is not part of it.

use std::collections::HashMap;
use std::time::Duration;

use confab_chat::{DeviceId, GatewayId, SessionId, UserId};
use smallvec::SmallVec;

/// Milliseconds since the loop began.
pub(super) type Millis = u64;

pub(super) fn millis(time: Duration) -> Millis {
    Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX)
}

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

/// What contacts were last told of a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Told {
    /// What the user's row says: it was told by another owner.
    #[default]
    AsTheRow,
    /// Online, by this loop or as it has found in the row.
    Online,
    /// Offline.
    Offline,
}

/// A user with a session, or whose `offline` is held back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Present {
    /// The mailbox's last event that this loop has come to, if it has come to any.
    pub(super) last: Option<u64>,
    /// When that event came.
    pub(super) advanced: Millis,
    pub(super) told: Told,
    /// Not offline before this: the gateway drains, and the client will be back; or other sessions of the user may not be
    /// known yet.
    pub(super) hold: Option<Millis>,
    /// When the row that says `online` was written.
    pub(super) row_at: Millis,
    pub(super) sessions: Vec<Session>,
}

impl Present {
    fn is_live(&self) -> bool {
        self.sessions.iter().any(|session| !session.away)
    }

    /// Contacts may believe that the user is online, and nothing is left that says so.
    fn is_leaving(&self, now: Millis) -> bool {
        self.told != Told::Offline && !self.is_live() && self.hold.is_none_or(|until| until <= now)
    }

    /// Contacts may believe that the user is offline, but a session says otherwise.
    fn is_returning(&self) -> bool {
        self.told != Told::Online && self.is_live()
    }

    /// Nothing is left of the user.
    fn is_over(&self) -> bool {
        self.sessions.is_empty() && self.told == Told::Offline
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
        self.told(user) == Some(Told::Online)
    }

    /// What contacts were last told; `None` of a user of whom nothing is known.
    pub(super) fn told(&self, user: &UserId) -> Option<Told> {
        self.0.get(user).map(|present| present.told)
    }

    /// The gateways where a user has sessions, each once.
    pub(super) fn gateways(&self, user: &UserId) -> SmallVec<[GatewayId; 2]> {
        let sessions = self
            .0
            .get(user)
            .map(|present| &present.sessions[..])
            .unwrap_or_default();
        let mut gateways = SmallVec::new();
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
        present.last = present.last.max(Some(last));
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

    /// Another owner may have given these users events since their last ones were noted.
    pub(super) fn forget_last_events(&mut self) {
        for present in self.0.values_mut() {
            present.last = None;
        }
    }

    /// Another owner has told contacts that a user is online. One of whom no session comes by the given time is
    /// leaving.
    pub(super) fn expect(&mut self, user: UserId, until: Option<Millis>) {
        self.0.entry(user).or_insert_with(|| Present {
            hold: until,
            ..Present::default()
        });
    }

    /// Holds a user's `offline` back, if there is anybody to hold.
    pub(super) fn hold(&mut self, user: &UserId, until: Option<Millis>) {
        if let Some(present) = self.0.get_mut(user) {
            present.hold = until;
        }
    }

    /// Contacts may have been told otherwise by another owner: the row says what.
    pub(super) fn doubt(&mut self, user: &UserId) {
        if let Some(present) = self.0.get_mut(user) {
            present.told = Told::AsTheRow;
        }
    }

    /// Sets what contacts believe, and forgets a user of whom nothing is left.
    pub(super) fn set_online(&mut self, user: &UserId, online: bool, now: Millis) {
        if let Some(present) = self.0.get_mut(user) {
            present.told = if online { Told::Online } else { Told::Offline };
            present.row_at = now;
            if !online {
                present.hold = None;
            }
        }
        self.forget_absent(user);
    }

    /// Forgets a user of whom nothing is left.
    pub(super) fn forget_absent(&mut self, user: &UserId) {
        if self.0.get(user).is_some_and(Present::is_over) {
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
            if present.is_leaving(now) || present.is_over() {
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
            .filter(|(_, present)| present.told == Told::Online && present.row_at < written_before);
        stale.map(|(user, _)| user.clone()).collect()
    }

    /// Users whom contacts may believe to be online.
    pub(super) fn believed_online(&self) -> Vec<UserId> {
        let online = self.0.iter().filter(|(_, present)| present.told != Told::Offline);
        online.map(|(user, _)| user.clone()).collect()
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
