//! Owns: a subscription as a stream, over a connection of its own, and its way to a new one. Must never know: what is in a record.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_util::Stream as Updates;
use mingle_proto::call::{Subscribe, SubscribeAnswer};

use super::{
    SubscribeError,
    wire::{Begun, Wire},
};
use crate::{CallError, Options, Update, subscribe::Follow};

/// What a subscription brings, as a stream. It ends with the first error; [`Subscription::again`] says how to go on.
#[derive(Debug)]
pub struct Subscription {
    wire: Wire,
    follow: Follow,
    options: Options,
    anew: Option<Anew>,
    over: bool,
}

/// What a new connection of a subscription brings.
type Went = Result<Begun<SubscribeAnswer>, CallError>;

/// A subscription on its way to a new connection.
struct Anew(Pin<Box<dyn Future<Output = Went> + Send + Sync>>);

impl std::fmt::Debug for Anew {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Anew")
    }
}

impl Subscription {
    /// Subscribes over a connection of its own.
    pub(super) async fn open(options: &Options, ask: Subscribe) -> Result<Self, SubscribeError> {
        let (wire, answer, instance) = Wire::open(options, &ask).await?;
        Ok(Self { wire, follow: Follow::new(ask, &answer, instance), options: options.clone(), anew: None, over: false })
    }

    /// Where it stands.
    #[must_use]
    pub const fn follow(&self) -> &Follow {
        &self.follow
    }

    /// What to give to [`Client::subscribe`] of a new connection, to go on from here.
    #[must_use]
    pub fn again(&self) -> Subscribe {
        self.follow.again()
    }

    /// The next update; None after the end. May be dropped and asked again: nothing is lost.
    pub async fn next(&mut self) -> Option<Result<Update, CallError>> {
        poll_fn(|context| self.poll_update(context)).await
    }

    fn poll_update(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Update, CallError>>> {
        if self.over {
            return Poll::Ready(None);
        }
        loop {
            if let Some(anew) = &mut self.anew {
                let went = ready!(anew.0.as_mut().poll(context));
                self.anew = None;
                match went {
                    Ok((wire, answer, instance)) => {
                        self.follow.goes_on(&answer, instance);
                        self.wire = wire;
                        return Poll::Ready(Some(Ok(Update::Again)));
                    }
                    Err(error) => return self.end(error),
                }
            }
            match ready!(self.wire.poll_heard(context)) {
                Ok(heard) => {
                    if let Some(update) = self.follow.hear(heard) {
                        return Poll::Ready(Some(Ok(update)));
                    }
                }
                Err(error) => match self.options.reconnect_within {
                    Some(patience) if error.is_lost() => {
                        let (options, ask) = (self.options.clone(), self.follow.again());
                        self.anew = Some(Anew(Box::pin(async move { Wire::again(&options, &ask, patience).await })));
                    }
                    _ => return self.end(error),
                },
            }
        }
    }

    fn end(&mut self, error: CallError) -> Poll<Option<Result<Update, CallError>>> {
        self.over = true;
        Poll::Ready(Some(Err(error)))
    }
}

impl Updates for Subscription {
    type Item = Result<Update, CallError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_update(context)
    }
}
