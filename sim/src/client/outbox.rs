//! Requests on their way: each is sent until it is answered, under the same clientMessageId.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

/// So many are sent before the first is answered.
const AT_ONCE: usize = 4;
/// Nothing to wake up for.
const NEVER: Duration = Duration::from_secs(3600);

#[derive(Debug)]
struct Pending {
    op: usize,
    kind: &'static str,
    payload: Value,
    /// The id it was last sent under, and when.
    sent: Option<(String, Instant)>,
    not_before: Instant,
    tries: u32,
}

impl Pending {
    fn is_safe(&self) -> bool {
        self.kind != "new" || self.payload.get("clientMessageId").is_some()
    }
}

/// The outbox of a device.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pending: VecDeque<Pending>,
    said: VecDeque<String>,
    sent: u64,
}

impl Outbox {
    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn put(&mut self, op: usize, kind: &'static str, payload: Value) {
        self.pending.push_back(Pending {
            op,
            kind,
            payload,
            sent: None,
            not_before: Instant::now(),
            tries: 0,
        });
    }

    /// A frame that nobody answers.
    pub(super) fn say(&mut self, frame: String) {
        self.said.push_back(frame);
    }

    pub(super) fn next_said(&mut self) -> Option<String> {
        self.said.pop_front()
    }

    /// The next request to send.
    pub(super) fn next_request(&mut self, now: Instant) -> Option<(usize, String)> {
        let under_way = self.pending.iter().filter(|one| one.sent.is_some()).count();
        if under_way >= AT_ONCE {
            return None;
        }
        let one = self
            .pending
            .iter_mut()
            .find(|one| one.sent.is_none() && one.not_before <= now)?;
        self.sent += 1;
        let id = format!("r{}", self.sent);
        one.sent = Some((id.clone(), now));
        one.tries += 1;
        let frame = json!({
            "type": "request",
            "id": id,
            "payloadType": one.kind,
            "payload": one.payload,
        });
        Some((one.op, frame.to_string()))
    }

    /// When a request is to be sent, or given up.
    pub(super) fn wakes_at(&self) -> Instant {
        let now = Instant::now();
        let waits = self.pending.iter().filter(|one| one.sent.is_none());
        let waits = waits.map(|one| one.not_before.max(now + Duration::from_millis(1)));
        let gives_up = self
            .oldest()
            .map(|sent| (sent + super::PATIENCE).max(now + Duration::from_millis(1)));
        waits.chain(gives_up).min().unwrap_or(now + NEVER)
    }

    /// When the oldest request was sent that is not answered.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.pending
            .iter()
            .filter_map(|one| one.sent.as_ref().map(|(_, at)| *at))
            .min()
    }

    /// What an answer is the answer to.
    pub(super) fn op_of(&self, id: &str) -> Option<usize> {
        let sent = |one: &&Pending| one.sent.as_ref().is_some_and(|(sent, _)| sent == id);
        self.pending.iter().find(sent).map(|one| one.op)
    }

    /// A request is done with.
    pub(super) fn done(&mut self, op: usize) {
        self.pending.retain(|one| one.op != op);
    }

    /// A request is to be sent again after a while.
    pub(super) fn again(&mut self, op: usize, after: Duration) {
        if let Some(one) = self.pending.iter_mut().find(|one| one.op == op) {
            one.sent = None;
            one.not_before = Instant::now() + after;
        }
    }

    /// Whether a request may be sent twice: it names what it is about.
    pub(super) fn is_safe(&self, op: usize) -> bool {
        self.pending.iter().any(|one| one.op == op && one.is_safe())
    }

    /// The connection is another one: what was sent and not answered is sent again, where that is safe.
    pub(super) fn nothing_is_under_way(&mut self) {
        self.said.clear();
        self.pending.retain(|one| one.sent.is_none() || one.is_safe());
        for one in &mut self.pending {
            one.sent = None;
        }
    }

    /// Nothing of it was stored.
    pub(super) fn forget(&mut self) {
        self.pending.clear();
        self.said.clear();
    }
}
