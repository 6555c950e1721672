//! Owns: an app that keeps its own copy, in a process of its own, which kills itself at a point. Must never know: what comes after.
//!
//! `keeper-app SOCKET NAME COLLECTION FILE POINT`. It ends with 0 where it did not come to that point.

use std::{path::Path, time::Duration};

use mingle_client::Options;
use mingle_tests::disk_copy::DiskCopy;
use rustix::process::{Signal, getpid, kill_process};

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [socket, name, collection, file, point] = &words[..] else {
        anyhow::bail!("keeper-app SOCKET NAME COLLECTION FILE POINT")
    };
    let point: u64 = point.parse()?;
    let mut copy = DiskCopy::open(Path::new(file), collection);
    copy.point = Box::new(move |at| {
        if at == point {
            kill_process(getpid(), Signal::KILL).expect("a signal to ourselves");
        }
    });
    let options = Options { socket: Some(socket.into()), reconnect_within: Some(Duration::from_secs(60)), ..Options::app(name) };
    copy.run(options).map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(())
}
