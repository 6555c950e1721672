//! Owns: what a link needs to have sent: the comparison of the truth with what was agreed. Must never know: how it is sent.

use std::collections::BTreeMap;

use super::{Agreed, Link, Rules, SentWhat, pairs};
use crate::{
    path, planted,
    record::{Props, Value, names, same},
    replica::{Action, Precondition},
    time::Timestamp,
};

/// What a link needs.
#[derive(Clone, Debug, PartialEq)]
pub enum Need {
    /// Nothing: it is not behind.
    Nothing,
    /// To be read by id before anything is sent: an answer is outstanding, or it was never compared.
    Look(String),
    /// To be found first: a create without an id of ours is outstanding.
    Find,
    /// This to be sent.
    Send(Action),
}

/// How the truth differs from what was agreed, on carried properties outside frozen ones.
#[derive(Clone, Debug, PartialEq)]
pub enum Difference {
    /// The replica lacks the record.
    Lacks,
    /// The replica has a record that was deleted here.
    Outlived,
    /// These properties differ; `None`: to be cleared.
    Differs(BTreeMap<String, Option<Value>>),
}

/// How the replica is behind; none: it is not.
#[must_use]
pub fn difference(link: &Link, truth: Option<&Props>, rules: Rules<'_>) -> Option<Difference> {
    match (truth, &link.agreed) {
        (None, Agreed::Gone) | (Some(_), Agreed::Same) => None,
        (None, _) => Some(Difference::Outlived),
        (Some(_), Agreed::Gone) => Some(Difference::Lacks),
        (Some(truth), Agreed::Own(agreed)) => {
            let frozen =
                |name: &str| rules.frozen.iter().any(|frozen| path::names(frozen).next().is_some_and(|first| first == name));
            let differs: BTreeMap<String, Option<Value>> = names(truth, agreed)
                .into_iter()
                .filter(|name| rules.abilities.carried.has(name))
                .filter(|name| planted::is("open manual conflict uploaded") || !frozen(name))
                .filter(|name| !same(truth.get(*name), agreed.get(*name), rules.policy.likeness(name)))
                .map(|name| {
                    (
                        name.to_string(),
                        truth.get(name).filter(|value| **value != Value::Null || rules.policy.null_is_a_value).cloned(),
                    )
                })
                .collect();
            (!differs.is_empty()).then_some(Difference::Differs(differs))
        }
        // Never compared: every carried property may differ; the look that comes first tells.
        (Some(_), Agreed::Former(_) | Agreed::Unknown) => Some(Difference::Differs(BTreeMap::new())),
    }
}

/// What the link needs. `new_id`: the id a new record shall have where the remote takes ids; the caller has made sure that no
/// other link has it.
#[must_use]
pub fn plan(link: &Link, truth: Option<&Props>, new_id: Option<&str>, rules: Rules<'_>) -> Need {
    if link.in_doubt() && !planted::is("sent in memory only") {
        return match &link.remote_id {
            Some(remote_id) => Need::Look(remote_id.clone()),
            None if link.open_create() => Need::Find,
            // A delete in doubt has given its id up only if it was settled.
            None => Need::Nothing,
        };
    }
    let Some(difference) = difference(link, truth, rules) else { return Need::Nothing };
    let (Some(remote_id), Agreed::Same | Agreed::Own(_)) = (&link.remote_id, &link.agreed) else {
        return match (difference, &link.remote_id, truth) {
            (Difference::Lacks, _, Some(truth)) => Need::Send(Action::Create {
                remote_id: rules.abilities.client_ids.is_some().then(|| new_id.map(String::from)).flatten(),
                whole: made_of(truth, rules),
                key: None,
            }),
            (_, Some(remote_id), _) => Need::Look(remote_id.clone()),
            _ => Need::Nothing,
        };
    };
    let agreed = match &link.agreed {
        Agreed::Own(agreed) => agreed.clone(),
        _ => truth.map(|truth| rules.abilities.carried.of(truth)).unwrap_or_default(),
    };
    // What the remote writes its own way is asked for, and left, as it has it.
    let mut agreed = agreed;
    pairs::into_theirs(&link.pairs, &mut agreed);
    let unless_moved = match &link.revision {
        Some(revision) if rules.abilities.conditional => Precondition::Revision(revision.clone()),
        _ if rules.up_only => Precondition::Shows(agreed.clone()),
        _ => Precondition::Reread(agreed.clone()),
    };
    match difference {
        Difference::Outlived => Need::Send(Action::Delete { remote_id: remote_id.clone(), unless_moved }),
        Difference::Differs(patch) => {
            let mut whole = agreed;
            for (name, value) in &patch {
                match value {
                    Some(value) => whole.insert(name.clone(), value.clone()),
                    None => whole.remove(name),
                };
            }
            Need::Send(Action::Update { remote_id: remote_id.clone(), patch, whole, unless_moved })
        }
        Difference::Lacks => Need::Nothing,
    }
}

/// What a create carries: what the replica carries, without what a create does not set there. Sent all the same, it would be the base
/// of what the new record shows instead, and the app's own value would give way to that.
fn made_of(truth: &Props, rules: Rules<'_>) -> Props {
    let mut made = rules.abilities.carried.of(truth);
    if !planted::is("sent with a create that does not take it") {
        made.retain(|name, _| !rules.abilities.later.contains_key(name));
    }
    made
}

/// The create whose answer is outstanding, once more as it was: under its key the remote does it once, and tells what it made. Looking
/// for it among new rows would be guessing. What was deleted here since is not made for that.
#[must_use]
pub fn repeat(link: &Link, truth: Option<&Props>, now: Timestamp) -> Option<Action> {
    truth?;
    let sent = link.sent.last().filter(|_| link.repeatable(now))?;
    let SentWhat::Create(whole) = &sent.what else { return None };
    Some(Action::Create { remote_id: None, whole: whole.clone(), key: sent.key.as_ref().map(|key| key.text.clone()) })
}

/// What of an action is remembered as sent.
#[must_use]
pub fn sent(action: &Action) -> SentWhat {
    match action {
        Action::Create { whole, .. } => SentWhat::Create(whole.clone()),
        Action::Update { patch, .. } => SentWhat::Update(patch.clone()),
        Action::Delete { .. } => SentWhat::Delete,
    }
}
