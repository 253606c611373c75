//! The requests, each checked against every rule of its form.

use std::collections::BTreeSet;

use confab_chat::{ChatKey, ChatKind, Op, Rejection, Timestamp, UserId, limits};

use super::attachment::{self, Attachments};
use super::fields::{Text, Whole, need, object, read};
use super::frame_error::{bad, excerpt, too_large};
use super::{CHATS_PAGE, MAX_PAGE, MESSAGES_PAGE};
use crate::message::{Page, QueryKind};

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A command to a chat that the client names.
    Command {
        /// The chat.
        chat: ChatKey,
        /// What is asked of it.
        op: Op,
    },
    /// A command that makes a chat, whose key follows from the caller and the client's own id of it
    /// ([`ChatKey::group`]).
    Create {
        /// The client's own id of the chat; without one, the id of the log entry takes its place.
        client_chat_id: Option<String>,
        /// Always [`Op::CreateChat`].
        op: Op,
    },
    /// A question that is answered from the rows.
    Query(QueryKind),
}

object! {
    struct NewFields<'a> {
        "chatId" chat_id: Text<'a>,
        "message" message: Text<'a>,
        "clientMessageId" client_message_id: Text<'a>,
        "attachments" attachments: Attachments<'a>,
        "atttachments" atttachments: Attachments<'a>,
        "replyTo" reply_to: Whole,
    }
}

object! {
    struct EditFields<'a> {
        "chatId" chat_id: Text<'a>,
        "messageId" message_id: Whole,
        "originalMessageId" original_message_id: Whole,
        "message" message: Text<'a>,
        "attachments" attachments: Attachments<'a>,
        "atttachments" atttachments: Attachments<'a>,
    }
}

object! {
    struct DeleteFields<'a> {
        "chatId" chat_id: Text<'a>,
        "messageId" message_id: Whole,
        "originalMessageId" original_message_id: Whole,
    }
}

object! {
    struct MarkFields<'a> {
        "chatId" chat_id: Text<'a>,
        "messageId" message_id: Whole,
    }
}

object! {
    struct ChatsFields<'a> {
        "count" count: Whole,
        "before" before: Whole,
    }
}

object! {
    struct ChatFields<'a> {
        "chatId" chat_id: Text<'a>,
    }
}

object! {
    struct MessagesFields<'a> {
        "chatId" chat_id: Text<'a>,
        "startId" start_id: Whole,
        "endId" end_id: Whole,
        "count" count: Whole,
    }
}

object! {
    struct CreateFields<'a> {
        "type" kind: Text<'a>,
        "name" name: Text<'a>,
        "participants" participants: Vec<Text<'a>>,
        "photoUrl" photo_url: Text<'a>,
        "history" history: Text<'a>,
        "clientChatId" client_chat_id: Text<'a>,
    }
}

object! {
    struct UpdateFields<'a> {
        "chatId" chat_id: Text<'a>,
        "name" name: Text<'a>,
        "photoUrl" photo_url: Text<'a>,
        "admins" admins: Vec<Text<'a>>,
        "owner" owner: Text<'a>,
    }
}

object! {
    struct ParticipantsFields<'a> {
        "chatId" chat_id: Text<'a>,
        "participants" participants: Vec<Text<'a>>,
    }
}

/// Reads the payload of a request of `user`.
pub(super) fn read_request(user: &UserId, payload_type: &str, payload: &str) -> Result<Request, Rejection> {
    match payload_type {
        "new" => new(user, read(payload)?),
        "edit" => edit(user, read(payload)?),
        "delete" => delete(user, read(payload)?),
        "dlvrd" => mark(user, read(payload)?, |message_id| Op::MarkDelivered {
            message_id,
        }),
        "read" => mark(user, read(payload)?, |message_id| Op::MarkRead { message_id }),
        "chats" => chats(&read(payload)?),
        "chat" => chat(user, read(payload)?),
        "messages" => messages(user, read(payload)?),
        "createChat" => create_chat(read(payload)?),
        "deleteChat" => mark(user, read(payload)?, |message_id| Op::DeleteChat { message_id }),
        "updateChat" => update_chat(user, read(payload)?),
        "addParticipants" => participants_of(user, read(payload)?, |participants| Op::AddParticipants {
            participants,
        }),
        "removeParticipants" => participants_of(user, read(payload)?, |participants| {
            Op::RemoveParticipants { participants }
        }),
        "leaveChat" => leave_chat(user, read(payload)?),
        other => Err(bad(format!("unknown payloadType {:?}", excerpt(other)))),
    }
}

fn new(user: &UserId, fields: NewFields<'_>) -> Result<Request, Rejection> {
    let attachments = attachment::either(fields.attachments, fields.atttachments)?;
    let op = Op::New {
        text: message_text(fields.message, attachments.is_empty())?,
        attachments,
        reply_to: message_id("replyTo", fields.reply_to)?,
        client_message_id: client_id("clientMessageId", fields.client_message_id)?,
    };
    command(user, fields.chat_id, op)
}

fn edit(user: &UserId, fields: EditFields<'_>) -> Result<Request, Rejection> {
    let attachments = attachment::either(fields.attachments, fields.atttachments)?;
    let op = Op::Edit {
        message_id: aliased_message_id(fields.message_id, fields.original_message_id)?,
        text: message_text(fields.message, attachments.is_empty())?,
        attachments,
    };
    command(user, fields.chat_id, op)
}

fn delete(user: &UserId, fields: DeleteFields<'_>) -> Result<Request, Rejection> {
    let message_id = aliased_message_id(fields.message_id, fields.original_message_id)?;
    command(user, fields.chat_id, Op::Delete { message_id })
}

/// What takes a chat and, perhaps, a message up to which it goes.
fn mark(
    user: &UserId,
    fields: MarkFields<'_>,
    op: impl FnOnce(Option<u64>) -> Op,
) -> Result<Request, Rejection> {
    let message_id = message_id("messageId", fields.message_id)?;
    command(user, fields.chat_id, op(message_id))
}

fn chats(fields: &ChatsFields<'_>) -> Result<Request, Rejection> {
    Ok(Request::Query(QueryKind::Chats {
        count: count(fields.count, CHATS_PAGE)?,
        before: fields.before.map(|before| Timestamp(before.0)),
    }))
}

fn chat(user: &UserId, fields: ChatFields<'_>) -> Result<Request, Rejection> {
    let chat = chat_key(user, fields.chat_id)?;
    Ok(Request::Query(QueryKind::Chat { chat }))
}

fn messages(user: &UserId, fields: MessagesFields<'_>) -> Result<Request, Rejection> {
    let start = message_id("startId", fields.start_id)?;
    let end = message_id("endId", fields.end_id)?;
    let page = match (start, end) {
        (Some(_), Some(_)) => return Err(bad("startId and endId exclude each other")),
        (Some(start), None) => Page::From(start),
        (None, Some(end)) => Page::Before(end),
        (None, None) => Page::Latest,
    };
    Ok(Request::Query(QueryKind::Messages {
        chat: chat_key(user, fields.chat_id)?,
        page,
        count: count(fields.count, MESSAGES_PAGE)?,
    }))
}

fn create_chat(fields: CreateFields<'_>) -> Result<Request, Rejection> {
    let kind = match &*need(fields.kind, "type")?.0 {
        "group" => ChatKind::Group,
        "channel" => ChatKind::Channel,
        _ => return Err(bad("type is group or channel")),
    };
    let history_all = match fields.history.as_ref().map(|history| &*history.0) {
        None => false,
        Some("all") => true,
        Some(_) => return Err(bad("history is \"all\" or left out")),
    };
    let op = Op::CreateChat {
        kind,
        name: chat_name(need(fields.name, "name")?)?,
        participants: users("participants", &need(fields.participants, "participants")?)?,
        photo_url: photo_url(fields.photo_url)?.filter(|url| !url.is_empty()),
        history_all,
    };
    let client_chat_id = client_id("clientChatId", fields.client_chat_id)?;
    Ok(Request::Create { client_chat_id, op })
}

fn update_chat(user: &UserId, fields: UpdateFields<'_>) -> Result<Request, Rejection> {
    let op = Op::UpdateChat {
        name: fields.name.map(chat_name).transpose()?,
        photo_url: photo_url(fields.photo_url)?,
        admins: fields.admins.map(|admins| users("admins", &admins)).transpose()?,
        owner: fields.owner.map(|owner| user_id("owner", &owner)).transpose()?,
    };
    command(user, fields.chat_id, op)
}

fn participants_of(
    user: &UserId,
    fields: ParticipantsFields<'_>,
    op: impl FnOnce(Vec<UserId>) -> Op,
) -> Result<Request, Rejection> {
    let participants = users("participants", &need(fields.participants, "participants")?)?;
    command(user, fields.chat_id, op(participants))
}

fn leave_chat(user: &UserId, fields: ChatFields<'_>) -> Result<Request, Rejection> {
    command(user, fields.chat_id, Op::Leave)
}

fn command(user: &UserId, chat_id: Option<Text<'_>>, op: Op) -> Result<Request, Rejection> {
    let chat = chat_key(user, chat_id)?;
    Ok(Request::Command { chat, op })
}

fn chat_key(user: &UserId, chat_id: Option<Text<'_>>) -> Result<ChatKey, Rejection> {
    let chat_id = need(chat_id, "chatId")?;
    ChatKey::named_by(user, &chat_id.0).map_err(|error| bad(format!("chatId: {error}")))
}

fn user_id(key: &str, text: &Text<'_>) -> Result<UserId, Rejection> {
    UserId::parse(&text.0).map_err(|error| bad(format!("{key}: {error}")))
}

/// The users of a list, repeats dropped, in the order given.
fn users(key: &str, list: &[Text<'_>]) -> Result<Vec<UserId>, Rejection> {
    let mut seen = BTreeSet::new();
    let mut users = Vec::new();
    for text in list {
        if !seen.insert(&*text.0) {
            continue;
        }
        if users.len() == limits::MEMBERS {
            return Err(too_large(format!("{key}: a chat has at most 1000 members")));
        }
        users.push(user_id(key, text)?);
    }
    Ok(users)
}

/// The text of a message, which may be left out or empty only beside attachments.
fn message_text(text: Option<Text<'_>>, needed: bool) -> Result<String, Rejection> {
    let text = text.map_or_else(String::new, |text| text.0.into_owned());
    if text.len() > limits::TEXT_BYTES {
        return Err(too_large("message has at most 16384 bytes"));
    }
    if needed && text.is_empty() {
        return Err(bad("a message has a text or at least one attachment"));
    }
    Ok(text)
}

fn message_id(key: &str, number: Option<Whole>) -> Result<Option<u64>, Rejection> {
    match number {
        Some(Whole(0)) => Err(bad(format!("{key}: messages count from 1"))),
        Some(Whole(id)) => Ok(Some(id)),
        None => Ok(None),
    }
}

fn aliased_message_id(plain: Option<Whole>, original: Option<Whole>) -> Result<u64, Rejection> {
    let plain = message_id("messageId", plain)?;
    let original = message_id("originalMessageId", original)?;
    if let (Some(plain), Some(original)) = (plain, original)
        && plain != original
    {
        return Err(bad("messageId and originalMessageId differ"));
    }
    need(plain.or(original), "messageId")
}

fn client_id(key: &str, id: Option<Text<'_>>) -> Result<Option<String>, Rejection> {
    match id {
        Some(id) if id.0.is_empty() || id.0.len() > limits::CLIENT_ID_BYTES => {
            Err(bad(format!("{key} has 1 to 128 bytes")))
        }
        id => Ok(id.map(|id| id.0.into_owned())),
    }
}

fn chat_name(name: Text<'_>) -> Result<String, Rejection> {
    if name.0.is_empty() || name.0.len() > limits::CHAT_NAME_BYTES {
        return Err(bad("name has 1 to 256 bytes"));
    }
    Ok(name.0.into_owned())
}

/// A chat's picture; the empty one is none, which in an update takes the picture away.
fn photo_url(url: Option<Text<'_>>) -> Result<Option<String>, Rejection> {
    match url {
        Some(url) if url.0.len() > limits::URL_BYTES => Err(too_large("photoUrl has at most 2048 bytes")),
        url => Ok(url.map(|url| url.0.into_owned())),
    }
}

fn count(count: Option<Whole>, default: u32) -> Result<u32, Rejection> {
    match count.map_or(Ok(default), |count| u32::try_from(count.0)) {
        Ok(count) if (1..=MAX_PAGE).contains(&count) => Ok(count),
        _ => Err(bad("count is 1 to 500")),
    }
}
