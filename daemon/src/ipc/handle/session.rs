//! Owns: serving sessions of apps that keep their own copy. Must never know: what a call does in which state.

use std::time::Duration;

use mingle_core::{
    ask::{Grant, Invites, Speaker},
    limits::JOIN_MS_MAX,
};
use mingle_proto::{
    Error,
    call::{
        SessionAccept, SessionBegin, SessionCancel, SessionCommit, SessionFinish, SessionJoin, SessionLost, SessionMingle,
        SessionPull, SessionPush, SessionRefuse, SessionState, SessionStateAnswer,
    },
};

use super::{Asked, later};
use crate::ipc::{convert, convert::refusal, door::Gone, served::Served};

impl Asked<'_> {
    /// Who speaks in a session.
    fn speaker(&self) -> Result<Speaker, Error> {
        let (app, _) = self.desk.caller.writable(self.method, None)?;
        self.desk.shared.connections.in_session(self.desk.number, self.desk.shared.door.now());
        Ok(Speaker { app, connection: self.desk.number })
    }

    /// Who speaks in this session, which may write all of it: grants can be others than when it began, and a part of a session is none.
    fn within(&self, session: &str) -> Result<Speaker, Error> {
        let who = self.speaker()?;
        for collection in self.desk.shared.door.session_collections(&who, session).map_err(refusal)? {
            self.write(&collection)?;
        }
        Ok(who)
    }

    /// Those who asked to be alerted, and may write all of these collections.
    fn invites(&self, app: &str, collections: &[String], join_ms: u64) -> Result<Invites, Error> {
        if !(1..=JOIN_MS_MAX).contains(&join_ms) {
            return Err(convert::invalid("join_ms is out of bounds", format!("1 to {JOIN_MS_MAX}; left out, nobody is invited")));
        }
        let mut apps = self.desk.shared.connections.alerted();
        apps.retain(|other| {
            let grants = self.desk.shared.door.grants(other);
            other != app && collections.iter().all(|collection| grants.of(collection) >= Grant::Write)
        });
        Ok(Invites { apps, within: Duration::from_millis(join_ms) })
    }

    /// Whether or not the answer is waited for, a session may be there.
    fn begins(&mut self) -> Gone {
        self.desk.in_session = true;
        self.gone()
    }

    /// What tells whether the connection of a session is gone, or silent for too long.
    pub(super) fn gone(&self) -> Gone {
        let shared = self.desk.shared.clone();
        Box::new(move |number| !shared.connections.holds_session(number, shared.door.now()))
    }
}

pub(super) fn begin(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let begin: SessionBegin = asked.params()?;
    for collection in &begin.collections {
        asked.write(collection)?;
    }
    let who = asked.speaker()?;
    let invites = begin.join_ms.map(|join_ms| asked.invites(&who.app, &begin.collections, join_ms)).transpose()?;
    let gone = asked.begins();
    later(asked.desk.shared.door.session_begin(who, convert::session_begin(begin, invites), gone), convert::session_begun, false)
}

pub(super) fn join(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let join: SessionJoin = asked.params()?;
    let who = asked.speaker()?;
    match asked.desk.shared.door.session_invited(&who, &join.session) {
        Some(invited) => {
            for collection in join.collections.as_ref().unwrap_or(&invited) {
                asked.write(collection)?;
            }
        }
        None => drop(asked.within(&join.session)?),
    }
    let gone = asked.begins();
    later(asked.desk.shared.door.session_join(who, convert::session_join(join), gone), convert::session_joined, false)
}

pub(super) fn push(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let push: SessionPush = asked.params()?;
    let pushes = convert::pushes(push.changes)?;
    let who = asked.within(&push.session)?;
    for push in &pushes {
        asked.write(convert::pushed_into(push))?;
    }
    later(asked.desk.shared.door.session_push(who, push.session, pushes), convert::session_pushed, false)
}

pub(super) fn lost(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let lost: SessionLost = asked.params()?;
    let who = asked.within(&lost.session)?;
    let (session, lost) = convert::lost(lost);
    let answer = |state: mingle_core::session::State| SessionStateAnswer { state: convert::session_state(state) };
    later(asked.desk.shared.door.session_lost(who, session, lost), answer, false)
}

pub(super) fn mingle(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let SessionMingle { session, accept_deletes } = asked.params()?;
    let who = asked.within(&session)?;
    later(asked.desk.shared.door.session_mingle(who, session, accept_deletes), convert::session_mingled, false)
}

pub(super) fn pull(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let SessionPull { session, limit, cursor, wait_ms } = asked.params()?;
    let who = asked.within(&session)?;
    let limit = convert::history_limit(limit)?;
    let wait = wait_ms.unwrap_or_default();
    if wait > JOIN_MS_MAX {
        return Err(convert::invalid("wait_ms is out of bounds", format!("up to {JOIN_MS_MAX}; left out, nobody is waited for")));
    }
    let wait = Duration::from_millis(wait);
    later(asked.desk.shared.door.session_pull(who, session, cursor, limit, wait), convert::session_pulled, true)
}

pub(super) fn accept(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let SessionAccept { session, records } = asked.params()?;
    let who = asked.within(&session)?;
    later(asked.desk.shared.door.session_take(who, session, convert::accepts(records)?), convert::session_taken, false)
}

pub(super) fn refuse(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let SessionRefuse { session, records } = asked.params()?;
    let who = asked.within(&session)?;
    later(asked.desk.shared.door.session_take(who, session, convert::refuses(records)), convert::session_taken, false)
}

pub(super) fn commit(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let SessionCommit { session } = asked.params()?;
    let who = asked.within(&session)?;
    let answer = |closed| convert::session_closed(closed, SessionState::Pulling);
    later(asked.desk.shared.door.session_commit(who, session), answer, false)
}

pub(super) fn finish(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let SessionFinish { session } = asked.params()?;
    let who = asked.within(&session)?;
    let answer = |closed| convert::session_closed(closed, SessionState::Finished);
    later(asked.desk.shared.door.session_end(who, session, true), answer, false)
}

pub(super) fn cancel(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let SessionCancel { session } = asked.params()?;
    let who = asked.within(&session)?;
    let answer = |_| SessionStateAnswer { state: SessionState::Cancelled };
    later(asked.desk.shared.door.session_end(who, session, false), answer, false)
}
