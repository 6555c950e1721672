//! Owns: a scripted daemon on a socket of its own, for the tests of the client and of the command. Must never know: what they test.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// What the fake says to one request.
pub enum Say {
    /// The result of this call.
    Answer(Value),
    /// An error of that name, with more members of `data`.
    Refuse(&'static str, Value),
    /// An error of that name for the connection as a whole (id null), and its end.
    Expel(&'static str),
    /// A notification.
    Tell(&'static str, Value),
    /// Ends the connection.
    Close,
}

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Heard {
    /// The connection's number, from 0.
    pub connection: usize,
    pub method: String,
    pub params: Value,
}

type Script = dyn Fn(&Heard) -> Vec<Say> + Send + Sync;

/// A daemon that says what its script tells it. `hello` is answered by itself unless the script does.
pub struct Fake {
    directory: TempDir,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Fake {
    pub fn start(script: impl Fn(&Heard) -> Vec<Say> + Send + Sync + 'static) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o700)).expect("closed");
        let fake = Self { directory, heard: Arc::default() };
        let listener = UnixListener::bind(fake.socket()).expect("bound");
        let (heard, script): (_, Arc<Script>) = (fake.heard.clone(), Arc::new(script));
        // Both kinds of thread end with the test's process.
        thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let (heard, script) = (heard.clone(), script.clone());
                thread::spawn(move || serve(connection, &stream.expect("a connection"), &heard, &*script));
            }
        });
        fake
    }

    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("mingle.sock")
    }

    /// Every request so far, `hello` left out.
    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().expect("not poisoned").iter().filter(|one| one.method != "hello").cloned().collect()
    }
}

fn serve(connection: usize, mut stream: &UnixStream, heard: &Mutex<Vec<Heard>>, script: &Script) {
    for line in BufReader::new(stream).lines() {
        let Ok(line) = line else { return };
        let request: Value = serde_json::from_str(&line).expect("a request");
        let one = Heard {
            connection,
            method: request["method"].as_str().expect("a method").to_owned(),
            params: request["params"].clone(),
        };
        heard.lock().expect("not poisoned").push(one.clone());
        let mut says = script(&one);
        if says.is_empty() && one.method == "hello" {
            says.push(Say::Answer(hello()));
        }
        for say in says {
            let message = match say {
                Say::Answer(result) => json!({"jsonrpc": "2.0", "id": request["id"], "result": result}),
                Say::Refuse(name, more) => {
                    let mut data = json!({"name": name, "retryable": false});
                    for (member, value) in more.as_object().into_iter().flatten() {
                        data[member] = value.clone();
                    }
                    let error = json!({"code": -32000, "message": format!("the fake says {name}"), "data": data});
                    json!({"jsonrpc": "2.0", "id": request["id"], "error": error})
                }
                Say::Expel(name) => {
                    let error = json!({"code": -32000, "message": format!("the fake says {name}"), "data": {"name": name}});
                    let _ = writeln!(stream, "{}", json!({"jsonrpc": "2.0", "id": null, "error": error}));
                    let _ = stream.shutdown(std::net::Shutdown::Both);
                    return;
                }
                Say::Tell(method, params) => json!({"jsonrpc": "2.0", "method": method, "params": params}),
                Say::Close => {
                    let _ = stream.shutdown(std::net::Shutdown::Both);
                    return;
                }
            };
            if writeln!(stream, "{message}").is_err() {
                return;
            }
        }
    }
}

pub fn hello() -> Value {
    json!({"protocol": 1, "abilities": [], "limits": {"request_bytes": 1, "reply_bytes": 1, "page_records": 1, "calls_in_flight": 1,
        "subscriptions": 1}, "instance": "5f0c", "seq": 41, "grants": {"*": "write"}, "build": "fake"})
}
