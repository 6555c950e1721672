//! Owns: a bare conversation over the socket, a line each way: for what is asked in heaps, where a client's own work would be
//! measured too. Must never know: what is asked.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::Path,
};

use anyhow::bail;
use serde_json::{Value, json};

/// A connection that said its name.
pub struct Line {
    stream: BufReader<UnixStream>,
    heard: Vec<u8>,
    calls: u64,
}

impl Line {
    /// Connects, and says `hello` where the other side knows it.
    pub fn open(socket: &Path, app: Option<&str>) -> anyhow::Result<Self> {
        let stream = BufReader::with_capacity(256 << 10, UnixStream::connect(socket)?);
        let mut line = Self { stream, heard: Vec::new(), calls: 0 };
        if let Some(app) = app {
            line.call("hello", &json!({ "app": app, "protocol": 1 }))?;
        }
        Ok(line)
    }

    /// One call, and its answer.
    pub fn call(&mut self, method: &str, params: &Value) -> anyhow::Result<Value> {
        self.calls += 1;
        let text = ask(self.calls, method, params);
        self.say(&text)?;
        let mut answer: Value = serde_json::from_slice(self.hear()?)?;
        if answer["result"].is_null() {
            bail!("{method}: {answer}");
        }
        Ok(answer["result"].take())
    }

    pub fn say(&mut self, text: &str) -> anyhow::Result<()> {
        Ok(self.stream.get_mut().write_all(text.as_bytes())?)
    }

    /// The next line, whatever it is.
    pub fn hear(&mut self) -> anyhow::Result<&[u8]> {
        self.heard.clear();
        if self.stream.read_until(b'\n', &mut self.heard)? == 0 {
            bail!("the other side went away");
        }
        Ok(&self.heard)
    }
}

/// A request with its line's end.
pub fn ask(id: u64, method: &str, params: &Value) -> String {
    format!("{}\n", json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
}

/// Puts records `first..first + count` of this collection, some hundreds in a commit.
pub fn fill(line: &mut Line, collection: &str, count: usize, record: impl Fn(usize) -> (String, Value)) -> anyhow::Result<()> {
    const AT_ONCE: usize = 400;
    for first in (0..count).step_by(AT_ONCE) {
        let writes = (first..count.min(first + AT_ONCE)).map(|number| {
            let (id, data) = record(number);
            json!({ "put": { "collection": collection, "id": id, "data": data } })
        });
        line.call("transact", &json!({ "writes": writes.collect::<Vec<_>>() }))?;
    }
    Ok(())
}
