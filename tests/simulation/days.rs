//! Owns: days of schedules on clocks that lie: set forward and back, machines that sleep, daemons that die, zones that change, and the
//! laws that hold all the same. Must never know: how a moment is worked out; what a run does.
//!
//! Two times pass here: the true one, and what the wall clock shows of it. The schedule sees only the wall. What is played is the
//! desk, which the daemon's engine asks; beside it stands the decision without a memory, and both have to say the same.

mod events;
mod plans;
mod said;

use std::time::Duration;

use mingle_core::{
    limits::{CLOCK_CORRECTION_MAX, CRON_BELL_LATE_MAX},
    schedule::{Board, Conditions, Curve, Desk, End, Job, Last, Name, Plan, Trigger},
    time::Timestamp,
};

use crate::chance::Chance;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Days of one life: long enough for both changes of daylight saving now and then.
const DAYS_A_LIFE: u64 = 50;
/// 2026-01-01T00:00:00Z.
const NEW_YEAR: i64 = 1_767_225_600_000;

fn ms(of: Duration) -> i64 {
    i64::try_from(of.as_millis()).unwrap_or(i64::MAX)
}

/// One sync, and what is known of it without asking the schedule.
struct Life {
    name: Name,
    plan: Plan,
    last: Last,
    failures: u32,
    /// When its last run began: in truth, and by the wall.
    began: Option<(i64, i64)>,
    /// When the last failed run ended, in truth.
    failed: Option<i64>,
    /// When the run that is on ends, in truth, and how.
    ends: Option<(i64, End)>,
    /// It must have begun by then, in truth, where nothing holds it; none: time alone does not make it due.
    due_by: Option<i64>,
    /// The same of what was asked for, or belongs to a start-up.
    called_by: Option<i64>,
    /// The clock or the zone is another since its last run began: one run may come early.
    upset: bool,
    /// Its cron expression is another since then.
    other_cron: bool,
    asked: bool,
    /// The run that is on was asked for: where it is stopped, whoever asked waits for another.
    runs_asked: bool,
    changed: bool,
    started_up: bool,
    pinged: bool,
    /// The moment of its next run, by the wall, and in truth when somebody could first have begun it.
    next: Option<(i64, i64)>,
}

impl Life {
    /// Nobody could have begun it before.
    fn not_before(&mut self, at: i64) {
        self.due_by = self.due_by.map(|by| by.max(at));
        self.called_by = self.called_by.map(|by| by.max(at));
        self.next = self.next.map(|(wall, by)| (wall, by.max(at)));
    }

    /// It must have begun by then, in truth, where nothing holds it, with a wall that is so far ahead. The moment that its next run has stands in the
    /// place of whatever time says; who asks passes it, and after a ping all is as if there were none.
    fn by(&self, ahead: i64) -> Option<i64> {
        match self.next.filter(|_| !self.pinged) {
            None => self.due_by.into_iter().chain(self.called_by).min(),
            Some((wall, by)) => self.called_by.filter(|_| self.asked).into_iter().chain([by.max(wall - ahead)]).min(),
        }
    }
}

struct World {
    chance: Chance,
    /// The true time.
    now: i64,
    /// What the wall shows beyond it.
    ahead: i64,
    desk: Desk,
    lives: Vec<Life>,
    /// The next look, in truth.
    look_at: Option<i64>,
    starts: u64,
    /// How often a sync that did not run said why.
    whys: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let now = NEW_YEAR + i64::try_from(chance.below(365)).unwrap_or(0) * DAY;
        let mut world = Self {
            chance,
            now,
            ahead: 0,
            desk: Desk::new(Board::default(), Conditions::default()),
            lives: Vec::new(),
            look_at: Some(now),
            starts: 0,
            whys: 0,
        };
        for place in 0..2_u64 {
            let name: Name = format!("s{place}").into();
            let plan = world.plan(&name, place);
            let job = Job::new(plan.clone(), Last::Never, 0, world.wall());
            world.desk.put(name.clone(), job);
            let by_itself = plan.interval.is_some() || plan.cron.is_some() || plan.on_start;
            world.lives.push(Life {
                name,
                plan,
                last: Last::Never,
                failures: 0,
                began: None,
                failed: None,
                ends: None,
                due_by: by_itself.then_some(now),
                called_by: None,
                upset: false,
                other_cron: false,
                asked: false,
                runs_asked: false,
                changed: false,
                started_up: true,
                pinged: false,
                next: None,
            });
        }
        world
    }

    fn wall(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.now + self.ahead)
    }

    fn upto(&mut self, end: i64) -> i64 {
        i64::try_from(self.chance.next() % end.max(1).unsigned_abs()).unwrap_or(0)
    }

    /// The next thing happens; what the laws forbid is an error.
    fn step(&mut self, next_event: &mut i64) -> Result<(), String> {
        let ends = self.lives.iter().filter_map(|life| life.ends).map(|(at, _)| at).min();
        self.now = [self.look_at, ends, Some(*next_event)].into_iter().flatten().min().unwrap_or(*next_event).max(self.now);
        for place in 0..self.lives.len() {
            if let Some((at, end)) = self.lives[place].ends
                && at <= self.now
            {
                self.end(place, end)?;
            }
        }
        if *next_event <= self.now {
            *next_event = self.now + MINUTE + self.upto(10 * HOUR);
            self.event();
        }
        self.look()
    }

    fn job(&mut self, name: &Name) -> &mut Job {
        self.desk.job(name).expect("a job")
    }

    fn offline(&self) -> bool {
        self.desk.conditions().online == Some(false)
    }

    /// When its next ring comes, in truth, as the wall stands now.
    fn ring(&self, place: usize) -> Option<i64> {
        let cron = self.lives[place].plan.cron.as_ref()?;
        // A ring that was answered does not come again because the clock was put right by a moment.
        let rings = cron.next_after(self.wall().plus(CLOCK_CORRECTION_MAX))?;
        Some(rings.unix_ms() - self.ahead + ms(CRON_BELL_LATE_MAX) + ms(CLOCK_CORRECTION_MAX))
    }

    /// The longest that its pause can be now, by a formula of our own.
    fn pause_most(&self, place: usize) -> i64 {
        let least = self.pause_least(place);
        (least + least / 2).min(ms(self.lives[place].plan.backoff.ceiling))
    }

    fn pause_least(&self, place: usize) -> i64 {
        let life = &self.lives[place];
        let (first, ceiling) = (ms(life.plan.backoff.first), ms(life.plan.backoff.ceiling));
        let times = i64::from(life.failures.max(1));
        let grown = match life.plan.backoff.curve {
            Curve::Linear => first * times,
            Curve::Exponential => first * 2_i64.pow(u32::try_from((times - 1).min(20)).unwrap_or(20)),
        };
        grown.min(ceiling)
    }

    fn end(&mut self, place: usize, end: End) -> Result<(), String> {
        let wall = self.wall();
        let name = self.lives[place].name.clone();
        self.job(&name).end(wall, end);
        let failures = self.desk.board().jobs[&name].failures;
        let life = &mut self.lives[place];
        life.ends = None;
        let (began, began_wall) = life.began.expect("it began");
        let began_wall = Timestamp::from_unix_ms(began_wall);
        match end {
            End::Done => {
                life.last = Last::Done { began: began_wall };
                life.failures = 0;
            }
            End::Failed => {
                life.last = Last::Failed { ended: wall };
                life.failures += 1;
            }
            End::Stopped(reason) => {
                life.last = Last::Stopped { began: began_wall, reason };
                life.asked |= life.runs_asked;
            }
        }
        if failures != life.failures {
            return Err(format!("{name}: {failures} failures in a row, not {}", life.failures));
        }
        life.failed = (end == End::Failed).then_some(self.now);
        life.called_by = (life.asked || life.pinged && end != End::Failed).then_some(self.now);
        let cron_due = life
            .plan
            .cron
            .as_ref()
            .and_then(|cron| cron.next_after(began_wall))
            .map(|rings| (rings.unix_ms() - self.ahead).max(self.now) + ms(CRON_BELL_LATE_MAX));
        let interval_due = life.plan.interval.map(|interval| (began + ms(interval.every)).max(self.now));
        let pause = self.pause_most(place);
        let life = &mut self.lives[place];
        let waits = match end {
            End::Done => cron_due.or(interval_due),
            End::Failed => Some(self.now + pause),
            End::Stopped(_) => Some(self.now),
        };
        // A clock that was set while it ran: its wait is counted from a beginning that the wall knows no more.
        let slack = if life.upset {
            ms(CLOCK_CORRECTION_MAX) + life.plan.interval.map_or(DAY * 4, |interval| ms(interval.every))
        } else {
            0
        };
        life.due_by = waits.map(|by| by + slack);
        Ok(())
    }

    fn look(&mut self) -> Result<(), String> {
        let wall = self.wall();
        let decision = self.decided(wall)?;
        for (name, reason) in &decision.stop {
            self.job(name).stopping(*reason);
            let now = self.now;
            let life = self.lives.iter_mut().find(|life| life.name == *name).expect("a life");
            life.ends = Some((now + 100, End::Stopped(*reason)));
        }
        for start in &decision.start {
            self.begin(&start.sync, start.trigger)?;
        }
        let offline = self.offline();
        for life in &self.lives {
            let due_by = life.by(self.ahead).filter(|by| *by < self.now);
            if let (None, Some(due_by), false) = (life.ends, due_by, offline) {
                let by = self.now - due_by;
                return Err(format!("{} is {by} ms late: {:?}, {:?}", life.name, decision.hold.get(&life.name), life.last));
            }
        }
        let wake = self.decided(wall)?.wake_at;
        let sooner = wake.map(|at| self.now + at.since(wall).as_millis().try_into().unwrap_or(i64::MAX / 4));
        // A look that is under way because the clock was set is not put off by what the wall says.
        self.look_at = match (self.look_at.filter(|at| *at > self.now), sooner) {
            (Some(noticed), Some(sooner)) if self.lives.iter().any(|life| life.upset) => Some(noticed.min(sooner)),
            (_, sooner) => sooner,
        };
        Ok(())
    }

    fn begin(&mut self, name: &Name, trigger: Trigger) -> Result<(), String> {
        let wall = self.wall();
        let place = self.lives.iter().position(|life| life.name == *name).expect("a life");
        let least = self.pause_least(place);
        let fail = |what: &str| Err(format!("{name} begins by {trigger:?}: {what}"));
        let life = &self.lives[place];
        if life.ends.is_some() {
            return fail("it runs already");
        }
        if self.offline() {
            return fail("without a network");
        }
        let good = match trigger {
            Trigger::First => life.last == Last::Never,
            Trigger::Timer => {
                let interval = life.plan.interval.ok_or("no interval")?;
                let gap = ms(interval.every.saturating_sub(interval.flex));
                life.upset || life.began.is_some_and(|(began, _)| self.now - began >= gap)
            }
            Trigger::Cron => {
                let cron = life.plan.cron.as_ref().ok_or("no cron")?;
                let rang =
                    |(_, began): (i64, i64)| cron.next_after(Timestamp::from_unix_ms(began)).is_some_and(|rings| rings <= wall);
                life.upset || life.began.is_some_and(rang)
            }
            Trigger::Retry => life.failed.is_some_and(|failed| life.upset || self.now - failed >= least),
            Trigger::Request => life.asked,
            Trigger::Change => life.changed,
            Trigger::Startup => life.started_up && life.plan.on_start,
            Trigger::Resume => matches!(life.last, Last::Stopped { .. }),
            Trigger::Ping => life.pinged,
            Trigger::NextRunAt => life.next.is_some_and(|(at, _)| at <= wall.unix_ms()),
            Trigger::Demand => false,
        };
        if life.next.is_some() && !life.pinged && !matches!(trigger, Trigger::NextRunAt | Trigger::Request) {
            return fail("its next run has a moment of its own");
        }
        if !good {
            return fail("too early, or for nothing");
        }
        let lasts = SECOND + self.upto(5 * MINUTE);
        let end = if self.chance.one_in(5) { End::Failed } else { End::Done };
        let now = self.now;
        self.job(name).begin(wall);
        self.starts += 1;
        let life = &mut self.lives[place];
        life.began = Some((now, wall.unix_ms()));
        life.ends = Some((now + lasts, end));
        life.runs_asked = trigger == Trigger::Request;
        life.next = life.next.filter(|(at, _)| *at > wall.unix_ms());
        life.pinged = false;
        (life.due_by, life.called_by) = (None, None);
        life.other_cron = false;
        (life.upset, life.asked, life.changed, life.started_up) = (false, false, false, false);
        Ok(())
    }
}

/// One life of so many days; how many runs began, and how often was said why one does not.
fn live(seed: u64) -> Result<(u64, u64), String> {
    let mut world = World::new(seed);
    let end = world.now + i64::try_from(DAYS_A_LIFE).unwrap_or(0) * DAY;
    let mut next_event = world.now + HOUR;
    while world.now < end {
        let at = world.now;
        world.step(&mut next_event).map_err(|law| format!("seed {seed}, {} days in: {law}", (at - NEW_YEAR) / DAY))?;
    }
    Ok((world.starts, world.whys))
}

/// `MINGLE_CLOCK_DAYS` says how many days, `MINGLE_CLOCK_FIRST` how many lie before them; each life has a seed of its own.
#[test]
fn days_of_lying_clocks_keep_the_laws() {
    let number = |name: &str, usual| std::env::var(name).map_or(usual, |days| days.parse::<u64>().expect("a number"));
    let days = number("MINGLE_CLOCK_DAYS", 5_000);
    let first = 1 + number("MINGLE_CLOCK_FIRST", 0).div_ceil(DAYS_A_LIFE);
    let (mut failed, mut starts, mut whys) = (Vec::new(), 0, 0);
    let lives = days.div_ceil(DAYS_A_LIFE);
    for seed in first..first + lives {
        match live(seed) {
            Ok((more, said)) => {
                starts += more;
                whys += said;
            }
            Err(law) => failed.push(law),
        }
    }
    eprintln!("{} days, {starts} runs", lives * DAYS_A_LIFE);
    mingle_tests::tally::tell("clock-days", lives * DAYS_A_LIFE, failed.len() as u64);
    mingle_tests::tally::tell("whys", whys, failed.iter().filter(|law| law.contains("why")).count() as u64);
    assert!(failed.is_empty(), "{} lives broke a law, such as:\n{}", failed.len(), failed[..failed.len().min(5)].join("\n"));
    assert!(starts > lives * DAYS_A_LIFE, "only {starts} runs: these lives are too quiet to find anything");
}
