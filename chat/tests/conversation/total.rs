//! `needs` and `apply` answer whatever they are given: no command, state or fact makes them panic.

use confab_chat::conversation::{self, Facts, Input, MarkFacts, State};
use confab_chat::row::{ClientIdRow, Deletion, MessageRow};
use confab_chat::{ChatKey, ChatKind, Command, EntryId, Op, Timestamp, UserId};
use proptest::option;
use proptest::prelude::{BoxedStrategy, Just, Strategy, any};
use proptest::test_runner::Config;
use proptest::{collection, prop_oneof, proptest, sample};

use crate::world::{command, user};

fn number() -> BoxedStrategy<u64> {
    prop_oneof![4 => 0..6u64, 1 => 2040..2060u64, 1 => any::<u64>()].boxed()
}

fn name() -> BoxedStrategy<UserId> {
    let odd = sample::select(vec!["alice", "bob", "~", "~e1", "💬", "a>b", "*", "d:x", "g"]);
    prop_oneof![6 => odd, 1 => Just("zoe")].prop_map(user).boxed()
}

fn names() -> BoxedStrategy<Vec<UserId>> {
    collection::vec(name(), 0..6).boxed()
}

fn kind() -> BoxedStrategy<ChatKind> {
    sample::select(vec![ChatKind::Dialog, ChatKind::Group, ChatKind::Channel]).boxed()
}

fn op() -> BoxedStrategy<Op> {
    let words = || "\\PC{0,12}";
    prop_oneof![
        4 => (words(), option::of(number()), option::of(words())).prop_map(|(text, reply_to, client_message_id)| Op::New {
            text, attachments: Vec::new(), reply_to, client_message_id,
        }),
        2 => (number(), words()).prop_map(|(message_id, text)| Op::Edit { message_id, text, attachments: Vec::new() }),
        2 => number().prop_map(|message_id| Op::Delete { message_id }),
        2 => option::of(number()).prop_map(|message_id| Op::MarkDelivered { message_id }),
        2 => option::of(number()).prop_map(|message_id| Op::MarkRead { message_id }),
        3 => (kind(), words(), names(), any::<bool>()).prop_map(|(kind, name, participants, history_all)| Op::CreateChat {
            kind, name, participants, photo_url: None, history_all,
        }),
        1 => option::of(number()).prop_map(|message_id| Op::DeleteChat { message_id }),
        2 => (option::of(words()), option::of(names()), option::of(name())).prop_map(|(name, admins, owner)| Op::UpdateChat {
            name, photo_url: None, admins, owner,
        }),
        2 => names().prop_map(|participants| Op::AddParticipants { participants }),
        2 => names().prop_map(|participants| Op::RemoveParticipants { participants }),
        1 => Just(Op::Leave),
    ]
    .boxed()
}

fn message() -> BoxedStrategy<MessageRow> {
    (number(), name(), number(), option::of((number(), number())))
        .prop_map(|(message_id, sender, version, deleted)| MessageRow {
            message_id,
            sender,
            client_message_id: None,
            text: String::new(),
            attachments: Vec::new(),
            reply_to: None,
            created_at: Timestamp(version),
            version,
            updated_at: None,
            deleted: deleted.map(|(at, version)| Deletion {
                at: Timestamp(at),
                version,
            }),
        })
        .boxed()
}

fn facts() -> BoxedStrategy<Facts> {
    let mark = || option::of((number(), number().prop_map(Timestamp)));
    let marks = (mark(), mark(), mark(), mark());
    let client_id = option::weighted(0.2, (number(), number(), number()));
    (client_id, collection::vec(message(), 0..3), marks)
        .prop_map(|(client_id, messages, marks)| Facts {
            client_id: client_id.map(|(message_id, at, version)| ClientIdRow {
                message_id,
                at: Timestamp(at),
                version,
            }),
            messages,
            marks: MarkFacts {
                read_from: marks.0,
                read_below: marks.1,
                delivered_from: marks.2,
                delivered_below: marks.3,
            },
        })
        .boxed()
}

fn chat() -> BoxedStrategy<ChatKey> {
    let dialog = (name(), name()).prop_map(|(one, other)| ChatKey::dialog(&one, &other));
    prop_oneof![dialog, Just(ChatKey::group(&user("alice"), "c"))].boxed()
}

proptest! {
    #![proptest_config(Config::with_cases(2000))]

    #[test]
    fn nothing_makes_a_chat_panic(
        chat in chat(),
        entries in collection::vec((name(), op(), facts(), number(), 0..4u32), 1..25),
    ) {
        let mut state = State::new(chat.clone());
        for (seq, (by, op, facts, time, epoch)) in (1..).zip(entries) {
            let id = EntryId(format!("{}", seq % 20).into());
            let command = Command { user: by, ..command(&chat, "alice", op) };
            let input = Input { id: &id, epoch, seq, time: Timestamp(time), command: &command };
            let before = state.head.version;
            let needs = conversation::needs(&state, &id, &command);
            assert!(needs.len() <= 2);
            let effects = conversation::apply(&mut state, input, &facts);
            assert!(effects.version > before);
            assert_eq!(effects.version, state.head.version);
            for user in &effects.changed {
                assert!(effects.rows.iter().any(|row| matches!(
                    row,
                    confab_chat::row::Row::Membership { user: of, .. } if of == user
                )), "what changes in a member shows in the member's row");
            }
        }
    }
}
