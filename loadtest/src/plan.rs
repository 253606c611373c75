//! Who there is and who talks to whom, made from a scenario: the same for the same seed.

mod shard;

use std::collections::HashMap;

use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;

pub(crate) use shard::Shard;

use crate::scenario::Scenario;

/// One conversation, by the numbers of its members. The first one makes it.
#[derive(Debug)]
pub(crate) struct Chat {
    pub(crate) members: Vec<u32>,
    pub(crate) group: bool,
}

/// Users and chats, by number.
#[derive(Debug)]
pub(crate) struct Plan {
    prefix: String,
    pub(crate) users: u32,
    /// Connections of each user; those of user `u` are `u * devices ..`.
    pub(crate) devices: u32,
    pub(crate) chats: Vec<Chat>,
    /// Chats of each user.
    pub(crate) of_user: Vec<Vec<u32>>,
    dialogs: HashMap<(u32, u32), u32>,
}

impl Plan {
    /// `run` tells the users of one run from those of another.
    pub(crate) fn new(scenario: &Scenario, run: &str) -> Self {
        let users = scenario.users.count;
        let mut random = ChaCha8Rng::seed_from_u64(scenario.seed);
        let mut chats: Vec<Chat> = (0..scenario.chats.dialogs).map(|n| dialog(n, users)).collect();
        for groups in &scenario.chats.groups {
            for _ in 0..groups.count {
                let members = index::sample(&mut random, users as usize, groups.members as usize);
                let members = members.into_iter().map(|user| user as u32).collect();
                chats.push(Chat { members, group: true });
            }
        }
        let mut of_user = vec![Vec::new(); users as usize];
        let mut dialogs = HashMap::new();
        for (number, chat) in (0..).zip(&chats) {
            for user in &chat.members {
                of_user[*user as usize].push(number);
            }
            if let (false, [one, other]) = (chat.group, &chat.members[..]) {
                dialogs.insert(pair(*one, *other), number);
            }
        }
        Self {
            prefix: format!("lt-{run}-"),
            users,
            devices: scenario.users.devices,
            chats,
            of_user,
            dialogs,
        }
    }

    pub(crate) fn user_id(&self, user: u32) -> String {
        format!("{}{user}", self.prefix)
    }

    /// The number of a user of this run.
    pub(crate) fn user(&self, id: &str) -> Option<u32> {
        let number: u32 = id.strip_prefix(&self.prefix)?.parse().ok()?;
        (number < self.users).then_some(number)
    }

    /// The dialog of two users.
    pub(crate) fn dialog(&self, one: u32, other: u32) -> Option<u32> {
        self.dialogs.get(&pair(one, other)).copied()
    }

    /// The other side of a dialog.
    pub(crate) fn other(&self, chat: u32, user: u32) -> u32 {
        let members = &self.chats[chat as usize].members;
        members.iter().copied().find(|one| *one != user).unwrap_or(user)
    }

    /// The devices of a user, by number.
    pub(crate) fn devices_of(&self, user: u32) -> std::ops::Range<u32> {
        user * self.devices..(user + 1) * self.devices
    }
}

fn pair(one: u32, other: u32) -> (u32, u32) {
    (one.min(other), one.max(other))
}

/// The `n`th pair of users: first everybody with the next one, then with the one after that, and so on, so that each
/// user has as many dialogs as any other. With an even number of users the last round has each pair twice, so it is
/// half as long.
fn dialog(n: u32, users: u32) -> Chat {
    let (round, one) = (n / users + 1, n % users);
    Chat {
        members: vec![one, (one + round) % users],
        group: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(users: u32, dialogs: u32) -> Scenario {
        let text = format!(
            "purpose = \"p\"\nusers = {{ count = {users} }}\nchats = {{ dialogs = {dialogs}, groups = [{{ count = 2, members = {users} }}] }}\nload = {{ rate = 1.0, duration = \"1s\" }}"
        );
        toml::from_str(&text).unwrap()
    }

    #[test]
    fn every_dialog_is_another_pair_up_to_all_pairs() {
        for users in [2, 3, 6, 7] {
            let all = users * (users - 1) / 2;
            let plan = Plan::new(&scenario(users, all), "r");
            assert_eq!(plan.dialogs.len(), all as usize, "{users} users");
            assert!(plan.dialogs.keys().all(|(one, other)| one != other));
        }
    }

    #[test]
    fn a_seed_makes_the_same_groups_again() {
        let members = || -> Vec<_> {
            let plan = Plan::new(&scenario(9, 0), "r");
            plan.chats.into_iter().map(|chat| chat.members).collect()
        };
        assert_eq!(members(), members());
    }

    #[test]
    fn a_user_is_known_by_the_id() {
        let plan = Plan::new(&scenario(3, 1), "r");
        assert_eq!(plan.user(&plan.user_id(2)), Some(2));
        assert_eq!(plan.user("lt-r-3"), None);
        assert_eq!(plan.user("bob"), None);
    }
}
