//! Owns: the sessions that are open, by what others are told of them: who was invited to which, who waits for whom, and the news of
//! each. In memory: a session ends with its connection, and so with this process. Must never know: who decides what a wait is, the
//! wire.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mingle_core::{
    ask::{Event, Invites, News, Refusal},
    session::{
        Mode, State,
        gathering::{For, Gathering, Not, Said},
    },
};
use tokio::sync::watch;

use super::House;
use crate::clock::{self, Stopwatch};

/// What others are told of.
#[derive(Clone, Debug)]
struct Told {
    app: String,
    connection: u64,
    mode: Mode,
    collections: Vec<String>,
    /// The session that it takes part in: its own, or the one that it was invited to.
    gathering: Option<String>,
}

/// Every session that is open, and every gathering that somebody takes part in.
#[derive(Debug, Default)]
pub(super) struct Gatherings {
    inside: Mutex<Inside>,
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Inside {
    sessions: BTreeMap<String, Told>,
    gatherings: BTreeMap<String, (Gathering, Vec<String>)>,
}

/// A session that has begun.
pub(super) struct New {
    pub session: String,
    pub app: String,
    pub connection: u64,
    pub mode: Mode,
    pub collections: Vec<String>,
}

impl Gatherings {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.changed.send_modify(|number| *number += 1);
    }

    /// The collections of a session that this app was invited to.
    pub(super) fn invited(&self, app: &str, session: &str) -> Option<Vec<String>> {
        let inside = self.inside();
        let (gathering, collections) = inside.gatherings.get(session)?;
        gathering.has(app).then(|| collections.clone()).filter(|_| inside.sessions.get(session).is_none_or(|own| own.app != app))
    }

    /// An app answers an invitation.
    fn answers(&self, app: &str, session: &str, said: Said) -> Result<(), Refusal> {
        let answered = match self.inside().gatherings.get_mut(session) {
            None => Err(Not::Invited),
            Some((gathering, _)) => gathering.said(app, said, clock::now()),
        };
        self.changed();
        answered.map_err(|not| match not {
            Not::Invited => Refusal::NotFound(
                format!("no invitation of {app} to {session:?}"),
                Some("it is over, or was never there; session.begin makes a session".into()),
            ),
            Not::Twice => Refusal::WrongState(format!("{app} has answered the invitation to {session} already"), None),
            Not::InTime => Refusal::Deadline(format!("the invitation to {session} is over; session.begin makes a session")),
        })
    }

    /// A session says something to those whom it takes part with.
    fn said(&self, session: &str, said: Said) {
        let mut inside = self.inside();
        let Some(told) = inside.sessions.get(session) else { return };
        let (app, Some(of)) = (told.app.clone(), told.gathering.clone()) else { return };
        if let Some((gathering, _)) = inside.gatherings.get_mut(&of) {
            // Only answers to invitations are ever refused.
            let _ = gathering.said(&app, said, clock::now());
            if gathering.is_over() {
                inside.gatherings.remove(&of);
            }
        }
        drop(inside);
        self.changed();
    }

    fn waits(&self, session: &str, what: For) -> Option<Duration> {
        let mut inside = self.inside();
        let of = inside.sessions.get(session)?.gathering.clone()?;
        let now = clock::now();
        let until = inside.gatherings.get_mut(&of)?.0.waits(what, now)?;
        Some(until.since(now))
    }

    fn lags(&self, session: &str) -> bool {
        let inside = self.inside();
        let told = inside.sessions.get(session);
        let of = told.and_then(|told| Some((told, inside.gatherings.get(told.gathering.as_ref()?)?)));
        of.is_some_and(|(told, (gathering, _))| gathering.lags(&told.app))
    }

    fn joined(&self, session: &str) -> Vec<String> {
        let inside = self.inside();
        let of = inside.sessions.get(session).and_then(|told| told.gathering.as_ref());
        of.and_then(|of| inside.gatherings.get(of)).map(|(gathering, _)| gathering.joined()).unwrap_or_default()
    }
}

impl House {
    /// A session has begun; the news of it, and the invitations.
    pub(super) fn has_begun(&self, new: New, invites: Option<(Invites, &[String])>, joins: Option<String>) {
        let New { session, app, connection, mode, collections } = new;
        let invites = invites.filter(|(_, invited)| !invited.is_empty());
        let gathers = joins.or_else(|| invites.as_ref().map(|_| session.clone()));
        let now = clock::now();
        let told = Told { app: app.clone(), connection, mode, collections: collections.clone(), gathering: gathers };
        let state = if invites.is_some() { State::Negotiating } else { State::Pushing };
        {
            let mut inside = self.0.gatherings.inside();
            inside.sessions.insert(session.clone(), told);
            if let Some((invites, invited)) = &invites {
                let Inside { sessions, gatherings } = &mut *inside;
                // What nobody takes part in and nobody can join any more is forgotten.
                gatherings.retain(|id, (gathering, _)| {
                    gathering.waits(For::Answers, now).is_some()
                        || sessions.values().any(|told| told.gathering.as_ref() == Some(id))
                });
                let gathering = Gathering::new(&app, invited, invites.within, now);
                inside.gatherings.insert(session.clone(), (gathering, collections.clone()));
            }
        }
        self.tells_of(&session, state);
        if let Some((invites, invited)) = invites {
            let until = now.plus(invites.within);
            let event = Event::Invite { session, app, collections, until, invited: invited.to_vec() };
            self.0.news.publish(News { at: now, event });
        }
    }

    /// A session goes on, or is over.
    pub(super) fn tells_of(&self, session: &str, state: State) {
        let told = {
            let mut inside = self.0.gatherings.inside();
            if state.is_over() { inside.sessions.remove(session) } else { inside.sessions.get(session).cloned() }
        };
        let Some(Told { app, mode, collections, .. }) = told else { return };
        let event = Event::Session { session: session.into(), app, state, mode, collections };
        self.0.news.publish(News { at: clock::now(), event });
    }

    /// What a session does, to those whom it takes part with.
    pub(super) fn session_says(&self, session: &str, said: Said) {
        self.0.gatherings.said(session, said);
    }

    /// It is over.
    pub(super) fn session_over(&self, session: &str, state: State) {
        self.session_says(session, Said::Leaves);
        self.tells_of(session, state);
    }

    /// The sessions of a connection are over.
    pub(super) fn sessions_over(&self, connection: u64) {
        let gone: Vec<String> = {
            let inside = self.0.gatherings.inside();
            inside.sessions.iter().filter(|(_, told)| told.connection == connection).map(|(session, _)| session.clone()).collect()
        };
        gone.iter().for_each(|session| self.session_over(session, State::Cancelled));
    }

    /// Until what a session waits for is there, or its time is over.
    pub(super) async fn session_waits(&self, session: &str, what: For) {
        let mut changed = self.0.gatherings.changed.subscribe();
        let watch = Stopwatch::start();
        let mut longest: Option<Duration> = None;
        loop {
            changed.borrow_and_update();
            let Some(left) = self.0.gatherings.waits(session, what) else { return };
            // However the clock is set meanwhile.
            let left = left.min(longest.get_or_insert(left).saturating_sub(watch.elapsed()));
            if left.is_zero() {
                return;
            }
            // Late, or another look: both are found out above.
            let _ = tokio::time::timeout(left, changed.changed()).await;
        }
    }

    /// Until all others who take part have met the truth, or are gone; or so long.
    pub(super) async fn session_waits_for_late(&self, session: &str, most: Duration) {
        let mut changed = self.0.gatherings.changed.subscribe();
        let watch = Stopwatch::start();
        loop {
            changed.borrow_and_update();
            let left = most.saturating_sub(watch.elapsed());
            if left.is_zero() || !self.0.gatherings.lags(session) {
                return;
            }
            // Late, or another look: both are found out above.
            let _ = tokio::time::timeout(left, changed.changed()).await;
        }
    }

    /// Whether a session has others beside it.
    pub(super) fn takes_part(&self, session: &str) -> bool {
        self.0.gatherings.inside().sessions.get(session).is_some_and(|told| told.gathering.is_some())
    }

    /// An app answers an invitation.
    pub(super) fn answers(&self, app: &str, session: &str, said: Said) -> Result<(), Refusal> {
        self.0.gatherings.answers(app, session, said)
    }

    /// Those who take part in what a session takes part in.
    pub(super) fn session_joined(&self, session: &str) -> Vec<String> {
        self.0.gatherings.joined(session)
    }
}
