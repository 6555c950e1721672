//! Owns: what commands say of the daemon itself: that it is not there, that it is of before an upgrade. Must never know: the rest of
//! what they say.

use serde_json::json;

use crate::{
    check,
    fake::{self, Fake, Say},
    mingle, script, text,
};

/// After an upgrade the daemon of before goes on: said once in each command, on standard error, and nothing else changes.
#[test]
fn a_daemon_of_an_older_version_is_named_with_its_remedy() {
    for (build, named) in [("0.0.1", true), (env!("CARGO_PKG_VERSION"), false), ("9.0.0", false)] {
        let fake = Fake::start(move |heard| {
            if heard.method != "hello" {
                return script(heard);
            }
            let mut hello = fake::hello();
            hello["build"] = json!(build);
            vec![Say::Answer(hello)]
        });
        let output = mingle(&fake.socket(), &["status"]).output().expect("mingle runs");
        let (said, told) = (text(&output.stderr), text(&output.stdout));
        assert_eq!(said.matches("mingle service restart").count(), usize::from(named), "{build}: {said}");
        assert_eq!(said.contains(&format!("mingled {build} still runs")), named, "{build}: {said}");
        assert!(!told.contains("restart") && told.contains("good"), "{told}");
    }
}

#[test]
fn a_daemon_that_stays_away_ends_with_3() {
    let fake = Fake::start(|heard| if heard.method == "hello" { vec![] } else { vec![Say::Close] });
    check(&fake, "get a b", 3, &["!the work goes on when mingled is back"]);
    check(&fake, "put a b {} --op o-9", 3, &["!--op o-9"]);
}
