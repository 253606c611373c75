//! Attaching, resuming, acknowledging.

use std::time::Duration;

use confab_chat::{Event, Op, SessionId};
use confab_proto::message::{AttachFrom, Attached, Beat, DeliveryBody, Signal};
use confab_proto::row::CursorRow;
use confab_proto::wire::Wire;
use confab_store::{Key, Range, Store, Take};
use confab_worker::Config;

use crate::support::{World, answer_to, config, device, dialog, in_time, new, user};

fn ids(attached: &Attached) -> Vec<u64> {
    attached.events.iter().map(|item| item.id).collect()
}

async fn cursor(world: &World, who: &str, name: &str) -> Option<CursorRow> {
    let row = world
        .store
        .get(Key::Cursor(user(who), device(name)))
        .await
        .unwrap();
    row.map(|row| CursorRow::decode(&row.value).unwrap())
}

async fn cursor_at(world: &World, who: &str, name: &str, up_to: u64) {
    let moved = async {
        while cursor(world, who, name)
            .await
            .is_none_or(|row| row.up_to != up_to)
        {
            tokio::task::yield_now().await;
        }
    };
    in_time("a cursor", moved).await;
}

async fn ack(world: &World, who: &str, name: &str, up_to: u64) {
    let signal = Signal::Ack {
        user: user(who),
        device: device(name),
        up_to,
    };
    world.gateway.signal(who, signal).await;
}

#[tokio::test]
async fn a_new_device_starts_at_now_and_then_hears_everything() {
    let (mut world, _worker) = World::with_worker().await;
    let chat = dialog("alice", "bob");
    world.say("alice", &chat, "before").await;
    world.inbox("bob", 2).await;
    let (attached, _) = world.gateway.connect("bob", "phone").await;
    assert_eq!(
        (
            attached.after,
            attached.events.len(),
            attached.more,
            attached.reset
        ),
        (2, 0, false, None)
    );
    assert_eq!(
        cursor(&world, "bob", "phone").await.unwrap().up_to,
        2,
        "set durably before the answer"
    );
    world.say("alice", &chat, "after").await;
    let live = world.gateway.live("bob").await;
    assert_eq!(live.iter().map(|item| item.id).collect::<Vec<_>>(), [3]);

    // Nothing was acknowledged: everything after the start comes again.
    let (again, _) = world.gateway.connect("bob", "phone").await;
    assert_eq!((again.after, again.events), (2, live));
}

#[tokio::test]
async fn a_first_attach_asked_twice_sets_the_cursor_once() {
    let (mut world, _worker) = World::with_worker().await;
    let chat = dialog("alice", "bob");
    world.say("alice", &chat, "before").await;
    world.inbox("bob", 2).await;
    let attach = world.gateway.attach_of("bob", "phone");
    for _ in 0..3 {
        world.gateway.signal("bob", Signal::Attach(attach.clone())).await;
        world.say("alice", &chat, "x").await;
    }
    let attached = world.gateway.attached(attach.session).await;
    world.inbox("bob", 5).await;
    assert_eq!(
        cursor(&world, "bob", "phone").await.unwrap().up_to,
        attached.after
    );
}

#[tokio::test]
async fn a_long_absence_is_made_good_in_pages() {
    let (mut world, _worker) = World::with_worker().await;
    let chat = dialog("alice", "bob");
    let (first, _) = world.gateway.connect("bob", "phone").await;
    world.gateway.detach("bob", first.session, false).await;
    let mut last = None;
    for _ in 0..600 {
        last = Some(world.gateway.command("alice", &chat, new("x"), None).await);
    }
    world.gateway.reply(last.unwrap()).await.unwrap();
    world.inbox("bob", 601).await;
    let mut attach = world.gateway.attach_of("bob", "phone");
    let mut seen = Vec::new();
    loop {
        let attached = world.gateway.attach(attach.clone()).await;
        assert_eq!(attached.after, seen.len() as u64);
        assert!(attached.events.len() <= 256);
        seen.extend(ids(&attached));
        if !attached.more {
            break;
        }
        attach.from = AttachFrom::After(seen.len() as u64);
        attach.repeat = true;
    }
    assert_eq!(seen, (1..=601).collect::<Vec<u64>>());
}

#[tokio::test]
async fn a_page_of_large_events_is_shorter() {
    let (mut world, _worker) = World::with_worker().await;
    let chat = dialog("alice", "bob");
    let (first, _) = world.gateway.connect("bob", "phone").await;
    world.gateway.detach("bob", first.session, false).await;
    for _ in 0..50 {
        world.say("alice", &chat, &"x".repeat(16 * 1024)).await;
    }
    world.inbox("bob", 51).await;
    let (attached, _) = world.gateway.connect("bob", "phone").await;
    assert!(
        attached.more && (25..40).contains(&attached.events.len()),
        "{}",
        attached.events.len()
    );
}

#[tokio::test]
async fn last_event_id_acknowledges_and_one_ahead_resets() {
    let (mut world, _worker) = World::with_worker().await;
    let chat = dialog("alice", "bob");
    world.gateway.connect("bob", "phone").await;
    for _ in 0..4 {
        world.say("alice", &chat, "x").await;
    }
    world.inbox("bob", 5).await;
    let mut attach = world.gateway.attach_of("bob", "phone");
    attach.from = AttachFrom::Cursor {
        last_event_id: Some(3),
    };
    let attached = world.gateway.attach(attach).await;
    assert_eq!((attached.after, ids(&attached)), (3, vec![4, 5]));
    cursor_at(&world, "bob", "phone", 3).await;
    for (name, is_new) in [("phone", false), ("tablet", true)] {
        let mut attach = world.gateway.attach_of("bob", name);
        attach.from = AttachFrom::Cursor {
            last_event_id: Some(6),
        };
        let attached = world.gateway.attach(attach).await;
        let expected = (Some(5), vec![], false);
        if is_new {
            // A device that is not known starts at its lastEventId where the mailbox has had it, else at now.
            assert!(attached.reset == Some(5) || attached.after == 5, "{attached:?}");
        } else {
            assert_eq!((attached.reset, ids(&attached), attached.more), expected);
        }
        cursor_at(&world, "bob", name, 5).await;
    }
}

#[tokio::test]
async fn what_has_expired_is_made_good_by_a_reset() {
    let mut world = World::new().await;
    let kept = Config {
        inbox_retention: Duration::from_secs(60),
        ..config("w1")
    };
    let _worker = world.start(kept).await;
    let chat = dialog("alice", "bob");
    let (attached, _) = world.gateway.connect("bob", "phone").await;
    world.gateway.detach("bob", attached.session, false).await;
    world.say("alice", &chat, "old").await;
    world.inbox("bob", 2).await;
    world.pass(Duration::from_secs(61));
    world.say("alice", &chat, "young").await;
    world.inbox("bob", 1).await;
    // Until the device has acknowledged it, since the connection may break before it is there.
    for _ in 0..2 {
        let (attached, _) = world.gateway.connect("bob", "phone").await;
        assert_eq!((attached.reset, attached.events.len()), (Some(3), 0));
    }
    let ack = Signal::Ack {
        user: user("bob"),
        device: device("phone"),
        up_to: 3,
    };
    world.gateway.signal("bob", ack).await;
    let (attached, _) = world.gateway.connect("bob", "phone").await;
    assert_eq!((attached.reset, attached.after), (None, 3), "the cursor went on");
}

#[tokio::test]
async fn acknowledgements_move_the_cursor_forwards_and_never_beyond_the_last() {
    let (mut world, worker) = World::with_worker().await;
    let chat = dialog("alice", "bob");
    world.gateway.connect("bob", "phone").await;
    for _ in 0..3 {
        world.say("alice", &chat, "x").await;
    }
    world.inbox("bob", 4).await;
    ack(&world, "bob", "phone", 2).await;
    cursor_at(&world, "bob", "phone", 2).await;
    ack(&world, "bob", "phone", 1).await;
    ack(&world, "bob", "stranger", 4).await;
    ack(&world, "bob", "phone", 99).await;
    cursor_at(&world, "bob", "phone", 4).await;
    assert_eq!(cursor(&world, "bob", "stranger").await, None);

    // An acknowledgement just before the worker stops is not lost.
    world.say("alice", &chat, "x").await;
    world.gateway.live("bob").await;
    world.inbox("bob", 5).await;
    ack(&world, "bob", "phone", 5).await;
    world.gateway.connect("carol", "after-the-ack").await;
    assert!(worker.shutdown(Duration::from_secs(10)).await);
    let _worker = world.start(config("w2")).await;
    let (attached, _) = world.gateway.connect("bob", "phone").await;
    assert!(attached.after >= 4);
}

#[tokio::test]
async fn the_same_device_again_replaces_its_old_session() {
    let (mut world, _worker) = World::with_worker().await;
    let (old, _) = world.gateway.connect("bob", "phone").await;
    let (other, _) = world.gateway.connect("bob", "laptop").await;
    world.gateway.connect("bob", "phone").await;
    let replaced = world.gateway.next("replaced", |message| match message.body {
        DeliveryBody::Replaced { session } => Some(session),
        _ => None,
    });
    assert_eq!(replaced.await, old.session);
    let not =
        |message: &confab_proto::message::ToGateway| matches!(message.body, DeliveryBody::Replaced { .. });
    world.gateway.connect("bob", "tablet").await;
    assert!(!world.gateway.heard(not), "{other:?} goes on");
}

#[tokio::test]
async fn a_repeat_by_a_gateway_after_a_takeover_goes_on_where_it_was() {
    let (mut world, worker) = World::with_worker().await;
    let chat = dialog("alice", "bob");
    let (attached, _) = world.gateway.connect("bob", "phone").await;
    world.say("alice", &chat, "one").await;
    assert_eq!(world.gateway.live("bob").await.len(), 2);
    worker.abort().await;
    let worker = world.start(config("w2")).await;
    world.say("alice", &chat, "two").await;
    world.inbox("bob", 3).await;
    // A heartbeat alone brings the session back, and what it has missed.
    let beat = Signal::Heartbeat {
        gateway: world.gateway.id.clone(),
        sessions: vec![Beat {
            user: user("bob"),
            device: device("phone"),
            session: attached.session,
            forwarded: 2,
            away: false,
        }],
    };
    world.gateway.signal("bob", beat).await;
    let made_good = world.gateway.attached(attached.session).await;
    assert_eq!(
        (made_good.after, ids(&made_good), made_good.probes),
        (2, vec![3], 0)
    );
    world.say("alice", &chat, "three").await;
    assert_eq!(world.gateway.live("bob").await[0].id, 4);
    worker.abort().await;
}

#[tokio::test]
async fn what_was_deleted_since_is_sent_again_without_its_text() {
    let (mut world, _worker) = World::with_worker().await;
    let chat = dialog("alice", "bob");
    world.gateway.connect("bob", "phone").await;
    world.say("alice", &chat, "secret").await;
    world.ask("alice", &chat, answer_to("answer", 1)).await;
    let edit = Op::Edit {
        message_id: 1,
        text: "more secret".to_owned(),
        attachments: Vec::new(),
    };
    world.ask("alice", &chat, edit).await;
    world.inbox("bob", 4).await;
    let text_of = |event: &Event| match event {
        Event::New { text, .. } | Event::Edit { text, .. } => text.clone(),
        _ => "-".to_owned(),
    };
    let (attached, _) = world.gateway.connect("bob", "phone").await;
    let texts: Vec<String> = attached.events.iter().map(|item| text_of(&item.event)).collect();
    assert_eq!(texts, ["-", "secret", "answer", "more secret"]);
    let quoted = attached.events[2].quoted.clone().unwrap();
    assert_eq!(
        quoted.text.as_deref(),
        Some("more secret"),
        "as the message now is"
    );

    world.ask("alice", &chat, Op::Delete { message_id: 1 }).await;
    world.inbox("bob", 5).await;
    let (attached, _) = world.gateway.connect("bob", "phone").await;
    let texts: Vec<String> = attached.events.iter().map(|item| text_of(&item.event)).collect();
    assert_eq!(texts, ["-", "", "answer", "", "-"]);
    assert_eq!(attached.events[2].quoted.clone().unwrap().text, None);
}

#[tokio::test]
async fn a_live_quote_carries_the_text_unless_it_is_hidden_from_the_receiver() {
    let (mut world, _worker) = World::with_worker().await;
    let group = world.group("alice", &["bob"], false).await;
    world.say("alice", &group, "before").await;
    let dave = vec![user("dave")];
    world
        .ask("alice", &group, Op::AddParticipants { participants: dave })
        .await;
    world.inbox("dave", 1).await;
    world.gateway.connect("bob", "phone").await;
    world.gateway.connect("dave", "phone").await;
    world.ask("alice", &group, answer_to("after", 1)).await;
    let bob = world.gateway.live("bob").await;
    assert_eq!(bob[0].quoted.clone().unwrap().text.as_deref(), Some("before"));
    let dave = world.gateway.live("dave").await;
    assert!(
        matches!(&*dave[0].event, Event::New { reply_to: None, .. }) && dave[0].quoted.is_none(),
        "{dave:?}"
    );
}

#[tokio::test]
async fn the_thirty_third_device_makes_the_longest_unused_forgotten() {
    let (mut world, _worker) = World::with_worker().await;
    for n in 0..33 {
        world.pass(Duration::from_secs(1));
        let (attached, _) = world.gateway.connect("bob", &format!("d{n}")).await;
        assert_eq!(attached.session, SessionId(n + 1));
    }
    let forgotten = async {
        loop {
            let rows = world
                .store
                .scan(Range::Cursors(user("bob")), Take::All)
                .await
                .unwrap();
            let forgotten = rows
                .iter()
                .filter(|row| CursorRow::decode(&row.value).unwrap().forgotten);
            let forgotten: Vec<_> = forgotten.map(|row| row.key.clone()).collect();
            if !forgotten.is_empty() {
                return forgotten;
            }
            tokio::task::yield_now().await;
        }
    };
    let forgotten = in_time("a forgotten device", forgotten).await;
    assert_eq!(forgotten, [Key::Cursor(user("bob"), device("d0"))]);
}
