//! A scenario split over several machines.
//!
//! Shards share nothing: each has users and chats of its own, so that each can judge every delivery by itself. Chats and
//! rates are split so that all shards together are the scenario. Users are, too, unless a shard's chats need more of them:
//! a group is never cut, and whoever has a chat with everybody else cannot lose half a person.

use anyhow::{Context, Result};

use crate::scenario::Scenario;

/// Part `index` of `of`, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    pub(crate) index: u32,
    pub(crate) of: u32,
}

impl Shard {
    pub(crate) const WHOLE: Self = Self { index: 0, of: 1 };

    /// Nobody has more machines for it. The chart refuses more, too.
    pub(crate) const MOST: u32 = 256;

    /// The scenario that this shard runs.
    ///
    /// # Errors
    ///
    /// Where one of the shards, this one or another, could not be run: none of them is worth running then.
    pub(crate) fn of(self, scenario: &Scenario) -> Result<Scenario> {
        let Err(error) = possible(scenario, self.of) else {
            return Ok(self.split(scenario));
        };
        let fewer = (1..self.of).rev().find(|of| possible(scenario, *of).is_ok());
        let Some(most @ 2..) = fewer else {
            return Err(error).context(format!("{} cannot be split", scenario.name));
        };
        Err(error).context(format!(
            "{} cannot be split over {} machines, over {most} it can",
            scenario.name, self.of
        ))
    }

    fn split(self, scenario: &Scenario) -> Scenario {
        let mut own = scenario.clone();
        own.seed = scenario.seed.wrapping_add(u64::from(self.index) << 32);
        own.chats.dialogs = self.part(scenario.chats.dialogs);
        for groups in &mut own.chats.groups {
            groups.count = self.part(groups.count);
        }
        own.users.count = self.users(scenario, &own);
        let of = f64::from(self.of);
        own.connect.rate /= of;
        own.load.rate = scenario.load.rate.map(|rate| rate / of);
        if let Some(churn) = &mut own.churn {
            churn.rate /= of;
        }
        let wanted = &mut own.thresholds;
        for least in [
            &mut wanted.messages_per_second_min,
            &mut wanted.deliveries_per_second_min,
        ] {
            *least = least.map(|least| least / of);
        }
        own
    }

    /// This shard's part of the users, or as many as its largest group has. Where they are too few for its dialogs it has
    /// one more, if that is only because the number does not divide.
    fn users(self, scenario: &Scenario, own: &Scenario) -> u32 {
        let groups = own.chats.groups.iter().filter(|groups| groups.count > 0);
        let largest = groups.map(|groups| groups.members).max().unwrap_or(0);
        let users = self.part(scenario.users.count).max(largest);
        if pairs(users) < u64::from(own.chats.dialogs) {
            users.max(scenario.users.count.div_ceil(self.of))
        } else {
            users
        }
    }

    /// This shard's part of a number.
    fn part(self, of_all: u32) -> u32 {
        of_all / self.of + u32::from(self.index < of_all % self.of)
    }
}

/// Whether every one of so many shards could be run.
fn possible(scenario: &Scenario, of: u32) -> Result<()> {
    for index in 0..of {
        let part = Shard { index, of }.split(scenario).check();
        part.with_context(|| format!("in shard {}/{of}", index + 1))?;
    }
    Ok(())
}

/// How many dialogs users can have.
fn pairs(users: u32) -> u64 {
    u64::from(users) * u64::from(users.saturating_sub(1)) / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use crate::scenario::READY;

    fn ready(name: &str) -> Scenario {
        Scenario::load(name, &[]).unwrap()
    }

    /// All of them, and that their users, too, can be made.
    fn shards(scenario: &Scenario, of: u32) -> Vec<Scenario> {
        let split = |index| Shard { index, of }.of(scenario).unwrap();
        (0..of).map(split).collect()
    }

    #[test]
    fn shards_add_up() {
        let whole = ready("soak");
        for of in [1, 2, 3, 7] {
            let parts = shards(&whole, of);
            let sum = |count: fn(&Scenario) -> u32| parts.iter().map(count).sum::<u32>();
            assert_eq!(sum(|part| part.users.count), whole.users.count);
            assert_eq!(sum(|part| part.chats.dialogs), whole.chats.dialogs);
            assert_eq!(
                sum(|part| part.chats.groups[0].count),
                whole.chats.groups[0].count
            );
            let rates: f64 = parts.iter().filter_map(|part| part.load.rate).sum();
            assert!((rates - 1_000.0).abs() < 1e-6, "{rates}");
        }
    }

    #[test]
    fn every_ready_scenario_can_be_split_over_two_machines_and_most_over_eight() {
        for (name, _) in READY {
            let most = if *name == "chat-list" { 2 } else { 8 };
            for of in 2..=most {
                for part in shards(&ready(name), of) {
                    let plan = Plan::new(&part, "r");
                    let dialogs = plan.chats.iter().filter(|chat| !chat.group).count();
                    assert_eq!(
                        dialogs,
                        plan.dialogs.len(),
                        "{name} over {of}: a pair comes twice"
                    );
                }
            }
        }
    }

    #[test]
    fn a_group_is_not_cut() {
        let parts = shards(&ready("fanout-200"), 4);
        assert!(parts.iter().all(|part| part.users.count == 200));
        assert!(parts.iter().all(|part| part.chats.groups[0].count == 2));
    }

    #[test]
    fn what_cannot_be_split_says_so_in_every_shard() {
        let sets = ["users.count=7", "chats={ dialogs = 21 }"].map(str::to_owned);
        let scenario = Scenario::load("smoke", &sets).unwrap();
        for index in 0..2 {
            let error = Shard { index, of: 2 }.of(&scenario).unwrap_err();
            assert!(
                format!("{error:#}").contains("4 of users.count make 6 dialogs at most"),
                "{error:#}"
            );
        }
    }
}
