//! What a decision costs: a message applied to its chat, and delivered to a mailbox.

#![allow(missing_docs, reason = "criterion's macros make functions without")]
#![allow(clippy::expect_used, reason = "a measurement")]

use std::hint::black_box;
use std::sync::Arc;

use confab_chat::conversation::{self, Facts, Input};
use confab_chat::mailbox::{self, At, Incoming};
use confab_chat::{
    ChatKey, Command, EntryId, Event, GatewayId, Op, Origin, RequestId, SessionId, Timestamp, UserId,
};
use criterion::{Criterion, criterion_group, criterion_main};

fn user(name: &str) -> UserId {
    UserId::parse(name).expect("a user id")
}

fn new(chat: &ChatKey) -> Command {
    Command {
        chat: chat.clone(),
        user: user("alice"),
        origin: Origin {
            gateway: GatewayId("gateway".into()),
            session: SessionId(1),
            request: RequestId(1),
        },
        op: Op::New {
            text: "x".repeat(200),
            attachments: Vec::new(),
            reply_to: None,
            client_message_id: Some("m1".into()),
        },
    }
}

fn chat(criterion: &mut Criterion) {
    let key = ChatKey::dialog(&user("alice"), &user("bob"));
    let command = new(&key);
    let mut state = conversation::State::new(key);
    let mut seq = 0;
    criterion.bench_function("a message applied to its chat", |bencher| {
        bencher.iter(|| {
            seq += 1;
            let id = EntryId(format!("e{seq}").into());
            let input = Input {
                id: &id,
                epoch: 1,
                seq,
                time: Timestamp(seq),
                command: &command,
            };
            black_box(conversation::apply(&mut state, input, &Facts::default()))
        });
    });
}

fn inbox(criterion: &mut Criterion) {
    let chat = ChatKey::dialog(&user("alice"), &user("bob"));
    let events = [Arc::new(Event::Chats)];
    let mut state = mailbox::State::new(user("bob"));
    let mut version = 0;
    criterion.bench_function("an event delivered to a mailbox", |bencher| {
        bencher.iter(|| {
            version += 1;
            let at = At {
                epoch: 1,
                seq: version,
                time: Timestamp(version),
            };
            let item = Incoming {
                chat: &chat,
                version,
                events: &events,
            };
            black_box(mailbox::deliver(&mut state, at, &[item]))
        });
    });
}

criterion_group!(benches, chat, inbox);
criterion_main!(benches);
