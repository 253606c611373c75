//! Names: users, chats, devices, actors, and the partition an actor lives in.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};

use crate::limits;

/// An id that breaks a rule of its form; the text says which.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MalformedId(pub &'static str);

/// A user's id: 1 to 128 bytes without white space and control characters, not starting with `g:`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(Arc<str>);

impl UserId {
    /// Checks the form of a user id.
    ///
    /// # Errors
    /// Says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, MalformedId> {
        Self::check(text)?;
        Ok(Self(text.into()))
    }

    fn check(text: &str) -> Result<(), MalformedId> {
        if text.is_empty() || text.len() > limits::USER_ID_BYTES {
            return Err(MalformedId("a user id has 1 to 128 bytes"));
        }
        if text.starts_with("g:") {
            return Err(MalformedId("a user id does not start with g:"));
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(MalformedId(
                "a user id has no white space and no control characters",
            ));
        }
        Ok(())
    }

    /// The partition that holds the entries of the user's mailbox: that of [`ActorKey::Mailbox`].
    #[must_use]
    pub fn partition(&self, partitions: u16) -> Partition {
        const PREFIX: &[u8; 2] = b"u:";
        let mut key = [0; PREFIX.len() + limits::USER_ID_BYTES];
        let end = PREFIX.len() + self.0.len();
        key[..PREFIX.len()].copy_from_slice(PREFIX);
        key[PREFIX.len()..end].copy_from_slice(self.0.as_bytes());
        partition_of(&key[..end], partitions)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Ordered and hashed as its text.
impl Borrow<str> for UserId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A device's own stable name: 1 to 64 bytes of printable ASCII without spaces.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(Arc<str>);

impl DeviceId {
    /// Checks the form of a device name.
    ///
    /// # Errors
    /// Says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, MalformedId> {
        if text.is_empty() || text.len() > limits::DEVICE_ID_BYTES {
            return Err(MalformedId("a device name has 1 to 64 bytes"));
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(MalformedId("a device name is printable ASCII without spaces"));
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What kind of conversation a chat is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChatKind {
    /// Two users, or one with oneself (shown as `favorites`).
    Dialog,
    /// Every member writes.
    Group,
    /// Only the owner and the admins write.
    Channel,
}

/// The key of a conversation: `d:<smaller> <larger>` for a dialog, `g:<id>` for a group or channel.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChatKey(Arc<str>);

impl ChatKey {
    /// The dialog between two users; of a user with themselves, their own notes.
    #[must_use]
    pub fn dialog(a: &UserId, b: &UserId) -> Self {
        Self::between(a.as_str(), b.as_str())
    }

    fn between(a: &str, b: &str) -> Self {
        let (low, high) = if a <= b { (a, b) } else { (b, a) };
        Self(["d:", low, " ", high].concat().into())
    }

    /// The group that `owner` makes under `client_chat_id`: the same two always name the same chat.
    ///
    /// The hash is a cryptographic one, so that nobody can aim at another's group.
    #[must_use]
    pub fn group(owner: &UserId, client_chat_id: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(owner.as_str());
        hash.update([b' ']);
        hash.update(client_chat_id);
        let name = BASE32_NOPAD.encode(&hash.finalize()[..15]).to_ascii_lowercase();
        Self(format!("g:{name}").into())
    }

    /// Resolves the id by which `user` names a chat: the other side's user id, or a `g:` id.
    ///
    /// # Errors
    /// Says which rule the text breaks.
    pub fn named_by(user: &UserId, chat_id: &str) -> Result<Self, MalformedId> {
        if chat_id.starts_with("g:") {
            return Self::parse(chat_id);
        }
        UserId::check(chat_id)?;
        Ok(Self::between(user.as_str(), chat_id))
    }

    /// Reads a key back from its text.
    ///
    /// # Errors
    /// Says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, MalformedId> {
        if let Some(name) = text.strip_prefix("g:") {
            let well_formed = !name.is_empty()
                && name.len() <= limits::GROUP_NAME_BYTES
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            return if well_formed {
                Ok(Self(text.into()))
            } else {
                Err(MalformedId("a group id is g: and lower-case letters and digits"))
            };
        }
        let Some((low, high)) = text.strip_prefix("d:").and_then(|pair| pair.split_once(' ')) else {
            return Err(MalformedId("a chat key is d:<user> <user> or g:<id>"));
        };
        let (low, high) = (UserId::parse(low)?, UserId::parse(high)?);
        if low > high {
            return Err(MalformedId("a dialog key names the smaller user first"));
        }
        Ok(Self(text.into()))
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is a dialog (or a user's own notes).
    #[must_use]
    pub fn is_dialog(&self) -> bool {
        self.0.starts_with("d:")
    }

    /// The two sides of a dialog, the same user twice for own notes; `None` for a group.
    #[must_use]
    pub fn sides(&self) -> Option<(UserId, UserId)> {
        let (low, high) = self.side_names()?;
        Some((UserId(low.into()), UserId(high.into())))
    }

    /// As [`sides`](Self::sides), as text.
    pub(crate) fn side_names(&self) -> Option<(&str, &str)> {
        self.0.strip_prefix("d:")?.split_once(' ')
    }

    /// Whether `user` is a side of this dialog.
    #[must_use]
    pub fn has_side(&self, user: &UserId) -> bool {
        self.other_side_name(user).is_some()
    }

    fn other_side_name(&self, user: &UserId) -> Option<&str> {
        let (low, high) = self.side_names()?;
        if low == user.as_str() {
            Some(high)
        } else if high == user.as_str() {
            Some(low)
        } else {
            None
        }
    }

    /// The other side of a dialog as `user` sees it (the user again in own notes); `None` for a group
    /// and for one who is not a side of it.
    #[must_use]
    pub fn other_side(&self, user: &UserId) -> Option<UserId> {
        self.other_side_name(user).map(|name| UserId(name.into()))
    }

    /// The id by which `user` names this chat.
    #[must_use]
    pub fn name_for(&self, user: &UserId) -> &str {
        self.other_side_name(user).unwrap_or(&self.0)
    }
}

impl fmt::Debug for ChatKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ChatKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A partition of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(pub u16);

/// One state machine: a chat or a user's mailbox.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ActorKey {
    /// A conversation.
    Chat(ChatKey),
    /// A user's mailbox.
    Mailbox(UserId),
}

impl ActorKey {
    /// The partition that holds this actor's entries, of `partitions` in all.
    ///
    /// The hash is part of the installation's data: it may never change.
    #[must_use]
    pub fn partition(&self, partitions: u16) -> Partition {
        match self {
            Self::Chat(chat) => partition_of(chat.as_str().as_bytes(), partitions),
            Self::Mailbox(user) => user.partition(partitions),
        }
    }
}

impl fmt::Display for ActorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chat(chat) => write!(f, "{chat}"),
            Self::Mailbox(user) => write!(f, "u:{user}"),
        }
    }
}

fn partition_of(key: &[u8], partitions: u16) -> Partition {
    let hash = xxhash_rust::xxh3::xxh3_64(key);
    // The remainder is below a u16 by construction.
    Partition(u16::try_from(hash % u64::from(partitions.max(1))).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::{ActorKey, ChatKey, Partition, UserId, limits};

    #[test]
    fn actors_stay_in_their_partitions() {
        let user = |name: &str| UserId::parse(name).unwrap();
        let (alice, bob) = (user("alice"), user("bob"));
        let longest = user(&"x".repeat(limits::USER_ID_BYTES));
        let dialog = ActorKey::Chat(ChatKey::dialog(&alice, &bob));
        for (actor, partition) in [
            (dialog, 20),
            (ActorKey::Mailbox(alice), 24),
            (ActorKey::Mailbox(longest), 51),
        ] {
            assert_eq!(actor.partition(64), Partition(partition), "{actor}");
        }
    }
}
