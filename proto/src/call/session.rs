//! Owns: the words of sessions: how an app that keeps its own copy pushes, mingles and pulls. Must never know: how they are kept.

use serde::{Deserialize, Serialize};

use super::{ChangeKind, is_false, object};
use crate::{
    Raw,
    words::{choice, words},
};

choice! {
    /// How an app that keeps a copy and the truth find out what differs.
    pub enum SessionMode {
        /// The app pushes what it changed since.
        Fast = "fast",
        /// The app pushes everything; what it had accepted and does not push was deleted there.
        Slow = "slow",
        /// The app pushes everything; nothing is taken for deleted, and nothing is known of what it had.
        Refresh = "refresh",
        /// The truth takes the place of what the app has.
        PullTruth = "pull_truth",
        /// What the app has takes the place of the truth.
        PushTruth = "push_truth",
    }
}

words! {
    /// Where a session is.
    pub enum SessionState {
        /// It waits for those who were invited.
        Negotiating = "negotiating",
        /// The app says what it changed.
        Pushing = "pushing",
        /// What was pushed meets the truth.
        Mingling = "mingling",
        /// The app takes what it lacks.
        Pulling = "pulling",
        /// It ended in good order.
        Finished = "finished",
        /// It was given up.
        Cancelled = "cancelled",
    }
}

/// `session.begin`: the collections of a session are one scope, and share its mode.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SessionBegin {
    /// The collections, in the order in which they are pulled.
    pub collections: Vec<String>,
    /// How; None: fast where that is possible, else slow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<SessionMode>,
    /// The last one that `session.commit` or `session.finish` gave: without it nothing is fast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<String>,
    /// Apps that listen to the topic `invite` are invited to take part, and waited for so long at most: up to 60,000. None: nobody is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join_ms: Option<u64>,
}

/// What `session.begin` answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionBegun {
    /// `s-...`: every call of the session names it.
    pub session: String,
    /// Where it is: `negotiating` where others were invited. Then `session.join` waits for them.
    pub state: SessionState,
    /// How it goes on, which may be another way than was asked for.
    pub mode: SessionMode,
    /// The apps that were invited.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub invited: Vec<String>,
}

/// `session.join`: an app takes part in the session that it was invited to, with one of its own; or who has invited waits for the answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SessionJoin {
    /// The session of the invitation; or one's own.
    pub session: String,
    /// The app does not want to take part, and nobody waits for it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub decline: bool,
    /// Of the collections of the invitation, those that take part; None: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collections: Option<Vec<String>>,
    /// As in `session.begin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<SessionMode>,
    /// As in `session.begin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<String>,
}

/// What `session.join` answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionJoined {
    /// The session of the app that asked; where it declined, the one that it was invited to.
    pub session: String,
    /// Where it is: `pushing`; `cancelled` where the app declined.
    pub state: SessionState,
    /// How it goes on; not there where the app declined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<SessionMode>,
    /// The apps that take part, as far as they have answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joined: Vec<String>,
}

/// `session.push`: what the app changed, all of it kept or nothing. Of a record only the last state counts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SessionPush {
    /// The session.
    pub session: String,
    /// Up to 1,000.
    pub changes: Vec<Push>,
}

/// One change of a `session.push`: `{"put": {...}}`. Ids are those of the app.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Push {
    /// A whole record.
    #[serde(rename = "put", deserialize_with = "object")]
    Put(PushPut),
    /// Properties of a record that the app had pushed or accepted (RFC 7396).
    #[serde(rename = "patch", deserialize_with = "object")]
    Patch(PushPatch),
    /// The end of such a record.
    #[serde(rename = "delete", deserialize_with = "object")]
    Delete(PushDelete),
}

/// See [`Push::Put`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PushPut {
    /// The collection.
    pub collection: String,
    /// The app's id.
    pub id: String,
    /// The object.
    pub data: Raw,
}

/// See [`Push::Patch`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PushPatch {
    /// The collection.
    pub collection: String,
    /// The app's id.
    pub id: String,
    /// An object; a null takes a property away.
    pub patch: Raw,
}

/// See [`Push::Delete`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PushDelete {
    /// The collection.
    pub collection: String,
    /// The app's id.
    pub id: String,
}

/// What `session.push` answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionPushed {
    /// Where the session is.
    pub state: SessionState,
    /// How many changes were kept.
    pub pushed: u64,
}

/// `session.lost`: the app has lost a record.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SessionLost {
    /// The session.
    pub session: String,
    /// The collection.
    pub collection: String,
    /// The app's id.
    pub id: String,
    /// It is to be shown again; else not until it changes.
    #[serde(default, skip_serializing_if = "is_false")]
    pub again: bool,
}

/// What calls answer that have nothing else to say.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionStateAnswer {
    /// Where the session is.
    pub state: SessionState,
}

/// `session.mingle`: what was pushed meets the truth; from here on it is durable.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SessionMingle {
    /// The session.
    pub session: String,
    /// Also where many records were not pushed, and would be deleted: else `guarded`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub accept_deletes: bool,
}

/// What `session.mingle` answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionMingled {
    /// Where the session is.
    pub state: SessionState,
    /// Records of the truth that changed.
    pub changed: u64,
    /// Conflicts that were recorded.
    pub conflicts: u64,
    /// Records that were deleted, of those that changed.
    pub deleted: u64,
}

/// `session.pull`: what the app lacks, in pages.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SessionPull {
    /// The session.
    pub session: String,
    /// The most records of a page, up to 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Others who take part and have not met the truth yet are waited for, so long at most: up to 60,000. None: nobody is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
}

/// What `session.pull` answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionPulled {
    /// One page.
    pub records: Vec<PulledRecord>,
    /// There where another page may follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// A record that the app lacks, or has in an older state.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PulledRecord {
    /// Its collection.
    pub collection: String,
    /// The id that it has in the app, or else in the truth.
    pub id: String,
    /// What `session.accept` and `session.refuse` name.
    pub seq: u64,
    /// What became of it.
    pub kind: ChangeKind,
    /// The object; not there where it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Raw>,
}

/// `session.accept`: the app has stored these.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SessionAccept {
    /// The session.
    pub session: String,
    /// Up to 1,000.
    pub records: Vec<Accepted>,
}

/// A record that the app has stored.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// Its collection.
    pub collection: String,
    /// As it was shown.
    pub id: String,
    /// As it was shown.
    pub seq: u64,
    /// What the app made of it, where that is something else: it counts as the same until either side changes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Raw>,
    /// The id that it has in the app from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_id: Option<String>,
}

/// `session.refuse`: the app does not want these as they are.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SessionRefuse {
    /// The session.
    pub session: String,
    /// Up to 1,000.
    pub records: Vec<Refused>,
}

/// A record that the app does not want as it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// Its collection.
    pub collection: String,
    /// As it was shown.
    pub id: String,
    /// As it was shown.
    pub seq: u64,
}

/// What `session.accept` and `session.refuse` answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionTaken {
    /// Where the session is.
    pub state: SessionState,
    /// How many records; they hold from the commit on.
    pub taken: u64,
}

/// `session.commit`: what was accepted and refused holds from now on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SessionCommit {
    /// The session.
    pub session: String,
}

/// `session.finish`: the end, with what is open.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SessionFinish {
    /// The session.
    pub session: String,
}

/// `session.cancel`: the end, without what is open.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SessionCancel {
    /// The session.
    pub session: String,
}

/// What `session.commit` and `session.finish` answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionClosed {
    /// Where the session is.
    pub state: SessionState,
    /// To be kept with the app's copy, and shown at the next `session.begin`.
    pub anchor: String,
    /// How many records were accepted and refused.
    pub taken: u64,
}
