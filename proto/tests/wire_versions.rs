//! During an upgrade two versions read each other's bytes. A later one adds fields: the one before passes over them and reads the rest as it
//! was meant.

// Helpers of tests fail the test when something is not as it must be.
#![allow(clippy::expect_used)]

mod support;

use std::collections::BTreeSet;
use std::fmt::Debug;

use confab_chat::row::{ClientIdRow, HeadRow, MembershipRow, MessageRow, RosterRow};
use confab_chat::{Timestamp, conversation, mailbox};
use confab_proto::message::{Announcement, Answer, LogEntry, Query, Signal, ToGateway};
use confab_proto::row::{CheckpointRow, CursorRow, InboxRow, ReachRow, UserRow};
use confab_proto::wire::Wire;

use support::golden::Golden;

/// Field 5000, a number; field 5001, three bytes: no version has them.
const ADDED: &[u8] = &[0xc0, 0xb8, 0x02, 0x01, 0xca, 0xb8, 0x02, 0x03, b'n', b'e', b'w'];

/// Reads every line of a type with and without what was added.
fn passes_over<T: Wire + PartialEq + Debug>(golden: &Golden, name: &str, done: &mut BTreeSet<String>) {
    for line in golden.read(name).lines() {
        let bytes = unhex(line);
        let plain = T::decode(&bytes).expect("old bytes stay readable");
        let later = T::decode(&[&bytes, ADDED].concat());
        assert_eq!(
            later.expect("added fields are passed over"),
            plain,
            "{name}: {line}"
        );
    }
    assert!(done.insert(name.to_owned()), "{name} twice");
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal digits"))
        .collect()
}

#[test]
fn what_a_later_version_adds_is_passed_over() {
    let golden = Golden::open("golden-wire", "hex");
    let mut done = BTreeSet::new();
    passes_over::<LogEntry>(&golden, "log-entry", &mut done);
    passes_over::<Signal>(&golden, "signal", &mut done);
    passes_over::<ToGateway>(&golden, "to-gateway", &mut done);
    passes_over::<Query>(&golden, "query", &mut done);
    passes_over::<Answer>(&golden, "answer", &mut done);
    passes_over::<Announcement>(&golden, "announcement", &mut done);
    passes_over::<MessageRow>(&golden, "message-row", &mut done);
    passes_over::<ClientIdRow>(&golden, "client-id-row", &mut done);
    passes_over::<HeadRow>(&golden, "head-row", &mut done);
    passes_over::<RosterRow>(&golden, "roster-row", &mut done);
    passes_over::<MembershipRow>(&golden, "membership-row", &mut done);
    passes_over::<Timestamp>(&golden, "mark-row", &mut done);
    passes_over::<InboxRow>(&golden, "inbox-row", &mut done);
    passes_over::<CursorRow>(&golden, "cursor-row", &mut done);
    passes_over::<UserRow>(&golden, "user-row", &mut done);
    passes_over::<CheckpointRow>(&golden, "checkpoint-row", &mut done);
    passes_over::<ReachRow>(&golden, "reach-row", &mut done);
    passes_over::<conversation::Head>(&golden, "conversation-head", &mut done);
    passes_over::<conversation::Member>(&golden, "conversation-member", &mut done);
    passes_over::<mailbox::Head>(&golden, "mailbox-head", &mut done);
    passes_over::<u64>(&golden, "version-seen", &mut done);
    let all: BTreeSet<String> = golden.names("").into_iter().collect();
    assert_eq!(done, all, "every type that goes over the wire");
}
