//! Owns: what stands around every remote alike when it is sent a change: the guarded re-read and the read-back.
//! Must never know: any protocol, the store, when to try again.

use std::borrow::Cow;

use mingle_core::{
    planted,
    record::{Likeness, Props, names, same},
    replica::{Abilities, Action, Answer, Asked, Failure, Precondition, RemoteError, Row, RowState},
};

use super::Remote;

/// Carries changes to a remote, whatever it can do.
///
/// A change that takes for granted what the record holds ([`Precondition::Reread`]) is sent only after the record was read again
/// and still holds it. What was taken without showing the record as it is now (no body, or no revision where revisions count) is
/// read back; if that fails, it is `Taken(None)`: taken, form unknown. Dropped, it stops at once.
///
/// Several go out together. An answer each, in their order: answers that do not map one to one say nothing of any of them.
pub async fn carry(remote: &dyn Remote, actions: &[Action]) -> Vec<Answer> {
    let (mut sent, mut answers) = (Vec::new(), Vec::new());
    for action in actions {
        let readied = ready(remote, action).await.map(Cow::into_owned);
        answers.push(readied.map(|action| sent.push(action)));
    }
    let mut replies = match &sent[..] {
        [] => Vec::new(),
        [only] => vec![remote.send(only).await],
        several => remote.send_together(several).await,
    };
    if replies.len() != sent.len() {
        let error = RemoteError::new(Failure::Nonsense, "the remote answered fewer or more changes than it was sent");
        replies = vec![Answer::Unknown(error); sent.len()];
    }
    if planted::is("answers of a batch mixed up") {
        replies.reverse();
    }
    let mut told = Vec::with_capacity(answers.len());
    let mut replies = sent.iter().zip(replies);
    for answer in answers {
        told.push(match answer {
            Err(answer) => answer,
            Ok(()) => match replies.next() {
                Some((action, reply)) => completed(remote, action, reply).await,
                None => Answer::Unknown(RemoteError::new(Failure::Nonsense, "it has no answer")),
            },
        });
    }
    told
}

/// What is to be sent of a change now, after the look that it asks for; or what became of it already.
async fn ready<'a>(remote: &dyn Remote, action: &'a Action) -> Result<Cow<'a, Action>, Answer> {
    let mut action = Cow::Borrowed(action);
    if let Action::Update { remote_id, unless_moved, .. } | Action::Delete { remote_id, unless_moved } = action.as_ref()
        && let Precondition::Reread(expected) | Precondition::Shows(expected) = unless_moved
    {
        let exactly = matches!(unless_moved, Precondition::Reread(_));
        match remote.get(remote_id).await {
            Ok(Asked::Gone) => return Err(Answer::Gone),
            Ok(Asked::There(row)) => match still(&row, expected, exactly, remote.abilities()) {
                Some(props) => lay_over(action.to_mut(), props, row.revision.as_deref()),
                None => return Err(Answer::Stale(Some(row))),
            },
            Err(error) => return Err(Answer::Unsent(error)),
        }
    }
    Ok(action)
}

/// What an answer comes to, with the look that it needs.
async fn completed(remote: &dyn Remote, action: &Action, answer: Answer) -> Answer {
    match answer {
        // Made under an id that we were not told: a listing has to find it.
        Answer::Taken(None) if matches!(action, Action::Create { remote_id: None, .. }) => {
            Answer::Unknown(RemoteError::new(Failure::Nonsense, "the remote took a new record and did not say under which id"))
        }
        Answer::Taken(row) => shown(remote, action, row).await,
        Answer::Stale(None) => told(remote, action).await,
        other => other,
    }
}

/// What the record holds, if that is still what the change takes for granted.
fn still<'a>(row: &'a Row, expected: &Props, exactly: bool, abilities: &Abilities) -> Option<&'a Props> {
    let RowState::Live(props) = &row.state else { return None };
    let same = |name: &str| same(props.get(name), expected.get(name), Likeness::default());
    let counts = |name: &&str| abilities.carried.has(name) && (exactly || expected.contains_key(*name));
    names(props, expected).into_iter().filter(counts).all(same).then_some(props)
}

/// A whole record keeps what the remote has besides what we know of. Where the look showed a revision, the remote can refuse a
/// change that comes after it.
fn lay_over(action: &mut Action, present: &Props, revision: Option<&str>) {
    let revision = revision.map(|revision| Precondition::Revision(revision.to_owned()));
    match action {
        Action::Update { patch, whole, unless_moved, .. } => {
            *whole = present.clone();
            for (name, value) in patch {
                match value {
                    Some(value) => whole.insert(name.clone(), value.clone()),
                    None => whole.remove(name),
                };
            }
            if let Some(revision) = revision {
                *unless_moved = revision;
            }
        }
        Action::Delete { unless_moved, .. } => {
            if let Some(revision) = revision {
                *unless_moved = revision;
            }
        }
        Action::Create { .. } => {}
    }
}

/// The record as it is after the change was taken.
async fn shown(remote: &dyn Remote, action: &Action, told: Option<Row>) -> Answer {
    if matches!(action, Action::Delete { .. }) || told.as_ref().is_some_and(|row| row.revision.is_some()) {
        return Answer::Taken(told);
    }
    let id = match (&told, action) {
        (Some(row), _) => row.remote_id.clone(),
        (None, Action::Update { remote_id, .. } | Action::Create { remote_id: Some(remote_id), .. }) => remote_id.clone(),
        (None, _) => return Answer::Taken(None),
    };
    match remote.get(&id).await {
        Ok(Asked::There(read)) => Answer::ReadBack { told, read },
        // Somebody deleted it between our change and our look.
        Ok(Asked::Gone) => Answer::ReadBack { told, read: Row::gone(id) },
        Err(_) => Answer::Taken(told),
    }
}

/// What the remote has in place of what a refused change took for granted, where it did not say so itself.
async fn told(remote: &dyn Remote, action: &Action) -> Answer {
    let (Action::Update { remote_id, .. } | Action::Delete { remote_id, .. } | Action::Create { remote_id: Some(remote_id), .. }) =
        action
    else {
        return Answer::Stale(None);
    };
    match (remote.get(remote_id).await, action) {
        (Ok(Asked::There(row)), _) => Answer::Stale(Some(row)),
        (Ok(Asked::Gone), Action::Update { .. } | Action::Delete { .. }) => Answer::Gone,
        // Refused because it exists, and it does not: nothing we could act on.
        (Ok(Asked::Gone), Action::Create { .. }) => {
            Answer::Unknown(RemoteError::new(Failure::Nonsense, "the remote says that the id exists, and that it does not"))
        }
        (Err(_), _) => Answer::Stale(None),
    }
}
