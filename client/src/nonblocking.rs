//! Owns: the driver for tokio: many calls at once over one connection. Must never know: what the calls mean.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

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
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{mpsc, oneshot},
    time::timeout,
};

mod subscription;
mod wire;
mod worker;

pub use self::{subscription::Subscription, worker::Worker};
pub use crate::blocking::SubscribeError;
use crate::{
    Ask, CallError, ConnectError, Options,
    again::{self, Next},
    calls, connect,
    talk::{CallId, Heard, Talk},
};

/// How long a daemon may take to take a connection and to answer `hello`. Both are its first duty.
const HELLO_WITHIN: Duration = Duration::from_secs(10);

/// A connection, shared by its clones; calls are pipelined. It ends with its last clone.
#[derive(Clone, Debug)]
pub struct Client {
    line: Arc<Line>,
    options: Options,
    hello: Option<HelloAnswer>,
}

/// The way to the daemon, which its clones share: where it is lost, one of them makes it anew for all.
#[derive(Debug)]
struct Line {
    now: Mutex<Connection>,
    /// Held by whoever connects anew.
    anew: tokio::sync::Mutex<()>,
}

/// One connection.
#[derive(Clone, Debug)]
struct Connection {
    number: u64,
    orders: mpsc::Sender<Order>,
    /// The store's, as its hello said.
    instance: Option<String>,
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
        let (connection, hello) = Connection::open(options, 1).await?;
        let line = Line { now: Mutex::new(connection), anew: tokio::sync::Mutex::new(()) };
        Ok(Self { line: Arc::new(line), options: options.clone(), hello })
    }

    /// What `hello` answered on the first connection; None where none was said.
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
        let mut connection = self.connection();
        if connection.orders.is_closed() && self.options.reconnect_within.is_some() {
            // It ended since the last call: nothing of this one was sent.
            connection = self.connect_again(&connection, &CallError::Lost { why: "it was closed".into(), op: None }).await?;
        }
        let mut since = None;
        loop {
            let error = match connection.once(call.clone()).await {
                Ok(raw) => return Ok(raw),
                Err(error) => error,
            };
            let Some(patience) = self.options.reconnect_within else { return Err(error) };
            match again::after(&call, &error) {
                Next::Stays => return Err(error),
                Next::Connect => {
                    if let Some(instance) = &connection.instance {
                        call.tie(instance);
                    }
                    connection = self.connect_again(&connection, &error).await?;
                    since = None;
                }
                Next::Repeat(pause) => {
                    let began = *since.get_or_insert_with(now);
                    if began.elapsed() + pause > patience {
                        return Err(error);
                    }
                    rest(pause).await;
                }
            }
        }
    }

    fn connection(&self) -> Connection {
        self.line.now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A connection after this one, which was lost.
    async fn connect_again(&self, lost: &Connection, error: &CallError) -> Result<Connection, CallError> {
        let _one_for_all = self.line.anew.lock().await;
        let present = self.connection();
        if present.number != lost.number {
            return Ok(present);
        }
        let patience = self.options.reconnect_within.unwrap_or_default();
        let until = now().checked_add(patience);
        let connection = loop {
            match Connection::open(&self.options, lost.number + 1).await {
                Ok((connection, _)) => break connection,
                Err(error) if again::may_come_back(&error) && until.is_none_or(|until| now() + again::PAUSE < until) => {
                    rest(again::PAUSE).await;
                }
                Err(absent) => {
                    let why = format!("{absent}; it was looked for for {} ms", patience.as_millis());
                    return Err(CallError::Lost { why, op: error.outcome_unknown().map(str::to_owned) });
                }
            }
        };
        *self.line.now.lock().unwrap_or_else(PoisonError::into_inner) = connection.clone();
        Ok(connection)
    }

    /// Subscribes, on a connection of its own.
    ///
    /// # Errors
    /// [`SubscribeError`]: no second connection, or the call was refused.
    pub async fn subscribe(&self, ask: Subscribe) -> Result<Subscription, SubscribeError> {
        Subscription::open(&self.options, ask).await
    }

    /// Does work for remotes of kind `app`, on a connection of its own: these, or all that are this app's.
    ///
    /// # Errors
    /// [`SubscribeError`]: no second connection, or the offer was refused.
    pub async fn offer(&self, remotes: Option<Vec<String>>) -> Result<Worker, SubscribeError> {
        Worker::open(&self.options, remotes).await
    }

    calls::functions! { nonblocking }
}

impl Connection {
    async fn open(options: &Options, number: u64) -> Result<(Self, Option<HelloAnswer>), ConnectError> {
        let stream = stream(options).await?;
        let (orders, inbox) = mpsc::channel(CALLS_IN_FLIGHT_MAX);
        tokio::spawn(converse(stream, inbox));
        let mut connection = Self { number, orders, instance: None };
        if options.without_hello {
            return Ok((connection, None));
        }
        let answered = timeout(HELLO_WITHIN, connection.once(hello(options))).await;
        let answer = answered.unwrap_or(Err(CallError::Late { within: HELLO_WITHIN, op: None }));
        let hello = connect::greeted(answer.and_then(|raw| read::<Hello>(&raw)))?;
        connection.instance = Some(hello.instance.clone());
        Ok((connection, Some(hello)))
    }

    /// Makes a call over this connection.
    async fn once<C: Ask + Send + 'static>(&self, call: C) -> Result<Raw, CallError> {
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

#[expect(clippy::disallowed_methods, reason = "an app has a clock of its own: how long it waits is its own affair")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "an app that waits for a daemon does other things meanwhile")]
async fn rest(time: Duration) {
    tokio::time::sleep(time).await;
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
