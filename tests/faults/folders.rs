//! Owns: a folder of files whose process is killed at each call of the system that changes something, while both sides are edited, also at the
//! moment of that call. Must never know: how the folder remembers, but for the journal, which says whose turn it is.
//!
//! Each exchange of two names is tried; `MINGLE_FOLDER_KILLS` says how many of the other calls (8, spread over all of them; `all` tries each).

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use mingle_tests::{app::App, daemon::Daemon, tally, vdir::Vdir, wait::until};
use serde_json::{Value, json};

/// What changes a file, or tells the daemon something.
const CALLS: &[&str] = &["write", "sendto", "fsync", "rename", "renameat2", "unlink"];
/// The one by which a file and an edit of it change places.
const EXCHANGE: &str = "renameat2";
/// Before these each waits for so long (in microseconds), so that an edit falls between the look at a file and its turn.
const SLOW: (&[&str], u32) = (&["fsync", "renameat2", "unlink"], 50_000);
/// Files that somebody saves when their turn has come: one is to be written, one is to go.
const AT_ONCE: [(&str, &str); 2] = [("c0.vcf", "Late 0"), ("c1.vcf", "Late 1")];

fn text(uid: &str, name: &str) -> String {
    format!("BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{uid}\r\nFN:{name}\r\nEND:VCARD\r\n")
}

/// A folder and its collection, both edited since they met.
struct Scene<'a> {
    daemon: &'a Daemon,
    app: App,
    vdir: Vdir,
    of: String,
    /// The files as they were when the scene began.
    then: BTreeMap<String, String>,
}

impl<'a> Scene<'a> {
    fn new(daemon: &'a Daemon, number: usize) -> Self {
        let of = format!("k{number}");
        let mut app = daemon.app(&format!("writer{number}"));
        let card = |n: u32| json!({ "@type": "Card", "version": "1.0", "uid": format!("u{n}"), "name": { "full": format!("Card {n}") } });
        (0..4).for_each(|n| drop(app.put(&of, &format!("c{n}"), &card(n))));
        let vdir = Vdir::new(daemon, &of, &of);
        vdir.once(daemon, 0, &[]);
        let then = vdir.texts();
        app.patch(&of, "c0", &json!({ "titles": { "k1": { "kind": "title", "name": "Title 0" } } }));
        app.delete(&of, "c1");
        app.put(&of, "c5", &card(5));
        let scene = Self { daemon, app, vdir, of, then };
        scene.edit("c2.vcf", "Early 2");
        scene.vdir.write("n1.vcf", &text("n1", "New 1"));
        scene.vdir.remove("c3.vcf");
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.vdir.dir().join(name)
    }

    /// Somebody adds a line to a file as it is, or as it was where it is gone, and saves it under another name first.
    fn edit(&self, name: &str, nickname: &str) {
        let text = fs::read_to_string(self.path(name)).unwrap_or_else(|_| self.then[name].clone());
        let edited = text.replace("END:VCARD", &format!("NICKNAME:{nickname}\r\nEND:VCARD"));
        fs::write(self.path(".saved"), edited).expect("written");
        fs::rename(self.path(".saved"), self.path(name)).expect("saved");
    }

    /// One meeting that is killed at the n-th of these calls (none: it is not), while these files are saved at their turn, or at its end.
    /// Whether it was killed, how many edits were made while it ran, and how often each call was made.
    fn killed(&self, at: Option<(&str, usize)>, edits: &[(&'static str, &str)]) -> (bool, usize, BTreeMap<String, usize>) {
        let (all, log) = (CALLS.join(","), self.path("calls").with_extension(&self.of));
        let slow: Vec<&str> = SLOW.0.iter().copied().filter(|call| at.is_none_or(|(killed, _)| killed != *call)).collect();
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o"]).arg(&log).args(["-e", &format!("trace={all}"), "-e", "signal=none"]);
        strace.args(["-e", &format!("inject={}:delay_enter={}", slow.join(","), SLOW.1)]);
        if let Some((call, n)) = at {
            strace.args(["-e", &format!("inject={call}:signal=KILL:when={n}")]);
        }
        let mingle = self.daemon.command(&["vdir", &self.of, &self.vdir.dir().display().to_string(), "--once"]);
        strace.arg(mingle.get_program()).args(mingle.get_args());
        strace.env_clear().envs(self.daemon.environment()).current_dir(self.daemon.dir());
        strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = strace.spawn().expect("strace");
        let mut edited = BTreeSet::new();
        let status = until("the meeting to end", || {
            let turn = fs::read_to_string(self.path(".mingle.journal")).unwrap_or_default();
            for (name, nickname) in edits {
                if turn.contains(&format!("{{\"file\":\"{name}\"")) && edited.insert(*name) {
                    self.edit(name, nickname);
                }
            }
            child.try_wait().expect("its end")
        });
        let while_it_ran = edited.len();
        for (name, nickname) in edits {
            if edited.insert(*name) {
                self.edit(name, nickname);
            }
        }
        let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
        for line in fs::read_to_string(&log).unwrap_or_default().lines() {
            let mut words = line.split_whitespace();
            if let (Some(pid), Some((call, _))) = (words.next(), words.next().and_then(|word| word.split_once('('))) {
                *counts.entry((call.to_owned(), pid.to_owned())).or_default() += 1;
            }
        }
        fs::remove_file(log).expect("removed");
        let mut most = BTreeMap::new();
        for ((call, _), count) in counts {
            let of: &mut usize = most.entry(call).or_default();
            *of = count.max(*of);
        }
        (status.signal() == Some(9), while_it_ran, most)
    }

    /// Meets until nothing is left to be said, and what is wrong then: every edit is in the folder, in the store or in a file that was told
    /// of, and nothing is there twice.
    fn wrong(mut self) -> Vec<String> {
        let mut said = String::new();
        for _ in 0..4 {
            let output = self.daemon.mingle(&["vdir", &self.of, &self.vdir.dir().display().to_string(), "--once"]);
            said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            if said.is_empty() {
                break;
            }
        }
        let mut wrong = Vec::new();
        let mut check = |good: bool, what: &str| wrong.extend((!good).then(|| what.to_owned()));
        let names =
            fs::read_dir(self.vdir.dir()).expect("the folder").flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let names: Vec<String> = names.collect();
        let kept: Vec<&String> = names.iter().filter(|name| name.ends_with(".kept")).collect();
        check(kept.iter().all(|name| said.contains(*name)), "an edit that is kept is not told");
        check(said.is_empty() || !kept.is_empty(), "there is no end to it");
        check(!names.iter().any(|name| name == ".mingle.out"), "something is left between two names");
        let (records, texts) = (self.app.all(&self.of), self.vdir.texts());
        check(records.len() == texts.len(), "files and records are not as many");
        for record in records.values() {
            let line = format!("UID:{}\r\n", record["uid"].as_str().unwrap_or_default());
            check(texts.values().filter(|text| text.contains(&line)).count() == 1, &format!("{line:?} is not in one file"));
        }
        let conflicts = self.app.must("conflict.list", json!({ "all": true }))["conflicts"].take();
        let ours = |one: &&Value| one["collection"] == self.of;
        let clashes: String = conflicts.as_array().into_iter().flatten().filter(ours).map(Value::to_string).collect();
        let store: String = records.values().map(Value::to_string).collect();
        let files: String = texts.values().cloned().collect();
        let aside: String = kept.iter().map(|name| fs::read_to_string(self.path(name)).unwrap_or_default()).collect();
        for edit in ["Title 0", "Late 0", "Late 1", "Early 2", "New 1", "Card 5"] {
            check([&store, &clashes, &aside].iter().any(|all| all.contains(edit)), &format!("{edit} is lost"));
            check(store.contains(edit) == files.contains(edit), &format!("{edit} is on one side only"));
        }
        check(!store.contains("Card 3"), "what was deleted is back");
        if !wrong.is_empty() {
            wrong.push(format!("said: {said}; files: {names:?}; store: {store}; files: {files}; clashes: {clashes}"));
        }
        wrong
    }
}

#[test]
fn a_folder_killed_at_any_call_loses_no_edit_and_doubles_nothing() {
    if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
        return tally::skip("a folder killed at each call", "strace is not on this machine: `apt-get install strace`");
    }
    // Of each collection its own folder.
    let config: String = (0..1_000).map(|n| format!("[collection.k{n}]\nnested = true\nidentity = [\"uid\"]\n")).collect();
    let daemon = Daemon::with(&config);
    let whole = Scene::new(&daemon, 0);
    let (killed, mut while_it_ran, counts) = whole.killed(None, &AT_ONCE);
    assert!(!killed);
    assert_eq!(whole.wrong(), Vec::<String>::new(), "without a kill");
    let points = counts.iter().flat_map(|(call, count)| (1..=*count).map(move |n| (call.as_str(), n)));
    let (mut tried, others): (Vec<_>, Vec<_>) = points.partition(|(call, _)| *call == EXCHANGE);
    assert!(!tried.is_empty(), "{counts:?}");
    let asked = std::env::var("MINGLE_FOLDER_KILLS").unwrap_or_else(|_| "8".into());
    let more = asked.parse().unwrap_or(others.len()).min(others.len());
    tried.extend((0..more).map(|n| others[n * others.len() / more]));
    let (mut kills, mut failed) = (0, Vec::new());
    for (number, at) in tried.iter().copied().enumerate() {
        let scene = Scene::new(&daemon, number + 1);
        let (killed, edits, _) = scene.killed(Some(at), &AT_ONCE);
        if at.0 == EXCHANGE {
            // And once more where what that left is settled.
            scene.killed(Some((EXCHANGE, 1)), &[]);
        }
        // It goes another way each time, a little: a call may not come.
        kills += usize::from(killed);
        while_it_ran += edits;
        let wrong = scene.wrong();
        failed.extend(wrong.into_iter().map(|wrong| format!("{at:?}: {wrong}")));
    }
    eprintln!("folder killed: {kills} times in {} of {counts:?}, {while_it_ran} edits while it ran", tried.len());
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(kills > tried.len() / 2 && while_it_ran > 2, "{kills} kills, {while_it_ran} edits while it ran");
}
