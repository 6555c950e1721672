//! Owns: what befalls a machine, its clock and its daemon, and what people and apps say meanwhile. Must never know: the laws that hold all the
//! same.

use mingle_core::{
    limits::{CATCH_UP_MAX, CLOCK_CORRECTION_MAX, CRON_BELL_LATE_MAX, SLEEP_MAX},
    schedule::{Board, Conditions, Desk, Job, Last, Request, StopReason, Trigger},
    time::Timestamp,
};

use super::{DAY, HOUR, MINUTE, SECOND, World, ms};

impl World {
    /// What may befall a machine.
    pub(super) fn event(&mut self) {
        let place = self.chance.below(2);
        match self.chance.below(15) {
            0..=2 => {
                let by =
                    *self.chance.pick(&[SECOND, 30 * SECOND, 90 * SECOND, 20 * MINUTE, HOUR, 5 * HOUR, 30 * DAY, 3_650 * DAY]);
                let by = if self.chance.one_in(2) { by } else { -by };
                // A clock that was far off is put right, more often than not.
                let put_right = self.ahead != 0 && !self.chance.one_in(3);
                self.set_clock(if put_right { -self.ahead } else { by });
            }
            3 | 4 => {
                // Asleep: the true time passes, runs stand still, nobody looks.
                let slept = MINUTE + self.upto(3 * DAY);
                self.now += slept;
                for life in &mut self.lives {
                    life.ends = life.ends.map(|(at, end)| (at + slept, end));
                }
                self.noticed_late();
            }
            5 | 6 => self.restart(),
            7 => {
                let life = &mut self.lives[place];
                life.asked = true;
                life.called_by.get_or_insert(self.now);
                let request = Request { at: self.wall(), person: true, force: false, reset: false };
                let name = self.lives[place].name.clone();
                self.job(&name).ask(request);
            }
            8 => {
                let (name, at) = (self.lives[place].name.clone(), self.wall());
                self.lives[place].changed = true;
                self.job(&name).changed(at);
            }
            9 => {
                let online = !self.offline();
                self.desk.set_conditions(Conditions { online: Some(!online), ..Conditions::default() });
                let now = self.now;
                self.lives.iter_mut().for_each(|life| life.not_before(now));
            }
            12 => {
                let (name, life) = (self.lives[place].name.clone(), &mut self.lives[place]);
                life.pinged = true;
                if life.failed.is_none() {
                    life.called_by.get_or_insert(self.now);
                }
                self.job(&name).call(Trigger::Ping);
            }
            13 | 14 => {
                // Its next run has a moment of its own, or none any more.
                let at = (!self.chance.one_in(4)).then(|| self.wall().unix_ms() - HOUR + self.upto(DAY));
                let (now, name) = (self.now, self.lives[place].name.clone());
                self.lives[place].next = at.map(|at| (at, now));
                self.lives[place].not_before(now);
                self.job(&name).next = at.map(Timestamp::from_unix_ms);
            }
            10 if self.lives[place].plan.cron.is_some() => {
                // The zone's rules are others now, or the configuration names another.
                let cron = self.cron();
                let now = self.wall();
                let life = &mut self.lives[place];
                life.plan.cron = Some(cron);
                (life.upset, life.other_cron) = (true, true);
                let (name, plan) = (life.name.clone(), life.plan.clone());
                self.job(&name).replan(plan, now);
                let by = self.ring(place);
                let life = &mut self.lives[place];
                if life.due_by.is_some_and(|by| by > self.now) && life.failed.is_none() {
                    life.due_by = by;
                }
            }
            _ => {}
        }
    }

    /// Somebody looks within the longest sleep.
    pub(super) fn noticed_late(&mut self) {
        let at = self.now + self.upto(ms(SLEEP_MAX));
        self.look_at = Some(at);
        self.lives.iter_mut().for_each(|life| life.not_before(at));
    }

    pub(super) fn set_clock(&mut self, by: i64) {
        self.ahead += by;
        let offline = self.offline();
        for place in 0..self.lives.len() {
            let pause = self.pause_most(place);
            let ring = self.lives[place].plan.cron.is_some().then(|| self.ring(place)).flatten();
            let life = &mut self.lives[place];
            life.upset = true;
            let Some(due_by) = life.due_by else { continue };
            // Nor does time begin what has a moment of its own.
            let offline = offline || life.next.is_some();
            // Never later than its whole wait from now, and what a correction may take.
            let wait = match (life.failed, life.plan.interval) {
                (Some(_), _) => Some(pause),
                (None, Some(interval)) => Some(ms(interval.every)),
                (None, None) => None,
            };
            life.due_by = match wait {
                _ if by >= 0 => Some(due_by),
                // Nobody can begin it now. Once the wall shows when its last run began, or failed, or the daemon started, nothing tells
                // that it was set back: then it waits as the wall has it.
                Some(wait) if offline => {
                    let since = match life.last {
                        Last::Done { began } | Last::Stopped { began, .. } => began,
                        Last::Failed { ended } => ended,
                        Last::Never => Timestamp::from_unix_ms(self.now + self.ahead),
                    };
                    let up = self.desk.board().jobs[&life.name].up;
                    let shown = up.map_or(since, |up| up.max(since)).unix_ms() - self.ahead;
                    Some(shown.max(self.now) + wait + wait.min(ms(CLOCK_CORRECTION_MAX)))
                }
                Some(wait) => Some(self.now + wait + wait.min(ms(CLOCK_CORRECTION_MAX))),
                // The wall clock decides, and it shows another time; the same holds here.
                None if offline => None,
                None => ring.or(Some(due_by)),
            };
        }
        self.noticed_late();
    }

    /// The daemon dies or ends, and is there again after a while: what it knows is what its store remembers.
    pub(super) fn restart(&mut self) {
        let down = if self.chance.one_in(2) { self.upto(10 * SECOND) } else { self.upto(2 * DAY) };
        let reason = if self.chance.one_in(2) { StopReason::Crash } else { StopReason::Shutdown };
        let died = self.now;
        self.now += down;
        // A machine without a battery for its clock goes on where it was.
        let set = if self.chance.one_in(6) { -down } else { 0 };
        let mut board = Board::default();
        for place in 0..self.lives.len() {
            if self.lives[place].ends.take().is_some() {
                let (_, wall) = self.lives[place].began.expect("it began");
                let life = &mut self.lives[place];
                life.last = Last::Stopped { began: Timestamp::from_unix_ms(wall), reason };
                life.failed = None;
                life.due_by = Some(died);
            }
            let wall = self.wall();
            let life = &mut self.lives[place];
            life.asked = false;
            life.changed = false;
            life.started_up = true;
            life.called_by = ((life.plan.on_start || life.pinged) && life.failed.is_none()).then_some(died);
            if let (true, Last::Done { began }, Some(cron)) = (life.other_cron, life.last, &life.plan.cron) {
                // What rang before the expression was another, and was not answered, nobody knows of any more.
                let rings = cron.next_after(began);
                let by = rings.map(|rings| (rings.unix_ms() - self.ahead).max(self.now) + ms(CRON_BELL_LATE_MAX));
                life.due_by = by;
            }
            let mut job = Job::new(life.plan.clone(), life.last, life.failures, wall);
            job.started_up();
            if life.pinged {
                job.call(Trigger::Ping);
            }
            job.next = life.next.map(|(at, _)| Timestamp::from_unix_ms(at));
            let name = life.name.clone();
            board.jobs.insert(name, job);
        }
        self.desk = Desk::new(board, self.desk.conditions().clone());
        if set != 0 {
            self.set_clock(set);
        }
        self.lives.iter_mut().for_each(|life| life.not_before(self.now));
        for place in 0..self.lives.len() {
            if let Last::Never = self.lives[place].last {
                let plan = &self.lives[place].plan;
                let by_itself = plan.interval.is_some() || plan.cron.is_some() || plan.on_start;
                self.lives[place].due_by = by_itself.then_some(self.now);
            } else if let (Some(due_by), Some(interval)) = (self.lives[place].due_by, self.lives[place].plan.interval) {
                // What was missed is caught up with, at a moment of this host's own.
                let caught_up = self.now + ms(interval.every.min(CATCH_UP_MAX));
                self.lives[place].due_by = Some(due_by.max(caught_up));
            }
        }
        self.look_at = Some(self.now);
    }
}
