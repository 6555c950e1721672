//! Owns: what happens beside records, in the wire's words. Must never know: who listens.

use mingle_core::{
    ask::{Event, News, Topic},
    run::reset::Over,
};
use mingle_proto::{
    call,
    event::{
        self, AttentionEvent, Body, ConflictEvent, InviteEvent, RejectionEvent, ResetEnded, RunEvent, RunStep, SessionEvent,
        SyncEvent,
    },
};

use super::{
    operate::{daemon_state, hold, reset, sync_state, trouble},
    session::{mode, session_state},
    time, word,
};

/// A topic that was asked for.
pub(in crate::ipc) fn topic(topic: call::Topic) -> Topic {
    match topic {
        call::Topic::Run => Topic::Run,
        call::Topic::Sync => Topic::Sync,
        call::Topic::Conflict => Topic::Conflict,
        call::Topic::Rejection => Topic::Rejection,
        call::Topic::Attention => Topic::Attention,
        call::Topic::Session => Topic::Session,
        call::Topic::Invite => Topic::Invite,
    }
}

/// News, for one subscription.
pub(in crate::ipc) fn event(subscription: u64, news: News) -> event::Event {
    let body = match news.event {
        Event::Run { sync, run, status, progress, result, stop_reason, error } => {
            let status = word(&status, call::RunStatus::Unknown);
            let step = step(status, progress.is_some());
            let (phase, done, total) = match progress {
                Some(progress) => (Some(progress.phase), Some(progress.done), progress.total),
                None => (None, None, None),
            };
            let result = result.map(|result| word(&result, call::RunResult::Unknown));
            let error = error.map(trouble);
            Body::Run(RunEvent { step, run, sync, status, phase, done, total, result, stop_reason, error })
        }
        Event::Sync { sync, state, daemon, hold: held, next } => Body::Sync(SyncEvent {
            sync,
            state: state.map(sync_state),
            daemon: daemon.map(daemon_state),
            hold: held.map(hold),
            next_at: next.map(time),
            ..SyncEvent::default()
        }),
        Event::ResetBegan { sync, reset: of } => {
            Body::Sync(SyncEvent { sync: Some(sync), reset_began: Some(Box::new(reset(of))), ..SyncEvent::default() })
        }
        Event::ResetEnded { sync, over: Over { discarded, conflicts } } => Body::Sync(SyncEvent {
            sync: Some(sync),
            reset_ended: Some(ResetEnded { discarded, conflicts }),
            ..SyncEvent::default()
        }),
        Event::Conflict { conflict, open, collection, id, property } => {
            Body::Conflict(ConflictEvent { conflict, open, collection, id, property })
        }
        Event::Rejection { rejection, open, side, collection, id, sync, what } => {
            let side = word(&side, call::Side::Unknown);
            Body::Rejection(RejectionEvent { rejection, open, side, sync, collection, id, what })
        }
        Event::Attention { attention, over } => Body::Attention(AttentionEvent {
            name: attention.name,
            about: attention.about,
            open: !over,
            since_at: time(attention.since),
            hint: attention.hint,
        }),
        Event::Session { session, app, state, mode: how, collections } => {
            Body::Session(SessionEvent { session, app, state: session_state(state), mode: mode(how), collections })
        }
        Event::Invite { session, app, collections, until, invited: _ } => {
            Body::Invite(InviteEvent { session, app, collections, until_at: time(until) })
        }
    };
    event::Event { subscription, at: time(news.at), body }
}

fn step(status: call::RunStatus, progress: bool) -> RunStep {
    use call::RunStatus::{Cancelled, Done, DoneWithErrors, Failed, Queued, Running, Stopped, Stopping, Unknown};
    match status {
        Queued => RunStep::Queued,
        Running | Stopping if progress => RunStep::Progress,
        Running => RunStep::Started,
        Stopping | Unknown => RunStep::Progress,
        Stopped | Done | DoneWithErrors | Failed | Cancelled => RunStep::Finished,
    }
}

#[cfg(test)]
mod tests {
    use mingle_core::{ask::Progress, time::Timestamp};

    use super::*;

    #[track_caller]
    fn check(status: &str, progress: bool, expect: &str) {
        let progress = progress.then(|| Progress { run: "r-1".into(), phase: "down".into(), done: 1, total: Some(2) });
        let news = News {
            at: Timestamp::from_unix_ms(0),
            event: Event::Run {
                sync: "s".into(),
                run: "r-1".into(),
                status: status.into(),
                progress,
                result: None,
                stop_reason: None,
                error: None,
            },
        };
        let at = "1970-01-01T00:00:00.000Z";
        let head = format!(r#"{{"subscription":3,"topic":"run","at":"{at}","step":"#);
        assert_eq!(serde_json::to_string(&event(3, news)).unwrap(), format!("{head}{expect}}}"));
    }

    #[test]
    fn a_run_is_told_step_by_step() {
        check("queued", false, r#""queued","run":"r-1","sync":"s","status":"queued""#);
        check("running", false, r#""started","run":"r-1","sync":"s","status":"running""#);
        let going = r#""progress","run":"r-1","sync":"s","status":"running","phase":"down","done":1,"total":2"#;
        check("running", true, going);
        for status in ["stopped", "done", "done_with_errors", "failed", "cancelled"] {
            check(status, false, &format!(r#""finished","run":"r-1","sync":"s","status":"{status}""#));
        }
    }
}
