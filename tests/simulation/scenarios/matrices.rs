//! Owns: the tables of what two sides do to a record, or to a parent and its child, between two syncs, and what comes of it. Must never
//! know: how two edits meet.
//!
//! A row is what the app does here, what a colleague does there, and under each rule an outcome: the record in the truth, the record at
//! the service, what clashed (`.`: nothing, `!a`: property `a`, decided, `?a`: open, `!*`: a delete with an edit), how many writes went
//! out. `-` is no record. Each cell is played at services of several kinds and in several orders; where that tells, it has each outcome, with
//! an `or` between them.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use mingle_core::{
    policy::{Merge, OnDelete},
    record::{Props, Value},
    reference::WhenGone,
};

use super::{
    able, careless,
    families::with_family,
    named, plain,
    script::{Script, play, told},
    with,
};
use crate::{fake::lock, family::PARENT, setup::Setup, words::KEY};

named!(
    s20_what_either_side_edits_under_each_rule,
    s41_what_either_side_deletes_under_each_rule,
    s46_what_either_side_does_to_a_parent_and_its_child,
);

/// A table: its columns, and by what is done here and there its cells.
struct Table {
    columns: Vec<String>,
    rows: Vec<(String, String, Vec<String>)>,
}

fn table(text: &str) -> Table {
    let mut lines = text.lines().map(|line| line.split('|').map(words).collect::<Vec<_>>()).filter(|cells| cells.len() > 1);
    let columns = lines.next().expect("a head").split_off(2);
    let row = |mut cells: Vec<String>| {
        let outcomes = cells.split_off(2);
        assert_eq!(outcomes.len(), columns.len(), "{cells:?}");
        (cells.remove(0), cells.remove(0), outcomes)
    };
    let rows = lines.map(row).collect();
    Table { columns, rows }
}

/// A cell, with single spaces.
fn words(cell: &str) -> String {
    cell.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whatever may be done here, with whatever may be done there.
fn square<'a>(does: &'a [&'a str]) -> impl Iterator<Item = (&'a str, &'a str)> {
    does.iter().flat_map(move |here| does.iter().map(move |there| (*here, *there)))
}

/// Plays each cell and compares all of them: `setup` is for a column, `plays` says what came of what is done here and there.
#[track_caller]
fn check(
    text: &str,
    kinds: &[Setup],
    wanted: &BTreeSet<(&str, &str)>,
    setup: impl Fn(Setup, &str) -> Setup,
    plays: impl Fn(&mut Script, &str, &str) -> String,
) {
    let table = table(text);
    let pairs: BTreeSet<(&str, &str)> = table.rows.iter().map(|(here, there, _)| (here.as_str(), there.as_str())).collect();
    assert_eq!((&pairs, table.rows.len()), (wanted, wanted.len()), "each pair has its row, once");
    let mut wrong = Vec::new();
    for (here, there, outcomes) in &table.rows {
        for (column, expect) in table.columns.iter().zip(outcomes) {
            // Outcomes, each with a trace that led to it.
            let found = RefCell::new(BTreeMap::new());
            for kind in kinds {
                play(&setup(kind.clone(), column), |script| {
                    let outcome = plays(script, here, there);
                    found.borrow_mut().entry(outcome).or_insert_with(|| script.world.trace.text());
                });
            }
            let found = found.into_inner();
            if !expect.split(" or ").eq(found.keys()) {
                let traces: Vec<String> = found.into_iter().map(|(outcome, trace)| format!("  {outcome}, by\n{trace}")).collect();
                wrong.push(format!("{here} | {there} | {column}: {expect}, and came out as\n{}", traces.join("\n")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

impl Script {
    /// Runs until nothing is to be done any more, and says how many writes went out.
    #[track_caller]
    fn settles(&mut self) -> u64 {
        let before = self.writes();
        self.syncs();
        self.syncs();
        let sent = self.writes() - before;
        self.sends(0, Script::syncs);
        sent
    }

    /// What clashed, oldest first.
    fn clashes(&self) -> String {
        let sql = "SELECT CASE open WHEN 1 THEN '?' ELSE '!' END || coalesce(property, '*') FROM m_conflict ORDER BY conflict";
        let found = self.column(sql);
        if found.is_empty() { ".".into() } else { found.join(",") }
    }
}

/// Values in the order of their names; `-`: no record.
fn values(props: Option<&Props>) -> String {
    let text = told(props);
    if text == "gone" { "-".into() } else { text.split_whitespace().filter_map(|pair| Some(pair.split_once('=')?.1)).collect() }
}

/// The record `k1`, done to from both sides.
fn record(script: &mut Script, here: &str, there: &str) -> String {
    if ![here, there].contains(&"makes") && here != "has none" {
        script.colleague_makes("k1", "a=a1 b=b1");
        script.syncs();
        script.passes(2_000);
    }
    match here {
        "edits a" => drop(script.app_sets("k1", "a=a2")),
        "edits b" => drop(script.app_sets("k1", "b=b2")),
        "deletes" => script.app_deletes("k1"),
        "makes" => drop(script.app_makes("k1", "a=a2")),
        _ => {}
    }
    match there {
        "edits a" => script.colleague_sets("k1", "a=a3"),
        "edits b" => script.colleague_sets("k1", "b=b3"),
        "deletes" => script.colleague_deletes("k1"),
        "makes" => drop(script.colleague_makes("k1", "a=a3")),
        _ => {}
    }
    let sent = script.settles();
    let truth = values(script.of_truth("k1").as_ref().map(|(_, _, props)| props));
    let service = values(script.of_service(0, "k1").as_ref().map(|(_, props)| props));
    let outcome = format!("{truth} {service} {} {sent}", script.clashes());
    // Of one record that two people made the oracle knows nothing.
    if (here, there) == ("makes", "makes") {
        script.comes_to_rest();
    } else {
        script.heals();
    }
    outcome
}

const EDITS: &str = "
    here     | there    | truth             | remote            | manual
    nothing  | nothing  | a1b1 a1b1 .  0    | a1b1 a1b1 .  0    | a1b1 a1b1 .  0
    nothing  | edits a  | a3b1 a3b1 .  0    | a3b1 a3b1 .  0    | a3b1 a3b1 .  0
    nothing  | edits b  | a1b3 a1b3 .  0    | a1b3 a1b3 .  0    | a1b3 a1b3 .  0
    edits a  | nothing  | a2b1 a2b1 .  1    | a2b1 a2b1 .  1    | a2b1 a2b1 .  1
    edits a  | edits a  | a2b1 a2b1 !a 1    | a3b1 a3b1 !a 0    | a2b1 a3b1 ?a 0
    edits a  | edits b  | a2b3 a2b3 .  1    | a2b3 a2b3 .  1    | a2b3 a2b3 .  1
    edits b  | nothing  | a1b2 a1b2 .  1    | a1b2 a1b2 .  1    | a1b2 a1b2 .  1
    edits b  | edits a  | a3b2 a3b2 .  1    | a3b2 a3b2 .  1    | a3b2 a3b2 .  1
    edits b  | edits b  | a1b2 a1b2 !b 1    | a1b3 a1b3 !b 0    | a1b2 a1b3 ?b 0
    has none | has none | -    -    .  0    | -    -    .  0    | -    -    .  0
    has none | makes    | a3   a3   .  0    | a3   a3   .  0    | a3   a3   .  0
    makes    | has none | a2   a2   .  1    | a2   a2   .  1    | a2   a2   .  1
    makes    | makes    | a2   a2   !a 1    | a3   a3   !a 0    | a2   a3   ?a 0
";

#[test]
fn s20_what_either_side_edits_under_each_rule() {
    let wanted = square(&["nothing", "edits a", "edits b"]).chain(square(&["has none", "makes"])).collect();
    let under = |setup, rule: &str| {
        with(setup, |setup: &mut Setup| {
            setup.policy.default = match rule {
                "truth" => Merge::Truth,
                "remote" => Merge::Remote,
                "manual" => Merge::Manual,
                _ => panic!("no rule {rule}"),
            };
            setup.policy.identity = vec![vec![KEY.into()]];
        })
    };
    check(EDITS, &[able(), plain(), careless()], &wanted, under, record);
}

const DELETES: &str = "
    here     | there    | keep_edit         | keep_delete
    nothing  | deletes  | -    -    .  0    | -    -    .  0
    edits a  | deletes  | a2b1 a2b1 !* 1    | -    -    !* 0
    deletes  | nothing  | -    -    .  1    | -    -    .  1
    deletes  | edits a  | a3b1 a3b1 !* 0    | -    -    !* 1
    deletes  | deletes  | -    -    .  0    | -    -    .  0
";

#[test]
fn s41_what_either_side_deletes_under_each_rule() {
    let wanted =
        square(&["nothing", "edits a", "deletes"]).filter(|(here, there)| [*here, *there].contains(&"deletes")).collect();
    // The rule of edits has no say in it.
    for default in [Merge::Truth, Merge::Remote, Merge::Manual] {
        let under = |setup, rule: &str| {
            with(setup, |setup: &mut Setup| {
                setup.policy.default = default;
                setup.policy.delete = match rule {
                    "keep_edit" => OnDelete::KeepEdit,
                    "keep_delete" => OnDelete::KeepDelete,
                    _ => panic!("no rule {rule}"),
                };
            })
        };
        check(DELETES, &[able(), plain(), careless()], &wanted, under, record);
    }
}

/// The parent `k1` and its child `k2`, done to from both sides.
fn family(script: &mut Script, here: &str, there: &str) -> String {
    script.app_makes("k1", "a=p1");
    script.app_makes("k2", "a=c1");
    script.app_refers("k2", "k1");
    script.syncs();
    script.passes(2_000);
    let of = |whose: &str, what: &str| what.split_once(' ').is_some_and(|(_, of)| of == whose || of == "both");
    // Children go first: a parent that goes may take them along.
    for (key, whose, value) in [("k2", "child", "c"), ("k1", "parent", "p")] {
        match here.split_once(' ') {
            Some(("edits", _)) if of(whose, here) => drop(script.app_sets(key, &format!("a={value}2"))),
            Some(("deletes", _)) if of(whose, here) => script.app_deletes(key),
            _ => {}
        }
        match there.split_once(' ') {
            Some(("edits", _)) if of(whose, there) => script.colleague_sets(key, &format!("a={value}3")),
            Some(("deletes", _)) if of(whose, there) => script.colleague_deletes(key),
            _ => {}
        }
    }
    let sent = script.settles();
    let (truth, service) = (both_here(script), both_there(script));
    let clashes = script.clashes();
    script.comes_to_rest();
    if truth == service { format!("{truth} {clashes} {sent}") } else { format!("{truth} / {service} {clashes} {sent}") }
}

/// Parent and child in the truth.
fn both_here(script: &Script) -> String {
    let lives = |id: &str| script.world.truth().iter().any(|(one, ..)| one == id);
    both(["k1", "k2"].map(|key| script.of_truth(key).map(|(_, _, props)| props)), lives)
}

/// Parent and child at the service.
fn both_there(script: &Script) -> String {
    let lives = |id: &str| lock(&script.world.services[0]).props(id).is_some();
    both(["k1", "k2"].map(|key| script.of_service(0, key).map(|(_, props)| props)), lives)
}

/// The values of each; of a child, then `>` where it names its parent, `?` where it names what is not there.
fn both(pair: [Option<Props>; 2], lives: impl Fn(&str) -> bool) -> String {
    let [parent, child] = pair.map(|props| {
        let mut props = props?;
        let named = match props.remove(PARENT) {
            Some(Value::Text(id)) if lives(&id) => ">",
            Some(Value::Null) | None => "",
            Some(_) => "?",
        };
        Some(values(Some(&props)) + named)
    });
    let shown = |one: Option<String>| one.unwrap_or_else(|| values(None));
    format!("{} {}", shown(parent), shown(child))
}

/// The remote's edits stand, and an edit outlives a delete. A parent that is deleted there takes its child along, but
/// not one that was edited here. Where both were deleted here and edited there, it counts who comes back first: a child whose parent is not there
/// comes without it. A parent that is made anew has another id where services make them, and its child is told that.
const FAMILY: &str = "
    here           | there          | nullify                                | cascade
    nothing        | nothing        | p1 c1> . 0                             | p1 c1> . 0
    nothing        | edits parent   | p3 c1> . 0                             | p3 c1> . 0
    nothing        | edits child    | p1 c3> . 0                             | p1 c3> . 0
    nothing        | edits both     | p3 c3> . 0                             | p3 c3> . 0
    nothing        | deletes parent | - c1 . 1                               | - - . 1
    nothing        | deletes child  | p1 - . 0                               | p1 - . 0
    nothing        | deletes both   | - - . 0                                | - - . 0
    edits parent   | nothing        | p2 c1> . 1                             | p2 c1> . 1
    edits parent   | edits parent   | p3 c1> !a 0                            | p3 c1> !a 0
    edits parent   | edits child    | p2 c3> . 1                             | p2 c3> . 1
    edits parent   | edits both     | p3 c3> !a 0                            | p3 c3> !a 0
    edits parent   | deletes parent | p2 c1> !* 1 or p2 c1> !* 2             | p2 c1> !* 1 or p2 c1> !* 2
    edits parent   | deletes child  | p2 - . 1                               | p2 - . 1
    edits parent   | deletes both   | p2 - !* 1                              | p2 - !* 1
    edits child    | nothing        | p1 c2> . 1                             | p1 c2> . 1
    edits child    | edits parent   | p3 c2> . 1                             | p3 c2> . 1
    edits child    | edits child    | p1 c3> !a 0                            | p1 c3> !a 0
    edits child    | edits both     | p3 c3> !a 0                            | p3 c3> !a 0
    edits child    | deletes parent | - c2 . 1                               | - c2 !* 1
    edits child    | deletes child  | p1 c2> !* 1                            | p1 c2> !* 1
    edits child    | deletes both   | - c2 !* 1                              | - c2 !*,!* 1
    edits both     | nothing        | p2 c2> . 2                             | p2 c2> . 2
    edits both     | edits parent   | p3 c2> !a 1                            | p3 c2> !a 1
    edits both     | edits child    | p2 c3> !a 1                            | p2 c3> !a 1
    edits both     | edits both     | p3 c3> !a,!a 0                         | p3 c3> !a,!a 0
    edits both     | deletes parent | p2 c2> !* 2 or p2 c2> !* 3             | p2 c2> !* 2 or p2 c2> !* 3
    edits both     | deletes child  | p2 c2> !* 2                            | p2 c2> !* 2
    edits both     | deletes both   | p2 c2> !*,!* 2                         | p2 c2> !*,!* 2
    deletes parent | nothing        | - c1 . 2                               | - - . 2
    deletes parent | edits parent   | p3 c1 !* 1                             | p3 - !* 1
    deletes parent | edits child    | - c3 . 2                               | - c3 !* 2
    deletes parent | edits both     | p3 c3 !* 1                             | p3 c3 !*,!* 1 or p3 c3> !*,!* 0
    deletes parent | deletes parent | - c1 . 1                               | - - . 1
    deletes parent | deletes child  | - - . 1                                | - - . 1
    deletes parent | deletes both   | - - . 0                                | - - . 0
    deletes child  | nothing        | p1 - . 1                               | p1 - . 1
    deletes child  | edits parent   | p3 - . 1                               | p3 - . 1
    deletes child  | edits child    | p1 c3> !* 0                            | p1 c3> !* 0
    deletes child  | edits both     | p3 c3> !* 0                            | p3 c3> !* 0
    deletes child  | deletes parent | - - . 1                                | - - . 1
    deletes child  | deletes child  | p1 - . 0                               | p1 - . 0
    deletes child  | deletes both   | - - . 0                                | - - . 0
    deletes both   | nothing        | - - . 2                                | - - . 2
    deletes both   | edits parent   | p3 - !* 1                              | p3 - !* 1
    deletes both   | edits child    | - c3 !* 2                              | - c3 !* 2
    deletes both   | edits both     | p3 c3 !*,!* 1 or p3 c3> !*,!* 0        | p3 c3 !*,!* 1 or p3 c3> !*,!* 0
    deletes both   | deletes parent | - - . 1                                | - - . 1
    deletes both   | deletes child  | - - . 1                                | - - . 1
    deletes both   | deletes both   | - - . 0                                | - - . 0
";

#[test]
fn s46_what_either_side_does_to_a_parent_and_its_child() {
    let does = ["nothing", "edits parent", "edits child", "edits both", "deletes parent", "deletes child", "deletes both"];
    let under = |setup, rule: &str| {
        with_family(
            setup,
            match rule {
                "nullify" => WhenGone::Nullify,
                "cascade" => WhenGone::Cascade,
                _ => panic!("no rule {rule}"),
            },
        )
    };
    check(FAMILY, &[able(), plain()], &square(&does).collect(), under, family);
}
