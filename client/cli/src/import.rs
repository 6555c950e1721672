//! Owns: `mingle import`: lines of JSON, as `mingle export` prints them, become records again. Must never know: how a record is merged or
//! sent.
//!
//! The input is read twice: once to find a line that cannot be imported, before anything is written, and once to write. So it has to be a
//! file; what comes from elsewhere goes through one that has no name.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use mingle_client::{CallError, Name, Raw, call};
use mingle_proto::limits::{RECORD_ID_BYTES_MAX, REQUEST_BYTES_MAX};
use serde_json::{Value, json};

use crate::{
    at::At,
    exit::{Exit, Failure},
    words::{count, plain},
};

/// Read records from lines of JSON, as `mingle export` prints them: collection, id, data.
///
/// All lines are looked at before the first record is written: where one cannot be imported, nothing is. What is there already as the line
/// has it counts as imported, so an import that was cut off can be repeated. The syncs send what was imported, like any other write.
#[derive(Debug, clap::Args)]
pub struct Import {
    /// The file, or - for standard input.
    file: PathBuf,
    /// What becomes of a record that is there with other content: it stays (keep), or the line takes its place (replace). Left out, such a
    /// line is an error, and nothing is imported.
    #[arg(long, value_name = "keep|replace")]
    if_exists: Option<IfExists>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum IfExists {
    Keep,
    Replace,
}

/// A line's bytes: a record of the largest size that one request takes, and what stands around it.
const LINE_BYTES_MAX: u64 = REQUEST_BYTES_MAX as u64;

/// What a request has around a line's text.
const AROUND_BYTES: usize = 1_024;

/// So many lines, or so many bytes of them, are one transaction: short enough that apps do not wait for it.
const BATCH_LINES_MAX: usize = 200;
const BATCH_BYTES_MAX: usize = REQUEST_BYTES_MAX / 2;

/// A batch meets somebody else's write at most so often.
const TRIES_MAX: u32 = 5;

/// One line, read.
#[derive(Clone, Debug)]
struct Line {
    number: u64,
    collection: String,
    id: String,
    data: Raw,
}

/// What was done so far.
#[derive(Debug, Default)]
struct Done {
    lines: usize,
    written: usize,
    there: usize,
}

impl Import {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let mut input = open(&self.file)?;
        let mut known = BTreeSet::new();
        each(&mut input, |line| {
            if !known.contains(&line.collection) {
                // What is not there, or not granted, is told by its own words.
                let look = call::List { collection: line.collection.clone(), limit: Some(1), ..call::List::default() };
                at.call(look).map_err(|failure| bad(line.number, &failure))?;
                known.insert(line.collection.clone());
            }
            if self.if_exists.is_none() && there(at, &line)? == There::Other {
                return Err(other(&line));
            }
            Ok(())
        })
        .map_err(|failure| nothing_yet(&failure))?;
        let mut work =
            Work { at, if_exists: self.if_exists, batch: Vec::new(), bytes: 0, keys: BTreeSet::new(), done: Done::default() };
        let ended = each(&mut input, |line| work.take(line)).and_then(|()| work.flush());
        let Work { at, done, .. } = work;
        if let Err(failure) = ended {
            let before = format!("{} before it {}", count(done.lines, "line"), if done.lines == 1 { "is" } else { "are" });
            let hint = format!("{before} imported; put it right, and import the same file again: what is there already stays");
            return Err(Failure::said(failure.exit(), failure.to_string(), join(&failure.hint(), &hint)));
        }
        if at.json {
            at.line(&json!({ "lines": done.lines, "written": done.written, "there": done.there }).to_string())?;
        } else {
            let there = if done.there > 0 { format!(", {} there already", done.there) } else { String::new() };
            at.line(&format!("imported {}{there}", count(done.written, "record")))?;
        }
        Ok(Exit::Done)
    }
}

/// The second time through: what is written next.
struct Work<'a> {
    at: &'a mut At,
    if_exists: Option<IfExists>,
    batch: Vec<Line>,
    bytes: usize,
    keys: BTreeSet<(String, String)>,
    done: Done,
}

impl Work<'_> {
    fn take(&mut self, line: Line) -> Result<(), Failure> {
        let bytes = line.data.get().len() + line.id.len() + line.collection.len() + 64;
        let key = (line.collection.clone(), line.id.clone());
        // One record twice is two writes: each meets the one before.
        if self.batch.len() >= BATCH_LINES_MAX || self.bytes + bytes > BATCH_BYTES_MAX || self.keys.contains(&key) {
            self.flush()?;
        }
        self.bytes += bytes;
        self.keys.insert(key);
        self.batch.push(line);
        Ok(())
    }

    /// Writes the batch, whole or not at all.
    fn flush(&mut self) -> Result<(), Failure> {
        let batch = std::mem::take(&mut self.batch);
        self.bytes = 0;
        self.keys.clear();
        let mut tries = 0;
        loop {
            let (writes, there) = self.writes(&batch)?;
            let written = writes.len();
            if !writes.is_empty() {
                let write = call::Transact { writes, op: None, instance: None };
                match self.at.call(write) {
                    Ok(_) => {}
                    // Somebody made one of them since we looked.
                    Err(failure) if name(&failure) == Some(Name::Stale) && tries < TRIES_MAX => {
                        tries += 1;
                        continue;
                    }
                    Err(failure) => return Err(self.blame(&batch, failure)),
                }
            }
            self.done.lines += batch.len();
            self.done.written += written;
            self.done.there += there;
            return Ok(());
        }
    }

    /// What of a batch is to be written, and how many of it are there.
    fn writes(&mut self, batch: &[Line]) -> Result<(Vec<call::Write>, usize), Failure> {
        let (mut writes, mut stay) = (Vec::new(), 0);
        for line in batch {
            if self.if_exists != Some(IfExists::Replace) {
                match (there(self.at, line)?, self.if_exists) {
                    (There::No, _) => {}
                    (There::Other, None) => return Err(other(line)),
                    (There::Same | There::Other, _) => {
                        stay += 1;
                        continue;
                    }
                }
            }
            writes.push(call::Write::Put(self.put(line)));
        }
        Ok((writes, stay))
    }

    fn put(&self, line: &Line) -> call::PutOne {
        let overwrite = self.if_exists == Some(IfExists::Replace);
        call::PutOne {
            collection: line.collection.clone(),
            id: Some(line.id.clone()),
            data: line.data.clone(),
            if_seq: (!overwrite).then_some(0),
            overwrite,
            merge: false,
            defer: false,
        }
    }

    /// Which line of a refused batch it is: each is asked for alone, at a seq that no record has, so that nothing is written.
    fn blame(&mut self, batch: &[Line], failure: Failure) -> Failure {
        if matches!(name(&failure), Some(Name::Invalid | Name::TooLarge | Name::ReadOnly | Name::Denied)) {
            for line in batch {
                let call::PutOne { collection, id, data, .. } = self.put(line);
                let put = call::Put {
                    collection,
                    id,
                    data,
                    op: None,
                    if_seq: Some(u64::MAX >> 12),
                    overwrite: false,
                    merge: false,
                    defer: false,
                    instance: None,
                };
                match self.at.call(put) {
                    Err(alone) if name(&alone) != Some(Name::Stale) => return bad(line.number, &alone),
                    _ => {}
                }
            }
        }
        match batch {
            [first, .., last] => {
                Failure::said(failure.exit(), format!("lines {} to {}: {failure}", first.number, last.number), failure.hint())
            }
            [line] => bad(line.number, &failure),
            [] => failure,
        }
    }
}

/// Whether a line's record is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum There {
    No,
    Same,
    Other,
}

fn there(at: &mut At, line: &Line) -> Result<There, Failure> {
    match at.call(call::Get { collection: line.collection.clone(), id: line.id.clone(), ..call::Get::default() }) {
        Ok(found) if same(found.data.get(), line.data.get()) => Ok(There::Same),
        Ok(_) => Ok(There::Other),
        Err(failure) if name(&failure) == Some(Name::NotFound) => Ok(There::No),
        Err(failure) => Err(bad(line.number, &failure)),
    }
}

/// Whether two texts are the same record; spaces and the order of names do not count.
fn same(one: &str, other: &str) -> bool {
    let read = |text: &str| serde_json::from_str::<Value>(text).ok();
    one == other || read(one).is_some_and(|one| Some(one) == read(other))
}

fn name(failure: &Failure) -> Option<Name> {
    match failure {
        Failure::Call(CallError::Refused(refusal)) => Some(refusal.data.name),
        _ => None,
    }
}

fn other(line: &Line) -> Failure {
    Failure::said(
        Exit::Failed,
        plain(&format!("line {}: {}/{} is there with other content", line.number, line.collection, line.id)),
        "--if-exists keep leaves such records as they are, --if-exists replace writes the line over them",
    )
}

fn bad(number: u64, failure: &Failure) -> Failure {
    Failure::said(failure.exit(), format!("line {number}: {failure}"), failure.hint())
}

fn wrong(number: u64, what: impl std::fmt::Display) -> Failure {
    Failure::said(
        Exit::Failed,
        format!("line {number}: {what}"),
        "a line is {\"collection\": \"NAME\", \"id\": \"ID\", \"data\": {...}}, as `mingle export` prints it",
    )
}

fn nothing_yet(failure: &Failure) -> Failure {
    Failure::said(failure.exit(), failure.to_string(), join(&failure.hint(), "nothing was imported"))
}

fn join(one: &str, other: &str) -> String {
    if one.is_empty() { other.to_owned() } else { format!("{one}; {other}") }
}

/// The input as a file that can be read twice.
fn open(path: &Path) -> Result<File, Failure> {
    let not = |why: io::Error| Failure::said(Exit::Failed, format!("{}: {why}", path.display()), "");
    if path == Path::new("-") {
        return spool(&mut io::stdin().lock()).map_err(not);
    }
    let mut file = File::open(path).map_err(not)?;
    let kind = file.metadata().map_err(not)?;
    if kind.is_dir() {
        return Err(Failure::said(
            Exit::Usage,
            format!("{} is a folder", path.display()),
            "give a file, or - for standard input",
        ));
    }
    if kind.is_file() { Ok(file) } else { spool(&mut file).map_err(not) }
}

/// What cannot be read twice goes through a file that nobody else sees.
#[expect(clippy::disallowed_methods, reason = "the file is made anew, for us alone, and has no name from its first moment on")]
fn spool(from: &mut dyn Read) -> io::Result<File> {
    let path = std::env::temp_dir().join(format!("mingle-import-{}", std::process::id()));
    let mut file = fs::OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    fs::remove_file(&path)?;
    io::copy(from, &mut file)?;
    Ok(file)
}

/// Reads the file from its beginning, one line at a time.
fn each(file: &mut File, mut take: impl FnMut(Line) -> Result<(), Failure>) -> Result<(), Failure> {
    let unread = |number: u64, why: io::Error| wrong(number, format!("it cannot be read: {why}"));
    file.seek(SeekFrom::Start(0)).map_err(|why| unread(1, why))?;
    let mut from = BufReader::new(file);
    let mut bytes = Vec::new();
    for number in 1.. {
        bytes.clear();
        if from.by_ref().take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut bytes).map_err(|why| unread(number, why))? == 0 {
            break;
        }
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        take(line(number, &bytes)?)?;
    }
    Ok(())
}

fn line(number: u64, bytes: &[u8]) -> Result<Line, Failure> {
    if bytes.len() + AROUND_BYTES > REQUEST_BYTES_MAX {
        return Err(wrong(
            number,
            format!("it has more than {} bytes, which no request takes", REQUEST_BYTES_MAX - AROUND_BYTES),
        ));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| wrong(number, "it is no UTF-8"))?;
    let mut members: BTreeMap<String, Raw> =
        serde_json::from_str(text).map_err(|why| wrong(number, format!("it is no JSON object: {why}")))?;
    let mut text_of = |name: &str| match members.remove(name).map(|raw| serde_json::from_str::<String>(raw.get())) {
        Some(Ok(text)) => Ok(text),
        Some(Err(_)) => Err(wrong(number, format!("{name} is no text"))),
        None => Err(wrong(number, format!("it has no {name}"))),
    };
    let (collection, id) = (text_of("collection")?, text_of("id")?);
    if id.is_empty() || id.len() > RECORD_ID_BYTES_MAX || id.chars().any(char::is_control) {
        return Err(wrong(number, format!("an id has 1 to {RECORD_ID_BYTES_MAX} bytes and no control characters")));
    }
    let data = members.remove("data").ok_or_else(|| wrong(number, "it has no data"))?;
    // Numbers keep their written form: it is read to see whether it can be, and sent as it is.
    if !data.get().starts_with('{') || serde_json::from_str::<Value>(data.get()).is_err() {
        return Err(wrong(number, "data is no JSON object"));
    }
    // The seq is that of the store it came from; here it gets another.
    members.remove("seq");
    match members.keys().next() {
        Some(unknown) => Err(wrong(number, format!("nothing is called {unknown:?} in a line"))),
        None => Ok(Line { number, collection, id, data }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_taken_and_lines_that_are_not() {
        #[track_caller]
        fn check(text: &str, expect: &str) {
            let got = match line(7, text.as_bytes()) {
                Ok(line) => format!("{} {} {}", line.collection, line.id, line.data.get()),
                Err(failure) => failure.to_string(),
            };
            assert!(got.starts_with(expect), "{text}: {got}");
        }
        check(r#"{"collection":"a","id":"x","seq":3,"data":{"n":1.50}}"#, r#"a x {"n":1.50}"#);
        check(r#" {"data":{},"id":"x","collection":"a"} "#, "a x {}");
        check("{", "line 7: it is no JSON object");
        check("[]", "line 7: it is no JSON object");
        check(r#"{"id":"x","data":{}}"#, "line 7: it has no collection");
        check(r#"{"collection":"a","data":{}}"#, "line 7: it has no id");
        check(r#"{"collection":"a","id":7,"data":{}}"#, "line 7: id is no text");
        check(r#"{"collection":"a","id":"","data":{}}"#, "line 7: an id has 1 to 256 bytes");
        check(r#"{"collection":"a","id":"x"}"#, "line 7: it has no data");
        check(r#"{"collection":"a","id":"x","data":[]}"#, "line 7: data is no JSON object");
        check(r#"{"collection":"a","id":"x","data":{},"more":1}"#, "line 7: nothing is called \"more\"");
        check(&format!(r#"{{"collection":"a","id":"x","data":{{"t":"{}"}}}}"#, "x".repeat(1 << 20)), "line 7: it has more than");
        assert!(line(1, b"{\"collection\":\"\xff\"}").is_err());
    }

    #[test]
    fn the_same_record_in_other_words() {
        assert!(same(r#"{"a":1,"b":2}"#, r#"{ "b": 2, "a": 1 }"#));
        assert!(!same(r#"{"a":1}"#, r#"{"a":2}"#));
    }
}
