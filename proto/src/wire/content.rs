//! What messages hold, how a chat answers, and small things that many messages share.

use confab_chat::row::Role;
use confab_chat::{Attachment, AttachmentMeta, ChatKind, Code, Quote, Rejection, Reply, Timestamp};

use super::form::{Fault, Form, from_list, from_needed, need, to_list};
use super::{limits, pb};
use crate::message::Profile;

impl Form for Attachment {
    type Message = pb::Attachment;

    fn to_message(&self) -> pb::Attachment {
        pb::Attachment {
            id: self.id.clone(),
            filename: self.filename.clone(),
            url: self.url.clone(),
            meta: Some(self.meta.to_message()),
        }
    }

    fn from_message(message: pb::Attachment) -> Result<Self, Fault> {
        Ok(Self {
            id: message.id,
            filename: message.filename,
            url: message.url,
            meta: from_needed("an attachment's meta", message.meta)?,
        })
    }
}

impl Form for AttachmentMeta {
    type Message = pb::attachment::Meta;

    fn to_message(&self) -> pb::attachment::Meta {
        match self.clone() {
            Self::File { extension, size } => {
                pb::attachment::Meta::File(pb::attachment::File { extension, size })
            }
            Self::Image {
                mimetype,
                width,
                height,
                size,
            } => pb::attachment::Meta::Image(pb::attachment::Image {
                mimetype,
                width,
                height,
                size,
            }),
            Self::Video {
                mimetype,
                width,
                height,
                size,
                duration_ms,
            } => pb::attachment::Meta::Video(pb::attachment::Video {
                mimetype,
                width,
                height,
                size,
                duration_ms,
            }),
        }
    }

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

impl Form for Quote {
    type Message = pb::Quote;

    fn to_message(&self) -> pb::Quote {
        pb::Quote {
            message_id: self.message_id,
            client_message_id: self.client_message_id.clone(),
            sender: self.sender.to_message(),
            created_at: self.created_at.0,
        }
    }

    fn from_message(message: pb::Quote) -> Result<Self, Fault> {
        Ok(Self {
            message_id: message.message_id,
            client_message_id: message.client_message_id,
            sender: Form::from_message(message.sender)?,
            created_at: Timestamp(message.created_at),
        })
    }
}

impl Form for Reply {
    type Message = pb::Reply;

    fn to_message(&self) -> pb::Reply {
        let kind = match self.clone() {
            Self::Message {
                message_id,
                at,
                client_message_id,
            } => pb::reply::Kind::Message(pb::reply::Message {
                message_id,
                at: at.0,
                client_message_id,
            }),
            Self::Read {
                message_id,
                at,
                missed,
                client_message_id,
            } => pb::reply::Kind::Read(pb::reply::Read {
                message_id,
                at: at.0,
                missed,
                client_message_id,
            }),
            Self::Chat => pb::reply::Kind::Chat(pb::reply::Chat {}),
            Self::Left => pb::reply::Kind::Left(pb::reply::Left {}),
            Self::Participants(users) => pb::reply::Kind::Participants(pb::Users {
                users: to_list(&users),
            }),
        };
        pb::Reply { kind: Some(kind) }
    }

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

impl Form for Rejection {
    type Message = pb::Rejection;

    fn to_message(&self) -> pb::Rejection {
        let code = match self.code {
            Code::BadRequest => pb::Code::BadRequest,
            Code::Unauthorized => pb::Code::Unauthorized,
            Code::Forbidden => pb::Code::Forbidden,
            Code::NotFound => pb::Code::NotFound,
            Code::Conflict => pb::Code::Conflict,
            Code::TooLarge => pb::Code::TooLarge,
            Code::RateLimited => pb::Code::RateLimited,
            Code::Unavailable => pb::Code::Unavailable,
            Code::Timeout => pb::Code::Timeout,
            Code::Internal => pb::Code::Internal,
        };
        pb::Rejection {
            code: code.into(),
            message: self.message.clone(),
        }
    }

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

impl Form for ChatKind {
    type Message = i32;

    fn to_message(&self) -> i32 {
        match self {
            Self::Dialog => pb::ChatKind::Dialog,
            Self::Group => pb::ChatKind::Group,
            Self::Channel => pb::ChatKind::Channel,
        }
        .into()
    }

    fn from_message(message: i32) -> Result<Self, Fault> {
        match pb::ChatKind::try_from(message) {
            Ok(pb::ChatKind::Dialog) => Ok(Self::Dialog),
            Ok(pb::ChatKind::Group) => Ok(Self::Group),
            Ok(pb::ChatKind::Channel) => Ok(Self::Channel),
            Ok(pb::ChatKind::Unspecified) | Err(_) => Err(Fault(format!("unknown kind of chat {message}"))),
        }
    }
}

impl Form for Option<Role> {
    type Message = i32;

    fn to_message(&self) -> i32 {
        match self {
            None => pb::Role::Unspecified,
            Some(Role::Member) => pb::Role::Member,
            Some(Role::Admin) => pb::Role::Admin,
            Some(Role::Owner) => pb::Role::Owner,
        }
        .into()
    }

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

impl Form for Profile {
    type Message = pb::Profile;

    fn to_message(&self) -> pb::Profile {
        let Self {
            name,
            photo_url,
            username,
            phone_number,
            verified,
        } = self.clone();
        pb::Profile {
            name,
            photo_url,
            username,
            phone_number,
            verified,
        }
    }

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
