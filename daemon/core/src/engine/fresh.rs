//! Owns: how fresh what is here of a collection is, and whether it is worth waiting for more. Must never know: who waits.

use super::{BoardCopy, Name, Timestamp, shown::Copied};
use crate::{
    ask::{Freshness, Stale, SyncState},
    limits::STALE_TOLD_MAX,
};

impl BoardCopy {
    /// How fresh what is here of a collection is, for who wants what was there at `since` or later; and whether a run that brings it may
    /// end by `deadline`.
    #[must_use]
    pub fn freshness(&self, collection: &str, since: Timestamp, deadline: Timestamp, now: Timestamp) -> (Freshness, bool) {
        let bring: Vec<(&Name, &Copied)> = self.bringing(collection).collect();
        let at = bring.iter().map(|(_, sync)| sync.job.fresh).min().flatten();
        let stale: Vec<_> = bring.into_iter().filter(|(_, sync)| !sync.job.is_fresh(since)).collect();
        let mut found = Freshness { at, stale: Vec::new(), total: stale.len() };
        if stale.is_empty() {
            return (found, false);
        }
        let (looks, mut comes) = (self.looks(now), false);
        for (name, sync) in stale {
            let look = looks.at(&sync.job, sync.known.as_ref());
            comes |= look.may_end_by(deadline);
            if found.stale.len() < STALE_TOLD_MAX {
                let hold = look.holds.first().filter(|_| look.state != SyncState::Running).map(|hold| hold.holding(name, now));
                let (sync, at, trouble) = (name.to_string(), sync.job.fresh, sync.trouble.clone());
                found.stale.push(Stale { sync, at, state: look.state, hold, trouble });
            }
        }
        (found, comes)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        engine::{Defined, Engine, Event, Failing, SyncFacts},
        run::{Direction, Mode},
        schedule::{Job, Last, Plan},
    };

    /// Whatever comes, goes and becomes another: what brings a collection is found by it alone.
    #[test]
    fn what_brings_a_collection_is_known_without_a_look_at_the_others() {
        const NOW: Timestamp = Timestamp::from_unix_ms(1_790_000_000_000);
        let mut engine = Engine::new([].into(), None, 1, NOW);
        let mut chance = 7_u64;
        let mut below = |many: u64| {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (chance >> 33) % many
        };
        for step in 0..2_000 {
            let name: Name = format!("s{}", below(12)).into();
            let there = engine.board().jobs.contains_key(&name);
            let job = Job::new(Plan { remote: "r".into(), ..Plan::default() }, Last::Never, 0, NOW);
            let direction = [Direction::Up, Direction::Down, Direction::Both][usize::try_from(below(3)).unwrap()];
            let facts = SyncFacts {
                collection: format!("c{}", below(3)),
                direction,
                job,
                patience: None,
                failing: Failing::default(),
                anew: below(2) == 0,
                wished: Mode::Fast,
            };
            let defined = match (there, below(3)) {
                (false, _) => Defined::Added(facts),
                (true, 0) => Defined::Removed,
                (true, _) => Defined::Replaced(facts),
            };
            engine.handle(NOW, Event::Defined(vec![(name, defined)]), &mut Vec::new());
            let copy = engine.copy();
            for collection in ["c0", "c1", "c2", "other"] {
                let found: Vec<Name> = copy.bringing(collection).map(|(name, _)| name.clone()).collect();
                let all = copy.syncs.iter().filter(|(_, sync)| sync.collection == collection && sync.direction.brings());
                let all: BTreeSet<Name> = all.map(|(name, _)| name.clone()).collect();
                assert_eq!(found, all.into_iter().collect::<Vec<_>>(), "{collection} after {step}");
            }
        }
    }
}
