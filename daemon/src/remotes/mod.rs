//! Owns: the trait every remote speaks, the list of kinds, and the wrap around each (secrets, re-reads, time limits).
//! Must never know: the store, the socket, the schedule.
//!
//! A new kind is one file here and one line in [`KINDS`].

pub mod app;
mod aside;
pub mod budget;
pub mod dav;
pub mod document;
pub mod exec;
pub mod held;
pub mod http;
pub mod kept;
pub mod keyring;
pub mod larder;
mod login;
pub mod marks_key;
pub mod meter;
pub(crate) mod mistakes;
pub mod oauth;
pub mod rest;
pub mod secret;
pub mod settings;
pub(crate) mod told;
pub mod wrap;

use std::{future::Future, path::PathBuf, pin::Pin, sync::Arc};

use mingle_core::{
    replica::{Abilities, Action, Answer, Asked, From, Page, RemoteError},
    time::Timestamp,
};
use settings::RemoteSettings;

/// What a call of a remote returns: dropped, it stops at once.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One resource of one service, as one account sees it. Opened anew for each run.
pub trait Remote: Send + Sync {
    /// What it can do.
    fn abilities(&self) -> &Abilities;

    /// Which history of the remote this is, beyond what the settings say: the server's own name for its instance, where it has
    /// one. Also shows that address, resource and credentials are right.
    ///
    /// # Errors
    /// When the remote cannot be reached, refuses us, or is not what its profile says.
    fn greet(&self) -> Pending<'_, Result<Greeting, RemoteError>>;

    /// One page of a listing: `page` is a former page's `next`.
    ///
    /// # Errors
    /// When the page did not come whole and well typed; nothing of it may be used then.
    fn list<'a>(&'a self, from: &'a From, page: Option<&'a str>, rows: usize) -> Pending<'a, Result<Page, RemoteError>>;

    /// The rows of the page that was listed first of those not applied yet are: what they took in memory is free again.
    fn page_is_applied(&self) {}

    /// One record by its id.
    ///
    /// # Errors
    /// When it cannot be told whether it is there.
    fn get<'a>(&'a self, remote_id: &'a str) -> Pending<'a, Result<Asked, RemoteError>>;

    /// What is about to be sent: whoever has to read before it writes may read for several at once. Nothing depends on it.
    fn look_ahead<'a>(&'a self, _actions: &'a [&'a Action]) -> Pending<'a, ()> {
        Box::pin(async {})
    }

    /// Does one change. Every outcome is an [`Answer`]; what is not known is said to be unknown.
    fn send<'a>(&'a self, action: &'a Action) -> Pending<'a, Answer>;

    /// Does several changes, with one request where the abilities say so ([`Abilities::batch_max`]). An answer each, in their order;
    /// each is settled by itself.
    fn send_together<'a>(&'a self, actions: &'a [Action]) -> Pending<'a, Vec<Answer>> {
        Box::pin(async move {
            let mut answers = Vec::with_capacity(actions.len());
            for action in actions {
                answers.push(self.send(action).await);
            }
            answers
        })
    }
}

/// What a remote says of itself at the start of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Greeting {
    /// The server's name for its instance or history; empty where it has none.
    pub instance: String,
    /// The server's clock.
    pub server_time: Option<Timestamp>,
}

/// Reads our clock.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What every remote is opened with besides its settings; made once for the process, cheap to clone.
#[derive(Clone)]
pub struct Means {
    /// What speaks HTTP.
    pub http: http::Client,
    /// Our clock, for what a server says relative to its own.
    pub now: Clock,
    /// Where the configuration lies: secrets are relative to it, users' profiles lie in its `profiles/`.
    pub config_dir: PathBuf,
    /// The apps that offer to do work.
    pub workers: Arc<app::workers::Workers>,
    /// Where address books and calendars were found.
    pub places: Arc<dav::Places>,
    /// Logins that run out.
    pub logins: Arc<oauth::Logins>,
}

/// One resource of one remote, about to be opened.
#[derive(Clone)]
pub struct Opening {
    /// The `[remote.NAME]` table.
    pub settings: RemoteSettings,
    /// The remote's own container: what a sync calls `resource`.
    pub resource: String,
    /// Whose run it is opened for.
    pub place: Place,
    /// The rest.
    pub means: Means,
}

/// Whose run a remote is opened for, for whoever does its work elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// The remote's name.
    pub remote: String,
    /// The sync's; empty: it is opened for no run.
    pub sync: String,
    /// The longest run.
    pub deadline: Option<std::time::Duration>,
    /// Whom it speaks for; none: whoever is logged in.
    pub account: Option<String>,
}

impl Opening {
    /// What tells one history of a remote from another, as far as the settings say it: kind, profile with its version, address,
    /// account and resource; and beside it [`Seen::listing`]. With [`Greeting::instance`] they make the epoch.
    ///
    /// # Errors
    /// As [`Kind::look`].
    pub fn history(&self) -> Result<(String, String), Problem> {
        let seen = look(&self.settings, &self.means.config_dir)?;
        let RemoteSettings { kind, profile, url, auth, .. } = &self.settings;
        let account = self.place.account.clone().unwrap_or_else(|| self.means.logins.account(auth));
        let parts = [
            kind.as_str(),
            profile.as_deref().unwrap_or_default(),
            &seen.mapping,
            url.trim_end_matches('/'),
            &account,
            self.resource.trim_matches('/'),
        ];
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        Ok((hasher.finalize().to_hex()[..32].to_owned(), seen.listing))
    }
}

/// What settings alone say of a remote, before anything is asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What it can do.
    pub abilities: Abilities,
    /// The version of how its rows are read: where it changes, agreed copies no longer mean the same.
    pub mapping: String,
    /// Which records it lists and how it reads them, where that is described by somebody and not by us: it may change without a version.
    pub listing: String,
    /// How it does what it can, for people: a stable word each.
    pub ways: Vec<(&'static str, String)>,
}

/// What is wrong with settings or a profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Problem {
    /// In words, naming the thing.
    pub what: String,
    /// What a person can do.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem without a remedy of its own.
    #[must_use]
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), hint: None }
    }

    /// The same, with what a person can do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// A remote that is being opened.
pub type Opened = Pending<'static, Result<Box<dyn Remote>, RemoteError>>;

/// The code that speaks one protocol.
pub struct Kind {
    /// The word in `kind = "..."`.
    pub name: &'static str,
    /// One line for people.
    pub about: &'static str,
    /// What a remote of it is, for people: `a program`.
    pub noun: &'static str,
    /// The keys of a `[remote.NAME]` that say something to it, beside `kind`.
    pub keys: &'static [&'static str],
    /// Checks settings without asking anything of the remote, and says what it will be able to do. The folder is the
    /// configuration's.
    pub look: fn(&RemoteSettings, &std::path::Path) -> Result<Seen, Problem>,
    /// Opens one resource; secrets are fetched now. The remote itself is asked nothing yet.
    pub open: fn(Opening) -> Opened,
}

/// Every kind there is.
pub const KINDS: &[Kind] = &[rest::KIND, dav::KIND, document::KIND, exec::KIND, app::KIND];

/// The kind of this name.
///
/// # Errors
/// When there is none; the hint names the nearest.
pub fn kind(name: &str) -> Result<&'static Kind, Problem> {
    KINDS.iter().find(|kind| kind.name == name).ok_or_else(|| {
        let known: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
        Problem::new(format!("there is no kind of remote {name:?}")).hint(nearest("kinds", name, &known))
    })
}

impl Kind {
    /// Whether nothing is set that says nothing to it; else which kinds it is for.
    fn takes(&self, settings: &RemoteSettings) -> Result<(), Problem> {
        let Some(key) = settings.beside(self.keys) else { return Ok(()) };
        let takers: Vec<String> =
            KINDS.iter().filter(|kind| kind.keys.contains(&key)).map(|kind| format!("kind = {:?}", kind.name)).collect();
        let hint = format!("take it out; it is for {}", takers.join(" or "));
        Err(Problem::new(format!("`{key}` says nothing to {}", self.noun)).hint(hint))
    }
}

/// Checks the settings of one remote, without asking anything of it.
///
/// # Errors
/// When the kind or the profile does not exist, or the settings do not fit it.
pub fn look(settings: &RemoteSettings, config_dir: &std::path::Path) -> Result<Seen, Problem> {
    let kind = kind(&settings.kind)?;
    let seen = (kind.look)(settings, config_dir)?;
    kind.takes(settings).map(|()| seen)
}

/// Opens one resource of a remote for one run: secrets are fetched now, the remote itself is asked nothing yet.
///
/// # Errors
/// When the settings do not fit, or a secret is not to be had.
pub async fn open(opening: Opening) -> Result<Box<dyn Remote>, RemoteError> {
    match kind(&opening.settings.kind) {
        Ok(kind) => (kind.open)(opening).await,
        Err(problem) => Err(unfit(problem)),
    }
}

/// A problem of the settings, met when a run was about to begin.
fn unfit(problem: Problem) -> RemoteError {
    RemoteError { kind: mingle_core::replica::Failure::Denied, what: problem.what, hint: problem.hint }
}

/// A hint that names the nearest of what there is, or all of it.
fn nearest(what: &str, wrong: &str, known: &[&str]) -> String {
    let near = known.iter().max_by(|a, b| strsim::jaro_winkler(wrong, a).total_cmp(&strsim::jaro_winkler(wrong, b)));
    match near {
        Some(near) if strsim::jaro_winkler(wrong, near) > 0.8 => format!("did you mean {near:?}?"),
        _ => format!("{what} there are: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A `[remote.NAME]`, and what is said of the key that says nothing to its kind.
    #[track_caller]
    fn check(settings: &str, what: &str, hint: &str) {
        let settings: RemoteSettings = toml::from_str(settings).expect("settings");
        let told =
            look(&settings, std::path::Path::new("/")).err().map(|problem| (problem.what, problem.hint.unwrap_or_default()));
        let expected = (!what.is_empty()).then(|| (what.to_owned(), hint.to_owned()));
        assert_eq!(told, expected, "{settings:?}");
    }

    #[test]
    fn a_key_of_another_kind_is_named_with_the_kinds_that_take_it() {
        let profile = &rest::catalog::profiles(std::path::Path::new("/"))[0].name;
        let service = format!("kind = \"rest\"\nprofile = {profile:?}\nurl = \"https://x.org/v1\"\n");
        check(&service, "", "");
        for (more, what, hint) in [
            ("app = \"x\"", "`app`", "kind = \"app\""),
            ("command = [\"x\"]", "`command`", "kind = \"exec\" or kind = \"app\""),
            ("output = \"result\"", "`output`", "kind = \"exec\""),
            ("rows = \"/a\"", "`rows`", "kind = \"http\""),
        ] {
            let hint = format!("take it out; it is for {hint}");
            check(&format!("{service}{more}"), &format!("{what} says nothing to a service with a profile"), &hint);
        }
        let reached = "take it out; it is for kind = \"rest\" or kind = \"dav\" or kind = \"http\"";
        check("kind = \"exec\"\ncommand = [\"x\"]\nurl = \"https://x.org\"", "`url` says nothing to a program", reached);
        check("kind = \"app\"\napp = \"x\"\ninsecure = true", "`insecure` says nothing to an app", reached);
        let profile = "take it out; it is for kind = \"rest\"";
        check(
            "kind = \"dav\"\nurl = \"https://x.org\"\nprofile = \"p\"",
            "`profile` says nothing to a CardDAV or CalDAV server",
            profile,
        );
        check("kind = \"http\"\nurl = \"https://x.org\"\nprofile = \"p\"", "`profile` says nothing to a document", profile);
    }
}
