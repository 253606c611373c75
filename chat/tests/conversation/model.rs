//! A chat against the naive model of it: same replies, same events, same rows.

use std::collections::{BTreeMap, VecDeque};

use confab_chat::limits::BUCKET_MESSAGES;
use confab_chat::row::{MarkKind, Role};
use confab_chat::{Code, Timestamp, UserId};
use proptest::proptest;
use proptest::test_runner::Config;

use crate::naive::{Msg, Naive, Rank};
use crate::script::{PLAYERS, Script, Setup, scripts};
use crate::world::{Entry, World, reply_in_words, user};

proptest! {
    #![proptest_config(Config::with_cases(1000))]

    #[test]
    fn a_chat_does_what_the_rules_say(script in scripts(60)) {
        check(&script);
    }
}

fn check(script: &Script) {
    let mut naive = Naive::new(match script.setup {
        Setup::Dialog => Some(&["alice", "bob"]),
        Setup::Notes => Some(&["alice"]),
        Setup::Group { .. } => None,
    });
    // An entry that comes again is passed over as long as it is among the last 64.
    let mut recent = VecDeque::new();
    let mut now = 0;
    let mut place = 0;
    script.play(|world, entry, reply| {
        place += 1;
        now = now.max(entry.time.0);
        let first = !recent.contains(&entry.id);
        if first {
            recent.push_back(entry.id.clone());
            recent.drain(..recent.len().saturating_sub(64));
        }
        let want = naive_step(&mut naive, entry, now, first);
        let got = reply.map(|reply| reply.map(|reply| reply_in_words(&reply)));
        let what = format!("{:?} by {:?}", entry.command.op, entry.command.user);
        assert_eq!(got, want, "reply to {what}");
        let mut told = BTreeMap::new();
        for player in PLAYERS {
            let events = world.told(player);
            if !events.is_empty() {
                told.insert(player.to_owned(), events);
            }
        }
        assert_eq!(told, naive.told, "events of {what}");
        if place > script.prelude {
            compare(world, &naive, &what);
        }
    });
}

/// What the model says of an entry: nothing of a copy, `internal` of one that panics.
fn naive_step(naive: &mut Naive, entry: &Entry, now: u64, first: bool) -> Option<Result<String, Code>> {
    if !first || entry.panics {
        naive.told.clear();
        return first.then_some(Err(Code::Internal));
    }
    let command = &entry.command;
    Some(naive.step(command.user.as_str(), &entry.id.0, &command.op, now))
}

fn compare(world: &World, naive: &Naive, what: &str) {
    assert_eq!(world.state.head.last_id, naive.messages.len() as u64, "{what}");
    for player in PLAYERS {
        let Some(row) = world.rows.membership(&user(player)) else {
            assert!(!naive.members.contains_key(player), "{player} after {what}");
            continue;
        };
        let rank = naive.members.get(player);
        let role = rank.map(|rank| match rank {
            Rank::Member => Role::Member,
            Rank::Admin => Role::Admin,
            Rank::Owner => Role::Owner,
        });
        assert_eq!(row.role, role, "{player} after {what}");
        assert_eq!(row.listed, naive.listed.contains(player), "{player} after {what}");
        if role.is_some() {
            let missed = world.state.head.last_id - row.read.max(row.hidden_before);
            assert_eq!(missed, naive.missed(player), "missed of {player} after {what}");
        }
        if let Some(member) = world.state.members.get(&user(player)) {
            assert!(member.delivered >= member.read && member.read >= member.last_sent);
        }
    }
    // The newest messages are those that anything happens to.
    let oldest = naive.messages.len().saturating_sub(50);
    for (id, message) in (1..).zip(&naive.messages).skip(oldest) {
        compare_message(world, id, message, what);
    }
    if !naive.members.is_empty() {
        compare_everyone(world, naive, what);
    }
}

fn compare_message(world: &World, id: u64, message: &Msg, what: &str) {
    let row = world.rows.message(id).expect("ids have no holes");
    assert_eq!(row.sender.as_str(), message.sender);
    assert_eq!(
        (&row.text, &row.client_message_id),
        (&message.text, &message.own_id)
    );
    assert_eq!(row.created_at.0, message.created);
    assert_eq!(row.updated_at.map(|at| at.0), message.updated);
    assert_eq!(row.deleted.map(|deletion| deletion.at.0), message.deleted);
    assert_eq!(row.reply_to.map(|quote| quote.message_id), message.answers);
    for marker in &message.markers {
        if *marker == message.sender {
            continue;
        }
        let marker_id = user(marker);
        let read = covering(world, &marker_id, MarkKind::Read, id);
        let delivered = covering(world, &marker_id, MarkKind::Delivered, id);
        let delivered = delivered.into_iter().chain(read).min();
        let want = |marks: &BTreeMap<String, u64>| marks.get(marker).map(|at| Timestamp(*at));
        assert_eq!(read, want(&message.read), "{marker} read {id} after {what}");
        assert_eq!(
            delivered,
            want(&message.delivered),
            "{marker} got {id} after {what}"
        );
    }
}

/// The mark that covers a message, looked for in the message's own bucket.
fn covering(world: &World, marker: &UserId, kind: MarkKind, id: u64) -> Option<Timestamp> {
    let (up_to, at) = world.rows.mark_from(marker, kind, id)?;
    (up_to / BUCKET_MESSAGES == id / BUCKET_MESSAGES).then_some(at)
}

/// The rows' one number for all: how many messages, from the first on, nobody is waited for any more.
fn compare_everyone(world: &World, naive: &Naive, what: &str) {
    let done = |pick: fn(&Msg) -> &BTreeMap<String, u64>| {
        let done = naive.messages.iter().take_while(|message| {
            let mut waited_for = naive
                .members
                .keys()
                .filter(|name| message.waits_for.contains(*name));
            waited_for.all(|name| *name == message.sender || pick(message).contains_key(name))
        });
        done.count() as u64
    };
    let head = world.rows.head();
    assert_eq!(head.read_up_to, done(|message| &message.read), "after {what}");
    assert_eq!(
        head.delivered_up_to,
        done(|message| &message.delivered),
        "after {what}"
    );
}
