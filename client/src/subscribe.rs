//! Owns: where a subscription stands, so that it can go on from there. Must never know: sockets, records.
//!
//! A subscription has a connection of its own: answers never queue behind changes, and what the app does not read stays in the socket.

use mingle_proto::{
    call::{Subscribe, SubscribeAnswer},
    event::{Body, Changed, Event, SyncEvent},
};

use crate::talk::Heard;

/// One thing that a subscription brings.
#[derive(Clone, Debug)]
pub enum Update {
    /// Records. With `more: false` the view is whole: show it then.
    Changed(Changed),
    /// An event of a topic.
    Event(Event),
    /// The daemon went away and is back. Records go on from where they were (`Changed::fresh` says where they cannot); what happened
    /// beside them meanwhile is not told, so look at `status`. Only with [`crate::Options::reconnect_within`].
    Again,
}

impl Update {
    /// Whether it says that the daemon is stopping or stopped.
    #[must_use]
    pub const fn daemon(&self) -> Option<mingle_proto::call::DaemonState> {
        match self {
            Self::Event(Event { body: Body::Sync(SyncEvent { daemon, .. }), .. }) => *daemon,
            _ => None,
        }
    }
}

/// Where a subscription stands.
#[derive(Clone, Debug)]
pub struct Follow {
    ask: Subscribe,
    instance: Option<String>,
    subscription: u64,
    seq: u64,
    caught_up: bool,
    fresh: bool,
}

impl Follow {
    /// From the answer on; `instance` is the store's of this connection.
    #[must_use]
    pub fn new(ask: Subscribe, answer: &SubscribeAnswer, instance: Option<String>) -> Self {
        let SubscribeAnswer { subscription, seq, caught_up, fresh } = *answer;
        Self { ask, instance, subscription, seq, caught_up, fresh }
    }

    /// Takes what was heard; None: it is not this subscription's.
    pub fn hear(&mut self, heard: Heard) -> Option<Update> {
        match heard {
            Heard::Changed(changed) if changed.subscription == self.subscription => {
                self.seq = changed.seq;
                self.caught_up = !changed.more;
                Some(Update::Changed(changed))
            }
            Heard::Event(event) if event.subscription == self.subscription => Some(Update::Event(event)),
            Heard::Changed(_) | Heard::Event(_) | Heard::Answer { .. } | Heard::Work(_) | Heard::WorkStop(_) => None,
        }
    }

    /// The position behind what was brought so far: seq, and the instance it belongs to.
    #[must_use]
    pub fn position(&self) -> (u64, Option<&str>) {
        (self.seq, self.instance.as_deref())
    }

    /// Whether the view is whole.
    #[must_use]
    pub const fn caught_up(&self) -> bool {
        self.caught_up
    }

    /// Whether it began anew though a `since` was given: what the app had is void. (Later ones say it in `Changed::fresh`.)
    #[must_use]
    pub const fn fresh(&self) -> bool {
        self.fresh
    }

    /// It goes on over a new connection, as [`Follow::again`] asked for.
    pub(crate) fn goes_on(&mut self, answer: &SubscribeAnswer, instance: Option<String>) {
        let SubscribeAnswer { subscription, seq, caught_up, fresh } = *answer;
        // An answer that follows the feed says where it begins; one of topics alone knows no better than before.
        self.seq = if fresh { 0 } else { seq.max(self.seq) };
        (self.subscription, self.caught_up, self.fresh) = (subscription, caught_up, fresh);
        self.instance = instance;
    }

    /// What to ask for on a new connection, to go on from here.
    #[must_use]
    pub fn again(&self) -> Subscribe {
        Subscribe { since: Some(self.seq), instance: self.instance.clone(), initial: None, ..self.ask.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_from_the_last_seq_of_its_own() {
        let ask = Subscribe { collections: Some(vec!["a".into()]), initial: Some(false), data: true, ..Subscribe::default() };
        let answer = SubscribeAnswer { subscription: 2, seq: 40, caught_up: true, fresh: false };
        let mut follow = Follow::new(ask, &answer, Some("x".into()));
        assert_eq!(follow.position(), (40, Some("x")));
        let changed = |subscription, seq, more| Heard::Changed(Changed { subscription, seq, more, ..Changed::default() });
        assert!(follow.hear(changed(2, 41, true)).is_some());
        assert!(!follow.caught_up());
        assert!(follow.hear(changed(3, 50, false)).is_none());
        assert!(follow.hear(changed(2, 42, false)).is_some());
        assert!(follow.caught_up());
        let again = follow.again();
        assert_eq!((again.since, again.instance.as_deref(), again.initial, again.data), (Some(42), Some("x"), None, true));
        assert_eq!(again.collections, Some(vec!["a".into()]));
    }
}
