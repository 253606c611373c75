//! Bytes that protobuf can read but that are no value of the domain, and bytes that are too many.

// Helpers of tests fail the test when something is not as it must be.
#![allow(clippy::expect_used)]

mod support;

use confab_chat::row::{MembershipRow, RosterRow};
use confab_chat::{Op, Timestamp};
use confab_proto::message::{Announcement, EntryBody, LogEntry, Query, Signal};
use confab_proto::wire::Wire;

/// A length-delimited field: its number, its bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).expect("short");
    assert!(length < 128, "short");
    [&[number << 3 | 2, length], bytes].concat()
}

/// A number's field.
fn number(number: u8, value: u8) -> Vec<u8> {
    vec![number << 3, value]
}

fn why<T: Wire + std::fmt::Debug>(bytes: &[u8]) -> String {
    T::decode(bytes).expect_err("it is refused").to_string()
}

/// A question for the list of chats by a user of this name.
fn query_by(user: &str) -> Vec<u8> {
    [field(1, user.as_bytes()), field(2, &[])].concat()
}

#[test]
fn a_malformed_id_is_refused_wherever_it_comes_from() {
    assert!(Query::decode(&query_by("ann")).is_ok());
    assert_eq!(
        why::<Query>(&query_by("an n")),
        "not a valid query: a user id has no white space and no control characters"
    );
    assert_eq!(
        why::<Query>(&query_by("g:ann")),
        "not a valid query: a user id does not start with g:"
    );
    assert_eq!(
        why::<Query>(&query_by("")),
        "not a valid query: a user id has 1 to 128 bytes"
    );

    let typing = |chat: &str| field(6, &[field(1, chat.as_bytes()), field(2, b"ann")].concat());
    assert!(Signal::decode(&typing("d:ann bob")).is_ok());
    assert!(why::<Signal>(&typing("d:bob ann")).contains("smaller user first"));
    assert!(why::<Signal>(&typing("g:")).contains("group id"));

    let ack = |device: &str| field(4, &[field(1, b"ann"), field(2, device.as_bytes())].concat());
    assert!(Signal::decode(&ack("phone")).is_ok());
    assert!(why::<Signal>(&ack("my phone")).contains("device name"));
}

#[test]
fn what_is_missing_or_unknown_is_refused() {
    assert_eq!(
        why::<LogEntry>(&field(1, b"e-1")),
        "not a valid log entry: an entry's body is missing"
    );
    assert_eq!(
        why::<Signal>(&[]),
        "not a valid signal: a signal's kind is missing"
    );
    assert_eq!(
        why::<MembershipRow>(&number(1, 9)),
        "not a valid membership row: unknown role 9"
    );
    let began = |partition: &[u8]| field(2, &[&[1 << 3], partition].concat());
    assert!(Announcement::decode(&began(&[0xff, 0xff, 0x03])).is_ok());
    assert!(why::<Announcement>(&began(&[0x80, 0x80, 0x04])).contains("no partition 65536"));
}

#[test]
fn a_field_of_a_later_version_is_passed_over() {
    let bytes = [number(1, 5), number(15, 1)].concat();
    assert_eq!(Timestamp::decode(&bytes), Ok(Timestamp(5)));
}

#[test]
fn too_many_bytes_are_refused_unread() {
    let huge = vec![0xff; 4097];
    assert_eq!(
        why::<Query>(&huge),
        "not a valid query: 4097 bytes, at most 4096 are taken"
    );
}

#[test]
fn a_list_that_is_too_long_is_refused() {
    let roster = |members: usize| [field(1, b"ann"), field(3, b"ann").repeat(members)].concat();
    assert!(RosterRow::decode(&roster(4000)).is_ok());
    assert_eq!(
        why::<RosterRow>(&roster(4001)),
        "not a valid roster row: 4001 members, at most 4000 are taken"
    );
}

#[test]
fn the_largest_command_and_the_largest_delivery_fit() {
    use confab_chat::{Command, EntryId, Event, GatewayId, Origin, RequestId, SessionId, UserId};
    use confab_proto::message::DeliverItem;
    use std::sync::Arc;

    let users: Vec<UserId> = (0..1000)
        .map(|number| support::samples::user(&format!("{number:0>128}")))
        .collect();
    let text = "x".repeat(confab_proto::client::MAX_INCOMING_BYTES);
    let event = Arc::new(Event::Edit {
        chat: support::samples::group(),
        message_id: u64::MAX,
        by: users[0].clone(),
        text,
        attachments: Vec::new(),
        at: Timestamp(u64::MAX),
    });
    let item = DeliverItem {
        chat: support::samples::group(),
        version: u64::MAX,
        to: users.clone().into(),
        events: vec![event.clone(), event].into(),
        greet: users.clone(),
    };
    // What a batch holds below 512 KiB, and one item more.
    let deliver = EntryBody::Deliver(vec![item.clone(), item]);
    let command = EntryBody::Command(Command {
        chat: support::samples::group(),
        user: users[0].clone(),
        origin: Origin {
            gateway: GatewayId("gw".into()),
            session: SessionId(u64::MAX),
            request: RequestId(u64::MAX),
        },
        op: Op::AddParticipants { participants: users },
    });
    for body in [deliver, command] {
        let entry = LogEntry {
            id: EntryId("e".into()),
            body,
        };
        assert_eq!(LogEntry::decode(&entry.encode()), Ok(entry));
    }
}
