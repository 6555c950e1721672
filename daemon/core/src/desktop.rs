//! Owns: which matters that want a person are shown on the desktop, when, and in what words. Must never know: how they are shown, or that
//! there is a desktop.
//!
//! A matter is shown once as long as it stands, and at most once a day where it comes and goes.

use std::collections::BTreeMap;

use crate::{
    ask::Attention,
    limits::{NOTE_CHARS_MAX, NOTE_LINES_MAX, SHOWN_AGAIN_AFTER, SHOWN_MATTERS_MAX},
    time::Timestamp,
};

/// What a matter is known by: its name and what it is about, as `attention` has them.
pub type Matter = (String, String);

/// What was shown, when last, and whether that is over since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown(BTreeMap<Matter, (Timestamp, bool)>);

/// What is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// In a line.
    pub title: String,
    /// With the command that helps.
    pub body: String,
}

fn matter(one: &Attention) -> Matter {
    (one.name.clone(), one.about.clone())
}

impl Shown {
    /// As it was written down.
    #[must_use]
    pub fn new(rows: impl IntoIterator<Item = (Matter, Timestamp)>) -> Self {
        Self(rows.into_iter().take(SHOWN_MATTERS_MAX).map(|(matter, at)| (matter, (at, false))).collect())
    }

    /// As it is to be written down.
    pub fn rows(&self) -> impl Iterator<Item = (&Matter, Timestamp)> {
        self.0.iter().map(|(matter, (at, _))| (matter, *at))
    }

    /// Of what stands now, what was not shown yet. What is over, and was shown a day ago, is forgotten. Past [`SHOWN_MATTERS_MAX`]
    /// nothing more is shown until some are over.
    pub fn due(&mut self, standing: &[Attention], now: Timestamp) -> Vec<Attention> {
        let stands = |known: &Matter| standing.iter().any(|one| one.name == known.0 && one.about == known.1);
        self.0.retain(|known, (at, over)| {
            // The clock was set back: nobody should wait for it to come there again.
            *at = (*at).min(now);
            *over |= !stands(known);
            now.since(*at) < SHOWN_AGAIN_AFTER || !*over
        });
        let room = SHOWN_MATTERS_MAX.saturating_sub(self.0.len());
        standing.iter().filter(|one| !self.0.contains_key(&matter(one))).take(room).cloned().collect()
    }

    /// These were shown.
    pub fn showed(&mut self, those: &[Attention], now: Timestamp) {
        self.0.extend(those.iter().map(|one| (matter(one), (now, false))));
    }
}

/// What to show of matters that came up together; none: there are none.
#[must_use]
pub fn note(of: &[Attention]) -> Option<Note> {
    let (title, body) = match of {
        [] => return None,
        [one] => (format!("mingle: {}", words(one)), one.hint.clone()),
        several => {
            let lines = several.iter().take(NOTE_LINES_MAX).map(words);
            let more = several.len().saturating_sub(NOTE_LINES_MAX);
            let more = (more > 0).then(|| format!("and {more} more"));
            let lines: Vec<String> = lines.chain(more).chain(["`mingle status` says what to do".to_owned()]).collect();
            (format!("mingle: {} things want you", several.len()), lines.join("\n"))
        }
    };
    Some(Note { title: cut(&title), body: cut(&body) })
}

/// A matter in a few words.
fn words(one: &Attention) -> String {
    let about = &one.about;
    match one.name.as_str() {
        "overdue" => format!("{about} has not run for too long"),
        "failing" => format!("{about} fails for too long"),
        "needs_login" => format!("{about} needs a login"),
        "denied" => format!("{about} is not allowed"),
        "conflict" => format!("{about} has conflicts to decide"),
        "rejection" => format!("{about} has rejections to decide"),
        "epoch" => format!("{about} has another history at its remote"),
        "account" => format!("{about} speaks for another account"),
        other => format!("{about}: {}", other.replace('_', " ")),
    }
}

/// Fit to be shown: no control characters but line ends, not too long.
fn cut(text: &str) -> String {
    let shown = text.chars().map(|one| if one.is_control() && one != '\n' { ' ' } else { one });
    let mut all: String = shown.clone().take(NOTE_CHARS_MAX).collect();
    if shown.count() > NOTE_CHARS_MAX {
        all.push('…');
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn one(name: &str, about: &str) -> Attention {
        Attention {
            name: name.into(),
            about: about.into(),
            since: Timestamp::from_unix_ms(0),
            hint: format!("`mingle explain {about}` says more"),
        }
    }

    #[test]
    fn a_matter_is_shown_once_while_it_stands_and_once_a_day_at_most() {
        let (login, late) = (one("needs_login", "a"), one("overdue", "b"));
        let mut shown = Shown::default();
        // At each hour, what stands, and what of it is shown.
        let steps: [(i64, Vec<&Attention>, Vec<&Attention>); 11] = [
            (1, vec![], vec![]),
            (2, vec![&login], vec![&login]),
            (3, vec![&login, &late], vec![&late]),
            (4, vec![], vec![]),
            // It came again, and was shown today.
            (5, vec![&login], vec![]),
            // It still stands when its day is over, and then for days.
            (25, vec![&login], vec![]),
            (26, vec![&login], vec![&login]),
            (60, vec![&login], vec![]),
            (61, vec![], vec![]),
            (62, vec![&login, &late], vec![&login, &late]),
            // The clock was set back, and a day by it goes by.
            (1, vec![], vec![]),
        ];
        for (hour, standing, expected) in steps {
            let now = Timestamp::from_unix_ms(hour * HOUR);
            let standing: Vec<Attention> = standing.into_iter().cloned().collect();
            let due = shown.due(&standing, now);
            assert_eq!(due.iter().collect::<Vec<_>>(), expected, "hour {hour}");
            shown.showed(&due, now);
        }
        let now = Timestamp::from_unix_ms(26 * HOUR);
        assert_eq!((shown.due(&[], now).len(), shown.due(&[login], now).len()), (0, 1), "a day after that it is over");
    }

    #[test]
    fn what_was_shown_is_known_after_a_restart_and_what_was_not_is_due_again() {
        let (login, late) = (one("needs_login", "a"), one("overdue", "b"));
        let mut shown = Shown::default();
        let now = Timestamp::from_unix_ms(HOUR);
        assert_eq!(shown.due(&[login.clone(), late.clone()], now).len(), 2);
        shown.showed(std::slice::from_ref(&login), now);
        let rows: Vec<(Matter, Timestamp)> = shown.rows().map(|(matter, at)| (matter.clone(), at)).collect();
        assert_eq!(Shown::new(rows).due(&[login, late.clone()], now), [late]);
    }

    #[test]
    fn there_is_an_end_to_what_is_shown() {
        let many: Vec<Attention> = (0..SHOWN_MATTERS_MAX + 5).map(|n| one("overdue", &n.to_string())).collect();
        let mut shown = Shown::default();
        let now = Timestamp::from_unix_ms(HOUR);
        let due = shown.due(&many, now);
        assert_eq!(due.len(), SHOWN_MATTERS_MAX);
        shown.showed(&due, now);
        assert!(shown.due(&many, now).is_empty());
    }

    #[test]
    fn several_matters_are_one_note_and_each_says_what_helps() {
        assert_eq!(note(&[]), None);
        let alone = note(&[one("needs_login", "a")]).expect("one");
        assert_eq!((&*alone.title, &*alone.body), ("mingle: a needs a login", "`mingle explain a` says more"));
        let two = note(&[one("needs_login", "a"), one("log_pinned", "store")]).expect("one");
        assert_eq!(two.title, "mingle: 2 things want you");
        assert_eq!(two.body, "a needs a login\nstore: log pinned\n`mingle status` says what to do");
        let many: Vec<Attention> = (0..NOTE_LINES_MAX + 3).map(|n| one("overdue", &n.to_string())).collect();
        assert!(note(&many).expect("one").body.contains("\nand 3 more\n"));
        let long = Attention { hint: "x\u{7}".repeat(NOTE_CHARS_MAX), ..one("overdue", "a") };
        let long = note(&[long]).expect("one").body;
        assert!(long.chars().count() == NOTE_CHARS_MAX + 1 && !long.contains('\u{7}'), "{long}");
    }
}
