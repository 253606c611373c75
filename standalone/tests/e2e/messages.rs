//! The request `messages`: pages of a history.

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::{dialog, two};

async fn ids(client: &mut Client, payload: Value) -> Vec<u64> {
    let page = client.request("messages", payload).await;
    page.as_array()
        .unwrap()
        .iter()
        .map(|message| message["messageId"].as_u64().unwrap())
        .collect()
}

#[tokio::test]
async fn pages_go_by_ascending_message_id() {
    let (mut a, _, mut b, bob) = dialog(20).await;
    let chat = &bob;
    assert_eq!(
        ids(&mut a, json!({"chatId": chat})).await,
        (1..=20).collect::<Vec<_>>()
    );
    assert_eq!(
        ids(&mut a, json!({"chatId": chat, "count": 3})).await,
        [18, 19, 20],
        "neither gives the latest"
    );
    let upwards = json!({"chatId": chat, "startId": 5, "count": 3});
    assert_eq!(
        ids(&mut a, upwards).await,
        [5, 6, 7],
        "startId is included and goes upwards"
    );
    let backwards = json!({"chatId": chat, "endId": 5, "count": 3});
    assert_eq!(
        ids(&mut a, backwards).await,
        [2, 3, 4],
        "endId is excluded and goes backwards"
    );
    b.settle().await;
}

#[tokio::test]
async fn the_end_is_an_empty_page() {
    let (mut a, _, _b, bob) = dialog(5).await;
    assert_eq!(ids(&mut a, json!({"chatId": bob, "startId": 5})).await, [5]);
    assert_eq!(ids(&mut a, json!({"chatId": bob, "startId": 6})).await, [0; 0]);
    assert_eq!(
        ids(&mut a, json!({"chatId": bob, "startId": 1_000_000})).await,
        [0; 0]
    );
    assert_eq!(ids(&mut a, json!({"chatId": bob, "endId": 1})).await, [0; 0]);
    assert_eq!(ids(&mut a, json!({"chatId": bob, "endId": 2})).await, [1]);
    assert_eq!(
        ids(&mut a, json!({"chatId": bob, "endId": 1_000_000, "count": 2})).await,
        [4, 5]
    );
}

#[tokio::test]
async fn start_id_and_end_id_together_are_bad() {
    let (mut a, _, _b, bob) = dialog(5).await;
    assert_eq!(
        a.error("messages", json!({"chatId": bob, "startId": 1, "endId": 3}))
            .await,
        "bad_request"
    );
}

#[tokio::test]
async fn count_is_1_to_500_and_300_by_default() {
    let (mut a, _, mut b, bob) = two().await;
    let mut asked = Vec::new();
    for n in 1..=520 {
        asked.push(
            a.ask("new", json!({"chatId": bob, "message": format!("{n}")}))
                .await,
        );
    }
    for id in asked {
        a.answer(&id).await;
    }
    assert_eq!(
        ids(&mut a, json!({"chatId": bob})).await,
        (221..=520).collect::<Vec<_>>()
    );
    assert_eq!(
        ids(&mut a, json!({"chatId": bob, "count": 500})).await,
        (21..=520).collect::<Vec<_>>()
    );
    assert_eq!(ids(&mut a, json!({"chatId": bob, "count": 1})).await, [520]);
    for count in [json!(0), json!(501), json!(-1), json!("5"), json!(2.5)] {
        assert_eq!(
            a.error("messages", json!({"chatId": bob, "count": count})).await,
            "bad_request"
        );
    }
    b.settle().await;
}

#[tokio::test]
async fn ids_out_of_range_or_of_another_type_are_bad() {
    let (mut a, _, _b, bob) = dialog(1).await;
    for field in ["startId", "endId"] {
        for value in [json!("1"), json!(-1), json!(1.5), json!([]), json!(1e300)] {
            let mut payload = json!({"chatId": bob});
            payload[field] = value.clone();
            assert_eq!(
                a.error("messages", payload).await,
                "bad_request",
                "{field}: {value}"
            );
        }
    }
}

#[tokio::test]
async fn a_dialog_never_opened_answers_an_empty_page() {
    let (mut a, _, mut b, bob) = two().await;
    assert_eq!(ids(&mut a, json!({"chatId": bob})).await, [0; 0]);
    assert_eq!(ids(&mut a, json!({"chatId": bob, "startId": 1})).await, [0; 0]);
    assert_eq!(
        ids(&mut a, json!({"chatId": crate::unique("nobody")})).await,
        [0; 0]
    );
    assert!(b.durable_so_far().is_empty(), "asking opens nothing");
}

#[tokio::test]
async fn a_page_is_at_most_1_mib_and_holds_at_least_one() {
    let (mut a, _, mut b, bob) = two().await;
    let text = "\u{1}".repeat(10_000);
    let mut asked = Vec::new();
    for _ in 0..60 {
        asked.push(a.ask("new", json!({"chatId": bob, "message": text})).await);
    }
    for id in asked {
        a.answer(&id).await;
    }
    // The client itself refuses a frame of more than 1 MiB.
    let mut next = 1;
    let mut pages = 0;
    loop {
        let page = ids(&mut a, json!({"chatId": bob, "startId": next, "count": 500})).await;
        if page.is_empty() {
            break;
        }
        let expected: Vec<u64> = (next..next + page.len() as u64).collect();
        assert_eq!(page, expected);
        next += page.len() as u64;
        pages += 1;
    }
    assert_eq!(next, 61);
    assert!(pages >= 4, "3.6 MB in {pages} pages");
    let mut end = 61;
    while end > 1 {
        let page = ids(&mut a, json!({"chatId": bob, "endId": end, "count": 500})).await;
        assert_eq!(
            page.last(),
            Some(&(end - 1)),
            "a page backwards ends before endId"
        );
        end = page[0];
    }
    let latest = ids(&mut a, json!({"chatId": bob, "count": 500})).await;
    assert_eq!(latest.last(), Some(&60));
    b.settle().await;
}
