//! Owns: deleting the data with the service: what goes, when it may not, and asking first. Must never know: units.

use std::{
    fs,
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
};

use mingle_client::{CallError, ConnectError, blocking::Client, call};
use serde_json::{Value, json};

use crate::{
    at::At,
    exit::{Exit, Failure},
    program,
};

/// Whether the data may go: nothing waits to be sent or decided, and a person means it. Lists what would go.
pub fn may(at: &mut At, places: &Value, yes: bool) -> Result<(), Failure> {
    let files = files(places);
    if !files.is_empty() {
        nothing_waits(at)?;
        nothing_damaged(&files)?;
    }
    at.note(if files.is_empty() { "there is no data to delete" } else { "this is deleted, for good:" });
    for file in &files {
        at.note(&format!("  {}", file.display()));
    }
    if files.is_empty() || yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::said(
            Exit::Usage,
            "nothing was deleted: nobody is there to be asked",
            "`--yes` says that it is meant",
        ));
    }
    let _ = write!(io::stderr(), "Type yes to delete it: ");
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() == "yes" { Ok(()) } else { Err(Failure::said(Exit::Failed, "nothing was deleted", "")) }
}

/// What is here and not at its remote would be lost.
fn nothing_waits(at: &At) -> Result<(), Failure> {
    let unknown = |why: String| {
        let hint = "start mingled, and try again; or delete the files by hand, if you do not need what was not sent";
        Failure::said(Exit::Person, format!("nothing was deleted: whether all of it is sent is not known ({why})"), hint)
    };
    let mut client = Client::open(at.options()).map_err(|error: ConnectError| unknown(error.to_string()))?;
    let status = client.status(call::Status {}).map_err(|error: CallError| unknown(error.to_string()))?;
    let waits: Vec<String> = status
        .syncs
        .iter()
        .filter(|sync| sync.pending + sync.conflicts + sync.rejections > 0)
        .map(|sync| {
            format!("{}: {} pending, {} conflicts, {} rejections", sync.sync, sync.pending, sync.conflicts, sync.rejections)
        })
        .collect();
    // What belongs to no sync of the configuration any more was not sent either.
    let kept = status.attention.iter().filter(|one| one.name == "orphaned");
    let waits: Vec<String> = waits.into_iter().chain(kept.map(|one| format!("{}: {}", one.about, one.hint))).collect();
    if waits.is_empty() {
        return Ok(());
    }
    let what = format!("nothing was deleted: not everything is sent ({})", waits.join("; "));
    Err(Failure::said(
        Exit::Person,
        what,
        "`mingle sync` sends it; `mingle conflict list` and `mingle rejection list` show what waits for you",
    ))
}

/// A store that was moved aside as damaged may hold edits that were never sent, and no daemon knows of them.
fn nothing_damaged(files: &[PathBuf]) -> Result<(), Failure> {
    let aside = |file: &&PathBuf| file.file_name().is_some_and(|name| name.to_string_lossy().contains(".corrupt-"));
    let Some(file) = files.iter().find(aside) else { return Ok(()) };
    Err(Failure::said(
        Exit::Person,
        format!(
            "nothing was deleted: {} is a damaged store that was moved aside, and may hold edits that were never sent",
            file.display()
        ),
        "`mingle fsck FILE` says what can be read of it; delete it by hand if you do not need it",
    ))
}

/// Deletes. The service is gone by now.
pub fn now(at: &mut At, places: &Value) -> Result<Exit, Failure> {
    let report = program::facts(&["doctor".into(), "--json".into()])?;
    let holder = report["findings"].as_array().into_iter().flatten().find(|one| one["about"] == "lock");
    if let Some(what) = holder.and_then(|one| one["what"].as_str()).filter(|what| what.starts_with("held")) {
        let hint = "`mingle shutdown` ends it; then try again";
        return Err(Failure::said(
            Exit::Failed,
            format!("nothing was deleted: a mingled still works on the store ({what})"),
            hint,
        ));
    }
    for file in files(places) {
        let gone = if file.is_dir() { fs::remove_dir_all(&file) } else { fs::remove_file(&file) };
        gone.map_err(|error| {
            Failure::said(Exit::Failed, format!("{} was not deleted: {error}", file.display()), "delete it by hand")
        })?;
    }
    // Empty by now, unless somebody else keeps something in them.
    for name in ["data", "state"] {
        let _ = fs::remove_dir(places[name].as_str().unwrap_or_default());
    }
    let config = places["config"].as_str().unwrap_or_default();
    at.line(&if at.json {
        json!({"state": "purged", "kept": {"config": config}}).to_string()
    } else {
        format!("the service and its data are gone; the configuration stays: {config}")
    })?;
    Ok(Exit::Done)
}

/// Our files that are there: the store, what was moved aside of it, the lock, the log, the folder of the socket.
fn files(places: &Value) -> Vec<PathBuf> {
    let path = |name: &str| PathBuf::from(places[name].as_str().unwrap_or_default());
    let mut all = beginning_with(&path("store"));
    all.extend(beginning_with(&path("log")));
    all.extend([path("lock"), path("state").join("run")].into_iter().filter(|path| path.exists()));
    all
}

/// Files whose name is this one, or this one with something behind it.
fn beginning_with(path: &Path) -> Vec<PathBuf> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else { return Vec::new() };
    let name = name.to_string_lossy();
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let ours = |found: &str| found == name || ["-", "."].iter().any(|end| found.starts_with(&format!("{name}{end}")));
    let mut found: Vec<PathBuf> =
        entries.filter(|entry| ours(&entry.file_name().to_string_lossy())).map(|entry| entry.path()).collect();
    found.sort();
    found
}
