use std::sync::Arc;

use confab_chat::row::{MembershipRow, Role};
use confab_chat::{Attachment, AttachmentMeta, EntryId, Event, Quote, Timestamp};
use confab_proto::message::{EntryBody, LogEntry};

use super::*;

fn user(id: &str) -> UserId {
    UserId::parse(id).unwrap()
}

/// The largest names and texts that a client can send.
fn largest(text: usize) -> Arc<Event> {
    let [a, b] = ["a", "b"].map(|id| user(&id.repeat(128)));
    let attachment = Attachment {
        id: "i".repeat(300),
        filename: "f".repeat(300),
        url: "u".repeat(2048),
        meta: AttachmentMeta::Video {
            mimetype: "m".repeat(300),
            width: u64::MAX,
            height: u64::MAX,
            size: u64::MAX,
            duration_ms: u64::MAX,
        },
    };
    Arc::new(Event::New {
        chat: ChatKey::dialog(&a, &b),
        message_id: u64::MAX,
        sender: a.clone(),
        client_message_id: Some("c".repeat(128)),
        text: "t".repeat(text),
        attachments: vec![attachment; 10],
        reply_to: Some(Quote {
            message_id: u64::MAX,
            client_message_id: Some("c".repeat(128)),
            sender: b,
            created_at: Timestamp(u64::MAX),
        }),
        at: Timestamp(u64::MAX),
    })
}

fn deliver(mail: &mut Mail, version: u64, text: usize) {
    let chat = ChatKey::dialog(&user("a"), &user("b"));
    let delivery = Delivery {
        to: [user("a"), user("b")].into(),
        events: vec![largest(text), Arc::new(Event::Chats)].into(),
        greet: vec![user(&"g".repeat(128)); 20],
    };
    mail.post(&chat, version, delivery, 1);
}

#[test]
fn an_item_takes_no_more_than_was_reckoned() {
    for text in [0, 16 * 1024] {
        let mut mail = Mail::default();
        deliver(&mut mail, u64::MAX, text);
        let (_, mut entries) = mail.into_entries().next().unwrap();
        let items = entries.remove(0);
        let reckoned: usize = items.iter().map(item_bytes).sum();
        let body = EntryBody::Deliver(items);
        let id = EntryId("".into());
        assert!(LogEntry { id, body }.encode().len() <= reckoned);
    }
}

#[test]
fn entries_stay_below_the_bound_and_in_order() {
    let mut mail = Mail::default();
    for version in 1..=100 {
        deliver(&mut mail, version, 16 * 1024);
    }
    let (_, entries) = mail.into_entries().next().unwrap();
    assert!(entries.len() > 4);
    let versions: Vec<u64> = entries.iter().flatten().map(|item| item.version).collect();
    assert_eq!(versions, (1..=100).collect::<Vec<_>>());
    for items in entries {
        let id = EntryId("worker.7.0.123456".into());
        let body = EntryBody::Deliver(items);
        assert!(LogEntry { id, body }.encode().len() <= bounds::BYTES);
    }
}

#[test]
fn each_partition_gets_the_receivers_that_live_there() {
    let mut mail = Mail::default();
    let chat = ChatKey::dialog(&user("a"), &user("b"));
    let to: Vec<UserId> = (0..100).map(|n| user(&format!("u{n}"))).collect();
    let delivery = Delivery {
        to: to.clone().into(),
        events: [Arc::new(Event::Chats)].into(),
        greet: Vec::new(),
    };
    mail.post(&chat, 1, delivery, 8);
    let mut receivers = Vec::new();
    for (partition, entries) in mail.into_entries() {
        for item in entries.into_iter().flatten() {
            assert!(item.to.iter().all(|user| user.partition(8) == partition));
            receivers.extend(item.to);
        }
    }
    receivers.sort();
    let mut expected = to;
    expected.sort();
    assert_eq!(receivers, expected);
}

#[test]
fn of_a_row_written_again_only_the_last_form_leaves() {
    let chat = ChatKey::dialog(&user("a"), &user("b"));
    let membership = |read| Row::Membership {
        user: user("a"),
        row: MembershipRow {
            role: Some(Role::Member),
            listed: true,
            since: Timestamp(1),
            hidden_before: 0,
            delivered: read,
            read,
            joined_at: 0,
            last_sent: 0,
        },
    };
    let mut rows = Rows::default();
    for version in 1..=3 {
        rows.chat(&chat, version, membership(version), true);
    }
    let written = rows.take();
    assert_eq!((written.len(), written[0].timestamp), (1, 3));
    assert_eq!(MembershipRow::decode(&written[0].value).unwrap().read, 3);
}
