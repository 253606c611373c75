//! `chats` and `chat`.

use std::time::Duration;

use confab_bus::Bus;
use confab_chat::{Op, Timestamp};
use confab_proto::message::{Profile, Query, QueryKind, Signal};
use confab_worker::{Config, Worker};
use futures_util::FutureExt;
use serde_json::{Value, json};

use crate::support::meeting::Meeting;
use crate::support::{START, World, config, dialog, in_time, named, user};

fn names(list: &Value) -> Vec<&str> {
    let list = list.as_array().unwrap();
    list.iter().map(|item| item["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_list_is_latest_first_and_each_item_is_as_the_user_sees_it() {
    let (mut world, _worker) = World::with_worker().await;
    let chat = dialog("alice", "bob");
    world.ask("alice", &chat, named("hi", "m1")).await;
    world.ask("alice", &chat, named("there", "m2")).await;
    let notes = dialog("alice", "alice");
    world.say("alice", &notes, "milk").await;
    let group = world.group("alice", &["bob"], false).await;
    let list = world.chats("alice").await;
    let items = json!([
        { "type": "group", "id": group.as_str(), "name": "Friends", "lastMessageText": "",
          "lastMessageTime": START + 4, "lastMessageStatus": "read", "missed": 0, "isMine": false, "lastMessageId": 0 },
        { "type": "favorites", "id": "alice", "name": "alice", "lastMessageText": "milk",
          "lastMessageTime": START + 3, "lastMessageAuthor": "alice", "lastMessageStatus": "read", "missed": 0,
          "isMine": true, "lastMessageId": 1 },
        { "type": "dialog", "id": "bob", "name": "bob", "lastMessageText": "there", "lastMessageTime": START + 2,
          "lastMessageAuthor": "alice", "lastMessageStatus": "undelivered", "missed": 0, "isMine": true,
          "lastMessageId": 2 },
    ]);
    assert_eq!(list, items);
    let list = world.chats("bob").await;
    let item = json!({
        "type": "dialog", "id": "alice", "name": "alice", "lastMessageText": "there", "lastMessageTime": START + 2,
        "lastMessageAuthor": "alice", "lastMessageStatus": "unread", "missed": 2, "firstMissed": "m1",
        "isMine": false, "lastMessageId": 2,
    });
    assert_eq!(list[1], item);
}

#[tokio::test]
async fn a_list_is_cut_by_count_and_goes_on_before_a_time() {
    let (mut world, _worker) = World::with_worker().await;
    for other in ["u1", "u2", "u3"] {
        world.say("alice", &dialog("alice", other), "x").await;
    }
    let page = async |count, before: Option<u64>| {
        let before = before.map(Timestamp);
        world
            .query("alice", QueryKind::Chats { count, before })
            .await
            .unwrap()
    };
    assert_eq!(names(&page(2, None).await), ["u3", "u2"]);
    assert_eq!(names(&page(2, Some(START + 2)).await), ["u1"]);
    assert_eq!(page(2, Some(START + 1)).await, json!([]));
}

#[tokio::test]
async fn a_hidden_dialog_leaves_the_list_and_comes_back_without_its_history() {
    let (mut world, _worker) = World::with_worker().await;
    let chat = dialog("alice", "bob");
    world.say("alice", &chat, "old").await;
    world
        .ask("alice", &chat, Op::DeleteChat { message_id: None })
        .await;
    assert_eq!(world.chats("alice").await, json!([]));
    assert_eq!(names(&world.chats("bob").await), ["alice"]);
    let hidden = world.chat("alice", &chat).await;
    assert!(
        hidden.get("lastMessageId").is_none() && hidden["missed"] == 0,
        "{hidden}"
    );
    world.say("bob", &chat, "new").await;
    let list = world.chats("alice").await;
    assert_eq!(
        (&list[0]["missed"], &list[0]["lastMessageText"]),
        (&json!(1), &json!("new"))
    );
}

#[tokio::test]
async fn the_other_side_is_shown_by_its_profile_and_when_it_was_last_there() {
    let (mut world, _worker) = World::with_worker().await;
    let chat = dialog("alice", "bob");
    world.say("alice", &chat, "hi").await;
    let mut attach = world.gateway.attach_of("bob", "phone");
    attach.profile = Some(Profile {
        name: Some("Bob van Dyke".to_owned()),
        photo_url: Some("https://example.org/bob.png".to_owned()),
        username: Some("bobby".to_owned()),
        phone_number: None,
        verified: Some(true),
    });
    let session = world.gateway.attach(attach).await.session;
    let item = &world.chats("alice").await[0];
    assert_eq!(
        (&item["name"], &item["verified"]),
        (&json!("Bob van Dyke"), &json!(true))
    );
    assert!(item.get("lastSeen").is_none(), "online: {item}");

    // Connecting without claims leaves them as they are.
    world.gateway.connect("bob", "laptop").await;
    world.pass(std::time::Duration::from_secs(5));
    let (gateway, phone) = (world.gateway.id.clone(), session);
    let away = Signal::Away {
        user: user("bob"),
        gateway,
        session: phone,
        away: true,
    };
    world.gateway.signal("bob", away).await;
    world.gateway.connect("alice", "phone").await;
    let laptop = confab_chat::SessionId(2);
    world.gateway.detach("bob", laptop, false).await;
    let (who, last_seen) = world.gateway.offline("alice").await;
    assert_eq!(who, user("bob"));
    let shown = world.chat("alice", &chat).await;
    let expected = json!({
        "chatId": "bob", "type": "dialog", "name": "Bob van Dyke", "photoUrl": "https://example.org/bob.png",
        "lastMessageId": 1, "missed": 0,
        "meta": { "firstName": "Bob", "lastName": "van Dyke", "username": "bobby", "verified": true,
                  "lastSeen": last_seen.0 },
    });
    assert_eq!(shown, expected);
    assert_eq!(last_seen.0, world.now());
}

#[tokio::test]
async fn one_whose_worker_died_counts_as_offline_until_another_has_the_session() {
    let (mut world, worker) = World::with_worker().await;
    let chat = dialog("alice", "bob");
    world.say("alice", &chat, "hi").await;
    world.gateway.connect("bob", "phone").await;
    assert!(world.chat("alice", &chat).await["meta"].get("lastSeen").is_none());
    let seen = world.now();
    worker.abort().await;
    let worker = world.start(crate::support::config("w2")).await;
    assert_eq!(world.chat("alice", &chat).await["meta"]["lastSeen"], seen);
    world.gateway.connect("bob", "phone").await;
    assert!(world.chat("alice", &chat).await["meta"].get("lastSeen").is_none());
    worker.abort().await;
}

#[tokio::test]
async fn where_a_worker_is_the_only_one_nobody_is_online_since_before_it() {
    let (mut world, worker) = World::with_worker().await;
    let chat = dialog("alice", "bob");
    world.say("alice", &chat, "hi").await;
    world.gateway.connect("bob", "phone").await;
    let seen = world.now();
    worker.abort().await;
    world.pass(std::time::Duration::from_millis(1));
    let alone = confab_worker::Config {
        alone_since: Some(Timestamp(world.now())),
        ..crate::support::config("w2")
    };
    let worker = world.start(alone).await;
    assert_eq!(world.chat("alice", &chat).await["meta"]["lastSeen"], seen);
    world.gateway.connect("bob", "phone").await;
    assert!(world.chat("alice", &chat).await["meta"].get("lastSeen").is_none());
    worker.abort().await;
}

#[tokio::test]
async fn a_group_shows_its_members_and_a_dialog_never_opened_only_its_other_side() {
    let (mut world, _worker) = World::with_worker().await;
    let group = world.group("alice", &["bob", "carol"], false).await;
    let admins = Some(vec![user("carol")]);
    let update = Op::UpdateChat {
        name: None,
        photo_url: None,
        admins,
        owner: None,
    };
    world.ask("alice", &group, update).await;
    let expected = json!({
        "chatId": group.as_str(), "type": "group", "name": "Friends", "missed": 0,
        "meta": { "owner": "alice", "admins": ["carol"], "participants": ["alice", "bob", "carol"],
                  "participantCount": 3, "createdAt": START + 1 },
    });
    assert_eq!(world.chat("bob", &group).await, expected);
    let never = world.chat("alice", &dialog("alice", "zoe")).await;
    assert_eq!(
        never,
        json!({ "chatId": "zoe", "type": "dialog", "name": "zoe", "missed": 0, "meta": {} })
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_takes_long_holds_no_other_one_up() {
    let world = World::new().await;
    let store = Meeting::new(world.store.clone());
    let worker = Worker::start(config("w1"), world.bus.clone(), store).await;
    in_time("the worker", worker.ready()).await.unwrap();
    let (ann, bob) = tokio::join!(world.chats("ann"), world.chats("bob"));
    assert_eq!(ann, bob, "neither has a chat");
    worker.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn queries_that_wait_hold_no_message_up() {
    let mut world = World::new().await;
    // Nobody runs it yet: as if each of its threads waited for the disk.
    let reads = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let query_runtime = Some(reads.handle().clone());
    let worker = world
        .start(Config {
            query_runtime,
            ..config("w1")
        })
        .await;
    let asked = Query {
        user: user("alice"),
        what: QueryKind::Chats {
            count: 9,
            before: None,
        },
    };
    let bus = world.bus.clone();
    let mut list = Box::pin(async move { bus.query(asked).await });
    assert!((&mut list).now_or_never().is_none());
    assert_eq!(world.say("alice", &dialog("alice", "bob"), "x").await, 1);
    assert!((&mut list).now_or_never().is_none());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let thread = std::thread::spawn(move || reads.block_on(stopped));
    let list = in_time("the list", list).await.unwrap().unwrap();
    assert_eq!(names(&serde_json::from_slice(&list).unwrap()), ["bob"]);
    assert!(worker.shutdown(Duration::from_secs(10)).await);
    drop(stop);
    assert!(thread.join().unwrap().is_err());
}
