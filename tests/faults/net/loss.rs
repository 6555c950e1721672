//! Owns: packets that are lost on their way, by the kernel's own filter. Must never know: how the daemon notices.
//!
//! The whole test runs once more as a process of its own in a network name space, in which the filter throws packets away by chance.

use std::process::Command;

use mingle_tests::{rest_server::Options, tally, wait::Watch};
use serde_json::json;

use super::bench;

/// In the environment of the process that is inside.
const INSIDE: &str = "MINGLE_LOSS_INSIDE";
/// How many of a hundred packets of TCP are lost.
const LOST: [u32; 2] = [5, 25];
/// Tries of a sync until everything is settled.
const TRIES: usize = 12;

#[test]
fn packets_that_are_lost_cost_time_and_nothing_else() {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    let filter = "ip link set lo up && nft add table inet loss && nft add chain inet loss here '{ type filter hook input priority 0; }' \
                  && nft add rule inet loss here meta l4proto tcp numgen random mod 100 '<' $LOST drop && exec \"$@\"";
    for lost in LOST {
        let can = Command::new("unshare").args(["-n", "sh", "-c", filter, "sh", "true"]).env("LOST", lost.to_string()).status();
        if !can.is_ok_and(|status| status.success()) {
            return tally::skip("lost packets", "a packet filter needs root, unshare and nft (`apt-get install nftables`)");
        }
        let own = std::env::current_exe().expect("this test's program");
        let mut again = Command::new("unshare");
        again.args(["-n", "sh", "-c", filter, "sh"]).arg(own);
        again.args(["--exact", "net::loss::packets_that_are_lost_cost_time_and_nothing_else", "--nocapture"]);
        let output = again.env("LOST", lost.to_string()).env(INSIDE, "1").output().expect("the same test, inside");
        let said = String::from_utf8_lossy(&output.stderr);
        eprintln!("{lost} % of packets lost: {}", said.lines().find(|line| line.starts_with("settled")).unwrap_or(&said));
        assert!(output.status.success(), "{lost} %: {said}");
    }
}

/// Edits on both sides come through, none twice, with a bounded number of tries.
fn inside() {
    let mut bench = bench(Options::default(), "");
    let watch = Watch::start();
    bench.fill(20);
    for n in 0..20 {
        bench.app.put("things", &format!("t{n:02}"), &json!({ "n": n }));
    }
    let settled = (1..=TRIES).find(|_| bench.run() == "done" && bench.app.status("things")["pending"] == 0);
    bench.assert_same();
    assert_eq!(bench.server.rows("things").len(), 40, "none is there twice");
    eprintln!("settled after {settled:?} runs, {:?}", watch.elapsed());
    assert!(settled.is_some(), "{}", bench.app.status("things"));
}
