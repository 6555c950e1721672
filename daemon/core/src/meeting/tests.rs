//! Owns: the tables of a meeting: what a link says, a row or an answer, what both sides become. Must never know: SQL, runs.
//!
//! `[weak|anew|later|recover|discard] agreed | sent; .. | truth | event => truth [; clash ..][; behind]`
//! A record is `name=value ..`, `gone`, or (agreed) `same`, or after `former` of another history; what was sent is a patch, in which `name=` clears, or `makes RECORD`. The event is
//! `reads RECORD` (a row that came by id), `shows RECORD` (a row of a listing, under the stamp that the link knows: `echo`, `ask` or
//! `meet`), `knows RECORD` (the same under the revision that the link knows), `answers RECORD`, `read-back RECORD` or `read-back RECORD after RECORD`. `weak`: writes are not conditional. `anew`: the
//! copy here is not trusted. `later`: a create does not set `s`, which begins as 9.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Agreed, Link, Met, Rules, Sent, SentWhat,
    answer::{self, Settled},
    arrival::{Arrival, judge},
    errand, meet,
};
use crate::{
    mingle::Stamps,
    policy::{Merge, Policy},
    record::{Carried, Props, Value},
    replica::{Abilities, Answer, ClientIds, Cursor, Row, RowState},
    run::reset::How,
    time::Timestamp,
};

const KNOWN: Timestamp = Timestamp::from_unix_ms(1_790_000_000_000);

fn record(text: &str) -> Option<Props> {
    let value = |text: &str| Value::Text(text.to_owned());
    let one = |pair: &str| pair.split_once('=').map(|(name, text)| (name.to_owned(), value(text)));
    (text != "gone").then(|| text.split_whitespace().filter_map(one).collect())
}

fn patch(text: &str) -> BTreeMap<String, Option<Value>> {
    let one = |pair: &str| {
        let (name, text) = pair.split_once('=')?;
        Some((name.to_owned(), (!text.is_empty()).then(|| Value::Text(text.to_owned()))))
    };
    text.split_whitespace().filter_map(one).collect()
}

fn row(text: &str) -> Row {
    let state = record(text).map_or(RowState::Gone, RowState::Live);
    Row { remote_id: "r".into(), revision: Some("2".into()), modified: Some(KNOWN), created: None, state }
}

fn told(met: &Met, rules: Rules<'_>) -> String {
    let value = |value: &Value| match value {
        Value::Text(text) => text.clone(),
        other => format!("{other:?}"),
    };
    let mut text = match &met.truth {
        None => "gone".into(),
        Some(truth) => truth.iter().map(|(name, of)| format!("{name}={}", value(of))).collect::<Vec<_>>().join(" "),
    };
    for clash in &met.clashes {
        text += &format!("; {}", clash.property.as_deref().unwrap_or("*"));
    }
    if errand::difference(&met.link, met.truth.as_ref(), rules).is_some() {
        text += "; behind";
    }
    text
}

fn outcome(line: &str) -> String {
    let (weak, line) = line.strip_prefix("weak ").map_or((false, line), |line| (true, line));
    let (later, line) = line.strip_prefix("later ").map_or((false, line), |line| (true, line));
    let (anew, line) = line.strip_prefix("anew ").map_or((false, line), |line| (true, line));
    let (tells, line) = line.strip_prefix("tells ").map_or((false, line), |line| (true, line));
    let reset = [How::Recover, How::Discard].into_iter().find(|how| line.starts_with(how.word()));
    let line = reset.map_or(line, |how| &line[how.word().len()..]);
    let [agreed, sent, truth, event] = line.split('|').map(str::trim).collect::<Vec<_>>()[..] else {
        panic!("four parts: {line}")
    };
    let link = Link {
        remote_id: Some("r".into()),
        revision: Some("1".into()),
        modified: Some(KNOWN),
        agreed: match agreed {
            "same" => Agreed::Same,
            "unknown" => Agreed::Unknown,
            text if text.starts_with("former ") => Agreed::Former(record(&text["former ".len()..]).unwrap_or_default()),
            text => record(text).map_or(Agreed::Gone, Agreed::Own),
        },
        sent: sent
            .split(';')
            .filter(|sent| !sent.trim().is_empty())
            .map(|sent| match sent.trim().strip_prefix("makes ") {
                Some(text) => SentWhat::Create(record(text).unwrap_or_default()),
                None => SentWhat::Update(patch(sent)),
            })
            .map(|what| Sent { seq: 1, what, given_up: None, looked: false, strangers: 0, key: None, run: None })
            .collect(),
        ..Link::unborn()
    };
    let abilities = Abilities {
        cursor: Cursor::Token,
        tombstones: true,
        tells,
        confirms: false,
        strong_revision: !weak,
        conditional: !weak,
        client_ids: Some(ClientIds { besides: String::new(), lower_case: false, min: 1, max: 64 }),
        key_kept: None,
        batch_max: 1,
        carried: Carried::All,
        fills_in: later,
        later: if later { [("s".to_owned(), Some(Value::Text("9".into())))].into() } else { BTreeMap::new() },
        modified_grain: None,
        writes: true,
        deletes: true,
        errands_max: 1,
        page_rows: 1,
    };
    let policy = Policy { default: Merge::Remote, ..Policy::default() };
    let frozen = BTreeSet::new();
    let rules = Rules { policy: &policy, abilities: &abilities, up_only: false, frozen: &frozen, anew, reset };
    let stamps = Stamps::default();
    let truth = record(truth);
    let settled = |answer: &Answer| match answer::settle(&link, truth.as_ref(), answer, &BTreeSet::new(), &stamps, rules) {
        Settled::Met { met, .. } => told(&met, rules),
        other => format!("{other:?}"),
    };
    let judged = |row: &Row| match judge(&link, truth.as_ref(), row, false, rules) {
        Arrival::Echo => "echo".into(),
        Arrival::Ask => "ask".into(),
        Arrival::Meet => "meet".into(),
        Arrival::Second => "second".into(),
    };
    match event.split_once(' ').unwrap_or((event, "")) {
        ("reads", theirs) => told(&meet(&link, truth.as_ref(), &row(theirs), &stamps, rules), rules),
        ("shows", theirs) => judged(&row(theirs)),
        ("knows", theirs) => judged(&Row { revision: Some("1".into()), ..row(theirs) }),
        ("answers", theirs) => settled(&Answer::Taken(Some(row(theirs)))),
        ("read-back", both) => {
            let (read, told) = both.split_once(" after ").map_or((both, None), |(read, told)| (read, Some(told)));
            settled(&Answer::ReadBack { told: told.map(row), read: row(read) })
        }
        ("stale", theirs) => settled(&Answer::Stale(Some(row(theirs)))),
        // It was looked for and was not there, was deleted here, and then arrived.
        ("late", theirs) => {
            let missed = meet(&link, truth.as_ref(), &row("gone"), &stamps, rules);
            told(&meet(&missed.link, None, &row(theirs), &stamps, rules), rules)
        }
        (other, _) => panic!("no such event: {other}"),
    }
}

fn failures(table: &str) -> Vec<String> {
    let lines = table.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .filter_map(|line| {
            let (situation, expected) = line.split_once("=>").expect("an outcome");
            let outcome = outcome(situation.trim());
            (outcome != expected.trim()).then(|| format!("{line}\n    but: {outcome}"))
        })
        .collect()
}

const ANSWERS: &str = "
    a=1 | a=2 | a=2 | answers a=2 => a=2
    a=1 | a=B | a=B | answers a=b => a=b
    a=1 | a=2 | a=3 | answers a=2 => a=3; behind
    a=1 | a=B | a=3 | answers a=b => a=3; behind
    a=1 | a=2 | a=2 | answers a=2 c=9 => a=2 c=9
    a=1 | a=2 | a=2 | read-back a=2 => a=2
    a=1 | a=B | a=B | read-back a=b => a=b
    a=1 | a=2 | a=3 | read-back a=2 => a=3; behind
    a=1 | a=2 | a=3 | read-back a=4 => a=4; a
    a=1 | a=2 | a=2 | read-back a=4 => a=4
    a=1 | a=B | a=3 | read-back a=b after a=b => a=3; behind
    a=1 | a=B | a=3 | read-back a=4 after a=b => a=4; a
    a=1 | a=2 | gone | read-back a=4 => a=4; *
    later gone | makes a=1 | a=1 s=2 | answers a=1 s=9 => a=1 s=2; behind
    later gone | makes a=1 | a=1 | answers a=1 s=9 => a=1 s=9
    later gone | makes a=1 | a=3 s=2 | answers a=1 s=9 n=5 => a=3 n=5 s=2; behind
    later gone | makes a=1 | a=1 s=2 | answers a=1 s=5 => a=1 s=5; s
    later a=1 s=2 | s=3 | a=1 s=3 | answers a=1 s=9 => a=1 s=9
";

const READS: &str = "
    a=1 | a=2 | a=2 | reads a=2 => a=2
    a=1 | a=2 | a=3 | reads a=2 => a=3; behind
    a=1 | a=2 | a=2 | reads a=1 => a=2; behind
    a=1 | a=2 | a=2 | reads a=5 => a=5; a
    a=1 b=1 | a=2 b=2 | a=2 b=2 | reads a=2 b=5 => a=2 b=5; b
    a=1 b=1 | a=2 b=2 | a=2 b=2 | reads a=2 b=1 => a=2 b=2; b; behind
    c=1 | a=2 b=2 | a=2 b=2 c=1 | reads b=2 c=1 => a=2 b=2 c=1; a; behind
    c=1 | a=2 b=2 | a=3 b=2 c=1 | reads a=2 b=2 c=1 => a=3 b=2 c=1; behind
    a=1 b=1 | a=2 b= | a=2 | reads a=1 => a=2; behind
    a=1 b=1 | a=2 b= | a=2 | reads a=5 => a=5; a
    a=1 b=1 | a=2 b= | a=2 | reads a=2 => a=2
    b=1 | b= |  | reads  => 
    gone | makes a=1 | a=1 | reads a=1 => a=1
    gone | makes a=1 | a=2 | reads a=1 => a=2; behind
    gone | makes a=1 | a=2 | reads a=5 => a=5; a
    gone | makes a=1 | gone | reads a=1 => gone; behind
    gone | makes a=1 | gone | reads a=5 => a=5; *
    gone | | gone | reads a=5 => a=5
    gone | makes a=1 | a=1 | late a=1 => gone; behind
    gone | makes a=1 | a=2 | late a=5 => a=5; *
    gone | | a=1 | late a=1 => a=1
    unknown | makes a=1 | gone | reads a=1 => gone; behind
    unknown | makes a=1 | a=1 | reads gone => a=1; *; behind
    unknown | | a=1 | reads gone => a=1; behind
    unknown | makes a=1 b=1 | a=1 b=1 | reads a=1 b=5 => a=1 b=5; b
    gone | makes a=1 | gone | stale a=1 => gone; behind
    gone | makes a=1 | gone | stale a=5 => a=5; *
    gone | makes a=1 | a=1 | stale a=5 => a=5; a
    gone | makes a=1 b=1 | a=2 b=1 | stale a=1 b=1 => a=2 b=1; behind
    gone | makes a=1 | a=2 | stale a=1 c=9 => a=2 c=9; behind
    later gone | makes a=1 | a=1 s=2 | reads a=1 s=9 => a=1 s=2; behind
    later weak gone | makes a=1 | a=1 s=2 | reads a=1 s=9 n=5 => a=1 n=5 s=2; behind
    later gone | makes a=1 | a=1 | reads a=1 s=9 => a=1 s=9
    later gone | makes a=1 | a=1 s=2 | reads a=1 s=5 => a=1 s=5; s
    later gone | makes a=1 | gone | reads a=1 s=9 => a=1 s=9; *
    unknown | makes a=1 | a=2 | reads a=1 => a=2; behind
";

const SHOWS: &str = "
    a=1 | | a=1 | shows a=1 => ask
    weak a=1 | | a=1 | shows a=1 => echo
    weak a=1 | | a=1 | shows a=2 => ask
    weak a=1 | a=2 | a=2 | shows a=1 => echo
    a=1 | a=2 | a=2 | shows a=2 => ask
    same | | a=1 | knows a=2 => echo
    a=1 | | a=2 | knows a=3 => echo
    gone | | gone | shows a=1 => meet
    tells gone | | gone | shows a=1 => meet
    a=1 | | a=1 | shows gone => ask
    weak tells a=1 | | a=1 | shows gone => meet
    weak tells a=1 | | a=1 | shows a=2 => meet
    weak tells a=1 | | a=1 | shows a=1 => echo
    tells gone | | gone | shows gone => echo
    anew same | | a=1 | knows a=2 => meet
    anew same | | a=1 | knows a=1 => echo
    anew a=1 | | a=2 | knows a=3 => meet
    anew a=1 | | a=2 | knows a=1 => echo
    anew same | | a=1 | shows a=2 => ask
    anew same | | gone | knows a=1 => meet
    anew gone | | gone | knows gone => echo
";

/// Where the remote has another history.
const RESETS: &str = "
    former a=1 b=1 | | a=2 b=1 | reads a=1 b=1 => a=2 b=1; behind
    former a=1 b=1 | | a=2 b=1 | reads a=3 b=1 => a=3 b=1; a
    former a=1 b=1 | | a=1 b=1 | reads a=3 b=1 => a=3 b=1; a
    former a=1 b=1 | | a=2 b=1 | reads b=1 => a=2 b=1; behind
    former a=1 b=1 | | b=1 | reads a=1 b=1 => b=1; behind
    former a=1 | | a=1 | reads a=1 c=9 => a=1 c=9
    former a=1 | | gone | reads a=1 => gone; behind
    former a=1 | | gone | reads a=2 => a=2; *
    former a=1 | | a=2 | reads gone => a=2; behind
    former a=1 | a=2 | a=2 | reads a=2 => a=2
    former a=1 | a=2 | a=3 | reads a=2 => a=3; behind
    former a=1 | | a=1 | knows a=1 => meet
    unknown | | a=1 | reads a=2 => a=2; a
    recover unknown | | a=1 | reads a=2 => a=1; a; behind
    recover unknown | | a=1 | reads a=1 c=9 => a=1 c=9
    recover former a=1 b=1 | | a=2 b=1 | reads a=3 b=1 => a=2 b=1; a; behind
    recover former a=1 b=1 | | a=2 b=1 | reads a=1 b=1 => a=2 b=1; behind
    recover gone | | a=1 | reads a=2 => a=1; a; behind
    recover a=1 | | a=1 | reads a=2 => a=2
    recover a=1 | | a=2 | reads a=3 => a=3; a
    discard unknown | | a=1 | reads a=2 => a=2; a
    discard same | | a=1 | reads a=2 => a=2
    discard same | | a=1 b=1 | reads a=1 => a=1
    discard same | | a=1 | reads gone => gone
";

const ALL_TABLES: [&str; 4] = [ANSWERS, READS, SHOWS, RESETS];

#[test]
fn what_both_sides_become() {
    for table in ALL_TABLES {
        assert_eq!(failures(table), Vec::<String>::new());
    }
}

/// Each bug planted here for the tables is seen by a line of one.
#[cfg(feature = "planted")]
#[test]
fn planted_bugs_are_found() {
    use crate::planted;
    for bug in [
        "read-back taken for the answer",
        "cleared by another taken for arrived",
        "same stamp believed",
        "late listing settles a doubt",
        "late create forgotten",
        "one value shown is all of it",
        "delete of a doubled create unseen",
        "rebuild trusts revisions",
    ] {
        planted::set_here(Some(bug));
        let found = ALL_TABLES.iter().any(|table| !failures(table).is_empty());
        planted::set_here(None);
        assert!(found, "no table sees {bug:?}");
    }
}
