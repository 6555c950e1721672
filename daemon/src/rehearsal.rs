//! Owns: playing a run on a copy of the store, with a remote that is only asked: what the run would send and change. Must never know:
//! who asks, when a run is due.
//!
//! It is the run itself that is played, machine, store and remote: nothing here knows what a run would do.

use std::{collections::VecDeque, sync::Arc};

use mingle_core::{
    ask::{Plan, PlannedRequest},
    replica::{Abilities, Action, Answer, Asked, Errand, From, Page, RemoteError},
    run::{Effect, Event, Order, Run},
};

use crate::{
    boot::Known,
    clock,
    perform::{Opener, Site, perform},
    remotes::{
        Greeting, Pending, Remote,
        budget::By,
        held::{HELD_BACK, Held},
    },
    run::pace,
    store::{
        Class, Store, StoreError,
        rehearsal::{self as played, Played},
    },
};

/// What would be sent of one sync.
pub struct Cast {
    /// The sync; its remote is opened with a client that holds back into `held`.
    pub known: Known,
    /// Where its requests are held back.
    pub held: Arc<Held>,
    /// How many changes its remote takes with one request.
    pub together: usize,
}

/// Plays a run on a copy of the store, and tells at most so many changes and requests of it.
///
/// # Errors
/// What the copy says.
pub async fn rehearse(copy: Store, cast: Cast, order: Order, most: usize) -> Result<Plan, StoreError> {
    let from = copy.write(Class::Interactive, clock::now(), |tx| played::head(tx)).await?;
    let Cast { known, held, together } = cast;
    let opener = Arc::new(Asking(Arc::clone(&known.opener)));
    let site = Arc::new(Site::new(copy.clone(), known.spec, order.clone(), opener, pace::of(copy.clone())));
    let mut plan = Plan::default();
    let mut withheld = 0;
    let mut run = Run::new(order.clone());
    let mut effects = VecDeque::from(run.handle(Event::Start));
    while let Some(effect) = effects.pop_front() {
        let event = match effect {
            Effect::Hurry => continue,
            Effect::Send { errands } => {
                let mut answers = Vec::new();
                for some in chunks(errands, together) {
                    let mut links = Vec::new();
                    if let Event::Sent(told) = perform(Arc::clone(&site), Effect::Send { errands: some }, clock::now()).await {
                        let held = told.iter().filter(|(_, answer)| matches!(answer, Answer::Refused(what) if what == HELD_BACK));
                        links.extend(held.map(|(link, _)| *link));
                        answers.extend(told);
                    }
                    withheld += links.len() as u64;
                    let requests = held.take();
                    if plan.requests.len() < most && !requests.is_empty() {
                        let ids = copy.write(Class::Interactive, clock::now(), move |tx| played::ids_of(tx, &links)).await?;
                        let told = requests.into_iter().map(|request| PlannedRequest { ids: ids.clone(), ..request });
                        plan.requests.extend(told);
                        plan.requests.truncate(most);
                    }
                }
                Event::Sent(answers)
            }
            other => perform(Arc::clone(&site), other, clock::now()).await,
        };
        if let Event::Negotiated(terms) = &event {
            plan.mode = Some(terms.mode);
        }
        effects.extend(run.handle(event));
    }
    plan.requests_total = held.count();
    let id = order.run;
    let Played { run, changes, total } =
        copy.write(Class::Background, clock::now(), move |tx| played::played(tx, &id, from, most)).await?;
    (plan.changes, plan.changes_total) = (changes, total);
    if let Some(run) = run {
        plan.rejections = run.rejected.saturating_sub(withheld);
        plan.conflicts = run.conflicts;
        // What was held back stands as rejections in the copy.
        plan.status = if run.status == "done_with_errors" && plan.rejections == 0 { "done".into() } else { run.status };
        plan.error = run.error;
    }
    Ok(plan)
}

fn chunks(errands: Vec<Errand>, together: usize) -> impl Iterator<Item = Vec<Errand>> {
    let mut errands = errands.into_iter();
    std::iter::from_fn(move || {
        let some: Vec<Errand> = errands.by_ref().take(together.max(1)).collect();
        (!some.is_empty()).then_some(some)
    })
}

/// Opens remotes that are only asked.
struct Asking(Arc<dyn Opener>);

impl Opener for Asking {
    fn open(&self, by: By) -> Pending<'_, Result<Arc<dyn Remote>, RemoteError>> {
        Box::pin(async move { Ok(Arc::new(Unmoved(self.0.open(by).await?)) as Arc<dyn Remote>) })
    }
}

/// A remote that is only asked.
struct Unmoved(Arc<dyn Remote>);

impl Remote for Unmoved {
    fn abilities(&self) -> &Abilities {
        self.0.abilities()
    }

    fn greet(&self) -> Pending<'_, Result<Greeting, RemoteError>> {
        self.0.greet()
    }

    fn list<'a>(&'a self, from: &'a From, page: Option<&'a str>, rows: usize) -> Pending<'a, Result<Page, RemoteError>> {
        self.0.list(from, page, rows)
    }

    fn page_is_applied(&self) {
        self.0.page_is_applied();
    }

    fn get<'a>(&'a self, remote_id: &'a str) -> Pending<'a, Result<Asked, RemoteError>> {
        self.0.get(remote_id)
    }

    fn look_ahead<'a>(&'a self, actions: &'a [&'a Action]) -> Pending<'a, ()> {
        self.0.look_ahead(actions)
    }

    fn send<'a>(&'a self, action: &'a Action) -> Pending<'a, Answer> {
        Box::pin(async move { settled(self.0.send(action).await) })
    }

    fn send_together<'a>(&'a self, actions: &'a [Action]) -> Pending<'a, Vec<Answer>> {
        Box::pin(async move { self.0.send_together(actions).await.into_iter().map(settled).collect() })
    }
}

/// What was held back is settled as a refusal: then the run goes on, and does not try again.
fn settled(answer: Answer) -> Answer {
    match answer {
        Answer::Unsent(error) if error.what == HELD_BACK => Answer::Refused(error.what),
        other => other,
    }
}
