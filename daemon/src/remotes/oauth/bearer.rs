//! Owns: what shows who we are in the requests of one run, where that runs out. Must never know: what is asked, where tokens are kept.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use reqwest::{
    StatusCode,
    header::{AUTHORIZATION, HeaderValue},
};

use mingle_core::{
    limits,
    replica::{Failure, RemoteError},
};

use super::{ask::Asker, held::Who, holder::Holder};
use crate::remotes::{
    http::{Client, Lost, Reply, Request},
    secret::Fetched,
};

/// Whom a run speaks for, and the token that shows it now.
#[derive(Clone)]
pub struct Bearer(Arc<Inside>);

struct Inside {
    holder: Arc<Holder>,
    asker: Asker,
    remote: String,
    who: Who,
    /// Here a success by its status may be a refusal: no such answer proves a token.
    is_judged: AtomicBool,
}

impl std::fmt::Debug for Bearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the login of {}", self.0.remote)
    }
}

impl Bearer {
    pub(super) fn new(holder: Arc<Holder>, asker: Asker, remote: String, who: Who) -> Self {
        Self(Arc::new(Inside { holder, asker, remote, who, is_judged: AtomicBool::new(false) }))
    }

    /// What tells whoever it is from anybody else: the account, or this login where the service names nobody.
    pub(in crate::remotes) fn who(&self) -> &str {
        self.0.who.name()
    }

    /// Sends a request with the token; where the service does not take that one, again with another.
    pub(in crate::remotes) async fn exchange(&self, client: &Client, request: Request) -> Result<Reply, Lost> {
        let Inside { holder, asker, remote, who, is_judged } = &*self.0;
        let mut token = holder.token(asker, remote, who).await.map_err(unsent)?;
        let mut tried = 1;
        loop {
            let mut reply = client.pay(shown(request.clone(), &token)?).await?;
            if reply.status != StatusCode::UNAUTHORIZED {
                // What is refused by other means than that status is no proof.
                if reply.status.is_success() && !is_judged.load(Relaxed) {
                    holder.proven(&token);
                }
                reply.shown = Some(Fetched::of(token));
                return Ok(reply);
            }
            // What is refused for its login has changed nothing: it may go again, whatever it is.
            let other = if tried < limits::TOKENS_TRIED_MAX {
                holder.other_than(&token, asker, remote, who).await.map_err(unsent)?
            } else {
                None
            };
            let Some(other) = other else { return Ok(reply) };
            (token, tried) = (other, tried + 1);
        }
    }

    /// An answer says by other means than its status that the login is refused: whether there is another now.
    pub(in crate::remotes) async fn is_renewed(&self, reply: &Reply) -> Result<bool, RemoteError> {
        let Inside { holder, asker, remote, who, is_judged } = &*self.0;
        let Some(token) = &reply.shown else { return Ok(false) };
        is_judged.fetch_or(reply.status.is_success(), Relaxed);
        holder.other_than(token.reveal(), asker, remote, who).await.map(|other| other.is_some())
    }
}

fn unsent(error: RemoteError) -> Lost {
    Lost { error, sent: false }
}

fn shown(mut request: Request, token: &str) -> Result<Request, Lost> {
    let no = |_| unsent(RemoteError::new(Failure::NeedsLogin, "the token does not fit into a header"));
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(no)?;
    value.set_sensitive(true);
    request.headers.insert(AUTHORIZATION, value);
    Ok(request)
}
