//! Owns: the budgets of all accounts of this process: which remotes share one, who may send now, and what each answer tells.
//! Must never know: the store, what is asked for.
//!
//! An account is whom a service takes us for: remotes at the same host with the same login share it, however many there are. A login
//! is the same where it comes from the same place, or turns out to hold the same secret, as long as it does; only the first is remembered.

pub(super) mod headers;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mingle_core::{
    budget::{Answer, Budget, Class, Known, Ticket, Verdict, Wait, Why, names},
    limits,
    replica::{Failure, RemoteError},
    time::Timestamp,
};
use reqwest::{StatusCode, Url};
use tokio::sync::Notify;

use self::headers::{Clocks, Own};
use super::{
    Clock,
    http::{self, Lost, Reply},
    kept::Kept,
    meter::Meter,
    settings::{Auth, RemoteSettings, Secret},
};

/// Who asks a remote, and for whom.
#[derive(Clone, Debug, Default)]
pub struct By {
    /// The sync; empty: none.
    pub sync: Arc<str>,
    /// Whether somebody waits.
    pub class: Class,
    /// What it comes to.
    pub meter: Arc<Meter>,
    /// Answers that are kept for it.
    pub kept: Arc<Kept>,
}

impl By {
    /// A person, without a sync.
    #[must_use]
    pub fn person() -> Self {
        Self { class: Class::Interactive, ..Self::default() }
    }
}

/// Every budget of this process.
#[derive(Debug)]
pub struct Budgets {
    accounts: Mutex<BTreeMap<String, Arc<Account>>>,
    /// Makes marks of secrets that mean nothing outside this process.
    marks: [u8; 32],
    /// Something was learned.
    learned: Arc<Notify>,
}

impl Default for Budgets {
    fn default() -> Self {
        Self { accounts: Mutex::default(), marks: http::chance(), learned: Arc::default() }
    }
}

/// One account at one host.
#[derive(Debug)]
pub struct Account {
    state: Mutex<State>,
    /// A request is back, or nobody waits for a place any more.
    moved: Notify,
    learned: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    budget: Budget,
    /// The secret's mark, once it was fetched.
    mark: Option<blake3::Hash>,
    /// When it was last asked for.
    asked: Timestamp,
    /// Requests that wait for their turn.
    waiting: Waiting,
}

/// How many requests wait for their turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Those of people.
    pub interactive: usize,
    /// Those of the schedule.
    pub background: usize,
}

/// A budget, to be shown.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The names of the accounts that turned out to be this one.
    pub keys: Vec<String>,
    /// What is known now.
    pub known: Known,
    /// Requests under way.
    pub flying: usize,
    /// Requests that wait.
    pub waiting: Waiting,
}

/// Begins the name of an account whose secret stands in the configuration: such a name says something of it, and is never written down.
const UNWRITTEN: &str = "plain-";

/// The name of the account that these settings speak for: it says nothing of the secret but where it comes from, but for [`UNWRITTEN`].
#[must_use]
pub fn key(settings: &RemoteSettings) -> Option<String> {
    Some(key_of(&Url::parse(&settings.url).ok()?, &settings.auth))
}

fn key_of(url: &Url, auth: &Auth) -> String {
    let (form, name) = match auth {
        Auth::None => ("none", ""),
        Auth::Basic { .. } => ("basic", auth.account()),
        Auth::Bearer { .. } => ("bearer", ""),
        Auth::Header { name, .. } => ("header", name.as_str()),
        Auth::Query { name, .. } => ("query", name.as_str()),
        Auth::OAuth2(auth) => ("oauth2", auth.client_id.as_str()),
    };
    let mut parts = vec![url.origin().ascii_serialization(), form.to_owned(), name.to_owned()];
    if let Auth::OAuth2(auth) = auth {
        parts.push(auth.tokens.to_string());
    }
    let mut before = "";
    // Who has a name is known by it, whatever the password is.
    match auth.secret().filter(|_| name.is_empty() || !matches!(auth, Auth::Basic { .. })) {
        Some(Secret::Command(words)) => {
            parts.push("command".into());
            parts.extend(words.iter().cloned());
        }
        Some(Secret::File(name)) => parts.extend(["file".into(), name.clone()]),
        Some(Secret::Env(name)) => parts.extend(["env".into(), name.clone()]),
        Some(Secret::Keyring(item)) => parts.extend(["keyring".into(), item.to_string()]),
        Some(Secret::Credential(name)) => parts.extend(["credential".into(), name.clone()]),
        Some(Secret::Plain(text)) => {
            before = UNWRITTEN;
            parts.push(text.clone());
        }
        None => {}
    }
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    format!("{before}{}", &hasher.finalize().to_hex()[..32])
}

impl Budgets {
    fn accounts(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Account>>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was known before this process began.
    pub fn remember(&self, known: Vec<(String, Known)>) {
        let mut accounts = self.accounts();
        for (key, known) in known.into_iter().take(limits::ACCOUNTS_MAX) {
            accounts.insert(key, self.new_account(Budget::new(known)));
        }
    }

    fn new_account(&self, budget: Budget) -> Arc<Account> {
        let state = Mutex::new(State { budget, ..State::default() });
        Arc::new(Account { state, moved: Notify::new(), learned: Arc::clone(&self.learned) })
    }

    /// The account of a remote whose secret was fetched: `proof` is what shows who we are.
    #[must_use]
    pub fn account(&self, url: &Url, auth: &Auth, proof: &[u8], now: Timestamp) -> Arc<Account> {
        let key = key_of(url, auth);
        let mark = (!proof.is_empty()).then(|| {
            let mut hasher = blake3::Hasher::new_keyed(&self.marks);
            hasher.update(url.origin().ascii_serialization().as_bytes()).update(b"\n").update(proof);
            hasher.finalize()
        });
        let mut accounts = self.accounts();
        let same = accounts.iter().find(|(other, account)| **other != key && mark.is_some() && account.state().mark == mark);
        // Another login still holds the secret that this one held so far: it was the same account, and is no more.
        let left = |known: &Arc<Account>| {
            let others = accounts.iter().any(|(other, account)| *other != key && Arc::ptr_eq(account, known));
            others && known.state().mark != mark
        };
        let account = match (same.map(|(_, account)| Arc::clone(account)), accounts.get(&key)) {
            (Some(same), _) => same,
            (None, Some(known)) if !left(known) => Arc::clone(known),
            (None, _) => self.new_account(Budget::default()),
        };
        {
            let mut state = account.state();
            (state.mark, state.asked) = (mark, now);
        }
        if accounts.len() >= limits::ACCOUNTS_MAX && !accounts.contains_key(&key) {
            let oldest = accounts.iter().min_by_key(|(_, account)| account.state().asked).map(|(key, _)| key.clone());
            oldest.map(|oldest| accounts.remove(&oldest));
        }
        accounts.insert(key, Arc::clone(&account));
        account
    }

    /// Waits until something was learned that was not written down yet.
    pub async fn learned(&self) {
        self.learned.notified().await;
    }

    /// What is known of each, to be written down.
    #[must_use]
    pub fn known(&self) -> Vec<(String, Known)> {
        let accounts = self.accounts();
        let written = accounts.iter().filter(|(key, _)| !key.starts_with(UNWRITTEN));
        written.map(|(key, account)| (key.clone(), account.state().budget.known().clone())).collect()
    }

    /// Every account once.
    #[must_use]
    pub fn shown(&self, now: Timestamp) -> Vec<Shown> {
        let mut seen: Vec<(Arc<Account>, Shown)> = Vec::new();
        for (key, account) in self.accounts().iter() {
            if let Some((_, shown)) = seen.iter_mut().find(|(one, _)| Arc::ptr_eq(one, account)) {
                shown.keys.push(key.clone());
                continue;
            }
            let state = account.state();
            let (known, flying, waiting) = (state.budget.shown(now), state.budget.flying(), state.waiting);
            seen.push((Arc::clone(account), Shown { keys: vec![key.clone()], known, flying, waiting }));
        }
        seen.into_iter().map(|(_, shown)| shown).collect()
    }
}

impl Account {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a remote that is open spends from: an account, in somebody's name.
#[derive(Clone)]
pub struct Purse {
    account: Arc<Account>,
    by: By,
    now: Clock,
    /// Headers of the service's own.
    own: Option<Own>,
    /// The limits that its last answer told: those that its requests fall under.
    of: Arc<Mutex<Vec<String>>>,
}

impl std::fmt::Debug for Purse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "purse of {:?}", self.by)
    }
}

impl Purse {
    /// For one remote.
    #[must_use]
    pub fn new(account: Arc<Account>, by: By, now: Clock, own: Option<Own>) -> Self {
        Self { account, by, now, own, of: Arc::default() }
    }

    fn of(&self) -> MutexGuard<'_, Vec<String>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a request may go. Dropped, it waits no more.
    ///
    /// # Errors
    /// It would wait longer than is waited in place ([`limits::BUDGET_WAIT_MAX`]).
    pub(super) async fn permit(&self, url: &Url) -> Result<Permit, Lost> {
        let patience = (self.now)().plus(limits::BUDGET_WAIT_MAX);
        let mut place = None;
        loop {
            // Before the look: what moves in between wakes us.
            let moved = self.account.moved.notified();
            let now = (self.now)();
            let wait = match self.look(now) {
                Verdict::Go(ticket) => return Ok(Permit { purse: self.clone(), ticket: Some(ticket) }),
                // Nobody can tell how long a request takes, and each has limits of its own.
                Verdict::Full => limits::SILENCE_MAX,
                Verdict::Wait(wait) if wait.until <= patience => wait.until.since(now).max(Duration::from_millis(1)),
                Verdict::Wait(wait) => return Err(Lost { error: refusal(url, &wait), sent: false }),
            };
            place.get_or_insert_with(|| Place::take(self));
            // Time that is over and a place that is free are looked at in the same way.
            let _ = tokio::time::timeout(wait, moved).await;
        }
    }

    fn look(&self, now: Timestamp) -> Verdict {
        let mut state = self.account.state();
        // Whoever is waited for by a person goes first.
        if self.by.class == Class::Background && state.waiting.interactive > 0 {
            return Verdict::Full;
        }
        state.budget.ask(now, self.by.class, &self.of())
    }

    /// The service wants nothing to be asked before a moment, which no header said.
    pub(super) fn quiet(&self, until: Timestamp) {
        self.account.state().budget.hush((self.now)(), until);
        self.account.learned.notify_one();
    }

    /// Until when nothing may be asked, as far as that is known.
    pub(super) fn until(&self) -> Option<Timestamp> {
        self.account.state().budget.spent((self.now)())
    }

    fn back(&self, ticket: Ticket, reply: Option<&Reply>) {
        let now = (self.now)();
        let mut answer = Answer { by: &self.by.sync, ..Answer::default() };
        let told =
            reply.map(|reply| headers::told(&reply.headers, self.own.as_ref(), Clocks { now, server: reply.server_time() }));
        if let (Some(reply), Some(told)) = (reply, &told) {
            answer.told = told;
            answer.unchanged = reply.status == StatusCode::NOT_MODIFIED;
            answer.bytes = reply.body.len() as u64;
            // A service in trouble (503) speaks of itself, and not of what this account may.
            let of_ours = matches!(reply.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::FORBIDDEN);
            answer.quiet = reply.not_before(now).filter(|_| of_ours);
            if !told.is_empty() {
                *self.of() = names(told);
            }
        }
        self.account.state().budget.answered(ticket, now, &answer);
        self.account.moved.notify_waiters();
        self.account.learned.notify_one();
    }
}

/// Why nothing is sent.
fn refusal(url: &Url, wait: &Wait) -> RemoteError {
    let origin = url.origin().ascii_serialization();
    let of = |limit: Option<u64>| limit.map(|limit| format!(" of {limit}")).unwrap_or_default();
    let hint = "`mingle budget` shows what is left, and who used it";
    match wait.why {
        Why::Asked => RemoteError::new(Failure::Throttled(Some(wait.until)), format!("{origin} asks for patience")),
        Why::Spent { limit } => {
            let what = format!("{origin} has none{} requests left for us", of(limit));
            RemoteError::new(Failure::Throttled(Some(wait.until)), what).hint(hint)
        }
        Why::Kept { left, limit } => {
            let what =
                format!("{origin} has {left}{} requests left for us, and they are kept for what a person asks for", of(limit));
            RemoteError::new(Failure::Budget(wait.until), what).hint(hint)
        }
    }
}

/// A request that waits is counted.
struct Place {
    account: Arc<Account>,
    class: Class,
}

impl Place {
    fn take(purse: &Purse) -> Self {
        let place = Self { account: Arc::clone(&purse.account), class: purse.by.class };
        *place.count(&mut place.account.state().waiting) += 1;
        place
    }

    fn count<'a>(&self, waiting: &'a mut Waiting) -> &'a mut usize {
        match self.class {
            Class::Interactive => &mut waiting.interactive,
            Class::Background => &mut waiting.background,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *self.count(&mut self.account.state().waiting) -= 1;
        // Whoever stood back for it looks again.
        self.account.moved.notify_waiters();
    }
}

/// A request that may go, and is under way till it is answered or dropped.
#[must_use = "the request counts as lost"]
pub(super) struct Permit {
    purse: Purse,
    ticket: Option<Ticket>,
}

impl Permit {
    pub(super) fn answered(mut self, reply: &Reply) {
        if let Some(ticket) = self.ticket.take() {
            self.purse.back(ticket, Some(reply));
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.purse.back(ticket, None);
        }
    }
}

/// The host's name, as a person knows it; none: no such address.
#[must_use]
pub fn host(settings: &RemoteSettings) -> Option<String> {
    Some(Url::parse(&settings.url).ok()?.origin().ascii_serialization())
}

#[cfg(test)]
mod tests;
