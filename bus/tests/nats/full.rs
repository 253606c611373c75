//! A log that runs full: commands are refused first, and what is stored stays.

use confab_bus::nats::{Nats, NatsOptions};
use confab_bus::{AppendError, Bus, PartitionReader, Position};

use crate::harness::{Installation, P, append, command, delivery, ids, read, soon};

#[tokio::test]
async fn commands_are_refused_first() {
    let Some(installation) = Installation::new() else {
        return;
    };
    let options = NatsOptions {
        max_bytes: 64 << 20,
        ..installation.options()
    };
    let bus = Nats::connect(options).await.unwrap();
    for n in 0..56 {
        let large = command(&format!("large {n}"), 1_000_000);
        bus.append(P, large).await.unwrap();
    }
    let refused = soon("a refusal", async {
        let mut n = 0;
        loop {
            n += 1;
            if let Err(error) = bus.append(P, command(&format!("small {n}"), 1)).await {
                break error;
            }
        }
    });
    let refused = refused.await;
    assert!(
        matches!(&refused, AppendError::Refused(why) if why.contains("80%")),
        "{refused}"
    );
    for n in 0..1000 {
        let stands = bus.append(P, delivery(&format!("d{n}"))).await;
        assert!(
            stands.is_ok(),
            "what follows from commands must find room: {stands:?}"
        );
    }
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_the_rest_stays_readable() {
    let Some(installation) = Installation::new() else {
        return;
    };
    let options = NatsOptions {
        max_bytes: 64 << 10,
        ..installation.options()
    };
    let bus = Nats::connect(options).await.unwrap();
    let mut stored = Vec::new();
    let refused = loop {
        let id = format!("d{}", stored.len());
        match bus.append(P, delivery(&id)).await {
            Ok(_) => stored.push(id),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, AppendError::Refused(_)), "{refused}");
    let mut reader = bus.open(P, Position::default()).await.unwrap();
    assert_eq!(reader.end_at_open().seq, stored.len() as u64);
    assert_eq!(ids(&read(&mut reader, stored.len()).await), stored);
    let large = bus.append(P, command("large", 2 << 20)).await;
    assert!(matches!(large, Err(AppendError::Refused(_))), "{large:?}");
}

#[tokio::test]
async fn trimming_deletes_nothing_while_there_is_room() {
    let Some(installation) = Installation::new() else {
        return;
    };
    let bus = installation.connect().await;
    let first = append(&bus, "1").await;
    append(&bus, "2").await;
    bus.trim(P, first).await;
    assert_eq!(installation.stream(P).await.cached_info().state.messages, 2);
}
