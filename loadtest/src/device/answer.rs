//! What a device makes of the frames that come.

use std::time::{Duration, Instant};

use super::Device;
use super::pending::{Request, What};
use crate::ledger::Kind;
use crate::protocol::{self, Answer, ErrorBody, EventPayload, Frame};
use crate::stats::Timed;

/// After an answer that says nothing of the outcome.
const AGAIN: Duration = Duration::from_millis(500);

impl Device {
    pub(super) fn told(&mut self, text: &str) {
        let frame: Frame<'_> = match serde_json::from_str(text) {
            Ok(frame) => frame,
            Err(error) => return self.nonsense(&format!("{error}: {text}")),
        };
        if frame.event == Some("pong") {
            self.check_resumed();
        } else if frame.kind == "response" {
            self.answered(&frame);
        } else if frame.kind == "event" {
            self.event(&frame);
        } else {
            self.nonsense(text);
        }
    }

    fn nonsense(&mut self, text: &str) {
        let start: String = text.chars().take(200).collect();
        let mut world = self.shared.borrow_mut();
        let user = world.plan.user_id(self.user);
        world
            .ledger
            .violations
            .add(Kind::Stranger, user, format!("no frame of the protocol: {start}"));
    }

    fn event(&mut self, frame: &Frame<'_>) {
        let (Some(id), Some(kind)) = (frame.event_id(), frame.event_type) else {
            return;
        };
        // The list of chats and what comes without a payload only count.
        let payload = frame.payload.filter(|_| kind != "chats");
        let payload =
            payload.and_then(|payload| serde_json::from_str::<EventPayload<'_>>(payload.get()).ok());
        let mut world = self.shared.borrow_mut();
        if let Some(n) = world.ledger.told(self.number, id, kind, payload.as_ref()) {
            world.stats.counts.delivered += 1;
            let at = world
                .ledger
                .sent(n)
                .and_then(|sent| Some(world.stats.at(sent.at?)));
            // Of what was sent before it was there, or while it slept, the time says nothing of the service.
            if let Some(at) = at.filter(|at| *at >= self.since && self.pause.is_none()) {
                world.stats.took(Timed::Event, at);
            }
        }
        if world.acks {
            self.out.push(protocol::ack(id));
        }
        drop(world);
        if self.resuming.is_some() && self.was_live {
            self.check_resumed();
        }
    }

    fn answered(&mut self, frame: &Frame<'_>) {
        let Some(id) = frame.request_id() else { return };
        // An answer to a request that went out twice may come twice.
        let Some(request) = self.pending.answered(id) else {
            return;
        };
        match &frame.error {
            Some(error) if error.retryable => {
                let mut world = self.shared.borrow_mut();
                world.stats.counts.repeated += 1;
                let refusal = world.stats.refusals.entry(error.code.to_string());
                refusal.or_insert_with(|| (0, error.message.to_string())).0 += 1;
                drop(world);
                self.pending.put_back(id, request, AGAIN);
            }
            Some(error) => self.refused(request, error),
            None => self.done(request, frame.payload.map_or("", |payload| payload.get())),
        }
    }

    fn refused(&mut self, request: Request, error: &ErrorBody<'_>) {
        let mut world = self.shared.borrow_mut();
        world.open_requests -= 1;
        world.stats.refused(&error.code, &error.message);
        drop(world);
        if let What::Ask(answer) = request.what {
            let _ = answer.send(Err(format!("{}: {}", error.code, error.message)));
        }
    }

    fn done(&mut self, request: Request, payload: &str) {
        let message_id = serde_json::from_str::<Answer>(payload).map(|answer| answer.message_id);
        let mut world = self.shared.borrow_mut();
        world.open_requests -= 1;
        let mut timed = Timed::Change;
        match request.what {
            What::New { n, looping } => {
                timed = Timed::Response;
                world.stats.counts.answered += 1;
                match message_id {
                    Ok(message_id) => world.ledger.answered(n, message_id),
                    Err(_) => {
                        let user = world.plan.user_id(self.user);
                        let detail = format!("message {n} was answered with {payload}");
                        world.ledger.violations.add(Kind::Stranger, user, detail);
                    }
                }
                let next = world
                    .looping
                    .then(|| world.ledger.sent(n).map(|sent| sent.chat))
                    .flatten();
                drop(world);
                self.keep_own(n);
                if let Some(chat) = next.filter(|_| looping) {
                    self.send_on(chat);
                }
                world = self.shared.borrow_mut();
            }
            What::Edit { n } => world.ledger.changed(n, false),
            What::Delete { n } => world.ledger.changed(n, true),
            What::Read { chat } => world.ledger.read(chat, self.user, message_id.unwrap_or(0)),
            What::Delivered => {}
            What::History => timed = Timed::History,
            What::Chats => timed = Timed::Chats,
            What::Ask(answer) => {
                let _ = answer.send(Ok(payload.to_owned()));
                return;
            }
        }
        if timed != Timed::Response {
            world.stats.counts.others += 1;
        }
        if request.planned >= self.since.min(Instant::now()) && self.pause.is_none() {
            world.stats.took(timed, request.planned);
        }
    }
}
