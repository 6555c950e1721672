//! Owns: what a service lets one account ask of it: what is left till when, what of it is kept for people, and whether a request may go.
//! Must never know: headers, connections, and whose account it is.
//!
//! What nobody said is not known, and what is not known holds nothing up. Of what is left, background work leaves a part alone
//! ([`limits::BUDGET_RESERVE_SHARE`]): a person who asks finds it there till there is more again.

use std::{collections::BTreeMap, time::Duration};

use crate::{limits, planted, time::Timestamp};

/// For whom something is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Class {
    /// Somebody asked for it, and waits.
    Interactive,
    /// The schedule wants it.
    #[default]
    Background,
}

/// One limit, as an answer tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What the service calls it; empty where it has one only.
    pub name: String,
    /// So many requests in a window.
    pub limit: Option<u64>,
    /// So many are left in this one.
    pub left: u64,
    /// When the next one begins.
    pub resets: Option<Timestamp>,
    /// How long it is.
    pub window: Option<Duration>,
}

/// What is known of one limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// So many requests in a window.
    pub limit: Option<u64>,
    /// So many are left in this one; what was asked since it was told, and told nothing, is taken off.
    pub left: u64,
    /// When the next one begins.
    pub resets: Option<Timestamp>,
    /// How long it is.
    pub window: Option<Duration>,
    /// When this was told, or tried since.
    pub learned: Timestamp,
}

/// What somebody used in this window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Requests in all.
    pub requests: u64,
    /// Of these, answered with "nothing has changed".
    pub unchanged: u64,
    /// What their bodies came to, in bytes.
    pub bytes: u64,
}

/// What is known of a budget, and holds over a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Every limit, by name.
    pub allowances: BTreeMap<String, Allowance>,
    /// Those that the last answer told: whoever does not know which are its own goes by these.
    pub lately: Vec<String>,
    /// The service asked for patience: when, and until when.
    pub quiet: Option<(Timestamp, Timestamp)>,
    /// Who used what since `since`, by sync; what no sync asked stands under the empty name.
    pub used: BTreeMap<String, Used>,
    /// When that count began; none: nothing was counted yet.
    pub since: Option<Timestamp>,
}

/// The budget of one account.
#[derive(Clone, Debug, Default)]
pub struct Budget {
    known: Known,
    /// Requests that are under way.
    flying: usize,
    /// Answers that were taken in.
    answers: u64,
}

/// A request that may go. Each is brought back once, with [`Budget::answered`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "it counts as under way until it is brought back"]
pub struct Ticket {
    answers: u64,
}

/// Whether a request may go.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// At once.
    Go(Ticket),
    /// Not before another one is back.
    Full,
    /// Not before a moment, if nothing better is heard till then.
    Wait(Wait),
}

/// Why a request waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Not before this.
    pub until: Timestamp,
    /// Because of this.
    pub why: Why,
}

/// What a request waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The service asked for patience.
    Asked,
    /// Nothing is left.
    Spent {
        /// Of so many.
        limit: Option<u64>,
    },
    /// What is left is kept for people.
    Kept {
        /// So many.
        left: u64,
        /// Of so many.
        limit: Option<u64>,
    },
}

/// An answer, as far as the budget is concerned.
#[derive(Clone, Debug, Default)]
pub struct Answer<'a> {
    /// The sync that asked; empty: none.
    pub by: &'a str,
    /// What it tells of limits.
    pub told: &'a [Told],
    /// It asks for patience until then.
    pub quiet: Option<Timestamp>,
    /// It says that nothing has changed.
    pub unchanged: bool,
    /// What its body came to.
    pub bytes: u64,
}

/// The names of the limits that an answer tells, each once, and no more than are remembered.
pub fn names<'a>(told: impl IntoIterator<Item = &'a Told>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for told in told {
        if names.len() < limits::ALLOWANCES_MAX && !names.contains(&told.name) {
            names.push(told.name.clone());
        }
    }
    names
}

/// Moments that a service tells may differ by so much and be the same: it tells whole seconds, or how long until then.
const SAME_RESET: Duration = Duration::from_secs(2);

impl Budget {
    /// One of which this is known.
    #[must_use]
    pub fn new(known: Known) -> Self {
        Self { known, ..Self::default() }
    }

    /// What is known of it.
    #[must_use]
    pub fn known(&self) -> &Known {
        &self.known
    }

    /// Requests that are under way.
    #[must_use]
    pub fn flying(&self) -> usize {
        self.flying
    }

    /// Whether a request may go now. `of`: the limits that it falls under, as far as that is known.
    pub fn ask(&mut self, now: Timestamp, class: Class, of: &[String]) -> Verdict {
        self.renew(now);
        if let Some(until) = self.quiet(now) {
            return Verdict::Wait(Wait { until, why: Why::Asked });
        }
        let Known { allowances, lately, .. } = &mut self.known;
        let of = if of.is_empty() { lately } else { of };
        let mut full = false;
        for allowance in of.iter().filter_map(|name| allowances.get(name)) {
            match allowance.verdict(now, class, self.flying) {
                Some(Err(wait)) => return Verdict::Wait(wait),
                Some(Ok(())) => full = true,
                None => {}
            }
        }
        // One place is never taken by what nobody waits for.
        let places = match class {
            Class::Interactive => limits::REQUESTS_PER_ACCOUNT_MAX,
            Class::Background => limits::REQUESTS_PER_ACCOUNT_MAX - 1,
        };
        if full || self.flying >= places {
            return Verdict::Full;
        }
        self.flying += 1;
        // One that goes as a try is the only one for as long again, whatever becomes of it.
        for name in of {
            if let Some(tried) = allowances.get_mut(name).filter(|one| one.left <= one.kept_from(class)) {
                tried.learned = now;
            }
        }
        Verdict::Go(Ticket { answers: self.answers })
    }

    /// The service asks for patience. Of two answers that ask for it, the longer one counts: which is the later word is not known.
    pub fn hush(&mut self, now: Timestamp, until: Timestamp) {
        let until = until.min(now.plus(limits::PATIENCE_MAX));
        self.known.quiet = Some((now, self.quiet(now).map_or(until, |before| before.max(until))));
    }

    /// Until when nobody may ask, where the service said so or nothing is left.
    #[must_use]
    pub fn spent(&self, now: Timestamp) -> Option<Timestamp> {
        let shown = self.shown(now);
        let spent = shown.lately.iter().filter_map(|name| shown.allowances.get(name)).filter(|one| one.left == 0);
        spent.map(Allowance::until).filter(|until| *until > now).chain(self.quiet(now)).max()
    }

    /// A request was answered; or it came to nothing, or nobody waits for it any more: then it may have cost one, and tells nothing.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is brought back once")]
    pub fn answered(&mut self, ticket: Ticket, now: Timestamp, answer: &Answer<'_>) {
        self.flying = self.flying.saturating_sub(1);
        // Another answer came while this one was under way: which of the two is the later word is not known.
        let alone = ticket.answers == self.answers;
        self.answers += 1;
        if let Some(until) = answer.quiet {
            self.hush(now, until);
        }
        self.count(now, answer);
        // An answer of a window that is over says nothing of this one, and is told late: it may have cost one of these too.
        let told: Vec<&Told> = answer.told.iter().filter(|told| told.resets.is_none_or(|at| at > now)).collect();
        let names = names(told.iter().copied());
        if told.is_empty() && !answer.unchanged {
            for name in &self.known.lately {
                if let Some(allowance) = self.known.allowances.get_mut(name) {
                    allowance.left = allowance.left.saturating_sub(1);
                }
            }
        }
        for told in told.into_iter().filter(|told| names.contains(&told.name)) {
            self.told(now, told, alone);
        }
        if !names.is_empty() {
            self.known.lately = names;
        }
    }

    fn told(&mut self, now: Timestamp, told: &Told, alone: bool) {
        let allowances = &mut self.known.allowances;
        if !allowances.contains_key(&told.name) && allowances.len() >= limits::ALLOWANCES_MAX {
            // A service that names its limits anew must not be known by its old ones for ever.
            let oldest = allowances.iter().min_by_key(|(_, one)| one.learned).map(|(name, _)| name.clone());
            oldest.map(|oldest| allowances.remove(&oldest));
        }
        let (mut left, mut resets) = (told.left, told.resets);
        if let Some(before) = allowances.get(&told.name).filter(|before| !alone && !before.is_over(now)) {
            let same = match (before.resets, resets) {
                (Some(before), Some(then)) => then <= before.plus(SAME_RESET),
                _ => true,
            };
            if same {
                (left, resets) = (left.min(before.left), resets.max(before.resets));
            }
        }
        // None at all says nothing of how many there are when there are some.
        let (limit, window) = (told.limit.filter(|limit| *limit > 0), told.window);
        allowances.insert(told.name.clone(), Allowance { limit, left, resets, window, learned: now });
    }

    fn count(&mut self, now: Timestamp, answer: &Answer<'_>) {
        let counted = self
            .known
            .since
            .is_some_and(|since| now.since(since) <= limits::USED_SPAN_MAX && since <= now.plus(limits::CLOCK_CORRECTION_MAX));
        if !counted {
            self.count_anew(now);
        }
        let used = &mut self.known.used;
        let full = used.len() >= limits::USED_ROWS_MAX;
        let by = if full && !used.contains_key(answer.by) { "" } else { answer.by };
        let one = used.entry(by.to_owned()).or_default();
        one.requests += 1;
        one.unchanged += u64::from(answer.unchanged);
        one.bytes += answer.bytes;
    }

    fn count_anew(&mut self, since: Timestamp) {
        self.known.used.clear();
        self.known.since = Some(since);
    }

    /// Until when the service asked for patience, if that is still to come.
    #[must_use]
    pub fn quiet(&self, now: Timestamp) -> Option<Timestamp> {
        let (asked, until) = self.known.quiet?;
        (now < until && asked <= now.plus(limits::CLOCK_CORRECTION_MAX)).then_some(until)
    }

    /// What is over begins anew: as much as there ever is, or nothing that we know of.
    fn renew(&mut self, now: Timestamp) {
        // The longest window is what people go by; one of seconds would leave nothing to be told.
        let longest = self.known.allowances.values().filter_map(|one| one.resets).max().filter(|resets| *resets <= now);
        if let Some(resets) = longest
            && self.known.since.is_some_and(|since| now.since(since) >= limits::USED_SPAN_MIN)
        {
            self.count_anew(resets);
        }
        self.known.allowances.retain(|_, one| {
            if !one.is_over(now) {
                return true;
            }
            // A limit of none at all is tried: it would never be known that there is one again.
            let Some(limit) = one.limit.filter(|limit| *limit > 0) else { return false };
            *one = Allowance { left: limit, resets: None, learned: now, ..one.clone() };
            true
        });
    }

    /// What is known, as it is now: what is over has begun anew.
    #[must_use]
    pub fn shown(&self, now: Timestamp) -> Known {
        let mut shown = self.clone();
        shown.renew(now);
        shown.known.quiet = shown.known.quiet.filter(|_| self.quiet(now).is_some());
        shown.known
    }
}

impl Allowance {
    /// Whether another window has begun. What was learned in a future that the clock has left since is no longer believed.
    fn is_over(&self, now: Timestamp) -> bool {
        let until = match self.resets {
            Some(resets) => resets,
            None if self.left <= self.reserve() => self.learned.plus(limits::RESET_UNKNOWN),
            None => return false,
        };
        until <= now || self.learned > now.plus(limits::CLOCK_CORRECTION_MAX)
    }

    /// When one may be tried: there are more again, or nobody said when, or the moment is so far off that it may be garbage.
    fn until(&self) -> Timestamp {
        let patience = if self.resets.is_some() { limits::PATIENCE_MAX } else { limits::RESET_UNKNOWN };
        let tried = self.learned.plus(patience);
        self.resets.map_or(tried, |resets| resets.min(tried))
    }

    /// Of what is left, so much is for people alone.
    #[must_use]
    pub fn reserve(&self) -> u64 {
        self.limit.map_or(0, |limit| limit / limits::BUDGET_RESERVE_SHARE)
    }

    /// What is left is kept from these requests, if it is no more than this.
    fn kept_from(&self, class: Class) -> u64 {
        match class {
            Class::Background if !planted::is("background takes the reserve") => self.reserve(),
            _ => 0,
        }
    }

    /// None: a request may go. Else it waits for one that is under way, or for a moment.
    fn verdict(&self, now: Timestamp, class: Class, flying: usize) -> Option<Result<(), Wait>> {
        let (until, limit, reserve) = (self.until(), self.limit, self.kept_from(class));
        if self.left <= reserve && until <= now {
            return (flying > 0).then_some(Ok(()));
        }
        if self.left == 0 {
            return Some(Err(Wait { until, why: Why::Spent { limit } }));
        }
        if self.left <= reserve {
            return Some(Err(Wait { until, why: Why::Kept { left: self.left, limit } }));
        }
        // Those that are under way may cost one each.
        let flying = if planted::is("requests under way cost nothing") { 0 } else { flying as u64 };
        (self.left - reserve <= flying).then_some(Ok(()))
    }
}

#[cfg(test)]
mod tests;
