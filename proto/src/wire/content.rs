//! What messages hold, how a chat answers, and small things that many messages share.

use confab_chat::row::Role;
use confab_chat::{Attachment, AttachmentMeta, ChatKind, Code, Quote, Rejection, Reply, Timestamp};

use super::form::{Fault, Form, from_list, from_needed, need};
use super::out::{Fields, Out};
use super::{limits, pb};
use crate::message::Profile;

impl Fields for Attachment {
    fn write(&self, out: &mut Out<'_>) {
        out.text(1, &self.id);
        out.text(2, &self.filename);
        out.text(3, &self.url);
        self.meta.write(out);
    }
}

impl Form for Attachment {
    type Message = pb::Attachment;

    fn from_message(message: pb::Attachment) -> Result<Self, Fault> {
        Ok(Self {
            id: message.id,
            filename: message.filename,
            url: message.url,
            meta: from_needed("an attachment's meta", message.meta)?,
        })
    }
}

impl Fields for AttachmentMeta {
    fn write(&self, out: &mut Out<'_>) {
        match self {
            Self::File { extension, size } => out.nested(4, |out| {
                out.text(1, extension);
                out.number(2, *size);
            }),
            Self::Image {
                mimetype,
                width,
                height,
                size,
            } => out.nested(5, |out| {
                out.text(1, mimetype);
                out.number(2, *width);
                out.number(3, *height);
                out.number(4, *size);
            }),
            Self::Video {
                mimetype,
                width,
                height,
                size,
                duration_ms,
            } => out.nested(6, |out| {
                out.text(1, mimetype);
                out.number(2, *width);
                out.number(3, *height);
                out.number(4, *size);
                out.number(5, *duration_ms);
            }),
        }
    }
}

impl Form for AttachmentMeta {
    type Message = pb::attachment::Meta;

    fn from_message(message: pb::attachment::Meta) -> Result<Self, Fault> {
        Ok(match message {
            pb::attachment::Meta::File(file) => Self::File {
                extension: file.extension,
                size: file.size,
            },
            pb::attachment::Meta::Image(image) => Self::Image {
                mimetype: image.mimetype,
                width: image.width,
                height: image.height,
                size: image.size,
            },
            pb::attachment::Meta::Video(video) => Self::Video {
                mimetype: video.mimetype,
                width: video.width,
                height: video.height,
                size: video.size,
                duration_ms: video.duration_ms,
            },
        })
    }
}

/// The attachments of a message.
pub(super) fn attachments(messages: Vec<pb::Attachment>) -> Result<Vec<Attachment>, Fault> {
    from_list("attachments", limits::ATTACHMENTS, messages)
}

impl Fields for Quote {
    fn write(&self, out: &mut Out<'_>) {
        out.number(1, self.message_id);
        out.optional_text(2, self.client_message_id.as_deref());
        out.text(3, self.sender.as_str());
        out.number(4, self.created_at.0);
    }
}

impl Form for Quote {
    type Message = pb::Quote;

    fn from_message(message: pb::Quote) -> Result<Self, Fault> {
        Ok(Self {
            message_id: message.message_id,
            client_message_id: message.client_message_id,
            sender: Form::from_message(message.sender)?,
            created_at: Timestamp(message.created_at),
        })
    }
}

impl Fields for Reply {
    fn write(&self, out: &mut Out<'_>) {
        match self {
            Self::Message {
                message_id,
                at,
                client_message_id,
            } => out.nested(1, |out| {
                out.number(1, *message_id);
                out.number(2, at.0);
                out.optional_text(3, client_message_id.as_deref());
            }),
            Self::Read {
                message_id,
                at,
                missed,
                client_message_id,
            } => out.nested(2, |out| {
                out.number(1, *message_id);
                out.number(2, at.0);
                out.number(3, *missed);
                out.optional_text(4, client_message_id.as_deref());
            }),
            Self::Chat => out.nested(3, |_| ()),
            Self::Left => out.nested(4, |_| ()),
            Self::Participants(users) => out.nested(5, |out| out.users(1, users)),
        }
    }
}

impl Form for Reply {
    type Message = pb::Reply;

    fn from_message(message: pb::Reply) -> Result<Self, Fault> {
        Ok(match need("a reply's kind", message.kind)? {
            pb::reply::Kind::Message(reply) => Self::Message {
                message_id: reply.message_id,
                at: Timestamp(reply.at),
                client_message_id: reply.client_message_id,
            },
            pb::reply::Kind::Read(reply) => Self::Read {
                message_id: reply.message_id,
                at: Timestamp(reply.at),
                missed: reply.missed,
                client_message_id: reply.client_message_id,
            },
            pb::reply::Kind::Chat(pb::reply::Chat {}) => Self::Chat,
            pb::reply::Kind::Left(pb::reply::Left {}) => Self::Left,
            pb::reply::Kind::Participants(users) => {
                Self::Participants(from_list("participants", limits::CHAT_USERS, users.users)?)
            }
        })
    }
}

impl Fields for Rejection {
    fn write(&self, out: &mut Out<'_>) {
        out.choice(1, pb::Code::from(self.code));
        out.text(2, &self.message);
    }
}

impl From<Code> for pb::Code {
    fn from(code: Code) -> Self {
        match code {
            Code::BadRequest => Self::BadRequest,
            Code::Unauthorized => Self::Unauthorized,
            Code::Forbidden => Self::Forbidden,
            Code::NotFound => Self::NotFound,
            Code::Conflict => Self::Conflict,
            Code::TooLarge => Self::TooLarge,
            Code::RateLimited => Self::RateLimited,
            Code::Unavailable => Self::Unavailable,
            Code::Timeout => Self::Timeout,
            Code::Internal => Self::Internal,
        }
    }
}

impl Form for Rejection {
    type Message = pb::Rejection;

    fn from_message(message: pb::Rejection) -> Result<Self, Fault> {
        let code = match message.code() {
            pb::Code::Unspecified => return Err(Fault("unknown error code".into())),
            pb::Code::BadRequest => Code::BadRequest,
            pb::Code::Unauthorized => Code::Unauthorized,
            pb::Code::Forbidden => Code::Forbidden,
            pb::Code::NotFound => Code::NotFound,
            pb::Code::Conflict => Code::Conflict,
            pb::Code::TooLarge => Code::TooLarge,
            pb::Code::RateLimited => Code::RateLimited,
            pb::Code::Unavailable => Code::Unavailable,
            pb::Code::Timeout => Code::Timeout,
            pb::Code::Internal => Code::Internal,
        };
        Ok(Self {
            code,
            message: message.message,
        })
    }
}

impl From<ChatKind> for pb::ChatKind {
    fn from(kind: ChatKind) -> Self {
        match kind {
            ChatKind::Dialog => Self::Dialog,
            ChatKind::Group => Self::Group,
            ChatKind::Channel => Self::Channel,
        }
    }
}

impl Form for ChatKind {
    type Message = i32;

    fn from_message(message: i32) -> Result<Self, Fault> {
        match pb::ChatKind::try_from(message) {
            Ok(pb::ChatKind::Dialog) => Ok(Self::Dialog),
            Ok(pb::ChatKind::Group) => Ok(Self::Group),
            Ok(pb::ChatKind::Channel) => Ok(Self::Channel),
            Ok(pb::ChatKind::Unspecified) | Err(_) => Err(Fault(format!("unknown kind of chat {message}"))),
        }
    }
}

impl From<Option<Role>> for pb::Role {
    fn from(role: Option<Role>) -> Self {
        match role {
            None => Self::Unspecified,
            Some(Role::Member) => Self::Member,
            Some(Role::Admin) => Self::Admin,
            Some(Role::Owner) => Self::Owner,
        }
    }
}

impl Form for Option<Role> {
    type Message = i32;

    fn from_message(message: i32) -> Result<Self, Fault> {
        match pb::Role::try_from(message) {
            Ok(pb::Role::Unspecified) => Ok(None),
            Ok(pb::Role::Member) => Ok(Some(Role::Member)),
            Ok(pb::Role::Admin) => Ok(Some(Role::Admin)),
            Ok(pb::Role::Owner) => Ok(Some(Role::Owner)),
            Err(_) => Err(Fault(format!("unknown role {message}"))),
        }
    }
}

impl Fields for Profile {
    fn write(&self, out: &mut Out<'_>) {
        out.optional_text(1, self.name.as_deref());
        out.optional_text(2, self.photo_url.as_deref());
        out.optional_text(3, self.username.as_deref());
        out.optional_text(4, self.phone_number.as_deref());
        out.optional_flag(5, self.verified);
    }
}

impl Form for Profile {
    type Message = pb::Profile;

    fn from_message(message: pb::Profile) -> Result<Self, Fault> {
        Ok(Self {
            name: message.name,
            photo_url: message.photo_url,
            username: message.username,
            phone_number: message.phone_number,
            verified: message.verified,
        })
    }
}
