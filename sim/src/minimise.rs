//! The smallest plan that still fails: one thing after another is left out while the failure remains.
//!
//! Clients, faults, deeds of chaos, chats and single moves are left out by delta debugging: first all of a kind at once,
//! then halves, then quarters, and in the end one by one. Sizes shrink step by step.
//!
//! Whether the failure remains is for the caller to say, and with which plan: a smaller world may need another fall of
//! the dice to fail.

use std::time::Duration;

use crate::faults::Fault;
use crate::plan::{DEEDS, Plan};

/// A plan that fails as the one given does, of the same size; none where it does not fail any more.
pub type Fails<'a> = dyn FnMut(&Plan) -> Option<Plan> + 'a;

/// Shorter than this nothing happens.
const SHORTEST: Duration = Duration::from_secs(1);

/// What can be left out of a plan.
#[derive(Clone, Debug)]
enum Piece {
    /// A device, by its place among all.
    Client(usize),
    /// A user whom clients write to.
    User(String),
    /// What goes wrong by itself.
    Fault(Fault),
    /// What chaos does.
    Deed(Fault),
    /// Something that a device does: which device, and its number.
    Move(usize, u32),
}

/// The smallest plan found.
#[must_use]
pub fn minimise(mut plan: Plan, fails: &mut Fails<'_>) -> Plan {
    loop {
        let before = plan.clone();
        for pieces in [clients, wrongs, users, moves] {
            plan = leave_out(plan, &pieces, fails);
        }
        for smaller in SMALLER {
            while let Some(found) = smaller(&plan).and_then(|plan| fails(&plan)) {
                plan = found;
            }
        }
        if plan == before {
            return plan;
        }
    }
}

/// Leaves pieces of one kind out, ever fewer at once.
fn leave_out(mut plan: Plan, pieces: &dyn Fn(&Plan) -> Vec<Piece>, fails: &mut Fails<'_>) -> Plan {
    let mut at_once = pieces(&plan).len();
    while at_once > 0 {
        let mut kept = 0;
        loop {
            // What is left has other places now.
            let left = pieces(&plan);
            if kept >= left.len() {
                break;
            }
            let end = left.len().min(kept + at_once);
            let candidate = without(&plan, &left[kept..end]);
            match candidate.and_then(|candidate| fails(&candidate)) {
                Some(found) => plan = found,
                None => kept = end,
            }
        }
        at_once /= 2;
    }
    plan
}

/// A plan without some pieces, the ones with the highest places last; none where nobody would be left.
fn without(plan: &Plan, pieces: &[Piece]) -> Option<Plan> {
    let mut plan = plan.clone();
    for piece in pieces.iter().rev() {
        match piece {
            Piece::Client(place) => {
                plan.people.remove(*place);
            }
            Piece::User(user) => plan.users.retain(|one| one != user),
            Piece::Fault(fault) => {
                plan.rates.remove(fault);
            }
            Piece::Deed(deed) => plan.spared.push(*deed),
            Piece::Move(place, nth) => {
                let does = plan.people[*place].does.iter_mut();
                does.for_each(|does| does.retain(|one| one != nth));
            }
        }
    }
    (!plan.people.is_empty() && !plan.users.is_empty()).then_some(plan)
}

fn clients(plan: &Plan) -> Vec<Piece> {
    (0..plan.people.len()).map(Piece::Client).collect()
}

fn users(plan: &Plan) -> Vec<Piece> {
    plan.users.iter().cloned().map(Piece::User).collect()
}

fn wrongs(plan: &Plan) -> Vec<Piece> {
    let faults = plan.rates.keys().copied().map(Piece::Fault);
    let deeds = DEEDS.into_iter().filter(|deed| !plan.spared.contains(deed));
    faults.chain(deeds.map(Piece::Deed)).collect()
}

fn moves(plan: &Plan) -> Vec<Piece> {
    let does = |(place, one): (usize, &crate::plan::Someone)| {
        let does = one.does.clone().unwrap_or_default();
        does.into_iter().map(move |nth| Piece::Move(place, nth))
    };
    plan.people.iter().enumerate().flat_map(does).collect()
}

/// Ways to a smaller plan; none where it is as small as it gets in that way.
const SMALLER: [fn(&Plan) -> Option<Plan>; 5] = [
    |plan| {
        let busy = plan.busy / 2;
        (busy >= SHORTEST).then(|| Plan { busy, ..plan.clone() })
    },
    |plan| one_less(plan, |plan| &mut plan.gateways),
    |plan| one_less(plan, |plan| &mut plan.workers),
    |plan| {
        let partitions = plan.partitions - 1;
        let fewer = || Plan {
            partitions,
            ..plan.clone()
        };
        (partitions > 0).then(fewer)
    },
    |plan| {
        let right = || Plan {
            skew: 0,
            ..plan.clone()
        };
        (plan.skew != 0).then(right)
    },
];

fn one_less(plan: &Plan, count: fn(&mut Plan) -> &mut usize) -> Option<Plan> {
    let mut plan = plan.clone();
    let count = count(&mut plan);
    *count -= 1;
    (*count > 0).then_some(plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It fails as long as the second device does its fourth thing, acknowledgements get lost and workers die.
    fn fails(plan: &Plan) -> Option<Plan> {
        let culprit = plan
            .people
            .iter()
            .find(|one| one.user == "u1" && one.device == "d1");
        let does = culprit.and_then(|one| one.does.as_ref());
        let fails = does.is_some_and(|does| does.contains(&3))
            && plan.rates.contains_key(&Fault::AckLost)
            && !plan.spared.contains(&Fault::WorkerCrash);
        fails.then(|| plan.clone())
    }

    #[test]
    fn what_is_left_is_what_it_takes() {
        let mut plan = Plan::of(1);
        plan.rates.insert(Fault::AckLost, 5);
        plan.spared.clear();
        for one in &mut plan.people {
            one.does = Some((0..40).collect());
        }
        let smallest = minimise(plan, &mut fails);
        assert_eq!(smallest.people.len(), 1);
        assert_eq!(smallest.people[0].does, Some(vec![3]));
        assert_eq!(smallest.users.len(), 1);
        assert!(smallest.rates.keys().eq([&Fault::AckLost]));
        assert_eq!(smallest.spared.len(), DEEDS.len() - 1);
        assert_eq!(
            (smallest.gateways, smallest.workers, smallest.partitions),
            (1, 1, 1)
        );
    }

    #[test]
    fn what_never_fails_stays_as_it_is() {
        let plan = Plan::of(2);
        assert_eq!(minimise(plan.clone(), &mut |_| None), plan);
    }

    #[test]
    fn a_plan_that_is_written_down_is_the_same() {
        for seed in 1..50 {
            let plan = Plan::of(seed);
            let text = serde_json::to_string(&plan).unwrap_or_default();
            assert_eq!(serde_json::from_str::<Plan>(&text).ok(), Some(plan), "{text}");
        }
    }
}
