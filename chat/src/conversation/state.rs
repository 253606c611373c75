//! What a chat remembers between entries.

use std::collections::BTreeMap;

use super::recent::Recent;
use crate::command::EntryId;
use crate::ids::{ChatKey, ChatKind, UserId};
use crate::row::{LastMessage, Role};
use crate::time::Timestamp;

/// A chat's state: its head and its members. `confab-proto` encodes both, canonically: equal versions are equal bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The chat.
    pub key: ChatKey,
    /// All but the members.
    pub head: Head,
    /// The members, also those gone whose marks must not be forgotten.
    pub members: BTreeMap<UserId, Member>,
}

/// All of a chat's state but its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// How many entries were applied, counted from the [first version](crate::epoch::first_version) of the epoch.
    pub version: u64,
    /// The epoch of the last entry applied.
    pub epoch: u32,
    /// The last entry applied.
    pub seq: u64,
    /// The time of the last entry applied.
    pub time: Timestamp,
    /// What kind of chat.
    pub kind: ChatKind,
    /// Whether the chat exists: a dialog from its first message on, a group from its creation to its deletion.
    pub open: bool,
    /// A group that was deleted: it never opens again.
    pub deleted: bool,
    /// The number of the last message.
    pub last_id: u64,
    /// The last message.
    pub last: Option<LastMessage>,
    /// When the chat was made.
    pub created_at: Timestamp,
    /// The name of a group.
    pub name: String,
    /// Its picture.
    pub photo_url: Option<String>,
    /// Whether those who come later see everything.
    pub history_all: bool,
    /// The ids of the last entries, oldest first.
    pub recent: Recent,
}

/// What a chat remembers of a member.
///
/// Both marks are at or above `last_sent` (a send marks what lies before it read), and `delivered` is at or above
/// `read` (what is read is delivered): whatever lies above a mark was sent by others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// What the member may do; `None` once gone.
    pub role: Option<Role>,
    /// Whether the chat shows in the member's list.
    pub listed: bool,
    /// Since when the chat exists for the member.
    pub since: Timestamp,
    /// The last message when the member came: earlier ones wait for nobody's mark of this member.
    pub joined_at: u64,
    /// Messages up to and including this one are not seen.
    pub hidden_before: u64,
    /// Delivered up to and including.
    pub delivered: u64,
    /// Read up to and including.
    pub read: u64,
    /// The member's last own message; 0 for none.
    pub last_sent: u64,
}

impl Member {
    /// One for whom the chat begins at `since`, with nothing hidden and nothing marked.
    pub(super) const fn new(role: Role, since: Timestamp) -> Self {
        Self {
            role: Some(role),
            listed: true,
            since,
            joined_at: 0,
            hidden_before: 0,
            delivered: 0,
            read: 0,
            last_sent: 0,
        }
    }

    /// The same after leaving.
    pub(super) const fn gone(self) -> Self {
        Self {
            role: None,
            listed: false,
            ..self
        }
    }

    /// Messages by others, deleted ones included, that the member sees and has not read.
    pub(super) fn missed(&self, last_id: u64) -> u64 {
        last_id.saturating_sub(self.read.max(self.hidden_before))
    }
}

impl State {
    /// A chat that nothing has happened to.
    #[must_use]
    pub fn new(key: ChatKey) -> Self {
        let kind = if key.is_dialog() {
            ChatKind::Dialog
        } else {
            ChatKind::Group
        };
        let head = Head {
            version: 0,
            epoch: 0,
            seq: 0,
            time: Timestamp(0),
            kind,
            open: false,
            deleted: false,
            last_id: 0,
            last: None,
            created_at: Timestamp(0),
            name: String::new(),
            photo_url: None,
            history_all: false,
            recent: Recent::default(),
        };
        Self {
            key,
            head,
            members: BTreeMap::new(),
        }
    }

    /// Those who are members now, in order of id.
    pub fn current(&self) -> impl Iterator<Item = (&UserId, &Member)> {
        self.members.iter().filter(|(_, member)| member.role.is_some())
    }

    /// Whether a command with this id was applied not long ago: this one is a repeated copy of it.
    #[must_use]
    pub fn is_repeat(&self, id: &EntryId) -> bool {
        self.head.recent.contains(id)
    }

    /// Whether the state covers an entry already.
    #[must_use]
    pub fn covers(&self, epoch: u32, seq: u64) -> bool {
        (epoch, seq) <= (self.head.epoch, self.head.seq)
    }
}
