//! Owns: the list of methods that are served, and what a handler has at hand. Must never know: sockets.
//!
//! To serve another method is to write its handler in one of the files here and its line in [`HANDLERS`]; a test holds the list
//! against the wire's own.

mod app;
mod daemon;
mod data;
mod decide;
mod define;
mod past;
mod pending;
mod remote;
mod session;
mod sync;
mod talk;
mod worker;

use std::{future::Future, sync::Arc};

use mingle_core::ask::{About, Refusal, Scope};
use mingle_proto::{
    Error, Id, METHODS, Method, Name, Request,
    call::{self, Call},
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    convert::refusal,
    door::{Door, Later},
    serve::Desk,
    served::{Done, Served},
};

/// Serves one call.
type Serve = fn(&mut Asked<'_>) -> Result<Served, Error>;

/// What serves each method, in the order of [`METHODS`].
const HANDLERS: &[(&str, Serve)] = &[
    ("hello", talk::hello),
    ("get", data::get),
    ("list", data::list),
    ("put", data::put),
    ("patch", data::patch),
    ("delete", data::delete),
    ("transact", data::transact),
    ("changes", data::changes),
    ("subscribe", talk::subscribe),
    ("wait", talk::wait),
    ("cancel", talk::cancel),
    ("status", daemon::status),
    ("stop", daemon::stop),
    ("restart", daemon::restart),
    ("reload", daemon::reload),
    ("rpc.discover", daemon::discover),
    ("shutdown", daemon::shutdown),
    ("sync.run", sync::run),
    ("sync.pause", sync::pause),
    ("sync.resume", sync::resume),
    ("sync.cancel", sync::cancel),
    ("sync.ping", sync::ping),
    ("sync.next", define::next),
    ("sync.reset", sync::reset),
    ("plan", sync::plan),
    ("rebuild", sync::rebuild),
    ("sync.get", sync::get),
    ("sync.list", sync::list),
    ("sync.define", define::define),
    ("sync.remove", define::remove),
    ("explain", sync::explain),
    ("history", sync::history),
    ("conflict.list", decide::conflict_list),
    ("conflict.resolve", decide::conflict_resolve),
    ("rejection.list", decide::rejection_list),
    ("rejection.resolve", decide::rejection_resolve),
    ("pending.list", pending::list),
    ("pending.upload", pending::upload),
    ("pending.rollback", pending::rollback),
    ("forget", pending::forget),
    ("why", past::why),
    ("undo", past::undo),
    ("session.begin", session::begin),
    ("session.join", session::join),
    ("session.push", session::push),
    ("session.lost", session::lost),
    ("session.mingle", session::mingle),
    ("session.pull", session::pull),
    ("session.accept", session::accept),
    ("session.refuse", session::refuse),
    ("session.commit", session::commit),
    ("session.finish", session::finish),
    ("session.cancel", session::cancel),
    ("app.register", app::register),
    ("app.list", app::list),
    ("app.reset", app::reset),
    ("remote.list", remote::list),
    ("remote.check", remote::check),
    ("remote.budget", remote::budget),
    ("remote.login", remote::login),
    ("remote.authorize", remote::authorize),
    ("remote.authorized", remote::authorized),
    ("remote.logout", remote::logout),
    ("worker.offer", worker::offer),
    ("worker.batch", worker::batch),
    ("worker.done", worker::done),
];

/// One call, and whose it is.
pub(super) struct Asked<'a> {
    pub(super) desk: &'a mut Desk,
    id: &'a Id<'a>,
    params: Option<&'a RawValue>,
    method: &'static Method,
}

/// Serves one call, or says which are served.
pub(super) fn serve(desk: &mut Desk, request: &Request<'_>) -> Result<Served, Error> {
    let place = METHODS.iter().position(|method| method.name == request.method);
    let Some((method, (_, serve))) = place.and_then(|at| METHODS.get(at).zip(HANDLERS.get(at))) else {
        return Err(unknown(&request.method));
    };
    desk.caller.may_call(method)?;
    serve(&mut Asked { desk, id: &request.id, params: request.params, method })
}

fn unknown(name: &str) -> Error {
    let nearest = METHODS.iter().map(|method| (strsim::damerau_levenshtein(method.name, name), method.name)).min();
    let error = Error::new(Name::Method, "there is no such method");
    match nearest {
        // Longer names may be further off; what shares nothing is no suggestion.
        Some((distance, near)) if distance <= 2.max(near.len() / 3) => error.hint(format!("did you mean {near}?")),
        _ => error.hint("PROTOCOL.md lists the methods, and hello's abilities those of this daemon"),
    }
}

impl<'a> Asked<'a> {
    /// The parameters; what is wrong with them is `invalid`.
    fn params<C: Call>(&self) -> Result<C, Error> {
        call::params(self.params)
    }

    /// The way to everything that shows and steers runs.
    fn operate(&self) -> Result<&dyn Door, Error> {
        self.desk.caller.may_operate(self.method)?;
        Ok(&*self.desk.shared.door)
    }

    /// The way to the records of one collection.
    fn read(&self, collection: &str) -> Result<&dyn Door, Error> {
        self.desk.caller.may_read(self.method, collection)?;
        Ok(&*self.desk.shared.door)
    }

    /// The way to records: those of the collections named, or of all that may be read.
    fn read_any(&self, named: Option<Vec<String>>) -> Result<(Arc<dyn Door>, Scope), Error> {
        let scope = self.desk.caller.readable(self.method, named)?;
        Ok((self.desk.shared.door.clone(), scope))
    }

    /// The way to writing one collection, and under which name.
    fn write(&self, collection: &str) -> Result<(&dyn Door, &str), Error> {
        let app = self.desk.caller.may_write(self.method, collection)?;
        Ok((&*self.desk.shared.door, app))
    }

    /// The way to writing the collection named, or all that may be written, and under which name.
    fn write_any(&self, named: Option<String>) -> Result<(Arc<dyn Door>, String, Scope), Error> {
        let (app, scope) = self.desk.caller.writable(self.method, named)?;
        Ok((self.desk.shared.door.clone(), app, scope))
    }

    /// The way to deciding something, once it is known which collection it is about.
    fn write_about(&self, about: About<'_>) -> Result<(Arc<dyn Door>, String), Error> {
        let door = self.desk.shared.door.clone();
        let collection = door.collection_of(about).map_err(refusal)?;
        let app = self.desk.caller.may_write(self.method, &collection)?.to_owned();
        Ok((door, app))
    }

    /// The app's name.
    fn by(&self) -> Option<String> {
        self.desk.caller.name().map(str::to_owned)
    }

    /// Answers now.
    fn answer(&mut self, answer: &impl Serialize) -> Result<Served, Error> {
        let written = mingle_proto::message::answer(&mut self.desk.out, self.id, answer);
        self.desk.check(self.id, written);
        Ok(Served::Answered)
    }
}

/// Answers when `work` is done.
fn later<T, A>(work: Later<T>, answer: impl FnOnce(T) -> A + Send + 'static, cancellable: bool) -> Result<Served, Error>
where
    T: Send + 'static,
    A: Serialize,
{
    let work = async move {
        match work.await {
            Ok(done) => text(&answer(done)),
            Err(no) => Err(refusal(no)),
        }
    };
    Ok(held(work, cancellable))
}

fn held(work: impl Future<Output = Result<String, Error>> + Send + 'static, cancellable: bool) -> Served {
    Served::Later { work: Box::pin(async move { work.await.map(Done::Text) }), cancellable }
}

/// Answers when it is `ready`, as a call is answered that comes then.
fn once<T: Send + 'static>(
    ready: Later<T>,
    method: &'static Method,
    answer: impl FnOnce(&mut Asked<'_>, T) -> Result<Served, Error> + Send + 'static,
) -> Served {
    let work = async move {
        let ready = ready.await.map_err(refusal)?;
        let answer = move |desk: &mut Desk, id: &Id<'_>| answer(&mut Asked { desk, id, params: None, method }, ready).map(drop);
        Ok(Done::Ready(Box::new(answer)))
    };
    Served::Later { work: Box::pin(work), cancellable: true }
}

fn text(answer: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(answer).map_err(|error| refusal(Refusal::Internal(format!("an answer could not be written: {error}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_served_and_no_other() {
        let served: Vec<_> = HANDLERS.iter().map(|(name, _)| *name).collect();
        let promised: Vec<_> = METHODS.iter().map(|method| method.name).collect();
        assert_eq!(served, promised);
    }

    #[test]
    fn an_unknown_method_is_refused_with_the_nearest() {
        let hint = |name: &str| unknown(name).data.hint.unwrap();
        assert_eq!(hint("stauts"), "did you mean status?");
        assert_eq!(hint("conflicts.list"), "did you mean conflict.list?");
        assert!(hint("xyzzy_frobnicate").contains("PROTOCOL.md"));
        assert_eq!(unknown("x").code, -32601);
    }
}
