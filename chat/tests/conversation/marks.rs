//! The protocol's section "Marks", rule by rule.

use confab_chat::row::MarkKind;
use confab_chat::{ChatKey, ChatKind, Code, Op};

use crate::world::{LAST, World, add, delete, dlvrd, hide, read, remove, user};

/// A dialog in which bob sent messages 1 to `count`, at 10, 20, …
fn bob_sent(count: u64) -> World {
    let mut world = World::dialog();
    for _ in 0..count {
        world.send("bob");
    }
    world.quiet();
    world
}

#[test]
fn rule_1_a_mark_covers_every_message_by_others_up_to_its_own() {
    let mut world = bob_sent(5);
    assert_eq!(world.ok("alice", read(4)), "read 4 @60 missed 1");
    for id in 1..=4 {
        assert_eq!(world.ok("alice", read(id)), format!("read {id} @60 missed 1"));
    }
    assert_eq!(world.ok("alice", read(5)), "read 5 @110 missed 0");
}

#[test]
fn rule_2_reading_what_is_not_delivered_marks_both_with_one_time() {
    let mut world = bob_sent(5);
    assert_eq!(world.ok("alice", read(5)), "read 5 @60 missed 0");
    let events = ["dlvrd 5 alice @60", "read 5 alice @60"];
    assert_eq!(world.told("bob"), events);
    assert_eq!(world.told("alice"), events);
    assert_eq!(world.ok("alice", dlvrd(5)), "message 5 @60");
}

#[test]
fn rule_2_reading_what_is_delivered_leaves_the_delivery_as_it_was() {
    let mut world = bob_sent(5);
    world.ok("alice", dlvrd(5));
    world.quiet();
    assert_eq!(world.ok("alice", read(5)), "read 5 @70 missed 0");
    assert_eq!(world.told("bob"), ["read 5 alice @70"]);
    assert_eq!(world.ok("alice", dlvrd(5)), "message 5 @60");
}

#[test]
fn rule_2_reading_what_is_delivered_in_part_delivers_the_rest() {
    let mut world = bob_sent(5);
    world.ok("alice", dlvrd(3));
    world.quiet();
    world.ok("alice", read(5));
    assert_eq!(world.told("bob"), ["dlvrd 5 alice @70", "read 5 alice @70"]);
    assert_eq!(world.ok("alice", dlvrd(3)), "message 3 @60");
    assert_eq!(world.ok("alice", dlvrd(4)), "message 4 @70");
    assert_eq!(world.ok("alice", read(2)), "read 2 @70 missed 0");
}

#[test]
fn rule_3_a_mark_reaches_back_to_the_one_before_and_no_further() {
    for op in [dlvrd as fn(u64) -> Op, read] {
        let mut world = bob_sent(10);
        world.ok("alice", op(5));
        world.ok("alice", op(10));
        for id in 1..=10 {
            let at = if id <= 5 { 110 } else { 120 };
            let words = world.ok("alice", op(id));
            assert!(words.contains(&format!(" {id} @{at}")), "{words}");
        }
    }
}

#[test]
fn rule_4_the_first_mark_stands_and_a_repeat_tells_nobody() {
    for op in [dlvrd as fn(u64) -> Op, read] {
        let mut world = bob_sent(3);
        let first = world.ok("alice", op(3));
        world.quiet();
        let state = world.state.members.clone();
        assert_eq!(world.ok("alice", op(3)), first);
        assert_eq!(world.state.members, state);
        assert!(world.last.rows.is_empty());
        assert!(world.receivers().is_empty());
    }
}

#[test]
fn rule_5_marks_never_go_back() {
    for op in [dlvrd as fn(u64) -> Op, read] {
        let mut world = bob_sent(10);
        world.ok("alice", op(10));
        world.quiet();
        let words = world.ok("alice", op(4));
        assert!(words.contains(" 4 @110"), "{words}");
        assert!(world.receivers().is_empty());
        assert!(world.membership("alice").delivered == 10);
    }
}

#[test]
fn rule_6_a_mark_shows_at_once_in_the_rows_that_lists_and_messages_are_read_from() {
    let mut world = bob_sent(5);
    world.ok("alice", dlvrd(4));
    world.ok("alice", read(2));
    let own = world.membership("alice");
    assert_eq!((own.delivered, own.read), (4, 2));
    let head = world.rows.head();
    assert_eq!((head.delivered_up_to, head.read_up_to), (4, 2));
    let at = |kind, id| world.rows.mark_from(&user("alice"), kind, id).map(|(_, at)| at.0);
    assert_eq!(
        (at(MarkKind::Delivered, 1), at(MarkKind::Read, 1)),
        (Some(60), Some(70))
    );
    assert_eq!(
        (at(MarkKind::Delivered, 3), at(MarkKind::Read, 3)),
        (Some(60), None)
    );
    assert_eq!((at(MarkKind::Delivered, 5), at(MarkKind::Read, 5)), (None, None));
}

#[test]
fn rule_6_a_group_counts_as_far_as_everyone_has_marked() {
    let mut world = World::group(&["bob", "carol"]);
    world.send("alice");
    world.send("alice");
    world.ok("bob", read(2));
    assert_eq!(world.rows.head().read_up_to, 0);
    world.ok("carol", dlvrd(2));
    assert_eq!(
        (world.rows.head().delivered_up_to, world.rows.head().read_up_to),
        (2, 0)
    );
    world.ok("carol", read(1));
    assert_eq!(world.rows.head().read_up_to, 1);
    // What came before a member does not wait for that member; what a member did not read does, until the member goes.
    world.ok("alice", add(&["dave"]));
    assert_eq!(world.rows.head().read_up_to, 1);
    world.ok("alice", remove(&["carol"]));
    assert_eq!(world.rows.head().read_up_to, 2);
}

#[test]
fn rule_7_nothing_is_marked_by_itself() {
    let mut world = bob_sent(3);
    world.ok("bob", dlvrd(3));
    world.ok("alice", hide(Some(1)));
    world.ok("bob", delete(2));
    let own = world.membership("alice");
    assert_eq!((own.delivered, own.read), (0, 0));
}

#[test]
fn a_mark_without_a_message_is_one_on_the_last() {
    let mut world = bob_sent(3);
    assert_eq!(
        world.ok("alice", Op::MarkDelivered { message_id: LAST }),
        "message 3 @40"
    );
    assert_eq!(
        world.ok("alice", Op::MarkRead { message_id: LAST }),
        "read 3 @50 missed 0"
    );
    assert_eq!(world.told("bob"), ["dlvrd 3 alice @40", "read 3 alice @50"]);
}

#[test]
fn a_mark_on_what_the_chat_does_not_have_is_not_found() {
    let mut world = World::dialog();
    for op in [
        dlvrd(1),
        read(1),
        Op::MarkDelivered { message_id: LAST },
        Op::MarkRead { message_id: LAST },
    ] {
        assert_eq!(world.refused("alice", op), Code::NotFound);
    }
    world.send("bob");
    for op in [
        dlvrd(0),
        read(0),
        dlvrd(2),
        read(2),
        dlvrd(u64::MAX),
        read(u64::MAX),
    ] {
        assert_eq!(world.refused("alice", op), Code::NotFound);
    }
    let mut group = World::group(&["bob"]);
    assert_eq!(
        group.refused("bob", Op::MarkRead { message_id: LAST }),
        Code::NotFound
    );
}

#[test]
fn a_mark_on_what_is_hidden_is_not_found() {
    let mut world = bob_sent(3);
    world.ok("alice", hide(Some(2)));
    assert_eq!(world.refused("alice", read(2)), Code::NotFound);
    world.ok("alice", hide(LAST));
    assert_eq!(
        world.refused("alice", Op::MarkRead { message_id: LAST }),
        Code::NotFound
    );
}

#[test]
fn a_mark_is_told_to_those_who_sent_anything_after_the_markers_previous_one() {
    let mut world = World::group(&["bob", "carol", "dave"]);
    world.send("bob"); // 1
    world.send("carol"); // 2
    world.ok("dave", read(2));
    world.send("carol"); // 3
    world.quiet();
    world.ok("dave", read(3));
    assert_eq!(world.receivers(), ["carol", "dave"]);
}

#[test]
fn a_mark_is_told_to_one_whose_message_lies_above_it() {
    let mut world = World::group(&["bob", "carol", "dave"]);
    world.send("bob"); // 1
    world.send("carol"); // 2
    world.quiet();
    world.ok("dave", dlvrd(1));
    assert_eq!(world.receivers(), ["bob", "carol", "dave"]);
}

#[test]
fn each_kind_of_mark_has_its_own_previous_one() {
    let mut world = World::group(&["bob", "carol", "dave"]);
    world.send("bob"); // 1
    world.ok("dave", dlvrd(1));
    world.send("carol"); // 2
    world.quiet();
    world.ok("dave", read(2));
    assert_eq!(world.told("bob"), ["read 2 dave @50"]);
    assert_eq!(world.told("carol"), ["dlvrd 2 dave @50", "read 2 dave @50"]);
    assert_eq!(world.told("dave"), ["dlvrd 2 dave @50", "read 2 dave @50"]);
    assert_eq!(world.told("alice"), [""; 0]);
}

#[test]
fn a_mark_that_names_what_a_sender_does_not_see_is_not_told_to_the_sender() {
    let mut world = bob_sent(3);
    world.ok("bob", hide(Some(2)));
    world.quiet();
    world.ok("alice", read(2));
    assert_eq!(world.receivers(), ["alice"]);
    world.ok("alice", read(3));
    assert_eq!(world.told("bob"), ["dlvrd 3 alice @60", "read 3 alice @60"]);
}

#[test]
fn sending_reads_everything_before_it() {
    let mut world = bob_sent(3);
    world.ok("alice", dlvrd(2));
    world.quiet();
    world.send("alice"); // 4 at 50
    let events = ["dlvrd 3 alice @50", "read 3 alice @50", "new 4 alice"];
    assert_eq!(world.told("bob"), events);
    assert_eq!(world.told("alice"), events);
    assert_eq!(world.ok("alice", dlvrd(2)), "message 2 @40");
    assert_eq!(world.ok("alice", read(2)), "read 2 @50 missed 0");
}

#[test]
fn sending_after_everything_is_read_tells_of_no_mark() {
    let mut world = bob_sent(3);
    world.ok("alice", read(3));
    world.quiet();
    world.send("alice");
    world.send("alice");
    assert_eq!(world.told("bob"), ["new 4 alice", "new 5 alice"]);
}

#[test]
fn a_mark_on_ones_own_message_has_the_time_of_the_nearest_by_another_below() {
    let mut world = bob_sent(3);
    world.ok("alice", dlvrd(3)); // 40
    world.ok("alice", read(1)); // 50
    world.send("alice"); // 4 at 60: reads 2 and 3
    world.send("alice"); // 5
    world.quiet();
    assert_eq!(world.ok("alice", read(5)), "read 5 @60 missed 0");
    assert_eq!(world.ok("alice", dlvrd(5)), "message 5 @40");
    assert_eq!(world.ok("alice", read(4)), "read 4 @60 missed 0");
    assert!(world.receivers().is_empty());
}

#[test]
fn a_mark_on_ones_own_message_with_nothing_below_has_the_time_of_its_making() {
    let mut world = bob_sent(2);
    assert_eq!(world.ok("bob", read(2)), "read 2 @20 missed 0");
    assert_eq!(world.ok("bob", dlvrd(1)), "message 1 @10");
    // What lies below but is hidden does not count.
    world.ok("alice", read(2));
    world.ok("alice", hide(LAST));
    world.send("alice"); // 3 at 70
    assert_eq!(world.ok("alice", read(3)), "read 3 @70 missed 0");
}

#[test]
fn a_send_reads_also_what_its_sender_has_hidden_and_the_sender_is_not_told() {
    let mut world = bob_sent(2);
    world.ok("alice", hide(LAST));
    world.quiet();
    world.send("alice"); // 3 at 40
    assert_eq!(
        world.told("bob"),
        ["dlvrd 2 alice @40", "read 2 alice @40", "new 3 alice"]
    );
    assert_eq!(world.told("alice"), ["chats", "new 3 alice"]);
}

#[test]
fn missed_counts_what_the_user_sees_by_others_after_the_read_mark() {
    let mut world = bob_sent(5);
    world.ok("bob", delete(4));
    assert_eq!(world.ok("alice", read(1)), "read 1 @70 missed 4");
    world.ok("alice", hide(Some(3)));
    assert_eq!(world.ok("alice", read(4)), "read 4 @90 missed 1");
}

#[test]
fn in_ones_own_notes_everything_counts_as_read() {
    let mut world = World::new(ChatKey::dialog(&user("alice"), &user("alice")));
    assert_eq!(world.send("alice"), 1);
    assert_eq!(world.told("alice"), ["chats", "new 1 alice"]);
    world.send("alice");
    assert_eq!(world.told("alice"), ["new 2 alice"]);
    assert_eq!(world.ok("alice", read(2)), "read 2 @20 missed 0");
    assert_eq!(world.ok("alice", dlvrd(1)), "message 1 @10");
    assert!(world.receivers().is_empty());
    let head = world.rows.head();
    assert_eq!((head.delivered_up_to, head.read_up_to), (2, 2));
}

#[test]
fn one_who_comes_without_history_has_nothing_missed_and_reads_nothing_old() {
    let mut world = World::group(&["bob"]);
    world.send("alice"); // 1
    world.ok("alice", add(&["carol"]));
    world.quiet();
    world.send("carol"); // 2: nothing before it is carol's to read
    assert_eq!(world.told("alice"), ["new 2 carol"]);
    assert_eq!(world.refused("carol", read(1)), Code::NotFound);
    assert_eq!(world.ok("carol", read(2)), "read 2 @40 missed 0");
}

#[test]
fn one_who_comes_with_history_reads_it() {
    let mut world = World::made(ChatKind::Group, &["bob"], true);
    world.send("alice"); // 1
    world.send("alice"); // 2
    world.ok("bob", read(2));
    world.ok("alice", add(&["carol"]));
    // What came before does not wait for the newcomer, but the newcomer's marks are told.
    assert_eq!(world.rows.head().read_up_to, 2);
    world.quiet();
    assert_eq!(world.ok("carol", read(1)), "read 1 @60 missed 1");
    assert_eq!(world.told("alice"), ["dlvrd 1 carol @60", "read 1 carol @60"]);
    assert_eq!(world.rows.head().read_up_to, 2);
}

#[test]
fn marks_stand_when_one_who_left_a_chat_with_history_comes_back() {
    let mut world = World::made(ChatKind::Group, &["bob"], true);
    world.send("alice"); // 1 at 20
    world.send("alice"); // 2
    world.ok("bob", read(1)); // 40
    world.ok("bob", Op::Leave);
    world.send("alice"); // 3
    world.ok("alice", add(&["bob"]));
    assert_eq!(world.ok("bob", read(1)), "read 1 @40 missed 2");
    assert_eq!(world.ok("bob", read(3)), "read 3 @90 missed 0");
    assert_eq!(world.ok("bob", read(1)), "read 1 @40 missed 0");
}

#[test]
fn a_mark_across_buckets_leaves_a_row_at_each_end() {
    let mut world = bob_sent(4100);
    world.ok("alice", read(10));
    world.ok("alice", dlvrd(2047)); // at an end: that row is enough
    let ends = |world: &World, kind| {
        let mut at = 0;
        let mut ends = Vec::new();
        while let Some((up_to, _)) = world.rows.mark_from(&user("alice"), kind, at + 1) {
            ends.push(up_to);
            at = up_to;
        }
        ends
    };
    assert_eq!(ends(&world, MarkKind::Delivered), [2047]);
    world.ok("alice", read(4099));
    assert_eq!(ends(&world, MarkKind::Read), [10, 2047, 4095, 4099]);
    assert_eq!(ends(&world, MarkKind::Delivered), [2047]);
    let last = world.seq * 10;
    assert_eq!(world.ok("alice", read(11)), format!("read 11 @{last} missed 1"));
    assert_eq!(world.ok("alice", dlvrd(2048)), format!("message 2048 @{last}"));
    let two = last - 10;
    assert_eq!(world.ok("alice", dlvrd(2040)), format!("message 2040 @{two}"));
}

#[test]
fn a_mark_from_just_below_an_end_leaves_a_row_at_the_end() {
    let mut world = bob_sent(2050);
    world.ok("alice", read(2046));
    world.ok("alice", read(2050));
    let (up_to, at) = world
        .rows
        .mark_from(&user("alice"), MarkKind::Read, 2047)
        .unwrap();
    assert_eq!((up_to, at.0), (2047, world.seq * 10));
}
