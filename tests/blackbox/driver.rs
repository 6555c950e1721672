//! Owns: the driver of sessions, from outside: whatever is killed at whatever point, an app's copy ends with what all others have,
//! and nothing is there twice. Must never know: how the driver or the daemon does it.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    path::PathBuf,
    process::{Command, Stdio},
    rc::Rc,
    time::Duration,
};

use mingle_client::{Options, call::SessionMode, keeper::DriveError};
use mingle_tests::{
    app::App,
    daemon::{Daemon, Home},
    disk_copy::{DiskCopy, form},
    servers, tally,
};
use serde_json::{Value, json};

/// More than a run has points.
const POINTS_MAX: u64 = 100;

fn daemon() -> Daemon {
    let mut config = String::from("[collection.notes]\n");
    for n in 1..=POINTS_MAX {
        config += &format!("[collection.c{n}]\n");
    }
    Home::new(Some(&config)).start()
}

fn options(daemon: &Daemon, name: &str) -> Options {
    Options { socket: Some(daemon.socket()), reconnect_within: Some(Duration::from_secs(60)), ..Options::app(name) }
}

/// An app with its copy, and somebody who writes the truth directly.
struct Stage {
    writer: App,
    collection: String,
    file: PathBuf,
}

impl Stage {
    /// Both have five records.
    fn new(daemon: &Daemon, collection: &str) -> Self {
        let mut writer = daemon.app("writer");
        for n in 0..5 {
            let record = json!({ "n": n, "title": format!("a title of more than it keeps {n}"), "a": 1, "b": 1 });
            writer.put(collection, &format!("r{n}"), &record);
        }
        let stage = Self { writer, collection: collection.into(), file: daemon.dir().join(format!("{collection}.json")) };
        let mut copy = stage.copy();
        let report = copy.run(options(daemon, collection)).expect("in step");
        assert_eq!((report.mode, report.stored, report.sessions), (Some(SessionMode::Slow), 5, 1), "{report:?}");
        stage
    }

    fn copy(&self) -> DiskCopy {
        DiskCopy::open(&self.file, &self.collection)
    }

    /// Both sides edit, make and delete.
    fn edits(&mut self, copy: &mut DiskCopy) {
        copy.set(&copy.find("n", &json!(0)), "a", json!("copy"));
        copy.put("new", &json!({ "n": "new", "title": "by the app" }));
        copy.delete(&copy.find("n", &json!(1)));
        let one = self.collection.clone();
        self.writer.patch(&one, "r0", &json!({ "b": "writer" }));
        self.writer.patch(&one, "r2", &json!({ "title": "another one of more than it keeps" }));
        self.writer.put(&one, "w", &json!({ "n": "w" }));
        self.writer.delete(&one, "r3");
    }

    /// And once more, while some of that is on its way.
    fn more_edits(&mut self, copy: &mut DiskCopy) {
        copy.set(&copy.find("n", &json!(4)), "a", json!("copy"));
        copy.put("newer", &json!({ "n": "newer" }));
        let one = self.collection.clone();
        self.writer.patch(&one, "r4", &json!({ "b": "writer" }));
        self.writer.patch(&one, "w", &json!({ "b": "writer" }));
    }

    /// What is wrong: the truth has what both sides did, once each, and the copy has the same, in its form.
    fn wrong(&mut self, copy: &DiskCopy) -> Option<String> {
        let title = |n: u64| format!("a title of more than it keeps {n}");
        let expect = [
            json!({ "n": 0, "title": title(0), "a": "copy", "b": "writer" }),
            json!({ "n": 2, "title": "another one of more than it keeps", "a": 1, "b": 1 }),
            json!({ "n": 4, "title": title(4), "a": "copy", "b": "writer" }),
            json!({ "n": "new", "title": "by the app" }),
            json!({ "n": "newer" }),
            json!({ "n": "w", "b": "writer" }),
        ];
        let by_n = |records: Vec<Value>| {
            let mut records: Vec<(String, Value)> = records.into_iter().map(|one| (one["n"].to_string(), one)).collect();
            records.sort_by(|one, other| one.0.cmp(&other.0));
            records
        };
        let truth: BTreeMap<String, Value> = self.writer.all(&self.collection);
        let truth: Vec<Value> = truth.into_values().collect();
        let copied: Vec<Value> = copy.all().into_values().collect();
        let formed: Vec<Value> = truth.iter().map(form).collect();
        if by_n(truth.clone()) != by_n(expect.to_vec()) {
            return Some(format!("the truth is {truth:#?}"));
        }
        (by_n(copied.clone()) != by_n(formed)).then(|| format!("the copy is {copied:#?}, and the truth {truth:#?}"))
    }
}

/// Until a run has nothing left to do.
fn in_step(copy: &mut DiskCopy, options: &Options) {
    for _ in 0..4 {
        if copy.run(options.clone()).expect("in step").later == 0 {
            return;
        }
    }
    panic!("it never comes in step");
}

#[test]
fn edits_of_both_sides_end_at_both_in_one_run() {
    let daemon = daemon();
    let mut stage = Stage::new(&daemon, "notes");
    let mut copy = stage.copy();
    stage.edits(&mut copy);
    stage.more_edits(&mut copy);
    let report = copy.run(options(&daemon, "notes")).expect("in step");
    let told = (report.mode, report.sessions, report.pushed, report.changed, report.deleted, report.conflicts);
    assert_eq!(told, (Some(SessionMode::Fast), 1, 5, 5, 1, 0), "{report:?}");
    assert_eq!(stage.wrong(&copy), None);
    let again = copy.run(options(&daemon, "notes")).expect("in step");
    assert_eq!((again.pushed, again.changed, again.stored, again.later), (0, 0, 0, 0), "its form is no edit: {again:?}");
    // Without its anchor it pushes everything, and nothing comes of it.
    copy.forget_anchor();
    let slow = copy.run(options(&daemon, "notes")).expect("in step");
    assert_eq!((slow.mode, slow.pushed, slow.changed, slow.conflicts), (Some(SessionMode::Slow), 6, 0, 0), "{slow:?}");
    assert_eq!(stage.wrong(&copy), None);
}

/// The points of a run at which somebody is killed: so many as `MINGLE_SESSION_KILLS` says, spread over all that there are.
fn points(daemon: &Daemon) -> impl Iterator<Item = u64> + use<> {
    let most = std::env::var("MINGLE_SESSION_KILLS").ok().map_or(8, |most| most.parse().expect("a number"));
    let mut stage = Stage::new(daemon, "notes");
    stage.edits(&mut stage.copy());
    let mut copy = stage.copy();
    copy.run(options(daemon, "notes")).expect("in step");
    let all = copy.points();
    assert!((20..POINTS_MAX).contains(&all), "{all} points");
    (1..=all).step_by(usize::try_from(all.div_ceil(most)).expect("a step"))
}

/// The app is killed at a point of its run: its next one ends where the first would have.
#[test]
fn an_app_that_is_killed_at_any_point_goes_on() {
    let daemon = daemon();
    let (mut kills, mut wrong) = (0, Vec::new());
    for point in points(&daemon) {
        let mut stage = Stage::new(&daemon, &format!("c{point}"));
        stage.edits(&mut stage.copy());
        let mut command = Command::new(env!("CARGO_BIN_EXE_keeper-app"));
        command.arg(daemon.socket()).args([&stage.collection, &stage.collection]).arg(&stage.file).arg(point.to_string());
        command.stdin(Stdio::null());
        let status = servers::spawn(command).expect("an app").wait().expect("its end");
        assert!(!status.success(), "it did not come to point {point}");
        let mut copy = stage.copy();
        stage.more_edits(&mut copy);
        in_step(&mut copy, &options(&daemon, &stage.collection));
        wrong.extend(stage.wrong(&copy).map(|what| format!("killed at point {point}: {what}")));
        kills += 1;
    }
    tally::tell("app-crashes", kills, wrong.len() as u64);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(daemon.says(0, &["fsck"]).starts_with("good: "));
}

/// The daemon is killed at a point of an app's run: the same run goes on over the next daemon.
#[test]
fn a_daemon_that_is_killed_at_any_point_is_waited_for() {
    let daemon = daemon();
    let points = points(&daemon);
    let daemon = Rc::new(RefCell::new(daemon));
    let (mut kills, mut wrong) = (0, Vec::new());
    for point in points {
        let mut stage = Stage::new(&daemon.borrow(), &format!("c{point}"));
        let mut copy = stage.copy();
        stage.edits(&mut copy);
        let options = options(&daemon.borrow(), &stage.collection);
        let (victim, began) = (Rc::clone(&daemon), copy.points());
        copy.point = Box::new(move |at| {
            if at == began + point {
                let mut daemon = victim.borrow_mut();
                daemon.kill();
                daemon.start();
            }
        });
        copy.run(options.clone()).expect("in step");
        assert!(copy.points() >= began + point, "it did not come to point {point}");
        copy.point = Box::new(|_| {});
        stage.writer = daemon.borrow().app("writer");
        stage.more_edits(&mut copy);
        in_step(&mut copy, &options);
        wrong.extend(stage.wrong(&copy).map(|what| format!("killed at point {point}: {what}")));
        kills += 1;
    }
    tally::tell("kills", kills, wrong.len() as u64);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(daemon.borrow().says(0, &["fsck"]).starts_with("good: "));
}

#[test]
fn what_a_person_must_know_is_said_and_nothing_changes() {
    let daemon = daemon();
    let mut stage = Stage::new(&daemon, "notes");
    let mut copy = stage.copy();
    let at = options(&daemon, "notes");
    for n in 0..20 {
        copy.put(&format!("many-{n}"), &json!({ "n": n + 100 }));
    }
    copy.run(at.clone()).expect("in step");
    assert_eq!(stage.writer.all("notes").len(), 25);
    // Most of the copy went astray, and its anchor with it: that is asked for.
    copy.forget_anchor();
    let ids: Vec<String> = copy.all().into_keys().collect();
    for id in &ids[..12] {
        copy.lose(id, true);
    }
    copy.run(at.clone()).expect("it said that it lost them");
    assert_eq!((copy.all().len(), stage.writer.all("notes").len()), (25, 25), "they were shown again");
    copy.forget_anchor();
    let ids: Vec<String> = copy.all().into_keys().collect();
    ids[..12].iter().for_each(|id| copy.delete(id));
    let guarded = copy.run(at.clone()).expect_err("many deletes");
    assert!(matches!(&guarded, DriveError::Guarded(_)) && guarded.to_string().contains("12 of 25"), "{guarded}");
    assert_eq!(stage.writer.all("notes").len(), 25);
    let driver =
        mingle_client::keeper::Driver { accept_deletes: true, ..mingle_client::keeper::Driver::new(at.clone(), &["notes"]) };
    assert_eq!(driver.run(&mut copy).expect("a person said so").deleted, 12);
    assert_eq!(stage.writer.all("notes").len(), 13);
    // One record that the daemon does not take is named.
    copy.put("large", &json!({ "text": "x".repeat(2 << 20) }));
    let refused = copy.run(at.clone()).expect_err("too large");
    assert!(matches!(&refused, DriveError::Record { id, .. } if id == "large"), "{refused}");
    copy.delete("large");
    copy.run(at.clone()).expect("in step");
    // The truth takes the place of the copy, once; then only what changed comes.
    copy.put("mine", &json!({ "n": "mine" }));
    let replace = mingle_client::keeper::Driver {
        mode: Some(SessionMode::PullTruth),
        ..mingle_client::keeper::Driver::new(at.clone(), &["notes"])
    };
    let report = replace.run(&mut copy).expect("replaced");
    assert_eq!((report.mode, report.stored, report.changed), (Some(SessionMode::PullTruth), 13, 0), "{report:?}");
    assert_eq!(copy.all().len(), 13);
    assert_eq!(copy.run(at).expect("in step").mode, Some(SessionMode::Fast));
    // Another process of the app has a session: it is waited for, for as long as there is patience.
    let mut other = daemon.app("notes");
    other.must("session.begin", json!({ "collections": ["notes"] }));
    let hurried = Options { reconnect_within: Some(Duration::from_millis(200)), ..options(&daemon, "notes") };
    assert!(matches!(copy.run(hurried).expect_err("busy"), DriveError::Elsewhere(_)));
    drop(other);
    copy.run(options(&daemon, "notes")).expect("in step");
    let nowhere = Options { reconnect_within: None, ..options(&daemon, "notes") };
    drop(daemon);
    assert!(matches!(copy.run(nowhere).expect_err("no daemon"), DriveError::Connect(_)));
}
