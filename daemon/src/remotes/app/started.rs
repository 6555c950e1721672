//! Owns: apps that are started because their work is due: each once, given a time to offer, ended when we end. Must never know: what they do.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use mingle_core::{
    limits,
    replica::{Failure, RemoteError},
};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    super::exec::program::Program,
    workers::{Asked, Handle, Workers},
};

/// The apps that we started, by the remote whose work they do.
pub(super) struct Started {
    socket: Option<PathBuf>,
    running: Mutex<BTreeMap<String, Running>>,
    /// We end, and they do.
    closing: CancellationToken,
    tasks: TaskTracker,
}

#[derive(Clone)]
struct Running {
    /// How it ended, once it has.
    ended: watch::Receiver<Option<RemoteError>>,
    /// Ends it.
    end: CancellationToken,
}

impl Started {
    pub(super) fn new(socket: Option<PathBuf>) -> Self {
        Self { socket, running: Mutex::default(), closing: CancellationToken::new(), tasks: TaskTracker::new() }
    }

    pub(super) async fn close(&self) {
        self.closing.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(limits::PROGRAM_ENDS_TIME_MAX, self.tasks.wait()).await;
    }

    /// The app of a remote that runs, and whether it was started just now.
    fn running(&self, app: &str, remote: &str, command: &[String], config_dir: &Path) -> Result<(Running, bool), RemoteError> {
        let mut all = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(one) = all.get(remote).filter(|one| one.ended.borrow().is_none()) {
            return Ok((one.clone(), false));
        }
        let socket = self.socket.as_deref().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
        let names = [("MINGLE_REMOTE", remote), ("MINGLE_SOCKET", socket.as_str())];
        let names = if socket.is_empty() { &names[..1] } else { &names[..] };
        let program = Program::start(command, config_dir, names, String::new(), false)?;
        tracing::info!(app, remote, "an app was started for its work");
        let (told, ended) = watch::channel(None);
        let end = self.closing.child_token();
        let one = Running { ended, end: end.clone() };
        all.insert(remote.to_owned(), one.clone());
        let (app, remote) = (app.to_owned(), remote.to_owned());
        self.tasks.spawn(async move {
            let why = ends(program, &end).await;
            match &why {
                Ok(()) => tracing::info!(app, remote, "an app that was started has ended"),
                Err(error) => tracing::warn!(app, remote, %error, "an app that was started has ended"),
            }
            let why = why.err().unwrap_or_else(|| RemoteError::new(Failure::Work, "it ended, and says nothing"));
            // Nobody may wait for that.
            let _ = told.send(Some(why));
        });
        Ok((one, true))
    }
}

/// Until it has ended, by itself or because it is to.
async fn ends(program: Program, end: &CancellationToken) -> Result<(), RemoteError> {
    let ask = program.asker();
    let mut ends = std::pin::pin!(program.ends());
    if let Some(ended) = end.run_until_cancelled(ends.as_mut()).await {
        return ended;
    }
    ask.to_end();
    // It is asked to end: however it does is well. What is left of it then is killed where it is dropped.
    let _ = tokio::time::timeout(limits::PROGRAM_ENDS_TIME_MAX, ends).await;
    Ok(())
}

/// Starts an app that is not there, and calls it once it offers.
///
/// # Errors
/// It does not start, ends, or does not offer in time; then it is ended, and the next run starts it anew.
pub(super) async fn called(
    workers: &Arc<Workers>,
    app: &str,
    asked: &Asked<'_>,
    command: &[String],
    config_dir: &Path,
) -> Result<Handle, RemoteError> {
    let mut offers = workers.offers();
    let start = || workers.started.running(app, &asked.place.remote, command, config_dir);
    let (mut running, mut is_new) = start()?;
    let offered = async {
        loop {
            offers.borrow_and_update();
            if let Some(handle) = workers.call(app, asked)? {
                return Ok(handle);
            }
            let why = running.ended.borrow_and_update().clone();
            if let Some(why) = why {
                // It was on its way out when its work was due: that is another one's failure.
                if !is_new {
                    (running, is_new) = start()?;
                    continue;
                }
                let what = format!("app {app} was started, and ended without offering to do this work: {}", why.what);
                return Err(RemoteError { kind: Failure::Work, what, hint: why.hint });
            }
            tokio::select! {
                // Neither ends before us.
                _ = offers.changed() => {}
                _ = running.ended.changed() => {}
            }
        }
    };
    let offered = tokio::time::timeout(limits::OFFERS_TIME_MAX, offered).await;
    offered.unwrap_or_else(|_| {
        running.end.cancel();
        let seconds = limits::OFFERS_TIME_MAX.as_secs();
        let what = format!("app {app} was started, and did not offer to do this work within {seconds} s; it was ended");
        Err(RemoteError::new(Failure::Work, what)
            .hint("it connects to $MINGLE_SOCKET, says hello by its name and calls worker.offer"))
    })
}
