//! Owns: the fake service spoken to as a remote: listings, reads, writes, with its faults and delays. Must never know: the engine.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use mingle_core::{
    record::Carried,
    replica::{
        Abilities, Action, Answer, Asked, ClientIds, Cursor as CoreCursor, Failure, From, Packed, Page, Precondition,
        RemoteError, Row, RowState,
    },
    time::Timestamp,
};
use mingled::{
    perform::Opener,
    remotes::{Greeting, Pending, Remote, budget::By},
};

use crate::service::{Character, Cursor, Held, Service, Version};

/// For so long a service promises to keep a key. It keeps it longer, so that a clock that is set back doubles nothing.
const KEY_KEPT: Duration = Duration::from_secs(120);

/// A service, as everybody reaches it.
pub type Shared = Arc<Mutex<Service>>;

/// Locks it.
pub fn lock(service: &Shared) -> MutexGuard<'_, Service> {
    service.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens the fake.
pub struct FakeOpener(pub Shared);

impl Opener for FakeOpener {
    fn open(&self, _: By) -> Pending<'_, Result<Arc<dyn Remote>, RemoteError>> {
        Box::pin(async move {
            let abilities = abilities(&lock(&self.0).character);
            let instance = lock(&self.0).instance;
            Ok(Arc::new(Fake { service: Arc::clone(&self.0), abilities, instance }) as Arc<dyn Remote>)
        })
    }
}

struct Fake {
    service: Shared,
    abilities: Abilities,
    /// Which instance the connection was made to.
    instance: u32,
}

/// What a service of this character can do.
pub fn abilities(character: &Character) -> Abilities {
    Abilities {
        cursor: match character.cursor {
            Cursor::Token => CoreCursor::Token,
            Cursor::Stamp => {
                let grain = u64::try_from(character.grain).unwrap_or(0);
                CoreCursor::Stamp { overlap: Duration::from_millis(2 * grain + 5_000) }
            }
            Cursor::Whole => CoreCursor::None,
        },
        tombstones: character.tombstones,
        strong_revision: character.conditional,
        conditional: character.conditional,
        client_ids: character.client_ids.then(|| ClientIds { besides: "-_".into(), lower_case: false, min: 1, max: 64 }),
        key_kept: (character.keys && !character.client_ids).then_some(KEY_KEPT),
        batch_max: character.batch,
        carried: character.lacks.map_or(Carried::All, |lacks| Carried::AllBut([lacks.to_owned()].into())),
        fills_in: character.later.is_some(),
        later: character.later.into_iter().map(|name| (name.to_owned(), None)).collect(),
        modified_grain: Some(Duration::from_millis(u64::try_from(character.grain).unwrap_or(0))),
        errands_max: character.errands_max,
        page_rows: character.page_rows,
        ..Abilities::least()
    }
}

/// Ready after being asked so many times.
struct After(usize);

impl Future for After {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.0 == 0 {
            return Poll::Ready(());
        }
        self.0 -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Fake {
    /// A piece of time in which anything else may happen. Where writes are not conditional, what lies between a guarded re-read and
    /// its write is a gap that nobody can close (the design says so), so the simulation leaves it out.
    async fn pause(&self, guarded: bool) {
        if guarded && !self.abilities.conditional {
            return;
        }
        let long = {
            let mut service = lock(&self.service);
            let busy = service.faults.lost > 0;
            if busy && service.chance.one_in(3) { 1 + service.chance.below(3) } else { 0 }
        };
        After(long).await;
    }

    /// A request: either it does not arrive, or `work` is done and its answer comes back, or is lost.
    async fn request<T>(&self, name: &str, work: impl FnOnce(&mut Service) -> Result<T, RemoteError>) -> Result<T, Lost> {
        self.pause(name == "send").await;
        let done = {
            let mut service = lock(&self.service);
            let hung_up = (service.instance != self.instance)
                .then(|| RemoteError::new(Failure::Broken, "the service was started anew, and hung up"));
            if let Some(error) = hung_up.or_else(|| refusal(&mut service)) {
                service.say(|| format!("  {name}: {error}"));
                return Err(Lost { error, done: false });
            }
            let done = work(&mut service);
            let odds = service.faults.lost;
            let lost = service.chance.one_in(odds) || (name == "send" && std::mem::take(&mut service.lose_next));
            if lost {
                service.say(|| format!("  {name}: done, and the answer is lost"));
                Err(Lost { error: RemoteError::new(Failure::Broken, "the answer was lost"), done: true })
            } else {
                done.map_err(|error| Lost { error, done: false })
            }
        };
        self.pause(name == "get").await;
        done
    }
}

impl Fake {
    /// Whether a create stays under way, for longer than anybody waits for it.
    fn holds_back(&self, action: &Action) -> bool {
        let mut service = lock(&self.service);
        if !matches!(action, Action::Create { .. }) || service.instance != self.instance || service.locked {
            return false;
        }
        let odds = service.faults.late;
        let by_chance = service.chance.one_in(odds).then(|| [500, 5_000, 50_000][service.chance.below(3)]);
        let Some(ms) = service.hold_next.take().or(by_chance) else { return false };
        let held = Held { at: service.now + ms, action: action.clone(), instance: service.instance };
        service.say(|| format!("  send {}: held back for {ms} ms", crate::trace::action(action)));
        service.held.push(held);
        true
    }
}

/// What was held back and arrives now.
pub fn arrivals(service: &mut Service) {
    let now = service.now;
    let (arrive, held) = std::mem::take(&mut service.held).into_iter().partition::<Vec<Held>, _>(|held| held.at <= now);
    service.held = held;
    for Held { action, instance, .. } in arrive {
        // What was made by another request and is deleted there since would be made again: no client can know, so it is left out.
        let was_there = |id: &String| service.rows.contains_key(id) && service.present(id).is_none();
        let undoes = matches!(&action, Action::Create { remote_id: Some(id), .. } if was_there(id));
        if instance == service.instance && !undoes {
            service.say(|| "  arrives late:".into());
            send(service, &action);
        }
    }
}

struct Lost {
    error: RemoteError,
    /// It may have been done.
    done: bool,
}

fn refusal(service: &mut Service) -> Option<RemoteError> {
    let faults = service.faults;
    if service.locked {
        return Some(RemoteError::new(Failure::NeedsLogin, "401"));
    }
    if service.chance.one_in(faults.offline) {
        return Some(RemoteError::new(Failure::Offline, "no route"));
    }
    if service.chance.one_in(faults.throttled) {
        let until = service.chance.one_in(2).then(|| Timestamp::from_unix_ms(service.now + 3_000));
        return Some(RemoteError::new(Failure::Throttled(until), "429"));
    }
    if service.chance.one_in(faults.trouble) {
        return Some(RemoteError::new(Failure::Server, "503"));
    }
    None
}

impl Remote for Fake {
    fn abilities(&self) -> &Abilities {
        &self.abilities
    }

    fn greet(&self) -> Pending<'_, Result<Greeting, RemoteError>> {
        Box::pin(async move {
            let greeting = self.request("greet", |service| {
                let time = service.now + service.character.date_ahead;
                Ok(Greeting { instance: format!("i{}", service.instance), server_time: Some(Timestamp::from_unix_ms(time)) })
            });
            greeting.await.map_err(|lost| lost.error)
        })
    }

    fn list<'a>(&'a self, from: &'a From, page: Option<&'a str>, rows: usize) -> Pending<'a, Result<Page, RemoteError>> {
        Box::pin(async move { self.request("list", |service| list(service, from, page, rows)).await.map_err(|lost| lost.error) })
    }

    fn get<'a>(&'a self, remote_id: &'a str) -> Pending<'a, Result<Asked, RemoteError>> {
        Box::pin(async move {
            let asked = self.request("get", |service| {
                let found = service.present(remote_id).filter(|_| !service.blind);
                let row = found.map(|version| row(service, remote_id, version));
                service.say(|| format!("  get {remote_id}: {}", row.as_ref().map_or("gone".into(), shown)));
                Ok(row.map_or(Asked::Gone, Asked::There))
            });
            asked.await.map_err(|lost| lost.error)
        })
    }

    fn send<'a>(&'a self, action: &'a Action) -> Pending<'a, Answer> {
        Box::pin(async move {
            if self.holds_back(action) {
                self.pause(false).await;
                return Answer::Unknown(RemoteError::new(Failure::Broken, "no answer in time"));
            }
            let sent = self.request("send", |service| {
                let odds = service.faults.twice;
                let create = matches!(action, Action::Create { .. });
                if create && (service.chance.one_in(odds) || std::mem::take(&mut service.double_next)) {
                    send(service, action);
                }
                Ok(send(service, action))
            });
            match sent.await {
                Ok(answer) => answer,
                Err(lost) => doubt(lost),
            }
        })
    }

    fn send_together<'a>(&'a self, actions: &'a [Action]) -> Pending<'a, Vec<Answer>> {
        Box::pin(async move {
            let done = self.request("send", |service| {
                // It may break in the middle.
                let odds = service.faults.trouble;
                let cut = if service.chance.one_in(odds) { service.chance.below(actions.len()) } else { actions.len() };
                let answers: Vec<Answer> = actions[..cut].iter().map(|action| send(service, action)).collect();
                if cut < actions.len() { Err(RemoteError::new(Failure::Server, "500 in the middle")) } else { Ok(answers) }
            });
            match done.await {
                Ok(answers) => answers,
                Err(lost) => vec![doubt(lost); actions.len()],
            }
        })
    }
}

fn doubt(lost: Lost) -> Answer {
    match lost {
        Lost { error, done: true } => Answer::Unknown(error),
        Lost { error, .. } if error.kind == Failure::Server => Answer::Unknown(error),
        Lost { error, .. } => Answer::Unsent(error),
    }
}

/// A row as it is shown.
fn row(service: &Service, id: &str, version: &Version) -> Row {
    let character = &service.character;
    let state = match &version.props {
        _ if version.poison => RowState::Unreadable("a date is no date".into()),
        Some(props) => RowState::Live(props.clone()),
        None => RowState::Gone,
    };
    Row {
        remote_id: id.to_owned(),
        revision: if character.conditional {
            Some(format!("e{}", version.rev))
        } else {
            // A stamp written down as a revision, as many services do.
            Some(format!("t{}", version.stamp))
        },
        modified: Some(Timestamp::from_unix_ms(version.stamp)),
        created: character.tells_created.then(|| Timestamp::from_unix_ms(version.created)),
        state,
    }
}

fn shown(row: &Row) -> String {
    let state = match &row.state {
        RowState::Live(props) => crate::trace::props(props),
        RowState::Gone => "gone".into(),
        RowState::Unreadable(_) => "unreadable".into(),
    };
    format!("{}@{}{{{state}}}", row.remote_id, row.revision.as_deref().unwrap_or("-"))
}

fn list(service: &mut Service, from: &From, page: Option<&str>, rows: usize) -> Result<Page, RemoteError> {
    let faults = service.faults;
    if service.blind {
        return Err(RemoteError::new(Failure::Denied, "404"));
    }
    let not_first = page.is_some() || *from != From::Start;
    if not_first && service.chance.one_in(faults.refuses_cursor) {
        service.say(|| "  list: cursor refused".into());
        return Err(RemoteError::new(Failure::CheckpointRefused, "410"));
    }
    let now = service.now;
    let mut all: Vec<(String, Version)> = Vec::new();
    let mut hidden = u64::MAX;
    for (id, versions) in &service.rows {
        for version in versions.iter().filter(|version| version.shown_from > now) {
            hidden = hidden.min(version.rev);
        }
        let Some(version) = versions.iter().rev().find(|version| version.shown_from <= now) else { continue };
        all.push((id.clone(), version.clone()));
    }
    let live = |version: &Version| version.props.is_some();
    // Everything up to here is shown.
    let token = service.rev.min(hidden.saturating_sub(1));
    let mut listed =
        Page { server_time: Some(Timestamp::from_unix_ms(now + service.character.date_ahead)), told: 100, ..Page::default() };
    match (service.character.cursor, from) {
        (Cursor::Token, From::Token(since)) => {
            let since: u64 = since.parse().unwrap_or(0);
            let told = |version: &Version| live(version) || service.character.tombstones;
            all.retain(|(id, version)| version.rev > since && told(version) && !service.untold.contains(id));
            all.sort_by_key(|(_, version)| version.rev);
            listed.token = Some(token.to_string());
        }
        (Cursor::Token, _) => {
            all.retain(|(_, version)| live(version));
            all.sort_by_key(|(_, version)| version.rev);
            listed.token = Some(token.to_string());
        }
        (Cursor::Stamp, From::Stamp(since)) => {
            all.retain(|(_, version)| version.stamp >= since.unix_ms() && (live(version) || service.character.tombstones));
            all.sort_by(|(a, x), (b, y)| (x.stamp, a).cmp(&(y.stamp, b)));
        }
        (Cursor::Stamp, _) => {
            all.retain(|(_, version)| live(version));
            all.sort_by(|(a, x), (b, y)| (x.stamp, a).cmp(&(y.stamp, b)));
        }
        (Cursor::Whole, _) => all.retain(|(_, version)| live(version)),
    }
    // Pages go on behind a key, or (where listings are whole) at an offset, which moves with what is deleted before it.
    let skip = match (page, service.character.cursor) {
        (None, _) => 0,
        (Some(page), Cursor::Token) => {
            let after: u64 = page.parse().unwrap_or(0);
            all.iter().filter(|(_, version)| version.rev <= after).count()
        }
        (Some(page), Cursor::Stamp) => {
            let (stamp, id) = page.split_once(' ').unwrap_or_default();
            let stamp: i64 = stamp.parse().unwrap_or(0);
            all.iter().filter(|(of, version)| (version.stamp, of.as_str()) <= (stamp, id)).count()
        }
        (Some(page), Cursor::Whole) => page.parse().unwrap_or(0),
    };
    let rows = rows.max(1);
    let taken: Vec<(String, Version)> = all.iter().skip(skip).take(rows).cloned().collect();
    if skip + taken.len() < all.len()
        && let Some((id, last)) = taken.last()
    {
        listed.next = Some(match service.character.cursor {
            Cursor::Token => last.rev.to_string(),
            Cursor::Stamp => format!("{} {id}", last.stamp),
            Cursor::Whole => (skip + taken.len()).to_string(),
        });
    }
    listed.rows = taken.iter().map(|(id, version)| Packed::of(&row(service, id, version))).collect();
    misbehave(service, from, &mut listed);
    service.say(|| {
        let rows: Vec<String> = listed.rows.iter().map(|row| shown(&row.open())).collect();
        format!("  list {from:?} page {page:?}: {} next {:?} token {:?}", rows.join(" "), listed.next, listed.token)
    });
    Ok(listed)
}

fn misbehave(service: &mut Service, from: &From, listed: &mut Page) {
    let faults = service.faults;
    if listed.rows.is_empty() {
        return;
    }
    // What a cursor steps over is only found by a whole listing; there, a row is left out or all of them are.
    if *from == From::Start && service.character.cursor == Cursor::Whole {
        if service.chance.one_in(faults.skips) {
            let at = service.chance.below(listed.rows.len());
            listed.rows.remove(at);
        }
        if service.chance.one_in(faults.empty) {
            listed.rows.clear();
            listed.next = None;
        }
    }
    if service.chance.one_in(faults.doubles)
        && let Some(first) = listed.rows.first().cloned()
    {
        listed.rows.push(first);
    }
}

fn send(service: &mut Service, action: &Action) -> Answer {
    let conditional = service.character.conditional;
    let answer = match action {
        Action::Create { whole, key: Some(key), .. } if service.answered.contains_key(key) => {
            let (before, answer) = service.answered[key].clone();
            if before == *whole { answer } else { Answer::Refused("422 another request under the same key".into()) }
        }
        Action::Create { remote_id, whole, key } => {
            if let Some(id) = remote_id
                && let Some(version) = service.present(id)
            {
                let row = row(service, id, version);
                Answer::Stale(service.chance.one_in(2).then_some(row))
            } else if bad(whole) {
                Answer::Refused("422 no bad values".into())
            } else {
                let id = remote_id.clone().unwrap_or_else(|| service.new_id());
                service.writes += 1;
                let mut made = whole.clone();
                made.retain(|name, _| service.character.later != Some(name.as_str()));
                service.store(&id, Some(made));
                let answer = taken(service, &id);
                if let Some(key) = key {
                    service.answered.insert(key.clone(), (whole.clone(), answer.clone()));
                }
                answer
            }
        }
        Action::Update { remote_id, patch, whole, unless_moved } => match service.present(remote_id).cloned() {
            None => Answer::Gone,
            Some(version) if conditional && moved(&version, unless_moved) => stale(service, remote_id, &version),
            Some(_) if bad(whole) => Answer::Refused("422 no bad values".into()),
            Some(version) => {
                let mut props = version.props.unwrap_or_default();
                for (name, value) in patch {
                    match value {
                        Some(value) => props.insert(name.clone(), value.clone()),
                        None => props.remove(name),
                    };
                }
                service.writes += 1;
                service.store(remote_id, Some(props));
                taken(service, remote_id)
            }
        },
        Action::Delete { remote_id, unless_moved } => match service.present(remote_id).cloned() {
            None => Answer::Gone,
            Some(version) if conditional && moved(&version, unless_moved) => stale(service, remote_id, &version),
            Some(_) => {
                service.writes += 1;
                service.store(remote_id, None);
                Answer::Taken(None)
            }
        },
    };
    service.say(|| format!("  send {}: {}", crate::trace::action(action), crate::trace::answer(&answer)));
    answer
}

fn bad(props: &mingle_core::record::Props) -> bool {
    props.values().any(|value| matches!(value, mingle_core::record::Value::Text(text) if text.starts_with("bad")))
}

fn moved(version: &Version, unless_moved: &Precondition) -> bool {
    matches!(unless_moved, Precondition::Revision(revision) if *revision != format!("e{}", version.rev))
}

fn stale(service: &mut Service, id: &str, version: &Version) -> Answer {
    let row = row(service, id, version);
    Answer::Stale(service.chance.one_in(2).then_some(row))
}

fn taken(service: &mut Service, id: &str) -> Answer {
    let silent = service.character.silent;
    let row = service.present(id).map(|version| row(service, id, version));
    Answer::Taken(row.filter(|_| !service.chance.one_in(silent)))
}
