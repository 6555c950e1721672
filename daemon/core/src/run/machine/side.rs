//! Owns: which side an effect keeps busy, and which one an event sets free. Must never know: what either is for.

use super::{Effect, Event};

/// Which side an effect keeps busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Remote,
    Store,
    Neither,
}

impl Effect {
    pub(super) fn side(&self) -> Side {
        match self {
            Self::Open | Self::Fetch { .. } | Self::Ask { .. } | Self::Send { .. } => Side::Remote,
            Self::Begin
            | Self::Negotiate { .. }
            | Self::Copy
            | Self::Discard { .. }
            | Self::Compare { .. }
            | Self::Apply { .. }
            | Self::Complete { .. }
            | Self::Ghosts { .. }
            | Self::Plan { .. }
            | Self::Settle { .. }
            | Self::Finish(_) => Side::Store,
            Self::Hurry => Side::Neither,
        }
    }
}

impl Event {
    pub(super) fn side(&self) -> Side {
        match self {
            Self::Opened(_) | Self::Page(_) | Self::Asked { .. } | Self::Sent(_) => Side::Remote,
            Self::Begun
            | Self::Negotiated(_)
            | Self::Copied
            | Self::Discarded { .. }
            | Self::Compared(_)
            | Self::Applied(_)
            | Self::Completed { .. }
            | Self::Ghosts { .. }
            | Self::Planned(_)
            | Self::Settled(_)
            | Self::Finished { .. }
            | Self::StoreFailed(_) => Side::Store,
            Self::Start | Self::Stop(_) | Self::Cancel => Side::Neither,
        }
    }
}
