//! Owns: hearing of changes in a folder, from the system. Must never know: what changed, and what is done about it.

use std::path::Path;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::file;

/// The system does not tell of changes.
#[derive(Debug, thiserror::Error)]
#[error("changes of the folder cannot be watched: {0}")]
pub struct WatchError(#[from] notify::Error);

/// As long as it is there, changes are heard of.
pub struct Watch {
    _watcher: RecommendedWatcher,
}

impl Watch {
    /// Calls at every change of a file that is one of the folder's, also where the system has lost count of them.
    pub(crate) fn new(folder: &Path, call: impl Fn() + Send + 'static) -> Result<Self, WatchError> {
        let of = folder.to_owned();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let ours = match &event {
                // That it was read is no change.
                Ok(event) if matches!(event.kind, EventKind::Access(_)) => false,
                Ok(event) => event.paths.is_empty() || event.paths.iter().any(|path| *path == of || is_ours(path)),
                Err(_) => true,
            };
            if ours {
                call();
            }
        })?;
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
        Ok(Self { _watcher: watcher })
    }
}

/// What we write for ourselves has hidden names.
fn is_ours(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| file::holds(name).is_some())
}
