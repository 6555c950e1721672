//! Owns: apps that are started because their work is due: each once, given a time to offer, ended when we end. Must never know: what they do.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mingle_core::{
    limits,
    replica::{Failure, RemoteError},
};
use tokio::sync::{Notify, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    super::{exec::program::Program, settings::RemoteSettings},
    workers::{Asked, Handle, Workers},
};

/// Of our environment an app that is started gets these as well: it may have a window, which is what it is there for.
const SCREEN: [&str; 3] = ["DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY"];

/// The apps that we started, by the remote whose work they do.
pub(super) struct Started {
    socket: Option<PathBuf>,
    /// The time that each has to offer.
    offers_within: Duration,
    running: Mutex<BTreeMap<String, Running>>,
    /// We end, and they do.
    closing: CancellationToken,
    tasks: TaskTracker,
}

#[derive(Clone)]
struct Running {
    app: String,
    command: Vec<String>,
    /// A run waits for its offer.
    wanted: Arc<Notify>,
    /// How it ended, once it has.
    ended: watch::Receiver<Option<RemoteError>>,
    /// Ends it.
    end: CancellationToken,
}

impl Started {
    pub(super) fn new(socket: Option<PathBuf>, offers_within: Duration) -> Self {
        let (running, closing, tasks) = (Mutex::default(), CancellationToken::new(), TaskTracker::new());
        Self { socket, offers_within, running, closing, tasks }
    }

    /// Ends those that would not be started so any more: their remote is gone, or is the work of another app, or is started in another way.
    pub(super) fn keep(&self, remotes: &BTreeMap<String, RemoteSettings>) {
        let mut all = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|remote, one| {
            let stays = remotes.get(remote).is_some_and(|now| one.is_as(now.app.as_deref().unwrap_or_default(), &now.command));
            if !stays {
                one.end.cancel();
            }
            stays
        });
    }

    pub(super) async fn close(&self) {
        self.closing.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(limits::PROGRAM_ENDS_TIME_MAX, self.tasks.wait()).await;
    }

    /// The app of a remote that runs, and whether it was started just now. Its time to offer begins.
    fn running(
        workers: &Arc<Workers>,
        app: &str,
        remote: &str,
        command: &[String],
        config_dir: &Path,
    ) -> Result<(Running, bool), RemoteError> {
        let this = &workers.started;
        let mut all = this.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(one) = all.get(remote).filter(|one| one.ended.borrow().is_none()) {
            if one.is_as(app, command) {
                one.wanted.notify_one();
                return Ok((one.clone(), false));
            }
            one.end.cancel();
        }
        let socket = this.socket.as_deref().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
        let screen: Vec<(&str, String)> =
            SCREEN.into_iter().filter_map(|name| std::env::var(name).ok().map(|value| (name, value))).collect();
        let mut names = vec![("MINGLE_REMOTE", remote)];
        names.extend((!socket.is_empty()).then_some(("MINGLE_SOCKET", socket.as_str())));
        names.extend(screen.iter().map(|(name, value)| (*name, value.as_str())));
        let program = Program::start(command, config_dir, &names, String::new(), false)?;
        tracing::info!(app, remote, "an app was started for its work");
        let (told, ended) = watch::channel(None);
        let (end, wanted) = (this.closing.child_token(), Arc::new(Notify::new()));
        wanted.notify_one();
        let (app, command) = (app.to_owned(), command.to_vec());
        let one = Running { app: app.clone(), command, wanted, ended, end };
        all.insert(remote.to_owned(), one.clone());
        let (owner, remote, workers) = (one.clone(), remote.to_owned(), Arc::clone(workers));
        this.tasks.spawn(async move {
            let why = ends(program, &owner, late(&workers, &owner, &remote)).await;
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

impl Running {
    fn is_as(&self, app: &str, command: &[String]) -> bool {
        self.app == app && self.command == command
    }
}

/// Until it was wanted, and has not offered in time. It is looked after here: whoever wants it may be out of time before.
async fn late(workers: &Workers, one: &Running, remote: &str) -> RemoteError {
    let within = workers.started.offers_within;
    loop {
        one.wanted.notified().await;
        let mut offers = workers.offers();
        let offered = async { while !workers.has(&one.app, remote) && offers.changed().await.is_ok() {} };
        if tokio::time::timeout(within, offered).await.is_err() {
            let what = format!("it did not offer within {} s, and was ended", within.as_secs());
            return RemoteError::new(Failure::Work, what)
                .hint("it connects to $MINGLE_SOCKET, says hello by its name and calls worker.offer");
        }
    }
}

/// Until it has ended, by itself or because it is to.
async fn ends(program: Program, one: &Running, late: impl Future<Output = RemoteError>) -> Result<(), RemoteError> {
    let ask = program.asker();
    let mut ends = std::pin::pin!(program.ends());
    let why = tokio::select! {
        biased;
        ended = ends.as_mut() => return ended,
        () = one.end.cancelled() => Ok(()),
        why = late => Err(why),
    };
    ask.to_end();
    // It is asked to end: however it does is well. What is left of it then is killed where it is dropped.
    let _ = tokio::time::timeout(limits::PROGRAM_ENDS_TIME_MAX, ends).await;
    why
}

/// Starts an app that is not there, and calls it once it offers.
///
/// # Errors
/// It does not start, ends, or does not offer in time: then it is ended, and the next run starts it anew.
pub(super) async fn called(
    workers: &Arc<Workers>,
    app: &str,
    asked: &Asked<'_>,
    command: &[String],
    config_dir: &Path,
) -> Result<Handle, RemoteError> {
    let mut offers = workers.offers();
    let start = || Started::running(workers, app, &asked.place.remote, command, config_dir);
    let (mut running, mut is_new) = start()?;
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
            // Neither ends before us: one that does not offer is ended.
            _ = offers.changed() => {}
            _ = running.ended.changed() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Until it has ended; in how many words it was said why.
    async fn ended(one: &mut Running) -> String {
        let ended = one.ended.wait_for(Option::is_some);
        let ended = tokio::time::timeout(Duration::from_secs(20), ended).await.expect("it ends").expect("it says so");
        ended.as_ref().map(|why| why.what.clone()).unwrap_or_default()
    }

    fn workers(offers_within: Duration) -> Arc<Workers> {
        let mut workers = Workers::default();
        workers.started = Started::new(None, offers_within);
        Arc::new(workers)
    }

    fn starts(workers: &Arc<Workers>, app: &str, command: &[&str]) -> (Running, bool) {
        let command: Vec<String> = command.iter().map(|&word| word.into()).collect();
        Started::running(workers, app, "desk", &command, Path::new("")).expect("it starts")
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn one_that_does_not_offer_in_time_is_ended_though_nobody_waits_for_it_any_more() {
        runtime().block_on(async {
            let hasty = workers(Duration::from_millis(50));
            let (mut one, is_new) = starts(&hasty, "clerk", &["sleep", "600"]);
            assert!(is_new);
            assert!(ended(&mut one).await.contains("did not offer"));
            // The next run starts it anew; one that offers is left alone until it is wanted in vain.
            let (to, _calls) = tokio::sync::mpsc::channel(1);
            hasty.offer(1, "clerk", None, to);
            let (mut one, is_new) = starts(&hasty, "clerk", &["sleep", "600"]);
            assert!(is_new);
            tokio::time::timeout(Duration::from_millis(200), ended(&mut one)).await.expect_err("it offers");
            hasty.leave(1);
            assert!(!starts(&hasty, "clerk", &["sleep", "600"]).1);
            assert!(ended(&mut one).await.contains("did not offer"));
        });
    }

    #[test]
    fn what_is_started_otherwise_now_takes_the_place_of_what_runs() {
        runtime().block_on(async {
            let patient = workers(limits::OFFERS_TIME_MAX);
            let (mut first, _) = starts(&patient, "clerk", &["sleep", "600"]);
            assert!(!starts(&patient, "clerk", &["sleep", "600"]).1);
            let (mut second, is_new) = starts(&patient, "clerk", &["sleep", "601"]);
            assert!(is_new);
            ended(&mut first).await;
            let (mut third, is_new) = starts(&patient, "scribe", &["sleep", "601"]);
            assert!(is_new);
            ended(&mut second).await;
            let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
            let desk = |app: &str| RemoteSettings {
                app: Some(app.into()),
                command: words(&["sleep", "601"]),
                ..RemoteSettings::default()
            };
            patient.keep(&[("desk".to_owned(), desk("scribe"))].into());
            assert!(!starts(&patient, "scribe", &["sleep", "601"]).1, "it is as before");
            patient.keep(&[("shelf".to_owned(), desk("scribe"))].into());
            ended(&mut third).await;
            assert!(starts(&patient, "scribe", &["sleep", "601"]).1);
            patient.close().await;
        });
    }
}
