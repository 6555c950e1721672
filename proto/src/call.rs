//! Owns: each method's parameters and answer, and the list of methods. Must never know: who serves them.
//!
//! A method is one type: its fields are the parameters (unknown ones are refused), [`Call::Answer`] what comes back (unknown members
//! are passed over). Record data is [`crate::Raw`]: carried as written, never read here.

mod app;
mod daemon;
mod data;
mod decide;
mod define;
mod filter;
mod fresh;
mod history;
mod past;
mod pending;
mod rebuild;
mod remote;
mod reset;
mod session;
mod sync;
mod talk;
mod worker;

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

pub use self::{
    app::*, daemon::*, data::*, decide::*, define::*, filter::*, fresh::*, history::*, past::*, pending::*, rebuild::*,
    remote::*, reset::*, session::*, sync::*, talk::*, worker::*,
};
use crate::{
    Raw,
    error::{Error, Name},
    message::without_place,
};

/// One method: the type is its parameters.
pub trait Call: Serialize + DeserializeOwned {
    /// Its name on the wire.
    const METHOD: &'static str;
    /// What comes back.
    type Answer: Serialize + DeserializeOwned;
}

/// What a caller must be allowed to, for a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Everybody, before anything else: `hello`.
    Open,
    /// Everybody: it shows or steers runs, and gives no record.
    Operate,
    /// `read` on the collections it names.
    Read,
    /// A name, and `write` on the collections it names.
    Write,
}

/// One line of the list of methods.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// Its name on the wire.
    pub name: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// Who may call it.
    pub right: Right,
    /// Reads parameters as its type, and gives them back as that type writes them: what the tests compare.
    pub params: fn(&RawValue) -> Result<Raw, Error>,
    /// The same for an answer.
    pub answer: fn(&RawValue) -> Result<Raw, Error>,
    /// The schemas of both.
    #[cfg(feature = "schema")]
    pub schemas: fn(&mut schemars::SchemaGenerator) -> (schemars::Schema, schemars::Schema),
}

/// Reads the parameters of a method; None stands for `{}`.
///
/// # Errors
/// `invalid`, naming the member that is wrong.
pub fn params<C: Call>(params: Option<&RawValue>) -> Result<C, Error> {
    let text = params.map_or("{}", RawValue::get);
    // A struct could be read from an array as well, which nobody has promised.
    if !text.starts_with('{') {
        return Err(Error::new(Name::Invalid, "params must be an object").hint(see(C::METHOD)));
    }
    serde_json::from_str(text).map_err(|why| Error::new(Name::Invalid, without_place(&why)).hint(see(C::METHOD)))
}

fn see(method: &str) -> String {
    format!("PROTOCOL.md, section {method}, shows the parameters")
}

fn params_again<C: Call>(raw: &RawValue) -> Result<Raw, Error> {
    serde_json::value::to_raw_value(&params::<C>(Some(raw))?).map_err(|why| Error::new(Name::Internal, why.to_string()))
}

fn answer_again<C: Call>(raw: &RawValue) -> Result<Raw, Error> {
    let invalid = |why: serde_json::Error| Error::new(Name::Invalid, why.to_string());
    let answer: C::Answer = serde_json::from_str(raw.get()).map_err(invalid)?;
    serde_json::value::to_raw_value(&answer).map_err(invalid)
}

/// The method of that name.
#[must_use]
pub fn method(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}

/// A member that is there, null included: a plain `Option` takes null for absent.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Raw>, D::Error> {
    Raw::deserialize(from).map(Some)
}

/// A nested object that must be one, not an array of its fields.
fn object<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<T, D::Error> {
    let raw = Raw::deserialize(from)?;
    if !raw.get().starts_with('{') {
        return Err(serde::de::Error::custom("must be an object"));
    }
    serde_json::from_str(raw.get()).map_err(|why| serde::de::Error::custom(without_place(&why)))
}

/// Members that are false are not written.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

macro_rules! methods {
    ($($call:ident, $name:literal, $right:ident, $answer:ty, $about:literal;)+) => {
        $(impl Call for $call {
            const METHOD: &'static str = $name;
            type Answer = $answer;
        })+

        /// Every method, in the order of PROTOCOL.md.
        pub const METHODS: &[Method] = &[$(Method {
            name: $name,
            about: $about,
            right: Right::$right,
            params: params_again::<$call>,
            answer: answer_again::<$call>,
            #[cfg(feature = "schema")]
            schemas: |generator| (<$call as schemars::JsonSchema>::json_schema(generator), generator.subschema_for::<$answer>()),
        },)+];
    };
}

methods! {
    Hello, "hello", Open, HelloAnswer, "gives the app's name and learns what this daemon can do";
    Get, "get", Read, Record, "one record";
    List, "list", Read, ListAnswer, "the records of a collection, filtered and ordered, in pages";
    Put, "put", Write, Written, "writes a whole record";
    Patch, "patch", Write, Written, "changes properties of a record (RFC 7396)";
    Delete, "delete", Write, Written, "deletes a record";
    Transact, "transact", Write, TransactAnswer, "several writes, all or nothing";
    Changes, "changes", Read, ChangesAnswer, "what changed since a seq, in pages";
    Subscribe, "subscribe", Read, SubscribeAnswer, "state first, then changes and events, as they come";
    Wait, "wait", Operate, WaitAnswer, "until the remotes have a write, or a run has ended, or syncs are synced, or the time is over";
    Cancel, "cancel", Operate, CancelAnswer, "ends a call of this connection that is still in flight";
    Status, "status", Operate, StatusAnswer, "the daemon, every sync, and what needs a person";
    Stop, "stop", Operate, StateAnswer, "suspends all runs and refuses new ones; apps go on";
    Restart, "restart", Operate, StateAnswer, "accepts runs again";
    Reload, "reload", Operate, ReloadAnswer, "reads the configuration again and applies what changed";
    RpcDiscover, "rpc.discover", Operate, Raw, "every method with its parameters and answer, as an OpenRPC document";
    Shutdown, "shutdown", Operate, ShutdownAnswer, "ends the daemon";
    SyncRun, "sync.run", Operate, SyncRunAnswer, "runs a sync as soon as it may";
    SyncPause, "sync.pause", Operate, SyncStateAnswer, "suspends one sync until it is resumed";
    SyncResume, "sync.resume", Operate, SyncStateAnswer, "lets a paused sync run again";
    SyncCancel, "sync.cancel", Operate, SyncCancelAnswer, "ends the run of a sync for good";
    SyncPing, "sync.ping", Operate, SyncPingAnswer, "makes syncs due, because there is something new at their remote";
    SyncNext, "sync.next", Operate, SyncNextAnswer, "gives the next run of a sync a moment, whatever its schedule says";
    SyncReset, "sync.reset", Operate, SyncResetAnswer, "compares everything as if the remote had another history, after a copy of the store";
    Plan, "plan", Read, PlanAnswer, "what a run would send and change now; nothing is done";
    Rebuild, "rebuild", Operate, RebuildAnswer, "fetches a collection anew; what is not sent yet stays";
    SyncGet, "sync.get", Operate, SyncDefinition, "one sync as it is defined";
    SyncList, "sync.list", Operate, SyncListAnswer, "the syncs that are defined";
    SyncDefine, "sync.define", Operate, SyncDefineAnswer, "defines a sync, beside those of the configuration";
    SyncRemove, "sync.remove", Operate, SyncRemoveAnswer, "takes out a sync that an app has defined; what it brought stays";
    Explain, "explain", Operate, ExplainAnswer, "every reason why a sync does not run now, and when it will";
    History, "history", Operate, HistoryAnswer, "past runs, the latest first, in pages";
    ConflictList, "conflict.list", Read, ConflictListAnswer, "conflicts, open ones unless all are asked for";
    ConflictResolve, "conflict.resolve", Write, Written, "decides a conflict";
    RejectionList, "rejection.list", Read, RejectionListAnswer, "records that a sync could not settle";
    RejectionResolve, "rejection.resolve", Write, Resolved, "decides what becomes of a rejection";
    PendingList, "pending.list", Read, PendingListAnswer, "what syncs have yet to send";
    PendingUpload, "pending.upload", Write, PendingUploadAnswer, "marks for upload what was deferred";
    PendingRollback, "pending.rollback", Write, PendingRollbackAnswer, "takes back what was not sent: the record gets what its remote last had";
    Forget, "forget", Write, Written, "drops a record here; what remotes have of it stays";
    Why, "why", Read, WhyAnswer, "where a value comes from: since when, whose, by which rule, what lost";
    Undo, "undo", Write, UndoAnswer, "takes changes back: of a record, an app, a sync, a run, or since a time";
    SessionBegin, "session.begin", Write, SessionBegun, "begins a session of an app that keeps its own copy";
    SessionJoin, "session.join", Write, SessionJoined, "takes part in the session of an invitation, or waits for those who were invited";
    SessionPush, "session.push", Write, SessionPushed, "what the app changed in its copy";
    SessionLost, "session.lost", Write, SessionStateAnswer, "the app has lost a record of its copy";
    SessionMingle, "session.mingle", Write, SessionMingled, "what was pushed meets the truth";
    SessionPull, "session.pull", Write, SessionPulled, "what the app lacks, in pages";
    SessionAccept, "session.accept", Write, SessionTaken, "the app has stored records that it was shown";
    SessionRefuse, "session.refuse", Write, SessionTaken, "the app does not want records as they were shown";
    SessionCommit, "session.commit", Write, SessionClosed, "what was accepted and refused holds from now on";
    SessionFinish, "session.finish", Write, SessionClosed, "ends a session, with what is open";
    SessionCancel, "session.cancel", Write, SessionStateAnswer, "ends a session, without what is open";
    AppRegister, "app.register", Read, AppRegistered, "an app says what it keeps a copy of";
    AppList, "app.list", Operate, AppListAnswer, "the apps, what each may do and keeps a copy of, in pages";
    AppReset, "app.reset", Write, AppResetAnswer, "forgets the copy of an app; what it brought stays";
    RemoteList, "remote.list", Operate, RemoteListAnswer, "the remotes and what each can do";
    RemoteCheck, "remote.check", Operate, RemoteCheckAnswer, "asks a remote whether it answers and takes the credentials";
    RemoteBudget, "remote.budget", Operate, RemoteBudgetAnswer, "what each account may ask of its service, and who used it";
    RemoteLogin, "remote.login", Operate, RemoteLoginAnswer, "keeps the secret of a remote where the configuration has it";
    RemoteAuthorize, "remote.authorize", Operate, RemoteAuthorizeAnswer, "begins a login that a person ends with a browser";
    RemoteAuthorized, "remote.authorized", Operate, RemoteAuthorizedAnswer, "what came of such a login, once it has ended";
    RemoteLogout, "remote.logout", Operate, RemoteLogoutAnswer, "takes the secret of a remote out of there";
    WorkerOffer, "worker.offer", Operate, WorkerOffered, "an app does the work of remotes: it is called from now on";
    WorkerBatch, "worker.batch", Operate, WorkerBatchTaken, "some of what a work brings, with its checkpoint";
    WorkerDone, "worker.done", Operate, WorkerDoneAnswer, "a work is done, with or without news, or came to nothing";
}
