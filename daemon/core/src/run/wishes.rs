//! Owns: what a person wished of a run beside that it runs, and what of that is left where it ends early. Must never know: why it ended.

use super::{Mode, Order, Run};

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

    /// What is left of them where this run ends early. A listing that has begun goes on by itself, in whatever mode it was.
    #[must_use]
    pub fn left(run: &Run) -> Self {
        let of = Self::of(run.order());
        if run.listed { Self { mode: Mode::Fast, ..of } } else { of }
    }

    /// In words, to be written down.
    #[must_use]
    pub fn words(self) -> String {
        let flags = [(self.force, "force"), (self.accept_deletes, "accept_deletes")];
        let said = flags.into_iter().filter(|(is, _)| *is).map(|(_, word)| word);
        [self.mode.name()].into_iter().chain(said).collect::<Vec<_>>().join(" ")
    }

    /// Reads the words back; none: they do not read.
    #[must_use]
    pub fn parse(words: &str) -> Option<Self> {
        let mut words = words.split(' ');
        let mode = words.next()?;
        let mode = [Mode::Fast, Mode::Slow, Mode::Refresh, Mode::Rebuild].into_iter().find(|one| one.name() == mode)?;
        words.try_fold(Self { mode, ..Self::default() }, |wishes, word| match word {
            "force" => Some(Self { force: true, ..wishes }),
            "accept_deletes" => Some(Self { accept_deletes: true, ..wishes }),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back() {
        for mode in [Mode::Fast, Mode::Slow, Mode::Refresh, Mode::Rebuild] {
            for (force, accept_deletes) in [(false, false), (true, false), (false, true), (true, true)] {
                let wishes = Wishes { mode, force, accept_deletes };
                assert_eq!(Wishes::parse(&wishes.words()), Some(wishes));
            }
        }
        assert_eq!(Wishes::parse("slow hovering"), None);
        assert_eq!(Wishes::parse(""), None);
    }
}
