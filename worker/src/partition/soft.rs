//! What a loop remembers of its users' connections, and how far that can be trusted.
//!
//! A loop that begins knows no sessions, and one that was not running knows old ones. Both take nobody for gone before
//! gateways have had time to say otherwise.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use confab_chat::{GatewayId, SessionId, UserId};
use confab_proto::message::{Attach, Signal};
use tokio::time::Instant;

use super::cursors::{Clock, Cursors};
use super::said::Said;
use super::sessions::{Millis, Sessions, millis};
use super::typing::Throttle;
use crate::config::Config;

/// How many signals to users whose sessions may not be known yet are kept.
const EARLY: usize = 4096;

/// What a loop remembers of its users' connections.
pub(super) struct Soft {
    begun: Instant,
    /// When the loop was last seen to run.
    ran: Millis,
    /// Since when nothing that gateways say has passed the loop by.
    listens_since: Millis,
    /// Until when gateways may not have attached all sessions again.
    gathers_until: Millis,
    /// How long they are given.
    reattach: Millis,
    pub(super) sessions: Sessions,
    pub(super) cursors: Cursors,
    pub(super) clock: Clock,
    pub(super) throttle: Throttle,
    /// Devices that connect for the first time, while their cursor is on its way through the log.
    pub(super) pending: HashMap<(GatewayId, SessionId), (Attach, Millis)>,
    /// What users would be told whose sessions may not be known yet.
    early: Vec<Signal>,
    /// Those who have connected meanwhile, and so have asked after all their contacts themselves.
    connected: HashSet<UserId>,
    pub(super) said: Said,
}

impl Default for Soft {
    fn default() -> Self {
        let begun = Instant::now();
        Self {
            begun,
            ran: 0,
            listens_since: 0,
            gathers_until: 0,
            reattach: 0,
            sessions: Sessions::default(),
            cursors: Cursors::default(),
            clock: Clock::default(),
            throttle: Throttle::default(),
            pending: HashMap::new(),
            early: Vec::new(),
            connected: HashSet::new(),
            said: Said::new(begun),
        }
    }
}

impl Soft {
    /// Milliseconds since the loop began.
    pub(super) fn now(&self) -> Millis {
        millis(self.begun.elapsed())
    }

    /// The loop begins to listen: gateways are about to attach their sessions, those from before among them.
    pub(super) fn listen_anew(&mut self, config: &Config) {
        // Where there was no worker before there are no such sessions.
        let is_first = config.alone_since.is_some();
        self.reattach = if is_first { 0 } else { millis(config.reattach) };
        self.ran = self.now();
        self.listens_since = self.ran;
        self.gathers_until = self.ran + self.reattach;
    }

    /// The loop runs. Where it did not for a while (its process was stopped, its store did not answer), what gateways said
    /// meanwhile may be lost, or is still to come: it listens as if anew.
    pub(super) fn turn(&mut self, missed_after: Duration) {
        let now = self.now();
        let missed = now - self.ran;
        self.ran = now;
        if missed > millis(missed_after) {
            tracing::info!(
                missed,
                "the loop was not running, it gives gateways time to speak again"
            );
            self.listens_since = now;
            self.gathers_until = now + self.reattach;
        }
    }

    /// Until when a session that is not known may be one that is not attached again yet, if that is so at present.
    pub(super) fn gathers(&self) -> Option<Millis> {
        (self.now() < self.gathers_until).then_some(self.gathers_until)
    }

    /// Keeps a signal for those of its receivers whose sessions may not be known yet.
    pub(super) fn keep_early(&mut self, signal: Signal) {
        if self.early.len() < EARLY {
            self.early.push(signal);
        }
    }

    /// A user has connected, which is no repeat.
    pub(super) fn has_connected(&mut self, user: &UserId) {
        if self.gathers().is_some() {
            self.connected.insert(user.clone());
        }
    }

    /// The signals that were kept, once all sessions should be known.
    pub(super) fn take_early(&mut self) -> Vec<Signal> {
        if self.gathers().is_some() {
            return Vec::new();
        }
        let connected = std::mem::take(&mut self.connected);
        let mut early = std::mem::take(&mut self.early);
        early.retain_mut(|signal| match signal {
            Signal::Probe { to, .. } | Signal::WentOffline { to, .. } => {
                to.retain(|user| !connected.contains(user));
                !to.is_empty()
            }
            Signal::AreOnline { to, .. } => !connected.contains(to),
            _ => true,
        });
        early
    }

    /// Whether nothing that gateways have said since a time has passed the loop by.
    pub(super) fn has_listened(&self, since: Millis) -> bool {
        since >= self.listens_since
    }

    /// A mailbox has got events.
    pub(super) fn advance(&mut self, user: &UserId, last: u64) {
        let now = self.now();
        if let Some(present) = self.sessions.get_mut(user) {
            (present.last, present.advanced) = (present.last.max(Some(last)), now);
        }
    }
}
