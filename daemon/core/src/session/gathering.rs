//! Owns: who takes part in a session that others were invited to, and how long it waits for whom. Pure: whoever keeps it says what
//! happens, and asks. Must never know: sessions' own states, connections, how time passes.
//!
//! Two waits, each with a deadline: until those who were invited have answered, and until those who take part have pushed. Whoever is
//! late, or gone, is left behind, and holds up nobody; what it pushes meets the truth on its own.

use std::{collections::BTreeMap, time::Duration};

use crate::{planted, time::Timestamp};

/// Where one app is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Member {
    /// It has not answered.
    Invited,
    /// It does not want to, did not answer in time, or is gone.
    Out,
    /// It takes part, and has not said that all is pushed.
    Pushing,
    /// What it pushed meets the truth.
    Mingling,
    /// It has met the truth.
    Pulling,
}

/// What an app says or does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// It takes part.
    Joins,
    /// It does not.
    Declines,
    /// All is pushed.
    Pushed,
    /// What it pushed has met the truth.
    Met,
    /// Its session is over, whichever way.
    Leaves,
}

/// What an app waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    /// That all have answered.
    Answers,
    /// That all have pushed.
    Pushes,
    /// That all that was pushed in time has met the truth.
    Meetings,
}

/// Why an app cannot join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Not {
    /// It was not invited.
    Invited,
    /// It has answered already.
    Twice,
    /// The deadline is over.
    InTime,
}

/// A session and those who were invited to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gathering {
    within: Duration,
    /// Of the wait that is on: for answers, then for pushes.
    until: Timestamp,
    /// All have answered, or their time is over.
    answered: bool,
    members: BTreeMap<String, Member>,
}

impl Gathering {
    /// An app invites others; each wait lasts so long at most.
    #[must_use]
    pub fn new(app: &str, invited: &[String], within: Duration, now: Timestamp) -> Self {
        let others = invited.iter().map(|name| (name.clone(), Member::Invited));
        let members = others.chain([(app.to_owned(), Member::Pushing)]).collect();
        Self { within, until: now.plus(within), answered: false, members }
    }

    /// An app says, or does, something.
    ///
    /// # Errors
    /// [`Not`], for an answer to the invitation; nothing has changed.
    pub fn said(&mut self, app: &str, said: Said, now: Timestamp) -> Result<(), Not> {
        self.look(now);
        let answered = self.answered;
        let member = self.members.get_mut(app).ok_or(Not::Invited)?;
        *member = match (*member, said) {
            (Member::Invited, Said::Joins) => Member::Pushing,
            (Member::Invited, Said::Declines) => Member::Out,
            (Member::Out, Said::Joins | Said::Declines) if answered => return Err(Not::InTime),
            (_, Said::Joins | Said::Declines) => return Err(Not::Twice),
            (Member::Pushing, Said::Pushed) => Member::Mingling,
            (Member::Pushing | Member::Mingling, Said::Met) => Member::Pulling,
            (_, Said::Leaves) => Member::Out,
            (same, Said::Pushed | Said::Met) => same,
        };
        self.look(now);
        Ok(())
    }

    /// Until when at most something is waited for; none: it is there, or its time is over.
    pub fn waits(&mut self, what: For, now: Timestamp) -> Option<Timestamp> {
        self.look(now);
        let (state, until) = match what {
            For::Answers => return (!self.answered).then_some(self.until),
            For::Pushes if !self.answered => return Some(self.until.plus(self.within)),
            For::Pushes => (Member::Pushing, self.until),
            // The daemon itself does this, so it ends; should it not, nobody hangs.
            For::Meetings => (Member::Mingling, self.until.plus(self.within)),
        };
        let some = self.members.values().any(|member| *member == state);
        (some && (now < until || planted::is("joined without a deadline"))).then_some(until)
    }

    /// Whether others take part who have not met the truth yet, however late they are by now.
    #[must_use]
    pub fn lags(&self, app: &str) -> bool {
        let late = |(other, member): (&String, &Member)| other != app && matches!(member, Member::Pushing | Member::Mingling);
        self.members.get(app).is_some_and(|own| !matches!(own, Member::Invited | Member::Out)) && self.members.iter().any(late)
    }

    /// Whether it concerns an app at all.
    #[must_use]
    pub fn has(&self, app: &str) -> bool {
        self.members.contains_key(app)
    }

    /// Those who take part.
    #[must_use]
    pub fn joined(&self) -> Vec<String> {
        let out = |member: &Member| matches!(member, Member::Invited | Member::Out);
        self.members.iter().filter(|(_, member)| !out(member)).map(|(app, _)| app.clone()).collect()
    }

    /// Whether nobody is left who could come or wait.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.members.values().all(|member| *member == Member::Out)
    }

    /// What time has done.
    fn look(&mut self, now: Timestamp) {
        let invited = self.members.values().any(|member| *member == Member::Invited);
        if self.answered || (invited && now < self.until) {
            return;
        }
        self.answered = true;
        // From the moment at which the wait was over, whenever somebody looks.
        self.until = now.min(self.until).plus(self.within);
        self.members.values_mut().filter(|member| **member == Member::Invited).for_each(|member| *member = Member::Out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens, a word a second: `b:joins`, or a second in which nothing does (`.`). Then what each wait has left, in seconds
    /// (`-`: nothing is waited for), and who takes part.
    #[track_caller]
    fn check(story: &str, expect: &str) {
        let at = |second: u64| Timestamp::from_unix_ms(0).plus(Duration::from_secs(second));
        let mut gathering = Gathering::new("a", &["b".into(), "c".into()], Duration::from_secs(5), at(0));
        let mut now = 0;
        let mut refused = String::new();
        for word in story.split_whitespace() {
            now += 1;
            let Some((app, said)) = word.split_once(':') else { continue };
            let said = match said {
                "joins" => Said::Joins,
                "declines" => Said::Declines,
                "pushed" => Said::Pushed,
                "met" => Said::Met,
                "leaves" => Said::Leaves,
                other => panic!("{other}"),
            };
            if let Err(not) = gathering.said(app, said, at(now)) {
                refused += &format!(" {word}={not:?}");
            }
        }
        let waits = [For::Answers, For::Pushes, For::Meetings]
            .map(|what| gathering.waits(what, at(now)).map_or("-".into(), |until| until.since(at(now)).as_secs().to_string()));
        let over = if gathering.is_over() { " over" } else { "" };
        let got = format!("{} {}{over}{refused}", waits.join(" "), gathering.joined().join("+"));
        assert_eq!(got, expect, "{story}");
    }

    #[test]
    fn who_was_invited_is_waited_for_and_only_so_long() {
        check("", "5 10 - a");
        check("b:joins", "4 9 - a+b");
        check("b:joins c:joins", "- 5 - a+b+c");
        check("b:joins c:declines", "- 5 - a+b");
        check("b:declines c:declines", "- 5 - a");
        check("b:joins . . . .", "- 5 - a+b");
        check("b:joins . . . . . . . . .", "- - - a+b");
        check(". . . . . b:joins", "- 4 - a b:joins=InTime");
        check("b:joins b:joins d:joins", "2 7 - a+b b:joins=Twice d:joins=Invited");
        check("b:leaves c:declines", "- 5 - a");
    }

    #[test]
    fn who_takes_part_and_has_not_pushed_is_waited_for_and_only_so_long() {
        check("b:joins c:declines a:pushed", "- 4 9 a+b");
        check("b:joins c:declines a:pushed b:pushed", "- - 8 a+b");
        check("b:joins c:declines a:pushed b:leaves", "- - 8 a");
        // The slow one is left behind.
        check("b:joins c:declines a:pushed . . . .", "- - 5 a+b");
        // Who pushes before all have answered waits for them.
        check("b:joins b:pushed", "3 8 8 a+b");
        check("a:pushed b:declines c:declines a:met", "- - - a");
        check("b:joins c:declines a:pushed b:pushed a:met", "- - 7 a+b");
        check("b:joins c:declines a:pushed b:pushed a:met b:met", "- - - a+b");
        check("b:joins c:declines a:pushed b:pushed a:met b:met a:leaves b:leaves", "- - -  over");
        // What is late meets on its own, and is waited for by nobody for ever.
        check("b:joins c:declines a:pushed a:met . . . . . . . . b:pushed", "- - - a+b");
    }

    /// Whoever pulls may wait for those who are late, beyond each deadline.
    #[test]
    fn who_is_late_is_waited_for_by_whoever_wants_to() {
        let at = |second: u64| Timestamp::from_unix_ms(0).plus(Duration::from_secs(second));
        let mut gathering = Gathering::new("a", &["b".into(), "c".into()], Duration::from_secs(5), at(0));
        let mut lags = |app: &str, said: Said, second: u64| {
            gathering.said(app, said, at(second)).expect("taken");
            ["a", "b", "c", "d"].map(|app| gathering.lags(app))
        };
        assert_eq!(lags("b", Said::Joins, 1), [true, true, false, false], "the third has not answered, and is no part of it");
        assert_eq!(lags("c", Said::Declines, 2), [true, true, false, false]);
        assert_eq!(lags("a", Said::Pushed, 3), [true, true, false, false]);
        // Nobody waits for the second any more, and it may still come.
        assert_eq!(lags("a", Said::Met, 30), [true, false, false, false]);
        assert_eq!(lags("b", Said::Pushed, 40), [true, false, false, false]);
        assert_eq!(lags("b", Said::Met, 41), [false; 4]);
        assert_eq!(lags("a", Said::Leaves, 42), [false; 4]);
    }

    #[cfg(feature = "planted")]
    #[test]
    fn planted_bugs_are_found() {
        planted::set_here(Some("joined without a deadline"));
        let found = std::panic::catch_unwind(who_takes_part_and_has_not_pushed_is_waited_for_and_only_so_long).is_err();
        planted::set_here(None);
        assert!(found, "no line sees that a slow participant is waited for without end");
    }
}
