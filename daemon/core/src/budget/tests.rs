//! Owns: what a budget lets go, step by step, and its laws against a service that counts. Must never know: headers.

use std::{collections::VecDeque, fmt::Write as _};

use proptest::prelude::*;

use super::*;

fn at(ms: u64) -> Timestamp {
    Timestamp::from_unix_ms(1_800_000_000_000).plus(Duration::from_millis(ms))
}

/// `left/limit` that resets at this second.
fn told(name: &str, left: u64, limit: Option<u64>, resets: Option<u64>) -> Told {
    Told { name: name.into(), limit, left, resets: resets.map(|second| at(second * 1_000)), window: None }
}

/// Steps, and what came of them. `i`, `b`: a request of a person, of the schedule, which stays under way. `=LEFT/LIMIT@RESET`: the
/// oldest one under way is answered so (no limit: `-`; never: `-`); `304`: with "nothing has changed" alone; `nothing`: with no word
/// of limits; `quiet@T`: it asks for patience. `+N`: N seconds pass. Shown of a request: `go`, `full`, or why it waits
/// and till which second.
fn played(steps: &str) -> String {
    let (mut budget, mut now, mut flying, mut shown) = (Budget::default(), 0, VecDeque::new(), String::new());
    for step in steps.split_whitespace() {
        let mut answer = |told: &[Told], quiet: Option<u64>, unchanged: bool| {
            let ticket = flying.pop_front().expect("one under way");
            let quiet = quiet.map(|second| at(second * 1_000));
            budget.answered(ticket, at(now * 1_000), &Answer { by: "s", told, quiet, unchanged, bytes: 10 });
        };
        let number = |text: &str| text.parse::<u64>().ok();
        if let Some(seconds) = step.strip_prefix('+') {
            now += number(seconds).unwrap();
        } else if let Some(said) = step.strip_prefix('=') {
            let (counts, resets) = said.split_once('@').unwrap();
            let (left, limit) = counts.split_once('/').unwrap();
            answer(&[told("", number(left).unwrap(), number(limit), number(resets))], None, false);
        } else if step == "304" {
            answer(&[], None, true);
        } else if step == "nothing" {
            answer(&[], None, false);
        } else if let Some(until) = step.strip_prefix("quiet@") {
            answer(&[], number(until), false);
        } else {
            let class = if step.starts_with('i') { Class::Interactive } else { Class::Background };
            let second = |until: Timestamp| until.since(at(0)).as_secs();
            match budget.ask(at(now * 1_000), class, &[]) {
                Verdict::Go(ticket) => {
                    flying.push_back(ticket);
                    shown.push_str("go ");
                }
                Verdict::Full => shown.push_str("full "),
                Verdict::Wait(Wait { until, why }) => {
                    let why = match why {
                        Why::Asked => "asked",
                        Why::Spent { .. } => "spent",
                        Why::Kept { .. } => "kept",
                    };
                    write!(shown, "{why}@{} ", second(until)).unwrap();
                }
            }
        }
    }
    shown.trim_end().to_owned()
}

#[track_caller]
fn check(steps: &str, expect: &str) {
    assert_eq!(played(steps), expect, "{steps}");
}

/// Each bug planted here is seen by a line of the tables below.
#[cfg(feature = "planted")]
#[test]
fn planted_bugs_are_found() {
    for (bug, steps, expect) in [
        ("background takes the reserve", "b =6/60@30 b i", "go kept@30 go"),
        ("requests under way cost nothing", "b =2/-@30 b b b 304 b", "go go go full go"),
    ] {
        planted::set_here(Some(bug));
        let shown = played(steps);
        planted::set_here(None);
        assert_ne!(shown, expect, "{bug:?} is not seen");
    }
}

#[test]
fn what_may_go() {
    // What nobody said is not known.
    check("b nothing b nothing b", "go go go");
    // Nothing is left, until there is more again.
    check("i =0/60@30 i b +30 i b", "go spent@30 spent@30 go go");
    // The rest is kept for people.
    check("b =6/60@30 b i", "go kept@30 go");
    check("b =7/60@30 b b i", "go go full go");
    // Each that is under way may cost one.
    check("b =2/-@30 b b b 304 b", "go go go full go");
    // What tells nothing cost one; what has not changed is told apart.
    check("b =2/-@30 i nothing i nothing i", "go go go spent@30");
    check("b =2/-@30 i 304 i 304 i", "go go go go");
    // It does not say till when: it is asked again after a minute.
    check("b =0/-@- b +59 b +1 b", "go spent@60 spent@60 go");
    // Patience is for everybody.
    check("b quiet@20 i b +20 i", "go asked@20 asked@20 go");
    check("b b quiet@20 quiet@10 b +20 i", "go go asked@20 go");
    check("b b quiet@10 quiet@20 b +20 i", "go go asked@20 go");
    // A window may be long, and its moment garbage: one is tried each hour, and there are no more before that moment.
    check("b =0/5@999999 i +3600 i i", "go spent@3600 go spent@7200");
    check("b =0/5@999999 +3600 i nothing i +3600 i =0/5@999999 i", "go go spent@7200 go spent@10800");
    check("b =0/60@86400 +3600 b =0/60@86400 b +82799 b =0/60@86400 +1 b", "go go spent@7200 go go");
    check("b =3/60@86400 b +3600 b 304 b i 304 +82800 b", "go kept@3600 go kept@7200 go go");
    // A limit of none at all is asked again in each window.
    check("b =0/0@30 b +30 b =0/0@60 b +30 b", "go spent@30 go spent@60 go");
    // A limit that is too small for a rest has none.
    check("b =1/5@30 b", "go go");
}

#[test]
fn of_answers_that_overtake_each_other_the_lower_counts() {
    // Both were under way together: 9 and then 8 were left, and 9 is heard last.
    check("b b =1/-@30 =2/-@30 b b", "go go go full");
    // One that was asked later is the later word.
    check("b =1/-@30 b =5/-@30 b b b", "go go go go go");
    // One of the window before says nothing of this one.
    check("b b b +31 =3/-@60 =50/-@30 b b", "go go go go full");
}

#[test]
fn people_find_a_place() {
    let mut budget = Budget::default();
    let tickets: Vec<Verdict> =
        (0..limits::REQUESTS_PER_ACCOUNT_MAX).map(|_| budget.ask(at(0), Class::Background, &[])).collect();
    assert_eq!(tickets.iter().filter(|one| **one == Verdict::Full).count(), 1);
    assert!(matches!(budget.ask(at(0), Class::Interactive, &[]), Verdict::Go(_)));
    assert_eq!(budget.ask(at(0), Class::Interactive, &[]), Verdict::Full);
}

#[test]
fn each_limit_counts_for_what_falls_under_it() {
    let mut budget = Budget::default();
    let mut say = |told: &[Told]| {
        let Verdict::Go(ticket) = budget.ask(at(0), Class::Interactive, &[]) else { panic!("it may go") };
        budget.answered(ticket, at(0), &Answer { told, ..Answer::default() });
    };
    say(&[told("core", 50, Some(60), Some(30))]);
    say(&[told("search", 0, Some(30), Some(10))]);
    assert!(matches!(budget.ask(at(0), Class::Interactive, &["core".into()]), Verdict::Go(_)));
    // Who does not know goes by the last word.
    assert!(matches!(budget.ask(at(0), Class::Interactive, &[]), Verdict::Wait(_)));
    assert!(matches!(budget.ask(at(0), Class::Interactive, &["search".into()]), Verdict::Wait(_)));
}

#[test]
fn the_limits_that_were_told_last_are_remembered_each_once() {
    let mut budget = Budget::default();
    let mut say = |second: u64, names: std::ops::Range<usize>| {
        let Verdict::Go(ticket) = budget.ask(at(second * 1_000), Class::Interactive, &[]) else { panic!("it may go") };
        let told: Vec<Told> = names.map(|n| told(&(n % 20).to_string(), 9, Some(9), None)).collect();
        budget.answered(ticket, at(second * 1_000), &Answer { told: &told, ..Answer::default() });
        (budget.known().allowances.keys().cloned().collect::<Vec<_>>(), budget.known().lately.clone())
    };
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(say(0, 0..90), (words("0 1 2 3 4 5 6 7"), words("0 1 2 3 4 5 6 7")));
    assert_eq!(say(1, 1..8).1, words("1 2 3 4 5 6 7"));
    assert_eq!(say(2, 19..22), (words("0 1 19 3 4 5 6 7"), words("19 0 1")));
}

#[test]
fn lists_are_bounded_and_counts_begin_anew() {
    let mut budget = Budget::default();
    let mut ask = |second: u64, by: &str, told: &[Told]| {
        let Verdict::Go(ticket) = budget.ask(at(second * 1_000), Class::Interactive, &[]) else { panic!("it may go") };
        budget.answered(ticket, at(second * 1_000), &Answer { by, told, bytes: 5, ..Answer::default() });
        budget.known().clone()
    };
    let many: Vec<Told> = (0..20).map(|n| told(&n.to_string(), 900, Some(1_000), Some(3_000))).collect();
    assert_eq!(ask(0, "a", &many).allowances.len(), limits::ALLOWANCES_MAX);
    assert_eq!(ask(0, "a", &[]).used["a"], Used { requests: 2, unchanged: 0, bytes: 10 });
    for n in 0..2 * limits::USED_ROWS_MAX {
        ask(1, &n.to_string(), &[told("0", 900, Some(1_000), Some(3_000))]);
    }
    let full = ask(1, "z", &[]);
    assert_eq!(full.used.len(), limits::USED_ROWS_MAX + 1, "what more ask stand together");
    let anew = ask(3_000, "a", &[]);
    assert_eq!((anew.used.len(), anew.since), (1, Some(at(3_000_000))));
}

#[test]
fn what_was_learned_in_a_future_is_not_believed() {
    let mut budget = Budget::default();
    let Verdict::Go(ticket) = budget.ask(at(1_000_000), Class::Interactive, &[]) else { panic!("it may go") };
    let spent = [told("", 0, Some(60), Some(2_000))];
    budget.answered(ticket, at(1_000_000), &Answer { told: &spent, quiet: Some(at(2_000_000)), ..Answer::default() });
    // The clock was set back by a day's part.
    assert!(matches!(budget.ask(at(0), Class::Interactive, &[]), Verdict::Go(_)));
}

/// A service that lets `limit` requests through in each window, and counts those that it refuses.
struct Service {
    limit: u64,
    window: u64,
    now: u64,
    began: u64,
    left: u64,
    refused: u64,
}

impl Service {
    fn pass(&mut self, ms: u64) {
        self.now += ms;
        while self.now >= self.began + self.window {
            (self.began, self.left) = (self.began + self.window, self.limit);
        }
    }

    fn take(&mut self, free: bool) -> Told {
        if !free {
            self.refused += u64::from(self.left == 0);
            self.left = self.left.saturating_sub(1);
        }
        Told {
            name: String::new(),
            limit: Some(self.limit),
            left: self.left,
            resets: Some(at(self.began + self.window)),
            window: None,
        }
    }
}

proptest! {
    /// Once the limit is known, no request is refused, in whatever order answers come; background leaves the reserve alone; and a
    /// person is let through as long as anything is left that nobody else may take. Where the service lets nothing through, each of its
    /// windows is tried.
    #[test]
    fn never_more_than_is_left(limit in 0_u64..60, window in 1_000_u64..60_000, steps in prop::collection::vec((0_u8..8, 0_usize..16, 0_u64..3_000), 1..400)) {
        let mut service = Service { limit, window, now: 0, began: 0, left: limit, refused: 0 };
        let mut budget = Budget::default();
        let Verdict::Go(first) = budget.ask(at(0), Class::Interactive, &[]) else { panic!("nothing is known") };
        budget.answered(first, at(0), &Answer { told: &[service.take(false)], ..Answer::default() });
        let (mut sent, mut heard) = (Vec::new(), Vec::new());
        for (what, which, ms) in steps {
            match what {
                0..=3 => {
                    let class = if what == 0 { Class::Interactive } else { Class::Background };
                    let left = budget.shown(at(service.now)).allowances.get("").map(|one| one.left);
                    prop_assert!(left.is_some() || limit == 0);
                    let flying = budget.flying() as u64;
                    match budget.ask(at(service.now), class, &[]) {
                        Verdict::Go(ticket) => {
                            if let Some(left) = left {
                                let reserve = if class == Class::Background { limit / limits::BUDGET_RESERVE_SHARE } else { 0 };
                                prop_assert!(left > flying + reserve);
                            }
                            sent.push(ticket);
                        }
                        Verdict::Full => prop_assert!(budget.flying() > 0),
                        Verdict::Wait(Wait { until, .. }) => {
                            prop_assert!(until > at(service.now));
                            prop_assert!(limit > 0 || until <= at(service.began + service.window), "{until:?} is in another window");
                            prop_assert!(class == Class::Background || left == Some(0), "a person waits though {left:?} are left");
                        }
                    }
                }
                4 | 5 if !sent.is_empty() => {
                    let ticket = sent.remove(which % sent.len());
                    let told = service.take(which == 7);
                    heard.push((ticket, told, which == 7));
                }
                6 if !heard.is_empty() => {
                    let (ticket, told, unchanged) = heard.remove(which % heard.len());
                    budget.answered(ticket, at(service.now), &Answer { told: &[told], unchanged, ..Answer::default() });
                }
                _ => service.pass(ms),
            }
            prop_assert!(limit == 0 || service.refused == 0);
        }
    }
}
