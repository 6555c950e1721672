//! Owns: the driver for tokio: many calls at once over one connection. Must never know: what the calls mean.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::Stream as Updates;
use interprocess::local_socket::{
    GenericFilePath, ToFsName,
    tokio::Stream,
    traits::{StreamCommon as _, tokio::Stream as _},
};
use mingle_proto::{
    PROTOCOL, Raw,
    call::{Hello, HelloAnswer, Subscribe},
    limits::CALLS_IN_FLIGHT_MAX,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf},
    sync::{mpsc, oneshot},
    time::timeout,
};

pub use crate::blocking::SubscribeError;
use crate::{
    Ask, CallError, ConnectError, Options, Update, calls, connect,
    subscribe::Follow,
    talk::{CallId, Heard, Talk},
};

/// How long a daemon may take to take a connection and to answer `hello`. Both are its first duty.
const HELLO_WITHIN: Duration = Duration::from_secs(10);

/// A connection, shared by its clones; calls are pipelined. It ends with its last clone.
#[derive(Clone, Debug)]
pub struct Client {
    orders: mpsc::Sender<Order>,
    options: Options,
    hello: Option<HelloAnswer>,
}

/// Puts one call into the conversation; its type is known only to who made it.
type Asking = dyn FnOnce(&mut Talk) -> Result<CallId, mingle_proto::Error> + Send;

/// One call on its way to the task that owns the socket.
struct Order {
    ask: Box<Asking>,
    answer: oneshot::Sender<Result<Raw, CallError>>,
}

impl Client {
    /// Connects as this app, at the environment's socket, and says `hello`.
    ///
    /// # Errors
    /// [`ConnectError`], which tells a person what to do.
    pub async fn connect(app: &str) -> Result<Self, ConnectError> {
        Self::open(&Options::app(app)).await
    }

    /// Connects. Must be called on a tokio runtime: a task of it owns the socket.
    ///
    /// # Errors
    /// [`ConnectError`], which tells a person what to do.
    pub async fn open(options: &Options) -> Result<Self, ConnectError> {
        let stream = stream(options).await?;
        let (orders, inbox) = mpsc::channel(CALLS_IN_FLIGHT_MAX);
        tokio::spawn(converse(stream, inbox));
        let mut client = Self { orders, options: options.clone(), hello: None };
        if !options.without_hello {
            let answer = client.call_within(hello(options), HELLO_WITHIN).await;
            client.hello = Some(connect::greeted(answer)?);
        }
        Ok(client)
    }

    /// What `hello` answered; None where none was said.
    #[must_use]
    pub const fn hello(&self) -> Option<&HelloAnswer> {
        self.hello.as_ref()
    }

    /// Makes a call. A write gets an operation id if it has none. Dropped, nobody waits for the answer; the call may still happen.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call<C: Ask + Send + 'static>(&self, call: C) -> Result<C::Answer, CallError> {
        read::<C>(&self.call_raw(call).await?)
    }

    /// [`Client::call`] that gives up after a while. Other calls of the connection go on.
    ///
    /// # Errors
    /// The same, and [`CallError::Late`].
    pub async fn call_within<C: Ask + Send + 'static>(&self, mut call: C, within: Duration) -> Result<C::Answer, CallError> {
        call.give_op();
        let op = call.op().map(str::to_owned);
        timeout(within, self.call(call)).await.unwrap_or(Err(CallError::Late { within, op }))
    }

    /// [`Client::call`] that gives the answer as it came.
    ///
    /// # Errors
    /// The same.
    pub async fn call_raw<C: Ask + Send + 'static>(&self, mut call: C) -> Result<Raw, CallError> {
        call.give_op();
        let op = call.op().map(str::to_owned);
        let (answer, answered) = oneshot::channel();
        let order = Order { ask: Box::new(move |talk| talk.ask(&call)), answer };
        if self.orders.send(order).await.is_err() {
            // It was not sent: there is no outcome that could be unknown.
            return Err(CallError::Lost { why: "it was closed".into(), op: None });
        }
        match answered.await {
            Ok(Err(CallError::Lost { why, .. })) => Err(CallError::Lost { why, op }),
            Ok(answer) => answer,
            Err(_) => Err(CallError::Lost { why: "it was closed".into(), op }),
        }
    }

    /// Subscribes, on a connection of its own.
    ///
    /// # Errors
    /// [`SubscribeError`]: no second connection, or the call was refused.
    pub async fn subscribe(&self, ask: Subscribe) -> Result<Subscription, SubscribeError> {
        let mut subscription = Subscription {
            stream: stream(&self.options).await?,
            talk: Talk::default(),
            follow: Follow::new(ask.clone(), &mingle_proto::call::SubscribeAnswer::default(), None),
            over: false,
        };
        let mut instance = None;
        if !self.options.without_hello {
            let answer = subscription.call(&hello(&self.options)).await;
            instance = Some(connect::greeted(answer)?.instance);
        }
        let answer = subscription.call(&ask).await?;
        subscription.follow = Follow::new(ask, &answer, instance);
        Ok(subscription)
    }

    calls::functions! { nonblocking }
}

fn hello(options: &Options) -> Hello {
    Hello { app: options.app.clone(), protocol: PROTOCOL }
}

async fn stream(options: &Options) -> Result<Stream, ConnectError> {
    let place = options.place()?;
    connect::check_directory(&place)?;
    let connected = match place.socket.as_path().to_fs_name::<GenericFilePath>() {
        Ok(name) => timeout(HELLO_WITHIN, Stream::connect(name)).await.unwrap_or(Err(io::ErrorKind::TimedOut.into())),
        Err(error) => Err(error),
    };
    let stream = connected.map_err(|error| connect::refused(&place, error))?;
    connect::check_peer(&place, stream.peer_creds())?;
    Ok(stream)
}

fn read<C: Ask>(raw: &Raw) -> Result<C::Answer, CallError> {
    serde_json::from_str(raw.get()).map_err(|why| CallError::Garbled(format!("{}: {why}", C::METHOD)))
}

/// Owns the socket: sends what is asked, hands out what is answered, until nobody asks any more or the connection ends.
async fn converse(stream: Stream, mut inbox: mpsc::Receiver<Order>) {
    let mut talk = Talk::default();
    let mut waiting: BTreeMap<CallId, oneshot::Sender<Result<Raw, CallError>>> = BTreeMap::new();
    let mut buffer = Vec::with_capacity(16 << 10);
    let mut asked_for = true;
    let why = loop {
        if !asked_for && waiting.is_empty() {
            return;
        }
        // Not more than the daemon reads: what it leaves in the socket would be sent, and yet wait.
        let room = waiting.len() < CALLS_IN_FLIGHT_MAX;
        let (mut incoming, mut outgoing) = (&stream, &stream);
        tokio::select! {
            order = inbox.recv(), if asked_for && room => match order {
                None => asked_for = false,
                Some(Order { ask, answer }) => match ask(&mut talk) {
                    Ok(id) => { waiting.insert(id, answer); }
                    Err(refusal) => drop(answer.send(Err(refusal.into()))),
                },
            },
            sent = outgoing.write(talk.to_send()), if !talk.to_send().is_empty() => match sent {
                Ok(0) => break CallError::Lost { why: "it takes nothing more".into(), op: None },
                Ok(sent) => talk.sent(sent),
                Err(error) => break CallError::Lost { why: error.to_string(), op: None },
            },
            read = incoming.read_buf(&mut buffer) => match read {
                Ok(0) => break CallError::Lost { why: "it was closed".into(), op: None },
                Ok(_) => {
                    talk.read(&buffer);
                    buffer.clear();
                    if let Err(error) = hand_out(&mut talk, &mut waiting) {
                        break error;
                    }
                }
                Err(error) => break CallError::Lost { why: error.to_string(), op: None },
            },
        }
    };
    for answer in waiting.into_values() {
        let told = match &why {
            CallError::Garbled(why) => CallError::Garbled(why.clone()),
            CallError::Refused(refusal) => CallError::Refused(refusal.clone()),
            other => CallError::Lost { why: other.to_string(), op: None },
        };
        // Who does not wait any more needs not be told.
        drop(answer.send(Err(told)));
    }
}

fn hand_out(talk: &mut Talk, waiting: &mut BTreeMap<CallId, oneshot::Sender<Result<Raw, CallError>>>) -> Result<(), CallError> {
    while let Some(heard) = talk.hear()? {
        if let Heard::Answer { call, answer } = heard
            && let Some(waiter) = waiting.remove(&call)
        {
            drop(waiter.send(answer.map_err(CallError::Refused)));
        }
    }
    Ok(())
}

/// What a subscription brings, as a stream. It ends with the first error; [`Subscription::again`] says how to go on.
#[derive(Debug)]
pub struct Subscription {
    stream: Stream,
    talk: Talk,
    follow: Follow,
    over: bool,
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

    /// The next update; None after the end. May be dropped and asked again: nothing is lost.
    pub async fn next(&mut self) -> Option<Result<Update, CallError>> {
        poll_fn(|context| self.poll_update(context)).await
    }

    fn poll_update(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Update, CallError>>> {
        if self.over {
            return Poll::Ready(None);
        }
        loop {
            match ready!(self.poll_heard(context)) {
                Ok(heard) => {
                    if let Some(update) = self.follow.hear(heard) {
                        return Poll::Ready(Some(Ok(update)));
                    }
                }
                Err(error) => {
                    self.over = true;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
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
