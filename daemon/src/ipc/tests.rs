//! Owns: the socket's behaviour, by raw lines over a real socket. Must never know: how it is done.

#![expect(clippy::disallowed_methods, reason = "tests look again after a moment, until a deadline")]

mod calls;
mod fresh;
mod limits;
mod model;
mod pages;
mod subscriptions;

use std::{path::PathBuf, sync::Arc, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};

use self::model::Model;
use super::{
    authorize::Purpose,
    listen::Socket,
    server::{Server, Settings},
};

/// Far longer than anything takes; a test that waits so long has failed.
const DEADLINE: Duration = Duration::from_secs(20);

/// A served socket, and the model behind it.
struct House {
    model: Arc<Model>,
    server: Option<Server>,
    path: PathBuf,
    _home: tempfile::TempDir,
}

impl House {
    fn open() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("run/mingle.sock");
        let mut settings = Settings::of(Purpose::Apps);
        change(&mut settings);
        let model = Arc::new(Model::default());
        let server = Server::start(Socket::bind(&path).unwrap(), model.clone(), settings);
        Self { model, server: Some(server), path, _home: home }
    }

    async fn connect(&self) -> App {
        let (read, write) = UnixStream::connect(&self.path).await.unwrap().into_split();
        App { read: BufReader::new(read), write, next: 0 }
    }

    /// A connection that has said hello.
    async fn app(&self, name: &str) -> App {
        let mut app = self.connect().await;
        let answer = app.call("hello", &format!(r#"{{"app":"{name}"}}"#)).await;
        assert_eq!(answer["result"]["protocol"], 1, "{answer}");
        app
    }
}

/// The other end.
struct App {
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
    next: u64,
}

impl App {
    async fn send(&mut self, text: &str) {
        timeout(DEADLINE, self.write.write_all(text.as_bytes())).await.unwrap().unwrap();
    }

    /// The next line; none: the end.
    async fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        match timeout(DEADLINE, self.read.read_line(&mut line)).await.expect("a line in time") {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(serde_json::from_str(&line).unwrap()),
        }
    }

    async fn next(&mut self) -> Value {
        self.line().await.expect("a line, not the end")
    }

    /// Sends a call and gives its id.
    async fn ask(&mut self, method: &str, params: &str) -> u64 {
        self.next += 1;
        let id = self.next;
        self.send(&format!("{{\"id\":{id},\"method\":\"{method}\",\"params\":{params}}}\n")).await;
        id
    }

    /// A call, and its answer, which must be the next line.
    async fn call(&mut self, method: &str, params: &str) -> Value {
        let id = self.ask(method, params).await;
        let answer = self.next().await;
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    /// The name of the error that a call gives; empty where it is served.
    async fn refusal(&mut self, method: &str, params: &str) -> String {
        let answer = self.call(method, params).await;
        answer["error"]["data"]["name"].as_str().unwrap_or_default().to_owned()
    }
}

/// Waits until it holds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = timeout(DEADLINE, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "never: {what}");
}
