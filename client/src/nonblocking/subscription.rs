//! Owns: a subscription as a stream, over a connection of its own, and its way to a new one. Must never know: what is in a record.

use std::{
    future::{Future, poll_fn},
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::Stream as Updates;
use interprocess::local_socket::tokio::Stream;
use mingle_proto::call::{Subscribe, SubscribeAnswer};
use tokio::{
    io::{AsyncRead, AsyncWriteExt, ReadBuf},
    time::timeout,
};

use super::{HELLO_WITHIN, SubscribeError, hello, now, read, rest, stream};
use crate::{
    Ask, CallError, Options, Update, again, connect,
    subscribe::Follow,
    talk::{Heard, Talk},
};

/// What a subscription brings, as a stream. It ends with the first error; [`Subscription::again`] says how to go on.
#[derive(Debug)]
pub struct Subscription {
    wire: Wire,
    follow: Follow,
    options: Options,
    anew: Option<Anew>,
    over: bool,
}

/// A socket of its own, and what is said on it.
#[derive(Debug)]
struct Wire {
    stream: Stream,
    talk: Talk,
}

/// What a new connection of a subscription brings.
type Went = Result<(Wire, SubscribeAnswer, Option<String>), CallError>;

/// A subscription on its way to a new connection.
struct Anew(Pin<Box<dyn Future<Output = Went> + Send + Sync>>);

impl std::fmt::Debug for Anew {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Anew")
    }
}

impl Subscription {
    /// Subscribes over a connection of its own.
    pub(super) async fn open(options: &Options, ask: Subscribe) -> Result<Self, SubscribeError> {
        let mut wire = Wire { stream: stream(options).await?, talk: Talk::default() };
        let (answer, instance) = wire.subscribe(options, &ask).await?;
        Ok(Self { wire, follow: Follow::new(ask, &answer, instance), options: options.clone(), anew: None, over: false })
    }

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

    /// The next update; None after the end. May be dropped and asked again: nothing is lost.
    pub async fn next(&mut self) -> Option<Result<Update, CallError>> {
        poll_fn(|context| self.poll_update(context)).await
    }

    fn poll_update(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Update, CallError>>> {
        if self.over {
            return Poll::Ready(None);
        }
        loop {
            if let Some(anew) = &mut self.anew {
                let went = ready!(anew.0.as_mut().poll(context));
                self.anew = None;
                match went {
                    Ok((wire, answer, instance)) => {
                        self.follow.goes_on(&answer, instance);
                        self.wire = wire;
                        return Poll::Ready(Some(Ok(Update::Again)));
                    }
                    Err(error) => return self.end(error),
                }
            }
            match ready!(self.wire.poll_heard(context)) {
                Ok(heard) => {
                    if let Some(update) = self.follow.hear(heard) {
                        return Poll::Ready(Some(Ok(update)));
                    }
                }
                Err(error) => match self.options.reconnect_within {
                    Some(patience) if error.is_lost() => {
                        self.anew = Some(Anew(Box::pin(go_on(self.options.clone(), self.follow.again(), patience))));
                    }
                    _ => return self.end(error),
                },
            }
        }
    }

    fn end(&mut self, error: CallError) -> Poll<Option<Result<Update, CallError>>> {
        self.over = true;
        Poll::Ready(Some(Err(error)))
    }
}

/// Subscribes over a new connection, once there is a daemon again.
async fn go_on(options: Options, ask: Subscribe, patience: Duration) -> Went {
    let until = now().checked_add(patience);
    loop {
        let went = async {
            let mut wire = Wire { stream: stream(&options).await?, talk: Talk::default() };
            let (answer, instance) = wire.subscribe(&options, &ask).await?;
            Ok((wire, answer, instance))
        };
        let error = match went.await {
            Ok(went) => return Ok(went),
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

impl Wire {
    /// Says hello and subscribes, before anything else is heard: the answer, and the instance of the store.
    async fn subscribe(
        &mut self,
        options: &Options,
        ask: &Subscribe,
    ) -> Result<(SubscribeAnswer, Option<String>), SubscribeError> {
        let mut instance = None;
        if !options.without_hello {
            let answer = self.call(&hello(options)).await;
            instance = Some(connect::greeted(answer)?.instance);
        }
        Ok((self.call(ask).await?, instance))
    }

    fn poll_heard(&mut self, context: &mut Context<'_>) -> Poll<Result<Heard, CallError>> {
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

    /// A call before anything else is heard.
    async fn call<C: Ask>(&mut self, call: &C) -> Result<C::Answer, CallError> {
        let id = self.talk.ask(call)?;
        let lost = |error: io::Error| CallError::Lost { why: error.to_string(), op: None };
        while !self.talk.to_send().is_empty() {
            let sent = self.stream.write(self.talk.to_send()).await.map_err(lost)?;
            self.talk.sent(sent);
        }
        let heard = async {
            loop {
                if let Heard::Answer { call, answer } = poll_fn(|context| self.poll_heard(context)).await?
                    && call == id
                {
                    return Ok(answer?);
                }
            }
        };
        let raw = timeout(HELLO_WITHIN, heard).await.unwrap_or(Err(CallError::Late { within: HELLO_WITHIN, op: None }))?;
        read::<C>(&raw)
    }
}

impl Updates for Subscription {
    type Item = Result<Update, CallError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_update(context)
    }
}
