//! Owns: `mingle watch`. Must never know: the feed.

use std::time::Duration;

use mingle_client::{
    CallError, Update,
    blocking::{Client, Subscription},
    call::Subscribe,
    event::Changed,
};

use crate::{
    at::At,
    changes,
    exit::{Exit, Failure},
    words,
};

/// Print changes as they come, until it is interrupted.
#[derive(Debug, clap::Args)]
pub struct Watch {
    /// The collections, or single records of them; all where left out.
    #[arg(value_name = "COLLECTION[/ID]")]
    wanted: Vec<String>,
    /// Begin here; 0 begins with everything that is there. From now on where left out.
    #[arg(long, value_name = "SEQ")]
    since: Option<u64>,
    /// With the records' data.
    #[arg(long)]
    data: bool,
    /// As long as it watches, what is here shall be no older than this (30s, 5m): the syncs concerned run so often.
    #[arg(long, value_name = "TIME", value_parser = words::duration)]
    fresh: Option<Duration>,
}

impl Watch {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let (collections, ids) = changes::wanted(self.wanted);
        let ask = Subscribe {
            collections,
            ids,
            since: self.since,
            initial: self.since.is_none().then_some(false),
            data: self.data,
            fresh_ms: self.fresh.map(words::ms),
            ..Subscribe::default()
        };
        let mut subscription = subscribe(at, ask)?;
        loop {
            let lost = follow(at, &mut subscription)?;
            let again = subscription.again();
            let back = at.again(lost, None, |at| subscribe(at, again.clone()));
            subscription = back.map_err(|failure| go_on(failure, again.since))?;
            at.note("mingled is back");
        }
    }
}

/// Where to go on, for a person who starts mingled again.
fn go_on(failure: Failure, since: Option<u64>) -> Failure {
    match (failure, since) {
        (Failure::Gone { after_s, what, hint }, Some(since)) => {
            Failure::Gone { after_s, what, hint: format!("{hint}; `mingle watch` with `--since {since}` goes on from here") }
        }
        (other, _) => other,
    }
}

fn subscribe(at: &At, ask: Subscribe) -> Result<Subscription, Failure> {
    // The subscription takes a connection of its own; the one that asks for it ends here.
    Ok(Client::open(at.options())?.subscribe(ask)?)
}

/// Prints until the connection ends: why it did.
fn follow(at: &mut At, subscription: &mut Subscription) -> Result<CallError, Failure> {
    for update in subscription {
        match update {
            Ok(Update::Changed(changed)) => show(at, &changed)?,
            Ok(Update::Event(_) | Update::Again) => {}
            Err(lost @ CallError::Lost { .. }) => return Ok(lost),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(CallError::Lost { why: "it ended".into(), op: None })
}

fn show(at: &mut At, changed: &Changed) -> Result<(), Failure> {
    if at.json {
        at.line(&serde_json::to_string(changed).unwrap_or_default())?;
    } else {
        if changed.fresh {
            at.note("begins anew: what was printed before is void");
        }
        let lines: String = changed.changes.iter().map(changes::line).collect();
        at.text(&lines)?;
    }
    at.flush()
}
