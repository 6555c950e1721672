//! Owns: sessions of an app that keeps its own copy, each state a type of its own, so that a wrong order does not compile.
//! Must never know: what the app keeps, and where.
//!
//! ```no_run
//! use mingle_client::{blocking::Client, call::{PushPut, Push, SessionBegin}};
//!
//! let mut client = Client::connect("cards")?;
//! let begin = SessionBegin { collections: vec!["contacts".into()], ..SessionBegin::default() };
//! let mut session = client.session(begin)?;
//! let ada = PushPut { collection: "contacts".into(), id: "1".into(), data: mingle_client::Raw::default() };
//! session.push(vec![Push::Put(ada)])?;
//! let (mut session, _) = session.mingle(false).map_err(|not| not.error)?;
//! for record in session.pull(None, None)?.records {
//!     session.accept(&record, None, None)?;
//! }
//! let anchor = session.finish()?.anchor;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Whoever has not mingled cannot pull:
//!
//! ```compile_fail,E0599
//! # use mingle_client::{blocking::Client, call::SessionBegin};
//! # let mut client = Client::connect("cards")?;
//! let mut session = client.session(SessionBegin::default())?;
//! session.pull(None, None)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Whoever has mingled cannot push any more:
//!
//! ```compile_fail,E0599
//! # use mingle_client::{blocking::Client, call::SessionBegin};
//! # let mut client = Client::connect("cards")?;
//! let session = client.session(SessionBegin::default())?;
//! let (mut session, _) = session.mingle(false).map_err(|not| not.error)?;
//! session.push(vec![])?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! And what has ended is over:
//!
//! ```compile_fail,E0382
//! # use mingle_client::{blocking::Client, call::SessionBegin};
//! # let mut client = Client::connect("cards")?;
//! let mut session = client.session(SessionBegin::default())?;
//! session.cancel()?;
//! session.push(vec![])?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::{fmt, marker::PhantomData, time::Duration};

use mingle_proto::{
    Raw,
    call::{
        Accepted, PulledRecord, Push, Refused, SessionAccept, SessionBegin, SessionCancel, SessionClosed, SessionCommit,
        SessionFinish, SessionJoin, SessionJoined, SessionLost, SessionMingle, SessionMingled, SessionMode, SessionPull,
        SessionPulled, SessionPush, SessionPushed, SessionRefuse, SessionState, SessionStateAnswer, SessionTaken,
    },
};

use crate::{CallError, blocking::Client};

/// The app says what it changed.
#[derive(Debug)]
pub enum Pushing {}

/// The app takes what it lacks.
#[derive(Debug)]
pub enum Pulling {}

/// A session in one of its states. Dropped, it stays open until the connection ends: finish it, or cancel it.
#[derive(Debug)]
#[must_use = "a session stays open until it is finished or cancelled"]
pub struct Session<'a, State> {
    client: &'a mut Client,
    id: String,
    mode: SessionMode,
    state: PhantomData<State>,
}

/// What was pushed has not met the truth; the session is where it was.
#[derive(Debug)]
pub struct NotMingled<'a> {
    /// It goes on from here.
    pub session: Session<'a, Pushing>,
    /// Why: `guarded`, for one.
    pub error: CallError,
}

impl fmt::Display for NotMingled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for NotMingled<'_> {}

impl Client {
    /// Begins a session of an app that keeps its own copy. Where others are invited to it, it is there once all of them have answered, or
    /// their time is over.
    ///
    /// # Errors
    /// [`CallError`]: refused, lost, or unreadable.
    pub fn session(&mut self, begin: SessionBegin) -> Result<Session<'_, Pushing>, CallError> {
        let begun = self.call(begin)?;
        if begun.state == SessionState::Negotiating {
            self.call(SessionJoin { session: begun.session.clone(), ..SessionJoin::default() })?;
        }
        Ok(Session { client: self, id: begun.session, mode: begun.mode, state: PhantomData })
    }

    /// Takes part in the session that an [invitation](mingle_proto::event::InviteEvent) names, with one of its own.
    ///
    /// # Errors
    /// [`CallError`]: refused (`deadline`: too late), lost, or unreadable.
    pub fn join(&mut self, join: SessionJoin) -> Result<Session<'_, Pushing>, CallError> {
        let joined = self.call(SessionJoin { decline: false, ..join })?;
        self.beside(joined)
    }

    /// The session that a `session.join` has begun.
    pub(crate) fn beside(&mut self, joined: SessionJoined) -> Result<Session<'_, Pushing>, CallError> {
        let mode = joined.mode.ok_or_else(|| CallError::Garbled("session.join: an answer without a mode".into()))?;
        Ok(Session { client: self, id: joined.session, mode, state: PhantomData })
    }
}

impl<State> Session<'_, State> {
    /// How it goes on, as the daemon decided.
    #[must_use]
    pub const fn mode(&self) -> SessionMode {
        self.mode
    }

    /// Its id: `s-...`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The app has lost a record; `again`: it is to be shown again.
    ///
    /// # Errors
    /// [`CallError`]: refused, lost, or unreadable.
    pub fn lost(&mut self, collection: &str, id: &str, again: bool) -> Result<SessionStateAnswer, CallError> {
        let session = self.id.clone();
        self.client.call(SessionLost { session, collection: collection.into(), id: id.into(), again })
    }

    /// The end, without what is open.
    ///
    /// # Errors
    /// [`CallError`]: refused, lost, or unreadable.
    pub fn cancel(self) -> Result<SessionStateAnswer, CallError> {
        self.client.call(SessionCancel { session: self.id })
    }
}

impl<'a> Session<'a, Pushing> {
    /// What the app changed, at most 1,000 records: all of it is kept or nothing.
    ///
    /// # Errors
    /// [`CallError`]: refused, lost, or unreadable.
    pub fn push(&mut self, changes: Vec<Push>) -> Result<SessionPushed, CallError> {
        self.client.call(SessionPush { session: self.id.clone(), changes })
    }

    /// All is pushed: it meets the truth.
    ///
    /// # Errors
    /// [`NotMingled`], with the session as it was.
    pub fn mingle(self, accept_deletes: bool) -> Result<(Session<'a, Pulling>, SessionMingled), NotMingled<'a>> {
        match self.client.call(SessionMingle { session: self.id.clone(), accept_deletes }) {
            Ok(mingled) => {
                let Self { client, id, mode, .. } = self;
                Ok((Session { client, id, mode, state: PhantomData }, mingled))
            }
            Err(error) => Err(NotMingled { session: self, error }),
        }
    }

    /// The end: what was pushed meets the truth, and nothing is pulled.
    ///
    /// # Errors
    /// [`NotMingled`], with the session as it was.
    pub fn finish(self) -> Result<SessionClosed, NotMingled<'a>> {
        match self.client.call(SessionFinish { session: self.id.clone() }) {
            Ok(closed) => Ok(closed),
            Err(error) => Err(NotMingled { session: self, error }),
        }
    }
}

impl Session<'_, Pulling> {
    /// A page of what the app lacks, from the cursor of the page before.
    ///
    /// # Errors
    /// [`CallError`]: refused, lost, or unreadable.
    pub fn pull(&mut self, cursor: Option<String>, limit: Option<u32>) -> Result<SessionPulled, CallError> {
        self.client.call(SessionPull { session: self.id.clone(), limit, cursor, wait_ms: None })
    }

    /// The first page, once all others who take part have met the truth, or this time is over: those too that were late.
    ///
    /// # Errors
    /// [`CallError`]: refused, lost, or unreadable.
    pub fn pull_after(&mut self, wait: Duration, limit: Option<u32>) -> Result<SessionPulled, CallError> {
        let wait_ms = Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        self.client.call(SessionPull { session: self.id.clone(), limit, cursor: None, wait_ms })
    }

    /// The app has stored a record; `data`: what it made of it, `new_id`: the id that it has there.
    ///
    /// # Errors
    /// [`CallError`]: refused, lost, or unreadable.
    pub fn accept(
        &mut self,
        record: &PulledRecord,
        data: Option<Raw>,
        new_id: Option<String>,
    ) -> Result<SessionTaken, CallError> {
        let PulledRecord { collection, id, seq, .. } = record.clone();
        self.accept_all(vec![Accepted { collection, id, seq, data, new_id }])
    }

    /// The same of at most 1,000 records: all of it is taken or nothing.
    ///
    /// # Errors
    /// [`CallError`]: refused, lost, or unreadable.
    pub fn accept_all(&mut self, records: Vec<Accepted>) -> Result<SessionTaken, CallError> {
        self.client.call(SessionAccept { session: self.id.clone(), records })
    }

    /// The app does not want a record as it is.
    ///
    /// # Errors
    /// [`CallError`]: refused, lost, or unreadable.
    pub fn refuse(&mut self, record: &PulledRecord) -> Result<SessionTaken, CallError> {
        let PulledRecord { collection, id, seq, .. } = record.clone();
        self.refuse_all(vec![Refused { collection, id, seq }])
    }

    /// The same of at most 1,000 records: all of it is taken or nothing.
    ///
    /// # Errors
    /// [`CallError`]: refused, lost, or unreadable.
    pub fn refuse_all(&mut self, records: Vec<Refused>) -> Result<SessionTaken, CallError> {
        self.client.call(SessionRefuse { session: self.id.clone(), records })
    }

    /// What was accepted and refused holds from now on.
    ///
    /// # Errors
    /// [`CallError`]: refused, lost, or unreadable.
    pub fn commit(&mut self) -> Result<SessionClosed, CallError> {
        self.client.call(SessionCommit { session: self.id.clone() })
    }

    /// The end, with what is open: what was taken holds.
    ///
    /// # Errors
    /// [`CallError`]: refused, lost, or unreadable.
    pub fn finish(self) -> Result<SessionClosed, CallError> {
        self.client.call(SessionFinish { session: self.id })
    }
}
