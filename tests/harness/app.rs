//! Owns: an app by hand: raw lines on the socket, so that nothing of ours stands between a test and the daemon.
//! Must never know: the crates of the wire and of the client.

use std::{
    collections::VecDeque,
    io::{self, BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use serde_json::{Value, json};

use crate::wait::{self, Watch};

/// A connection.
pub struct App {
    stream: BufReader<UnixStream>,
    line: String,
    next: u64,
    /// What came unasked, or too early.
    heard: VecDeque<Value>,
}

impl App {
    /// Connects and says `hello` under this name.
    ///
    /// # Errors
    /// What the system says.
    pub fn try_connect(socket: &Path, name: &str) -> io::Result<Self> {
        let mut app = Self::raw(socket)?;
        app.ask("hello", &json!({ "app": name, "protocol": 1 }))?.map_err(|error| io::Error::other(error.to_string()))?;
        Ok(app)
    }

    /// Connects, and says nothing.
    ///
    /// # Errors
    /// What the system says.
    pub fn raw(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(wait::LONG))?;
        Ok(Self { stream: BufReader::new(stream), line: String::new(), next: 0, heard: VecDeque::new() })
    }

    /// Makes a call and waits for its answer: what it brings, or the error.
    ///
    /// # Errors
    /// When the connection ends first.
    pub fn ask(&mut self, method: &str, params: &Value) -> io::Result<Result<Value, Value>> {
        let id = self.send(method, params)?;
        self.answer(id)
    }

    /// Only asks; [`App::answer`] waits.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn send(&mut self, method: &str, params: &Value) -> io::Result<u64> {
        self.next += 1;
        let id = self.next;
        self.write(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string())?;
        Ok(id)
    }

    /// The answer to this call.
    ///
    /// # Errors
    /// When the connection ends first.
    pub fn answer(&mut self, id: u64) -> io::Result<Result<Value, Value>> {
        let is_it = |message: &Value| message["id"] == id;
        let mut message = match self.heard.iter().position(is_it) {
            Some(at) => self.heard.remove(at).unwrap_or_default(),
            None => loop {
                let message = self.read()?;
                if is_it(&message) {
                    break message;
                }
                self.heard.push_back(message);
            },
        };
        Ok(match message.get_mut("error") {
            Some(error) => Err(error.take()),
            None => Ok(message["result"].take()),
        })
    }

    /// Sends a line as it is.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn write(&mut self, line: &str) -> io::Result<()> {
        let stream = self.stream.get_mut();
        stream.write_all(line.as_bytes())?;
        stream.write_all(b"\n")
    }

    /// The next line, whatever it is.
    ///
    /// # Errors
    /// When the connection ends, or nothing comes in time.
    pub fn read(&mut self) -> io::Result<Value> {
        self.line.clear();
        if self.stream.read_line(&mut self.line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        serde_json::from_str(&self.line).map_err(|why| io::Error::other(format!("{why}: {}", self.line)))
    }

    /// What came unasked and fits, now or later.
    ///
    /// # Panics
    /// When nothing that fits comes in time.
    #[track_caller]
    pub fn hear(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.heard.iter().position(&fits) {
            return self.heard.remove(at).unwrap_or_default();
        }
        let watch = Watch::start();
        while watch.elapsed() < wait::LONG {
            let message = self.read().unwrap_or_else(|error| panic!("waiting for {what}: {error}"));
            if fits(&message) {
                return message;
            }
            self.heard.push_back(message);
        }
        panic!("waited in vain for {what}; heard {:?}", self.heard);
    }

    /// How long [`App::read`] waits for a line.
    ///
    /// # Panics
    /// When the system does not let it be set.
    pub fn patience(&self, time: Duration) {
        self.stream.get_ref().set_read_timeout(Some(time)).expect("a time to wait");
    }

    /// A call that must bring an answer.
    ///
    /// # Panics
    /// When it brings none.
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "a test writes the parameters where it calls")]
    pub fn must(&mut self, method: &str, params: Value) -> Value {
        match self.ask(method, &params) {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => panic!("{method} {params}: {error}"),
            Err(error) => panic!("{method} {params}: {error}"),
        }
    }

    /// A call that must be refused with this name; gives the whole error.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "a test writes the parameters where it calls")]
    pub fn refused(&mut self, name: &str, method: &str, params: Value) -> Value {
        match self.ask(method, &params) {
            Ok(Err(error)) if error["data"]["name"] == name => error,
            other => panic!("{method} {params}: expected {name}, got {other:?}"),
        }
    }

    /// Puts a record over whatever is there; gives the whole answer.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    pub fn put(&mut self, collection: &str, id: &str, data: &Value) -> Value {
        self.must("put", json!({ "collection": collection, "id": id, "data": data, "overwrite": true }))
    }

    /// Changes properties.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    pub fn patch(&mut self, collection: &str, id: &str, patch: &Value) -> Value {
        self.must("patch", json!({ "collection": collection, "id": id, "patch": patch }))
    }

    /// Deletes.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    pub fn delete(&mut self, collection: &str, id: &str) -> Value {
        self.must("delete", json!({ "collection": collection, "id": id }))
    }

    /// A record's data; none where it is not there.
    ///
    /// # Panics
    /// When the call is refused for another reason.
    #[track_caller]
    pub fn get(&mut self, collection: &str, id: &str) -> Option<Value> {
        match self.ask("get", &json!({ "collection": collection, "id": id })) {
            Ok(Ok(mut answer)) => Some(answer["data"].take()),
            Ok(Err(error)) if error["data"]["name"] == "not_found" => None,
            other => panic!("get {collection} {id}: {other:?}"),
        }
    }

    /// Every record of a collection by its id.
    ///
    /// # Panics
    /// When a call is refused.
    #[track_caller]
    pub fn all(&mut self, collection: &str) -> std::collections::BTreeMap<String, Value> {
        let mut all = std::collections::BTreeMap::new();
        let mut cursor = Value::Null;
        loop {
            let mut params = json!({ "collection": collection, "limit": 1000 });
            if !cursor.is_null() {
                params["cursor"] = cursor;
            }
            let mut page = self.must("list", params);
            for record in page["records"].as_array_mut().expect("records") {
                all.insert(record["id"].as_str().expect("an id").to_owned(), record["data"].take());
            }
            cursor = page["cursor"].take();
            if cursor.is_null() {
                return all;
            }
        }
    }

    /// Asks for a run; gives its id.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    pub fn run(&mut self, sync: &str) -> String {
        self.must("sync.run", json!({ "sync": sync }))["run"].as_str().expect("a run").to_owned()
    }

    /// Waits for the end of a run; gives its state.
    ///
    /// # Panics
    /// When it does not end in time.
    #[track_caller]
    pub fn ended(&mut self, run: &str) -> String {
        let answer = self.must("wait", json!({ "run": run, "timeout_ms": 50_000 }));
        answer["state"].as_str().expect("a state").to_owned()
    }

    /// Runs a sync to its end, which must be this; gives the row of its history.
    ///
    /// # Panics
    /// When it ends otherwise.
    #[track_caller]
    pub fn sync(&mut self, sync: &str, end: &str) -> Value {
        let run = self.run(sync);
        let state = self.ended(&run);
        let row = self.row(sync, &run);
        assert_eq!(state, end, "{sync}: {row}");
        row
    }

    /// The row of a run in the history of its sync.
    ///
    /// # Panics
    /// When there is none among the last hundred.
    #[track_caller]
    pub fn row(&mut self, sync: &str, run: &str) -> Value {
        let mut history = self.must("history", json!({ "sync": sync, "limit": 100 }));
        let rows = history["runs"].as_array_mut().expect("runs");
        rows.iter_mut().find(|row| row["run"] == run).unwrap_or_else(|| panic!("{run} is not in the history of {sync}")).take()
    }

    /// What `status` says of one sync.
    ///
    /// # Panics
    /// When it says nothing of it.
    #[track_caller]
    pub fn status(&mut self, sync: &str) -> Value {
        let mut status = self.must("status", json!({}));
        let rows = status["syncs"].as_array_mut().expect("syncs");
        rows.iter_mut().find(|row| row["sync"] == sync).unwrap_or_else(|| panic!("status has no {sync}")).take()
    }
}
