//! The way of durable events to one socket: attach, catch up, follow, and notice a hole. Pure: messages and times in,
//! steps out.
//!
//! The invariant: the ids of the events given out are consecutive, from the device's cursor on.

use std::collections::VecDeque;
use std::sync::Arc;

use confab_chat::Event;
use confab_proto::message::{AttachFrom, Attached, MailboxEvent};
use confab_service::mistake::{Mistake, is_made};
use tokio::time::Instant;

use crate::config::ATTACH_TIMEOUT;

/// Events that wait for the list of chats of one before them. More are not taken from what happens live.
const READY: usize = 1024;

/// Where a session stands with its mailbox.
#[derive(Debug)]
enum State {
    /// An attach is under way, and is asked again at the given time.
    Attaching(AttachFrom, Instant),
    /// Everything is there, and what happens next comes by itself.
    Live,
}

/// What a connection waits for before its first durable event: which of its contacts are online.
#[derive(Debug, Default)]
struct Contacts {
    /// Answers wanted, once it is known how many.
    wanted: Option<u32>,
    got: u32,
    until: Option<Instant>,
}

/// The durable events of one session.
#[derive(Debug)]
pub(super) struct Feed {
    state: State,
    /// Once a connection, and so not in its memory afterwards.
    contacts: Option<Box<Contacts>>,
    /// The last event taken, given out or not.
    taken: u64,
    /// The device's cursor at the start, once it is known.
    begun: bool,
    /// The last event that stands for others which are gone, and the last one given out before it.
    reset: Option<Box<(u64, u64)>>,
    ready: VecDeque<MailboxEvent>,
}

/// What follows from a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// Nothing, or events are ready.
    Nothing,
    /// Attach, from here.
    Attach(AttachFrom),
}

impl Feed {
    /// A new connection: it attaches at once.
    pub(super) fn new(last_event_id: Option<u64>, now: Instant) -> Self {
        let from = AttachFrom::Cursor { last_event_id };
        Self {
            state: State::Attaching(from, now + ATTACH_TIMEOUT),
            contacts: Some(Box::default()),
            taken: 0,
            begun: false,
            reset: None,
            ready: VecDeque::new(),
        }
    }

    /// Whether the first answer has come, and the cursor is known.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Whether all that was missed has been taken.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.state, State::Live) && self.contacts.is_none()
    }

    /// Whether an answer resets what is past that already: it came twice, or late from one of two owners, and what it found
    /// expired has come by the other. One that says that the session is ahead counts as long as an answer is waited for.
    pub(super) fn is_stale(&self, attached: &Attached) -> bool {
        let Some(reset) = attached.reset.filter(|_| self.begun) else {
            return false;
        };
        match self.state {
            State::Attaching(..) if reset == attached.after => false,
            _ => attached.after < self.taken || reset <= self.taken,
        }
    }

    /// The answer to an attach, unless it [is stale](Self::is_stale).
    pub(super) fn attached(&mut self, attached: &Attached, now: Instant) -> Then {
        if !self.begun {
            self.begun = true;
            self.taken = attached.after;
            if let Some(contacts) = &mut self.contacts {
                contacts.wanted = Some(attached.probes);
                contacts.until = Some(now + ATTACH_TIMEOUT);
            }
            self.settle_contacts();
        }
        if let Some(id) = attached.reset {
            // What lies between is gone for good: the list of chats as it now is stands for it.
            // A session that was ahead goes back.
            self.reset = Some(Box::new((id, self.given().min(id.saturating_sub(1)))));
            self.taken = id;
            self.ready.clear();
            self.ready.push_back(MailboxEvent {
                id,
                at: confab_chat::Timestamp(confab_service::clock::now_millis()),
                event: Arc::new(Event::Chats),
                quoted: None,
            });
            self.state = State::Live;
            return Then::Nothing;
        }
        let before = self.taken;
        let whole = attached.after <= self.taken && self.take(&attached.events);
        if whole && !attached.more {
            self.state = State::Live;
            return Then::Nothing;
        }
        if self.taken == before {
            // An answer that does not help: another one will not either, for now.
            self.state = State::Attaching(AttachFrom::After(before), now + ATTACH_TIMEOUT);
            return Then::Nothing;
        }
        self.attach_again(now)
    }

    /// Events as they happen. Before the session is live they are dropped: the attach brings them.
    pub(super) fn live(&mut self, events: &[MailboxEvent], now: Instant) -> Then {
        if matches!(self.state, State::Attaching(..)) {
            return Then::Nothing;
        }
        if self.ready.len() >= READY {
            // Asked for again once there is room; a heartbeat would find it missing too.
            self.state = State::Attaching(AttachFrom::After(self.taken), now + ATTACH_TIMEOUT);
            return Then::Nothing;
        }
        if self.take(events) {
            return Then::Nothing;
        }
        self.attach_again(now)
    }

    /// The mailbox has a new owner. An attach under way is repeated until it is answered: it needs no other beside it.
    pub(super) fn renew(&mut self, now: Instant) -> Then {
        match self.state {
            State::Attaching(..) => Then::Nothing,
            State::Live => self.attach_again(now),
        }
    }

    /// Attaches again where the session stands.
    pub(super) fn attach_again(&mut self, now: Instant) -> Then {
        let from = match self.state {
            State::Attaching(from @ AttachFrom::Cursor { .. }, _) if !self.begun => from,
            _ => AttachFrom::After(self.taken),
        };
        self.state = State::Attaching(from, now + ATTACH_TIMEOUT);
        Then::Attach(from)
    }

    /// One partition has said which contacts are online.
    pub(super) fn contacts_heard(&mut self) {
        if let Some(contacts) = &mut self.contacts {
            contacts.got += 1;
        }
        self.settle_contacts();
    }

    /// When [`Feed::wake`] has something to do.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        let attach = match self.state {
            State::Attaching(_, again) => Some(again),
            State::Live => None,
        };
        let contacts = self.contacts.as_ref().and_then(|contacts| contacts.until);
        attach.into_iter().chain(contacts).min()
    }

    /// Time has passed: an attach without an answer is sent again, contacts that do not answer are waited for no more.
    pub(super) fn wake(&mut self, now: Instant) -> Then {
        let waited = |contacts: &Contacts| contacts.until.is_some_and(|until| until <= now);
        if self.contacts.as_deref().is_some_and(waited) {
            self.contacts = None;
        }
        match self.state {
            State::Attaching(_, again) if again <= now => self.attach_again(now),
            _ => Then::Nothing,
        }
    }

    /// The next event to write, in order.
    pub(super) fn next(&mut self) -> Option<MailboxEvent> {
        if self.contacts.is_some() {
            return None;
        }
        self.ready.pop_front()
    }

    /// The last event taken, given out or not.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// An event that could not be written: it and all after it are asked for again, though not at once; where it stands for
    /// others that are gone, from where those stood.
    pub(super) fn rewind(&mut self, unwritten: u64, now: Instant) {
        let last_written = self.before(unwritten);
        self.ready = VecDeque::new();
        self.taken = last_written;
        self.state = State::Attaching(AttachFrom::After(last_written), now + ATTACH_TIMEOUT);
    }

    /// The last event given out.
    fn given(&self) -> u64 {
        let waiting = self.ready.front();
        waiting.map_or(self.taken, |first| self.before(first.id))
    }

    /// The event that was given out before another one.
    fn before(&self, id: u64) -> u64 {
        match self.reset.as_deref() {
            Some((reset, given)) if *reset == id => *given,
            _ => id.saturating_sub(1),
        }
    }

    /// Gives memory back when nothing waits.
    pub(super) fn rest(&mut self) {
        if self.ready.is_empty() && self.ready.capacity() > 0 {
            self.ready = VecDeque::new();
        }
    }

    /// Takes what follows the last one taken. False at a hole.
    fn take(&mut self, events: &[MailboxEvent]) -> bool {
        for event in events {
            let follows = event.id == self.taken + 1;
            let hole = event.id > self.taken + 1;
            if hole && !is_made(Mistake::HolePassed) {
                return false;
            }
            if follows || hole {
                self.taken = event.id;
                self.ready.push_back(event.clone());
            }
        }
        true
    }

    fn settle_contacts(&mut self) {
        let settled = |contacts: &Contacts| contacts.wanted.is_some_and(|wanted| contacts.got >= wanted);
        if self.contacts.as_deref().is_some_and(settled) {
            self.contacts = None;
        }
    }
}
