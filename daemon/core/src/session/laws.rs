//! Owns: laws of sessions over generated calls and records. Must never know: how they are kept.

use std::collections::BTreeSet;

use super::{Call, Does, Mode, State, copy, decide};
use crate::{
    meeting::{Agreed, Link, Rules, alike},
    policy::{Merge, Policy},
    record::{Props, Value},
};

/// A small generator: the seed is in the failure.
struct Chance(u64);

impl Chance {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }

    fn props(&mut self) -> Props {
        let mut props = Props::new();
        for name in ["a", "b", "c"] {
            if self.next(3) > 0 {
                props.insert(name.into(), Value::Text(self.next(3).to_string()));
            }
        }
        props
    }

    fn maybe(&mut self) -> Option<Props> {
        (self.next(5) > 0).then(|| self.props())
    }
}

/// Whatever is asked in whatever order: a session goes forward only, a wrong call changes nothing, and what is durable stays.
#[test]
fn sessions_go_forward_only() {
    for seed in 0..2_000 {
        let mut chance = Chance(seed);
        let mode = Mode::ALL[chance.next(5) as usize];
        let (mut state, mut staged, mut entered, mut dropped) = (State::Negotiating, false, false, false);
        for _ in 0..30 {
            let call = Call::ALL[chance.next(10) as usize];
            let before = state;
            match decide(state, call, mode) {
                Err(wrong) => {
                    assert_eq!(wrong.state, before, "seed {seed}");
                    assert!(!wrong.allowed.contains(&call), "seed {seed}: {} is said to be allowed", call.name());
                }
                Ok(step) => {
                    assert!(super::allowed(before, mode).contains(&call), "seed {seed}: {} is not said", call.name());
                    assert!(step.state >= before && !before.is_over(), "seed {seed}: {before:?} {call:?} {step:?}");
                    staged |= step.does == Does::Stage;
                    entered |= step.state == State::Mingling;
                    dropped |= step.does == Does::Drop && before < State::Mingling;
                    state = step.state;
                    // The store is through with what was staged.
                    if state == State::Mingling && chance.next(2) == 0 && step.does == Does::Meet {
                        state = State::Pulling;
                    }
                }
            }
            assert!(!(entered && dropped), "seed {seed}: what was pushed was dropped after mingling began");
        }
        assert!(!(staged && mode == Mode::PullTruth), "seed {seed}");
        if !state.is_over() {
            assert!(
                decide(state, Call::Finish, mode).is_ok() && decide(state, Call::Cancel, mode).is_ok(),
                "seed {seed}: {state:?}"
            );
        }
    }
}

/// An app that pushes again what it has, in its own form, changes nothing; and what it is shown brings it level.
#[test]
fn pushing_again_changes_nothing_and_pulling_levels() {
    for seed in 0..8_000 {
        let mut chance = Chance(seed);
        let merge = [Merge::Remote, Merge::Truth, Merge::Newest, Merge::Max, Merge::Min][chance.next(5) as usize];
        let policy = copy::policy(&Policy { default: merge, ..Policy::default() });
        let (abilities, frozen) = (copy::abilities(), BTreeSet::new());
        let rules = Rules { policy: &policy, abilities: &abilities, up_only: false, frozen: &frozen, anew: false, reset: None };
        let (taken, form) = (chance.props(), chance.props());
        let (truth, theirs) = (chance.maybe(), chance.maybe());
        let link = Link { remote_id: Some("x".into()), agreed: Agreed::Own(form.clone()), confirmed: 5, ..Link::unborn() };
        let told = || format!("seed {seed}: {taken:?} {form:?} {truth:?} {theirs:?} {merge:?}");

        let quiet = copy::meet_copy(&link, Some(&taken), truth.as_ref(), "x", Some(&form), rules);
        assert_eq!((quiet.truth.as_ref(), quiet.clashes.len()), (truth.as_ref(), 0), "{}", told());

        let met = copy::meet_copy(&link, Some(&taken), truth.as_ref(), "x", theirs.as_ref(), rules);
        let changed = met.truth != truth;
        assert!(met.changed || !changed, "{}: changed in silence", told());
        let again = copy::meet_copy(&met.link, None, met.truth.as_ref(), "x", theirs.as_ref(), rules);
        assert!(!again.changed && again.clashes.is_empty(), "{}: the second time it is news", told());

        // Nothing is invented.
        for (name, value) in met.truth.iter().flatten() {
            let known = [Some(&taken), truth.as_ref(), theirs.as_ref()];
            assert!(known.iter().flatten().any(|side| side.get(name) == Some(value)), "{}: {name}", told());
        }
        // What the app lacks then is what makes it level.
        let shown = match copy::lacks(&Link { confirmed: 0, ..met.link.clone() }, met.truth.as_ref(), 6, rules) {
            None => met.truth.clone(),
            Some(copy::Lack::Made(props) | copy::Lack::Changed(props)) => Some(props),
            Some(copy::Lack::Gone) => None,
        };
        let level = match (&shown, &met.truth) {
            (Some(shown), Some(truth)) => alike(shown, truth, rules),
            (shown, truth) => shown.is_none() && truth.is_none(),
        };
        assert!(level, "{}: {shown:?}", told());
    }
}
