//! Owns: what hostile apps do to the daemon's memory. Must never know: what it costs.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    time::Duration,
};

use serde_json::json;

use crate::{app::App, wait};

/// Hostile apps at once.
pub const CLIENTS: usize = 64;
/// As long as a line may be, nearly.
const LONG: usize = (1 << 20) - 4096;

/// Where they meet the daemon, and how they are told to end.
pub struct Ground {
    socket: PathBuf,
    ends: AtomicBool,
}

impl Ground {
    /// At this socket.
    #[must_use]
    pub fn at(socket: &Path) -> Self {
        Self { socket: socket.to_path_buf(), ends: AtomicBool::new(false) }
    }

    /// Whether they go on.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        !self.ends.load(SeqCst)
    }

    /// They shall end.
    pub fn end(&self) {
        self.ends.store(true, SeqCst);
    }
}

/// One attack: what it is called, and what each of [`CLIENTS`] does.
pub struct Attack {
    /// For people.
    pub name: &'static str,
    one: fn(&Ground, usize),
}

impl Attack {
    /// All of them, again and again, until they are told to end.
    pub fn run(&self, ground: &Ground) {
        std::thread::scope(|scope| {
            for n in 0..CLIENTS {
                scope.spawn(move || {
                    while ground.goes_on() {
                        (self.one)(ground, n);
                    }
                });
            }
        });
    }
}

/// Something for them to ask for, in the collection `big`.
///
/// # Panics
/// When the daemon takes no connection, or refuses a write.
pub fn prepare(socket: &Path) {
    let mut app = App::try_connect(socket, "preparer").expect("a connection");
    for n in 0..40 {
        app.put("big", &format!("b{n}"), &json!({ "text": "x".repeat(500_000) }));
    }
}

/// All that there are.
#[must_use]
pub fn attacks() -> Vec<Attack> {
    vec![
        attack("a line that never ends", |ground, _| {
            let Some(mut stream) = connect(ground, "") else { return };
            let piece = [b'x'; 1 << 16];
            let mut left = 1_usize << 30;
            while left > 0 && ground.goes_on() && stream.write_all(&piece).is_ok() {
                left -= piece.len();
            }
        }),
        attack("lines that are nearly whole", |ground, _| {
            let Some(mut stream) = connect(ground, "") else { return };
            let _ = stream.write_all(&vec![b'x'; LONG]);
            hold(ground);
        }),
        attack("subscribers that never read", |ground, n| {
            if n == 0 {
                return writer(ground);
            }
            let Some(mut stream) = connect(ground, "sleeper") else { return };
            let ask = r#"{"id":1,"method":"subscribe","params":{"collections":["big"],"data":true}}"#;
            let _ = stream.write_all(format!("{ask}\n").as_bytes());
            hold(ground);
        }),
        attack("a hundred thousand subscriptions", |ground, n| {
            if n == 0 {
                return writer(ground);
            }
            let Some(mut stream) = connect(ground, "greedy") else { return };
            let mut reader = stream.try_clone().expect("the other half");
            std::thread::scope(|scope| {
                scope.spawn(move || drain(ground, &mut reader));
                let ask: String = (0..64)
                    .map(|id| {
                        format!(
                            "{{\"id\":{id},\"method\":\"subscribe\",\"params\":{{\"collections\":[\"big\"],\"data\":true}}}}\n"
                        )
                    })
                    .collect();
                // 64 apps with 25 times 64 each.
                for _ in 0..25 {
                    if !ground.goes_on() || stream.write_all(ask.as_bytes()).is_err() {
                        break;
                    }
                }
                hold(ground);
                let _ = stream.shutdown(std::net::Shutdown::Both);
            });
        }),
        attack("a hundred thousand calls at once, answers unread", |ground, _| {
            let Some(mut stream) = connect(ground, "hasty") else { return };
            let calls: String = (0..100)
                .map(|id| format!("{{\"id\":{id},\"method\":\"list\",\"params\":{{\"collection\":\"big\",\"limit\":1000}}}}\n"))
                .collect();
            for _ in 0..1_000 {
                if !ground.goes_on() || stream.write_all(calls.as_bytes()).is_err() {
                    return;
                }
            }
        }),
        attack("waits without number", |ground, _| {
            let Some(mut stream) = connect(ground, "waiter") else { return };
            let token = "w".repeat(60);
            let calls: String = (0..200)
                .map(|id| {
                    format!("{{\"id\":{id},\"method\":\"wait\",\"params\":{{\"run\":\"{token}\",\"timeout_ms\":600000}}}}\n")
                })
                .collect();
            while ground.goes_on() && stream.write_all(calls.as_bytes()).is_ok() {}
        }),
        attack("JSON a hundred thousand deep", |ground, _| {
            let deep = "[".repeat(100_000);
            let shut = "]".repeat(100_000);
            write_again_and_again(ground, &format!("{{\"v\":{deep}{shut}}}"));
        }),
        attack("large writes, answers unread", |ground, _| {
            write_again_and_again(ground, &format!("{{\"v\":\"{}\"}}", "x".repeat(LONG - 4096)));
        }),
        attack("records of many small values", |ground, _| {
            let small = "{\"\":0},".repeat((LONG - 4096) / 7);
            write_again_and_again(ground, &format!("{{\"v\":[{small}0]}}"));
        }),
        attack("records of many names", |ground, n| {
            let names: String = (0..90_000).map(|at| format!("\"{n}{at:06}\":0,")).collect();
            write_again_and_again(ground, &format!("{{{names}\"z\":0}}"));
        }),
        attack("connects without number", |ground, _| {
            let mut held = Vec::new();
            while ground.goes_on() {
                match UnixStream::connect(&ground.socket) {
                    Ok(stream) if held.len() < 10 => held.push(stream),
                    Ok(_) => {}
                    Err(_) => wait::pass(Duration::from_millis(1)),
                }
            }
        }),
    ]
}

fn attack(name: &'static str, one: fn(&Ground, usize)) -> Attack {
    Attack { name, one }
}

/// A connection whose writes wait no longer than the attack lasts; with a name, where one is given.
fn connect(ground: &Ground, name: &str) -> Option<UnixStream> {
    let stream = UnixStream::connect(&ground.socket).ok()?;
    stream.set_write_timeout(Some(Duration::from_millis(200))).ok()?;
    stream.set_read_timeout(Some(Duration::from_millis(50))).ok()?;
    if !name.is_empty() {
        let hello = format!("{{\"id\":0,\"method\":\"hello\",\"params\":{{\"app\":\"{name}\",\"protocol\":1}}}}\n");
        (&stream).write_all(hello.as_bytes()).ok()?;
    }
    Some(stream)
}

fn hold(ground: &Ground) {
    while ground.goes_on() {
        wait::pass(Duration::from_millis(20));
    }
}

fn drain(ground: &Ground, stream: &mut UnixStream) {
    let mut waste = [0; 1 << 16];
    while ground.goes_on() {
        if matches!(stream.read(&mut waste), Ok(0)) {
            return;
        }
    }
}

/// Somebody has to change what the others subscribed to.
fn writer(ground: &Ground) {
    let Ok(mut app) = App::try_connect(&ground.socket, "writer") else { return };
    let mut n = 0;
    while ground.goes_on() {
        n += 1;
        let put = json!({ "collection": "big", "id": format!("b{}", n % 40), "data": { "n": n, "text": "y".repeat(200_000) }, "overwrite": true });
        if app.ask("put", &put).is_err() {
            return;
        }
    }
}

/// The same record under ever other ids, as fast as the socket takes them, and nobody reads what is answered.
fn write_again_and_again(ground: &Ground, data: &str) {
    let Some(mut stream) = connect(ground, "writer") else { return };
    for id in 1.. {
        let call = format!(
            "{{\"id\":{id},\"method\":\"put\",\"params\":{{\"collection\":\"big\",\"id\":\"w{}\",\"overwrite\":true,\"data\":{data}}}}}\n",
            id % 4
        );
        if !ground.goes_on() || stream.write_all(call.as_bytes()).is_err() {
            return;
        }
    }
}
