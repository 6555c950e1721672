//! Owns: what the door to nothing says of apps. Must never know: the wire.

use std::{collections::BTreeSet, future::ready};

use mingle_core::{
    ask::{AppRow, CopyRow, LastSession, Page, Refusal, Register, Reset},
    session::{Ended, Mode, State},
    time::Timestamp,
};

use super::Model;
use crate::ipc::door::{Apps, Door as _, Gone, Later};

/// Every app keeps a copy of both collections.
impl Apps for Model {
    fn apps(&self, connected: &BTreeSet<String>, _: Option<&str>, _: usize) -> Result<Page<AppRow>, Refusal> {
        let last = LastSession { began: Timestamp::from_unix_ms(0), mode: Some(Mode::Fast), ended: Some(Ended::Left) };
        let since = Some(Timestamp::from_unix_ms(0));
        let copy = CopyRow {
            collection: "issues".into(),
            since,
            next: Mode::Slow,
            last: Some(last),
            filter: Vec::new(),
            filter_waits: false,
        };
        let one = |app: &String| AppRow {
            app: app.clone(),
            grants: self.grants(app),
            copies: vec![copy.clone()],
            session: Some((State::Pushing, Mode::Fast)),
        };
        Ok(Page { rows: connected.iter().map(one).collect(), cursor: None })
    }
    fn register_app(&self, _: String, asked: Register, _: Gone) -> Later<Vec<CopyRow>> {
        let one = |collection: String| {
            let filter = asked.filters.get(&collection).cloned().flatten().unwrap_or_default();
            CopyRow { collection, since: None, next: Mode::Slow, last: None, filter, filter_waits: false }
        };
        Box::pin(ready(Ok(asked.collections.iter().cloned().map(one).collect())))
    }
    fn reset_app(&self, asked: Reset, gone: Gone) -> Later<Vec<String>> {
        let session = self.session.lock().unwrap();
        let under = session.as_ref().is_some_and(|(number, app)| *app == asked.app && !gone(*number));
        let kept = asked.collections.unwrap_or_else(|| vec!["issues".into(), "notes".into()]);
        let hidden = kept.iter().any(|name| !asked.scope.has(name));
        Box::pin(ready(match (hidden, under) {
            (true, _) => Err(Refusal::NotFound("none of yours".into(), None)),
            (false, true) => Err(Refusal::WrongState("there is one".into(), None)),
            (false, false) => Ok(kept),
        }))
    }
}
