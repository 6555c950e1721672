//! Owns: what is done about a call that ended badly, so that it outlives a daemon that goes away and comes back. Must never know:
//! sockets, how time passes.

use std::time::Duration;

use mingle_proto::Name;

use crate::{Ask, CallError, ConnectError};

/// How long before a daemon that is not there is looked for again, or a call that was put off is made again.
pub(crate) const PAUSE: Duration = Duration::from_millis(50);

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Connect anew, then make the call once more.
    Connect,
    /// Make it once more, after so long.
    Repeat(Duration),
    /// The error is the answer.
    Stays,
}

/// After this error of this call.
pub(crate) fn after<C: Ask>(call: &C, error: &CallError) -> Next {
    match error {
        // It may have happened: a write is found by its op, and nothing else minds happening twice.
        CallError::Lost { .. } if call.may_repeat() => Next::Connect,
        CallError::Refused(refusal) => match refusal.name() {
            Name::OutcomeUnknown if call.may_repeat() => Next::Repeat(PAUSE),
            // So a daemon that ends answers whoever waits.
            Name::Busy => Next::Repeat(refusal.data.retry_after_ms.map_or(PAUSE, Duration::from_millis)),
            _ => Next::Stays,
        },
        CallError::Lost { .. } | CallError::Late { .. } | CallError::Garbled(_) => Next::Stays,
    }
}

/// Whether it is worth looking for a daemon again.
pub(crate) fn may_come_back(error: &ConnectError) -> bool {
    let busy = |error: &CallError| matches!(error, CallError::Refused(refusal) if refusal.name() == Name::Busy);
    error.is_absence() || matches!(error, ConnectError::Hello(hello) if busy(hello))
}

#[cfg(test)]
mod tests {
    use mingle_proto::{
        Error,
        call::{Get, Put, Shutdown, Status},
    };

    use super::*;

    #[test]
    fn a_call_is_made_again_where_that_is_safe_and_worth_it() {
        let lost = || CallError::Lost { why: "it was closed".into(), op: None };
        let refused = |name| CallError::Refused(Error::new(name, "m"));
        assert_eq!(after(&Get::default(), &lost()), Next::Connect);
        assert_eq!(after(&Put::default(), &lost()), Next::Connect);
        assert_eq!(after(&Shutdown::default(), &lost()), Next::Stays, "the next daemon is not meant");
        assert_eq!(after(&Put::default(), &refused(Name::OutcomeUnknown)), Next::Repeat(PAUSE));
        assert_eq!(after(&Status::default(), &refused(Name::Busy)), Next::Repeat(PAUSE));
        let patient = CallError::Refused(Error::new(Name::Busy, "m").retry_after_ms(700));
        assert_eq!(after(&Status::default(), &patient), Next::Repeat(Duration::from_millis(700)));
        for name in [Name::Stale, Name::Denied, Name::NotFound, Name::Cancelled, Name::OpReused] {
            assert_eq!(after(&Put::default(), &refused(name)), Next::Stays, "{name}");
        }
        let late = CallError::Late { within: PAUSE, op: None };
        assert_eq!(after(&Get::default(), &late), Next::Stays, "its time is over");
    }
}
