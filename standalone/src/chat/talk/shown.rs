//! What events and the history show on the screen.

use serde_json::{Value, json};

use super::words::{Do, Line, Tone, clean, remark};
use super::{Request, Talk};

impl Talk {
    /// What an event says here.
    pub(super) fn told_by(&mut self, event: &str, payload: &Value) -> Vec<Do> {
        let who = clean(payload["userId"].as_str().unwrap_or_default());
        let id = &payload["messageId"];
        let here = payload["chatId"] == self.to.as_str();
        let other = payload["userId"] != self.me.as_str();
        match event {
            "new" if here && self.behind => {
                self.held.push(payload.clone());
                Vec::new()
            }
            "new" if here => self.messages([payload].into_iter()),
            "new" if other => self.elsewhere(payload, &who),
            "edit" if here => {
                vec![remark(&format!(
                    "{who} edited #{id}: {}",
                    clean(payload["message"].as_str().unwrap_or(""))
                ))]
            }
            "delete" if here => vec![remark(&format!("{who} deleted #{id}"))],
            "dlvrd" if here && other => vec![remark(&format!("✓✓ {who} has got all up to #{id}"))],
            "read" if here && other => {
                let parts = vec![(Tone::Read, format!("* ✓✓ {who} has read all up to #{id}"))];
                vec![Do::Show(Line { parts })]
            }
            "typing" if here => {
                let (stop, before) = (payload["stop"] == true, self.typing);
                self.typing = !stop;
                if stop || before {
                    Vec::new()
                } else {
                    vec![remark(&format!("{who} is typing…"))]
                }
            }
            "online" | "offline" if payload["userId"] == self.to.as_str() || self.to.starts_with("g:") => {
                vec![remark(&format!("{who} is {event}"))]
            }
            _ => Vec::new(),
        }
    }

    /// Messages of this chat, from the history or as they come: shown, and the last one by another marked as read.
    pub(super) fn messages<'a>(&mut self, messages: impl Iterator<Item = &'a Value>) -> Vec<Do> {
        let mut out = Vec::new();
        let mut unread = None;
        for message in messages {
            let Some(id) = message["messageId"].as_u64().filter(|id| *id > self.shown) else {
                continue;
            };
            // The history names the sender, the event the user.
            let sender = message["sender"]
                .as_str()
                .or_else(|| message["userId"].as_str())
                .unwrap_or_default();
            if sender != self.me && message["status"] != "read" {
                unread = Some(id);
            }
            out.push(self.message(id, sender, message));
        }
        if let Some(id) = unread {
            let payload = json!({"chatId": self.to, "messageId": id});
            out.push(self.request(Request::Mark, "read", &payload));
        }
        out
    }

    /// A message's line.
    fn message(&mut self, id: u64, sender: &str, message: &Value) -> Do {
        self.shown = id;
        self.typing = false;
        let text = if message.get("deletedAt").is_some() {
            (Tone::Faint, "(deleted)".to_owned())
        } else {
            (
                Tone::Plain,
                clean(message["message"].as_str().unwrap_or_default()),
            )
        };
        let mut parts = vec![
            (Tone::Faint, format!("#{id} ")),
            (Tone::Name, format!("{}: ", clean(sender))),
            text,
        ];
        if let Some(files) = message["attachments"].as_array() {
            parts.push((Tone::Faint, format!(" [{} attached]", files.len())));
        }
        if sender == self.me {
            parts.push(match message["status"].as_str() {
                Some("read") => (Tone::Read, " ✓✓".to_owned()),
                Some("unread") => (Tone::Plain, " ✓✓".to_owned()),
                _ => (Tone::Plain, " ✓".to_owned()),
            });
        }
        Do::Show(Line { parts })
    }

    /// A message of another chat: told, and marked as delivered.
    fn elsewhere(&mut self, payload: &Value, who: &str) -> Vec<Do> {
        let chat = payload["chatId"].as_str().unwrap_or_default();
        let text = clean(payload["message"].as_str().unwrap_or_default());
        let line = remark(&format!("in {}, {who}: {text}", clean(chat)));
        let mark = json!({"chatId": chat, "messageId": payload["messageId"]});
        vec![line, self.request(Request::Mark, "dlvrd", &mark)]
    }
}
