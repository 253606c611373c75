//! Making, changing, joining, leaving, ending: the protocol's rules of groups, channels and `deleteChat`.

use confab_chat::row::{Role, Row};
use confab_chat::{ChatKey, ChatKind, Code, Op};

use crate::world::{
    LAST, World, add, admins, answer, create, delete, edit, hand_over, hide, read, remove, rename, text, user,
};

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}{n:04}")).collect()
}

fn refs(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

#[test]
fn the_caller_owns_the_chat_named_or_not_and_repeated_names_count_once() {
    for participants in [&["bob", "bob"][..], &["bob", "alice", "bob"]] {
        let mut world = World::new(ChatKey::group(&user("alice"), "c"));
        assert_eq!(
            world.ok("alice", create(ChatKind::Group, participants, false)),
            "chat"
        );
        assert_eq!(world.roster(), "alice [] [alice, bob]");
        assert_eq!(world.told("alice"), ["chats"]);
        assert_eq!(world.told("bob"), ["chats"]);
        assert_eq!(world.membership("alice").role, Some(Role::Owner));
        assert_eq!(world.membership("bob").role, Some(Role::Member));
        assert_eq!(
            (world.rows.head().name.as_str(), world.rows.head().created_at.0),
            ("the group", 10)
        );
    }
}

#[test]
fn making_the_same_chat_again_changes_nothing() {
    let mut world = World::group(&["bob"]);
    assert_eq!(
        world.ok("alice", create(ChatKind::Channel, &["carol"], true)),
        "chat"
    );
    assert!(world.receivers().is_empty() && world.last.rows.is_empty());
    assert_eq!(
        world.refused("eve", create(ChatKind::Group, &[], false)),
        Code::NotFound
    );
}

#[test]
fn a_deleted_chat_is_never_made_again() {
    let mut world = World::group(&["bob"]);
    world.ok("alice", hide(LAST));
    assert_eq!(
        world.refused("alice", create(ChatKind::Group, &["bob"], false)),
        Code::Conflict
    );
    assert_eq!(world.refused("alice", text("x")), Code::NotFound);
}

#[test]
fn a_chat_has_at_most_a_thousand_members() {
    let many = names("m", 1000);
    let mut world = World::new(ChatKey::group(&user("alice"), "c"));
    let op = create(ChatKind::Group, &refs(&many), false);
    assert_eq!(world.refused("alice", op), Code::TooLarge);
    world.ok("alice", create(ChatKind::Group, &refs(&many[..999]), false));
    assert_eq!(world.refused("alice", add(&["bob"])), Code::TooLarge);
    // Those who are members already do not count twice.
    assert_eq!(world.ok("alice", add(&["m0000"])), "participants []");
    world.ok("alice", remove(&["m0000"]));
    world.ok("alice", add(&["bob"]));
}

#[test]
fn the_owner_and_admins_change_members_and_name() {
    for kind in [ChatKind::Group, ChatKind::Channel] {
        let mut world = World::made(kind, &["bob", "carol"], false);
        world.ok("alice", admins(&["bob"]));
        for by in ["alice", "bob"] {
            world.quiet();
            assert_eq!(world.ok(by, rename(by)), "chat");
            assert_eq!(world.receivers(), ["alice", "bob", "carol"]);
            assert_eq!(world.told("carol"), ["chats"]);
            assert_eq!(world.rows.head().name, by);
            world.ok(by, add(&["dave"]));
            world.ok(by, remove(&["dave"]));
        }
        for op in [
            rename("x"),
            add(&["dave"]),
            remove(&["bob"]),
            remove(&["carol"]),
            admins(&[]),
        ] {
            assert_eq!(world.refused("carol", op), Code::Forbidden);
        }
    }
}

#[test]
fn only_the_owner_names_admins_and_owner_and_they_are_members() {
    let mut world = World::group(&["bob", "carol"]);
    world.ok("alice", admins(&["bob"]));
    assert_eq!(world.refused("bob", admins(&["bob", "carol"])), Code::Forbidden);
    assert_eq!(world.refused("bob", hand_over("bob")), Code::Forbidden);
    assert_eq!(world.refused("alice", admins(&["eve"])), Code::BadRequest);
    assert_eq!(world.refused("alice", hand_over("eve")), Code::BadRequest);
    assert_eq!(world.refused("eve", admins(&["eve"])), Code::NotFound);
}

#[test]
fn the_list_of_admins_is_replaced_and_never_holds_the_owner() {
    let mut world = World::group(&["bob", "carol"]);
    world.ok("alice", admins(&["bob"]));
    assert_eq!(world.roster(), "alice [bob] [alice, bob, carol]");
    world.quiet();
    world.ok("alice", admins(&["carol", "alice"]));
    assert_eq!(world.roster(), "alice [carol] [alice, bob, carol]");
    assert_eq!(world.receivers(), ["alice", "bob", "carol"]);
    assert_eq!(world.membership("bob").role, Some(Role::Member));
}

#[test]
fn one_who_hands_over_becomes_a_plain_member() {
    let mut world = World::group(&["bob", "carol"]);
    world.ok("alice", admins(&["bob", "carol"]));
    world.ok("alice", hand_over("bob"));
    assert_eq!(world.roster(), "bob [carol] [alice, bob, carol]");
    assert_eq!(world.membership("alice").role, Some(Role::Member));
    assert_eq!(world.refused("alice", rename("x")), Code::Forbidden);
    assert_eq!(world.ok("alice", Op::Leave), "left");
    // Named in the same request, the old owner is an admin.
    world.ok(
        "bob",
        Op::UpdateChat {
            name: None,
            photo_url: None,
            admins: Some(vec![user("bob")]),
            owner: Some(user("carol")),
        },
    );
    assert_eq!(world.roster(), "carol [bob] [bob, carol]");
}

#[test]
fn an_update_that_changes_nothing_tells_nobody() {
    let mut world = World::group(&["bob"]);
    for op in [rename("the group"), admins(&[]), hand_over("alice")] {
        assert_eq!(world.ok("alice", op), "chat");
        assert!(world.receivers().is_empty() && world.last.rows.is_empty());
    }
}

#[test]
fn an_empty_picture_takes_the_picture_away() {
    let mut world = World::group(&["bob"]);
    let photo = |url: &str| Op::UpdateChat {
        name: None,
        photo_url: Some(url.to_owned()),
        admins: None,
        owner: None,
    };
    world.ok("alice", photo("https://example.org/p"));
    assert_eq!(
        world.rows.head().photo_url.as_deref(),
        Some("https://example.org/p")
    );
    world.quiet();
    world.ok("alice", rename("x"));
    assert_eq!(
        world.state.head.photo_url.as_deref(),
        Some("https://example.org/p")
    );
    world.ok("alice", photo(""));
    assert_eq!(world.rows.head().photo_url, None);
}

#[test]
fn those_added_see_the_chat_from_then_on() {
    let mut world = World::group(&["bob"]);
    world.send("alice");
    world.quiet();
    assert_eq!(
        world.ok("alice", add(&["dave", "bob", "carol", "dave"])),
        "participants [dave, carol]"
    );
    assert_eq!(world.receivers(), ["carol", "dave"]);
    assert_eq!(world.told("carol"), ["chats"]);
    let row = world.membership("carol");
    assert_eq!((row.hidden_before, row.since.0, row.listed), (1, 30, true));
    assert_eq!(world.refused("carol", read(1)), Code::NotFound);
    assert_eq!(world.refused("carol", answer(1)), Code::NotFound);
    world.quiet();
    world.send("carol");
    assert_eq!(world.told("alice"), ["new 2 carol"]);
}

#[test]
fn with_open_history_those_added_see_everything() {
    let mut world = World::made(ChatKind::Group, &["bob"], true);
    world.send("alice");
    world.ok("alice", add(&["carol"]));
    assert_eq!(world.membership("carol").hidden_before, 0);
    assert_eq!(world.ok("carol", read(1)), "read 1 @40 missed 0");
}

#[test]
fn adding_nobody_new_is_an_empty_list_and_no_event() {
    let mut world = World::group(&["bob"]);
    assert_eq!(world.ok("alice", add(&["bob", "alice"])), "participants []");
    assert_eq!(world.ok("alice", add(&[])), "participants []");
    assert_eq!(world.ok("alice", remove(&["eve"])), "participants []");
    assert!(world.receivers().is_empty() && world.last.rows.is_empty());
}

#[test]
fn those_removed_lose_the_chat_and_only_they_are_told() {
    let mut world = World::group(&["bob", "carol", "dave"]);
    assert_eq!(
        world.ok("alice", remove(&["carol", "eve", "bob", "carol"])),
        "participants [carol, bob]"
    );
    assert_eq!(world.receivers(), ["bob", "carol"]);
    assert_eq!(world.told("bob"), ["chats"]);
    assert_eq!(world.roster(), "alice [] [alice, dave]");
    let row = world.membership("bob");
    assert!(row.role.is_none() && !row.listed);
    assert_eq!(world.refused("bob", text("x")), Code::NotFound);
    world.quiet();
    world.send("alice");
    assert_eq!(world.receivers(), ["alice", "dave"]);
}

#[test]
fn the_owner_is_not_removed_and_does_not_leave() {
    let mut world = World::group(&["bob", "carol"]);
    world.ok("alice", admins(&["bob"]));
    assert_eq!(world.refused("bob", remove(&["carol", "alice"])), Code::Forbidden);
    assert_eq!(world.refused("alice", remove(&["alice"])), Code::Forbidden);
    assert_eq!(world.refused("alice", Op::Leave), Code::Conflict);
}

#[test]
fn one_who_leaves_is_told_and_a_repeat_is_not_found() {
    let mut world = World::group(&["bob", "carol"]);
    assert_eq!(world.ok("bob", Op::Leave), "left");
    assert_eq!(world.receivers(), ["bob"]);
    assert_eq!(world.told("bob"), ["chats"]);
    assert_eq!(world.refused("bob", Op::Leave), Code::NotFound);
}

#[test]
fn one_who_comes_back_does_not_see_what_was_before() {
    let mut world = World::group(&["bob"]);
    world.send("bob");
    world.ok("bob", Op::Leave);
    world.send("alice");
    world.ok("alice", add(&["bob"]));
    assert_eq!(world.membership("bob").hidden_before, 2);
    assert_eq!(world.refused("bob", edit(1, "x")), Code::NotFound);
    assert_eq!(world.refused("bob", delete(1)), Code::NotFound);
}

#[test]
fn who_is_gone_is_remembered_only_where_marks_count_again() {
    let mut closed = World::group(&["bob"]);
    closed.send("bob");
    closed.ok("bob", Op::Leave);
    assert!(!closed.state.members.contains_key(&user("bob")));
    assert_eq!(closed.last.changed, [user("bob")]);
    let mut open = World::made(ChatKind::Group, &["bob", "carol"], true);
    open.send("bob");
    open.ok("bob", Op::Leave);
    open.ok("carol", Op::Leave);
    assert!(open.state.members.contains_key(&user("bob")));
    assert!(!open.state.members.contains_key(&user("carol")));
    open.ok("alice", hide(LAST));
    assert!(open.state.members.is_empty());
    assert_eq!(open.last.changed, [user("alice"), user("bob")]);
}

#[test]
fn a_group_is_deleted_by_its_owner_for_all() {
    let mut world = World::group(&["bob", "carol"]);
    world.ok("alice", admins(&["bob"]));
    world.quiet();
    assert_eq!(world.refused("bob", hide(LAST)), Code::Forbidden);
    assert_eq!(world.ok("alice", hide(LAST)), "left");
    for member in ["alice", "bob", "carol"] {
        assert_eq!(world.told(member), ["chats"]);
        let row = world.membership(member);
        assert!(row.role.is_none() && !row.listed);
        assert_eq!(world.refused(member, text("x")), Code::NotFound);
    }
    assert_eq!(world.roster(), "alice [] []");
    assert_eq!(world.refused("alice", hide(LAST)), Code::NotFound);
}

#[test]
fn a_dialog_is_hidden_from_the_caller_only() {
    let mut world = World::dialog();
    world.send("alice");
    world.send("bob");
    world.quiet();
    assert_eq!(world.ok("bob", hide(LAST)), "left");
    assert_eq!(world.receivers(), ["bob"]);
    assert_eq!(world.told("bob"), ["chats"]);
    let row = world.membership("bob");
    assert_eq!((row.listed, row.hidden_before), (false, 2));
    assert_eq!(world.membership("alice").hidden_before, 0);
    // Again: nothing is left to hide.
    assert_eq!(world.ok("bob", hide(LAST)), "left");
    assert!(world.receivers().is_empty() && world.last.rows.is_empty());
}

#[test]
fn a_dialog_hidden_in_part_stays_in_the_list() {
    let mut world = World::dialog();
    for _ in 0..3 {
        world.send("alice");
    }
    world.quiet();
    world.ok("bob", hide(Some(2)));
    let row = world.membership("bob");
    assert_eq!((row.listed, row.hidden_before), (true, 2));
    assert_eq!(world.told("bob"), ["chats"]);
    world.ok("bob", hide(Some(1)));
    assert_eq!(world.membership("bob").hidden_before, 2);
    assert!(world.receivers().is_empty());
    assert_eq!(world.refused("bob", hide(Some(0))), Code::NotFound);
    assert_eq!(world.refused("bob", hide(Some(4))), Code::NotFound);
    world.send("alice");
    assert_eq!(world.told("bob"), ["new 4 alice"]);
}

#[test]
fn a_dialog_never_opened_can_be_deleted_but_has_no_messages() {
    let mut world = World::dialog();
    assert_eq!(world.ok("alice", hide(LAST)), "left");
    assert!(world.receivers().is_empty() && world.last.rows.is_empty());
    assert!(world.state.members.is_empty());
    assert_eq!(world.refused("alice", hide(Some(1))), Code::NotFound);
}

#[test]
fn a_dialog_has_no_members_to_manage() {
    let mut world = World::dialog();
    world.send("alice");
    for op in [add(&["carol"]), remove(&["bob"]), rename("x"), Op::Leave] {
        assert_eq!(world.refused("alice", op), Code::BadRequest);
    }
    assert_eq!(
        world.refused("alice", create(ChatKind::Group, &["bob"], false)),
        Code::BadRequest
    );
    let mut group = World::new(ChatKey::group(&user("alice"), "c"));
    assert_eq!(
        group.refused("alice", create(ChatKind::Dialog, &["bob"], false)),
        Code::BadRequest
    );
}

#[test]
fn members_of_a_small_group_greet_each_other_once_a_pair() {
    let mut world = World::new(ChatKey::group(&user("bob"), "c"));
    world.ok("bob", create(ChatKind::Group, &["alice", "carol"], false));
    assert_eq!(world.greetings(), ["alice>bob", "alice>carol", "bob>carol"]);
    world.ok("bob", add(&["al", "zoe"]));
    assert_eq!(
        world.greetings(),
        [
            "al>alice",
            "al>bob",
            "al>carol",
            "al>zoe",
            "zoe>alice",
            "zoe>bob",
            "zoe>carol"
        ]
    );
    let mut channel = World::made(ChatKind::Channel, &["bob"], false);
    channel.ok("alice", add(&["carol"]));
    assert_eq!(channel.greetings(), [""; 0]);
}

#[test]
fn members_of_a_large_group_are_no_contacts_until_it_is_small() {
    let many = names("m", 49);
    let mut world = World::group(&refs(&many));
    assert_eq!(world.last.deliveries.len(), 50);
    world.ok("alice", add(&["zoe"]));
    assert_eq!(world.greetings(), [""; 0]);
    world.ok("alice", remove(&["zoe"]));
    assert_eq!(world.greetings().len(), 50 * 49 / 2);
    assert_eq!(world.receivers(), ["zoe"]);
    world.ok("alice", remove(&["m0000"]));
    assert_eq!(world.greetings(), [""; 0]);
}

#[test]
fn a_user_stands_in_one_delivery_of_a_version() {
    let mut world = World::group(&["bob", "carol", "dave"]);
    world.send("bob");
    world.send("carol");
    world.send("dave");
    let mut seen = std::collections::BTreeSet::new();
    for delivery in &world.last.deliveries {
        for user in &delivery.to {
            assert!(seen.insert(user.clone()), "{user} twice");
        }
    }
    assert_eq!(seen.len(), 4);
}

#[test]
fn only_rows_that_changed_are_written() {
    let kinds = |world: &World| {
        let rows = world.last.rows.iter();
        rows.map(|row| match row {
            Row::Message(_) => "message",
            Row::ClientId { .. } => "client id",
            Row::Mark { .. } => "mark",
            Row::Head(_) => "head",
            Row::Roster(_) => "roster",
            Row::Membership { .. } => "membership",
        })
        .collect::<Vec<_>>()
    };
    let mut dialog = World::dialog();
    dialog.send("alice");
    assert_eq!(
        kinds(&dialog),
        ["message", "client id", "membership", "membership", "head"]
    );
    dialog.send("alice");
    assert_eq!(kinds(&dialog), ["message", "client id", "membership", "head"]);
    let mut world = World::group(&["bob", "carol"]);
    world.send("alice");
    assert_eq!(kinds(&world), ["message", "client id", "membership", "head"]);
    world.ok("bob", read(1));
    assert_eq!(kinds(&world), ["mark", "membership"]);
    world.ok("carol", read(1));
    assert_eq!(kinds(&world), ["mark", "membership", "head"]);
    world.send("bob");
    world.send("carol");
    assert_eq!(
        kinds(&world),
        ["message", "client id", "mark", "membership", "head"]
    );
    world.ok("alice", rename("x"));
    assert_eq!(kinds(&world), ["head"]);
    world.ok("bob", Op::Leave);
    assert_eq!(kinds(&world), ["membership", "roster"]);
}
