//! Owns: one connection's conversation, without IO: calls become bytes, bytes become what was heard. Must never know: sockets, time.
//!
//! A driver does three things: it sends what [`Talk::to_send`] has, gives what it reads to [`Talk::read`], and asks [`Talk::hear`]
//! until it has nothing more.

use std::collections::BTreeSet;

use mingle_proto::{
    Call, Error, Frames, FromDaemon, Id, Name, Raw,
    event::{Changed, Event, Work, WorkStop},
    limits::{LINE_FROM_DAEMON_BYTES_MAX, REQUEST_BYTES_MAX},
    message,
};
use serde_json::value::RawValue;

use crate::CallError;

/// The number of a call in its connection.
pub type CallId = u64;

/// What came from the daemon.
#[derive(Debug)]
pub enum Heard {
    /// A call is answered, for good.
    Answer {
        /// Which.
        call: CallId,
        /// Not read yet: the caller knows its type.
        answer: Result<Raw, Error>,
    },
    /// Records of a subscription.
    Changed(Changed),
    /// An event of a subscription.
    Event(Event),
    /// A call to work.
    Work(Work),
    /// A work that is not wanted any more.
    WorkStop(WorkStop),
}

/// The conversation.
#[derive(Debug)]
pub struct Talk {
    frames: Frames,
    out: Vec<u8>,
    /// How much of `out` is sent.
    sent: usize,
    last: CallId,
    waiting: BTreeSet<CallId>,
}

impl Default for Talk {
    fn default() -> Self {
        Self { frames: Frames::new(LINE_FROM_DAEMON_BYTES_MAX), out: Vec::new(), sent: 0, last: 0, waiting: BTreeSet::new() }
    }
}

impl Talk {
    /// Puts a call behind what is to be sent.
    ///
    /// # Errors
    /// `too_large` for a line that the daemon would close the connection for; `invalid` for what cannot be written as JSON. Nothing is
    /// sent then.
    pub fn ask<C: Call>(&mut self, call: &C) -> Result<CallId, Error> {
        self.forget_sent();
        let before = self.out.len();
        let id = self.last + 1;
        message::request(&mut self.out, &Id::number(id), C::METHOD, call)
            .map_err(|why| Error::new(Name::Invalid, format!("{} cannot be written: {why}", C::METHOD)))?;
        let bytes = self.out.len() - before - 1;
        if bytes > REQUEST_BYTES_MAX {
            self.out.truncate(before);
            let error =
                Error::new(Name::TooLarge, format!("a {} of {bytes} bytes, and a line may have {REQUEST_BYTES_MAX}", C::METHOD));
            return Err(error.hint("keep large values outside the record, and their place in it"));
        }
        self.last = id;
        self.waiting.insert(id);
        Ok(id)
    }

    /// What is to be sent next; empty where nothing is.
    #[must_use]
    pub fn to_send(&self) -> &[u8] {
        &self.out[self.sent..]
    }

    /// So many bytes of [`Talk::to_send`] are sent.
    pub fn sent(&mut self, bytes: usize) {
        self.sent = (self.sent + bytes).min(self.out.len());
        if self.sent == self.out.len() {
            self.forget_sent();
        }
    }

    fn forget_sent(&mut self) {
        self.out.drain(..self.sent);
        self.sent = 0;
    }

    /// Takes bytes that were read.
    pub fn read(&mut self, bytes: &[u8]) {
        self.frames.push(bytes);
    }

    /// How many calls wait for their answer.
    #[must_use]
    pub fn calls_in_flight(&self) -> usize {
        self.waiting.len()
    }

    /// What was read, one by one; None: read more. Answers that nobody waits for and notifications that this build does not know are
    /// passed over.
    ///
    /// # Errors
    /// [`CallError::Refused`] where the connection as a whole is refused, [`CallError::Garbled`] where the other end does not speak the
    /// protocol: close it, for nothing more can be heard.
    pub fn hear(&mut self) -> Result<Option<Heard>, CallError> {
        loop {
            let Some(line) = self.frames.next().map_err(|large| CallError::Garbled(large.to_string()))? else { return Ok(None) };
            let heard = match FromDaemon::read(line).map_err(CallError::Garbled)? {
                FromDaemon::Answer { id, result } => answered(&mut self.waiting, &id, || Ok(result.to_owned())),
                FromDaemon::Refusal { id: Some(id), error } => answered(&mut self.waiting, &id, || Err(error)),
                FromDaemon::Refusal { id: None, error } => return Err(error.into()),
                FromDaemon::Notification { method, params } => match &*method {
                    Changed::METHOD => Some(Heard::Changed(notification(params)?)),
                    Event::METHOD => known_event(params),
                    Work::METHOD => Some(Heard::Work(notification(params)?)),
                    WorkStop::METHOD => Some(Heard::WorkStop(notification(params)?)),
                    _ => None,
                },
            };
            if heard.is_some() {
                return Ok(heard);
            }
        }
    }
}

fn answered(waiting: &mut BTreeSet<CallId>, id: &Id<'_>, answer: impl FnOnce() -> Result<Raw, Error>) -> Option<Heard> {
    let call = id.as_number().filter(|id| waiting.remove(id))?;
    Some(Heard::Answer { call, answer: answer() })
}

fn notification<T: serde::de::DeserializeOwned>(params: &RawValue) -> Result<T, CallError> {
    serde_json::from_str(params.get()).map_err(|why| CallError::Garbled(why.to_string()))
}

/// An event of a topic that was asked for is known; anything else is a newer daemon's.
fn known_event(params: &RawValue) -> Option<Heard> {
    notification(params).ok().map(Heard::Event)
}

#[cfg(test)]
mod tests {
    use mingle_proto::call::{Get, Put, Status};

    use super::*;

    /// Two calls are asked; what is heard of the lines, in short.
    #[track_caller]
    fn check(lines: &str, expect: &[&str]) {
        let mut talk = Talk::default();
        talk.ask(&Status {}).expect("asked");
        talk.ask(&Get { collection: "a".into(), id: "b".into(), ..Get::default() }).expect("asked");
        let mut got = Vec::new();
        // One byte at a time: pieces must not matter.
        for byte in lines.as_bytes() {
            talk.read(&[*byte]);
            match talk.hear() {
                Ok(None) => {}
                Ok(Some(Heard::Answer { call, answer: Ok(raw) })) => got.push(format!("{call} {raw}")),
                Ok(Some(Heard::Answer { call, answer: Err(error) })) => got.push(format!("{call} {}", error.name())),
                Ok(Some(Heard::Changed(changed))) => got.push(format!("changed {}", changed.seq)),
                Ok(Some(Heard::Event(event))) => got.push(format!("event {}", event.topic())),
                Ok(Some(Heard::Work(work))) => got.push(format!("work {} {}", work.work, work.checkpoint)),
                Ok(Some(Heard::WorkStop(stop))) => got.push(format!("stop {}", stop.work)),
                Err(CallError::Refused(error)) => got.push(format!("! {}", error.name())),
                Err(why) => got.push(format!("! {why}")),
            }
        }
        assert_eq!(got, expect, "{lines}");
    }

    #[test]
    fn what_is_heard() {
        check("{\"id\":2,\"result\":{\"n\":1.50}}\n{\"id\":1,\"result\":{}}\n", &["2 {\"n\":1.50}", "1 {}"]);
        check("{\"id\":1,\"error\":{\"code\":-32000,\"message\":\"m\",\"data\":{\"name\":\"denied\"}}}\n", &["1 denied"]);
        check("{\"id\":1,\"result\":{}}\n{\"id\":1,\"result\":{}}\n{\"id\":9,\"result\":{}}\n", &["1 {}"]);
        check(
            "{\"method\":\"changed\",\"params\":{\"subscription\":1,\"changes\":[],\"seq\":7,\"more\":false}}\n",
            &["changed 7"],
        );
        check(
            "{\"method\":\"work\",\"params\":{\"work\":\"k-1\",\"sync\":\"s\",\"remote\":\"r\",\"resource\":\"\",\"checkpoint\":{\"n\":1.0}}}\n\
             {\"method\":\"work.stop\",\"params\":{\"work\":\"k-1\"}}\n",
            &["work k-1 {\"n\":1.0}", "stop k-1"],
        );
        check("{\"method\":\"sung\",\"params\":{}}\n{\"id\":1,\"result\":{}}\n", &["1 {}"]);
        check("{\"method\":\"event\",\"params\":{\"subscription\":1,\"topic\":\"weather\",\"at\":\"x\"}}\n", &[]);
        check(
            "{\"id\":null,\"error\":{\"code\":-32000,\"message\":\"m\",\"data\":{\"name\":\"too_large\"}}}\n",
            &["! too_large"],
        );
        check("HTTP/1.1 400 Bad Request\n", &["! what mingled sent cannot be read: expected value at line 1 column 1"]);
    }

    #[test]
    fn calls_become_lines_and_go_as_they_can() {
        let mut talk = Talk::default();
        talk.ask(&Status {}).expect("asked");
        talk.ask(&Status {}).expect("asked");
        let all = String::from_utf8(talk.to_send().to_vec()).expect("text");
        assert_eq!(all.lines().count(), 2);
        assert_eq!(all.lines().next(), Some(r#"{"jsonrpc":"2.0","id":1,"method":"status","params":{}}"#));
        talk.sent(10);
        assert_eq!(talk.to_send(), &all.as_bytes()[10..]);
        talk.ask(&Status {}).expect("asked");
        assert!(talk.to_send().starts_with(&all.as_bytes()[10..]));
        talk.sent(talk.to_send().len());
        assert!(talk.to_send().is_empty());
        assert_eq!(talk.calls_in_flight(), 3);
    }

    #[test]
    fn what_is_too_large_is_not_sent() {
        let mut talk = Talk::default();
        let data = RawValue::from_string(format!("\"{}\"", "x".repeat(REQUEST_BYTES_MAX))).expect("JSON");
        let refused = talk.ask(&Put { collection: "a".into(), data, ..Put::default() }).expect_err("too large");
        assert_eq!(refused.name(), Name::TooLarge);
        assert!(talk.to_send().is_empty());
        assert_eq!(talk.calls_in_flight(), 0);
    }
}
