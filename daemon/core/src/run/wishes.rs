//! Owns: what a person wished of a run beside that it runs, and what of that is left where it ends early. Must never know: why it ended.

use super::{Mode, Order, Run};
use crate::planted;

/// What was wished of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// How it looks for changes.
    pub mode: Mode,
    /// Whatever the guard or a new epoch holds back.
    pub force: bool,
    /// The guarded deletes are taken.
    pub accept_deletes: bool,
}

impl Wishes {
    /// Of an order.
    #[must_use]
    pub const fn of(order: &Order) -> Self {
        Self { mode: order.mode, force: order.force, accept_deletes: order.accept_deletes }
    }

    /// Whether anything is wished.
    #[must_use]
    pub fn any(self) -> bool {
        self != Self::default()
    }

    /// What is left of them where this run ends early. A listing that has begun goes on by itself, in whatever mode it was; and once one is
    /// whole, whatever was wished has been done: a word about deletes is about those of that listing, and of no later one.
    #[must_use]
    pub fn left(run: &Run) -> Self {
        let of = Self::of(run.order());
        match (run.completed, run.listed) {
            (true, _) if !planted::is("a word about deletes outlives their listing") => Self::default(),
            (_, true) => Self { mode: Mode::Fast, ..of },
            (_, false) => of,
        }
    }
}
