//! Owns: the k-th disk error (T6): every call of the store's files fails once, or from then on, at a start, under an app that writes, and
//! at the end; in every way a disk has. Must never know: what the store does about it.
//!
//! `MINGLE_DISK_ERRORS` says how many of all cases are tried (80 in a plain test run), `MINGLE_SEED` which. Whatever the seed, each call
//! fails in each way, once and from then on, and where there are cases enough also in each time, and then every single call once and from
//! it on (2,500 are enough); a sample without that fails.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use mingle_tests::{
    chance::Chance,
    daemon::{Daemon, Home},
    tally,
    wait::{Watch, pass},
};
use serde_json::{Value, json};

use super::{
    play::{CONFIG, LATE, Play, Told},
    shim::{self, Action, Op, Shim},
};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;
const EDQUOT: i32 = 122;

const OPS: &[Op] = &[Op::Pwrite, Op::Fsync, Op::Ftruncate, Op::Open, Op::Mmap, Op::Unlink, Op::Pread];

/// Commits under which a disk fails.
const COMMITS: usize = 12;

/// So long a store may take to be written again once its disk is good.
const RESUMES: Duration = Duration::from_secs(20);

/// When it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum When {
    /// A new store is made.
    First,
    /// A store is opened whose daemon was killed.
    Again,
    /// An app writes.
    Running,
    /// Apps read what nobody has in memory.
    Reading,
    /// The daemon ends.
    Ending,
}

/// How it fails.
#[derive(Clone, Copy, Debug)]
struct Case {
    when: When,
    op: Op,
    at: u64,
    sticky: bool,
    action: Action,
}

fn home() -> (Home, Shim) {
    let mut home = shim::home(CONFIG);
    let root = home.store().parent().expect("a folder").to_path_buf();
    let shim = Shim::on(&mut home, &root);
    (home, shim)
}

/// A daemon with a store of eight commits.
fn begun() -> (Daemon, Shim, Play) {
    let (home, shim) = home();
    let daemon = home.start();
    let mut play = Play::default();
    play.go_on(&mut daemon.app("player"), 8).expect("a good disk");
    assert_eq!(play.count(&Told::Acknowledged), 8, "{:?}", play.told);
    (daemon, shim, play)
}

/// What two cases have in common that differ by the number of the call alone, and in when.
type Kind = (Op, String, bool);

/// One call and whether only it fails or all from it on: what two cases have in common that differ by the way of failing alone.
type Call = (When, Op, u64, bool);

/// So that the first ones are one of each kind, then one of each kind in each time, then each call once and from it on, each by chance; then
/// the rest.
fn in_order(mut cases: Vec<Case>, chance: &mut Chance) -> Vec<Case> {
    for at in (1..cases.len()).rev() {
        cases.swap(at, usize::try_from(chance.below(at as u64 + 1)).expect("an index"));
    }
    let (mut kinds, mut timed, mut calls) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut layers: [Vec<Case>; 4] = Default::default();
    let mut others = Vec::new();
    for case in cases {
        let layer = if kinds.insert(case.kind()) {
            timed.insert((case.when, case.kind()));
            0
        } else if timed.insert((case.when, case.kind())) {
            1
        } else {
            others.push(case);
            continue;
        };
        calls.insert(case.call());
        layers[layer].push(case);
    }
    for case in others {
        let layer = if calls.insert(case.call()) { 2 } else { 3 };
        layers[layer].push(case);
    }
    layers.concat()
}

/// How much of it was tried, by call: in words; and what was not, though it had to be.
fn covered(all: &[Case], tried: &[(Case, bool)]) -> (String, Vec<String>) {
    let (mut told, mut missing) = (Vec::new(), Vec::new());
    for op in OPS {
        let of = |sticky: bool| {
            let tried = tried.iter().filter(|(case, _)| case.op == *op && case.sticky == sticky);
            let met = tried.clone().filter(|(_, met)| *met).count();
            (tried.count(), met, all.iter().filter(|case| case.op == *op && case.sticky == sticky).count())
        };
        let shares = [("once", of(false)), ("for good", of(true))].map(|(how, (tried, met, all))| {
            if met == 0 {
                missing.push(format!("{op:?} never failed {how}: {all} cases, {tried} tried"));
            }
            format!("{met} of {tried} tried of {all} {how}")
        });
        told.push(format!("  {op:?}: {}", shares.join(", ")));
    }
    let kinds = |cases: &mut dyn Iterator<Item = &Case>| cases.map(Case::kind).collect::<BTreeSet<Kind>>();
    let wanted = kinds(&mut all.iter());
    let had = kinds(&mut tried.iter().map(|(case, _)| case));
    missing.extend(wanted.difference(&had).map(|kind| format!("{kind:?} was not tried: {} cases are too few", tried.len())));
    let timed = |cases: &mut dyn Iterator<Item = &Case>| cases.map(|case| (case.when, case.kind())).collect::<BTreeSet<_>>();
    let (wanted, had) = (timed(&mut all.iter()), timed(&mut tried.iter().map(|(case, _)| case)));
    let timed_kinds = wanted.len();
    if tried.len() >= timed_kinds {
        missing.extend(wanted.difference(&had).map(|kind| format!("{kind:?} was not tried")));
    }
    told.push(format!("  {} of {} kinds of failure by time", had.len(), wanted.len()));
    let calls = |cases: &mut dyn Iterator<Item = &Case>| cases.map(Case::call).collect::<BTreeSet<Call>>();
    let (wanted, had) = (calls(&mut all.iter()), calls(&mut tried.iter().map(|(case, _)| case)));
    // All three layers fit, so none of it may be left out.
    if tried.len() >= wanted.len() + timed_kinds {
        missing.extend(wanted.difference(&had).map(|call| format!("{call:?} was not tried")));
    }
    told.push(format!("  {} of {} calls, once and for good", had.len(), wanted.len()));
    (told.join("\n"), missing)
}

/// How often each call is made in each time: every case there is.
fn cases() -> Vec<Case> {
    let mut counts = Vec::new();
    let note = |counts: &mut Vec<_>, when: When, shim: &Shim, before: &[u64]| {
        counts.extend(OPS.iter().zip(before).map(|(op, before)| (when, *op, shim.calls(*op) - before)));
    };
    let calls = |shim: &Shim| OPS.iter().map(|op| shim.calls(*op)).collect::<Vec<_>>();
    let (home, shim) = home();
    let mut daemon = home.start();
    note(&mut counts, When::First, &shim, &calls(&shim).iter().map(|_| 0).collect::<Vec<_>>());
    let (before, mut play) = (calls(&shim), Play::default());
    play.go_on(&mut daemon.app("player"), COMMITS).expect("a good disk");
    note(&mut counts, When::Running, &shim, &before);
    let before = calls(&shim);
    daemon.kill();
    daemon.start();
    note(&mut counts, When::Again, &shim, &before);
    let before = calls(&shim);
    daemon.terminate();
    note(&mut counts, When::Ending, &shim, &before);
    daemon.start();
    let before = calls(&shim);
    (0..3).for_each(|_| drop(play.read(&mut daemon.app("reader"))));
    note(&mut counts, When::Reading, &shim, &before);
    eprintln!("disk errors: calls {counts:?}");
    let mut cases = Vec::new();
    for (when, op, count) in counts {
        let mut actions = [EIO, ENOSPC, EDQUOT, EROFS].map(Action::Fail).to_vec();
        if op == Op::Pwrite {
            actions.push(Action::Short);
        }
        for at in 1..=count {
            for action in &actions {
                cases.extend([false, true].map(|sticky| Case { when, op, at, sticky, action: *action }));
            }
        }
    }
    cases
}

impl Case {
    fn kind(&self) -> Kind {
        (self.op, format!("{:?}", self.action), self.sticky)
    }

    fn call(&self) -> Call {
        (self.when, self.op, self.at, self.sticky)
    }

    fn arm(&self, shim: &Shim) {
        // A file that the daemon writes to see how the disk is shares its fate.
        let ops: &[Op] = if self.op == Op::Pwrite { &[Op::Pwrite, Op::Write] } else { &[self.op] };
        shim.arm(ops, self.at, self.sticky, self.action);
    }

    /// Whether reading can go on as if nothing were.
    fn spares_reads(&self) -> bool {
        matches!(self.op, Op::Pwrite | Op::Fsync | Op::Ftruncate | Op::Unlink)
    }

    /// What went wrong. `met`: the call was made, and failed.
    fn tried(&self, met: &mut bool) -> Vec<String> {
        match self.when {
            When::First | When::Again => self.starting(met),
            When::Running => self.running(met),
            When::Reading => self.reading(met),
            When::Ending => self.ending(met),
        }
    }

    fn starting(&self, met: &mut bool) -> Vec<String> {
        let (mut daemon, shim, play) = if self.when == When::First {
            let (home, shim) = home();
            (home.idle(), shim, Play::default())
        } else {
            let (mut daemon, shim, play) = begun();
            daemon.kill();
            (daemon, shim, play)
        };
        self.arm(&shim);
        daemon.launch();
        let mut wrong = Vec::new();
        match daemon.answers_or_ends() {
            None => {}
            Some(status) if matches!(status.code(), Some(1 | 78)) && daemon.said().contains("mingled: ") => {}
            Some(status) if matches!(status.code(), Some(1 | 78)) => {
                wrong.push("it does not say why it does not start".to_owned());
            }
            Some(status) => wrong.push(format!("it ended with {status} at its start")),
        }
        *met = shim.hits() > 0;
        shim.heal();
        if !daemon.runs() {
            daemon.start();
        }
        wrong.extend(self.resumes(&mut daemon, play));
        wrong
    }

    fn running(&self, met_at_all: &mut bool) -> Vec<String> {
        let (mut daemon, shim, mut play) = begun();
        let mut app = daemon.app("player");
        self.arm(&shim);
        let pid = daemon.pid();
        let mut wrong = Vec::new();
        if let Err(error) = play.go_on(&mut app, 8 + COMMITS) {
            return vec![format!("the connection ended: {error}")];
        }
        let met = shim.hits() > 0;
        *met_at_all = met;
        for (number, told) in play.told.iter().enumerate() {
            let fits = match told {
                Told::Refused(name) => match name.as_str() {
                    "disk_full" | "read_only" => met,
                    "not_found" => number % 4 == 3 && play.told[number - 1] != Told::Acknowledged,
                    _ => false,
                },
                Told::Acknowledged => true,
                Told::Unknown => met,
            };
            if !fits {
                wrong.push(format!("write {number} was told {told:?}"));
            }
        }
        if play.slowest > LATE {
            wrong.push(format!("an answer took {:?}", play.slowest));
        }
        // Who reads is not concerned.
        match app.ask("get", &json!({ "collection": "things", "id": "w0" })) {
            Ok(Ok(_)) => {}
            Ok(Err(error)) if !self.spares_reads() && met && error["data"]["name"] == "internal" => {}
            other => wrong.push(format!("a read: {other:?}")),
        }
        if self.sticky && met && self.op == Op::Pwrite {
            wrong.extend(self.stands(&mut app, &play));
        }
        shim.heal();
        if daemon.pid() != pid {
            wrong.push("it is another process".to_owned());
        }
        wrong.extend(self.resumes(&mut daemon, play));
        wrong
    }

    /// What a disk that stays bad is called, to apps and to people.
    fn stands(&self, app: &mut mingle_tests::app::App, play: &Play) -> Vec<String> {
        let mut wrong = Vec::new();
        let (word, answer) = match self.action {
            Action::Fail(ENOSPC | EDQUOT) | Action::Short => ("disk_full", "disk_full"),
            Action::Fail(EROFS) => ("disk_read_only", "read_only"),
            _ => ("disk_failed", "read_only"),
        };
        let refused = play.told.iter().rev().find_map(|told| match told {
            Told::Refused(name) if name != "not_found" => Some(name.as_str()),
            _ => None,
        });
        // The last writes may be fewer than it takes to be sure.
        if refused.is_some_and(|name| name != answer) {
            wrong.push(format!("writes are told {refused:?}, not {answer}"));
        }
        if refused.is_some() {
            let status = app.must("status", json!({}));
            let told: Vec<&Value> = status["attention"].as_array().into_iter().flatten().map(|one| &one["name"]).collect();
            if told != [word] {
                wrong.push(format!("status tells {told:?}, not {word}"));
            }
        }
        wrong
    }

    fn reading(&self, met: &mut bool) -> Vec<String> {
        let (mut daemon, shim, play) = begun();
        daemon.terminate();
        daemon.start();
        self.arm(&shim);
        let mut wrong = Vec::new();
        for _ in 0..3 {
            let mut app = daemon.app("reader");
            match app.ask("list", &json!({ "collection": "things", "limit": 1000 })) {
                Ok(Ok(page)) => {
                    let records = page["records"].as_array().into_iter().flatten();
                    let records = records.map(|one| (one["id"].as_str().unwrap_or_default().to_owned(), one["data"].clone()));
                    wrong.extend(play.held(&records.collect()));
                }
                // Once it is asked again, and nobody hears of it.
                Ok(Err(error)) if self.sticky && error["data"]["name"] == "internal" => {}
                other => wrong.push(format!("a read: {other:?}")),
            }
        }
        *met = shim.hits() > 0;
        shim.heal();
        wrong.extend(self.resumes(&mut daemon, play));
        wrong
    }

    fn ending(&self, met: &mut bool) -> Vec<String> {
        let (mut daemon, shim, play) = begun();
        self.arm(&shim);
        let (status, took) = daemon.terminate();
        let mut wrong = Vec::new();
        if !matches!(status.code(), Some(0 | 1)) {
            wrong.push(format!("it ended with {status}"));
        }
        if took > LATE {
            wrong.push(format!("its end took {took:?}"));
        }
        *met = shim.hits() > 0;
        shim.heal();
        daemon.start();
        wrong.extend(self.resumes(&mut daemon, play));
        wrong
    }

    /// On a good disk everything goes on by itself, and nothing that was told is untrue.
    fn resumes(&self, daemon: &mut Daemon, mut play: Play) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut app = daemon.app("player");
        let watch = Watch::start();
        loop {
            let number = play.told.len();
            if let Err(error) = play.go_on(&mut app, number + 1) {
                return vec![format!("the connection ended on a good disk: {error}")];
            }
            if play.told[number] == Told::Acknowledged {
                break;
            }
            if watch.elapsed() > RESUMES {
                return vec![format!("it takes no writes {RESUMES:?} after its disk was good again: {:?}", play.told[number])];
            }
            pass(Duration::from_millis(20));
        }
        wrong.extend(play.settle(&mut app));
        wrong.extend(play.read(&mut app));
        loop {
            let status = app.must("status", json!({}));
            if status["attention"] == json!([]) {
                break;
            }
            if watch.elapsed() > RESUMES {
                wrong.push(format!("it goes on saying {}", status["attention"]));
                break;
            }
            pass(Duration::from_millis(20));
        }
        if self.at.is_multiple_of(2) {
            daemon.kill();
        } else {
            let (status, _) = daemon.terminate();
            if status.code() != Some(0) {
                wrong.push(format!("it ended with {status} on a good disk"));
            }
        }
        wrong.extend(play.look(&daemon.store()));
        let folder = daemon.store();
        let aside = std::fs::read_dir(folder.parent().expect("a folder")).expect("readable").flatten();
        let aside = aside.filter(|entry| entry.file_name().to_string_lossy().contains(".corrupt-")).count();
        if aside != 0 {
            wrong.push("a sound store was moved aside".to_owned());
        }
        if daemon.said().contains("panicked") {
            wrong.push("something panicked".to_owned());
        }
        wrong
    }
}

#[test]
fn every_call_of_the_store_may_fail_once_or_for_good() {
    let tries: usize = std::env::var("MINGLE_DISK_ERRORS").ok().and_then(|text| text.parse().ok()).unwrap_or(80);
    let seed = Chance::seed(17);
    let mut chance = Chance::new(seed);
    let all = in_order(cases(), &mut chance);
    let cases = &all[..all.len().min(tries)];
    let (next, wrong, tried) = (AtomicUsize::new(0), Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let watch = Watch::start();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, SeqCst)) {
                    let caught = std::panic::catch_unwind(|| {
                        let mut met = false;
                        let wrong = case.tried(&mut met);
                        (met, wrong)
                    });
                    let (met, case_wrong) = caught.unwrap_or_else(|panic| {
                        (false, vec![panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "a panic".to_owned())])
                    });
                    tried.lock().expect("whole").push((*case, met));
                    if !case_wrong.is_empty() {
                        eprintln!("disk errors: {case:?}: {case_wrong:#?}");
                        wrong.lock().expect("whole").push(format!("{case:?}: {}", case_wrong.join("; ")));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("whole");
    let tried = tried.into_inner().expect("whole");
    let (told, missing) = covered(&all, &tried);
    let took = watch.elapsed().as_secs_f64();
    // A call that this life did not make so often was not failed.
    let met = tried.iter().filter(|(_, met)| *met).count();
    eprintln!("disk errors: seed {seed}, {met} of {} cases met, of {} in all, in {took:.1} s\n{told}", cases.len(), all.len());
    tally::tell("disk-errors", met as u64, wrong.len() as u64);
    assert!(wrong.is_empty(), "{} of {}: {wrong:#?}", wrong.len(), cases.len());
    assert!(missing.is_empty(), "{missing:#?}");
}

/// A sample that leaves a way to fail out is seen.
#[test]
fn a_sample_that_misses_a_kind_is_found() {
    let case = |op, sticky, number| Case { when: When::Running, op, at: 1, sticky, action: Action::Fail(number) };
    let all: Vec<Case> = OPS
        .iter()
        .flat_map(|op| [false, true].map(|sticky| [EIO, ENOSPC].map(|number| case(*op, sticky, number))))
        .flatten()
        .collect();
    let whole: Vec<(Case, bool)> = all.iter().map(|case| (*case, true)).collect();
    assert_eq!(covered(&all, &whole).1, Vec::<String>::new());
    let found = covered(&all, &whole[1..]).1.join("; ");
    assert!(found.contains("(Pwrite, \"Fail(5)\", false) was not tried"), "{found}");
    let not_met: Vec<(Case, bool)> = whole.iter().map(|(case, _)| (*case, case.op != Op::Fsync || case.sticky)).collect();
    assert_eq!(covered(&all, &not_met).1, ["Fsync never failed once: 2 cases, 2 tried"]);
}
