//! What comes from the service, and what a device makes of it.

use std::time::Duration;

use rand::Rng;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{Device, Left};
use crate::history::{Outcome, Received};

impl Device {
    /// Takes a frame; tells when the connection is over.
    pub(super) fn on_frame(&mut self, frame: Option<Result<Message, Error>>) -> Option<Left> {
        let lost = Some(Left::Lost(Duration::ZERO));
        match frame {
            Some(Ok(Message::Text(text))) => {
                self.note(format_args!("< {text}"));
                match serde_json::from_str(&text) {
                    Ok(frame) => self.on_json(&frame),
                    Err(error) => self.violation(format_args!("got what is no JSON: {error}: {text}")),
                }
                None
            }
            Some(Ok(Message::Close(close))) => {
                let (code, reason) = close.map_or((0, String::new()), |close| {
                    (u16::from(close.code), close.reason.to_string())
                });
                self.note(format_args!("is closed with {code} {reason:?}"));
                let away = match code {
                    1001 | 1012 => Duration::from_millis(reason.parse().unwrap_or(0)),
                    // Another connection of this device is there: after this one, or before and not gone yet.
                    4010 => Duration::from_millis(500),
                    _ => Duration::ZERO,
                };
                Some(Left::Lost(away))
            }
            Some(Ok(_)) => None,
            Some(Err(_)) | None => {
                self.note(format_args!("has lost the connection"));
                lost
            }
        }
    }

    fn violation(&self, what: std::fmt::Arguments<'_>) {
        self.shared.history.violation(format!("{}: {what}", self.who));
    }

    fn on_json(&mut self, frame: &Value) {
        match frame["type"].as_str() {
            Some("response") => self.on_response(frame),
            Some("event") => match (frame["id"].as_u64(), frame["eventType"].as_str()) {
                (Some(id), Some(kind)) => self.on_event(id, kind, &frame["payload"]),
                (None, Some("online" | "offline" | "typing")) => self.on_soft(frame),
                _ => self.violation(format_args!("got an event that is none: {frame}")),
            },
            None if frame["event"] == "pong" => {}
            _ => self.violation(format_args!("got a frame that is none: {frame}")),
        }
    }

    /// What is soft concerns those whom the user could know.
    fn on_soft(&mut self, frame: &Value) {
        let who = frame["payload"]["userId"].as_str().unwrap_or_default();
        if !self.shared.users.iter().any(|user| user == who) {
            self.violation(format_args!("hears of nobody: {frame}"));
        }
    }

    fn on_event(&mut self, id: u64, kind: &str, payload: &Value) {
        let step = self.note(format_args!("takes event {id}"));
        let connection = self.connection;
        let received = Received {
            step,
            id,
            kind: kind.to_owned(),
            payload: payload.clone(),
        };
        self.shared
            .history
            .with(|records| records.connections[connection].events.push(received));
        self.learn_event(kind, payload);
        self.acks.begin_before(id);
        if kind == "chats" && self.cursor.is_some_and(|cursor| id != cursor + 1) {
            self.acks.all_up_to(id.saturating_sub(1));
        }
        self.cursor = Some(self.cursor.unwrap_or(0).max(id));
        if self.rng.random_range(1..=100) <= self.someone.habits.acks {
            self.acks.ack(id);
            self.outbox.say(json!({"type": "ack", "id": id}).to_string());
        }
    }

    fn learn_event(&mut self, kind: &str, payload: &Value) {
        if kind == "chats" {
            for chat in payload.as_array().into_iter().flatten() {
                self.learn(chat["id"].as_str(), chat["lastMessageId"].as_u64(), false);
            }
            return;
        }
        let own = kind == "new" && payload["userId"].as_str() == Some(&self.user);
        self.learn(payload["chatId"].as_str(), payload["messageId"].as_u64(), own);
    }

    fn learn(&mut self, chat: Option<&str>, message: Option<u64>, own: bool) {
        if let Some(chat) = chat {
            self.known.heard(chat, message.unwrap_or(0), own);
        }
    }

    fn on_response(&mut self, frame: &Value) {
        let id = frame["id"].as_str().unwrap_or_default();
        let Some(op) = self.outbox.op_of(id) else {
            // Of a request that it has forgotten, or has given up: or of one that never was.
            let number = id.strip_prefix('r').and_then(|number| number.parse::<u64>().ok());
            if number.is_none() && id != "bad" && !id.is_empty() {
                self.violation(format_args!("got an answer that it never asked for: {frame}"));
            }
            return;
        };
        let step = self.note(format_args!("has its answer to {op}"));
        match frame["error"]["code"].as_str() {
            Some("timeout" | "unavailable" | "rate_limited") => self.on_unknown(op),
            Some(code) => self.finish(
                op,
                Outcome::Refused {
                    step,
                    code: code.to_owned(),
                },
            ),
            None => {
                let payload = frame["payload"].clone();
                self.learn_response(op, &payload);
                self.finish(op, Outcome::Done { step, payload });
            }
        }
    }

    /// The outcome is unknown: what is safe to repeat is sent again.
    fn on_unknown(&mut self, op: usize) {
        if self.outbox.is_safe(op) {
            let after = Duration::from_millis(self.rng.random_range(20..600));
            self.outbox.again(op, after);
        } else {
            self.outbox.done(op);
        }
    }

    fn finish(&mut self, op: usize, outcome: Outcome) {
        self.outbox.done(op);
        self.shared
            .history
            .with(|records| records.ops[op].outcome = outcome);
    }

    fn learn_response(&mut self, op: usize, payload: &Value) {
        let (kind, chat) = self.shared.history.with(|records| {
            let op = &records.ops[op];
            (op.kind, op.payload["chatId"].as_str().map(str::to_owned))
        });
        match kind {
            "new" => self.learn(chat.as_deref(), payload["messageId"].as_u64(), true),
            "createChat" => self.learn(payload["chatId"].as_str(), None, false),
            "chats" => self.learn_event("chats", payload),
            _ => {}
        }
    }
}
