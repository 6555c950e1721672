//! Owns: an app that does work for a sync: each line of a file is a record, and how many were told is the checkpoint. Must never know: when
//! it is called.
//!
//! With `[remote.lines] kind = "app", app = "lines"` and a sync of it whose `resource` is the path of a file:
//! `cargo run -p mingle-client --example worker`.

use std::{fs, time::Duration};

use mingle_client::{Options, Raw, blocking::Client};

fn json(value: &serde_json::Value) -> Raw {
    serde_json::value::to_raw_value(value).unwrap_or_default()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options { reconnect_within: Some(Duration::MAX), ..Options::app("lines") };
    let mut worker = Client::open(&options)?.offer(None)?;
    loop {
        let mut work = worker.next_work()?;
        let text = match fs::read_to_string(&work.about().resource) {
            Ok(text) => text,
            Err(error) => {
                worker.ends(work.failed(error.to_string(), None))?;
                continue;
            }
        };
        let mut told: usize = serde_json::from_str(work.about().checkpoint.get()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().skip(told).collect();
        for some in lines.chunks(500) {
            let row = |(at, line): (usize, &&str)| json(&serde_json::json!({ "id": told + at, "data": { "line": line } }));
            let rows = some.iter().enumerate().map(row).collect();
            told += some.len();
            worker.batch(&mut work, rows, Some(json(&told.into())))?;
        }
        worker.ends(work.done(false))?;
    }
}
