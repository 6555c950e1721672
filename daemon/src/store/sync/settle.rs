//! Owns: settling the answers of errands, each a meeting of its own. Must never know: how they came.

use std::{borrow::Cow, collections::BTreeSet};

use mingle_core::{
    meeting::{SentWhat, answer},
    planted,
    replica::{Answer, Row, RowState},
    run::Settled,
};

use super::{
    Ground, Linked, Rejected, abroad::Atlas, elsewhere, forget::removed_after_upload, frozen, link, plan, present, reject,
    stamps, twins, unreject, write_met,
};
use crate::store::{error::StoreError, tx::Tx};

/// Settles answers, by link, in one transaction.
pub fn settle(tx: &mut Tx<'_>, ground: &Ground, answers: &[(i64, Answer)]) -> Result<Settled, StoreError> {
    let mut settled = Settled::default();
    for (number, answer) in answers {
        let Some(linked) = link::by_number(tx.conn(), *number)? else { continue };
        one(tx, ground, &linked, answer, &mut settled)?;
    }
    Ok(settled)
}

fn one(tx: &mut Tx<'_>, ground: &Ground, linked: &Linked, answer: &Answer, settled: &mut Settled) -> Result<(), StoreError> {
    let was = present(tx.conn(), linked.record)?;
    let (mut linked, mut answer) = (linked.clone(), Cow::Borrowed(answer));
    let mut let_go = None;
    if let Some(atlas) = Atlas::of(tx.conn(), ground)? {
        atlas.resolve(tx.conn(), &mut linked.state)?;
        answer = Cow::Owned(atlas.answered(tx.conn(), &answer)?);
        let theirs = match &*answer {
            Answer::Gone | Answer::Stale(Some(Row { state: RowState::Gone, .. })) => Some(None),
            Answer::Stale(Some(Row { state: RowState::Live(theirs), .. })) => Some(Some(theirs)),
            _ => None,
        };
        if let Some(theirs) = theirs {
            let mut state = linked.state.clone();
            atlas.let_go(tx.conn(), &mut state, was.props.as_ref(), theirs)?;
            let_go = Some(state);
        }
    }
    let (linked, answer) = (&linked, &*answer);
    let frozen = frozen(tx.conn(), linked.link)?;
    let rules = ground.rules(&frozen);
    let theirs = match answer {
        Answer::Taken(Some(row)) | Answer::Stale(Some(row)) | Answer::ReadBack { read: row, .. } => row.modified,
        _ => None,
    };
    let stamps = stamps(tx.conn(), ground, &was.held, theirs)?;
    let action = match linked.state.sent.last().map(|sent| &sent.what) {
        Some(SentWhat::Create(_)) => "create",
        Some(SentWhat::Delete) => "delete",
        _ => "update",
    };
    let lives = was.props.is_some();
    let made = match answer {
        Answer::Taken(Some(row)) | Answer::ReadBack { read: row, .. } if action == "create" => Some(row.remote_id.as_str()),
        _ => None,
    };
    // What the remote calls its own answer to our create is another record here: where nothing proves that the two are one, which of them
    // stays is not ours to say.
    let doubled = match made {
        Some(made) if linked.state.remote_id.is_none() && link::taken(tx.conn(), ground.replica, made, linked.link)? => {
            let proof = twins::answered(tx, ground, linked, made)?;
            if proof.joined > 0 {
                proof.count(&mut settled.changed, &mut settled.conflicts);
                settled.taken += 1;
                settled.look.push(made.into());
                return Ok(());
            }
            Some(Answer::Refused(format!(
                "the remote says that this is its {made}, which is another record here: delete one of the two, or \
                 `mingle rejection resolve` with retry sends it again"
            )))
        }
        _ => None,
    };
    let answer = doubled.as_ref().unwrap_or(answer);
    let foreign = match answer {
        Answer::Taken(Some(_)) | Answer::ReadBack { told: Some(_), .. } => {
            elsewhere::foreign(tx.conn(), &ground.spec.name, ground.replica, &was.held)?
        }
        _ => BTreeSet::new(),
    };
    match answer::settle(let_go.as_ref().unwrap_or(&linked.state), was.props.as_ref(), answer, &foreign, &stamps, rules) {
        answer::Settled::Met { met, took } => {
            settled.taken += u64::from(took.is_some());
            settled.again += u64::from(!met.level);
            unreject(tx, linked.link)?;
            let took = if planted::is("settle with the present truth") { took.map(|_| was.held.seq) } else { took };
            let done = ground.spec.remove_after_upload && took.is_some() && met.level;
            let written = write_met(tx, ground, linked, &was, met, took)?;
            if done {
                removed_after_upload(tx, ground, linked.record)?;
            }
            settled.changed += u64::from(written.changed);
            settled.conflicts += written.conflicts;
            // What told that it is one with another may have come while this was under way.
            let proof = twins::prove(tx, ground, linked.record, None)?;
            proof.count(&mut settled.changed, &mut settled.conflicts);
            settled.again += proof.joined;
        }
        answer::Settled::Look(state) => {
            settled.look.extend(state.remote_id.clone());
            link::save(tx, linked.link, &state, lives)?;
        }
        answer::Settled::Refused { link: state, what } => {
            link::save(tx, linked.link, &state, lives)?;
            let rejected = Rejected {
                side: if doubled.is_some() { "create" } else { "up" },
                link: Some(linked.link),
                record: Some(linked.record),
                remote_id: linked.state.remote_id.as_deref(),
                revision: linked.state.revision.as_deref(),
                action,
                what: &what,
                refused: Some(plan::wanted(was.props.as_ref(), &ground.abilities.carried)),
            };
            reject(tx, ground, &rejected)?;
            settled.rejected += 1;
        }
        answer::Settled::Unsent(state) => link::save(tx, linked.link, &state, lives)?,
        answer::Settled::Doubt => {
            let mut state = linked.state.clone();
            let left = !matches!(answer, Answer::Unsent(_));
            for sent in &mut state.sent {
                if left && !planted::is("doubt as old as its first request") {
                    sent.given_up = Some(tx.now());
                }
                sent.given_up.get_or_insert(tx.now());
            }
            link::save(tx, linked.link, &state, lives)?;
        }
    }
    Ok(())
}
