//! Owns: a proxy between the daemon and a server, which does to requests, answers and connections what a test says or a seed draws.
//! Must never know: what is asked, or what an answer means.

mod batches;
mod framing;

use std::{
    collections::VecDeque,
    io::{self, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use self::framing::Head;
use crate::chance::Chance;

/// Connections at once; one more is closed as it comes.
const CONNECTIONS_MAX: usize = 256;
/// Requests that are remembered; the oldest goes.
const REMEMBERED_MAX: usize = 10_000;
/// How often a wait looks whether it is over.
const LOOK: Duration = Duration::from_millis(3);

/// What becomes of one request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It is passed on after so long.
    Delay(Duration),
    /// The server hears nothing of it.
    Unheard(End),
    /// The server did it, and its answer is lost.
    Lost(End),
    /// So many bytes of the answer come, at most all but one.
    Truncated(usize, End),
    /// The answer comes so many bytes at a time, one piece each so often.
    Trickle(usize, Duration),
    /// The server hears it twice; what it says to the second counts.
    Twice,
    /// The answer comes twice.
    AnsweredTwice,
    /// The server hears nothing of it; these bytes are the answer, and the connection ends behind them.
    Instead(Vec<u8>),
    /// The server did it; these bytes are the answer, and the connection ends behind them.
    Replaced(Vec<u8>),
    /// The answer says that it is of this type.
    Typed(&'static str),
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// In good order (FIN).
    Closed,
    /// As a crash or a firewall ends it (RST).
    Reset,
    /// Not: nothing more comes.
    Silent,
}

/// Which way a partition stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// What the server says does not arrive; what it is told it does.
    In,
    /// What the server is told does not arrive. It does when the partition ends, whoever still waits for it: a network delivers late.
    Out,
    /// Neither.
    Both,
}

/// Which requests a fault waits for.
#[derive(Clone, Debug, Default)]
pub struct When {
    /// Of this method; empty: any.
    pub method: &'static str,
    /// Only what changes something: not GET, not HEAD.
    pub changes: bool,
    /// Whose path, without what follows `?`, ends like this.
    pub path_ends: String,
}

/// A request that went by.
#[derive(Clone, Debug)]
pub struct Passed {
    /// Its method.
    pub method: String,
    /// Its path with its query.
    pub target: String,
    /// What the server answered; none: it heard nothing, or said nothing.
    pub status: Option<u16>,
}

impl Passed {
    /// Whether it asked for a change.
    #[must_use]
    pub fn changes(&self) -> bool {
        !matches!(self.method.as_str(), "GET" | "HEAD")
    }
}

/// The proxy. It ends with its value.
pub struct Proxy {
    /// Where it answers, with the path of the server's own address.
    pub url: String,
    shared: Arc<Shared>,
    address: SocketAddr,
    thread: Option<std::thread::JoinHandle<()>>,
}

struct Shared {
    /// The server, as `host:port`.
    server: String,
    stop: AtomicBool,
    connections: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<(When, Fault)>,
    drawn: Option<(Chance, u64, Vec<Fault>)>,
    partition: Option<Way>,
    /// Connections that were made before the last [`Proxy::drop_connections`] end.
    generation: u64,
    /// Bytes a second, both ways.
    rate: Option<usize>,
    passed: VecDeque<Passed>,
    done: u64,
    faults: u64,
}

impl Proxy {
    /// One before the server at this address (`http://host:port/path`).
    ///
    /// # Panics
    /// When the address is no such thing, or loopback has no free port.
    #[must_use]
    pub fn before(url: &str) -> Self {
        let rest = url.strip_prefix("http://").expect("an address of a server");
        let (server, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port on loopback");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared {
            server: server.to_owned(),
            stop: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            state: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        let thread = std::thread::spawn(move || serve(&listener, &serving));
        Self { url: format!("http://{address}{path}"), shared, address, thread: Some(thread) }
    }

    /// What becomes of the next request of this method ("": any) that no earlier fault waits for.
    pub fn next(&self, method: &'static str, fault: Fault) {
        self.next_like(When { method, ..When::default() }, fault);
    }

    /// What becomes of the next request like that.
    pub fn next_like(&self, when: When, fault: Fault) {
        self.state().waiting.push_back((when, fault));
    }

    /// Faults that wait for a request in vain.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    /// From now on one in so many requests meets one of these, drawn from a seed. What waits for its request comes first.
    pub fn draw(&self, seed: u64, one_in: u64, faults: Vec<Fault>) {
        self.state().drawn = Some((Chance::new(seed), one_in, faults));
    }

    /// Stops one way or both, until [`Proxy::heal`].
    pub fn partition(&self, way: Way) {
        self.state().partition = Some(way);
    }

    /// So many bytes a second go each way.
    pub fn slow_down(&self, bytes_a_second: usize) {
        self.state().rate = Some(bytes_a_second.max(1));
    }

    /// Ends every connection, as a server that is started again does.
    pub fn drop_connections(&self) {
        self.state().generation += 1;
    }

    /// All is well from now on: no partition, no faults. What was held back goes its way.
    pub fn heal(&self) {
        let mut state = self.state();
        state.partition = None;
        state.drawn = None;
        state.rate = None;
        state.waiting.clear();
    }

    /// Changes (all but GET and HEAD; those in a batch each) that the server said it did, whether or not anybody heard it.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.state().done
    }

    /// Requests that met a fault.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.state().faults
    }

    /// What went by, the oldest first. Cleared by asking.
    #[must_use]
    pub fn passed(&self) -> Vec<Passed> {
        std::mem::take(&mut self.state().passed).into()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stop.store(true, Relaxed);
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stop.load(Relaxed) {
            break;
        }
        let Ok(stream) = stream else { continue };
        if shared.connections.fetch_add(1, Relaxed) >= CONNECTIONS_MAX {
            shared.connections.fetch_sub(1, Relaxed);
            continue;
        }
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            let generation = shared.state().generation;
            let mut line = Line { client: stream, shared: &shared, generation };
            // What goes wrong on a line ends it; nobody is there to be told.
            let _ = line.serve();
            shared.connections.fetch_sub(1, Relaxed);
        });
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while a partition stops this way; false: the proxy ends.
    fn passes(&self, ways: [Way; 2]) -> bool {
        while self.state().partition.is_some_and(|way| ways.contains(&way)) {
            if self.stop.load(Relaxed) {
                return false;
            }
            std::thread::sleep(LOOK);
        }
        !self.stop.load(Relaxed)
    }

    fn fault_for(&self, head: &Head) -> Option<Fault> {
        let mut state = self.state();
        let fits = |when: &When| {
            (when.method.is_empty() || when.method == head.method)
                && (!when.changes || head.changes())
                && head.target.split('?').next().is_some_and(|path| path.ends_with(&when.path_ends))
        };
        let at = state.waiting.iter().position(|(when, _)| fits(when));
        let mut fault = at.and_then(|at| state.waiting.remove(at)).map(|(_, fault)| fault);
        if fault.is_none()
            && let Some((chance, one_in, faults)) = &mut state.drawn
            && chance.below(*one_in) == 0
        {
            let at = usize::try_from(chance.below(faults.len() as u64)).unwrap_or(0);
            fault = faults.get(at).cloned();
        }
        state.faults += u64::from(fault.is_some());
        fault
    }

    fn went_by(&self, head: &Head, request: &[u8], answer: Option<&framing::Answer>) {
        let alone = || {
            let status = answer.map(|answer| answer.status);
            vec![Passed { method: head.method.clone(), target: head.target.clone(), status }]
        };
        let passed = batches::unpacked(&head.target, request, answer.map(|answer| &*answer.bytes)).unwrap_or_else(alone);
        let mut state = self.state();
        for one in passed {
            state.done += u64::from(one.changes() && one.status.is_some_and(|status| (200..300).contains(&status)));
            if state.passed.len() == REMEMBERED_MAX {
                state.passed.pop_front();
            }
            state.passed.push_back(one);
        }
    }
}

/// One connection of the daemon's.
struct Line<'a> {
    client: TcpStream,
    shared: &'a Shared,
    generation: u64,
}

impl Line<'_> {
    fn serve(&mut self) -> io::Result<()> {
        self.client.set_nodelay(true)?;
        self.client.set_read_timeout(Some(Duration::from_millis(50)))?;
        let mut before = Vec::new();
        loop {
            let shared = self.shared;
            let generation = self.generation;
            let ended = || shared.stop.load(Relaxed) || shared.state().generation != generation;
            let Some((head, request)) = framing::request(&mut self.client, &mut before, &ended)? else { return Ok(()) };
            if !self.answer(&head, &request)? {
                return Ok(());
            }
        }
    }

    /// False ends the connection.
    fn answer(&mut self, head: &Head, request: &[u8]) -> io::Result<bool> {
        let fault = self.shared.fault_for(head);
        match &fault {
            Some(Fault::Delay(time)) => self.wait(*time),
            Some(Fault::Unheard(end)) => {
                self.shared.went_by(head, request, None);
                return self.end(*end);
            }
            Some(Fault::Instead(bytes)) => {
                self.shared.went_by(head, request, None);
                return self.last(bytes);
            }
            Some(Fault::Twice) => {
                let _ = self.ask(head, request)?;
            }
            _ => {}
        }
        let answer = self.ask(head, request)?;
        if !self.shared.passes([Way::In, Way::Both]) {
            return Ok(false);
        }
        match fault {
            Some(Fault::Lost(end)) => self.end(end),
            Some(Fault::Truncated(bytes, end)) => {
                let bytes = bytes.min(answer.bytes.len().saturating_sub(1));
                self.send(&answer.bytes[..bytes])?;
                self.end(end)
            }
            Some(Fault::Trickle(piece, pause)) => {
                for some in answer.bytes.chunks(piece.max(1)) {
                    self.client.write_all(some)?;
                    self.wait(pause);
                }
                Ok(answer.framed)
            }
            Some(Fault::AnsweredTwice) => {
                self.send(&answer.bytes)?;
                self.send(&answer.bytes)?;
                Ok(answer.framed)
            }
            Some(Fault::Replaced(bytes)) => self.last(&bytes),
            Some(Fault::Typed(of)) => {
                let bytes = framing::of_type(&answer.bytes, of);
                self.send(&bytes)?;
                Ok(answer.framed)
            }
            _ => {
                self.send(&answer.bytes)?;
                Ok(answer.framed)
            }
        }
    }

    /// Asks the server, over a connection of its own, once a partition lets it through.
    fn ask(&self, head: &Head, request: &[u8]) -> io::Result<framing::Answer> {
        if !self.shared.passes([Way::Out, Way::Both]) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let answer = TcpStream::connect(&self.shared.server).and_then(|mut server| {
            server.set_nodelay(true)?;
            server.set_read_timeout(Some(Duration::from_millis(50)))?;
            // Some servers hold what a request says of where it came from against their own address.
            server.write_all(&framing::from_here(request, &self.shared.server))?;
            framing::answer(&mut server, &|| self.shared.stop.load(Relaxed))
        });
        self.shared.went_by(head, request, answer.as_ref().ok());
        answer
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(rate) = self.shared.state().rate else { return self.client.write_all(bytes) };
        // In tenths of a second, so that no rate comes in bursts.
        for some in bytes.chunks(rate.div_ceil(10)) {
            self.client.write_all(some)?;
            if self.shared.state().rate.is_some() {
                self.wait(Duration::from_millis(100));
            }
        }
        Ok(())
    }

    fn last(&mut self, bytes: &[u8]) -> io::Result<bool> {
        self.client.write_all(bytes)?;
        self.end(End::Closed)
    }

    fn end(&mut self, end: End) -> io::Result<bool> {
        match end {
            End::Closed => self.client.shutdown(Shutdown::Both)?,
            End::Reset => rustix::net::sockopt::set_socket_linger(&self.client, Some(Duration::ZERO))?,
            End::Silent => {
                // Until the other side gives up.
                let ended = || self.shared.stop.load(Relaxed) || self.shared.state().generation != self.generation;
                let _ = framing::request(&mut self.client, &mut Vec::new(), &ended)?;
            }
        }
        Ok(false)
    }

    fn wait(&self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until && !self.shared.stop.load(Relaxed) {
            std::thread::sleep(LOOK.min(time));
        }
    }
}
