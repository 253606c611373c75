//! The log is lost: what was answered stands, ids stay 1..n, and of what was written in part nothing is left in part.

use std::collections::{BTreeMap, BTreeSet};

use confab_chat::conversation::restore::{self, Restored};
use confab_chat::conversation::{Effects, State};
use confab_chat::row::{Role, Row};
use confab_chat::{ChatKind, Code, Op, Reply, UserId};
use proptest::prelude::any;
use proptest::test_runner::Config;
use proptest::{collection, proptest, sample};

use crate::script::{Script, scripts};
use crate::world::{BATCH, Entry, Key, Rows, World, add, create, hide, named, read, remove, standing, user};

/// A run of a log that was then lost.
struct Run {
    log: Vec<Entry>,
    states: Vec<State>,
    rows: Vec<Rows>,
    effects: Vec<Effects>,
    replies: Vec<Option<Result<Reply, Code>>>,
}

impl Run {
    fn of(script: &Script) -> Self {
        let mut run = Self {
            log: Vec::new(),
            states: vec![State::new(script.chat())],
            rows: vec![Rows::default()],
            effects: Vec::new(),
            replies: Vec::new(),
        };
        run.log = script.play(|world, _, reply| {
            run.states.push(world.state.clone());
            run.rows.push(world.rows.clone());
            run.effects.push(world.last.clone());
            run.replies.push(reply);
        });
        run
    }

    /// The rows after so many entries, and some of those that the batch after them writes.
    fn torn(&self, done: usize, standing: &[bool]) -> Rows {
        let mut rows = self.rows[done].clone();
        let epoch = |place: usize| self.log.get(place).map(|entry| entry.epoch);
        let batch = (done..self.log.len()).take(usize::try_from(BATCH).unwrap());
        let written = batch
            .take_while(|place| epoch(*place) == epoch(done - 1))
            .flat_map(|place| self.effects[place].rows.iter().map(move |row| (place, row)));
        for ((place, row), stands) in written.zip(standing.iter().cycle()) {
            if *stands {
                rows.put(self.effects[place].version, row);
            }
        }
        rows
    }
}

fn restored(before: &State, rows: &Rows, epoch: u32) -> (Restored, Rows) {
    let mut rows = rows.clone();
    let standing = standing(before, &mut rows);
    (restore::restore(before, &standing, epoch), rows)
}

proptest! {
    #![proptest_config(Config::with_cases(3000))]

    #[test]
    fn nothing_answered_is_lost_and_nothing_is_left_in_part(
        mut script in scripts(40),
        done in any::<sample::Index>(),
        flushed in any::<sample::Index>(),
        stands in collection::vec(any::<bool>(), 1..24),
    ) {
        // A long prelude would only be long.
        script.prelude = 0;
        let run = Run::of(&script);
        let done = done.index(run.log.len()) + 1;
        let flushed = flushed.index(done + 1);
        let epoch = run.log[done - 1].epoch + 1;
        let torn = run.torn(done, &stands);
        // Nothing is promised of those whom nobody names.
        let promised = all_known(&run.states[flushed], &run.states[done], &torn);
        let flushed = if promised { flushed } else { done };
        let (whole, mut rows) = restored(&run.states[flushed], &torn, epoch);
        let (nearest, _) = restored(&run.states[done], &torn, epoch);
        same(&whole, &nearest);
        let (state, written) = restore::begin(whole);
        for row in &written {
            rows.put(state.head.version, row);
        }
        shows(&state, &rows);
        answered(&run, done, &state, &rows);
        sent_again(&run, done, state, rows);
    }
}

/// Whether everybody whom the newer state knows is known to the older one too, or named by the roster. It would not know
/// where to look for what others left.
fn all_known(older: &State, newer: &State, rows: &Rows) -> bool {
    let known = |user: &UserId| older.members.contains_key(user) || is_named(user, rows);
    newer.key.is_dialog() || newer.members.keys().all(known)
}

fn is_named(user: &UserId, rows: &Rows) -> bool {
    let roster = rows.0.get(&Key::Roster).map(|(_, row)| row);
    matches!(roster, Some(Row::Roster(roster)) if roster.members.contains(user))
}

/// From whichever state it is restored, a chat is the same.
fn same(one: &Restored, other: &Restored) {
    let plain = |restored: &Restored| {
        let mut head = restored.state.head.clone();
        head.time = confab_chat::Timestamp(0);
        head.recent.clear();
        if let Some(last) = head.last.as_mut().filter(|last| last.deleted) {
            last.at = confab_chat::Timestamp(0);
        }
        // A dialog of which not even the first message stands begins now.
        if head.kind == ChatKind::Dialog && restored.holes.iter().any(|hole| hole.message_id == 1) {
            head.created_at = confab_chat::Timestamp(0);
        }
        let members: Vec<_> = restored
            .state
            .current()
            .map(|(user, member)| {
                // One who came by a torn change came now.
                let since = confab_chat::Timestamp(0);
                (
                    user.clone(),
                    confab_chat::conversation::Member { since, ..*member },
                )
            })
            .collect();
        let holes: Vec<_> = restored.holes.iter().map(|hole| hole.message_id).collect();
        (head, members, holes)
    };
    assert_eq!(plain(one), plain(other));
}

/// Ids have no holes, and the rows that readers see say what the state says.
fn shows(state: &State, rows: &Rows) {
    for id in 1..=state.head.last_id {
        assert!(rows.message(id).is_some(), "a hole at {id}");
    }
    for (who, member) in &state.members {
        let row = rows.membership(who).expect("a membership");
        assert_eq!(
            (row.role, row.listed, row.read),
            (member.role, member.listed, member.read)
        );
        assert!(member.delivered >= member.read && member.read >= member.last_sent);
        assert!(member.delivered <= state.head.last_id);
    }
    if !state.head.open {
        return;
    }
    let head = rows.head();
    assert_eq!((&head.last, &head.name), (&state.head.last, &state.head.name));
    assert_eq!(head.last.map_or(0, |last| last.message_id), state.head.last_id);
    if !state.key.is_dialog() {
        let roster = rows.roster();
        let current: Vec<UserId> = state.current().map(|(user, _)| user.clone()).collect();
        assert_eq!(roster.members, current);
        let owners = state
            .current()
            .filter(|(_, member)| member.role == Some(Role::Owner));
        assert_eq!(owners.map(|(user, _)| user).collect::<Vec<_>>(), [&roster.owner]);
    }
}

/// What had been answered, and what marks had been made.
fn answered(run: &Run, done: usize, state: &State, rows: &Rows) {
    for (entry, reply) in run.log.iter().zip(&run.replies).take(done) {
        let (Op::New { .. }, Some(Ok(Reply::Message { message_id, at, .. }))) = (&entry.command.op, reply)
        else {
            continue;
        };
        let row = rows.message(*message_id).unwrap();
        assert_eq!((row.sender, row.created_at), (entry.command.user.clone(), *at));
        assert!(row.version < state.head.version, "{message_id} was overwritten");
    }
    for (who, member) in run.states[done].current() {
        let Some(now) = state.members.get(who).filter(|now| now.role.is_some()) else {
            continue;
        };
        assert!(
            now.delivered >= member.delivered && now.read >= member.read,
            "a mark of {who} went back"
        );
        assert!(now.hidden_before >= member.hidden_before);
    }
}

/// Every clientMessageId that was ever used is sent again: what was answered gets the same answer, and none makes a
/// second message.
fn sent_again(run: &Run, done: usize, state: State, rows: Rows) {
    let mut world = World::new(state.key.clone());
    (world.state, world.rows) = (state, rows);
    let epoch = world.state.head.epoch;
    let mut known = BTreeMap::new();
    for (place, entry) in run.log.iter().enumerate() {
        let Op::New {
            client_message_id: Some(own),
            ..
        } = &entry.command.op
        else {
            continue;
        };
        let key = (entry.command.user.to_string(), own.clone());
        if let Some(Ok(Reply::Message { message_id, .. })) =
            run.replies[place].as_ref().filter(|_| place < done)
        {
            known.insert(key, Some(*message_id));
        } else {
            known.entry(key).or_insert(None);
        }
    }
    let mut made = BTreeSet::new();
    for ((who, own), first) in known {
        let mut entry = world.entry(&who, named(&own));
        (entry.epoch, entry.id) = (epoch, confab_chat::EntryId(format!("again {}", entry.seq).into()));
        let Some(Ok(Reply::Message { message_id, .. })) = world.apply(&entry) else {
            continue;
        };
        assert_eq!(message_id, first.unwrap_or(message_id), "{own} of {who}");
        let row = world.rows.message(message_id).unwrap();
        assert_eq!(
            (row.sender.as_str(), row.client_message_id.as_deref()),
            (&*who, Some(&*own))
        );
        made.insert(message_id);
    }
    let mut ids = BTreeSet::new();
    for (_, row) in world.rows.0.values() {
        if let Row::Message(row) = row
            && let Some(own) = &row.client_message_id
        {
            assert!(
                ids.insert((row.sender.clone(), own.clone())),
                "{own} of {} twice",
                row.sender
            );
        }
    }
    shows(&world.state, &world.rows);
}

/// Loses the log, and some rows of the last entry with it.
fn lose(world: &mut World, lost: impl Fn(&Key) -> bool, before: &Rows) {
    let torn = world.rows.0.iter().filter_map(|(key, row)| {
        let row = if lost(key) { before.0.get(key)? } else { row };
        Some((key.clone(), row.clone()))
    });
    world.rows = Rows(torn.collect());
    world.lose_log(2);
}

#[test]
fn a_number_that_only_a_mark_or_a_membership_knows_is_a_deleted_message() {
    for keep in ["membership", "head"] {
        let mut world = World::dialog();
        world.ok("alice", named("one"));
        let before = world.rows.clone();
        world.ok("bob", named("two"));
        lose(
            &mut world,
            |key| match key {
                Key::Membership(of) => keep != "membership" || *of != user("bob"),
                Key::Head => keep != "head",
                Key::Mark(..) => false,
                _ => true,
            },
            &before,
        );
        let row = world.rows.message(2).unwrap();
        assert_eq!((row.sender, row.text.as_str()), (user("bob"), ""));
        assert!(row.deleted.is_some());
        // It was never answered, so it is sent again, and is another message.
        world.seq = 0;
        let entry = |world: &mut World, by, op| {
            let mut entry = world.entry(by, op);
            entry.epoch = 2;
            world.apply(&entry)
        };
        let Some(Ok(Reply::Message { message_id: 3, .. })) = entry(&mut world, "bob", named("two")) else {
            panic!("{:?}", world.last);
        };
        assert!(matches!(
            entry(&mut world, "alice", crate::world::edit(2, "x")),
            Some(Err(_))
        ));
        assert!(matches!(
            entry(&mut world, "alice", read(2)),
            Some(Ok(Reply::Read { missed: 1, .. }))
        ));
    }
}

#[test]
fn a_dialog_hidden_before_a_message_that_stands_shows_again() {
    let mut world = World::dialog();
    world.send("alice");
    world.ok("bob", hide(None));
    let before = world.rows.clone();
    world.send("alice");
    lose(
        &mut world,
        |key| matches!(key, Key::Membership(_) | Key::Head),
        &before,
    );
    let (bob, head) = (world.membership("bob"), world.rows.head());
    assert!(bob.listed && bob.hidden_before == 1);
    assert_eq!(head.last.unwrap().message_id, 2);
}

#[test]
fn members_are_those_of_the_roster_in_whatever_part_a_change_was_written() {
    let is_roster = |key: &Key| *key == Key::Roster;
    let is_carol = |key: &Key| *key == Key::Membership(user("carol"));
    let roster = |world: &World| world.roster();

    let mut world = World::group(&["bob"]);
    world.send("alice");
    let before = world.rows.clone();
    world.ok("alice", add(&["carol"]));
    lose(&mut world, is_carol, &before);
    let carol = world.membership("carol");
    assert_eq!(roster(&world), "alice [] [alice, bob, carol]");
    assert_eq!(
        (carol.hidden_before, carol.read),
        (1, 1),
        "nothing from before is seen"
    );

    let mut world = World::group(&["bob", "carol"]);
    world.send("alice");
    let before = world.rows.clone();
    world.ok("alice", remove(&["carol"]));
    let torn = world.rows.clone();
    lose(&mut world, is_roster, &before);
    assert_eq!(roster(&world), "alice [] [alice, bob, carol]");
    let carol = world.membership("carol");
    assert_eq!(
        (carol.role, carol.hidden_before),
        (Some(Role::Member), 0),
        "as if never removed"
    );

    let mut world = World::group(&["bob", "carol"]);
    (world.flushed, world.rows) = (world.state.clone(), torn);
    lose(&mut world, is_carol, &before);
    assert_eq!(roster(&world), "alice [] [alice, bob]");
    assert_eq!(world.membership("carol").role, None);
}

#[test]
fn a_group_without_head_or_roster_was_not_made() {
    for lost in [Key::Head, Key::Roster] {
        let mut world = World::new(confab_chat::ChatKey::group(&user("alice"), "c"));
        let op = || create(ChatKind::Group, &["bob"], true);
        world.ok("alice", op());
        lose(&mut world, |key| *key == lost, &Rows::default());
        assert!(!world.state.head.open && world.state.members.is_empty());
        let mut again = world.entry("alice", op());
        again.epoch = 2;
        assert_eq!(world.apply(&again), Some(Ok(Reply::Chat)));
        assert_eq!(world.roster(), "alice [] [alice, bob]");
    }
}

#[test]
fn open_history_and_the_end_of_a_group_are_known_from_rows() {
    let mut world = World::made(ChatKind::Channel, &["bob"], true);
    world.lose_log(2);
    assert!(world.state.head.history_all && world.state.head.kind == ChatKind::Channel);
    let mut end = world.entry("alice", hide(None));
    end.epoch = 2;
    assert_eq!(world.apply(&end), Some(Ok(Reply::Left)));
    world.lose_log(3);
    assert!(world.state.head.deleted && !world.state.head.open && world.state.members.is_empty());
}
