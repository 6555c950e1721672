//! Owns: the driver without a runtime: one thread, one call at a time. Must never know: what the calls mean.

use std::{
    io::{self, Read, Write},
    time::{Duration, Instant},
};

use interprocess::{
    ConnectWaitMode,
    local_socket::{
        ConnectOptions, GenericFilePath, Stream, ToFsName,
        traits::{Stream as _, StreamCommon as _},
    },
};
use mingle_proto::{
    PROTOCOL, Raw,
    call::{Hello, HelloAnswer, Subscribe},
};

use crate::{
    Ask, CallError, ConnectError, Options, Update,
    again::{self, Next},
    calls, connect,
    subscribe::Follow,
    talk::{CallId, Heard, Talk},
    work::Waiting,
};

mod worker;

pub use worker::Worker;

/// How long a daemon may take to take a connection and to answer `hello`. Both are its first duty.
const HELLO_WITHIN: Duration = Duration::from_secs(10);

/// A connection, for one call at a time.
#[derive(Debug)]
pub struct Client {
    line: Line,
    options: Options,
    hello: Option<HelloAnswer>,
}

impl Client {
    /// Connects as this app, at the environment's socket, and says `hello`.
    ///
    /// # Errors
    /// [`ConnectError`], which tells a person what to do.
    pub fn connect(app: &str) -> Result<Self, ConnectError> {
        Self::open(&Options::app(app))
    }

    /// Connects.
    ///
    /// # Errors
    /// [`ConnectError`], which tells a person what to do.
    pub fn open(options: &Options) -> Result<Self, ConnectError> {
        let place = options.place()?;
        connect::check_directory(&place)?;
        let name = place.socket.as_path().to_fs_name::<GenericFilePath>();
        let stream = name
            .and_then(|name| ConnectOptions::new().name(name).wait_mode(ConnectWaitMode::Timeout(HELLO_WITHIN)).connect_sync());
        let stream = stream.map_err(|error| connect::refused(&place, error))?;
        connect::check_peer(&place, stream.peer_creds())?;
        let line = Line { stream, talk: Talk::default(), timeout: None, broken: None, works: Waiting::default() };
        let mut client = Self { line, options: options.clone(), hello: None };
        if !options.without_hello {
            let hello = Hello { app: options.app.clone(), protocol: PROTOCOL };
            client.hello = Some(connect::greeted(client.call_within(hello, HELLO_WITHIN))?);
        }
        Ok(client)
    }

    /// What `hello` answered; None where none was said.
    #[must_use]
    pub const fn hello(&self) -> Option<&HelloAnswer> {
        self.hello.as_ref()
    }

    /// Makes a call and waits for its answer. A write gets an operation id if it has none.
    ///
    /// # Errors
    /// [`CallError`]. After [`CallError::Lost`] and [`CallError::Late`] this connection is of no more use.
    pub fn call<C: Ask>(&mut self, call: C) -> Result<C::Answer, CallError> {
        read::<C>(&self.ask(call, None)?)
    }

    /// [`Client::call`] that gives up after a while.
    ///
    /// # Errors
    /// The same, and [`CallError::Late`].
    pub fn call_within<C: Ask>(&mut self, call: C, within: Duration) -> Result<C::Answer, CallError> {
        read::<C>(&self.ask(call, Some(within))?)
    }

    /// [`Client::call`] that gives the answer as it came.
    ///
    /// # Errors
    /// The same.
    pub fn call_raw<C: Ask>(&mut self, call: C) -> Result<Raw, CallError> {
        self.ask(call, None)
    }

    /// Waits for so long whether the connection ends; false: it has. What is heard meanwhile is passed over.
    pub fn is_there(&mut self, within: Duration) -> bool {
        self.line.is_there(within)
    }

    fn ask<C: Ask>(&mut self, mut call: C, within: Option<Duration>) -> Result<Raw, CallError> {
        call.give_op();
        let until = within.and_then(|within| now().checked_add(within));
        let left = || until.map(|until| until.saturating_duration_since(now()));
        if self.line.broken.is_some() && self.options.reconnect_within.is_some() {
            // It ended unheard since the last call: nothing of this one was sent.
            self.connect_again(&CallError::Lost { why: "it was closed".into(), op: None }, left())?;
        }
        let mut since = None;
        loop {
            let error = match self.line.ask(&call, left()) {
                Ok(raw) => return Ok(raw),
                Err(error) => error,
            };
            let Some(patience) = self.options.reconnect_within else { return Err(error) };
            match again::after(&call, &error) {
                Next::Stays => return Err(error),
                Next::Connect => {
                    if let Some(hello) = &self.hello {
                        call.tie(&hello.instance);
                    }
                    self.connect_again(&error, left())?;
                    since = None;
                }
                Next::Repeat(pause) => {
                    let began = *since.get_or_insert_with(now);
                    if began.elapsed() + pause > patience || left().is_some_and(|left| left < pause) {
                        return Err(error);
                    }
                    rest(pause);
                }
            }
        }
    }

    /// Connects anew, within the time that the options and the call give.
    fn connect_again(&mut self, lost: &CallError, left: Option<Duration>) -> Result<(), CallError> {
        let patience = self.options.reconnect_within.unwrap_or_default();
        let op = lost.outcome_unknown().map(str::to_owned);
        let client = reopen(&self.options, left.map_or(patience, |left| left.min(patience))).map_err(|error| {
            CallError::Lost { why: format!("{error}; it was looked for for {} ms", patience.as_millis()), op }
        })?;
        (self.line, self.hello) = (client.line, client.hello);
        Ok(())
    }

    /// Subscribes, on a connection of its own.
    ///
    /// # Errors
    /// [`SubscribeError`]: no second connection, or the call was refused.
    pub fn subscribe(&self, ask: Subscribe) -> Result<Subscription, SubscribeError> {
        let mut client = Self::open(&self.options)?;
        let answer = client.call(ask.clone())?;
        let instance = client.hello.map(|hello| hello.instance);
        let options = self.options.clone();
        Ok(Subscription { line: client.line, follow: Follow::new(ask, &answer, instance), options })
    }

    /// Does work for remotes of kind `app`, on a connection of its own: these, or all that are this app's.
    ///
    /// # Errors
    /// [`SubscribeError`]: no second connection, or the offer was refused.
    pub fn offer(&self, remotes: Option<Vec<String>>) -> Result<Worker, SubscribeError> {
        Worker::open(&self.options, remotes)
    }

    calls::functions! { blocking }
}

/// Why there is no subscription.
#[derive(Debug, thiserror::Error)]
pub enum SubscribeError {
    /// No connection for it.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The call.
    #[error(transparent)]
    Call(#[from] CallError),
}

fn read<C: Ask>(raw: &Raw) -> Result<C::Answer, CallError> {
    serde_json::from_str(raw.get()).map_err(|why| CallError::Garbled(format!("{}: {why}", C::METHOD)))
}

/// An iterator over what a subscription brings. It ends with the first error; [`Subscription::again`] says how to go on.
#[derive(Debug)]
pub struct Subscription {
    line: Line,
    follow: Follow,
    options: Options,
}

impl Subscription {
    /// Where it stands.
    #[must_use]
    pub const fn follow(&self) -> &Follow {
        &self.follow
    }

    /// What to give to [`Client::subscribe`] of a new connection, to go on from here.
    #[must_use]
    pub fn again(&self) -> Subscribe {
        self.follow.again()
    }

    /// Goes on over a new connection.
    fn go_on(&mut self, patience: Duration) -> Result<(), CallError> {
        let lost = |why: String| CallError::Lost { why, op: None };
        let until = now().checked_add(patience);
        loop {
            let left = until.map_or(patience, |until| until.saturating_duration_since(now()));
            let mut client = reopen(&self.options, left).map_err(|error| lost(error.to_string()))?;
            let instance = client.hello.as_ref().map(|hello| hello.instance.clone());
            match client.line.ask(&self.follow.again(), Some(HELLO_WITHIN)) {
                Ok(raw) => {
                    self.follow.goes_on(&read::<Subscribe>(&raw)?, instance);
                    self.line = client.line;
                    return Ok(());
                }
                // It went away once more.
                Err(CallError::Lost { .. }) if until.is_none_or(|until| now() < until) => rest(again::PAUSE),
                Err(error) => return Err(error),
            }
        }
    }
}

impl Iterator for Subscription {
    type Item = Result<Update, CallError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.line.broken.is_some() {
            return None;
        }
        loop {
            match self.line.heard(None) {
                Ok(heard) => {
                    if let Some(update) = self.follow.hear(heard) {
                        return Some(Ok(update));
                    }
                }
                Err(error) => {
                    let goes_on = match self.options.reconnect_within {
                        Some(patience) if error.is_lost() => self.go_on(patience),
                        _ => Err(error),
                    };
                    return Some(goes_on.map(|()| Update::Again));
                }
            }
        }
    }
}

/// Looks for a daemon until there is one again, or the time is over.
pub(crate) fn reopen(options: &Options, within: Duration) -> Result<Client, ConnectError> {
    let until = now().checked_add(within);
    loop {
        match Client::open(options) {
            Err(error) if again::may_come_back(&error) && until.is_none_or(|until| now() + again::PAUSE < until) => {
                rest(again::PAUSE);
            }
            other => return other,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "an app has a clock of its own: how long it waits is its own affair")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "an app that waits for a daemon has nothing else to do on this thread")]
pub(crate) fn rest(time: Duration) {
    std::thread::sleep(time);
}

/// A socket and its conversation.
#[derive(Debug)]
struct Line {
    stream: Stream,
    talk: Talk,
    /// What the socket was told last: telling it costs a system call.
    timeout: Option<Duration>,
    broken: Option<String>,
    /// What it was called for meanwhile.
    works: Waiting,
}

impl Line {
    #[expect(clippy::disallowed_methods, reason = "an app has a clock of its own: how long it waits is its own affair")]
    fn ask<C: Ask>(&mut self, call: &C, within: Option<Duration>) -> Result<Raw, CallError> {
        let op = || call.op().map(str::to_owned);
        if let Some(why) = &self.broken {
            // Nothing was sent: there is no outcome that could be unknown.
            return Err(CallError::Lost { why: why.clone(), op: None });
        }
        let until = within.map(|within| (Instant::now() + within, within));
        let id = self.talk.ask(call)?;
        self.send().and_then(|()| self.answer(id, until)).map_err(|error| match error {
            CallError::Lost { why, .. } => CallError::Lost { why, op: op() },
            CallError::Late { within, .. } => CallError::Late { within, op: op() },
            other => other,
        })
    }

    fn send(&mut self) -> Result<(), CallError> {
        while !self.talk.to_send().is_empty() {
            match self.stream.write(self.talk.to_send()) {
                Ok(0) => return Err(self.lost("it takes nothing more")),
                Ok(sent) => self.talk.sent(sent),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What was refused may have been said already: a `too_large` comes before the end.
                Err(error) => {
                    let why = error.to_string();
                    return Err(self.lost(&why));
                }
            }
        }
        Ok(())
    }

    fn answer(&mut self, id: CallId, until: Option<(Instant, Duration)>) -> Result<Raw, CallError> {
        loop {
            match self.heard(until)? {
                Heard::Answer { call, answer } if call == id => return Ok(answer?),
                // Calls to work are kept, and nothing else.
                other => self.works.hear(other),
            }
        }
    }

    /// The next thing that is heard.
    fn heard(&mut self, until: Option<(Instant, Duration)>) -> Result<Heard, CallError> {
        let mut buffer = [0; 16 << 10];
        loop {
            match self.talk.hear() {
                Ok(Some(heard)) => return Ok(heard),
                Ok(None) => {}
                Err(error) => {
                    self.broken = Some(error.to_string());
                    return Err(error);
                }
            }
            self.time_out_at(until)?;
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(self.lost("it was closed")),
                Ok(read) => self.talk.read(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                Err(error) => {
                    let why = error.to_string();
                    return Err(self.lost(&why));
                }
            }
        }
    }

    /// Lets the next read end in time; late where there is no time left.
    #[expect(clippy::disallowed_methods, reason = "an app has a clock of its own: how long it waits is its own affair")]
    fn time_out_at(&mut self, until: Option<(Instant, Duration)>) -> Result<(), CallError> {
        let left = match until {
            None => None,
            Some((at, within)) => match at.saturating_duration_since(Instant::now()) {
                Duration::ZERO => {
                    self.broken = Some("an answer was late".into());
                    return Err(CallError::Late { within, op: None });
                }
                left => Some(left),
            },
        };
        if left.is_some() || self.timeout.is_some() {
            let set = self.stream.set_recv_timeout(left);
            self.timeout = left;
            if let Err(error) = set {
                return Err(self.lost(&error.to_string()));
            }
        }
        Ok(())
    }

    fn is_there(&mut self, within: Duration) -> bool {
        let mut buffer = [0; 4 << 10];
        while self.broken.is_none() {
            if self.stream.set_recv_timeout(Some(within.max(Duration::from_millis(1)))).is_err() {
                self.lost("it takes no deadline");
                break;
            }
            self.timeout = Some(within);
            match self.stream.read(&mut buffer) {
                Ok(0) => drop(self.lost("it was closed")),
                Ok(read) => {
                    self.talk.read(&buffer[..read]);
                    while matches!(self.talk.hear(), Ok(Some(_))) {}
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => return true,
                Err(error) => drop(self.lost(&error.to_string())),
            }
        }
        false
    }

    fn lost(&mut self, why: &str) -> CallError {
        self.broken = Some(why.to_owned());
        CallError::Lost { why: why.to_owned(), op: None }
    }
}
