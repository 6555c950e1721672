//! Owns: one app's session, its push, mingle, pull conversation with the truth, as a machine: what every call does in every state, and
//! which mode it has. Pure: the store keeps the state, asks here, and does what the answer says.
//! Must never know: what is pushed or pulled, SQL, the wire.
//!
//! `negotiating -> pushing -> mingling -> pulling -> finished | cancelled`, forward only. What was pushed is durable from the entry to
//! mingling; what was taken is durable from its commit. Finish and cancel are allowed wherever there is a session.

use crate::limits;

pub mod copy;
pub mod gathering;
#[cfg(test)]
mod laws;

/// Where a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It waits for those who were invited.
    Negotiating,
    /// The app says what it changed.
    Pushing,
    /// What was pushed meets the truth.
    Mingling,
    /// The app takes what it lacks.
    Pulling,
    /// It ended in good order.
    Finished,
    /// It was given up.
    Cancelled,
}

impl State {
    /// All of them, in their order.
    pub const ALL: [Self; 6] = [Self::Negotiating, Self::Pushing, Self::Mingling, Self::Pulling, Self::Finished, Self::Cancelled];

    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Negotiating => "negotiating",
            Self::Pushing => "pushing",
            Self::Mingling => "mingling",
            Self::Pulling => "pulling",
            Self::Finished => "finished",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of that word.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether nothing can come any more.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Cancelled)
    }
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// In good order.
    Finished,
    /// It was given up.
    Cancelled,
    /// Its connection was gone, or the daemon.
    Left,
}

impl Ended {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Finished, Self::Cancelled, Self::Left];

    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Cancelled => "cancelled",
            Self::Left => "left",
        }
    }

    /// The end of that word.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ended| ended.name() == name)
    }
}

/// What an app, or the end of its connection, asks of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Everybody who was invited is there, or the deadline is over.
    Join,
    /// What the app changed.
    Push,
    /// The app has lost a record.
    Lost,
    /// All is pushed: it may meet the truth.
    Mingle,
    /// What the app lacks.
    Pull,
    /// The app has stored a record.
    Accept,
    /// The app does not want it.
    Refuse,
    /// What was taken holds from now on.
    Commit,
    /// The end, keeping the open transaction.
    Finish,
    /// The end, dropping it.
    Cancel,
}

impl Call {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Join,
        Self::Push,
        Self::Lost,
        Self::Mingle,
        Self::Pull,
        Self::Accept,
        Self::Refuse,
        Self::Commit,
        Self::Finish,
        Self::Cancel,
    ];

    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Push => "push",
            Self::Lost => "lost",
            Self::Mingle => "mingle",
            Self::Pull => "pull",
            Self::Accept => "accept",
            Self::Refuse => "refuse",
            Self::Commit => "commit",
            Self::Finish => "finish",
            Self::Cancel => "cancel",
        }
    }
}

/// What is to be done for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// Nothing but the change of state.
    Moves,
    /// Keep it until the mingling; it is dropped with a cancel.
    Stage,
    /// Everything staged meets the truth.
    Meet,
    /// The same, and nothing is pulled afterwards.
    MeetAndEnd,
    /// Show what the app lacks.
    Offer,
    /// Keep it until the commit; it is dropped with a cancel.
    Take,
    /// What was taken becomes what is agreed.
    Close,
    /// The same, and the session ends.
    CloseAndEnd,
    /// The open transaction is dropped, and the session ends.
    Drop,
    /// What was pushed goes on to meet the truth; nobody waits for it, and nothing is pulled.
    Detach,
}

/// What a call does: the state that the session has then, and what is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The state from now on.
    pub state: State,
    /// What is to be done.
    pub does: Does,
}

/// A call that the state does not allow. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The state that the session is in.
    pub state: State,
    /// What was asked of it.
    pub call: Call,
    /// What can be asked of it now.
    pub allowed: &'static [Call],
}

/// Decides one call: every call in every state.
///
/// # Errors
/// [`Wrong`], and nothing has changed.
pub fn decide(state: State, call: Call, mode: Mode) -> Result<Step, Wrong> {
    let wrong = Err(Wrong { state, call, allowed: allowed(state, mode) });
    let step = |state, does| Ok(Step { state, does });
    match (state, call) {
        (State::Negotiating, Call::Join) => step(State::Pushing, Does::Moves),
        (State::Negotiating, Call::Finish) => step(State::Finished, Does::Drop),
        (State::Negotiating | State::Pushing | State::Pulling, Call::Cancel) => step(State::Cancelled, Does::Drop),
        // The truth replaces what the app has: there is nothing to push.
        (State::Pushing, Call::Push | Call::Lost) if mode == Mode::PullTruth => wrong,
        (State::Pushing, Call::Push | Call::Lost) => step(State::Pushing, Does::Stage),
        // Whoever lost the answer asks again, and what is left goes on.
        (State::Pushing | State::Mingling, Call::Mingle) => step(State::Mingling, Does::Meet),
        (State::Pushing, Call::Finish) => step(State::Mingling, Does::MeetAndEnd),
        // From here on what was pushed stays: to end is only to skip the pull.
        (State::Mingling, Call::Finish | Call::Cancel) => step(State::Mingling, Does::Detach),
        (State::Pulling, Call::Pull) => step(State::Pulling, Does::Offer),
        (State::Pulling, Call::Accept | Call::Refuse | Call::Lost) => step(State::Pulling, Does::Take),
        (State::Pulling, Call::Commit) => step(State::Pulling, Does::Close),
        (State::Pulling, Call::Finish) => step(State::Finished, Does::CloseAndEnd),
        _ => wrong,
    }
}

/// What can be asked in a state.
#[must_use]
pub const fn allowed(state: State, mode: Mode) -> &'static [Call] {
    match state {
        State::Negotiating => &[Call::Join, Call::Finish, Call::Cancel],
        State::Pushing if matches!(mode, Mode::PullTruth) => &[Call::Mingle, Call::Finish, Call::Cancel],
        State::Pushing => &[Call::Push, Call::Lost, Call::Mingle, Call::Finish, Call::Cancel],
        State::Mingling => &[Call::Mingle, Call::Finish, Call::Cancel],
        State::Pulling => &[Call::Pull, Call::Accept, Call::Refuse, Call::Lost, Call::Commit, Call::Finish, Call::Cancel],
        State::Finished | State::Cancelled => &[],
    }
}

/// How both sides find out what differs. The collections of a session are one scope, and have one mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The app pushes what it changed since.
    Fast,
    /// The app pushes everything; what it had accepted and does not push was deleted there.
    Slow,
    /// The app pushes everything, nothing is taken for deleted, and nothing is known of what it had.
    Refresh,
    /// The truth takes the place of what the app has.
    PullTruth,
    /// What the app has takes the place of the truth.
    PushTruth,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Fast, Self::Slow, Self::Refresh, Self::PullTruth, Self::PushTruth];

    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Slow => "slow",
            Self::Refresh => "refresh",
            Self::PullTruth => "pull_truth",
            Self::PushTruth => "push_truth",
        }
    }

    /// The mode of that word.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }

    /// Whether what is not pushed was deleted.
    #[must_use]
    pub const fn absence_deletes(self) -> bool {
        matches!(self, Self::Slow | Self::PushTruth)
    }
}

/// What the store knows of one collection of an app that begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The anchor that the app shows is the last one that it was given.
    pub anchor: bool,
    /// That anchor is of this instance of the store.
    pub reaches: bool,
    /// A pull of the truth was asked for, and has not succeeded yet.
    pub replace: bool,
    /// Apps may not write it.
    pub read_only: bool,
}

/// Why a session cannot begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mixed {
    /// Collections that take writes, and others that take none.
    ReadOnly,
    /// The truth would be replaced where nobody may write it.
    PushesReadOnly,
}

/// The mode of a session, over all its collections: what the app asks for, unless what is known of it does not allow that.
///
/// # Errors
/// [`Mixed`]: what may not be together in one session, or at all.
pub fn negotiate(asked: Option<Mode>, known: &[Known]) -> Result<Mode, Mixed> {
    let read_only = known.iter().filter(|one| one.read_only).count();
    if read_only > 0 && read_only < known.len() {
        return Err(Mixed::ReadOnly);
    }
    let fast = known.iter().all(|one| one.anchor && one.reaches);
    if read_only > 0 {
        // Nothing is pushed there: either only what changed comes, or everything.
        return match asked {
            Some(Mode::PushTruth) => Err(Mixed::PushesReadOnly),
            None | Some(Mode::Fast) if fast && !known.iter().any(|one| one.replace) => Ok(Mode::Fast),
            _ => Ok(Mode::PullTruth),
        };
    }
    // It stays so until one succeeds, whatever is asked for: half of what the app has may be gone already.
    if known.iter().any(|one| one.replace) {
        return Ok(Mode::PullTruth);
    }
    Ok(match asked {
        None | Some(Mode::Fast) if fast => Mode::Fast,
        // Who was never here can have deleted nothing.
        None | Some(Mode::Fast | Mode::Slow) => Mode::Slow,
        Some(mode) => mode,
    })
}

/// Whether so many deletes, that nobody said one by one, are more than may be taken without a word, of so many records.
#[must_use]
pub fn guards(deletes: u64, of: u64) -> bool {
    deletes > limits::deletes_max(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole table, a line a call: what it does in each state that a session can be in.
    #[test]
    fn every_call_in_every_state() {
        #[track_caller]
        fn check(call: Call, expect: [&str; 6]) {
            for (state, expect) in State::ALL.into_iter().zip(expect) {
                let got = match decide(state, call, Mode::Fast) {
                    Ok(step) => format!("{} {:?}", step.state.name(), step.does),
                    Err(wrong) => {
                        assert_eq!((wrong.state, wrong.call), (state, call));
                        "-".into()
                    }
                };
                assert_eq!(got, expect, "{} in {}", call.name(), state.name());
            }
        }
        let no = "-";
        check(Call::Join, ["pushing Moves", no, no, no, no, no]);
        check(Call::Push, [no, "pushing Stage", no, no, no, no]);
        check(Call::Lost, [no, "pushing Stage", no, "pulling Take", no, no]);
        check(Call::Mingle, [no, "mingling Meet", "mingling Meet", no, no, no]);
        check(Call::Pull, [no, no, no, "pulling Offer", no, no]);
        check(Call::Accept, [no, no, no, "pulling Take", no, no]);
        check(Call::Refuse, [no, no, no, "pulling Take", no, no]);
        check(Call::Commit, [no, no, no, "pulling Close", no, no]);
        check(Call::Finish, ["finished Drop", "mingling MeetAndEnd", "mingling Detach", "finished CloseAndEnd", no, no]);
        check(Call::Cancel, ["cancelled Drop", "cancelled Drop", "mingling Detach", "cancelled Drop", no, no]);
    }

    #[test]
    fn the_mode_is_what_both_sides_can_stand_for() {
        // a: the anchor is the last one, r: it reaches, p: a pull of the truth is owed, o: read only.
        #[track_caller]
        fn check(asked: &str, known: &[&str], expect: &str) {
            let has = |one: &str, what: char| one.contains(what);
            let known: Vec<Known> = known
                .iter()
                .map(|one| Known {
                    anchor: has(one, 'a'),
                    reaches: has(one, 'r'),
                    replace: has(one, 'p'),
                    read_only: has(one, 'o'),
                })
                .collect();
            let got = match negotiate(Mode::of(asked), &known) {
                Ok(mode) => mode.name().into(),
                Err(mixed) => format!("{mixed:?}"),
            };
            assert_eq!(got, expect, "{asked} {known:?}");
        }
        check("", &[""], "slow");
        check("fast", &[""], "slow");
        check("", &["ar"], "fast");
        check("fast", &["ar", "ar"], "fast");
        check("fast", &["ar", "r"], "slow");
        check("fast", &["a"], "slow");
        check("slow", &["ar"], "slow");
        check("refresh", &["ar"], "refresh");
        check("push_truth", &["ar"], "push_truth");
        check("pull_truth", &["ar"], "pull_truth");
        check("fast", &["arp"], "pull_truth");
        check("push_truth", &["ar", "arp"], "pull_truth");
        check("", &["o"], "pull_truth");
        check("slow", &["aro"], "pull_truth");
        check("fast", &["aro"], "fast");
        check("fast", &["arpo"], "pull_truth");
        check("fast", &["ar", "aro"], "ReadOnly");
        check("push_truth", &["aro"], "PushesReadOnly");
    }

    #[test]
    fn the_guard_lets_a_few_through() {
        assert!(
            !guards(10, 0) && guards(11, 0) && guards(11, 54) && !guards(11, 55) && !guards(200, 1_000) && guards(201, 1_000)
        );
    }
}
