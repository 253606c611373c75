//! The way of a message, and `messages` after it.

use std::time::Duration;

use confab_chat::{Code, Event, Op, Reply, Timestamp};
use confab_proto::message::{Page, QueryKind};
use serde_json::{Value, json};

use crate::support::{START, World, answer_to, dialog, named, new, user};

fn ids(page: &Value) -> Vec<u64> {
    let page = page.as_array().unwrap();
    page.iter()
        .map(|message| message["messageId"].as_u64().unwrap())
        .collect()
}

#[tokio::test]
async fn a_message_is_answered_stored_and_in_both_mailboxes() {
    let (mut world, _worker) = World::with_worker().await;
    let chat = dialog("alice", "bob");
    let reply = world.ask("alice", &chat, named("hello", "c1")).await;
    let at = Timestamp(START + 1);
    let expected = Reply::Message {
        message_id: 1,
        at,
        client_message_id: Some("c1".to_owned()),
    };
    assert_eq!(reply, expected);
    let page = world.messages("bob", &chat, Page::Latest, 300).await;
    let message = json!({
        "messageId": 1, "clientMessageId": "c1", "message": "hello", "sender": "alice", "status": "unread",
        "createdAt": START + 1,
    });
    assert_eq!(page, json!([message]));
    for who in ["alice", "bob"] {
        let inbox = world.inbox(who, 2).await;
        assert!(matches!(&*inbox[0].event, Event::Chats), "{inbox:?}");
        assert!(
            matches!(&*inbox[1].event, Event::New { message_id: 1, .. }),
            "{inbox:?}"
        );
        assert_eq!((inbox.len(), inbox[1].at), (2, at));
    }
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_also_in_one_batch() {
    let (mut world, _worker) = World::with_worker().await;
    let chat = dialog("alice", "bob");
    let mut requests = Vec::new();
    for _ in 0..20 {
        requests.push(
            world
                .gateway
                .command("alice", &chat, named("once", "c1"), None)
                .await,
        );
    }
    for request in requests {
        let reply = world.gateway.reply(request).await.unwrap();
        assert!(matches!(reply, Reply::Message { message_id: 1, .. }), "{reply:?}");
    }
    assert_eq!(world.say("bob", &chat, "two").await, 2);
    assert_eq!(
        world.inbox("bob", 5).await.len(),
        5,
        "chats, new; and bob's dlvrd, read, new"
    );
}

#[tokio::test]
async fn pages_go_up_from_a_start_and_down_from_an_end() {
    let (mut world, _worker) = World::with_worker().await;
    let chat = dialog("alice", "bob");
    for n in 1..=200 {
        assert_eq!(world.say("alice", &chat, "x").await, n);
    }
    let page = async |page, count| ids(&world.messages("bob", &chat, page, count).await);
    assert_eq!(page(Page::Latest, 3).await, [198, 199, 200]);
    assert_eq!(page(Page::From(1), 2).await, [1, 2]);
    assert_eq!(page(Page::From(200), 10).await, [200]);
    assert_eq!(page(Page::From(201), 10).await, [0; 0]);
    assert_eq!(page(Page::Before(4), 2).await, [2, 3]);
    assert_eq!(page(Page::Before(1), 10).await, [0; 0]);
    assert_eq!(page(Page::Before(1000), 2).await, [199, 200]);
    let all: Vec<u64> = (1..=200).collect();
    assert_eq!(page(Page::Latest, 500).await, all);
    assert_eq!(page(Page::From(1), 500).await, all);
    assert_eq!(page(Page::Before(101), 100).await, all[..100]);
}

#[tokio::test]
async fn a_page_of_large_messages_is_shorter_and_reaches_the_end_by_and_by() {
    let (mut world, _worker) = World::with_worker().await;
    let chat = dialog("alice", "bob");
    let large = "x".repeat(16 * 1024);
    for _ in 0..100 {
        world.say("alice", &chat, &large).await;
    }
    let mut seen = Vec::new();
    while seen.len() < 100 {
        let page = world
            .messages("bob", &chat, Page::From(seen.len() as u64 + 1), 500)
            .await;
        let bytes = serde_json::to_vec(&page).unwrap().len();
        assert!(
            bytes < 1024 * 1024 && bytes > 900_000 || seen.len() > 50,
            "{bytes}"
        );
        seen.extend(ids(&page));
    }
    assert_eq!(seen, (1..=100).collect::<Vec<u64>>());
    let mut end = 101;
    while end > 1 {
        let page = ids(&world.messages("bob", &chat, Page::Before(end), 500).await);
        assert_eq!(page.last(), Some(&(end - 1)));
        end = page[0];
    }
}

#[tokio::test]
async fn marks_show_in_messages_and_in_the_list() {
    let (mut world, _worker) = World::with_worker().await;
    let chat = dialog("alice", "bob");
    for _ in 0..4 {
        world.say("alice", &chat, "x").await;
    }
    let mark = |id| Op::MarkDelivered { message_id: Some(id) };
    world.ask("bob", &chat, mark(1)).await;
    world.ask("bob", &chat, mark(3)).await;
    let read = world
        .ask("bob", &chat, Op::MarkRead { message_id: Some(2) })
        .await;
    let at = Timestamp(START + 7);
    let expected = Reply::Read {
        message_id: 2,
        at,
        missed: 2,
        client_message_id: None,
    };
    assert_eq!(read, expected);
    let page = world.messages("alice", &chat, Page::Latest, 10).await;
    let shown: Vec<_> = page
        .as_array()
        .unwrap()
        .iter()
        .map(|m| (&m["status"], &m["dlvrd"], &m["read"]))
        .collect();
    let time = |after| json!(START + after);
    let none = Value::Null;
    assert_eq!(
        shown,
        [
            (&json!("read"), &time(5), &time(7)),
            (&json!("read"), &time(6), &time(7)),
            (&json!("unread"), &time(6), &none),
            (&json!("undelivered"), &none, &none),
        ]
    );
    let page = world.messages("bob", &chat, Page::Latest, 10).await;
    assert_eq!((&page[1]["status"], &page[1]["read"]), (&json!("read"), &time(7)));
    assert_eq!(page[2]["status"], "unread");
    let chats = world.chats("bob").await;
    assert_eq!(
        (&chats[0]["missed"], &chats[0]["lastMessageStatus"]),
        (&json!(2), &json!("unread"))
    );
    let repeat = world
        .ask("bob", &chat, Op::MarkRead { message_id: Some(1) })
        .await;
    assert!(
        matches!(repeat, Reply::Read { at: first, .. } if first == at),
        "{repeat:?}"
    );
}

#[tokio::test]
async fn a_mark_far_above_shows_on_an_old_page() {
    let (mut world, _worker) = World::with_worker().await;
    let chat = dialog("alice", "bob");
    for _ in 0..300 {
        world.say("alice", &chat, "x").await;
    }
    world.ask("bob", &chat, Op::MarkRead { message_id: None }).await;
    let read = json!(world.now());
    for page in [Page::From(1), Page::Before(10), Page::Latest] {
        let page = world.messages("alice", &chat, page, 5).await;
        assert!(
            page.as_array()
                .unwrap()
                .iter()
                .all(|m| m["read"] == read && m["dlvrd"] == read),
            "{page}"
        );
    }
}

#[tokio::test]
async fn a_mark_over_the_end_of_a_bucket_shows_on_both_sides() {
    let (mut world, _worker) = World::with_worker().await;
    let chat = dialog("alice", "bob");
    let mut last = None;
    for _ in 0..2060 {
        last = Some(world.gateway.command("alice", &chat, new("x"), None).await);
    }
    world.gateway.reply(last.unwrap()).await.unwrap();
    world
        .ask(
            "bob",
            &chat,
            Op::MarkRead {
                message_id: Some(2055),
            },
        )
        .await;
    let read = json!(world.now());
    let page = world.messages("alice", &chat, Page::From(2040), 20).await;
    let page = page.as_array().unwrap();
    assert_eq!(page.len(), 20);
    for message in page {
        let expected = if message["messageId"].as_u64().unwrap() <= 2055 {
            &read
        } else {
            &Value::Null
        };
        assert_eq!(message.get("read").unwrap_or(&Value::Null), expected, "{message}");
    }
}

#[tokio::test]
async fn what_was_deleted_keeps_its_number_and_loses_its_text() {
    let (mut world, _worker) = World::with_worker().await;
    let chat = dialog("alice", "bob");
    world.say("alice", &chat, "first").await;
    world.ask("bob", &chat, answer_to("answer", 1)).await;
    let page = world.messages("alice", &chat, Page::From(2), 1).await;
    let quote = json!({ "messageId": 1, "message": "first", "sender": "alice", "createdAt": START + 1 });
    assert_eq!(page[0]["replyTo"], quote);
    world.ask("alice", &chat, Op::Delete { message_id: 1 }).await;
    let page = world.messages("alice", &chat, Page::Latest, 10).await;
    assert_eq!(
        (&page[0]["status"], &page[0]["deletedAt"]),
        (&json!("deleted"), &json!(START + 3))
    );
    assert!(page[0].get("message").is_none());
    assert!(page[1]["replyTo"].get("message").is_none(), "{page}");
    assert_eq!(page[1]["replyTo"]["sender"], "alice");
}

#[tokio::test]
async fn a_group_shows_who_of_its_members_has_marked_the_authors_own() {
    let (mut world, _worker) = World::with_worker().await;
    let chat = world.group("alice", &["bob", "carol"], false).await;
    world.say("alice", &chat, "one").await;
    world
        .ask("bob", &chat, Op::MarkDelivered { message_id: None })
        .await;
    world.ask("carol", &chat, Op::MarkRead { message_id: None }).await;
    let page = world.messages("alice", &chat, Page::Latest, 10).await;
    let delivering = json!([
        { "userId": "bob", "dlvrd": START + 3 },
        { "userId": "carol", "dlvrd": START + 4, "read": START + 4 },
    ]);
    assert_eq!(
        (&page[0]["delivering"], &page[0]["status"]),
        (&delivering, &json!("unread"))
    );
    let page = world.messages("bob", &chat, Page::Latest, 10).await;
    assert!(
        page[0].get("delivering").is_none() && page[0].get("dlvrd").is_none(),
        "{page}"
    );

    let carol = vec![user("carol")];
    world
        .ask("alice", &chat, Op::RemoveParticipants { participants: carol })
        .await;
    let page = world.messages("alice", &chat, Page::Latest, 10).await;
    assert_eq!(
        page[0]["delivering"],
        json!([{ "userId": "bob", "dlvrd": START + 3 }]),
        "departed ones are gone"
    );
}

#[tokio::test]
async fn one_who_comes_later_sees_and_marks_only_from_then_on() {
    let (mut world, _worker) = World::with_worker().await;
    let chat = world.group("alice", &["bob"], false).await;
    world.say("alice", &chat, "before").await;
    let dave = vec![user("dave")];
    world
        .ask("alice", &chat, Op::AddParticipants { participants: dave })
        .await;
    assert_eq!(world.messages("dave", &chat, Page::Latest, 10).await, json!([]));
    world.ask("alice", &chat, answer_to("after", 1)).await;
    world.ask("dave", &chat, Op::MarkRead { message_id: None }).await;
    let page = world.messages("dave", &chat, Page::From(1), 10).await;
    assert_eq!(ids(&page), [2]);
    assert!(
        page[0].get("replyTo").is_none(),
        "what is answered is hidden: {page}"
    );
    let page = world.messages("alice", &chat, Page::Latest, 10).await;
    assert_eq!(
        page[0]["delivering"],
        json!([]),
        "dave's mark does not cover what dave cannot see"
    );
    assert_eq!(page[1]["delivering"][0]["userId"], "dave");
    assert_eq!(world.chats("dave").await[0]["missed"], 0);
}

#[tokio::test]
async fn outsiders_get_not_found_and_a_dialog_never_opened_is_empty() {
    let (mut world, _worker) = World::with_worker().await;
    let chat = world.group("alice", &["bob"], false).await;
    world.say("alice", &chat, "secret").await;
    let what = QueryKind::Messages {
        chat: chat.clone(),
        page: Page::Latest,
        count: 10,
    };
    for what in [what, QueryKind::Chat { chat: chat.clone() }] {
        let refused = world.query("mallory", what.clone()).await.unwrap_err();
        assert_eq!(refused.code, Code::NotFound);
        let foreign = dialog("alice", "bob");
        let what = match what {
            QueryKind::Messages { page, count, .. } => QueryKind::Messages {
                chat: foreign,
                page,
                count,
            },
            _ => QueryKind::Chat { chat: foreign },
        };
        assert_eq!(
            world.query("mallory", what).await.unwrap_err().code,
            Code::NotFound
        );
    }
    assert_eq!(
        world
            .messages("alice", &dialog("alice", "zoe"), Page::Latest, 10)
            .await,
        json!([])
    );
    world.pass(Duration::from_millis(1));
}
