//! Owns: what is left out on the socket that gives no data: the words of services and of whoever wrote a record. Must never know: how
//! an answer is written.
//!
//! A remote's error message may quote a record, an id or an address; a name from our own list cannot.

use mingle_core::ask::{Attention, Event, Explained, News, Page, RunRow, Status, Trouble};

/// Names of what needs a person, with hints that are ours from end to end.
const OWN_HINTS: [&str; 5] = ["conflict", "rejection", "needs_login", "epoch", "account"];

/// `status`, without what services said.
pub(super) fn status(mut status: Status) -> Status {
    for sync in &mut status.syncs {
        sync.last.as_mut().map(run).unwrap_or_default();
    }
    status.attention.iter_mut().for_each(attention);
    // Where the files of the owner lie is nobody else's business.
    status.config = None;
    status
}

/// `explain`, without what services said.
pub(super) fn explained(mut explained: Explained) -> Explained {
    explained.last.iter_mut().for_each(run);
    explained
}

/// `history`, without what services said.
pub(super) fn runs(mut page: Page<RunRow>) -> Page<RunRow> {
    page.rows.iter_mut().for_each(run);
    page
}

/// An event, without what services said.
pub(super) fn news(mut news: News) -> News {
    match &mut news.event {
        Event::Run { error, .. } => error.as_mut().map(trouble).unwrap_or_default(),
        Event::Attention { attention: about, .. } => attention(about),
        Event::ResetBegan { reset, .. } => reset.copy = None,
        Event::ResetEnded { .. }
        | Event::Sync { .. }
        | Event::Conflict { .. }
        | Event::Rejection { .. }
        | Event::Session { .. }
        | Event::Invite { .. } => {}
    }
    news
}

fn run(run: &mut RunRow) {
    run.error.as_mut().map(trouble).unwrap_or_default();
    // Where the files of the owner lie is nobody else's business.
    run.reset.as_mut().map(|reset| reset.copy = None).unwrap_or_default();
}

fn trouble(trouble: &mut Trouble) {
    trouble.what.clone_from(&trouble.name);
    trouble.hint = None;
}

fn attention(attention: &mut Attention) {
    if !OWN_HINTS.contains(&attention.name.as_str()) {
        attention.hint = "`mingle status`, asked by the owner, says more".into();
    }
}
