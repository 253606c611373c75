//! What is written field by field is what prost writes: old bytes and new ones are the same, and stored states are
//! compared.

#[path = "../../tests/support/strategies.rs"]
#[allow(dead_code, reason = "those of the client protocol are of no use here")]
mod strategies;

use std::fmt::Debug;

use proptest::prelude::Strategy;
use proptest::test_runner::{Config, TestRunner};
use prost::Message;

use super::{Wire, pb};

/// Reads the bytes as the generated message and lets prost write it again.
fn same<M: Message + Default, T: Wire + Debug>(values: impl Strategy<Value = T>) {
    let config = Config {
        failure_persistence: None,
        cases: 512,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&values, |value| {
            let bytes = value.encode();
            let message = M::decode(&*bytes).expect("what was encoded decodes");
            assert_eq!(message.encode_to_vec(), bytes);
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
}

macro_rules! same {
    ($($name:ident $message:ident;)*) => {$(
        #[test]
        fn $name() {
            same::<pb::$message, _>(strategies::$name());
        }
    )*};
}

same! {
    log_entry LogEntry;
    signal Signal;
    to_gateway ToGateway;
    query Query;
    answer Answer;
    announcement Announcement;
    message_row MessageRow;
    client_id_row ClientIdRow;
    head_row HeadRow;
    roster_row RosterRow;
    membership_row MembershipRow;
    mark_row MarkRow;
    inbox_row InboxRow;
    cursor_row CursorRow;
    user_row UserRow;
    checkpoint_row CheckpointRow;
    reach_row ReachRow;
    conversation_head ConversationHead;
    conversation_member ConversationMember;
    mailbox_head MailboxHead;
    version_seen MailboxSeen;
}
