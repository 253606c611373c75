//! What a chat remembers between entries.

use std::collections::{BTreeMap, VecDeque};

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
    /// How many entries were applied (from epoch·2^40 on in a later epoch).
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
    pub recent: VecDeque<EntryId>,
}

/// What a chat remembers of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
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
            recent: VecDeque::new(),
        };
        Self {
            key,
            head,
            members: BTreeMap::new(),
        }
    }

    /// Whether the state covers an entry already.
    #[must_use]
    pub fn covers(&self, epoch: u32, seq: u64) -> bool {
        (epoch, seq) <= (self.head.epoch, self.head.seq)
    }
}
