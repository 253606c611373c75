//! A second owner: from any point of the log, over rows that are ahead of its state, it does what the first did.

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
            // All rows of the first run stand, or those of a part of it.
            let part = from + ahead.index(run.log.len() - from);
            for rows_from in [run.log.len(), part] {
                run.replay(from, rows_from, rebuilt);
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

/// A run of the whole log, with the state before and the rows before each entry.
struct Run {
    log: Vec<Entry>,
    states: Vec<State>,
    rows: Vec<Rows>,
    effects: Vec<Effects>,
}

impl Run {
    fn of(script: &Script) -> Self {
        let mut run = Self {
            log: Vec::new(),
            states: vec![State::new(script.chat())],
            rows: vec![Rows::default()],
            effects: Vec::new(),
        };
        let mut place = 0;
        run.log = script.play(|world, _, _| {
            place += 1;
            // Replays begin behind the prelude: what was before needs no copy.
            let (state, rows) = if place < script.prelude {
                (State::new(script.chat()), Rows::default())
            } else {
                (world.state.clone(), world.rows.clone())
            };
            run.states.push(state);
            run.rows.push(rows);
            run.effects.push(world.last.clone());
        });
        run
    }

    fn replay(&self, from: usize, rows_from: usize, decode: impl Fn(&State) -> State) {
        let mut state = decode(&self.states[from]);
        let mut rows = self.rows[rows_from].clone();
        for place in from..self.log.len() {
            let effects = self.log[place].apply(&mut state, &rows);
            assert_eq!(effects, self.effects[place], "entry {place}, begun at {from}");
            rows.write(&effects);
        }
        assert_eq!(state, self.states[self.log.len()], "begun at {from}");
        assert_eq!(rows, self.rows[self.log.len()], "begun at {from}");
    }
}
