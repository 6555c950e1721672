//! Owns: `mingle vdir`: when a folder and a collection meet, and what is said of it. Must never know: what a file says, how a meeting goes.

mod bell;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
    thread,
    time::Duration,
};

use mingle_client::{CallError, ConnectError, Name, Options, Update, blocking::Client, call::Subscribe};
use mingle_vdir::{FolderError, Guarded, MeetError, Met, Missing, Vdir as Folder};
use serde_json::json;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::{
    at::At,
    clock,
    exit::{Exit, Failure},
    words::{count, plain},
};
use bell::Bell;

/// Keep a folder of .ics and .vcf files in step with a collection, until it is interrupted.
///
/// khal, khard, todoman and others read and edit such a folder (vdir) as it is. What they change is taken property by property; what changes
/// elsewhere is written into the files line by line. A file that cannot be read is named, and left alone.
#[derive(Debug, clap::Args)]
pub struct Vdir {
    /// The collection.
    #[arg(value_name = "COLLECTION")]
    collection: String,
    /// The folder; it is made where it is not there. Where left out: $XDG_DATA_HOME/mingle/vdir/COLLECTION (~/.local/share/mingle/vdir/COLLECTION).
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// One meeting, and an end: with 5 where something is left for a person.
    #[arg(long)]
    once: bool,
    /// What it means that files are not there, where that is asked: their records were deleted, or the files were lost and are written again.
    #[arg(long, value_name = "WHAT")]
    missing: Option<What>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum What {
    Delete,
    Restore,
}

impl From<What> for Missing {
    fn from(what: What) -> Self {
        match what {
            What::Delete => Self::Delete,
            What::Restore => Self::Restore,
        }
    }
}

/// Whoever saves a file writes others beside it; when nothing came for so long, it is looked at.
const QUIET: Duration = Duration::from_millis(200);
/// Where there is no quiet, it is looked at after so many of these.
const QUIET_TIMES: u32 = 10;
/// How long the daemon may be away, or busy, before a meeting gives up.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a daemon that is away is looked for: nothing tells of its coming.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// After a meeting that failed the next one is tried after so long, then after twice as long each time, up to the last.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The name that `mingle` has where nobody gave it another.
const NOBODY: &str = "mingle";

impl Vdir {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let folder = match &self.folder {
            Some(folder) => folder.clone(),
            None => default_folder(&self.collection, &|name| std::env::var_os(name).map(PathBuf::from))?,
        };
        // One that goes away later is waited for; one that was never there is told at once, as everywhere.
        drop(Client::open(at.options())?);
        let missing = self.missing.map(Missing::from);
        let app = at.options().app.clone().filter(|app| app != NOBODY);
        let once = once(app.as_deref(), &self.collection, self.folder.as_deref());
        let mut vdir = Folder::open(&folder, &self.collection, app, missing).map_err(|error| of_meeting(error.into(), &once))?;
        let bell = Arc::new(Bell::default());
        let stop = Arc::new(AtomicBool::new(false));
        hear_signals(&bell, &stop)?;
        let mut say = Say { collection: self.collection.clone(), once, told: BTreeMap::new(), guarded: 0 };
        if self.once {
            return match vdir.meet(&patient(at), missing, now_ms(), (&stop, &clock::pause)) {
                Ok(met) => {
                    say.met(at, &met)?;
                    Ok(say.came_out(&met))
                }
                Err(MeetError::Stopped) => Ok(Exit::Done),
                Err(error) => Err(of_meeting(error, &say.once)),
            };
        }
        let _watch = vdir
            .watch({
                let bell = Arc::clone(&bell);
                move || bell.ring(|rung| rung.folder = true)
            })
            .map_err(|error| Failure::said(Exit::Failed, error.to_string(), "`--once`, again and again, needs no watching"))?;
        hear_truth(&bell, Options { app: Some(vdir.app().to_owned()), ..at.options().clone() }, self.collection.clone());
        keep_in_step(at, &mut vdir, &bell, &stop, missing, &mut say)
    }
}

/// Meets whenever something changed on either side.
fn keep_in_step(
    at: &mut At,
    vdir: &mut Folder,
    bell: &Bell,
    stop: &AtomicBool,
    mut missing: Option<Missing>,
    say: &mut Say,
) -> Result<Exit, Failure> {
    let (mut there, mut waits) = (false, false);
    // A meeting is owed, and tried again after so long; and why the last one failed, where that was told.
    let (mut owed, mut told) = (None, None);
    loop {
        let mut rung = bell.wait(owed.filter(|_| there));
        let over = rung.is_nothing();
        if rung.folder {
            rung = bell.quiet(rung, QUIET, QUIET_TIMES);
        }
        if rung.end {
            return Ok(Exit::Done);
        }
        if let Some(failure) = rung.failed {
            return Err(failure);
        }
        if let Some(is_there) = rung.there {
            there = is_there;
        }
        if let Some(why) = rung.away.filter(|_| !there && !waits) {
            waits = true;
            at.note(&format!("{}: {why}; waiting for it", say.collection));
        }
        if !there {
            continue;
        }
        if std::mem::take(&mut waits) {
            at.note(&format!("{}: mingled is there", say.collection));
        }
        let due =
            rung.truth || rung.there.is_some() || (rung.folder && vdir.differs().unwrap_or(true)) || (over && owed.is_some());
        if !due {
            continue;
        }
        match vdir.meet(&patient(at), missing, now_ms(), (stop, &clock::pause)) {
            Ok(met) => {
                (missing, owed) = (None, None);
                if told.take().is_some() {
                    at.note(&format!("{}: it goes on", say.collection));
                }
                say.met(at, &met)?;
            }
            Err(MeetError::Stopped) => return Ok(Exit::Done),
            Err(error) if passes(&error) => {
                owed = Some(owed.map_or(AGAIN.0, |pause: Duration| AGAIN.1.min(pause * 2)));
                let why = error.to_string();
                // Of a daemon that is away whoever listens for it hears too, and says when it is back.
                if !is_away(&error) && told.as_ref() != Some(&why) {
                    at.note(&format!("{}: {why}; it is tried again", say.collection));
                    told = Some(why);
                }
            }
            Err(error) => return Err(of_meeting(error, &say.once)),
        }
    }
}

/// Whether the next meeting may do better, without a person.
fn passes(error: &MeetError) -> bool {
    match error {
        MeetError::Connect(error) => error.is_absence(),
        MeetError::Call(error) => call_passes(error),
        MeetError::Folder(FolderError::Io { .. }) => true,
        MeetError::Folder(_) | MeetError::Forgotten { .. } | MeetError::Guarded { .. } | MeetError::Stopped => false,
    }
}

fn call_passes(error: &CallError) -> bool {
    match error {
        CallError::Lost { .. } | CallError::Late { .. } => true,
        CallError::Refused(refusal) => refusal.name() != Name::Denied,
        CallError::Garbled(_) => false,
    }
}

fn is_away(error: &MeetError) -> bool {
    matches!(error, MeetError::Connect(_) | MeetError::Call(CallError::Lost { .. }))
}

/// How a meeting connects.
fn patient(at: &At) -> Options {
    Options { reconnect_within: Some(PATIENCE), ..at.options().clone() }
}

/// What a person is told; each thing once.
struct Say {
    collection: String,
    /// The command that has one meeting of this folder.
    once: String,
    /// What was wrong with single files and records when that was last told.
    told: BTreeMap<String, String>,
    guarded: usize,
}

impl Say {
    fn met(&mut self, at: &mut At, met: &Met) -> Result<(), Failure> {
        let counts = &met.counts;
        if at.json {
            let trouble: BTreeMap<_, _> = met.trouble.iter().cloned().collect();
            if !counts.is_nothing() || trouble != self.told || met.guarded.missing != self.guarded {
                let line = json!({
                    "collection": self.collection, "written": counts.written, "removed": counts.removed, "taken": counts.taken,
                    "new": counts.new, "deleted": counts.deleted, "conflicts": counts.conflicts, "guarded": met.guarded.missing,
                    "trouble": trouble,
                });
                at.line(&line.to_string())?;
            }
        } else if !counts.is_nothing() {
            at.line(&plain(&format!("{}: {}", self.collection, did(met))))?;
        }
        for (name, why) in met.trouble.iter().filter(|(name, why)| self.told.get(name) != Some(why)) {
            at.note(&format!("{}: {name}: {why}; it is left as it is", self.collection));
        }
        self.told = met.trouble.iter().cloned().collect();
        if met.guarded.missing > 0 && met.guarded.missing != self.guarded {
            let Guarded { missing, of, before } = met.guarded;
            let after = if before > 0 { format!(", after {before} that were deleted in the last hour") } else { String::new() };
            at.note(&format!(
                "{}: {missing} of {} are not there{after}, and nothing is deleted for it; end this one, then `{}` with `--missing delete` \
                 deletes their records, with `--missing restore` writes the files again",
                self.collection,
                count(of, "file"),
                self.once
            ));
        }
        self.guarded = met.guarded.missing;
        at.flush()
    }

    fn came_out(&self, met: &Met) -> Exit {
        if met.trouble.is_empty() && met.guarded.missing == 0 && met.counts.conflicts == 0 { Exit::Done } else { Exit::Person }
    }
}

/// What a meeting did, in words.
fn did(met: &Met) -> String {
    let counts = &met.counts;
    let number = |n: u64, what: &str| count(usize::try_from(n).unwrap_or(usize::MAX), what);
    let all = [
        (counts.written, "file", " written"),
        (counts.removed, "file", " removed"),
        (counts.taken, "edit", " taken"),
        (counts.new, "new file", " taken"),
        (counts.deleted, "delete", " taken"),
        (counts.conflicts, "conflict", " (`mingle conflict list`)"),
    ];
    let some: Vec<String> =
        all.iter().filter(|(n, ..)| *n > 0).map(|(n, what, done)| format!("{}{done}", number(*n, what))).collect();
    some.join(", ")
}

fn of_meeting(error: MeetError, once: &str) -> Failure {
    let hint = error.hint(once);
    match error {
        MeetError::Connect(error) => error.into(),
        MeetError::Call(error) => error.into(),
        error @ (MeetError::Forgotten { .. } | MeetError::Guarded { .. } | MeetError::Folder(FolderError::Broken { .. })) => {
            Failure::said(Exit::Person, error.to_string(), hint)
        }
        error @ (MeetError::Folder(_) | MeetError::Stopped) => Failure::said(Exit::Failed, error.to_string(), hint),
    }
}

/// The command that has one meeting of this folder, for any shell and from anywhere: as this app, with the folder where one was named.
fn once(app: Option<&str>, collection: &str, folder: Option<&Path>) -> String {
    let folder = folder.map(|folder| std::path::absolute(folder).unwrap_or_else(|_| folder.into()).display().to_string());
    let app = app.into_iter().flat_map(|app| ["--app", app]);
    let words = ["mingle"].into_iter().chain(app).chain(["vdir", collection]).chain(folder.as_deref()).chain(["--once"]);
    words.map(word).collect::<Vec<_>>().join(" ")
}

/// One word of a command, in quotes where a shell would read something else.
fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+:@,=".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

fn now_ms() -> i64 {
    clock::now().as_millisecond()
}

/// Where the folder of a collection is, where none is named.
fn default_folder(collection: &str, environment: &dyn Fn(&str) -> Option<PathBuf>) -> Result<PathBuf, Failure> {
    let absolute = |name: &str| environment(name).filter(|path| path.is_absolute());
    let data = absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")));
    let data = data.ok_or_else(|| Failure::said(Exit::Failed, "no home directory is known", "set HOME, or name a folder"))?;
    Ok(data.join("mingle/vdir").join(collection))
}

/// From now on a signal ends it: a meeting that is under way is given up, which loses nothing.
fn hear_signals(bell: &Arc<Bell>, stop: &Arc<AtomicBool>) -> Result<(), Failure> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let (bell, stop) = (Arc::clone(bell), Arc::clone(stop));
    thread::spawn(move || {
        for _ in signals.forever() {
            stop.store(true, std::sync::atomic::Ordering::SeqCst);
            bell.ring(|rung| rung.end = true);
        }
    });
    Ok(())
}

/// From now on the bell rings when the truth changes, and when the daemon goes away or comes.
fn hear_truth(bell: &Arc<Bell>, options: Options, collection: String) {
    let bell = Arc::clone(bell);
    thread::spawn(move || {
        loop {
            match follow(&bell, &options, &collection) {
                Ok(()) => bell.ring(|rung| (rung.there, rung.away) = (Some(false), Some("mingled went away".into()))),
                Err(Failure::Connect(error)) if error.is_absence() => {
                    bell.ring(|rung| (rung.there, rung.away) = (Some(false), Some(error.to_string())));
                }
                Err(Failure::Call(error)) if call_passes(&error) => {
                    bell.ring(|rung| (rung.there, rung.away) = (Some(false), Some(error.to_string())));
                }
                Err(failure) => {
                    bell.ring(|rung| rung.failed = Some(failure));
                    return;
                }
            }
            clock::pause(LOOK_AGAIN);
        }
    });
}

/// Rings as long as the connection lasts.
fn follow(bell: &Bell, options: &Options, collection: &str) -> Result<(), Failure> {
    let ask = Subscribe { collections: Some(vec![collection.to_owned()]), initial: Some(false), ..Subscribe::default() };
    let lost = |error: Failure| match error {
        Failure::Call(CallError::Lost { .. }) | Failure::Connect(ConnectError::Hello(CallError::Lost { .. })) => Ok(()),
        other => Err(other),
    };
    let subscription = match Client::open(options).map_err(Failure::from).and_then(|client| Ok(client.subscribe(ask)?)) {
        Ok(subscription) => subscription,
        Err(error) => return lost(error),
    };
    bell.ring(|rung| rung.there = Some(true));
    for update in subscription {
        match update {
            Ok(Update::Changed(_)) => bell.ring(|rung| rung.truth = true),
            Ok(Update::Event(_) | Update::Again) => {}
            Err(error) => return lost(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use mingle_vdir::Counts;

    use super::*;

    #[test]
    fn what_a_meeting_did_is_told_in_a_line() {
        #[track_caller]
        fn check(counts: Counts, expect: &str) {
            assert_eq!(did(&Met { counts, ..Met::default() }), expect);
        }
        check(Counts { written: 3, taken: 1, ..Counts::default() }, "3 files written, 1 edit taken");
        check(
            Counts { removed: 1, new: 2, deleted: 1, ..Counts::default() },
            "1 file removed, 2 new files taken, 1 delete taken",
        );
        check(Counts { conflicts: 1, ..Counts::default() }, "1 conflict (`mingle conflict list`)");
    }

    #[test]
    fn the_command_that_is_told_is_the_one_that_is_meant() {
        #[track_caller]
        fn check(app: Option<&str>, collection: &str, folder: Option<&str>, expect: &str) {
            assert_eq!(once(app, collection, folder.map(Path::new)), expect);
        }
        check(None, "contacts", None, "mingle vdir contacts --once");
        check(None, "contacts", Some("/d/c"), "mingle vdir contacts /d/c --once");
        check(Some("laptop"), "contacts", Some("/d/c"), "mingle --app laptop vdir contacts /d/c --once");
        check(None, "a b", Some("/d/it's $HOME"), r"mingle vdir 'a b' '/d/it'\''s $HOME' --once");
        let here = std::env::current_dir().expect("a folder").join("c");
        assert_eq!(once(None, "c", Some(Path::new("c"))), format!("mingle vdir c {} --once", word(&here.display().to_string())));
    }

    #[test]
    fn the_folder_lies_with_the_data() {
        #[track_caller]
        fn check(pairs: &[(&str, &str)], expect: Option<&str>) {
            let find = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| PathBuf::from(value));
            assert_eq!(default_folder("contacts", &find).ok(), expect.map(PathBuf::from));
        }
        check(&[("HOME", "/h")], Some("/h/.local/share/mingle/vdir/contacts"));
        check(&[("HOME", "/h"), ("XDG_DATA_HOME", "/d")], Some("/d/mingle/vdir/contacts"));
        check(&[("HOME", "/h"), ("XDG_DATA_HOME", "d")], Some("/h/.local/share/mingle/vdir/contacts"));
        check(&[], None);
    }
}
