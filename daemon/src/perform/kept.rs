//! Owns: when answers that are kept are taken up by a run, written down, and forgotten. Must never know: what an answer says.

#[cfg(feature = "planted")]
use mingle_core::replica::{Page, RemoteError};
use mingle_core::{
    planted,
    replica::{Failure, KeptAnswer},
    run::{Ended, Mode, Outcome, Traffic},
    time::Timestamp,
};

use super::Site;
use crate::store::{Class, answers};

/// What was answered before, where a person did not ask for everything anew.
pub(super) fn take_up(site: &Site) {
    if site.order.mode != Mode::Fast || site.order.reset.is_some() {
        return;
    }
    match site.store.read(|reader| answers::of(reader, &site.spec.name)) {
        Ok(answers) => site.kept.take_up(answers),
        Err(error) => tracing::debug!(%error, "answers that were kept are not to be had: it is asked in full"),
    }
}

/// Keeps what a listing was answered with, once every row of it is in the truth. It is not worth a run: where it cannot be written down, those of
/// before stand, and what is another by now is asked in full.
pub(super) async fn keep(site: &Site, now: Timestamp) {
    let kept = site.kept.to_keep();
    let sync = site.spec.name.clone();
    let holds = site.meter.so_far().not_modified > 0;
    // Where there are none any more, those of before go in any case.
    let worth = |kept: &Vec<KeptAnswer>| kept.is_empty() || site.store.answers().are_worth_it(&sync, kept, holds);
    let Some(kept) = kept.filter(worth) else { return };
    let written = site.store.write(Class::Background, now, move |tx| answers::keep(tx, &sync, &kept)).await;
    if let Err(error) = written {
        tracing::warn!(sync = &*site.spec.name, %error, "its answers are not kept: the next run asks in full");
    }
}

/// Whether a run went wrong by what it was answered after it went on with an answer of before, which may have led it there: the next run would
/// be led there again.
pub(super) fn misled(outcome: &Outcome, traffic: &Traffic) -> bool {
    let Ended::Failed(error) = &outcome.ended else { return false };
    let answered = match error.kind {
        Failure::Server | Failure::Denied | Failure::Nonsense | Failure::TooLarge | Failure::CheckpointRefused => true,
        Failure::Offline
        | Failure::Broken
        | Failure::Throttled(_)
        | Failure::Budget(_)
        | Failure::NeedsLogin
        | Failure::Work
        | Failure::Stopped => false,
    };
    answered && traffic.not_modified > 0 && !planted::is("an answer that leads nowhere is kept")
}

/// A validator that counts before its page is applied: it is written down at once, and what it says has not changed is taken for known.
#[cfg(feature = "planted")]
pub(super) async fn too_early(site: &Site, unchanged: u64, mut listed: Option<Listed>, now: Timestamp) -> Option<Listed> {
    if planted::is("a validator counts before its page is applied") {
        if let (Some(kept), sync) = (site.kept.to_keep(), site.spec.name.clone()) {
            let written = site.store.write(Class::Background, now, move |tx| answers::keep(tx, &sync, &kept)).await;
            tracing::debug!(?written, "a bug is planted");
            // A moment in which the process may die.
            crate::alarm::pause(std::time::Duration::from_millis(50)).await;
        }
        if let (Some(Ok(page)), true) = (&mut listed, site.meter.so_far().not_modified > unchanged) {
            page.rows.clear();
        }
    }
    listed
}

#[cfg(feature = "planted")]
type Listed = Result<Page, RemoteError>;

#[cfg(test)]
mod tests {
    use mingle_core::replica::RemoteError;

    use super::*;

    #[test]
    fn an_answer_that_may_have_led_nowhere_is_not_followed_again() {
        #[track_caller]
        fn check(ended: Ended, not_modified: u64, expect: bool) {
            let outcome = Outcome { ended, ..Outcome::default() };
            let traffic = Traffic { not_modified, ..Traffic::default() };
            assert_eq!(misled(&outcome, &traffic), expect, "{outcome:?}");
        }
        let failed = |kind| Ended::Failed(RemoteError::new(kind, "why"));
        for kind in [Failure::Server, Failure::Denied, Failure::Nonsense, Failure::TooLarge, Failure::CheckpointRefused] {
            check(failed(kind), 1, true);
            check(failed(kind), 0, false);
        }
        for kind in [Failure::Offline, Failure::Broken, Failure::Throttled(None), Failure::NeedsLogin, Failure::Stopped] {
            check(failed(kind), 1, false);
        }
        check(Ended::Done, 1, false);
        check(Ended::Cancelled, 1, false);
    }

    #[cfg(feature = "planted")]
    #[test]
    fn planted_bugs_are_found() {
        planted::set_here(Some("an answer that leads nowhere is kept"));
        let found = std::panic::catch_unwind(an_answer_that_may_have_led_nowhere_is_not_followed_again).is_err();
        planted::set_here(None);
        assert!(found);
    }
}
