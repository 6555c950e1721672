//! Owns: what a law needs of a service: how it is opened, and a way to look and change behind the remote's back.
//! Must never know: which services there are.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use mingle_core::{
    record::{Likeness, Props, Value, same_props},
    replica::{Abilities, Action, Answer, From, Packed, Page, Precondition, Row, RowState},
    time::Timestamp,
};
use mingled::{
    json,
    remotes::{
        self, Means, Opening, Remote,
        http::{Client, Patience},
        settings::{Auth, RemoteSettings, Secret},
        wrap,
    },
};

/// A service with one resource of its own for each test.
pub struct Bench {
    /// How it is reached.
    pub settings: RemoteSettings,
    /// The resource; empty at first.
    pub resource: String,
    /// A resource that is not there.
    pub wrong_resource: String,
    /// Or, where a resource always is, an address where none is.
    pub wrong_url: Option<String>,
    /// Who is nobody there.
    pub stranger: Auth,
    /// Whether it asks for credentials at all.
    pub asks_for_credentials: bool,
    /// Whether it can tell that another server is none of its kind.
    pub tells_kinds_apart: bool,
    /// It tells what changed since a token, if its kind has tokens.
    pub tells_changes: bool,
    /// Its rows show when they were changed, where their kind has room for that.
    pub shows_when: bool,
    /// What a law's record is here: a service may have names and types of its own.
    pub fit: fn(serde_json::Value) -> serde_json::Value,
    /// What the service shows in a record besides what was put into it.
    pub shows: &'static [&'static str],
    /// The folder of its configuration.
    pub folder: tempfile::TempDir,
    /// Another user of the service.
    pub other: Box<dyn Other>,
}

/// Another user of the service: what it does and sees does not pass through the remote.
pub trait Other {
    /// The id of the record that a law calls so.
    fn id(&self, name: &str) -> String {
        name.to_owned()
    }
    /// Puts a whole record.
    fn put(&self, name: &str, record: &serde_json::Value);
    /// Deletes one.
    fn delete(&self, name: &str);
    /// Every record by its id, without what the service shows besides, and without nulls.
    fn rows(&self) -> BTreeMap<String, serde_json::Value>;
}

/// A service that takes records as they are.
pub fn as_it_is(record: serde_json::Value) -> serde_json::Value {
    record
}

/// The account of a bench that has one.
pub fn login((username, password): (&str, &str)) -> Auth {
    Auth::Basic { username: username.into(), password: Secret::Plain(password.into()) }
}

/// The settings of a bench of kind `rest`.
pub fn settings(profile: &str, url: &str) -> RemoteSettings {
    RemoteSettings { kind: "rest".into(), profile: Some(profile.into()), url: url.into(), ..RemoteSettings::default() }
}

/// What remotes are opened with here: hasty, so that silence is over soon.
pub fn means(config_dir: PathBuf) -> Means {
    let patience = Patience { connect: Duration::from_secs(5), silence: Duration::from_secs(20), ..Patience::default() };
    Means {
        http: Client::new(patience).expect("HTTP"),
        now: Arc::new(now),
        config_dir,
        workers: Arc::default(),
        places: Arc::default(),
        logins: Arc::default(),
    }
}

/// Our clock.
pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).expect("a clock after 1970");
    Timestamp::from_unix_ms(i64::try_from(since.as_millis()).expect("a clock of this age"))
}

/// Whether a law found what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Say {
    /// It did, and held the service to it.
    Had,
    /// The service promises nothing of the kind.
    Nothing,
}

/// Runs a law on a bench.
pub fn run<F: Future<Output = Say>>(bench: fn() -> Bench, law: fn(Bench) -> F) -> Say {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let limit = Duration::from_secs(60);
    runtime.block_on(async { tokio::time::timeout(limit, law(bench())).await }).expect("an end within a minute")
}

impl Bench {
    /// A law's record as this service has it.
    pub fn fits(&self, text: &str) -> String {
        (self.fit)(plain(text)).to_string()
    }

    /// The other user puts a law's record.
    pub fn put(&self, name: &str, text: &str) {
        self.other.put(name, &(self.fit)(plain(text)));
    }

    /// The id of the record that a law calls so.
    pub fn id(&self, name: &str) -> String {
        self.other.id(name)
    }

    /// The row of the record that a law calls so.
    pub async fn there(&self, remote: &dyn Remote, name: &str) -> Row {
        there(remote, &self.id(name)).await
    }

    /// Makes a law's record.
    pub async fn create(&self, remote: &dyn Remote, id: Option<&str>, text: &str) -> Answer {
        create(remote, id, &self.fits(text)).await
    }

    /// What changes a record, that was as `row` shows, to a law's.
    pub fn change(&self, remote: &dyn Remote, row: &Row, text: &str) -> Action {
        let mut whole = held(row).clone();
        whole.retain(|name, _| self.shows.contains(&name.as_str()));
        whole.extend(props(&self.fits(text)));
        change(remote, row, &json::write(&whole))
    }

    /// Changes a record, that was as `row` shows, to a law's.
    pub async fn update(&self, remote: &dyn Remote, row: &Row, text: &str) -> Answer {
        carry(remote, &self.change(remote, row, text)).await
    }

    /// Checks that a row holds a law's record.
    #[track_caller]
    pub fn holds(&self, row: &Row, text: &str) {
        let (mut shown, wanted) = (held(row).clone(), props(&self.fits(text)));
        shown.retain(|name, _| !self.shows.contains(&name.as_str()));
        assert!(same_props(&shown, &wanted, Likeness::default()), "{shown:?} is not {wanted:?}");
    }

    /// Checks that the other user sees these records and no others.
    #[track_caller]
    pub fn has(&self, expect: &[(&str, &str)]) {
        let expect: BTreeMap<_, _> = expect.iter().map(|(name, text)| (self.id(name), (self.fit)(plain(text)))).collect();
        assert_eq!(self.other.rows(), expect);
    }

    /// Opens the resource.
    pub async fn open(&self) -> Box<dyn Remote> {
        self.open_as(&self.settings, &self.resource).await
    }

    /// Opens the resource that is not there.
    pub async fn open_wrong(&self) -> Box<dyn Remote> {
        let mut settings = self.settings.clone();
        if let Some(url) = &self.wrong_url {
            settings.url.clone_from(url);
        }
        self.open_as(&settings, &self.wrong_resource).await
    }

    /// Opens a resource with these settings.
    pub async fn open_as(&self, settings: &RemoteSettings, resource: &str) -> Box<dyn Remote> {
        let means = means(self.folder.path().to_path_buf());
        remotes::open(Opening { settings: settings.clone(), resource: resource.into(), place: Default::default(), means })
            .await
            .expect("settings that fit")
    }
}

/// Reads a record.
pub fn props(text: &str) -> Props {
    json::parse_object(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A record as the other user writes it.
pub fn plain(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Every page from somewhere.
pub async fn all(remote: &dyn Remote, from: &From, page_rows: usize) -> (Vec<Row>, Vec<Page>) {
    let (mut rows, mut pages, mut next) = (Vec::new(), Vec::new(), None::<String>);
    loop {
        let page = remote.list(from, next.as_deref(), page_rows).await.unwrap_or_else(|error| panic!("{error}"));
        rows.extend(page.rows.iter().map(Packed::open));
        next.clone_from(&page.next);
        pages.push(page);
        assert!(pages.len() < 100, "the listing does not end");
        if next.is_none() {
            return (rows, pages);
        }
    }
}

/// The row of this id, which must be live and there.
pub async fn there(remote: &dyn Remote, id: &str) -> Row {
    match remote.get(id).await {
        Ok(mingle_core::replica::Asked::There(row)) => row,
        other => panic!("{id} should be there: {other:?}"),
    }
}

/// What a row holds.
pub fn held(row: &Row) -> &Props {
    match &row.state {
        RowState::Live(props) => props,
        other => panic!("{} should be live: {other:?}", row.remote_id),
    }
}

/// What an update of this row takes for granted, by what the remote can do.
pub fn guard(abilities: &Abilities, row: &Row) -> Precondition {
    if abilities.conditional {
        Precondition::Revision(row.revision.clone().expect("a revision"))
    } else {
        Precondition::Reread(held(row).clone())
    }
}

/// Carries one change.
pub async fn carry(remote: &dyn Remote, action: &Action) -> Answer {
    let mut answers = wrap::carry(remote, std::slice::from_ref(action)).await;
    assert_eq!(answers.len(), 1);
    answers.remove(0)
}

/// What changes a record that was as `row` shows.
pub fn change(remote: &dyn Remote, row: &Row, to: &str) -> Action {
    let (before, whole) = (held(row), props(to));
    let changed = whole
        .iter()
        .filter(|(name, value)| before.get(*name) != Some(value))
        .map(|(name, value)| (name.clone(), Some(value.clone())));
    let cleared = before.keys().filter(|name| !whole.contains_key(*name)).map(|name| (name.clone(), None::<Value>));
    let patch = changed.chain(cleared).collect();
    let unless_moved = guard(remote.abilities(), row);
    Action::Update { remote_id: row.remote_id.clone(), patch, whole, unless_moved }
}

/// Changes a record that was as `row` shows.
pub async fn update(remote: &dyn Remote, row: &Row, to: &str) -> Answer {
    carry(remote, &change(remote, row, to)).await
}

/// Deletes a record that was as `row` shows.
pub async fn delete(remote: &dyn Remote, row: &Row) -> Answer {
    let unless_moved = guard(remote.abilities(), row);
    carry(remote, &Action::Delete { remote_id: row.remote_id.clone(), unless_moved }).await
}

/// Makes a record.
pub async fn create(remote: &dyn Remote, id: Option<&str>, record: &str) -> Answer {
    carry(remote, &Action::Create { remote_id: id.map(str::to_owned), whole: props(record), key: None }).await
}

/// The row of an answer that says it was done.
#[track_caller]
pub fn taken(answer: Answer) -> Row {
    match answer {
        Answer::Taken(Some(row)) | Answer::ReadBack { read: row, .. } => row,
        other => panic!("should be taken, with the row: {other:?}"),
    }
}

/// The row of an answer that says it moved.
#[track_caller]
pub fn stale(answer: Answer) -> Row {
    match answer {
        Answer::Stale(Some(row)) => row,
        other => panic!("should be stale, with the row: {other:?}"),
    }
}
