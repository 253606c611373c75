//! What the clients saw, as the checker knows it.

use confab_bus::Bus;
use confab_chat::{ChatKey, Event as ChatEvent, Timestamp, UserId};
use confab_proto::message::{MailboxEvent, Page, Query, QueryKind};
use serde_json::Value;

use crate::Service;
use crate::support::checker::{Event, View, What};
use crate::support::observe::{chat_name, stored};

/// The checker's name of a chat.
pub(crate) fn name(chat: &ChatKey) -> String {
    match chat.sides() {
        Some((low, high)) => chat_name(low.as_str(), high.as_str()),
        None => chat.as_str().to_owned(),
    }
}

/// An event of a mailbox.
pub(crate) fn observed(event: &MailboxEvent) -> Event {
    let (chat, what, at) = match &*event.event {
        ChatEvent::Chats => (String::new(), What::Chats, Timestamp(0)),
        ChatEvent::New {
            chat,
            message_id,
            sender,
            client_message_id,
            text,
            at,
            ..
        } => {
            let (message, sender) = (*message_id, sender.as_str().to_owned());
            let (client_id, text) = (client_message_id.clone(), text.clone());
            (
                name(chat),
                What::New {
                    message,
                    sender,
                    client_id,
                    text,
                },
                *at,
            )
        }
        ChatEvent::Edit {
            chat,
            message_id,
            text,
            at,
            ..
        } => {
            let (message, text) = (*message_id, text.clone());
            (name(chat), What::Edit { message, text }, *at)
        }
        ChatEvent::Delete {
            chat, message_id, at, ..
        } => (name(chat), What::Delete { message: *message_id }, *at),
        ChatEvent::Delivered {
            chat,
            by,
            message_id,
            at,
        } => (name(chat), mark(false, by, *message_id), *at),
        ChatEvent::Read {
            chat,
            by,
            message_id,
            at,
        } => (name(chat), mark(true, by, *message_id), *at),
    };
    let (id, time) = (event.id, at.as_millis());
    Event { id, chat, what, time }
}

fn mark(read: bool, by: &UserId, message: u64) -> What {
    let user = by.as_str().to_owned();
    What::Mark { read, user, message }
}

/// A chat as a member sees it, by the service's own queries.
pub(crate) async fn view(service: &Service, chat: &ChatKey, member: &UserId) -> View {
    let ask = async |what| -> Value {
        let answer = service
            .bus
            .query(Query {
                user: member.clone(),
                what,
            })
            .await
            .unwrap();
        serde_json::from_slice(&answer.unwrap()).unwrap()
    };
    let seen_as = chat.name_for(member);
    let mut messages = Vec::new();
    loop {
        let page = Page::From(messages.len() as u64 + 1);
        let page = ask(QueryKind::Messages {
            chat: chat.clone(),
            page,
            count: 500,
        })
        .await;
        let page = page.as_array().unwrap();
        if page.is_empty() {
            break;
        }
        messages.extend(
            page.iter()
                .map(|message| stored(member.as_str(), seen_as, message)),
        );
    }
    let missed = ask(QueryKind::Chat { chat: chat.clone() }).await["missed"]
        .as_u64()
        .unwrap();
    View {
        chat: name(chat),
        user: member.as_str().to_owned(),
        missed,
        messages,
    }
}
