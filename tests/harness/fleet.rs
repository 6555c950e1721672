//! Owns: a fleet: very many hosts with one sync each, in virtual time, and the crowd that their remote sees. When a host comes is decided by
//! the daemon's own [`decide`]. Must never know: how a moment is chosen.

use std::time::Duration;

use mingle_core::{
    schedule::{Board, Conditions, End, Interval, Job, Last, Name, Plan, Spread, decide},
    time::Timestamp,
};

/// The crowd is counted in windows of so long: in a single second even hosts that are thrown at random differ by a third.
pub const WINDOW: Duration = Duration::from_secs(10);

/// How long a run takes, or one that fails.
const RUN: Duration = Duration::from_secs(1);

const START: Timestamp = Timestamp::from_unix_ms(1_790_000_000_000);

/// What happens to the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Story {
    /// Nothing: hosts that were set up at random moments go on.
    Steady,
    /// The remote is away for so long, and every run of that time fails.
    Outage(Duration),
    /// All hosts were off for so long, and start at the same moment.
    Boot(Duration),
}

/// What the remote sees, in requests per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crowd {
    /// As many as there are hosts, once per interval.
    pub mean: f64,
    /// The busiest window, from the end of what happened on.
    pub peak: f64,
    /// The busiest window while the remote was away: requests that failed.
    pub in_vain: f64,
}

/// Plays a fleet on `every`, for twelve intervals after what happens.
#[must_use]
pub fn play(hosts: u32, every: Duration, story: Story) -> Crowd {
    let away = match story {
        Story::Outage(away) => away,
        Story::Steady | Story::Boot(_) => Duration::ZERO,
    };
    // They have settled by then.
    let begins = START.plus(every * 3);
    let (ends, end) = (begins.plus(away), begins.plus(away + every * 12));
    let window = |at: Timestamp| usize::try_from(at.since(START).as_millis() / WINDOW.as_millis()).unwrap_or(usize::MAX);
    let mut crowd = vec![0_u32; window(end) + 1];
    for host in 0..hosts {
        // Machine ids are random, and so are the moments at which hosts were set up.
        let number = u64::from(host).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let set_up = Duration::from_millis(number.rotate_left(17) % u64::try_from(every.as_millis()).unwrap_or(1));
        let (last, up) = match story {
            Story::Boot(off) => (begins.minus(off + set_up), begins),
            Story::Steady | Story::Outage(_) => (START.minus(set_up), START.minus(set_up)),
        };
        let is_away = |at: Timestamp| at >= begins && at < ends;
        live(number, every, last, up, end, |at| {
            crowd[window(at)] += 1;
            if is_away(at) { End::Failed } else { End::Done }
        });
    }
    let per_second = |hits: u32| f64::from(hits) / WINDOW.as_secs_f64();
    let busiest = |from: Timestamp, to: Timestamp| per_second(crowd[window(from)..window(to)].iter().copied().max().unwrap_or(0));
    Crowd {
        mean: f64::from(hosts) / every.as_secs_f64(),
        peak: busiest(ends, end),
        in_vain: if away.is_zero() { 0.0 } else { busiest(begins, ends) },
    }
}

/// One host, whose last run began at `last`, and that is there from `up` on.
fn live(number: u64, every: Duration, last: Timestamp, up: Timestamp, end: Timestamp, mut knocks: impl FnMut(Timestamp) -> End) {
    let plan = Plan {
        remote: "cloud".into(),
        collection: "contacts".into(),
        interval: Some(Interval { every, flex: every }),
        spread: Spread::of(number, "contacts"),
        ..Plan::default()
    };
    let name = Name::from("contacts");
    let mut board = Board::default();
    board.jobs.insert(name.clone(), Job::new(plan, Last::Done { began: last }, 0, up));
    let (conditions, mut now) = (Conditions::default(), up);
    while now < end {
        let decision = decide(&board, &conditions, now);
        if decision.start.is_empty() {
            let Some(at) = decision.wake_at else { return };
            now = at;
            continue;
        }
        let ended = knocks(now);
        if let Some(job) = board.jobs.get_mut(&name) {
            job.begin(now);
            now = now.plus(RUN);
            job.end(now, ended);
        }
    }
}
