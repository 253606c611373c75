//! A second owner: from any point of the log, over rows that are ahead of its state, it does what the first did.

use std::ops::Range;

use confab_chat::conversation::{Effects, State};
use proptest::prelude::any;
use proptest::test_runner::Config;
use proptest::{proptest, sample};

use crate::script::{Script, scripts};
use crate::world::{Entry, Rows};

proptest! {
    #![proptest_config(Config::with_cases(150))]

    #[test]
    fn a_replay_over_rows_that_are_ahead_does_the_same(script in scripts(50), ahead in any::<sample::Index>()) {
        let run = Run::of(&script);
        let first = usize::try_from(script.prelude).unwrap().min(run.log.len() - 1);
        for from in first..run.log.len() {
            // A log is replayed, not the ones before that were lost. All rows of the first run stand, or those of a part.
            let end = run.log.partition_point(|entry| entry.epoch <= run.log[from].epoch);
            let part = from + ahead.index(end - from);
            for rows_from in [end, part] {
                run.replay(from..end, rows_from, rebuilt);
            }
        }
    }
}

/// The state as it comes back from its rows: the head, and one row a member.
fn rebuilt(state: &State) -> State {
    let (head, members) = (state.head.clone(), state.members.clone());
    State {
        key: state.key.clone(),
        head,
        members: members.into_iter().collect(),
    }
}

/// A run of the whole log: the state and the rows before each entry and after it, and what it did.
struct Run {
    log: Vec<Entry>,
    before: Vec<(State, Rows)>,
    after: Vec<(State, Rows)>,
    effects: Vec<Effects>,
}

impl Run {
    fn of(script: &Script) -> Self {
        let mut run = Self {
            log: Vec::new(),
            before: Vec::new(),
            after: Vec::new(),
            effects: Vec::new(),
        };
        let nothing = || (State::new(script.chat()), Rows::default());
        let mut place = 0;
        run.log = script.play(|world, _, _| {
            place += 1;
            let found = world.restored.clone();
            run.before
                .push(found.unwrap_or_else(|| run.after.last().cloned().unwrap_or_else(nothing)));
            // Replays begin behind the prelude: what was before needs no copy.
            run.after.push(if place < script.prelude {
                nothing()
            } else {
                (world.state.clone(), world.rows.clone())
            });
            run.effects.push(world.last.clone());
        });
        run
    }

    /// Replays a part of the log from the state before it, over the rows that stood before the entry `rows_from`.
    fn replay(&self, part: Range<usize>, rows_from: usize, decode: impl Fn(&State) -> State) {
        let Range { start, end } = part;
        let mut state = decode(&self.before[start].0);
        let mut rows = match rows_from.checked_sub(1).filter(|_| rows_from > start) {
            Some(last) => self.after[last].1.clone(),
            None => self.before[start].1.clone(),
        };
        for place in start..end {
            let effects = self.log[place].apply(&mut state, &rows);
            assert_eq!(effects, self.effects[place], "entry {place}, begun at {start}");
            rows.write(&effects);
        }
        assert_eq!((state, rows), self.after[end - 1], "begun at {start}");
    }
}
