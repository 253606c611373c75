//! Requests that have no final answer yet.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::protocol;

/// What a request is about, for whoever reads the answer.
pub(super) enum What {
    New {
        n: u32,
        looping: bool,
    },
    /// An edit or a deletion.
    Change {
        n: u32,
    },
    /// On a message of a chat, as read or as delivered only.
    Mark {
        chat: u32,
        message_id: u32,
        read: bool,
    },
    /// The latest page, when so many messages were known.
    History {
        chat: u32,
        known: u32,
        asked: Instant,
    },
    Chats,
    Ask(oneshot::Sender<Result<String, String>>),
}

/// A request.
pub(super) struct Request {
    pub(super) what: What,
    pub(super) planned: Instant,
    kind: &'static str,
    payload: String,
    /// When it goes out again, if nothing has come.
    again: Instant,
}

/// No answer for so long is none: the service answers in 5 s at the latest.
const UNANSWERED: Duration = Duration::from_secs(8);

/// In the order in which they were made, which is the order in which they go out again.
#[derive(Default)]
pub(super) struct Pending {
    requests: BTreeMap<u32, Request>,
    last: u32,
}

impl Pending {
    /// A new request: its frame.
    pub(super) fn ask(
        &mut self,
        what: What,
        kind: &'static str,
        payload: String,
        planned: Instant,
    ) -> String {
        self.last += 1;
        let frame = protocol::request(self.last, kind, &payload);
        let request = Request {
            what,
            planned,
            kind,
            payload,
            again: Instant::now() + UNANSWERED,
        };
        self.requests.insert(self.last, request);
        frame
    }

    /// Takes the request that was answered.
    pub(super) fn answered(&mut self, id: u32) -> Option<Request> {
        self.requests.remove(&id)
    }

    /// Puts one back whose outcome is unknown, to go out again after a while.
    pub(super) fn put_back(&mut self, id: u32, mut request: Request, after: Duration) {
        request.again = Instant::now() + after;
        self.requests.insert(id, request);
    }

    /// The frames of all: the connection is a new one.
    pub(super) fn all_again(&mut self, now: Instant) -> Vec<String> {
        self.again(|_| true, now)
    }

    /// The frames of those whose time is over.
    pub(super) fn overdue(&mut self, now: Instant) -> Vec<String> {
        self.again(|request| request.again <= now, now)
    }

    fn again(&mut self, which: impl Fn(&Request) -> bool, now: Instant) -> Vec<String> {
        let due = self.requests.iter_mut().filter(|(_, request)| which(request));
        due.map(|(id, request)| {
            request.again = now + UNANSWERED;
            protocol::request(*id, request.kind, &request.payload)
        })
        .collect()
    }
}
