//! Owns: what the desk says at a look, held against a decision without a memory, and that who does not run says why. Must never know: what
//! is done about it.

use mingle_core::{
    ask::SyncState,
    schedule::{Decision, Name, decide, text},
    time::Timestamp,
};

use super::World;

impl World {
    /// What the desk says is to be done, and of whom it is held. What it remembers from look to look may not show.
    pub(super) fn decided(&mut self, wall: Timestamp) -> Result<Decision, String> {
        let next = self.desk.next(wall);
        let _ = self.desk.seen();
        let anew = decide(self.desk.board(), self.desk.conditions(), wall);
        if (&next.start, &next.stop, next.wake_at) != (&anew.start, &anew.stop, anew.wake_at) {
            return Err(format!("the desk says {next:?}, who looks at everything says {anew:?}"));
        }
        for name in anew.hold.keys() {
            self.says_why(wall, name)?;
        }
        Ok(Decision { start: next.start, stop: next.stop, wake_at: next.wake_at, hold: anew.hold })
    }

    /// Who does not run says what holds it, in words that name it and what it needs, and when that ends where time alone ends it.
    fn says_why(&mut self, wall: Timestamp, name: &Name) -> Result<(), String> {
        self.whys += 1;
        let look = self.desk.look(wall, name).ok_or("no such sync")?;
        let words = text(name, &self.desk.board().jobs[name], &look, wall);
        let first = look.holds.first().ok_or_else(|| format!("{name} says nothing of why it does not run: {words}"))?;
        let said = words.contains(first.name()) && words.contains("needs");
        // Where something else holds it too, nobody knows when.
        let timed = look.state == SyncState::Waiting && look.holds.len() == 1 && first.name() != "trigger";
        let ends = !timed || look.next.is_some_and(|next| next > wall);
        if said && ends { Ok(()) } else { Err(format!("{name} does not say why, which is {first:?}, or when it ends: {words}")) }
    }
}
