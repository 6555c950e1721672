//! Owns: sessions of apps that keep their own copy, from the question to the store; mingling goes on in short transactions until it is
//! through, whoever waits for it. Must never know: the wire, what a call does in which state.

use std::time::Duration;

use mingle_core::{
    ask::{Begin, Begun, Closed, Join, Joined, LostOne, Mingled, Pulled, Push, Refusal, Speaker, Take},
    limits,
    session::{
        State,
        gathering::{For, Said},
    },
};

use super::{House, gather::New, told};
use crate::{
    clock::{self, Stopwatch},
    ipc::door::{Gone, Later, Sessions},
    store::{
        Class, Store, StoreError,
        sync::session::{self, Counted, End, Sliced},
    },
};

/// What mingling came to.
pub(super) enum Through {
    /// The app can pull.
    Done(Mingled),
    /// The session is over.
    Over(Closed),
    /// It was ended by somebody else, or is about to be.
    Elsewhere,
}

/// Mingles until all has met. `ends`: a session that is to end does so then.
async fn through(store: Store, session: String, ends: bool) -> Result<Through, StoreError> {
    loop {
        let one = session.clone();
        let slice = store.write(Class::Background, clock::now(), move |tx| {
            let watch = Stopwatch::start();
            session::slice(tx, &one, ends, || watch.elapsed() >= limits::BATCH_TIME_WAITED_FOR)
        });
        match slice.await? {
            Sliced::More => {}
            Sliced::Done(mingled) => return Ok(Through::Done(mingled)),
            Sliced::Over(closed) => return Ok(Through::Over(closed)),
            Sliced::Ending | Sliced::Gone => return Ok(Through::Elsewhere),
        }
    }
}

fn ended() -> Refusal {
    let hint = "session.begin makes another; what was pushed has met the truth, or does";
    Refusal::NotFound("the session was ended meanwhile".into(), Some(hint.into()))
}

impl House {
    /// Mingles to the end, also where nobody waits for the answer any more.
    pub(super) fn mingled(&self, session: String, ends: bool) -> Later<Through> {
        let work = tokio::spawn(through(self.0.store.clone(), session, ends));
        told(async move { work.await.unwrap_or(Err(StoreError::Panicked)) })
    }

    /// Brings sessions that ended while they mingled to their end. What fails is in the log; the app's next session tries it again.
    async fn bring_to_end(&self, sessions: Vec<String>) {
        for session in sessions {
            let _ = self.mingled(session, true).await;
        }
    }

    /// The same, for those that a crash cut off; nobody waits for it.
    pub fn ends_sessions(&self) {
        let house = self.clone();
        match self.read(|reader| session::all_left_over(reader)) {
            Ok(left) if left.is_empty() => {}
            Ok(left) => drop(tokio::spawn(async move { house.bring_to_end(left).await })),
            Err(why) => tracing::warn!(?why, "whether sessions are to be brought to their end is not known"),
        }
    }
}

impl House {
    /// Ends the session of an app that stands in the way of something, and should not.
    pub(super) async fn clears_the_way(&self, app: &str, gone: Gone) -> Result<(), Refusal> {
        // Its connection is silent, or its end was not written: the queue was full, or the disk.
        if let Some(connection) = self.read(|reader| session::holder(reader, app))?.filter(|number| gone(*number)) {
            self.decide(move |tx| session::leave(tx, Some(connection))).await?;
            self.sessions_over(connection);
        }
        // One that ended while it mingled, and that nobody brought to its end, is no hindrance: what was pushed meets the truth first.
        if let Some(left) = self.read(|reader| session::left_over(reader, app))? {
            self.mingled(left, true).await?;
        }
        Ok(())
    }

    /// Begins a session in the store, once nothing stands in its way.
    async fn begun(&self, who: &Speaker, begin: Begin, gone: Gone) -> Result<Begun, Refusal> {
        self.clears_the_way(&who.app, gone).await?;
        let who = who.clone();
        self.decide(move |tx| session::begin(tx, &who, &begin)).await
    }

    /// An app answers an invitation.
    async fn joins(&self, who: Speaker, join: Join, invited: Vec<String>, gone: Gone) -> Result<Joined, Refusal> {
        if join.decline {
            self.answers(&who.app, &join.session, Said::Declines)?;
            return Ok(Joined { session: join.session, state: State::Cancelled, mode: None, joined: Vec::new() });
        }
        let collections = join.collections.unwrap_or_else(|| invited.clone());
        if let Some(other) = collections.iter().find(|name| !invited.contains(name)) {
            let told = format!("{other} is not in the session that {} was invited to", who.app);
            return Err(Refusal::Invalid(told, Some(format!("it has {}", invited.join(", ")))));
        }
        self.answers(&who.app, &join.session, Said::Joins)?;
        let begin = Begin { collections: collections.clone(), mode: join.mode, anchor: join.anchor, invites: None };
        let begun = match self.begun(&who, begin, gone).await {
            Ok(begun) => begun,
            Err(refusal) => {
                // Nobody waits for what did not begin.
                self.answers(&who.app, &join.session, Said::Leaves)?;
                return Err(refusal);
            }
        };
        let Begun { session, mode, .. } = begun;
        let new = New { session: session.clone(), app: who.app, connection: who.connection, mode, collections };
        self.has_begun(new, None, Some(join.session));
        let joined = self.session_joined(&session);
        Ok(Joined { session, state: State::Pushing, mode: Some(mode), joined })
    }

    /// Whoever invited waits until all have answered.
    async fn has_joined(&self, who: Speaker, name: String) -> Result<Joined, Refusal> {
        self.read(|reader| session::joins(reader, &who, &name))?;
        self.session_waits(&name, For::Answers).await;
        let one = name.clone();
        let (state, mode) = self.decide(move |tx| session::join(tx, &who, &one)).await?;
        self.tells_of(&name, state);
        let joined = self.session_joined(&name);
        Ok(Joined { session: name, state, mode: Some(mode), joined })
    }

    /// What was pushed meets the truth, once all who take part have pushed; and what they brought is there before anybody pulls.
    async fn mingled_together(&self, name: String) -> Result<Mingled, Refusal> {
        self.session_says(&name, Said::Pushed);
        self.session_waits(&name, For::Pushes).await;
        let through = self.mingled(name.clone(), false).await;
        self.session_says(&name, Said::Met);
        let Through::Done(mingled) = through? else { return Err(ended()) };
        if self.takes_part(&name) {
            self.session_waits(&name, For::Meetings).await;
            self.finds_what_others_brought(&name).await?;
        }
        self.tells_of(&name, State::Pulling);
        Ok(mingled)
    }

    async fn finds_what_others_brought(&self, name: &str) -> Result<(), Refusal> {
        let mut more = true;
        while more {
            let one = name.to_owned();
            let looked = self.0.store.write(Class::Background, clock::now(), move |tx| session::lacking(tx, &one));
            more = told(looked).await?;
        }
        Ok(())
    }

    /// Whether what was not pushed may be deleted without a word: with a filter every record of the collection may have to be looked at.
    fn counted(&self, who: &Speaker, name: &str) -> Later<()> {
        let (who, name) = (who.clone(), name.to_owned());
        self.aside(move |house| {
            let mut from = Some(Counted::default());
            while let Some(counted) = from {
                from = house.read(|reader| session::unsaid(reader, &who, &name, counted.clone()))?;
            }
            Ok(())
        })
    }

    /// A page of what the app lacks, and what it is shown for the first time noted.
    fn pulled(&self, who: &Speaker, name: &str, cursor: Option<&str>, limit: usize) -> Later<Pulled> {
        match self.read(|reader| session::pull(reader, who, name, cursor, limit)) {
            Ok((pulled, first_time)) if first_time.is_empty() => Box::pin(async move { Ok(pulled) }),
            Ok((pulled, first_time)) => self.decide(move |tx| session::note(tx, pulled, &first_time)),
            Err(refusal) => Box::pin(async move { Err(refusal) }),
        }
    }
}

impl Sessions for House {
    fn session_collections(&self, who: &Speaker, session: &str) -> Result<Vec<String>, Refusal> {
        self.read(|reader| session::collections(reader, who, session))
    }

    fn session_begin(&self, who: Speaker, begin: Begin, gone: Gone) -> Later<Begun> {
        let house = self.clone();
        Box::pin(async move {
            let begun = house.begun(&who, begin.clone(), gone).await?;
            let new = New {
                session: begun.session.clone(),
                app: who.app,
                connection: who.connection,
                mode: begun.mode,
                collections: begin.collections,
            };
            house.has_begun(new, begin.invites.map(|invites| (invites, &begun.invited[..])), None);
            Ok(begun)
        })
    }

    fn session_invited(&self, who: &Speaker, session: &str) -> Option<Vec<String>> {
        self.0.gatherings.invited(&who.app, session)
    }

    fn session_join(&self, who: Speaker, join: Join, gone: Gone) -> Later<Joined> {
        let house = self.clone();
        Box::pin(async move {
            match house.session_invited(&who, &join.session) {
                Some(invited) => house.joins(who, join, invited, gone).await,
                None => house.has_joined(who, join.session).await,
            }
        })
    }

    fn session_push(&self, who: Speaker, session: String, pushes: Vec<Push>) -> Later<u64> {
        match session::prepare(pushes) {
            Ok(ready) => self.decide(move |tx| session::push(tx, &who, &session, &ready)),
            Err(refusal) => Box::pin(async move { Err(refusal) }),
        }
    }

    fn session_lost(&self, who: Speaker, session: String, lost: LostOne) -> Later<State> {
        self.decide(move |tx| session::lost(tx, &who, &session, &lost))
    }

    fn session_mingle(&self, who: Speaker, session: String, accept_deletes: bool) -> Later<Mingled> {
        let (house, name, speaker) = (self.clone(), session.clone(), who.clone());
        // Queued at once, behind what was pushed: that is what is counted then.
        let entered = self.decide(move |tx| session::enter(tx, &speaker, &name, accept_deletes));
        Box::pin(async move {
            if !entered.await? {
                house.counted(&who, &session).await?;
                let name = session.clone();
                house.decide(move |tx| session::enter(tx, &who, &name, true)).await?;
            }
            house.mingled_together(session).await
        })
    }

    fn session_pull(&self, who: Speaker, name: String, cursor: Option<String>, limit: usize, wait: Duration) -> Later<Pulled> {
        if wait.is_zero() || !self.takes_part(&name) {
            return self.pulled(&who, &name, cursor.as_deref(), limit);
        }
        let house = self.clone();
        Box::pin(async move {
            house.read(|reader| session::pulls(reader, &who, &name))?;
            house.session_waits_for_late(&name, wait).await;
            house.finds_what_others_brought(&name).await?;
            house.pulled(&who, &name, cursor.as_deref(), limit).await
        })
    }

    fn session_take(&self, who: Speaker, session: String, takes: Vec<Take>) -> Later<u64> {
        self.decide(move |tx| session::take(tx, &who, &session, &takes))
    }

    fn session_commit(&self, who: Speaker, session: String) -> Later<Closed> {
        self.decide(move |tx| session::commit(tx, &who, &session))
    }

    fn session_end(&self, who: Speaker, session: String, finish: bool) -> Later<Closed> {
        let (house, name, speaker) = (self.clone(), session.clone(), who.clone());
        let end = self.decide(move |tx| session::end(tx, &speaker, &name, finish, false));
        let over = if finish { State::Finished } else { State::Cancelled };
        Box::pin(async move {
            let mut end = end.await?;
            if end == End::Counts {
                house.counted(&who, &session).await?;
                let name = session.clone();
                end = house.decide(move |tx| session::end(tx, &who, &name, finish, true)).await?;
            }
            if let End::Over(closed) = end {
                house.session_over(&session, over);
                return Ok(closed);
            }
            house.session_says(&session, Said::Pushed);
            let through = house.mingled(session.clone(), true).await;
            house.session_over(&session, over);
            match through? {
                Through::Over(closed) => Ok(closed),
                Through::Done(_) | Through::Elsewhere => Err(ended()),
            }
        })
    }

    fn session_leave(&self, connection: u64) {
        let house = self.clone();
        // Queued at once: whoever is answered later finds the session gone too.
        let left = self.0.store.write(Class::Interactive, clock::now(), move |tx| session::leave(tx, Some(connection)));
        self.sessions_over(connection);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                match left.await {
                    Ok(left) => house.bring_to_end(left).await,
                    Err(error) => tracing::warn!(%error, "a session of a connection that is gone could not be ended"),
                }
            });
        }
    }
}
