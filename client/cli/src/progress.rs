//! Owns: progress bars, on a terminal only. Must never know: how a run goes; it draws what the events say.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal},
    thread,
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use mingle_client::{
    Options, Update,
    blocking::Client,
    call::{Subscribe, Topic},
    event::{Body, Event, RunEvent, RunStep},
};

/// The bars of the runs that are waited for. Without a terminal there are none.
pub struct Progress {
    bars: Option<MultiProgress>,
}

impl Progress {
    /// Draws runs of these syncs, as events of a second connection tell of them. Where that fails, there is no progress, and no harm.
    pub fn start(options: &Options, syncs: &[String], wanted: bool) -> Self {
        if !wanted || !io::stderr().is_terminal() {
            return Self { bars: None };
        }
        let bars = MultiProgress::new();
        let (options, syncs, drawn) = (options.clone(), syncs.to_vec(), bars.clone());
        // It ends with the process: it holds nothing that anybody needs.
        thread::spawn(move || {
            let ask = Subscribe {
                collections: Some(Vec::new()),
                topics: Some(vec![Topic::Run]),
                initial: Some(false),
                ..Subscribe::default()
            };
            let Ok(updates) = Client::open(&options).map(|client| client.subscribe(ask)) else { return };
            let mut each = BTreeMap::new();
            for update in updates.into_iter().flatten() {
                if let Ok(Update::Event(Event { body: Body::Run(run), .. })) = update
                    && syncs.contains(&run.sync)
                {
                    draw(&drawn, &mut each, &run);
                }
            }
        });
        Self { bars: Some(bars) }
    }

    /// Takes the bars away, so that what is printed next stands alone.
    pub fn clear(&self) {
        if let Some(bars) = &self.bars {
            // Where the terminal is gone, there is nothing to take away.
            let _ = bars.clear();
        }
    }
}

fn draw(bars: &MultiProgress, each: &mut BTreeMap<String, ProgressBar>, run: &RunEvent) {
    if run.step == RunStep::Finished {
        if let Some(bar) = each.remove(&run.sync) {
            bar.finish_and_clear();
        }
        return;
    }
    let bar = each.entry(run.sync.clone()).or_insert_with(|| {
        let bar = bars.add(ProgressBar::new_spinner().with_prefix(crate::words::plain(&run.sync)));
        bar.enable_steady_tick(Duration::from_millis(120));
        bar
    });
    // The template is a constant of ours: where it is wrong, the default stands.
    if let Ok(style) = ProgressStyle::with_template(template(run)) {
        bar.set_style(style);
    }
    bar.set_message(words(run));
    if let (true, Some(done), Some(total)) = (measured(run), run.done, run.total) {
        bar.set_length(total);
        bar.set_position(done.min(total));
    }
}

/// Whether it is known how much there is; nothing to do is no measure.
const fn measured(run: &RunEvent) -> bool {
    matches!((run.done, run.total), (Some(_), Some(1..)))
}

/// A bar needs to know how much there is; until then it only turns.
const fn template(run: &RunEvent) -> &'static str {
    if measured(run) { "{prefix} [{bar:30}] {pos}/{len} {msg}" } else { "{prefix} {spinner} {msg}" }
}

fn words(run: &RunEvent) -> String {
    match (&run.phase, run.done, run.total) {
        (Some(phase), Some(done @ 1..), None | Some(0)) => crate::words::plain(&format!("{phase} {done}")),
        (Some(phase), ..) => crate::words::plain(phase),
        (None, ..) => run.step.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_says_what_the_event_says() {
        let run =
            |phase: Option<&str>, done, total| RunEvent { phase: phase.map(Into::into), done, total, ..RunEvent::default() };
        assert_eq!(words(&run(None, None, None)), "progress");
        assert_eq!(words(&run(Some("down"), Some(3), None)), "down 3");
        assert_eq!(words(&run(Some("down"), Some(0), None)), "down");
        assert_eq!(words(&run(Some("down"), Some(3), Some(10))), "down");
        assert!(template(&run(Some("up"), Some(0), Some(0))).contains("spinner"));
        for run in [run(None, None, None), run(Some("up"), Some(1), Some(2))] {
            assert!(ProgressStyle::with_template(template(&run)).is_ok());
        }
    }
}
