//! Owns: the tables of the merge, in a text form, and the reader of that form.
//!
//! `[options:] agreed | truth | theirs => mingled [; clash ..]`
//! A side is `gone`, `unknown` (agreed only), `none`, `empty` or `name=value ..`; a value is a number, a word, `null`, `true`,
//! `[a,b]` or `{a:1,b:2}`; in a word `_` is a space, `\n` and `\r` are themselves. A clash is `name verdict` (`*` is the record).
//! Options: a policy for all, `name=policy`, `nested`, `nulls`, `keep_delete`, `carried=a,b`, `frozen=a,b`, `at=name@second,..`
//! (`theirs@second` is theirs), `grain=seconds`.

use super::*;
use crate::record::Number;

#[derive(Default)]
struct Case {
    agreed: Option<Result<Props, ()>>,
    truth: Option<Props>,
    theirs: Option<Props>,
    carried: Carried,
    frozen: BTreeSet<String>,
    policy: Policy,
    stamps: Stamps,
}

fn case(text: &str) -> Case {
    let mut case = Case::default();
    let (options, sides) = text.split_once(": ").unwrap_or(("", text));
    for option in options.split_whitespace() {
        let set = |names: &str| names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        match option.split_once('=') {
            None if option == "nested" => case.policy.nested = true,
            None if option == "nulls" => case.policy.null_is_a_value = true,
            None if option == "keep_delete" => case.policy.delete = OnDelete::KeepDelete,
            None => case.policy.default = rule(option),
            Some(("carried", names)) => case.carried = Carried::Only(set(names)),
            Some(("frozen", names)) => case.frozen = set(names),
            Some(("grain", seconds)) => case.stamps.grain = Duration::from_secs(seconds.parse().unwrap()),
            Some(("at", stamps)) => {
                for (name, second) in stamps.split(',').map(|stamp| stamp.split_once('@').unwrap()) {
                    let stamp = Timestamp::from_unix_ms(second.parse::<i64>().unwrap() * 1000);
                    match name {
                        "theirs" => case.stamps.theirs = Some(stamp),
                        name => drop(case.stamps.truth.insert(name.into(), stamp)),
                    }
                }
            }
            Some((name, policy)) => drop(case.policy.properties.insert(name.into(), rule(policy))),
        }
    }
    let [agreed, truth, theirs] = sides.split('|').map(str::trim).collect::<Vec<_>>()[..] else { panic!("three sides: {text}") };
    case.agreed = match agreed {
        "gone" => None,
        "unknown" => Some(Err(())),
        props => Some(Ok(side(props).unwrap())),
    };
    (case.truth, case.theirs) = (side(truth), side(theirs));
    case
}

pub(crate) fn rule(text: &str) -> Merge {
    match text {
        "truth" => Merge::Truth,
        "remote" => Merge::Remote,
        "newest" => Merge::Newest,
        "union" => Merge::Union,
        "max" => Merge::Max,
        "min" => Merge::Min,
        "text" => Merge::Text,
        "manual" => Merge::Manual,
        other => panic!("no policy {other}"),
    }
}

fn side(text: &str) -> Option<Props> {
    let prop = |prop: &str| {
        let (name, text) = prop.split_once('=').unwrap();
        let mut rest = text;
        let value = value(&mut rest);
        assert_eq!(rest, "", "left over in {text}");
        (name.to_owned(), value)
    };
    match text.trim() {
        "none" => None,
        "empty" => Some(Props::new()),
        props => Some(props.split_whitespace().map(prop).collect()),
    }
}

pub(crate) fn value(text: &mut &str) -> Value {
    if text.starts_with('[') {
        let mut list = Vec::new();
        inside(text, ']', &mut |text| list.push(value(text)));
        return Value::List(list);
    }
    if text.starts_with('{') {
        let mut props = Props::new();
        inside(text, '}', &mut |text| {
            let (name, rest) = text.split_once(':').unwrap();
            *text = rest;
            props.insert(name.into(), value(text));
        });
        return Value::Map(props);
    }
    let end = text.find([',', ']', '}']).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    *text = rest;
    match word {
        "null" => Value::Null,
        "true" => Value::Bool(true),
        word if word.starts_with(|first: char| first == '-' || first.is_ascii_digit()) => Value::Number(Number::as_written(word)),
        word => Value::Text(word.replace('_', " ").replace("\\n", "\n").replace("\\r", "\r")),
    }
}

fn inside(text: &mut &str, close: char, one: &mut dyn FnMut(&mut &str)) {
    *text = &text[1..];
    while !text.starts_with(close) {
        one(text);
        *text = text.strip_prefix(',').unwrap_or(text);
    }
    *text = &text[1..];
}

pub(crate) fn shown(value: &Value) -> String {
    let list = |all: Vec<String>| all.join(",");
    match value {
        Value::Null => "null".into(),
        Value::Bool(is) => is.to_string(),
        Value::Number(number) => number.text().into(),
        Value::Text(text) => text.replace(' ', "_").replace('\n', "\\n").replace('\r', "\\r"),
        Value::List(all) => format!("[{}]", list(all.iter().map(shown).collect())),
        Value::Map(all) => format!("{{{}}}", list(all.iter().map(|(name, value)| format!("{name}:{}", shown(value))).collect())),
    }
}

fn outcome(mingled: &Mingled) -> String {
    let mut text = match &mingled.truth {
        None => "none".to_owned(),
        Some(props) if props.is_empty() => "empty".to_owned(),
        Some(props) => props.iter().map(|(name, value)| format!("{name}={}", shown(value))).collect::<Vec<_>>().join(" "),
    };
    for clash in &mingled.clashes {
        let verdict = match clash.verdict {
            Verdict::Truth => "truth",
            Verdict::Remote => "remote",
            Verdict::Open => "open",
            Verdict::KeptEdit => "kept_edit",
            Verdict::KeptDelete => "kept_delete",
            Verdict::Discarded => "discarded",
        };
        text += &format!(" ; {} {verdict}", clash.property.as_deref().unwrap_or("*"));
    }
    text
}

fn mingled(case: &Case) -> Mingled {
    let base = match &case.agreed {
        None => Base::Gone,
        Some(Err(())) => Base::Unknown,
        Some(Ok(props)) => Base::Known(props),
    };
    mingle(&Sides {
        base,
        truth: case.truth.as_ref(),
        theirs: case.theirs.as_ref(),
        carried: &case.carried,
        frozen: &case.frozen,
        policy: &case.policy,
        stamps: &case.stamps,
    })
}

fn failures(table: &[&str]) -> Vec<String> {
    let one = |line: &&str| {
        let (input, expect) = line.split_once(" => ").expect("a line has =>");
        let found = outcome(&mingled(&case(input)));
        (found != expect).then(|| format!("{line}\n  found: {found}"))
    };
    table.iter().filter_map(one).collect()
}

#[track_caller]
fn check(table: &[&str]) {
    let failures = failures(table);
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

const PROPERTY: &[&str] = &[
    // The four rows of the table.
    "a=1 b=1 | a=2 b=1 | a=1 b=2 => a=2 b=2",
    "a=1 | a=2 | a=1 => a=2",
    "a=1 | a=1 | a=2 => a=2",
    "a=1 | a=2 | a=2 => a=2",
    "a=1 | a=2 | a=3 => a=3 ; a remote",
    // Absence is a value where there is a base.
    "a=1 b=1 | a=1 b=1 | b=1 => b=1",
    "a=1 b=1 | b=1 | a=1 b=1 => b=1",
    "a=1 b=1 | b=1 | a=2 b=1 => a=2 b=1 ; a remote",
    "a=1 b=1 | a=2 b=1 | b=1 => b=1 ; a remote",
    "truth: a=1 | a=2 | empty => a=2 ; a truth",
    "empty | a=1 | b=1 => a=1 b=1",
    "empty | a=1 | a=2 => a=2 ; a remote",
    // By meaning, and as the truth has it written.
    "a=1 | a=1.0 | a=1.00 => a=1.0",
    "a=1 | a=1 | a=1.0 => a=1",
    "a=x\\r\\ny | a=x\\ny | a=z => a=z",
    "a=null | empty | empty => empty",
    "empty | empty | a=null => empty",
    "a=1 | a=1 | a=null => a=null",
    "nulls: empty | empty | a=null => a=null",
    "nulls: a=1 | a=null | a=2 => a=2 ; a remote",
    "a={x:1,y:null} | a={x:1.0} | a={x:2} => a={x:2}",
    "a=[1,2] | a=[1,2] | a=[2,1] => a=[2,1]",
    // What theirs does not carry is neither compared nor cleared, nor taken.
    "carried=a: a=1 b=1 | a=1 b=2 | a=2 => a=2 b=2",
    "carried=a: a=1 | a=1 b=2 | a=2 b=3 => a=2 b=2",
    "carried=a: gone | none | a=2 b=3 => a=2",
    // Frozen: the truth's value, and no second clash.
    "manual: a=1 | a=2 | a=3 => a=2 ; a open",
    "manual frozen=a: a=3 | a=2 | a=4 => a=2",
    "manual frozen=a: a=3 b=1 | a=2 b=1 | a=4 b=2 => a=2 b=2",
    "frozen=a: a=3 | a=2 | empty => a=2",
    "manual frozen=a: a=3 | empty | a=4 => empty",
];

const NO_BASE: &[&str] = &[
    "gone | a=1 b=1 | a=1 c=1 => a=1 b=1 c=1",
    "unknown | a=1 b=1 | a=1 c=1 => a=1 b=1 c=1",
    "unknown | a=1 | a=2 => a=2 ; a remote",
    "gone | a=1 | a=2 => a=2 ; a remote",
    "truth: unknown | a=1 | a=2 => a=1 ; a truth",
    "manual: unknown | a=1 | a=2 => a=1 ; a open",
    "unknown | a=1 | a=null => a=1",
    "nulls: unknown | a=1 | a=null => a=null ; a remote",
    "unknown | a=null | a=1 => a=1",
    "union: unknown | a=[x,y] | a=[y,z] => a=[x,y,z]",
    "text: unknown | a=x | a=y => a=y ; a remote",
    "unknown | a=1 | none => a=1",
    "gone | a=1 | none => a=1",
    "unknown | none | a=1 => a=1 ; * kept_edit",
    "keep_delete: unknown | none | a=1 => none ; * kept_delete",
    "gone | none | a=1 => a=1",
    "gone | none | none => none",
    "nested: unknown | a={x:1,y:1} | a={x:2,z:1} => a={x:2,y:1,z:1} ; a/x remote",
];

const DELETES: &[&str] = &[
    "a=1 | none | none => none",
    "a=1 | a=1 | none => none",
    "a=1 | none | a=1 => none",
    "a=1 | a=1.0 b=null | none => none",
    "a=1 | a=2 | none => a=2 ; * kept_edit",
    "a=1 | none | a=2 => a=2 ; * kept_edit",
    "keep_delete: a=1 | a=2 | none => none ; * kept_delete",
    "keep_delete: a=1 | none | a=2 => none ; * kept_delete",
    "carried=a: a=1 | a=1 b=2 | none => none",
    "carried=a: a=1 | a=2 b=2 | none => a=2 b=2 ; * kept_edit",
    "carried=a: a=1 | none | a=1 b=2 => none",
    "carried=a: a=1 | none | a=2 b=2 => a=2 ; * kept_edit",
    "union: a=[x,y] | a=[y,x] | none => none",
];

const POLICIES: &[&str] = &[
    "truth: a=1 | a=2 | a=3 => a=2 ; a truth",
    "a=truth: a=1 b=1 | a=2 b=2 | a=3 b=3 => a=2 b=3 ; a truth ; b remote",
    "max: a=1 | a=2 | a=3 => a=3 ; a remote",
    "max: a=1 | a=10 | a=9 => a=10 ; a truth",
    "max: a=x | a=y | a=z => a=z ; a remote",
    "max: a=1 | a=x | a=2 => a=2 ; a remote",
    "max: a=1 | a=2 | empty => empty ; a remote",
    "min: a=1 | a=2 | a=3 => a=2 ; a truth",
    "min: a=1 | a=-2 | a=-2.5 => a=-2.5 ; a remote",
    // Newest: later by the grain and 5 s, or the replica's.
    "newest at=a@100,theirs@90: a=1 | a=2 | a=3 => a=2 ; a truth",
    "newest at=a@100,theirs@95: a=1 | a=2 | a=3 => a=2 ; a truth",
    "newest at=a@100,theirs@96: a=1 | a=2 | a=3 => a=3 ; a remote",
    "newest at=a@100,theirs@90 grain=5: a=1 | a=2 | a=3 => a=2 ; a truth",
    "newest at=a@100,theirs@90 grain=6: a=1 | a=2 | a=3 => a=3 ; a remote",
    "newest at=a@100,theirs@200: a=1 | a=2 | a=3 => a=3 ; a remote",
    "newest at=a@100: a=1 | a=2 | a=3 => a=3 ; a remote",
    "newest at=theirs@1: a=1 | a=2 | a=3 => a=3 ; a remote",
    "newest nested at=a@100,theirs@90: a={x:1} | a={x:2} | a={x:3} => a={x:2} ; a/x truth",
    // Union: what either removed is gone, what either added is there.
    "union: a=[x,y] | a=[x] | a=[x,y,z] => a=[x,z]",
    "union: a=[x,y,z] | a=[y,z] | a=[x,z] => a=[z]",
    "union: a=[x] | a=[x,y] | a=[z,x] => a=[x,y,z]",
    "union: a=[x] | a=[y,x] | a=[x,y] => a=[y,x]",
    "union: a=[1] | a=[1.0,2] | a=[3,1] => a=[1.0,2,3]",
    "union: a=[x,y] | a=[x] | a=[y] => a=[]",
    "union: a=[x] | empty | a=[x,y] => a=[y]",
    "union: a=[x,y] | empty | a=[x] => empty",
    "union: a=[x] | a=[x,y] | a=null => a=[y]",
    "union: empty | a=[x] | a=[y] => a=[x,y]",
    "union: a=1 | a=[x] | a=[y] => a=[x,y]",
    "union: a=1 | a=2 | a=[y] => a=[y] ; a remote",
    "union: a=[x] | a=[y,y,x] | a=[x,z] => a=[y,x,z]",
    // Text: by lines; on overlap the replica's.
    "text: a=p\\nx\\nq | a=p2\\nx\\nq | a=p\\nx\\nq2 => a=p2\\nx\\nq2",
    "text: a=x1\\nx2 | a=y1\\nx2 | a=z1\\nx2 => a=z1\\nx2 ; a remote",
    "text: a=1 | a=2 | a=x => a=x ; a remote",
    "text: empty | a=x | a=y => a=y ; a remote",
    "text: a=p\\r\\nx\\r\\nq | a=p2\\r\\nx\\r\\nq | a=p\\nx\\nq2 => a=p2\\r\\nx\\r\\nq2",
];

const NESTED: &[&str] = &[
    "a={x:1,y:1} | a={x:2,y:1} | a={x:1,y:2} => a={x:1,y:2} ; a remote",
    "nested: a={x:1,y:1} | a={x:2,y:1} | a={x:1,y:2} => a={x:2,y:2}",
    "nested: a={x:1} | a={x:2} | a={x:3} => a={x:3} ; a/x remote",
    "nested a=truth: a={x:1} | a={x:2} | a={x:3} => a={x:2} ; a/x truth",
    "nested a=truth a/x=remote: a={x:1} | a={x:2} | a={x:3} => a={x:3} ; a/x remote",
    "nested: a={x:{p:1,q:1}} | a={x:{p:2,q:1}} | a={x:{p:1}} => a={x:{p:2}}",
    "nested: empty | a={x:1} | a={y:1} => a={x:1,y:1}",
    "nested: a=1 | a={x:1} | a={y:1} => a={y:1} ; a remote",
    "nested: a={x:1} | a={x:2} | a=1 => a=1 ; a remote",
    "nested: a={x:1} | a={x:1} | a=1 => a=1",
    "nested: a={x:1} | a={x:2} | empty => empty ; a remote",
    "nested manual frozen=a/x: a={x:1,y:1} | a={x:2,y:1} | a={x:3,y:2} => a={x:2,y:2}",
    "nested a/s=union: a={s:[p,q]} | a={s:[q,p]} | none => none",
    "nested a/s=union: a={s:[p]} | a={s:[p,q]} | a={s:[r,p]} => a={s:[p,q,r]}",
    "nested: x/y={z:1} | x/y={z:2} | x/y={z:3} => x/y={z:3} ; x~1y/z remote",
    "x/y=1 | x/y=2 | x/y=3 => x/y=3 ; x/y remote",
    "nested carried=a: a={x:1} b={x:1} | a={x:1} b={x:1} | a={x:2} => a={x:2} b={x:1}",
];

#[cfg(feature = "planted")]
const ALL_TABLES: &[&[&str]] = &[PROPERTY, NO_BASE, DELETES, POLICIES, NESTED];

#[test]
fn a_property_changed_on_one_side_takes_that_change() {
    check(PROPERTY);
}

#[test]
fn without_a_base_absence_clears_nothing() {
    check(NO_BASE);
}

#[test]
fn a_delete_meets_an_edit() {
    check(DELETES);
}

#[test]
fn policies_decide_what_both_changed() {
    check(POLICIES);
}

#[test]
fn objects_merge_by_path_where_asked() {
    check(NESTED);
}

#[test]
fn a_clash_keeps_all_three_values() {
    let one = mingled(&case("a=1 | a=2 | empty"));
    let number = |text: &str| Some(Value::Number(Number::as_written(text)));
    let expect =
        Clash { property: Some("a".into()), agreed: number("1"), truth: number("2"), theirs: None, verdict: Verdict::Remote };
    assert_eq!(one.clashes, [expect]);
    let whole = mingled(&case("carried=a: a=1 | none | a=2 b=3"));
    let record = |text: &str| side(text).map(Value::Map);
    let expect = Clash { property: None, agreed: record("a=1"), truth: None, theirs: record("a=2"), verdict: Verdict::KeptEdit };
    assert_eq!(whole.clashes, [expect]);
}

#[test]
fn a_text_too_long_to_compare_falls_back() {
    let long = "x\n".repeat(crate::limits::TEXT_MERGE_LINES_MAX + 1);
    let with = |line: &str| Some(Props::from([("a".to_owned(), Value::Text(format!("{line}\n{long}")))]));
    let mut case = case("text: empty | empty | empty");
    (case.agreed, case.truth, case.theirs) = (with("1").map(Ok), with("2"), with("1"));
    case.theirs.as_mut().unwrap().insert("a".into(), Value::Text(format!("1\n{long}end\n")));
    assert_eq!(mingled(&case).clashes.len(), 1);
}

/// Each bug planted in the merge is seen by a line of a table.
#[cfg(feature = "planted")]
#[test]
fn planted_bugs_are_found() {
    for bug in ["absence clears without a base", "union is plain", "manual not frozen"] {
        planted::set_here(Some(bug));
        let found = ALL_TABLES.iter().any(|table| !failures(table).is_empty());
        planted::set_here(None);
        assert!(found, "no table sees {bug:?}");
    }
    assert!(ALL_TABLES.iter().all(|table| failures(table).is_empty()));
}
