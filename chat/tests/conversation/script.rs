//! Random sequences of commands.

use confab_chat::{ChatKey, ChatKind, Code, EntryId, Op, Reply, Timestamp};
use proptest::prelude::{BoxedStrategy, Just, Strategy, any};
use proptest::{prop_oneof, sample};

use crate::world::{Entry, World, command, user, users};

/// Who plays; the last one is in no chat at first.
pub(crate) const PLAYERS: [&str; 4] = ["alice", "bob", "carol", "dave"];

/// What the script begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setup {
    /// A dialog between the first two, not opened.
    Dialog,
    /// The first one's own notes.
    Notes,
    /// A group or channel of the first three, or one not made yet.
    Group {
        kind: ChatKind,
        history_all: bool,
        made: bool,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) setup: Setup,
    /// Messages that the first player sends before the rest.
    pub(crate) prelude: u64,
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
struct Step {
    by: &'static str,
    what: What,
    /// Milliseconds after the entry before; the log's clock may also go back.
    later: i64,
    twist: Twist,
}

#[derive(Clone, Debug)]
enum Twist {
    None,
    /// An earlier entry comes again instead.
    Copy(sample::Index),
    /// Applying it panics.
    Panic,
    /// The log was lost and a new epoch begun.
    Epoch,
    /// The state is written.
    Flush,
}

/// An operation; messages are picked counting back from one above the last.
#[derive(Clone, Debug)]
enum What {
    Send { client: Option<u8>, answer: Option<u64> },
    Edit(u64),
    Delete(u64),
    Delivered(Option<u64>),
    Read(Option<u64>),
    Hide(Option<u64>),
    Create(Vec<&'static str>),
    Add(Vec<&'static str>),
    Remove(Vec<&'static str>),
    Rename(u8),
    Admins(Vec<&'static str>),
    HandOver(&'static str),
    Leave,
}

fn player() -> impl Strategy<Value = &'static str> {
    sample::select(&PLAYERS[..])
}

fn some_players() -> impl Strategy<Value = Vec<&'static str>> {
    proptest::collection::vec(player(), 0..3)
}

fn pick() -> impl Strategy<Value = u64> {
    prop_oneof![3 => 0..4u64, 2 => 0..14u64]
}

fn what() -> BoxedStrategy<What> {
    let maybe = || proptest::option::of(pick());
    prop_oneof![
        10 => (proptest::option::of(0..8u8), proptest::option::weighted(0.2, pick()))
            .prop_map(|(client, answer)| What::Send { client, answer }),
        3 => pick().prop_map(What::Edit),
        3 => pick().prop_map(What::Delete),
        5 => maybe().prop_map(What::Delivered),
        5 => maybe().prop_map(What::Read),
        1 => maybe().prop_map(What::Hide),
        1 => some_players().prop_map(What::Create),
        3 => some_players().prop_map(What::Add),
        1 => some_players().prop_map(What::Remove),
        1 => (0..2u8).prop_map(What::Rename),
        1 => some_players().prop_map(What::Admins),
        1 => player().prop_map(What::HandOver),
        2 => Just(What::Leave),
    ]
    .boxed()
}

fn step() -> impl Strategy<Value = Step> {
    let twist = prop_oneof![
        20 => Just(Twist::None),
        1 => any::<sample::Index>().prop_map(Twist::Copy),
        1 => Just(Twist::Panic),
        1 => Just(Twist::Epoch),
        2 => Just(Twist::Flush),
    ];
    (player(), what(), -3..20i64, twist).prop_map(|(by, what, later, twist)| Step {
        by,
        what,
        later,
        twist,
    })
}

/// Scripts; now and then one that lies about the end of a bucket of marks.
pub(crate) fn scripts(most: usize) -> impl Strategy<Value = Script> {
    let setup = prop_oneof![
        4 => Just(Setup::Dialog),
        1 => Just(Setup::Notes),
        6 => (sample::select(vec![ChatKind::Group, ChatKind::Group, ChatKind::Channel]), any::<bool>(), proptest::bool::weighted(0.9))
            .prop_map(|(kind, history_all, made)| Setup::Group { kind, history_all, made }),
    ];
    let prelude = prop_oneof![40 => Just(0u64), 1 => 2030..2046u64];
    (setup, prelude, proptest::collection::vec(step(), 1..most)).prop_map(|(setup, prelude, steps)| Script {
        setup,
        prelude,
        steps,
    })
}

impl Script {
    pub(crate) fn chat(&self) -> ChatKey {
        match self.setup {
            Setup::Dialog => ChatKey::dialog(&user("alice"), &user("bob")),
            Setup::Notes => ChatKey::dialog(&user("alice"), &user("alice")),
            Setup::Group { .. } => ChatKey::group(&user("alice"), "c"),
        }
    }

    /// Plays the script; `each` sees every entry after it was applied.
    pub(crate) fn play(
        &self,
        mut each: impl FnMut(&mut World, &Entry, Option<Result<Reply, Code>>),
    ) -> Vec<Entry> {
        let mut world = World::new(self.chat());
        let mut log: Vec<Entry> = Vec::new();
        let mut clock = 1000i64;
        let mut epoch = 1;
        let mut opening = Vec::new();
        if let Setup::Group { made: true, .. } = self.setup {
            opening.push(self.op(&world, &What::Create(vec!["bob", "carol"])));
        }
        for _ in 0..self.prelude {
            opening.push(self.op(
                &world,
                &What::Send {
                    client: None,
                    answer: None,
                },
            ));
        }
        for op in opening {
            log.push(entry(&log, command(&self.chat(), "alice", op), epoch, clock));
            let entry = log.last().unwrap();
            let reply = world.apply(entry);
            each(&mut world, entry, reply);
        }
        for step in &self.steps {
            clock += step.later;
            if matches!(step.twist, Twist::Epoch) {
                epoch += 1;
                // By then it is later than it ever was.
                clock += 1000;
            }
            let op = self.op(&world, &step.what);
            let mut next = entry(&log, command(&self.chat(), step.by, op), epoch, clock);
            next.panics = matches!(step.twist, Twist::Panic);
            // Of what was lost nothing comes again.
            let here = &log[log.partition_point(|entry| entry.epoch < epoch)..];
            if let (Twist::Copy(back), false) = (&step.twist, here.is_empty()) {
                let first: &Entry = back.get(here);
                (next.id, next.command, next.panics) = (first.id.clone(), first.command.clone(), false);
            }
            let reply = world.apply(&next);
            if matches!(step.twist, Twist::Flush) {
                world.flushed = world.state.clone();
            }
            each(&mut world, &next, reply);
            log.push(next);
        }
        log
    }

    fn op(&self, world: &World, what: &What) -> Op {
        let last = world.state.head.last_id;
        let id = |pick: &u64| (last + 1).saturating_sub(*pick);
        let none = Op::UpdateChat {
            name: None,
            photo_url: None,
            admins: None,
            owner: None,
        };
        match what {
            What::Send { client, answer } => Op::New {
                text: format!("text {}", last + 1),
                attachments: Vec::new(),
                reply_to: answer.as_ref().map(id),
                client_message_id: client.map(|client| format!("c{client}")),
            },
            What::Edit(pick) => Op::Edit {
                message_id: id(pick),
                text: format!("edit {}", world.state.head.version),
                attachments: Vec::new(),
            },
            What::Delete(pick) => Op::Delete { message_id: id(pick) },
            What::Delivered(pick) => Op::MarkDelivered {
                message_id: pick.as_ref().map(id),
            },
            What::Read(pick) => Op::MarkRead {
                message_id: pick.as_ref().map(id),
            },
            What::Hide(pick) => Op::DeleteChat {
                message_id: pick.as_ref().map(id),
            },
            What::Create(with) => {
                let (kind, history_all) = match self.setup {
                    Setup::Group {
                        kind, history_all, ..
                    } => (kind, history_all),
                    Setup::Dialog | Setup::Notes => (ChatKind::Group, false),
                };
                Op::CreateChat {
                    kind,
                    name: "n0".to_owned(),
                    participants: users(with),
                    photo_url: None,
                    history_all,
                }
            }
            What::Add(whom) => Op::AddParticipants {
                participants: users(whom),
            },
            What::Remove(whom) => Op::RemoveParticipants {
                participants: users(whom),
            },
            What::Rename(name) => with(none, |name_of, _, _| *name_of = Some(format!("n{name}"))),
            What::Admins(whom) => with(none, |_, admins, _| *admins = Some(users(whom))),
            What::HandOver(whom) => with(none, |_, _, owner| *owner = Some(user(whom))),
            What::Leave => Op::Leave,
        }
    }
}

type Name = Option<String>;
type Users = Option<Vec<confab_chat::UserId>>;
type User = Option<confab_chat::UserId>;

fn with(mut update: Op, fill: impl FnOnce(&mut Name, &mut Users, &mut User)) -> Op {
    if let Op::UpdateChat {
        name, admins, owner, ..
    } = &mut update
    {
        fill(name, admins, owner);
    }
    update
}

fn entry(log: &[Entry], command: confab_chat::Command, epoch: u32, clock: i64) -> Entry {
    let in_epoch = log.iter().filter(|entry| entry.epoch == epoch).count();
    Entry {
        id: EntryId(format!("e{}", log.len()).into()),
        epoch,
        seq: in_epoch as u64 + 1,
        time: Timestamp(clock.unsigned_abs()),
        command,
        panics: false,
    }
}
