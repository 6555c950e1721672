//! Owns: what can be done with the store's file while no loop runs: saying where it is, looking at it, copying it, putting a copy in its
//! place. Must never know: what is in it.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::{
    clock,
    config::{self, Known, Problem, Where},
    environment::Environment,
    lock::{Lock, LockError},
    paths::{self, Paths, Privacy, Refusal},
    store::{
        Ids, StoreError, copies,
        fsck::{self, Report},
    },
};

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A place is not fit.
    #[error(transparent)]
    Place(#[from] Refusal),
    /// The configuration does not say where the store is.
    #[error("the configuration cannot be used: {}", .0.first().map(ToString::to_string).unwrap_or_default())]
    Config(Vec<Problem>),
    /// A daemon runs.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A backup never replaces a file.
    #[error("{} is there already; a backup never replaces a file", .0.display())]
    Taken(PathBuf),
    /// The store, the copy or the disk.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nobody takes what we say.
    #[error(transparent)]
    Out(#[from] io::Error),
}

impl CopyError {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Place(refusal) => refusal.hint.clone(),
            Self::Config(_) => "`mingle config check` says everything that is wrong".into(),
            Self::Lock(LockError::Held { .. }) => "`mingle shutdown` ends it; then restore again, and start it".into(),
            Self::Lock(error) => error.hint(),
            Self::Store(StoreError::Damaged(_)) => "the file is damaged: take another backup".into(),
            Self::Store(StoreError::Newer { .. }) => "install the newer mingle again, or take a backup of this one".into(),
            Self::Taken(_) => "give another name, or move that file away".into(),
            Self::Store(_) | Self::Out(_) => String::new(),
        }
    }

    /// How the process ends.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Place(_) | Self::Config(_) => crate::start::EXIT_CONFIG,
            Self::Lock(LockError::Held { .. } | LockError::Elsewhere { .. }) => crate::start::EXIT_LOCKED,
            Self::Lock(_) | Self::Taken(_) | Self::Store(_) | Self::Out(_) => 1,
        }
    }
}

/// Where the store is, as configured.
///
/// # Errors
/// Where the places or the configuration do not tell.
pub fn store_file(env: &Environment, known: &dyn Known) -> Result<PathBuf, CopyError> {
    let paths = Paths::find(env)?;
    let config = config::load(&Where::Directory(paths.config.clone()), known).map_err(CopyError::Config)?;
    Ok(config.store.path.as_ref().map_or_else(|| paths.store_file(), |written| paths::expand_home(written, env)))
}

/// Looks at every rule of the store, or of a copy of one, whether a daemon runs or not. The exit code: 1 where one is broken.
///
/// # Errors
/// Where there is no store, or none of ours.
pub fn fsck(env: &Environment, known: &dyn Known, file: Option<&Path>, json: bool, out: &mut dyn Write) -> Result<u8, CopyError> {
    private();
    let path = file.map_or_else(|| store_file(env, known), |file| Ok(file.to_owned()))?;
    let report = fsck::file(&path)?.ok_or_else(|| StoreError::Place(format!("there is no store at {}", path.display())))?;
    if json {
        writeln!(out, "{}", found_json(&path, &report))?;
    } else {
        found(&report, out)?;
    }
    Ok(u8::from(!report.is_clean()))
}

fn found_json(path: &Path, report: &Report) -> serde_json::Value {
    let findings: Vec<_> = report
        .findings
        .iter()
        .map(|one| serde_json::json!({"rule": one.rule, "about": one.about, "what": one.what, "hint": one.hint}))
        .collect();
    serde_json::json!({
        "good": report.is_clean(), "store": path.display().to_string(), "records": report.records, "seq": report.seq,
        "findings": findings, "more": report.more,
    })
}

fn found(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    if report.is_clean() {
        return writeln!(out, "good: {}, up to seq {}; every rule holds", records(report.records), report.seq);
    }
    // Findings of one rule stand together, and have one remedy.
    for of_rule in report.findings.chunk_by(|one, next| one.rule == next.rule) {
        for one in of_rule {
            // Ids and the words of a damaged store may be anything.
            let line = format!("{}  {}: {}", one.rule, one.about, one.what);
            writeln!(out, "{}", line.chars().map(|one| if one.is_control() { ' ' } else { one }).collect::<String>())?;
        }
        if let Some(more) = report.more.get(of_rule[0].rule) {
            writeln!(out, "{}  and {more} more", of_rule[0].rule)?;
        }
        writeln!(out, "  hint: {}", of_rule[0].hint)?;
    }
    Ok(())
}

/// Copies the store, whether a daemon runs or not.
///
/// # Errors
/// What the store says.
pub fn backup(env: &Environment, known: &dyn Known, to: &Path, out: &mut dyn Write) -> Result<(), CopyError> {
    private();
    if to.symlink_metadata().is_ok() {
        return Err(CopyError::Taken(to.to_owned()));
    }
    let copied = copies::backup(&store_file(env, known)?, to)?;
    say(out, "copied", &copied)?;
    writeln!(out, "`mingle restore {}` puts it in the place of the store", to.display())?;
    Ok(())
}

/// Puts a copy in the place of the store, while no daemon runs.
///
/// # Errors
/// [`CopyError::Lock`] while one does; what the store says.
pub fn restore(env: &Environment, known: &dyn Known, from: &Path, out: &mut dyn Write) -> Result<(), CopyError> {
    private();
    let (paths, store) = (Paths::find(env)?, store_file(env, known)?);
    for directory in [&paths.state, store.parent().unwrap_or(&paths.data)] {
        paths::prepare_dir(directory, Privacy::ReadByOthers)?;
    }
    paths::check_file(&paths.lock_file())?;
    let _lock = Lock::take(&paths.lock_file())?.with_folder(store.parent().unwrap_or(&paths.data))?;
    let (copied, kept) = copies::restore(&store, from, Ids::Random, clock::now())?;
    say(out, "restored", &copied)?;
    if let Some(kept) = kept {
        writeln!(out, "what was there is kept as {}; it may hold changes that were never sent", kept.display())?;
    }
    writeln!(out, "it is another instance: apps read anew, and each sync compares")?;
    Ok(())
}

/// What SQLite makes beside a file is ours alone from its first moment.
fn private() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
}

fn say(out: &mut dyn Write, done: &str, copied: &copies::Copied) -> io::Result<()> {
    let Some(inside) = &copied.inside else {
        return writeln!(out, "{done} a store of an older mingle (schema {}), {} bytes", copied.schema, copied.bytes);
    };
    writeln!(out, "{done} {}, up to seq {}, {} bytes", records(inside.records), inside.seq, copied.bytes)
}

fn records(count: u64) -> String {
    format!("{count} {}", if count == 1 { "record" } else { "records" })
}
