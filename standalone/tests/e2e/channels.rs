//! Channels: only owner and admins write.

use serde_json::json;

use crate::support::client::Client;
use crate::{item, listed, mark, message, user};

async fn channel(owner: &mut Client, participants: &[&str]) -> String {
    let payload = json!({"type": "channel", "name": "News", "participants": participants});
    owner.request("createChat", payload).await["chatId"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn only_owner_and_admins_write() {
    let (mut a, _) = user("alice").await;
    let (mut b, bob) = user("bob").await;
    let (mut c, carol) = user("carol").await;
    let chat = channel(&mut a, &[&bob, &carol]).await;
    assert!(chat.starts_with("g:"));
    a.say(&chat, "from the owner").await;
    assert_eq!(
        b.error("new", json!({"chatId": chat, "message": "m"})).await,
        "forbidden"
    );
    a.request("updateChat", json!({"chatId": chat, "admins": [bob]}))
        .await;
    assert_eq!(b.say(&chat, "from an admin").await, 2);
    assert_eq!(
        c.error("new", json!({"chatId": chat, "message": "m"})).await,
        "forbidden"
    );
    c.until_text("from an admin").await;
    a.request("updateChat", json!({"chatId": chat, "admins": []}))
        .await;
    assert_eq!(
        b.error("new", json!({"chatId": chat, "message": "m"})).await,
        "forbidden"
    );
    assert_eq!(
        c.request("chat", json!({"chatId": chat})).await["lastMessageId"],
        2
    );
}

#[tokio::test]
async fn readers_mark_and_leave() {
    let (mut a, _) = user("alice").await;
    let (mut b, bob) = user("bob").await;
    let chat = channel(&mut a, &[&bob]).await;
    assert_eq!(listed(&mut b, &chat).await.unwrap()["type"], "channel");
    assert_eq!(
        a.request("chat", json!({"chatId": chat})).await["type"],
        "channel"
    );
    a.say(&chat, "news").await;
    assert_eq!(listed(&mut b, &chat).await.unwrap()["missed"], 1);
    let read = mark(&mut b, "read", &chat, 1).await;
    assert_eq!(message(&mut a, &chat, 1).await["delivering"][0]["read"], read);
    b.request("leaveChat", json!({"chatId": chat})).await;
    assert!(listed(&mut b, &chat).await.is_none());
    a.say(&chat, "more news").await;
    assert!(item(&b.request("chats", json!({})).await, &chat).is_none());
}

#[tokio::test]
async fn a_former_admin_still_edits_only_what_is_his() {
    let (mut a, _) = user("alice").await;
    let (mut b, bob) = user("bob").await;
    let chat = channel(&mut a, &[&bob]).await;
    a.say(&chat, "the owner's").await;
    assert_eq!(
        b.error("edit", json!({"chatId": chat, "messageId": 1, "message": "x"}))
            .await,
        "forbidden"
    );
    assert_eq!(
        b.error("delete", json!({"chatId": chat, "messageId": 1})).await,
        "forbidden"
    );
}
