//! Owns: how one record of an app's own copy meets the truth, where the app may keep it in a form of its own, and what the app lacks.
//! Must never know: sessions' states, SQL.
//!
//! An app may store a record in another form than it was given (a shorter name, a telephone number with spaces). Then its link keeps
//! a pair: what the truth was when the app took it, and what the app made of it. The two count as equal until either moves.

use std::collections::BTreeSet;

use crate::{
    meeting::{Agreed, Link, Met, Rules, at, errand, meet},
    mingle::Stamps,
    path, planted,
    policy::{Merge, Policy},
    record::{Props, names, same},
    replica::{Abilities, Row, RowState},
};

/// What an app that keeps a copy can do: everything that it shows is whole, it chooses ids, and it has no revisions and no stamps.
#[must_use]
pub fn abilities() -> Abilities {
    Abilities { tombstones: true, ..Abilities::least() }
}

/// The rules where the other side is an app: `remote` means the truth's side, and an app has no stamps that could tell who is newer.
#[must_use]
pub fn policy(policy: &Policy) -> Policy {
    let turn = |merge: Merge| match merge {
        Merge::Remote | Merge::Newest => Merge::Truth,
        other => other,
    };
    let mut policy = policy.clone();
    policy.default = turn(policy.default);
    policy.properties.values_mut().for_each(|merge| *merge = turn(*merge));
    policy
}

/// Meets what an app has (none: it deleted the record). `taken`: the truth as it was when the app took it last, where that is known;
/// what the app made of it is in the link.
#[must_use]
pub fn meet_copy(
    link: &Link,
    taken: Option<&Props>,
    truth: Option<&Props>,
    id: &str,
    theirs: Option<&Props>,
    rules: Rules<'_>,
) -> Met {
    let row = |state| Row { remote_id: id.into(), revision: None, modified: None, created: None, state };
    let taken = taken.filter(|_| !planted::is("pair rule off"));
    let (Agreed::Own(form), Some(taken)) = (&link.agreed, taken) else {
        let state = theirs.cloned().map_or(RowState::Gone, RowState::Live);
        return meet(link, truth, &row(state), &Stamps::default(), rules);
    };
    // In the truth's words: where the app still has what it made of it, it has what it was given.
    let said = theirs.map(|theirs| {
        let mut said = theirs.clone();
        for name in names(form, theirs).into_iter().chain(names(taken, theirs)).collect::<BTreeSet<_>>() {
            if same(form.get(name), theirs.get(name), rules.policy.likeness(name)) {
                match taken.get(name) {
                    Some(value) => said.insert(name.to_owned(), value.clone()),
                    None => said.remove(name),
                };
            }
        }
        said
    });
    let base = Link { agreed: Agreed::Own(taken.clone()), ..link.clone() };
    let state = said.map_or(RowState::Gone, RowState::Live);
    let mut met = meet(&base, truth, &row(state), &Stamps::default(), rules);
    if let Some(theirs) = theirs {
        let equal = met.truth.as_ref().is_some_and(|truth| {
            names(truth, theirs).into_iter().all(|name| same(truth.get(name), theirs.get(name), rules.policy.likeness(name)))
        });
        met.link.agreed = if equal { Agreed::Same } else { Agreed::Own(theirs.clone()) };
    }
    met
}

/// What an app lacks.
#[derive(Clone, Debug, PartialEq)]
pub enum Lack {
    /// It has no such record.
    Made(Props),
    /// It has an older state.
    Changed(Props),
    /// It has a record that is gone.
    Gone,
}

/// How an app's copy is behind; none: it is not. `seq`: the record's. What the app took or refused in this very state is no lack,
/// whatever form it has there. What it was shown and has not taken it may have or not, so it is shown again: also its end.
#[must_use]
pub fn lacks(link: &Link, truth: Option<&Props>, seq: u64, rules: Rules<'_>) -> Option<Lack> {
    if seq <= link.confirmed {
        return None;
    }
    if let (Agreed::Unknown, Some(truth)) = (&link.agreed, truth) {
        return Some(Lack::Made(truth.clone()));
    }
    match errand::difference(link, truth, rules)? {
        errand::Difference::Lacks => truth.cloned().map(Lack::Made),
        errand::Difference::Outlived => Some(Lack::Gone),
        errand::Difference::Differs(_) => truth.map(|truth| Lack::Changed(shown(link, truth, rules.frozen))),
    }
}

/// The truth as this app is shown it: what waits for a decision stays as the app has it.
#[must_use]
pub fn shown(link: &Link, truth: &Props, frozen: &BTreeSet<String>) -> Props {
    let mut shown = truth.clone();
    if let Agreed::Own(form) = &link.agreed {
        for property in frozen {
            // A property of a nested object is shown as its whole object.
            let Some(name) = path::names(property).next() else { continue };
            match at(form, property).and(form.get(&*name)) {
                Some(value) => shown.insert(name.into_owned(), value.clone()),
                None => shown.remove(&*name),
            };
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Value;

    fn props(text: &str) -> Option<Props> {
        let text = text.trim();
        (text != "-").then(|| {
            text.split_whitespace()
                .map(|pair| pair.split_once('=').expect("name=value"))
                .map(|(name, value)| (name.to_owned(), Value::Text(value.to_owned())))
                .collect()
        })
    }

    fn told(props: Option<&Props>) -> String {
        let Some(props) = props else { return "-".into() };
        let one = |(name, value): (&String, &Value)| match value {
            Value::Text(text) => format!("{name}={text}"),
            other => format!("{name}={other:?}"),
        };
        props.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    /// `taken | form | truth | theirs => truth, what the link keeps, clashes`.
    #[track_caller]
    fn check(line: &str) {
        let (sides, expect) = line.split_once("=>").expect("=>");
        let sides: Vec<Option<Props>> = sides.split('|').map(props).collect();
        let [taken, form, truth, theirs] = &sides[..] else { panic!("four sides: {line}") };
        let policy = policy(&Policy::default());
        let (abilities, frozen) = (abilities(), BTreeSet::new());
        let rules = Rules { policy: &policy, abilities: &abilities, up_only: false, frozen: &frozen, anew: false, reset: None };
        let agreed = form.clone().map_or(Agreed::Gone, Agreed::Own);
        let link = Link { remote_id: Some("x".into()), agreed, ..Link::unborn() };
        let met = meet_copy(&link, taken.as_ref(), truth.as_ref(), "x", theirs.as_ref(), rules);
        let kept = match &met.link.agreed {
            Agreed::Same => "same".into(),
            Agreed::Own(props) => told(Some(props)),
            Agreed::Gone => "gone".into(),
            Agreed::Former(_) | Agreed::Unknown => "unknown".into(),
        };
        let got = format!("{}; {kept}; {}", told(met.truth.as_ref()), met.clashes.len());
        assert_eq!(got, expect.trim(), "{line}");
    }

    #[test]
    fn a_form_of_the_app_is_no_edit_of_it() {
        check("n=0123 | n=01-23 | n=0123 | n=01-23 => n=0123; n=01-23; 0");
        check("n=0123 | n=01-23 | n=0123 | n=99 => n=99; same; 0");
        check("n=0123 a=1 | n=01-23 a=1 | n=0123 a=2 | n=99 a=1 => a=2 n=99; a=1 n=99; 0");
        check("n=0123 | n=01-23 | n=77 | n=01-23 => n=77; n=01-23; 0");
        check("n=0123 | n=01-23 | n=77 | n=99 => n=77; n=99; 1");
        check("n=0123 | n=01-23 | n=0123 | - => -; gone; 0");
        check("n=0123 | n=01-23 | n=77 | - => n=77; gone; 1");
        // Properties that the app does not keep at all are not cleared by it.
        check("n=1 extra=2 | n=1 | n=1 extra=2 | n=3 => extra=2 n=3; n=3; 0");
        // Nor are those that it adds for itself new each time.
        check("n=1 | n=1 own=2 | n=1 | n=1 own=2 => n=1; n=1 own=2; 0");
    }

    #[cfg(feature = "planted")]
    #[test]
    fn planted_bugs_are_found() {
        planted::set_here(Some("pair rule off"));
        let found = std::panic::catch_unwind(a_form_of_the_app_is_no_edit_of_it).is_err();
        planted::set_here(None);
        assert!(found, "no line sees that a form of the app is taken for an edit");
    }

    #[test]
    fn without_a_form_it_is_a_meeting_like_any_other() {
        check("- | a=1 b=1 | a=2 b=1 | a=1 b=2 => a=2 b=2; a=1 b=2; 0");
        check("- | - | - | a=1 => a=1; same; 0");
        check("- | a=1 | a=2 | a=3 => a=2; a=3; 1");
        check("- | a=1 | - | a=2 => a=2; same; 1");
    }

    #[test]
    fn what_was_taken_in_this_state_is_no_lack() {
        let policy = policy(&Policy::default());
        let abilities = abilities();
        let link = |confirmed| Link { agreed: Agreed::Own(props("n=01-23").unwrap()), confirmed, ..Link::stranger("x") };
        let truth = props("n=0123").unwrap();
        let of = |link: &Link, frozen: &[&str]| {
            let frozen: BTreeSet<String> = frozen.iter().map(|one| (*one).to_owned()).collect();
            let rules =
                Rules { policy: &policy, abilities: &abilities, up_only: false, frozen: &frozen, anew: false, reset: None };
            (lacks(link, Some(&truth), 7, rules), lacks(link, None, 7, rules), told(Some(&shown(link, &truth, rules.frozen))))
        };
        assert_eq!(of(&link(6), &[]), (Some(Lack::Changed(truth.clone())), Some(Lack::Gone), "n=0123".into()));
        assert_eq!(of(&link(7), &[]), (None, None, "n=0123".into()));
        assert_eq!(of(&link(6), &["n"]), (None, Some(Lack::Gone), "n=01-23".into()));
        let shown = Link::stranger("x");
        assert_eq!(of(&shown, &[]), (Some(Lack::Made(truth.clone())), Some(Lack::Gone), "n=0123".into()));
    }
}
