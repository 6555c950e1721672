//! Owns: lists as sets, merged three-way. Must never know: policies, which property it is.

use std::collections::BTreeSet;

use crate::{
    planted,
    record::{Key, Likeness, Value, key},
};

/// What either side removed is gone, what either added is there: the truth's members in its order, then what theirs added. An
/// absent list is an empty one, and stays absent where nothing is left. None: a side is no list, so nothing can be said of members.
pub(super) fn three_way(
    agreed: Option<&Value>,
    truth: Option<&Value>,
    theirs: Option<&Value>,
    likeness: Likeness,
) -> Option<Option<Value>> {
    let (truth, theirs) = (members(truth)?, members(theirs)?);
    // A base that was no list has no members: then nothing was removed.
    let agreed = if planted::is("union is plain") { None } else { agreed.and_then(|agreed| members(Some(agreed))).flatten() };
    let keys =
        |list: Option<&[Value]>| -> BTreeSet<Key> { list.unwrap_or_default().iter().map(|one| key(one, likeness)).collect() };
    let (were, ours_now, theirs_now) = (keys(agreed), keys(truth), keys(theirs));
    let mut taken = BTreeSet::new();
    let kept = truth.unwrap_or_default().iter().map(|one| (key(one, likeness), one));
    let kept = kept.filter(|(key, _)| !were.contains(key) || theirs_now.contains(key));
    let added = theirs.unwrap_or_default().iter().map(|one| (key(one, likeness), one));
    let added = added.filter(|(key, _)| !were.contains(key) && !ours_now.contains(key));
    let merged: Vec<Value> = kept.chain(added).filter(|(key, _)| taken.insert(key.clone())).map(|(_, one)| one.clone()).collect();
    let one_is_absent = truth.is_none() || theirs.is_none();
    Some((!merged.is_empty() || !one_is_absent).then_some(Value::List(merged)))
}

/// The members of a list; absent and null have none, and are no list. None: it is something else.
fn members(value: Option<&Value>) -> Option<Option<&[Value]>> {
    match value {
        None | Some(Value::Null) => Some(None),
        Some(Value::List(list)) => Some(Some(list)),
        Some(_) => None,
    }
}
