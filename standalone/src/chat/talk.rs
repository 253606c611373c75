//! What frames and typed lines mean: the state of the conversation on the screen. No I/O.
//!
//! Messages are shown in the order of their ids, each once. What is typed is kept until the service has answered it,
//! and sent again under the same clientMessageId after a lost connection.

mod shown;
mod words;

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

pub(crate) use words::{Do, Tone};
use words::{clean, remark, told};

/// Messages shown on starting.
const HISTORY: u64 = 20;
/// Messages fetched after a lost connection.
const MISSED: u64 = 300;
/// Typed messages that may wait for the service.
const UNSENT: usize = 1000;

const HELP: &str =
    "type a message, or: /typing  /edit N text  /delete N  /quit  (// begins a text with a slash)";

/// What an answer is awaited for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Request {
    History,
    New { client_message_id: String },
    Change(&'static str),
    Mark,
}

/// A message that the service has not answered yet.
#[derive(Clone, Debug)]
struct Unsent {
    client_message_id: String,
    text: String,
    /// Whether it is on its way over the present connection.
    under_way: bool,
}

/// The conversation.
#[derive(Debug)]
pub(crate) struct Talk {
    me: String,
    to: String,
    /// Sets this run's clientMessageIds and request ids apart.
    run: String,
    count: u64,
    requests: BTreeMap<String, Request>,
    unsent: VecDeque<Unsent>,
    /// The highest message shown.
    shown: u64,
    /// The highest message of one's own that the service has taken.
    taken: u64,
    /// Whether the history is wanted: on starting, and after a lost connection.
    behind: bool,
    /// `new` events that came before the history did.
    held: Vec<Value>,
    last_event: Option<u64>,
    greeted: bool,
    typing: bool,
    input_ended: bool,
}

impl Talk {
    pub(crate) fn new(me: &str, to: &str) -> Self {
        Self {
            me: me.to_owned(),
            to: to.to_owned(),
            run: format!("{:016x}", rand::random::<u64>()),
            count: 0,
            requests: BTreeMap::new(),
            unsent: VecDeque::new(),
            shown: 0,
            taken: 0,
            behind: true,
            held: Vec::new(),
            last_event: None,
            greeted: false,
            typing: false,
            input_ended: false,
        }
    }

    /// The last event processed.
    pub(crate) fn last_event(&self) -> Option<u64> {
        self.last_event
    }

    /// Whether there is nothing more to read from the user.
    pub(crate) fn input_ended(&self) -> bool {
        self.input_ended
    }

    /// A connection stands: fetch what is to be shown, send what is unsent.
    pub(crate) fn connected(&mut self) -> Vec<Do> {
        let mut out = Vec::new();
        if !self.greeted {
            self.greeted = true;
            out.push(remark(&format!(
                "{} → {}: {HELP}",
                clean(&self.me),
                clean(&self.to)
            )));
        }
        self.requests.clear();
        self.held.clear();
        self.behind = true;
        for unsent in &mut self.unsent {
            unsent.under_way = false;
        }
        out.extend(self.again());
        out
    }

    /// Asks for the history if that is wanted, and sends what is not under way.
    pub(crate) fn again(&mut self) -> Vec<Do> {
        let history = (self.behind && !self.awaits_history()).then(|| {
            let payload = if self.shown == 0 {
                json!({"chatId": self.to, "count": HISTORY})
            } else {
                json!({"chatId": self.to, "startId": self.shown + 1, "count": MISSED})
            };
            self.request(Request::History, "messages", &payload)
        });
        let mut waiting = Vec::new();
        for unsent in self.unsent.iter_mut().filter(|unsent| !unsent.under_way) {
            unsent.under_way = true;
            waiting.push((unsent.client_message_id.clone(), unsent.text.clone()));
        }
        let send = |(id, text): (String, String)| {
            let payload = json!({"chatId": self.to, "message": text, "clientMessageId": id});
            self.request(
                Request::New {
                    client_message_id: id,
                },
                "new",
                &payload,
            )
        };
        history.into_iter().chain(waiting.into_iter().map(send)).collect()
    }

    fn awaits_history(&self) -> bool {
        self.requests.values().any(|request| *request == Request::History)
    }

    /// The user typed a line, or will type none any more.
    pub(crate) fn typed(&mut self, line: Option<&str>) -> Vec<Do> {
        let Some(line) = line else {
            self.input_ended = true;
            return self.perhaps_quit(Vec::new());
        };
        let line = line.trim_end();
        match line.strip_prefix('/') {
            None if line.is_empty() => Vec::new(),
            None => self.say(line),
            Some(text) if text.starts_with('/') => self.say(text),
            Some(command) => self.command(command),
        }
    }

    fn say(&mut self, text: &str) -> Vec<Do> {
        if self.unsent.len() >= UNSENT {
            return vec![remark("too much is unsent; this was not taken")];
        }
        self.count += 1;
        let client_message_id = format!("{}-{}", self.run, self.count);
        self.unsent.push_back(Unsent {
            client_message_id,
            text: text.to_owned(),
            under_way: false,
        });
        let mut out = vec![Do::Erase];
        out.extend(self.again());
        out
    }

    fn command(&mut self, command: &str) -> Vec<Do> {
        let (name, rest) = command.split_once(' ').unwrap_or((command, ""));
        let (number, text) = rest.split_once(' ').unwrap_or((rest, ""));
        match (name, number.trim_start_matches('#').parse::<u64>()) {
            ("quit", _) => vec![Do::Quit],
            ("typing", _) => {
                let event = json!({"type": "event", "eventType": "typing", "payload": {"chatId": self.to}});
                vec![Do::Send(event.to_string())]
            }
            ("edit", Ok(id)) if !text.is_empty() => {
                let payload = json!({"chatId": self.to, "messageId": id, "message": text});
                vec![
                    Do::Erase,
                    self.request(Request::Change("edited"), "edit", &payload),
                ]
            }
            ("delete", Ok(id)) => {
                let payload = json!({"chatId": self.to, "messageId": id});
                vec![
                    Do::Erase,
                    self.request(Request::Change("deleted"), "delete", &payload),
                ]
            }
            _ => vec![remark(HELP)],
        }
    }

    fn request(&mut self, request: Request, payload_type: &str, payload: &Value) -> Do {
        self.count += 1;
        let id = format!("{}", self.count);
        self.requests.insert(id.clone(), request);
        let frame = json!({"type": "request", "id": id, "payloadType": payload_type, "payload": payload});
        Do::Send(frame.to_string())
    }

    /// A frame came.
    pub(crate) fn heard(&mut self, frame: &str) -> Vec<Do> {
        let Ok(frame) = serde_json::from_str::<Value>(frame) else {
            return Vec::new();
        };
        let out = match frame["type"].as_str() {
            Some("response") => self.response(&frame),
            Some("event") => self.event(&frame),
            _ => Vec::new(),
        };
        self.perhaps_quit(out)
    }

    /// After the end of the input: quits once everything typed is taken and shown.
    fn perhaps_quit(&self, mut out: Vec<Do>) -> Vec<Do> {
        let settled = self.greeted && !self.behind && self.requests.is_empty() && self.unsent.is_empty();
        if self.input_ended && settled && self.shown >= self.taken {
            out.push(Do::Quit);
        }
        out
    }

    fn response(&mut self, frame: &Value) -> Vec<Do> {
        let Some(request) = frame["id"].as_str().and_then(|id| self.requests.remove(id)) else {
            return Vec::new();
        };
        let error = frame.get("error");
        match request {
            Request::History if error.is_some_and(is_passing) => Vec::new(),
            Request::History => {
                self.behind = false;
                let history = frame["payload"].as_array().into_iter().flatten();
                let held = std::mem::take(&mut self.held);
                let mut out = self.messages(history.chain(&held));
                out.extend(error.map(|error| told("history", error)));
                out
            }
            Request::New { client_message_id } => self.answered(&client_message_id, frame),
            Request::Change(what) => error.map(|error| told(what, error)).into_iter().collect(),
            Request::Mark => Vec::new(),
        }
    }

    fn answered(&mut self, client_message_id: &str, frame: &Value) -> Vec<Do> {
        let error = frame.get("error");
        if error.is_some_and(is_passing) {
            for unsent in self
                .unsent
                .iter_mut()
                .filter(|unsent| unsent.client_message_id == client_message_id)
            {
                unsent.under_way = false;
            }
            return Vec::new();
        }
        self.unsent
            .retain(|unsent| unsent.client_message_id != client_message_id);
        self.taken = self
            .taken
            .max(frame["payload"]["messageId"].as_u64().unwrap_or(0));
        error.map(|error| told("sent", error)).into_iter().collect()
    }

    fn event(&mut self, frame: &Value) -> Vec<Do> {
        let payload = &frame["payload"];
        let mut out = self.told_by(frame["eventType"].as_str().unwrap_or_default(), payload);
        if let Some(id) = frame["id"].as_u64() {
            if self.last_event.is_some_and(|last| id <= last) {
                out.clear();
            }
            // `chats` may set the count back: the service then holds less than it once did.
            let reset = frame["eventType"] == "chats";
            self.last_event = if reset {
                Some(id)
            } else {
                self.last_event.max(Some(id))
            };
            out.push(Do::Send(json!({"type": "ack", "id": id}).to_string()));
        }
        out
    }
}

fn is_passing(error: &Value) -> bool {
    error["retryable"] == true
}

#[cfg(test)]
mod tests;
