//! Owns: what is decided of a login that runs out: when its token is renewed, what a refusal means, how often a person's word is asked for.
//! Must never know: tokens, services, how anything is asked.

use std::time::Duration;

use crate::{
    limits::{POLL_PAUSE, POLL_PAUSE_MAX, POLL_PAUSE_MORE, TOKEN_LIFE_MAX, TOKEN_MARGIN_MAX, TOKEN_MARGIN_PART},
    planted,
    time::Timestamp,
};

/// When a token that was given now is to be renewed. `chance` is any number: not all who were given theirs at one time come at one time.
#[must_use]
pub fn renewed_at(now: Timestamp, lives: Duration, chance: u64) -> Timestamp {
    let lives = lives.min(TOKEN_LIFE_MAX);
    let margin = (lives / TOKEN_MARGIN_PART).min(TOKEN_MARGIN_MAX);
    // Between the whole margin and half of it.
    let spread = (margin / 2).mul_f64((chance % 1_000) as f64 / 1_000.0);
    now.plus(lives - margin + spread)
}

/// What is known of the token that a service refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// It is the one that we have; else somebody renewed it meanwhile.
    pub is_ours: bool,
    /// It was asked for because one before it was refused, and no service has taken it.
    pub is_unproven: bool,
    /// Its time is over: that it is refused says nothing else.
    pub is_over: bool,
}

/// What is done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The request goes once more, with the token that we have.
    Again,
    /// A new one is asked for.
    Renew,
    /// Nothing: a person has to log in. A service that takes no fresh token is not helped by another one.
    Person,
}

/// What is done about a token that a service refused.
#[must_use]
pub fn remedy(refused: Refused) -> Remedy {
    match refused {
        Refused { is_ours: false, .. } => Remedy::Again,
        Refused { is_unproven: true, is_over: false, .. } if !planted::is("a fresh token that is refused is renewed") => {
            Remedy::Person
        }
        Refused { .. } => Remedy::Renew,
    }
}

/// What a service answers to the question whether a person has agreed, where it is neither yes nor no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pending {
    /// Not yet.
    Waits,
    /// Not yet, and it is asked too often; or it did not answer.
    TooOften,
}

/// The pause after a first question, or none was named: within what is useful.
#[must_use]
pub fn first_pause(named: Option<Duration>) -> Duration {
    named.unwrap_or(POLL_PAUSE).clamp(Duration::from_secs(1), POLL_PAUSE_MAX)
}

/// The pause before the next question.
#[must_use]
pub fn next_pause(pause: Duration, answer: Pending) -> Duration {
    match answer {
        Pending::Waits => pause,
        Pending::TooOften if planted::is("a plea for patience is passed over") => pause,
        Pending::TooOften => (pause + POLL_PAUSE_MORE).min(POLL_PAUSE_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_a_little_before_it_runs_out() {
        #[track_caller]
        fn check(lives_s: u64, chance: u64, after_ms: u64) {
            let now = Timestamp::from_unix_ms(1_000_000);
            let at = renewed_at(now, Duration::from_secs(lives_s), chance);
            assert_eq!(at.since(now), Duration::from_millis(after_ms), "{lives_s} s, {chance}");
        }
        check(3600, 0, 3_540_000);
        check(3600, 999, 3_569_970);
        check(3600, 1_000, 3_540_000);
        check(8, 0, 6_000);
        check(8, 500, 6_500);
        check(0, 500, 0);
        check(u64::MAX, 0, TOKEN_LIFE_MAX.as_millis() as u64 - 60_000);
    }

    #[test]
    fn a_fresh_token_that_is_refused_wants_a_person() {
        let check = |is_ours, is_unproven, is_over, remedy: Remedy| {
            assert_eq!(super::remedy(Refused { is_ours, is_unproven, is_over }), remedy, "{is_ours} {is_unproven} {is_over}");
        };
        check(true, false, false, Remedy::Renew);
        check(true, true, false, Remedy::Person);
        check(true, true, true, Remedy::Renew);
        check(false, false, false, Remedy::Again);
        check(false, true, true, Remedy::Again);
    }

    #[test]
    fn who_asks_for_patience_is_asked_less_often() {
        #[track_caller]
        fn check(named: Option<u64>, answers: &[Pending], pauses: &[u64]) {
            let mut pause = first_pause(named.map(Duration::from_secs));
            let mut got = vec![pause.as_secs()];
            for answer in answers {
                pause = next_pause(pause, *answer);
                got.push(pause.as_secs());
            }
            assert_eq!(got, pauses);
        }
        use Pending::{TooOften, Waits};
        check(None, &[Waits, TooOften, Waits, TooOften], &[5, 5, 10, 10, 15]);
        check(Some(0), &[Waits], &[1, 1]);
        check(Some(1_000_000), &[TooOften], &[60, 60]);
    }

    #[cfg(feature = "planted")]
    #[test]
    fn planted_bugs_are_found() {
        for (bug, table) in [
            ("a fresh token that is refused is renewed", a_fresh_token_that_is_refused_wants_a_person as fn()),
            ("a plea for patience is passed over", who_asks_for_patience_is_asked_less_often),
        ] {
            planted::set_here(Some(bug));
            let found = std::panic::catch_unwind(table).is_err();
            planted::set_here(None);
            assert!(found, "no table sees {bug:?}");
        }
    }
}
