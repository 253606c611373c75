//! What a device knows of its chats, from what it was told.

use std::collections::BTreeMap;

/// A chat as far as it is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Chat {
    /// The highest message heard of.
    pub(super) last: u64,
    /// The device's user's own messages heard of.
    pub(super) own: Vec<u64>,
}

/// Chats by the name that the user has for them.
#[derive(Debug, Default)]
pub(super) struct Known {
    chats: BTreeMap<String, Chat>,
}

impl Known {
    pub(super) fn heard(&mut self, chat: &str, message: u64, own: bool) {
        let known = self.chats.entry(chat.to_owned()).or_default();
        known.last = known.last.max(message);
        if own && !known.own.contains(&message) {
            known.own.push(message);
        }
    }

    pub(super) fn chat(&self, name: &str) -> Chat {
        self.chats.get(name).cloned().unwrap_or_default()
    }

    pub(super) fn groups(&self) -> Vec<String> {
        let groups = self.chats.keys().filter(|name| name.starts_with("g:"));
        groups.cloned().collect()
    }

    pub(super) fn all(&self) -> Vec<String> {
        self.chats.keys().cloned().collect()
    }
}
