//! Owns: the kind `app`: a remote whose work an app does that offered to, and is called for each run. Must never know: what the app does,
//! the wire.
//!
//! An app tells as a program does: one page a batch, each with the checkpoint that holds once it is applied. A batch is answered when it is,
//! so the app is never further ahead than it was let, and what it was told is taken is in the truth.

mod started;
pub mod workers;

use std::{
    collections::VecDeque,
    future::ready,
    path::Path,
    sync::{Mutex, PoisonError},
};

use mingle_core::{
    ask::Refusal,
    limits,
    replica::{Abilities, Action, Answer, Asked, Failure, From, Page, RemoteError},
    work::Said,
};
use tokio::sync::oneshot;

use super::{
    Greeting, Kind, Opened, Opening, Pending, Problem, Remote, Seen, exec,
    settings::RemoteSettings,
    told::{self, Gathered, Position},
};
use workers::{Handle, Heard};

/// Apps.
pub const KIND: Kind = Kind {
    name: "app",
    about: "an app that runs, and is called to do the work",
    noun: "an app",
    keys: &["app", "command"],
    look,
    open: |opening| -> Opened { Box::pin(ready(open(opening))) },
};

fn look(settings: &RemoteSettings, _: &Path) -> Result<Seen, Problem> {
    let RemoteSettings { app, command, .. } = settings;
    let Some(app) = app.as_deref().filter(|app| !app.is_empty()) else {
        return Err(Problem::new("a remote of kind \"app\" needs the name of an app").hint("app = \"NAME\", as it says in hello"));
    };
    if command.first().is_some_and(String::is_empty) {
        return Err(Problem::new("`command` names no program").hint("command = [\"PROGRAM\", \"ARGUMENT\"], or leave it out"));
    }
    let started = if command.is_empty() { "no" } else { "when it is needed" };
    let ways = vec![("app", app.to_owned()), ("started", started.to_owned())];
    // Another app is another history; how it is started says nothing of what it tells.
    Ok(Seen { abilities: abilities(), mapping: app.to_owned(), listing: String::new(), ways })
}

/// What it told it is told to be in the truth; then it may forget it.
fn abilities() -> Abilities {
    Abilities { confirms: true, ..told::abilities() }
}

fn open(opening: Opening) -> Result<Box<dyn Remote>, RemoteError> {
    look(&opening.settings, &opening.means.config_dir).map_err(super::unfit)?;
    let app = opening.settings.app.clone().unwrap_or_default();
    let (abilities, under_way, unanswered) = (abilities(), tokio::sync::Mutex::default(), Mutex::default());
    Ok(Box::new(App { opening, app, abilities, under_way, unanswered }))
}

/// The answer to a batch that is being applied.
type Unanswered = oneshot::Sender<Result<(), Refusal>>;

struct App {
    opening: Opening,
    app: String,
    abilities: Abilities,
    under_way: tokio::sync::Mutex<Option<UnderWay>>,
    /// Of the pages that are not applied yet, the oldest first; none: it came with no batch.
    unanswered: Mutex<VecDeque<Option<Unanswered>>>,
}

/// A work that an app does, and how far it came.
struct UnderWay {
    handle: Handle,
    at: Position,
}

impl App {
    async fn call(&self, at: Position) -> Result<UnderWay, RemoteError> {
        let Opening { settings, resource, place, means } = &self.opening;
        let task = workers::Asked { place, resource, checkpoint: at.checkpoint.clone() };
        if let Some(handle) = means.workers.call(&self.app, &task)? {
            return Ok(UnderWay { handle, at });
        }
        if settings.command.is_empty() {
            return Err(self.is_away());
        }
        let handle = started::called(&means.workers, &self.app, &task, &settings.command, &means.config_dir).await?;
        Ok(UnderWay { handle, at })
    }

    fn is_away(&self) -> RemoteError {
        let app = &self.app;
        RemoteError::new(Failure::Offline, format!("app {app} is not there: it has not offered to do this work"))
            .hint(format!("start it; with a `command` in [remote.{}] it is started when it is needed", self.opening.place.remote))
    }

    /// The next page, and what is under way after it.
    async fn page(&self, mut one: UnderWay) -> Result<(Page, Option<UnderWay>), RemoteError> {
        let (page, answer, next) = match one.handle.heard().await {
            Some(Heard::Batch { rows, checkpoint, answer }) => {
                let mut page = Gathered::default();
                if let Err(why) = page.take_batch(&rows, checkpoint.as_deref(), &mut one.at) {
                    let _ = answer.send(Err(Refusal::Invalid(format!("{why}; the work is over"), Some(told::FORMS.into()))));
                    return Err(RemoteError::new(Failure::Nonsense, format!("what app {} tells: {why}", self.app)));
                }
                (page.with_next(&mut one.at), Some(answer), Some(one))
            }
            Some(Heard::Refused(why)) => {
                return Err(RemoteError::new(Failure::Nonsense, format!("what app {} tells: {why}", self.app)));
            }
            Some(Heard::Done(said)) => (Page { news: self.ends(said)?, ..Gathered::default().last() }, None, None),
            None => {
                let what = format!("app {} is gone: its connection ended before its work was done", self.app);
                return Err(RemoteError::new(Failure::Broken, what).hint("the next run goes on from the last checkpoint"));
            }
        };
        self.unanswered().push_back(answer);
        Ok((page, next))
    }

    /// Whether it says that there was something new.
    fn ends(&self, said: Said) -> Result<bool, RemoteError> {
        let (why, retry_after) = match said {
            Said::NewData => return Ok(true),
            Said::NoNewData => return Ok(false),
            Said::Failed { why, retry_after } => (why, retry_after),
        };
        let clean = |one: char| if one.is_control() { ' ' } else { one };
        let words: String = why.iter().flat_map(|why| why.chars()).take(limits::WORDS_CHARS_MAX).map(clean).collect();
        let words = if words.is_empty() { String::new() } else { format!(": {words}") };
        Err(match retry_after {
            Some(after) => {
                let until = (self.opening.means.now)().plus(after);
                let what = format!("app {} asks to be called again later{words}", self.app);
                RemoteError::new(Failure::Throttled(Some(until)), what)
            }
            None => RemoteError::new(Failure::Work, format!("app {} says that its work failed{words}", self.app)),
        })
    }

    fn unanswered(&self) -> std::sync::MutexGuard<'_, VecDeque<Option<Unanswered>>> {
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Remote for App {
    fn abilities(&self) -> &Abilities {
        &self.abilities
    }

    fn greet(&self) -> Pending<'_, Result<Greeting, RemoteError>> {
        let Opening { settings, place, means, .. } = &self.opening;
        let there = match settings.command.first() {
            _ if means.workers.has(&self.app, &place.remote) => Ok(()),
            Some(word) => exec::is_there(word, &means.config_dir),
            None => Err(self.is_away()),
        };
        Box::pin(ready(there.map(|()| Greeting::default())))
    }

    fn list<'a>(&'a self, from: &'a From, page: Option<&'a str>, _: usize) -> Pending<'a, Result<Page, RemoteError>> {
        Box::pin(async move {
            let at = Position::of(from, page)?;
            let mut under_way = self.under_way.lock().await;
            let goes_on = under_way.take().filter(|one| page.is_some() && one.at == at);
            let one = match goes_on {
                Some(one) => one,
                None => self.call(at).await?,
            };
            let (page, next) = self.page(one).await?;
            *under_way = next;
            Ok(page)
        })
    }

    fn page_is_applied(&self) {
        let answer = self.unanswered().pop_front().flatten();
        if let Some(answer) = answer {
            // Whoever told it may be gone.
            let _ = answer.send(Ok(()));
        }
    }

    fn get<'a>(&'a self, _: &'a str) -> Pending<'a, Result<Asked, RemoteError>> {
        Box::pin(ready(Err(RemoteError::new(Failure::Denied, "an app is not asked for one record"))))
    }

    fn send<'a>(&'a self, _: &'a Action) -> Pending<'a, Answer> {
        Box::pin(ready(Answer::Refused("an app takes no changes".into())))
    }
}

#[cfg(test)]
mod tests;
