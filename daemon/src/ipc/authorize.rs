//! Owns: who may call what: one rule for each right of the list of methods; what no rule lets through is denied. Must never know: how
//! a call is served.
//!
//! Names are not proven: processes of one user are not walled off from each other. Grants keep honest apps apart.

use mingle_core::ask::{Grant, Grants, Scope, Topic};
use mingle_proto::{Error, Method, Name, Right};

use super::convert::listed;

/// What a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Everything, for apps.
    Apps,
    /// A look at the daemon, without records, ids and properties, for what may look but not read.
    Status,
}

/// The methods of a socket that is for status alone; every other is denied there.
const STATUS_METHODS: &[&str] =
    &["hello", "status", "explain", "history", "sync.list", "subscribe", "stop", "restart", "rpc.discover"];

/// The topics that say nothing of records.
const STATUS_TOPICS: &[Topic] = &[Topic::Run, Topic::Sync];

/// Who is at the other end, as far as it said.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    purpose: Purpose,
    name: Option<String>,
    grants: Grants,
}

impl Caller {
    /// One that has not said anything: it may read and operate.
    pub(super) fn unnamed(purpose: Purpose) -> Self {
        let grant = if purpose == Purpose::Apps { Grant::Read } else { Grant::None };
        Self { purpose, name: None, grants: Grants::All(grant) }
    }

    /// It gave a name, and these are the grants of that name.
    pub(super) fn is(&mut self, name: &str, grants: Grants) {
        self.name = Some(name.to_owned());
        if self.purpose == Purpose::Apps {
            self.grants = grants;
        }
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub(super) fn grants(&self) -> &Grants {
        &self.grants
    }

    /// Whether it came by the socket that gives no data: then nothing is said that may hold a piece of a record.
    pub(super) fn only_looks(&self) -> bool {
        self.purpose == Purpose::Status
    }

    /// Whether the method may be called at all: asked before its parameters are looked at.
    pub(super) fn may_call(&self, method: &Method) -> Result<(), Error> {
        if self.purpose == Purpose::Status && !STATUS_METHODS.contains(&method.name) {
            return Err(Error::new(Name::Denied, format!("{} is not served on the status socket", method.name))
                .hint("`mingle socket-path` names the socket for apps"));
        }
        if method.right == Right::Write && self.name.is_none() {
            return Err(nameless(method));
        }
        Ok(())
    }

    /// Whether a method that gives no records, or only shows and steers runs, may go on.
    pub(super) fn may_operate(&self, method: &Method) -> Result<(), Error> {
        match method.right {
            Right::Open | Right::Operate => Ok(()),
            Right::Read | Right::Write => Err(without_a_rule(method)),
        }
    }

    /// Whether it may see the records of a collection.
    pub(super) fn may_read(&self, method: &Method, collection: &str) -> Result<(), Error> {
        match method.right {
            Right::Read if self.grants.of(collection) >= Grant::Read => Ok(()),
            Right::Read => Err(self.denied("read", collection)),
            Right::Open | Right::Operate | Right::Write => Err(without_a_rule(method)),
        }
    }

    /// Whether an answer that gives no records may quote what is in those of a collection.
    pub(super) fn sees(&self, collection: &str) -> bool {
        self.grants.of(collection) >= Grant::Read
    }

    /// Its name, where what is asked is about the app that asks.
    pub(super) fn own(&self, method: &Method) -> Result<&str, Error> {
        self.name.as_deref().ok_or_else(|| {
            Error::new(Name::Denied, format!("{} needs a name: it is about the app that asks", method.name))
                .hint("say hello first: {\"id\":0,\"method\":\"hello\",\"params\":{\"app\":\"NAME\"}}")
        })
    }

    /// What it may see of what it names; where it names nothing, all that it may see.
    pub(super) fn readable(&self, method: &Method, named: Option<Vec<String>>) -> Result<Scope, Error> {
        match (method.right, named) {
            (Right::Read, None) => Ok(self.grants.readable()),
            (Right::Read, Some(named)) => {
                for collection in &named {
                    self.may_read(method, collection)?;
                }
                Ok(Scope::Only(named))
            }
            (Right::Open | Right::Operate | Right::Write, _) => Err(without_a_rule(method)),
        }
    }

    /// Whether it may write a collection; its name for the ledger. Also for the few things that operating may do to records.
    pub(super) fn may_write(&self, method: &Method, collection: &str) -> Result<&str, Error> {
        let Some(name) = &self.name else { return Err(nameless(method)) };
        match method.right {
            Right::Write | Right::Operate if self.grants.of(collection) >= Grant::Write => Ok(name),
            Right::Write | Right::Operate => Err(self.denied("write", collection)),
            Right::Open | Right::Read => Err(without_a_rule(method)),
        }
    }

    /// What it may write of what it names, and its name; where it names nothing, all that it may write.
    pub(super) fn writable(&self, method: &Method, named: Option<String>) -> Result<(String, Scope), Error> {
        let Some(name) = &self.name else { return Err(nameless(method)) };
        match (method.right, named) {
            (Right::Write, None) => Ok((name.clone(), self.grants.writable())),
            (Right::Write, Some(named)) => {
                self.may_write(method, &named)?;
                Ok((name.clone(), Scope::Only(vec![named])))
            }
            (Right::Open | Right::Operate | Right::Read, _) => Err(without_a_rule(method)),
        }
    }

    /// What is left of what it once named, or of all, when its grants are others now.
    pub(super) fn still_readable(&self, named: Option<&[String]>) -> Scope {
        match named {
            None => self.grants.readable(),
            Some(named) => Scope::Only(named.iter().filter(|name| self.grants.of(name) >= Grant::Read).cloned().collect()),
        }
    }

    /// Whether it may follow records at all.
    pub(super) fn may_follow(&self) -> Result<(), Error> {
        if self.purpose == Purpose::Apps {
            return Ok(());
        }
        Err(Error::new(Name::Denied, "the status socket gives no records, only topics")
            .hint(format!("topics here: {}", listed(["run", "sync"]))))
    }

    /// Whether it may listen to a topic; what it hears of it is another question ([`Grants::readable`]).
    pub(super) fn may_hear(&self, topic: Topic) -> Result<(), Error> {
        if self.purpose == Purpose::Apps && topic == Topic::Invite && self.name.is_none() {
            return Err(Error::new(Name::Denied, "who wants to be invited needs a name")
                .hint("say hello first: {\"id\":0,\"method\":\"hello\",\"params\":{\"app\":\"NAME\"}}"));
        }
        if self.purpose == Purpose::Apps || STATUS_TOPICS.contains(&topic) {
            return Ok(());
        }
        Err(Error::new(Name::Denied, "this topic speaks of records, which the status socket does not")
            .hint(format!("topics here: {}", listed(["run", "sync"]))))
    }

    fn denied(&self, what: &str, collection: &str) -> Error {
        let who = self.name.as_deref().map_or_else(|| "an app without a name".to_owned(), |name| format!("app {name}"));
        let section = self.name.as_deref().unwrap_or("NAME");
        Error::new(Name::Denied, format!("{who} may not {what} {collection}"))
            .hint(format!("grant it in the configuration: [app.{section}] grants = {{ {collection} = \"{what}\" }}"))
            .about(collection)
    }
}

fn nameless(method: &Method) -> Error {
    Error::new(Name::Denied, format!("{} needs a name: the ledger says who wrote", method.name))
        .hint("say hello first: {\"id\":0,\"method\":\"hello\",\"params\":{\"app\":\"NAME\"}}")
}

/// The handler asks for something else than the list of methods says. Denied rather than guessed.
fn without_a_rule(method: &Method) -> Error {
    tracing::error!(method = method.name, "a handler asks for another right than its method has");
    Error::new(Name::Denied, format!("{} is denied: its right does not go so far", method.name))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mingle_proto::METHODS;

    use super::*;

    fn callers() -> Vec<(&'static str, Caller)> {
        let named = |grants: Grants| {
            let mut caller = Caller::unnamed(Purpose::Apps);
            caller.is("agent", grants);
            caller
        };
        let list = |grant| Grants::Only(BTreeMap::from([("issues".to_owned(), grant)]));
        let mut status = Caller::unnamed(Purpose::Status);
        status.is("bar", Grants::All(Grant::Write));
        vec![
            ("unnamed", Caller::unnamed(Purpose::Apps)),
            ("named", named(Grants::All(Grant::Write))),
            ("reader", named(list(Grant::Read))),
            ("writer", named(list(Grant::Write))),
            ("none", named(list(Grant::None))),
            ("other", named(Grants::Only(BTreeMap::new()))),
            ("status", status),
        ]
    }

    /// The whole table: every method, every caller, every question; nothing is let through that is not in `allowed`.
    #[test]
    fn every_method_lets_through_what_its_right_says() {
        for method in METHODS {
            for (who, caller) in callers() {
                let operate = caller.may_call(method).and_then(|()| caller.may_operate(method)).is_ok();
                let read = caller.may_call(method).and_then(|()| caller.may_read(method, "issues")).is_ok();
                let write = caller.may_call(method).and_then(|()| caller.may_write(method, "issues").map(drop)).is_ok();
                let served = who != "status" || STATUS_METHODS.contains(&method.name);
                let expect = match method.right {
                    // A write under operate is `accept_deletes`: it asks for the grant all the same.
                    Right::Open => (served, false, false),
                    Right::Operate => (served, false, matches!(who, "named" | "writer")),
                    Right::Read => (false, matches!(who, "unnamed" | "named" | "reader" | "writer"), false),
                    Right::Write => (false, false, matches!(who, "named" | "writer")),
                };
                assert_eq!((operate, read, write), expect, "{} by {who}", method.name);
            }
        }
    }

    #[test]
    fn what_is_named_is_refused_and_what_is_not_named_does_not_show() {
        let method = mingle_proto::call::method("changes").unwrap();
        let all = |who: &str| callers().into_iter().find(|(name, _)| *name == who).unwrap().1;
        assert_eq!(all("unnamed").readable(method, None), Ok(Scope::All));
        assert_eq!(all("reader").readable(method, None), Ok(Scope::Only(vec!["issues".into()])));
        assert_eq!(all("none").readable(method, None), Ok(Scope::Only(vec![])));
        let named = |who: &str| all(who).readable(method, Some(vec!["issues".into(), "notes".into()])).map_err(|e| e.data.about);
        assert_eq!(named("reader"), Err(Some("notes".into())));
        assert_eq!(named("unnamed"), Ok(Scope::Only(vec!["issues".into(), "notes".into()])));
    }

    #[test]
    fn undo_reaches_as_far_as_the_grants() {
        let method = mingle_proto::call::method("undo").unwrap();
        let of = |who: &str, named: Option<&str>| {
            let caller = callers().into_iter().find(|(name, _)| *name == who).unwrap().1;
            caller.writable(method, named.map(str::to_owned)).ok().map(|(_, scope)| scope)
        };
        let issues = || Some(Scope::Only(vec!["issues".into()]));
        assert_eq!(
            (of("named", None), of("writer", None), of("reader", None)),
            (Some(Scope::All), issues(), Some(Scope::Only(vec![])))
        );
        assert_eq!(
            (of("writer", Some("issues")), of("writer", Some("notes")), of("reader", Some("issues"))),
            (issues(), None, None)
        );
        assert_eq!((of("unnamed", None), of("unnamed", Some("issues"))), (None, None));
    }

    #[test]
    fn the_status_socket_tells_nothing_of_records() {
        for method in METHODS {
            let status = Caller::unnamed(Purpose::Status);
            assert_eq!(status.may_call(method).is_ok(), STATUS_METHODS.contains(&method.name), "{}", method.name);
            assert!(status.may_read(method, "issues").is_err(), "{}", method.name);
        }
        for name in STATUS_METHODS {
            assert!(METHODS.iter().any(|method| method.name == *name), "{name} is no method");
        }
        let status = Caller::unnamed(Purpose::Status);
        let heard: Vec<_> = Topic::ALL.into_iter().filter(|topic| status.may_hear(*topic).is_ok()).collect();
        assert_eq!(heard, STATUS_TOPICS);
        let unheard = |who: &Caller| Topic::ALL.into_iter().filter(|topic| who.may_hear(*topic).is_err()).collect::<Vec<_>>();
        assert_eq!(unheard(&Caller::unnamed(Purpose::Apps)), [Topic::Invite], "nobody can be invited without a name");
        let named = callers().into_iter().find(|(name, _)| *name == "none").unwrap().1;
        assert_eq!(unheard(&named), []);
    }
}
