//! Owns: what the daemon sends unasked. Must never know: who listens.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    Raw, Time,
    call::{
        Change, DaemonState, Hold, RunReset, RunResult, RunStatus, ScheduleState, SessionMode, SessionState, Side, Topic, Trouble,
    },
    words::words,
};

/// The notifications, as METHODS are the calls.
pub const NOTIFICATIONS: &[&str] = &[Changed::METHOD, Event::METHOD, Work::METHOD, WorkStop::METHOD];

/// `changed`: one page of a subscription's feed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Changed {
    /// Of which.
    pub subscription: u64,
    /// One for each record, its last state.
    pub changes: Vec<Change>,
    /// The position behind this page: the `since` of a reconnect.
    pub seq: u64,
    /// Whether the view is not whole yet.
    pub more: bool,
    /// Begins anew here: what the app had is void.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fresh: bool,
}

impl Changed {
    /// Its name on the wire.
    pub const METHOD: &str = "changed";
}

/// `work`: an app that offered is called to do some.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Work {
    /// Its name, never used again; batches and the end of it name it.
    pub work: String,
    /// For which sync.
    pub sync: String,
    /// As which remote.
    pub remote: String,
    /// The remote's container, as the sync has it.
    pub resource: String,
    /// The last checkpoint that was kept; null: everything is wanted.
    pub checkpoint: Raw,
    /// It is ended so long after it began; left out: at no time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
}

impl Work {
    /// Its name on the wire.
    pub const METHOD: &str = "work";
}

/// `work.stop`: a work is not wanted any more; nothing of it is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WorkStop {
    /// Which.
    pub work: String,
}

impl WorkStop {
    /// Its name on the wire.
    pub const METHOD: &str = "work.stop";
}

/// `event`: one event of a topic. Flat on the wire: `{subscription, topic, at, ...}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Of which.
    pub subscription: u64,
    /// When.
    pub at: Time,
    /// What.
    pub body: Body,
}

/// What happened, by topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Topic `run`.
    Run(RunEvent),
    /// Topic `sync`.
    Sync(SyncEvent),
    /// Topic `conflict`.
    Conflict(ConflictEvent),
    /// Topic `rejection`.
    Rejection(RejectionEvent),
    /// Topic `attention`.
    Attention(AttentionEvent),
    /// Topic `session`.
    Session(SessionEvent),
    /// Topic `invite`.
    Invite(InviteEvent),
}

words! {
    /// Where a run is in its life.
    #[derive(Default)]
    pub enum RunStep {
        /// Asked for, and waits.
        Queued = "queued",
        /// It began.
        Started = "started",
        /// It goes on; only the latest is sent.
        #[default]
        Progress = "progress",
        /// It ended, whichever way: `status` says it.
        Finished = "finished",
    }
}

/// A run began, goes on, or ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RunEvent {
    /// Where it is.
    pub step: RunStep,
    /// `r-...`.
    pub run: String,
    /// Of which sync.
    pub sync: String,
    /// How it stands.
    pub status: RunStatus,
    /// `progress`: `down`, `up`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// `progress`: records of this phase that are done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<u64>,
    /// `progress`: of how many, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// `finished`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<RunResult>,
    /// `finished`: what ended it early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<String>,
    /// `finished`: why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Trouble>,
}

/// A sync is in another state, or (no `sync`) the daemon as a whole is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SyncEvent {
    /// Which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<String>,
    /// Of the sync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<ScheduleState>,
    /// Of the daemon: `stopped` ends what `stop` began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daemon: Option<DaemonState>,
    /// Why it does not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// When it is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Time>,
    /// A reset of it began: what becomes of what is here, why, and the store as it was before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset_began: Option<Box<RunReset>>,
    /// A reset of it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset_ended: Option<ResetEnded>,
}

/// What a reset of a sync came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ResetEnded {
    /// Records with changes that were not sent, which are recorded as discarded, and gone.
    pub discarded: u64,
    /// Conflicts that it recorded, open or decided.
    pub conflicts: u64,
}

/// A conflict came, or was resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConflictEvent {
    /// Its id: `c-...`.
    pub conflict: String,
    /// It waits for a decision.
    pub open: bool,
    /// Of the record.
    pub collection: String,
    /// The record.
    pub id: String,
    /// None: a delete met an edit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub property: Option<String>,
}

/// A rejection came, or was resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RejectionEvent {
    /// Its id: `j-...`.
    pub rejection: String,
    /// It stands.
    pub open: bool,
    /// What kind it is.
    pub side: Side,
    /// Which sync.
    pub sync: String,
    /// Of the record.
    pub collection: String,
    /// The record, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What is wrong, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
}

/// Something needs a person, or no longer does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AttentionEvent {
    /// Stable, for code.
    pub name: String,
    /// The sync, the remote or the thing.
    pub about: String,
    /// It still needs one.
    pub open: bool,
    /// Since when.
    pub since_at: Time,
    /// What to do.
    pub hint: String,
}

/// A session of an app began (`negotiating`, `pushing`), goes on (`pulling`), or is over (`finished`, `cancelled`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionEvent {
    /// Its id: `s-...`.
    pub session: String,
    /// Whose.
    pub app: String,
    /// Where it is.
    pub state: SessionState,
    /// How it goes on.
    pub mode: SessionMode,
    /// Of what.
    pub collections: Vec<String>,
}

/// An app begins a session and invites this one to take part: `session.join` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InviteEvent {
    /// Its id, which `session.join` names.
    pub session: String,
    /// Who invites.
    pub app: String,
    /// Of what.
    pub collections: Vec<String>,
    /// Until when an answer is waited for.
    pub until_at: Time,
}

impl Event {
    /// Its name on the wire.
    pub const METHOD: &str = "event";

    /// Its topic.
    #[must_use]
    pub const fn topic(&self) -> Topic {
        match self.body {
            Body::Run(_) => Topic::Run,
            Body::Sync(_) => Topic::Sync,
            Body::Conflict(_) => Topic::Conflict,
            Body::Rejection(_) => Topic::Rejection,
            Body::Attention(_) => Topic::Attention,
            Body::Session(_) => Topic::Session,
            Body::Invite(_) => Topic::Invite,
        }
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Event {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Event".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let body = |topic: Topic, schema: schemars::Schema| serde_json::json!({ "properties": { "topic": { "const": topic.word() } }, "allOf": [schema] });
        let bodies = [
            body(Topic::Run, generator.subschema_for::<RunEvent>()),
            body(Topic::Sync, generator.subschema_for::<SyncEvent>()),
            body(Topic::Conflict, generator.subschema_for::<ConflictEvent>()),
            body(Topic::Rejection, generator.subschema_for::<RejectionEvent>()),
            body(Topic::Attention, generator.subschema_for::<AttentionEvent>()),
            body(Topic::Session, generator.subschema_for::<SessionEvent>()),
            body(Topic::Invite, generator.subschema_for::<InviteEvent>()),
        ];
        let topic = generator.subschema_for::<Topic>();
        schemars::json_schema!({
            "type": "object",
            "description": "One event of a topic, flat.",
            "properties": { "subscription": { "type": "integer" }, "topic": topic, "at": { "type": "string" } },
            "required": ["subscription", "topic", "at"],
            "oneOf": bodies
        })
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        // Flattening is safe in this direction; reading through it would lose numbers that keep their written form.
        #[derive(Serialize)]
        struct Flat<'a, T> {
            subscription: u64,
            topic: Topic,
            at: &'a Time,
            #[serde(flatten)]
            body: &'a T,
        }
        fn flat<S: Serializer, T: Serialize>(event: &Event, body: &T, to: S) -> Result<S::Ok, S::Error> {
            Flat { subscription: event.subscription, topic: event.topic(), at: &event.at, body }.serialize(to)
        }
        match &self.body {
            Body::Run(body) => flat(self, body, to),
            Body::Sync(body) => flat(self, body, to),
            Body::Conflict(body) => flat(self, body, to),
            Body::Rejection(body) => flat(self, body, to),
            Body::Attention(body) => flat(self, body, to),
            Body::Session(body) => flat(self, body, to),
            Body::Invite(body) => flat(self, body, to),
        }
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Head {
            subscription: u64,
            topic: Topic,
            at: Time,
        }
        // The same text is read twice, first for its topic: see `serialize`.
        let raw = Raw::deserialize(from)?;
        let read = || {
            let head: Head = serde_json::from_str(raw.get())?;
            let body = match head.topic {
                Topic::Run => Body::Run(serde_json::from_str(raw.get())?),
                Topic::Sync => Body::Sync(serde_json::from_str(raw.get())?),
                Topic::Conflict => Body::Conflict(serde_json::from_str(raw.get())?),
                Topic::Rejection => Body::Rejection(serde_json::from_str(raw.get())?),
                Topic::Attention => Body::Attention(serde_json::from_str(raw.get())?),
                Topic::Session => Body::Session(serde_json::from_str(raw.get())?),
                Topic::Invite => Body::Invite(serde_json::from_str(raw.get())?),
            };
            Ok(Self { subscription: head.subscription, at: head.at, body })
        };
        read().map_err(|why: serde_json::Error| serde::de::Error::custom(why))
    }
}
