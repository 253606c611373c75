//! What the embedded store takes for the rows of a message: written by the caller, and a hundred of them saved and synced.

#![allow(missing_docs, reason = "criterion's macros make functions without")]
#![allow(clippy::expect_used, reason = "a measurement")]

use std::sync::Arc;

use bytes::Bytes;
use confab_chat::{ChatKey, UserId};
use confab_store::{Embedded, EmbeddedOptions, Key, NoLog, Store, Write};
use criterion::{Criterion, criterion_group, criterion_main};

fn user(n: u64) -> UserId {
    UserId::parse(&format!("user-{n}")).expect("a user id")
}

fn rows(message: u64) -> Vec<Write> {
    let (n, id) = (message % 1000, 1 + message / 1000);
    let chat = ChatKey::dialog(&user(n), &user(n + 1));
    let row = |key, size: usize| Write {
        key,
        timestamp: id,
        value: Bytes::from(vec![7; size]),
        expires: None,
    };
    vec![
        row(Key::Message(chat.clone(), id), 280),
        row(
            Key::ClientId(chat.clone(), user(n), format!("client-{id}").into()),
            30,
        ),
        row(Key::Head(chat), 300),
        row(Key::Inbox(user(n), message), 320),
        row(Key::Inbox(user(n + 1), message), 320),
    ]
}

fn commit(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory");
    let options = EmbeddedOptions::new(Arc::new(|| 1));
    let store = Embedded::open(directory.path(), options, Arc::new(NoLog)).expect("a store");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let mut message = 0;
    criterion.bench_function("the rows of a message written", |bencher| {
        bencher.iter(|| {
            message += 1;
            runtime.block_on(store.write(rows(message))).expect("written");
        });
    });
    criterion.bench_function("the rows of 100 messages written, saved and synced", |bencher| {
        bencher.iter(|| {
            for _ in 0..100 {
                message += 1;
                runtime.block_on(store.write(rows(message))).expect("written");
            }
            runtime.block_on(store.sync()).expect("synced");
        });
    });
}

criterion_group!(benches, commit);
criterion_main!(benches);
