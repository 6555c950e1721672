//! Owns: a socket that one thing alone speaks over (a subscription, an offer to work), and its way to a new one. Must never know: what is
//! said on it.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use interprocess::local_socket::tokio::Stream;
use tokio::{
    io::{AsyncRead, AsyncWriteExt, ReadBuf},
    time::timeout,
};

use super::{HELLO_WITHIN, SubscribeError, hello, now, read, rest, stream};
use crate::{
    Ask, CallError, Options, again, connect,
    talk::{Heard, Talk},
    work::Waiting,
};

/// A socket of its own, and what is said on it.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Stream,
    talk: Talk,
    /// What it was called for meanwhile.
    pub(super) works: Waiting,
}

/// What a connection begins with: what the first call of it was answered, and the instance of the store.
pub(super) type Begun<A> = (Wire, A, Option<String>);

impl Wire {
    /// Connects, says hello and makes the first call, before anything else is heard.
    pub(super) async fn open<C: Ask>(options: &Options, first: &C) -> Result<Begun<C::Answer>, SubscribeError> {
        let mut wire = Self { stream: stream(options).await?, talk: Talk::default(), works: Waiting::default() };
        let mut instance = None;
        if !options.without_hello {
            let answer = wire.call(&hello(options), Some(HELLO_WITHIN)).await;
            instance = Some(connect::greeted(answer)?.instance);
        }
        let answer = wire.call(first, Some(HELLO_WITHIN)).await?;
        Ok((wire, answer, instance))
    }

    /// [`Wire::open`] once there is a daemon again.
    pub(super) async fn again<C: Ask>(options: &Options, first: &C, patience: Duration) -> Result<Begun<C::Answer>, CallError> {
        let until = now().checked_add(patience);
        loop {
            let error = match Self::open(options, first).await {
                Ok(begun) => return Ok(begun),
                Err(error) => error,
            };
            let may = match &error {
                SubscribeError::Connect(error) => again::may_come_back(error),
                SubscribeError::Call(error) => error.is_lost(),
            };
            if !may || until.is_some_and(|until| now() + again::PAUSE >= until) {
                return Err(match error {
                    SubscribeError::Call(error) => error,
                    SubscribeError::Connect(error) => CallError::Lost { why: error.to_string(), op: None },
                });
            }
            rest(again::PAUSE).await;
        }
    }

    /// The next thing that is heard. May be dropped and asked again.
    pub(super) fn poll_heard(&mut self, context: &mut Context<'_>) -> Poll<Result<Heard, CallError>> {
        let mut buffer = [0; 16 << 10];
        loop {
            match self.talk.hear() {
                Ok(Some(heard)) => return Poll::Ready(Ok(heard)),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
            let mut read = ReadBuf::new(&mut buffer);
            match ready!(Pin::new(&mut self.stream).poll_read(context, &mut read)) {
                Ok(()) if read.filled().is_empty() => {
                    return Poll::Ready(Err(CallError::Lost { why: "it was closed".into(), op: None }));
                }
                Ok(()) => self.talk.read(read.filled()),
                Err(error) => return Poll::Ready(Err(CallError::Lost { why: error.to_string(), op: None })),
            }
        }
    }

    /// Sends what is to be sent: also what is left of a call that was dropped in the middle.
    pub(super) async fn send(&mut self) -> Result<(), CallError> {
        let lost = |error: io::Error| CallError::Lost { why: error.to_string(), op: None };
        while !self.talk.to_send().is_empty() {
            let sent = self.stream.write(self.talk.to_send()).await.map_err(lost)?;
            self.talk.sent(sent);
        }
        Ok(())
    }

    /// A call, and its answer. Calls to work that come before it are kept, and nothing else.
    pub(super) async fn call<C: Ask>(&mut self, call: &C, within: Option<Duration>) -> Result<C::Answer, CallError> {
        let id = self.talk.ask(call)?;
        let answered = async {
            self.send().await?;
            loop {
                match poll_fn(|context| self.poll_heard(context)).await? {
                    Heard::Answer { call, answer } if call == id => return Ok(answer?),
                    other => self.works.hear(other),
                }
            }
        };
        let raw = match within {
            None => answered.await,
            Some(within) => timeout(within, answered).await.unwrap_or(Err(CallError::Late { within, op: None })),
        };
        read::<C>(&raw?)
    }
}
