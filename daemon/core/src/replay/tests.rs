//! Owns: the table of rules that are asked once more, and the law that they say what the merge says. Must never know: storage.
//!
//! `[write:|copy:] rule agreed | truth | theirs => value, waits or untold`; a value as in the tables of the merge, `-` is absent.

use super::*;
use crate::{
    meeting::at,
    mingle::{
        alike_at,
        tests::{rule, shown, value},
    },
};

fn side(text: &str) -> Option<Value> {
    (text != "-").then(|| value(&mut text.to_owned().as_str()))
}

fn told(would: &Would<Value>) -> String {
    match would {
        Would::Settle(None) => "-".into(),
        Would::Settle(Some(value)) => shown(value),
        Would::Wait => "waits".into(),
        Would::NotTold => "untold".into(),
    }
}

#[track_caller]
fn check(table: &[&str]) {
    for line in table {
        let (input, expect) = line.split_once(" => ").expect("a line has =>");
        let (other, input) = match input.split_once(": ") {
            Some(("write", rest)) => (Other::Write, rest),
            Some(("copy", rest)) => (Other::Copy, rest),
            Some(_) => panic!("whose? {line}"),
            None => (Other::Remote, input),
        };
        let (word, sides) = input.split_once(' ').expect("a rule, then sides");
        let [agreed, truth, theirs] = sides.split(" | ").collect::<Vec<_>>()[..] else { panic!("three sides: {line}") };
        let [agreed, truth, theirs] = [agreed, truth, theirs].map(side);
        let kept = Kept { agreed: agreed.as_ref(), truth: truth.as_ref(), theirs: theirs.as_ref(), other };
        assert_eq!(told(&replay(&kept, rule(word), &Policy::default())), expect, "{line}");
    }
}

#[test]
fn a_rule_says_what_it_would_have_made_of_a_conflict() {
    check(&[
        "truth 1 | 2 | 3 => 2",
        "remote 1 | 2 | 3 => 3",
        "remote 1 | 2 | - => -",
        "truth - | 2 | 3 => 2",
        "truth 1 | - | 3 => -",
        "max 1 | 2 | 3 => 3",
        "max 1 | 4 | 3 => 4",
        "min 1 | 2 | 3 => 2",
        "max a | b | c => c",
        // What has no order falls back, as in a meeting.
        "max 1 | 2 | x => x",
        "union [a,b] | [a,b,c] | [b,d] => [b,c,d]",
        "union 1 | 2 | 3 => 3",
        "text a\\nb\\nc\\n | A\\nb\\nc\\n | a\\nb\\nC\\n => A\\nb\\nC\\n",
        "text a\\n | b\\n | c\\n => c\\n",
        "manual 1 | 2 | 3 => waits",
        "manual 1 | 2 | - => waits",
        "newest 1 | 2 | 3 => untold",
        "newest 1 | 2 | - => untold",
    ]);
}

#[test]
fn what_an_open_conflict_came_to_is_met_as_it_is() {
    check(&[
        // The remote has taken the value here since: nobody has to decide.
        "manual 1 | 2 | 2 => 2",
        "newest 1 | 2 | 2 => 2",
        // A request that may have arrived, and what was there before it: no stamp is needed.
        "newest 1 | 2 | 1 => 2",
        "remote 1 | 2 | 1 => 2",
        "manual 1 | 2 | 1 => waits",
        "truth 1 | 1 | 2 => 1",
        "remote 1 | 1 | 2 => 2",
    ]);
}

#[test]
fn where_the_other_side_is_an_app_rules_are_turned_as_in_its_meeting() {
    check(&[
        "write: remote 1 | 2 | 3 => 2",
        "write: newest 1 | 2 | 3 => 3",
        "write: manual 1 | 2 | 3 => waits",
        "copy: remote 1 | 2 | 3 => 2",
        "copy: newest 1 | 2 | 3 => 2",
        "copy: max 1 | 2 | 3 => 3",
    ]);
}

/// Every meeting of these values that ends in a conflict, under each rule: what the rule is said to have made of the conflict is what it makes of the
/// meeting.
#[test]
fn what_is_said_of_a_conflict_is_what_the_rule_makes_of_the_meeting() {
    let values = [
        "-",
        "null",
        "1",
        "2",
        "x",
        "a\\nb\\n",
        "A\\nb\\n",
        "a\\nB\\n",
        "[1]",
        "[1,2]",
        "[2,1]",
        "[3]",
        "{a:1}",
        "{a:2,b:1}",
        "{a:3,b:[1]}",
    ];
    let values: Vec<Option<Value>> = values.into_iter().map(side).collect();
    let doubted = BTreeSet::from(["p".to_owned()]);
    let (nothing, later) = (
        Stamps::default(),
        Stamps {
            truth: BTreeMap::from([("p".to_owned(), Timestamp::from_unix_ms(1_000_000))]),
            theirs: Some(Timestamp::from_unix_ms(0)),
            ..Stamps::default()
        },
    );
    let mut met = [0; 3];
    for (nested, null_is_a_value) in [(false, false), (true, false), (false, true), (true, true)] {
        for (agreed, truth, theirs) in triples(&values) {
            let props =
                |value: &Option<Value>| -> Props { value.clone().map(|value| ("p".to_owned(), value)).into_iter().collect() };
            let (agreed, truth, theirs) = (props(agreed), props(truth), props(theirs));
            for base in [Base::Known(&agreed), Base::Partly(&agreed, &doubted), Base::Unknown] {
                let meets = |rule: Merge, stamps: &Stamps| {
                    let policy = Policy { default: rule, nested, null_is_a_value, ..Policy::default() };
                    mingle(&Sides {
                        base,
                        truth: Some(&truth),
                        theirs: Some(&theirs),
                        carried: &Carried::All,
                        frozen: &BTreeSet::new(),
                        policy: &policy,
                        stamps,
                    })
                };
                for clash in meets(Merge::Truth, &nothing).clashes {
                    let path = clash.property.expect("nobody deletes here");
                    let kept = Kept {
                        agreed: clash.agreed.as_ref(),
                        truth: clash.truth.as_ref(),
                        theirs: clash.theirs.as_ref(),
                        other: Other::Remote,
                    };
                    for rule in Merge::ALL {
                        let policy = Policy { default: rule, nested, null_is_a_value, ..Policy::default() };
                        let would = replay(&kept, rule, &policy);
                        let (one, other) = (meets(rule, &nothing), meets(rule, &later));
                        let of = |mingled: &Mingled| mingled.truth.as_ref().and_then(|props| at(props, &path).cloned());
                        let open =
                            one.clashes.iter().any(|one| one.property.as_ref() == Some(&path) && one.verdict == Verdict::Open);
                        // A union of a null may say nothing instead.
                        let plain = Policy { null_is_a_value: rule != Merge::Union && null_is_a_value, ..policy.clone() };
                        let same = |value: &Option<Value>| alike_at(&path, value.as_ref(), of(&one).as_ref(), &plain);
                        let holds = match &would {
                            Would::Wait => open,
                            Would::NotTold => rule == Merge::Newest && of(&one) != of(&other),
                            Would::Settle(value) => !open && same(value) && of(&one) == of(&other),
                        };
                        assert!(holds, "{} of {path} {agreed:?} | {truth:?} | {theirs:?}: {would:?}, met {one:?}", rule.word());
                        met[usize::from(matches!(would, Would::Wait)) + 2 * usize::from(would == Would::NotTold)] += 1;
                    }
                }
            }
        }
    }
    assert!(met.iter().all(|met| *met > 1_000), "each is tried: {met:?}");
}

fn triples(values: &[Option<Value>]) -> impl Iterator<Item = (&Option<Value>, &Option<Value>, &Option<Value>)> {
    let pairs = values.iter().flat_map(|one| values.iter().map(move |other| (one, other)));
    pairs.flat_map(|(one, other)| values.iter().map(move |third| (one, other, third)))
}
