//! Sending, editing, deleting: the protocol's rules of `new`, `edit` and `delete`.

use confab_chat::row::Row;
use confab_chat::{Attachment, AttachmentMeta, ChatKey, ChatKind, Code, Event, Op, Timestamp};

use crate::world::{
    Key, LAST, World, add, admins, answer, create, delete, edit, hide, named, read, remove, text, user,
};

fn file() -> Attachment {
    Attachment {
        id: "f".to_owned(),
        filename: "f.txt".to_owned(),
        url: "https://example.org/f".to_owned(),
        meta: AttachmentMeta::File {
            extension: "txt".to_owned(),
            size: 3,
        },
    }
}

#[test]
fn ids_count_from_one_without_holes_and_a_refusal_takes_none() {
    let mut world = World::dialog();
    assert_eq!(world.send("alice"), 1);
    assert_eq!(world.refused("alice", answer(9)), Code::NotFound);
    assert_eq!(world.send("bob"), 2);
    world.ok("bob", delete(2));
    assert_eq!(world.send("bob"), 3);
}

#[test]
fn response_event_and_row_carry_one_time() {
    let mut world = World::dialog();
    assert_eq!(world.ok("alice", named("c1")), "message 1 @10 c1");
    let row = world.rows.message(1).unwrap();
    assert_eq!(
        (row.created_at, row.version, row.sender),
        (Timestamp(10), 1, user("alice"))
    );
    let events = world.events("bob");
    let Event::New {
        at,
        client_message_id,
        chat,
        ..
    } = &*events[1]
    else {
        panic!("{events:?}");
    };
    assert_eq!((at.0, client_message_id.as_deref()), (10, Some("c1")));
    assert_eq!(*chat, world.state.key);
}

#[test]
fn the_first_message_of_a_dialog_shows_it_to_both_before_it_is_told() {
    let mut world = World::dialog();
    world.send("bob");
    for side in ["alice", "bob"] {
        assert_eq!(world.told(side), ["chats", "new 1 bob"]);
        let row = world.membership(side);
        assert!(row.listed && row.since == Timestamp(10) && row.role.is_some());
    }
    assert_eq!(world.greetings(), ["alice>bob"]);
    world.send("bob");
    assert_eq!(world.told("alice"), ["new 2 bob"]);
    assert_eq!(world.greetings(), [""; 0]);
}

#[test]
fn a_dialog_that_was_hidden_is_new_again_with_its_next_message() {
    let mut world = World::dialog();
    world.send("alice");
    world.ok("bob", hide(LAST));
    world.quiet();
    world.send("alice");
    assert_eq!(world.told("bob"), ["chats", "new 2 alice"]);
    assert_eq!(world.told("alice"), ["new 2 alice"]);
    assert_eq!(world.greetings(), ["alice>bob"]);
    assert_eq!(world.membership("bob").hidden_before, 1);
}

#[test]
fn the_same_client_id_of_the_same_sender_is_the_same_message() {
    let mut world = World::dialog();
    let first = world.ok("alice", named("c1"));
    world.ok("bob", named("c1"));
    for _ in 0..200 {
        world.send("bob");
    }
    world.quiet();
    assert_eq!(world.ok("alice", named("c1")), first);
    assert!(world.receivers().is_empty() && world.last.rows.is_empty());
    assert_eq!(world.state.head.last_id, 202);
}

#[test]
fn a_repeat_is_known_even_after_its_message_was_deleted_or_cannot_be_seen() {
    let mut world = World::dialog();
    let first = world.ok("alice", named("c1"));
    world.ok("alice", delete(1));
    world.ok("alice", hide(LAST));
    assert_eq!(world.ok("alice", named("c1")), first);
}

#[test]
fn a_repeat_gets_its_first_answer_even_from_one_who_may_not_write_any_more() {
    let mut world = World::made(ChatKind::Channel, &["bob"], false);
    world.ok("alice", admins(&["bob"]));
    let first = world.ok("bob", named("c1"));
    world.ok("alice", admins(&[]));
    assert_eq!(world.ok("bob", named("c1")), first);
    assert_eq!(world.refused("bob", named("c2")), Code::Forbidden);
    world.ok("alice", remove(&["bob"]));
    assert_eq!(world.refused("bob", named("c1")), Code::NotFound);
}

#[test]
fn a_client_id_cannot_be_made_to_meet_anothers_entry_id() {
    let mut world = World::dialog();
    world.send("alice"); // entry e1
    for own in ["e1", "~e1", "~ee1", "~cc1", "~c~ee1", "c1"] {
        let before = world.state.head.last_id;
        world.ok("alice", named(own));
        assert_eq!(world.state.head.last_id, before + 1, "{own}");
    }
}

#[test]
fn a_repeated_copy_of_an_entry_changes_nothing_and_is_not_answered() {
    let mut world = World::dialog();
    let entry = world.entry("alice", text("hi"));
    world.apply(&entry).unwrap().unwrap();
    world.quiet();
    let copy = crate::world::Entry { seq: 2, ..entry };
    world.seq = 2;
    assert_eq!(world.apply(&copy), None);
    assert_eq!((world.state.head.last_id, world.last.version), (1, 2));
    assert!(world.receivers().is_empty() && world.last.rows.is_empty());
}

#[test]
fn a_copy_that_comes_when_the_entry_is_long_forgotten_is_known_by_its_row() {
    let mut world = World::dialog();
    let entry = world.entry("alice", text("hi"));
    let first = world.apply(&entry);
    for _ in 0..100 {
        world.send("bob");
    }
    assert!(!world.state.is_repeat(&entry.id));
    world.quiet();
    world.seq += 1;
    let copy = crate::world::Entry {
        seq: world.seq,
        ..entry
    };
    assert_eq!(world.apply(&copy), first);
    assert!(world.receivers().is_empty() && world.last.rows.is_empty());
}

#[test]
fn a_message_without_an_id_of_its_own_shows_none() {
    let mut world = World::dialog();
    assert_eq!(world.ok("alice", text("hi")), "message 1 @10");
    assert_eq!(world.rows.message(1).unwrap().client_message_id, None);
    assert!(
        world
            .rows
            .0
            .contains_key(&Key::ClientId(user("alice"), "~ee1".to_owned()))
    );
}

#[test]
fn an_answer_carries_what_never_changes_of_the_message_it_answers() {
    let mut world = World::dialog();
    world.ok("bob", named("c1"));
    world.ok("alice", answer(1));
    let quote = world.rows.message(2).unwrap().reply_to.unwrap();
    assert_eq!((quote.message_id, quote.sender), (1, user("bob")));
    assert_eq!(
        (quote.client_message_id.as_deref(), quote.created_at.0),
        (Some("c1"), 10)
    );
    world.ok("bob", delete(1));
    world.ok("alice", answer(1));
}

#[test]
fn an_answer_to_what_does_not_exist_or_is_hidden_is_not_found() {
    let mut world = World::dialog();
    assert_eq!(world.refused("alice", answer(1)), Code::NotFound);
    world.send("bob");
    for id in [0, 2, u64::MAX] {
        assert_eq!(world.refused("alice", answer(id)), Code::NotFound);
    }
    world.ok("alice", hide(LAST));
    assert_eq!(world.refused("alice", answer(1)), Code::NotFound);
    world.ok("bob", answer(1));
}

#[test]
fn an_edit_replaces_text_and_attachments_and_is_told_to_all() {
    let mut world = World::group(&["bob", "carol"]);
    world.ok(
        "bob",
        Op::New {
            text: "one".to_owned(),
            attachments: vec![file()],
            reply_to: None,
            client_message_id: Some("c1".to_owned()),
        },
    );
    world.quiet();
    assert_eq!(world.ok("bob", edit(1, "two")), "message 1 @30 c1");
    for member in ["alice", "bob", "carol"] {
        assert_eq!(world.told(member), ["edit 1 bob"]);
    }
    let row = world.rows.message(1).unwrap();
    assert_eq!((row.text.as_str(), row.attachments.len()), ("two", 0));
    assert_eq!(
        (row.updated_at, row.created_at),
        (Some(Timestamp(30)), Timestamp(20))
    );
    assert_eq!(world.rows.head().last.unwrap().text, "two");
    assert_eq!(world.rows.head().last.unwrap().at, Timestamp(20));
}

#[test]
fn an_edit_is_its_authors_only_and_not_of_what_is_deleted() {
    let mut world = World::group(&["bob"]);
    world.send("bob");
    assert_eq!(world.refused("alice", edit(1, "x")), Code::Forbidden);
    assert_eq!(world.refused("bob", edit(2, "x")), Code::NotFound);
    assert_eq!(world.refused("bob", edit(0, "x")), Code::NotFound);
    assert_eq!(world.refused("carol", edit(1, "x")), Code::NotFound);
    world.ok("bob", delete(1));
    assert_eq!(world.refused("bob", edit(1, "x")), Code::Conflict);
}

#[test]
fn an_edit_of_an_older_message_leaves_the_list_of_chats_alone() {
    let mut world = World::dialog();
    world.send("alice");
    world.ok("alice", text("last"));
    world.ok("alice", edit(1, "x"));
    assert_eq!(world.rows.head().last.unwrap().text, "last");
    assert!(!world.last.rows.iter().any(|row| matches!(row, Row::Head(_))));
}

#[test]
fn a_deletion_leaves_the_number_and_takes_the_content() {
    let mut world = World::dialog();
    world.ok("alice", named("c1"));
    world.ok("alice", edit(1, "two"));
    world.quiet();
    assert_eq!(world.ok("alice", delete(1)), "message 1 @30 c1");
    assert_eq!(world.told("bob"), ["delete 1 alice"]);
    assert_eq!(world.told("alice"), ["delete 1 alice"]);
    let row = world.rows.message(1).unwrap();
    assert_eq!((row.text.as_str(), row.attachments.len()), ("", 0));
    assert_eq!(row.deleted.map(|deletion| deletion.at), Some(Timestamp(30)));
    assert_eq!(row.updated_at, Some(Timestamp(20)));
    let last = world.rows.head().last.unwrap();
    assert!(last.deleted && last.text.is_empty());
}

#[test]
fn a_second_deletion_gets_the_firsts_time_and_tells_nobody() {
    let mut world = World::group(&["bob"]);
    world.send("bob");
    let first = world.ok("bob", delete(1));
    world.quiet();
    assert_eq!(world.ok("alice", delete(1)), first);
    assert!(world.receivers().is_empty() && world.last.rows.is_empty());
}

#[test]
fn a_message_is_deleted_by_its_author_an_admin_or_the_owner() {
    let mut world = World::group(&["bob", "carol", "dave"]);
    world.ok("alice", admins(&["carol"]));
    for _ in 0..3 {
        world.send("bob");
    }
    assert_eq!(world.refused("dave", delete(1)), Code::Forbidden);
    world.ok("bob", delete(1));
    world.ok("carol", delete(2));
    world.ok("alice", delete(3));
    world.send("alice");
    world.ok("carol", delete(4));
    let mut dialog = World::dialog();
    dialog.send("bob");
    assert_eq!(dialog.refused("alice", delete(1)), Code::Forbidden);
}

#[test]
fn one_who_does_not_see_a_message_hears_nothing_of_it() {
    let mut world = World::dialog();
    world.send("alice");
    world.ok("bob", hide(LAST));
    world.quiet();
    world.ok("alice", edit(1, "x"));
    world.ok("alice", delete(1));
    assert_eq!(world.receivers(), ["alice"]);
    let mut group = World::group(&["bob"]);
    group.send("alice");
    group.ok("alice", add(&["carol"]));
    group.quiet();
    group.ok("alice", edit(1, "x"));
    assert_eq!(group.receivers(), ["alice", "bob"]);
    assert_eq!(group.refused("carol", delete(1)), Code::NotFound);
}

#[test]
fn in_a_channel_only_owner_and_admins_write() {
    let mut world = World::made(ChatKind::Channel, &["bob", "carol"], false);
    world.ok("alice", admins(&["bob"]));
    world.quiet();
    assert_eq!(world.refused("carol", text("x")), Code::Forbidden);
    world.send("bob");
    assert_eq!(world.told("carol"), ["new 1 bob"]);
    world.ok("carol", read(1));
    world.ok("alice", admins(&[]));
    assert_eq!(world.refused("bob", edit(1, "x")), Code::Forbidden);
    world.ok("bob", delete(1));
}

#[test]
fn whoever_is_not_in_a_chat_is_told_that_there_is_none() {
    let ops = || {
        [
            text("x"),
            edit(1, "x"),
            delete(1),
            read(1),
            add(&["carol"]),
            remove(&["bob"]),
            hide(LAST),
            Op::Leave,
        ]
    };
    let mut group = World::group(&["bob"]);
    group.send("alice");
    let mut none = World::new(ChatKey::group(&user("alice"), "none"));
    let mut dialog = World::dialog();
    dialog.send("alice");
    for op in ops() {
        assert_eq!(group.refused("eve", op.clone()), Code::NotFound);
        assert_eq!(none.refused("eve", op.clone()), Code::NotFound);
        if !matches!(
            op,
            Op::AddParticipants { .. } | Op::RemoveParticipants { .. } | Op::Leave
        ) {
            assert_eq!(dialog.refused("eve", op), Code::NotFound);
        }
    }
    assert_eq!(
        dialog.refused("alice", create(ChatKind::Group, &[], false)),
        Code::BadRequest
    );
}
