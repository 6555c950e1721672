//! Owns: what is true of every merge: over all small records, and over generated ones.

use proptest::prelude::*;

use super::*;
use crate::record::{Number, same_props};

const RULES: [Merge; 8] =
    [Merge::Truth, Merge::Remote, Merge::Newest, Merge::Union, Merge::Max, Merge::Min, Merge::Text, Merge::Manual];

/// The base, owned.
#[derive(Clone, Debug)]
enum Agreed {
    Known(Props),
    Gone,
    Unknown,
}

impl Agreed {
    fn base(&self) -> Base<'_> {
        match self {
            Self::Known(props) => Base::Known(props),
            Self::Gone => Base::Gone,
            Self::Unknown => Base::Unknown,
        }
    }
}

/// One meeting, whose rules are those of every check below.
struct Rules {
    policy: Policy,
    stamps: Stamps,
}

impl Rules {
    fn mingle(&self, base: Base<'_>, truth: Option<&Props>, theirs: Option<&Props>) -> Mingled {
        let (carried, frozen) = (&Carried::All, &BTreeSet::new());
        mingle(&Sides { base, truth, theirs, carried, frozen, policy: &self.policy, stamps: &self.stamps })
    }

    fn alike(&self, a: Option<&Props>, b: Option<&Props>) -> bool {
        match (a, b) {
            (None, None) => true,
            (Some(a), Some(b)) => alike(a, b, &Carried::All, &self.policy),
            _ => false,
        }
    }

    /// Everything that holds of one meeting.
    fn laws(&self, agreed: &Agreed, truth: Option<&Props>, theirs: Option<&Props>) -> Result<(), String> {
        let Mingled { truth: merged, clashes } = self.mingle(agreed.base(), truth, theirs);
        let fail = |law: &str| {
            Err(format!(
                "{law}\n  policy {:?}\n  agreed {agreed:?}\n  truth {truth:?}\n  theirs {theirs:?}\n  => {merged:?} {clashes:?}",
                self.policy
            ))
        };
        // Idempotent: after the meeting agreed is theirs, and meeting again changes nothing.
        let base = theirs.map_or(Base::Gone, Base::Known);
        let again = self.mingle(base, merged.as_ref(), theirs);
        let met_again = theirs.is_none() || again.truth == merged;
        if !met_again || !again.clashes.is_empty() && theirs.is_some() {
            return fail("meeting again changes nothing");
        }
        // Agreement stands, in the truth's own form.
        if self.alike(truth, theirs) && (merged.as_ref() != truth || !clashes.is_empty()) {
            return fail("agreement stands");
        }
        if let Agreed::Known(was) = agreed {
            let was = Some(was);
            // Silence changes nothing: whoever did not change anything gets what the other has.
            if self.alike(was, theirs) && (merged.as_ref() != truth || !clashes.is_empty()) {
                return fail("silence of theirs changes nothing");
            }
            if self.alike(was, truth) && !(self.alike(merged.as_ref(), theirs) && clashes.is_empty()) {
                return fail("silence of the truth takes theirs");
            }
        }
        // What means the same as the truth is written as the truth has it.
        if self.alike(merged.as_ref(), truth) && merged.as_ref() != truth {
            return fail("the truth keeps its written form");
        }
        self.invents_nothing(merged.as_ref(), truth, theirs).or_else(|what| fail(&format!("nothing is invented: {what}")))
    }

    fn invents_nothing(&self, merged: Option<&Props>, truth: Option<&Props>, theirs: Option<&Props>) -> Result<(), String> {
        let nothing = Props::new();
        let (truth, theirs) = (truth.unwrap_or(&nothing), theirs.unwrap_or(&nothing));
        for (name, value) in merged.unwrap_or(&nothing) {
            let from = [truth.get(name), theirs.get(name)];
            known(value, &from.into_iter().flatten().collect::<Vec<_>>(), &self.policy).map_err(|()| name.clone())?;
        }
        Ok(())
    }
}

/// A value is one of these, or made of members, lines or properties of these.
fn known(value: &Value, from: &[&Value], policy: &Policy) -> Result<(), ()> {
    if from.contains(&value) {
        return Ok(());
    }
    let seen = match value {
        Value::List(members) => {
            members.iter().all(|one| from.iter().any(|list| matches!(list, Value::List(list) if list.contains(one))))
        }
        Value::Text(text) => text.lines().all(|line| {
            from.iter()
                .any(|other| matches!(other, Value::Text(other) if other.lines().any(|one| one.trim_end() == line.trim_end())))
        }),
        Value::Map(props) if policy.nested => props.iter().all(|(name, value)| {
            let inner: Vec<&Value> =
                from.iter().filter_map(|map| if let Value::Map(map) = map { map.get(name) } else { None }).collect();
            known(value, &inner, policy).is_ok()
        }),
        _ => false,
    };
    if seen { Ok(()) } else { Err(()) }
}

fn number(text: &str) -> Value {
    Value::Number(Number::as_written(text))
}

fn list(members: &[&str]) -> Value {
    Value::List(members.iter().map(|one| Value::Text((*one).into())).collect())
}

/// Every record of these properties, each absent or one of these values.
fn records(names: &[&str], values: &[Value]) -> Vec<Props> {
    names.iter().fold(vec![Props::new()], |records, name| {
        let with = |record: &Props| {
            let others = values.iter().map(|value| {
                let mut record = record.clone();
                record.insert((*name).into(), value.clone());
                record
            });
            std::iter::once(record.clone()).chain(others).collect::<Vec<_>>()
        };
        records.iter().flat_map(with).collect()
    })
}

/// All meetings of all these records under all rules.
fn all_meetings(records: &[Props], mut each: impl FnMut(&Rules, &Agreed, Option<&Props>, Option<&Props>) -> Result<(), String>) {
    let sides: Vec<Option<&Props>> = std::iter::once(None).chain(records.iter().map(Some)).collect();
    let bases: Vec<Agreed> = records.iter().cloned().map(Agreed::Known).chain([Agreed::Gone, Agreed::Unknown]).collect();
    for (place, default) in RULES.into_iter().enumerate() {
        let delete = if place % 2 == 0 { OnDelete::KeepEdit } else { OnDelete::KeepDelete };
        let policy = Policy { default, delete, null_is_a_value: place % 3 == 1, ..Policy::default() };
        let rules = Rules { policy, stamps: Stamps::default() };
        for agreed in &bases {
            for truth in &sides {
                for theirs in &sides {
                    if let Err(what) = each(&rules, agreed, *truth, *theirs) {
                        panic!("{what}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_laws_hold_for_all_small_records() {
    let three = records(&["a", "b", "c"], &[Value::Null, number("1")]);
    all_meetings(&three, Rules::laws);
    let one = records(
        &["a"],
        &[
            Value::Null,
            number("1"),
            number("1.0"),
            number("2"),
            Value::Text("x\n".into()),
            Value::Text("x\r\n".into()),
            Value::Text("y\nx\n".into()),
            Value::Text("x\nz\n".into()),
            list(&[]),
            list(&["p"]),
            list(&["q"]),
            list(&["p", "q"]),
            list(&["q", "p"]),
            list(&["q", "r"]),
            Value::Map(Props::new()),
        ],
    );
    all_meetings(&one, Rules::laws);
    let two = records(&["a", "b"], &[number("1"), number("2"), list(&["p"]), list(&["p", "q"])]);
    all_meetings(&two, Rules::laws);
}

#[test]
fn edits_of_different_properties_commute() {
    let all = records(&["a", "b", "c"], &[Value::Null, number("1"), number("2")]);
    let rules = Rules { policy: Policy::default(), stamps: Stamps::default() };
    for agreed in &all {
        for edited in &all {
            // `a` is edited on one side, `b` and `c` on the other.
            let with = |names: &[&str]| {
                let mut record = agreed.clone();
                for name in names {
                    match edited.get(*name) {
                        Some(value) => drop(record.insert((*name).into(), value.clone())),
                        None => drop(record.remove(*name)),
                    }
                }
                record
            };
            let (one, other) = (with(&["a"]), with(&["b", "c"]));
            let there = rules.mingle(Base::Known(agreed), Some(&one), Some(&other));
            let back = rules.mingle(Base::Known(agreed), Some(&other), Some(&one));
            for met in [&there, &back] {
                let merged = met.truth.as_ref().unwrap();
                assert!(same_props(merged, edited, Likeness::default()), "{agreed:?} | {one:?} | {other:?} => {merged:?}");
                assert_eq!(met.clashes, []);
            }
        }
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        Just(Value::Bool(true)),
        prop::sample::select(vec!["0", "1", "1.0", "2", "-3", "1e2"]).prop_map(number),
        "[xy]{0,2}(\r?\n[xyz]){0,5}".prop_map(Value::Text),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            prop::collection::btree_map("[pq~/]{1,2}", inner, 0..4).prop_map(Value::Map),
        ]
    })
}

fn any_props() -> impl Strategy<Value = Props> {
    prop::collection::btree_map("[abc/]", any_value(), 0..4)
}

fn any_rules() -> impl Strategy<Value = Rules> {
    let rule = || prop::sample::select(RULES.to_vec());
    let own = prop::collection::btree_map("[abc](/[pq])?", rule(), 0..3);
    let stamps = prop::option::of((0..30_i64).prop_map(|second| Timestamp::from_unix_ms(second * 1000)));
    (rule(), own, any::<bool>(), any::<bool>(), any::<bool>(), stamps.clone(), stamps).prop_map(
        |(default, properties, nested, null_is_a_value, keep, ours, theirs)| Rules {
            policy: Policy {
                default,
                properties,
                nested,
                null_is_a_value,
                delete: if keep { OnDelete::KeepEdit } else { OnDelete::KeepDelete },
                identity: Vec::new(),
                references: BTreeMap::new(),
            },
            stamps: Stamps {
                truth: ours.into_iter().map(|stamp| ("a".to_owned(), stamp)).collect(),
                theirs,
                grain: Duration::from_secs(1),
            },
        },
    )
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {:?}", self.policy, self.stamps)
    }
}

/// A base, and both sides each either a few edits away from it or of their own.
fn any_meeting() -> impl Strategy<Value = (Agreed, Option<Props>, Option<Props>)> {
    let edited = |base: &Props| {
        let base = base.clone();
        prop_oneof![
            1 => Just(None),
            1 => any_props().prop_map(Some),
            6 => prop::collection::btree_map("[abc/]", prop::option::of(any_value()), 0..3).prop_map(move |edits| {
                let mut props = base.clone();
                for (name, value) in edits {
                    match value {
                        Some(value) => drop(props.insert(name, value)),
                        None => drop(props.remove(&name)),
                    }
                }
                Some(props)
            }),
        ]
    };
    any_props().prop_flat_map(move |base| {
        let agreed = prop_oneof![6 => Just(Agreed::Known(base.clone())), 1 => Just(Agreed::Gone), 1 => Just(Agreed::Unknown)];
        (agreed, edited(&base), edited(&base))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_laws_hold_for_generated_records(rules in any_rules(), (agreed, truth, theirs) in any_meeting()) {
        prop_assert_eq!(rules.laws(&agreed, truth.as_ref(), theirs.as_ref()), Ok(()));
    }

    #[test]
    fn lines_merge_alike_from_either_side(base in "([abc]\n){0,6}", ours in "([abcd]\n){0,6}", theirs in "([abce]\n){0,6}") {
        let text = |text: &str| Value::Text(text.into());
        let (base, ours, theirs) = (text(&base), text(&ours), text(&theirs));
        let there = text::three_way(Some(&base), Some(&ours), Some(&theirs));
        let back = text::three_way(Some(&base), Some(&theirs), Some(&ours));
        prop_assert_eq!(there, back);
    }
}
