//! The types of query answers. A worker fills them in and serializes them into the payload of a response; names and
//! order of fields are the protocol's, and what has no value is left out.

use std::borrow::Cow;

use confab_chat::{Attachment, AttachmentMeta, Quote};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

/// What kind of chat, as the one who asks sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChatType {
    /// With another user.
    Dialog,
    /// A group.
    Group,
    /// A channel.
    Channel,
    /// One's own notes.
    Favorites,
    /// Not made by this service, but part of the protocol.
    Ai,
}

/// How far a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageStatus {
    /// One's own message, not delivered to everyone.
    Undelivered,
    /// One's own message, delivered to everyone but not read by everyone; another's message, not read.
    Unread,
    /// Read.
    Read,
    /// Deleted.
    Deleted,
}

/// A chat in a user's list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChatListItem<'a> {
    /// What kind.
    #[serde(rename = "type")]
    pub kind: ChatType,
    /// As the user names it.
    pub id: &'a str,
    /// Its picture; of a dialog the other side's.
    #[serde(skip_serializing_if = "is_empty")]
    pub photo_url: Option<Cow<'a, str>>,
    /// Its name; of a dialog the other side's.
    pub name: Cow<'a, str>,
    /// Empty where there is no visible message, of a deleted one, and of one of attachments only.
    pub last_message_text: Cow<'a, str>,
    /// Milliseconds; where there is no visible message, when the chat was made for the user.
    pub last_message_time: u64,
    /// Who wrote the last message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_message_author: Option<Cow<'a, str>>,
    /// How far it has come.
    pub last_message_status: MessageStatus,
    /// How many messages are not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missed: Option<u64>,
    /// The clientMessageId of the first message not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_missed: Option<Cow<'a, str>>,
    /// Of a dialog: whether the other side is verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
    /// Whether the last message is the user's own.
    pub is_mine: bool,
    /// 0 where there is no visible message.
    pub last_message_id: u64,
    /// Of a dialog: when the other side was last online, if it is not now. Milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<u64>,
}

/// A chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Chat<'a> {
    /// As the user names it.
    pub chat_id: &'a str,
    /// What kind.
    #[serde(rename = "type")]
    pub kind: ChatType,
    /// Its name; of a dialog the other side's.
    pub name: Cow<'a, str>,
    /// Its picture; of a dialog the other side's.
    #[serde(skip_serializing_if = "is_empty")]
    pub photo_url: Option<Cow<'a, str>>,
    /// The last message, if there is a visible one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_message_id: Option<u64>,
    /// How many messages are not read.
    pub missed: u64,
    /// The clientMessageId of the first message not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_missed: Option<Cow<'a, str>>,
    /// The rest, by kind.
    pub meta: ChatMeta<'a>,
}

/// What a chat holds beside what all kinds have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub enum ChatMeta<'a> {
    /// Of a dialog and of one's own notes: the other side.
    Dialog {
        /// First name.
        #[serde(skip_serializing_if = "Option::is_none")]
        first_name: Option<Cow<'a, str>>,
        /// Last name.
        #[serde(skip_serializing_if = "Option::is_none")]
        last_name: Option<Cow<'a, str>>,
        /// User name.
        #[serde(skip_serializing_if = "Option::is_none")]
        username: Option<Cow<'a, str>>,
        /// Phone number.
        #[serde(skip_serializing_if = "Option::is_none")]
        phone_number: Option<Cow<'a, str>>,
        /// Whether verified.
        #[serde(skip_serializing_if = "Option::is_none")]
        verified: Option<bool>,
        /// When last online, if not now. Milliseconds.
        #[serde(skip_serializing_if = "Option::is_none")]
        last_seen: Option<u64>,
    },
    /// Of a group or channel.
    Group {
        /// The owner.
        owner: Cow<'a, str>,
        /// The admins.
        admins: Vec<Cow<'a, str>>,
        /// The members, the first 500.
        participants: Vec<Cow<'a, str>>,
        /// How many there are.
        participant_count: u64,
        /// When it was made. Milliseconds.
        created_at: u64,
    },
}

/// A message in a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Message<'a> {
    /// Its number in the chat.
    pub message_id: u64,
    /// Its sender's own id of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_message_id: Option<Cow<'a, str>>,
    /// Its text; left out once deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Cow<'a, str>>,
    /// Who sent it.
    pub sender: Cow<'a, str>,
    /// What goes with it.
    #[serde(flatten)]
    pub attachments: Attachments<'a>,
    /// The message it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<ReplyTo<'a>>,
    /// How far it has come.
    pub status: MessageStatus,
    /// Milliseconds.
    pub created_at: u64,
    /// The last edit. Milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<u64>,
    /// The deletion. Milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<u64>,
    /// In a dialog: when it was delivered. Milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dlvrd: Option<u64>,
    /// In a dialog: when it was read. Milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<u64>,
    /// In a group, of the user's own messages: the marks of the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivering: Option<Vec<Delivering<'a>>>,
}

/// The marks of one other member on a message in a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivering<'a> {
    /// Who marked.
    pub user_id: Cow<'a, str>,
    /// When it was delivered. Milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dlvrd: Option<u64>,
    /// When it was read. Milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<u64>,
}

/// The message that another one answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplyTo<'a> {
    /// Its number in the chat.
    pub message_id: u64,
    /// Its sender's own id of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_message_id: Option<&'a str>,
    /// Its text as it now is; left out once deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<&'a str>,
    /// Who sent it.
    pub sender: &'a str,
    /// When. Milliseconds.
    pub created_at: u64,
}

impl<'a> ReplyTo<'a> {
    /// A quote with the text that the message now has; `None` once it is deleted.
    #[must_use]
    pub fn new(quote: &'a Quote, text: Option<&'a str>) -> Self {
        Self {
            message_id: quote.message_id,
            client_message_id: quote.client_message_id.as_deref(),
            message: text,
            sender: quote.sender.as_str(),
            created_at: quote.created_at.as_millis(),
        }
    }
}

/// The attachments of a message under both of their names; neither where there are none. To be flattened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Attachments<'a> {
    #[serde(skip_serializing_if = "List::is_empty")]
    atttachments: List<'a>,
    #[serde(skip_serializing_if = "List::is_empty")]
    attachments: List<'a>,
}

impl<'a> Attachments<'a> {
    /// These attachments.
    #[must_use]
    pub fn new(attachments: &'a [Attachment]) -> Self {
        let list = List(attachments);
        Self {
            atttachments: list,
            attachments: list,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct List<'a>(&'a [Attachment]);

impl List<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for List<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(One))
    }
}

/// One attachment: type, id, filename, url, meta.
struct One<'a>(&'a Attachment);

impl Serialize for One<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let kind = match self.0.meta {
            AttachmentMeta::File { .. } => "file",
            AttachmentMeta::Image { .. } => "image",
            AttachmentMeta::Video { .. } => "video",
        };
        let mut fields = serializer.serialize_struct("Attachment", 5)?;
        fields.serialize_field("type", kind)?;
        fields.serialize_field("id", &self.0.id)?;
        fields.serialize_field("filename", &self.0.filename)?;
        fields.serialize_field("url", &self.0.url)?;
        fields.serialize_field("meta", &Meta(&self.0.meta))?;
        fields.end()
    }
}

struct Meta<'a>(&'a AttachmentMeta);

impl Serialize for Meta<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Meta", 5)?;
        match self.0 {
            AttachmentMeta::File { extension, size } => {
                fields.serialize_field("extension", extension)?;
                fields.serialize_field("size", size)?;
            }
            AttachmentMeta::Image {
                mimetype,
                width,
                height,
                size,
            } => picture(&mut fields, mimetype, [*width, *height, *size])?,
            AttachmentMeta::Video {
                mimetype,
                width,
                height,
                size,
                duration_ms,
            } => {
                picture(&mut fields, mimetype, [*width, *height, *size])?;
                fields.serialize_field("duration", &Seconds(*duration_ms))?;
            }
        }
        fields.end()
    }
}

fn picture<S: SerializeStruct>(
    fields: &mut S,
    mimetype: &str,
    [width, height, size]: [u64; 3],
) -> Result<(), S::Error> {
    fields.serialize_field("mimetype", mimetype)?;
    fields.serialize_field("width", &width)?;
    fields.serialize_field("height", &height)?;
    fields.serialize_field("size", &size)
}

/// Milliseconds, written as seconds: whole ones as an integer.
struct Seconds(u64);

impl Serialize for Seconds {
    // A duration that was read from a frame is far below the 2^53 that a float holds exactly.
    #[allow(clippy::cast_precision_loss)]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_multiple_of(1000) {
            serializer.serialize_u64(self.0 / 1000)
        } else {
            serializer.serialize_f64(self.0 as f64 / 1000.0)
        }
    }
}

fn is_empty(text: &Option<Cow<'_, str>>) -> bool {
    text.as_deref().is_none_or(str::is_empty)
}
