use std::sync::Arc;

use bytes::Bytes;
use confab_chat::{ChatKey, UserId};

use super::{Embedded, EmbeddedOptions};
use crate::{Key, NoLog, Range, Store, Take, Write};

fn options() -> EmbeddedOptions {
    EmbeddedOptions::new(Arc::new(|| 1000))
}

fn chat() -> ChatKey {
    ChatKey::dialog(&UserId::parse("ann").unwrap(), &UserId::parse("bob").unwrap())
}

fn message(id: u64, timestamp: u64, text: &str) -> Write {
    let value = Bytes::copy_from_slice(text.as_bytes());
    Write {
        key: Key::Message(chat(), id),
        timestamp,
        value,
        expires: None,
    }
}

#[tokio::test]
async fn what_is_written_is_read_and_stands_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path(), options(), Arc::new(NoLog)).unwrap();
    let all = Range::Messages {
        chat: chat(),
        from: 1,
        to: u64::MAX,
    };
    store
        .write((1..=10).map(|id| message(id, id, "x")).collect())
        .await
        .unwrap();
    assert_eq!(store.scan(all.clone(), Take::All).await.unwrap().len(), 10);
    store.sync().await.unwrap();
    store
        .write(vec![
            message(3, 2, "late"),
            message(4, 9, "edited"),
            message(11, 11, "y"),
        ])
        .await
        .unwrap();
    let ids = |rows: Vec<crate::Record>| rows.into_iter().map(|row| row.key).collect::<Vec<_>>();
    let found = store.scan(all.clone(), Take::Last(2)).await.unwrap();
    assert_eq!(ids(found), [Key::Message(chat(), 11), Key::Message(chat(), 10)]);
    assert_eq!(
        store.get(Key::Message(chat(), 3)).await.unwrap().unwrap().value,
        "x"
    );
    assert_eq!(
        store.get(Key::Message(chat(), 4)).await.unwrap().unwrap().value,
        "edited"
    );
    drop(store);
    let store = Embedded::open(dir.path(), options(), Arc::new(NoLog)).unwrap();
    assert_eq!(store.scan(all, Take::All).await.unwrap().len(), 11);
    assert_eq!(
        store.get(Key::Message(chat(), 3)).await.unwrap().unwrap().value,
        "x"
    );
    assert_eq!(
        store.get(Key::Message(chat(), 4)).await.unwrap().unwrap().value,
        "edited"
    );
}
