//! What comes to the mind of whoever holds the device.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Device, Phase};
use crate::faults::Fault;

/// More open requests than this, and it waits.
const OPEN: usize = 12;
/// So many clientMessageIds a device uses, so that some are used again.
const OWN_IDS: u64 = 400;
/// Whoever has no event of its own last word for so long never gets it.
const MISSED: Duration = Duration::from_secs(5);
/// A frame that no gateway takes, in bytes, and a burst that none does, in requests.
const TOO_LARGE: usize = 65 * 1024;
const TOO_MANY: usize = 320;
/// Frames that are no requests, or none that is allowed.
const ODD: [&str; 6] = [
    "",
    "{}",
    r#"{"type":"request","id":"bad","payloadType":"nonsense","payload":{}}"#,
    r#"{"type":"request","id":"bad","payloadType":"new","payload":{"chatId":"no one","message":""}}"#,
    r#"{"type":"request","id":"bad","payloadType":"messages","payload":{"chatId":"u1","startId":1,"endId":2}}"#,
    r#"{"type":"event","eventType":"nonsense","payload":{}}"#,
];

impl Device {
    /// Thinks of something to do.
    pub(super) fn moves(&mut self) {
        if self.phase() == Phase::Settle {
            return self.say_last_word();
        }
        if self.outbox.len() < OPEN {
            self.next_move();
        }
    }

    /// Each move is drawn from a seed of its own: one that is left out changes no other.
    fn next_move(&mut self) {
        let nth = self.moves;
        self.moves += 1;
        let does = self.someone.does.as_ref();
        if does.is_some_and(|does| !does.contains(&nth)) {
            return;
        }
        self.rng = StdRng::seed_from_u64(self.someone.seed.wrapping_add(u64::from(nth) + 1));
        match self.rng.random_range(0..100) {
            0..44 => self.send(),
            44..52 => self.edit(),
            52..57 => self.delete(),
            57..67 => self.mark("read"),
            67..73 => self.mark("dlvrd"),
            73..80 => self.look(),
            80..83 => self.list(),
            83..86 => self.manage(),
            86..95 => self.say_soft(),
            95 if self.rng.random_bool(0.2) => self.misbehave(),
            _ => self.pipeline(),
        }
    }

    /// After this one every device of the user can tell that it has everything. A new device that was let in while its
    /// mailbox did not answer begins only when it does, and may miss its own word: then it says another.
    fn say_last_word(&mut self) {
        let may_have_missed = |said: Instant| self.cursor.is_none() && said.elapsed() > MISSED;
        if self.outbox.len() > 0 || self.last_word.is_some_and(|said| !may_have_missed(said)) {
            return;
        }
        self.last_word = Some(Instant::now());
        let payload = json!({
            "chatId": self.user,
            "message": "the last word",
            "clientMessageId": format!("{}-last-{}", self.name, crate::clock::millis()),
        });
        self.request("new", payload);
    }

    /// Any other user, or a group that it knows of; sometimes its own notes.
    fn any_chat(&mut self) -> String {
        let groups = self.known.groups();
        if self.rng.random_bool(0.35)
            && let Some(group) = groups.choose(&mut self.rng)
        {
            return group.clone();
        }
        self.somebody()
    }

    fn somebody(&mut self) -> String {
        let users = self.shared.users.clone();
        users.choose(&mut self.rng).cloned().unwrap_or_default()
    }

    fn send(&mut self) {
        let chat = self.any_chat();
        self.send_to(&chat);
    }

    fn send_to(&mut self, chat: &str) {
        let number = self.rng.random_range(0..OWN_IDS);
        let text = match self.shared.faults.strikes(Fault::Poison) {
            true => confab_service::mistake::POISON.to_owned(),
            false => format!(
                "{} says {number} and {}",
                self.user,
                self.rng.random_range(0..1_000_000)
            ),
        };
        let mut payload = json!({"chatId": chat, "message": text});
        // Two devices of one user draw from the same ids: a message may be sent from both.
        if self.rng.random_bool(0.95) {
            payload["clientMessageId"] = json!(format!("m{number}"));
        }
        if self.rng.random_bool(0.05) {
            payload["attachments"] = attachments();
        }
        let last = self.known.chat(chat).last;
        if last > 0 && self.rng.random_bool(0.1) {
            payload["replyTo"] = json!(self.rng.random_range(1..=last));
        }
        self.request("new", payload);
    }

    /// Several at once to one chat: they stand in that order.
    fn pipeline(&mut self) {
        let chat = self.any_chat();
        for _ in 0..self.rng.random_range(2..5) {
            self.send_to(&chat);
        }
    }

    fn own_message(&mut self) -> Option<(String, u64)> {
        let chats = self.known.all();
        let chat = chats.choose(&mut self.rng)?;
        let own = self.known.chat(chat).own;
        Some((chat.clone(), *own.choose(&mut self.rng)?))
    }

    fn edit(&mut self) {
        let Some((chat, message)) = self.own_message() else {
            return;
        };
        let text = format!("edited {}", self.rng.random_range(0..1_000_000));
        let mut payload = json!({"chatId": chat, "messageId": message, "message": text});
        if self.rng.random_bool(0.1) {
            payload["attachments"] = attachments();
        }
        self.request("edit", payload);
    }

    fn delete(&mut self) {
        if let Some((chat, message)) = self.own_message() {
            self.request("delete", json!({"chatId": chat, "messageId": message}));
        }
    }

    fn mark(&mut self, kind: &'static str) {
        let chats = self.known.all();
        let Some(chat) = chats.choose(&mut self.rng).cloned() else {
            return;
        };
        let last = self.known.chat(&chat).last;
        if last == 0 {
            return;
        }
        if self.rng.random_bool(0.1) {
            return self.request(kind, json!({"chatId": chat}));
        }
        // Mostly near the end, sometimes anywhere: a mark that goes back is a repeat.
        let from = match self.rng.random_bool(0.3) {
            true => 1,
            false => last.saturating_sub(3).max(1),
        };
        let message = self.rng.random_range(from..=last);
        self.request(kind, json!({"chatId": chat, "messageId": message}));
    }

    fn look(&mut self) {
        let chat = self.any_chat();
        let last = self.known.chat(&chat).last;
        match self.rng.random_range(0..4) {
            0 => self.request("chat", json!({"chatId": chat})),
            1 if last > 1 => {
                let start = self.rng.random_range(1..=last);
                self.request("messages", json!({"chatId": chat, "startId": start, "count": 20}));
            }
            2 if last > 1 => {
                let end = self.rng.random_range(2..=last);
                self.request("messages", json!({"chatId": chat, "endId": end, "count": 20}));
            }
            _ => self.request("messages", json!({"chatId": chat, "count": 100})),
        }
    }

    fn list(&mut self) {
        let payload = match self.rng.random_range(0..3) {
            0 => json!({"count": self.rng.random_range(1..4)}),
            1 => json!({"before": crate::clock::now(0).as_millis() - self.rng.random_range(0..20_000)}),
            _ => json!({}),
        };
        self.request("chats", payload);
    }

    fn manage(&mut self) {
        let groups = self.known.groups();
        let group = groups.choose(&mut self.rng).cloned();
        let Some(group) = group.filter(|_| groups.len() >= 3 || self.rng.random_bool(0.7)) else {
            return self.create();
        };
        let somebody = self.somebody();
        let (kind, payload): (_, Value) = match self.rng.random_range(0..14) {
            0..=3 => (
                "addParticipants",
                json!({"chatId": group, "participants": [somebody]}),
            ),
            4..=6 => (
                "removeParticipants",
                json!({"chatId": group, "participants": [somebody]}),
            ),
            7 => ("leaveChat", json!({"chatId": group})),
            8 => {
                let name = format!("name {}", self.rng.random_range(0..1000));
                ("updateChat", json!({"chatId": group, "name": name}))
            }
            9 => ("updateChat", json!({"chatId": group, "admins": [somebody]})),
            10 => ("updateChat", json!({"chatId": group, "owner": somebody})),
            11 => (
                "updateChat",
                json!({"chatId": group, "photoUrl": "https://example.org/photo"}),
            ),
            12 if self.rng.random_bool(0.3) => ("deleteChat", json!({"chatId": group})),
            _ => ("deleteChat", json!({"chatId": somebody})),
        };
        self.request(kind, payload);
    }

    fn create(&mut self) {
        let participants: Vec<String> = (0..self.rng.random_range(1..5))
            .map(|_| self.somebody())
            .collect();
        let channel = self.rng.random_bool(0.2);
        let mut payload = json!({
            "type": if channel { "channel" } else { "group" },
            "name": "a group",
            "participants": participants,
            "clientChatId": format!("c{}", self.rng.random_range(0..20)),
        });
        if self.rng.random_bool(0.3) {
            payload["history"] = json!("all");
        }
        self.request("createChat", payload);
    }

    /// More at once than is allowed, or more in one frame: the gateway refuses the one and closes on the other.
    fn misbehave(&mut self) {
        if self.rng.random_bool(0.5) {
            return self.outbox.say("x".repeat(TOO_LARGE));
        }
        for _ in 0..TOO_MANY {
            self.outbox.say(ODD[2].to_owned());
        }
    }

    /// What nobody answers.
    fn say_soft(&mut self) {
        let chat = self.any_chat();
        let frame = match self.rng.random_range(0..10) {
            0 => json!({"type": "event", "eventType": "offline"}).to_string(),
            1 => json!({"type": "event", "eventType": "typing", "payload": {"chatId": chat, "stop": true}})
                .to_string(),
            2..=6 => json!({"type": "event", "eventType": "typing", "payload": {"chatId": chat}}).to_string(),
            _ => ODD.choose(&mut self.rng).copied().unwrap_or_default().to_owned(),
        };
        self.outbox.say(frame);
    }
}

fn attachments() -> Value {
    json!([{
        "type": "file",
        "id": "a1",
        "filename": "notes.txt",
        "url": "https://example.org/notes.txt",
        "meta": {"extension": "txt", "size": 10},
    }])
}
