//! Owns: what happens, as apps are told of it: the topics. Must never know: who listens, the wire.

use super::{Attention, Holding, Progress, SyncState, Trouble};
use crate::{
    run::reset::{Over, Reset},
    session::{Mode, State},
    time::Timestamp,
};

/// What an app may listen to, beside changes of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Runs: started, progress, finished.
    Run,
    /// The schedule state of syncs.
    Sync,
    /// Conflicts made and resolved.
    Conflict,
    /// Rejections made and settled.
    Rejection,
    /// What a person should know or decide.
    Attention,
    /// Sessions of apps: begun, pulling, over.
    Session,
    /// Invitations to take part in a session.
    Invite,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Self; 7] =
        [Self::Run, Self::Sync, Self::Conflict, Self::Rejection, Self::Attention, Self::Session, Self::Invite];
}

/// One thing that happened. Only the latest about one thing is kept ([`News::about`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// When.
    pub at: Timestamp,
    /// What.
    pub event: Event,
}

/// What happened, topic by topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A run goes on, or has come out.
    Run {
        /// Which sync.
        sync: String,
        /// `r-...`
        run: String,
        /// Run status, as in the word list; one that ends a run is the last about it. `running` with progress goes on, without it began.
        status: String,
        /// How far it has come, while it runs.
        progress: Option<Progress>,
        /// `new_data`, `no_new_data`, `failed`, once it has ended.
        result: Option<String>,
        /// Why it was stopped.
        stop_reason: Option<String>,
        /// What went wrong.
        error: Option<Trouble>,
    },
    /// A sync's schedule state is another one. The daemon's own state comes with `sync` none.
    Sync {
        /// Which; none: the daemon.
        sync: Option<String>,
        /// Its state; none for the daemon.
        state: Option<SyncState>,
        /// The daemon's state, where it is the daemon's.
        daemon: Option<super::DaemonState>,
        /// The hold that counts most.
        hold: Option<Holding>,
        /// When it is due next.
        next: Option<Timestamp>,
    },
    /// A reset of a sync began: the store was copied, and what is here is met as it is said.
    ResetBegan {
        /// Which sync.
        sync: String,
        /// How, why, and the copy.
        reset: Reset,
    },
    /// A reset of a sync is over.
    ResetEnded {
        /// Which sync.
        sync: String,
        /// What it came to.
        over: Over,
    },
    /// A conflict was made, or is resolved.
    Conflict {
        /// Its id.
        conflict: String,
        /// Whether it waits for a decision.
        open: bool,
        /// Where.
        collection: String,
        /// Which record.
        id: String,
        /// Which property; none: the record as a whole.
        property: Option<String>,
    },
    /// A rejection was made, or is settled.
    Rejection {
        /// Its id.
        rejection: String,
        /// Whether it stands.
        open: bool,
        /// `up`, `down`, `create`, `delete`.
        side: String,
        /// Where.
        collection: String,
        /// Which record, where there is one.
        id: Option<String>,
        /// Which sync.
        sync: String,
        /// What is wrong, in words.
        what: Option<String>,
    },
    /// Something for a person came up, or is over.
    Attention {
        /// What.
        attention: Attention,
        /// Whether it is over.
        over: bool,
    },
    /// A session has begun, goes on, or is over.
    Session {
        /// Its id.
        session: String,
        /// Whose.
        app: String,
        /// Where it is.
        state: State,
        /// Its mode.
        mode: Mode,
        /// Of what.
        collections: Vec<String>,
    },
    /// An app begins a session and invites others to it.
    Invite {
        /// Its session.
        session: String,
        /// Who invites.
        app: String,
        /// Of what.
        collections: Vec<String>,
        /// Until when it waits for answers.
        until: Timestamp,
        /// Those whom it invites: nobody else hears of it.
        invited: Vec<String>,
    },
}

impl News {
    /// Its topic.
    #[must_use]
    pub fn topic(&self) -> Topic {
        match self.event {
            Event::Run { .. } => Topic::Run,
            Event::Sync { .. } | Event::ResetBegan { .. } | Event::ResetEnded { .. } => Topic::Sync,
            Event::Conflict { .. } => Topic::Conflict,
            Event::Rejection { .. } => Topic::Rejection,
            Event::Attention { .. } => Topic::Attention,
            Event::Session { .. } => Topic::Session,
            Event::Invite { .. } => Topic::Invite,
        }
    }

    /// What it is about, within its topic: later news about the same replaces it. Runs go by run id, so that a run's last event is
    /// never replaced by another run's.
    #[must_use]
    pub fn about(&self) -> String {
        match &self.event {
            Event::Run { run, .. } => run.clone(),
            Event::Sync { sync, .. } => sync.clone().unwrap_or_default(),
            Event::ResetBegan { sync, .. } => format!("{sync} reset"),
            Event::ResetEnded { sync, .. } => format!("{sync} reset over"),
            Event::Conflict { conflict, .. } => conflict.clone(),
            Event::Rejection { rejection, .. } => rejection.clone(),
            Event::Attention { attention, .. } => format!("{} {}", attention.name, attention.about),
            Event::Session { session, .. } | Event::Invite { session, .. } => session.clone(),
        }
    }

    /// The collections whose grants decide who may hear it: all of them are needed; none: everybody may.
    #[must_use]
    pub fn collections(&self) -> &[String] {
        match &self.event {
            Event::Conflict { collection, .. } | Event::Rejection { collection, .. } => std::slice::from_ref(collection),
            Event::Session { collections, .. } | Event::Invite { collections, .. } => collections,
            Event::Run { .. }
            | Event::Sync { .. }
            | Event::ResetBegan { .. }
            | Event::ResetEnded { .. }
            | Event::Attention { .. } => &[],
        }
    }

    /// Whether it is for an app of this name (none: it gave none).
    #[must_use]
    pub fn is_for(&self, app: Option<&str>) -> bool {
        match &self.event {
            Event::Invite { invited, .. } => app.is_some_and(|app| invited.iter().any(|one| one == app)),
            _ => true,
        }
    }
}
