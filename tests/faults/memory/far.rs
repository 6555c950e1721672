//! Owns: what a hostile remote does to the daemon's memory. Must never know: what it costs.

use std::{
    io::Write as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use mingle_tests::wire::{self, Line, Served};

use super::{Attack, Ground};

type Play = Arc<dyn Fn(&mut Line, u64) -> bool + Send + Sync>;

/// A server that answers all there is in the same hostile way.
pub struct Hostile {
    play: Arc<Mutex<Option<Play>>>,
    served: Served,
}

impl Hostile {
    pub fn start() -> Self {
        let play: Arc<Mutex<Option<Play>>> = Arc::default();
        let (asked, now) = (AtomicU64::new(0), Arc::clone(&play));
        let served = wire::serve(Arc::new(move |_, line| {
            let playing = now.lock().unwrap_or_else(PoisonError::into_inner).clone();
            match playing {
                Some(play) => play(line, asked.fetch_add(1, SeqCst)),
                None => line.send(&wire::response(200, &[("content-type", "application/json")], r#"{"rows":[]}"#)),
            }
        }));
        Self { play, served }
    }

    pub fn url(&self) -> String {
        self.served.url.clone()
    }

    /// From now on it does no harm.
    pub fn peace(&self) {
        *self.play.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn attack(&self, play: Play) {
        *self.play.lock().unwrap_or_else(PoisonError::into_inner) = Some(play);
    }
}

const HEAD: &[u8] = b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\n";
const CHUNKED: &[u8] = b"transfer-encoding: chunked\r\n\r\n";

pub fn attacks() -> Vec<Attack> {
    vec![
        attack("a body of ten GiB", |line, _| {
            let piece = vec![b' '; 1 << 16];
            line.send(HEAD) && line.send(b"content-length: 10737418240\r\n\r\n") && (0..10 << 14).all(|_| line.send(&piece))
        }),
        attack("a text of one record that never ends", |line, _| {
            let piece = chunk(&[b'x'; 1 << 16]);
            line.send(HEAD)
                && line.send(CHUNKED)
                && line.send(&chunk(b"{\"rows\":[{\"id\":\"a\",\"rev\":1,\"v\":\""))
                && (0..1 << 14).all(|_| line.send(&piece))
        }),
        attack("a thousand times larger than it was sent", |line, _| {
            static BOMB: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
            let bomb = BOMB.get_or_init(|| {
                let mut zip = GzEncoder::new(Vec::new(), Compression::fast());
                (0..256).for_each(|_| zip.write_all(&[b' '; 1 << 20]).expect("into memory"));
                zip.finish().expect("into memory")
            });
            line.send(HEAD)
                && line.send(format!("content-encoding: gzip\r\ncontent-length: {}\r\n\r\n", bomb.len()).as_bytes())
                && line.send(bomb)
        }),
        attack("a million bytes of headers, and more", |line, _| {
            let header = format!("x-{}: {}\r\n", "n".repeat(100), "v".repeat(4000));
            line.send(HEAD) && (0..250_000).all(|_| line.send(header.as_bytes()))
        }),
        attack("chunks without end, a byte each", |line, _| {
            let many = b"1\r\n \r\n".repeat(4_000);
            line.send(HEAD) && line.send(CHUNKED) && (0..1 << 20).all(|_| line.send(&many))
        }),
        attack("a chunk's size without end", |line, _| {
            let many = [b'0'; 1 << 16];
            line.send(HEAD) && line.send(CHUNKED) && (0..1 << 14).all(|_| line.send(&many))
        }),
        attack("pages without end", |line, asked| {
            let rows: Vec<String> = (0..50).map(|n| format!("{{\"id\":\"p{asked}-{n}\",\"rev\":1}}")).collect();
            let next = format!("/r/{asked}");
            let headers = [("content-type", "application/json"), ("next-page", next.as_str())];
            line.send(&wire::response(200, &headers, &format!("{{\"rows\":[{}]}}", rows.join(","))))
        }),
        attack("a byte now and then", |line, _| {
            line.send(HEAD) && line.send(b"content-length: 999999\r\n\r\n") && {
                while line.send(b" ") && !line.ended() {
                    line.wait(Duration::from_millis(20));
                }
                false
            }
        }),
        attack("a page of many small values", |line, _| whole(line, "{\"id\":\"a\",\"rev\":1,\"v\":[", "{\"\":0},", "0]}")),
        attack("a page of many numbers", |line, _| whole(line, "{\"id\":\"a\",\"rev\":1,\"v\":[", "0,", "0]}")),
        attack("a page of a million rows", |line, asked| {
            let rows: String = (0..1_000_000).map(|n| format!("{{\"id\":\"m{asked}{n}\",\"rev\":1}},")).collect();
            line.send(&wire::response(
                200,
                &[("content-type", "application/json"), ("next-page", &format!("/r/{asked}"))],
                &format!("{{\"rows\":[{rows}{{\"id\":\"z\",\"rev\":1}}]}}"),
            ))
        }),
        attack("pages as large as they may be", |line, asked| {
            // Each just below what is taken: as many rows of as much text.
            let text = "t".repeat(900_000);
            let rows: Vec<String> = (0..6).map(|n| format!("{{\"id\":\"l{n}\",\"rev\":{asked},\"v\":\"{text}\"}}")).collect();
            line.send(&wire::response(
                200,
                &[("content-type", "application/json"), ("next-page", &format!("/r/{asked}"))],
                &format!("{{\"rows\":[{}]}}", rows.join(",")),
            ))
        }),
    ]
}

fn attack(name: &'static str, play: fn(&mut Line, u64) -> bool) -> Attack {
    Attack {
        name,
        run: Box::new(move |ground: &Ground| {
            ground.remote.attack(Arc::new(play));
        }),
    }
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// A whole and good answer of some 60 MB, most of it the same small thing.
fn whole(line: &mut Line, begin: &str, again: &str, end: &str) -> bool {
    let piece = chunk(again.repeat((1 << 20) / again.len()).as_bytes());
    line.send(HEAD)
        && line.send(CHUNKED)
        && line.send(&chunk(format!("{{\"rows\":[{begin}").as_bytes()))
        && (0..60).all(|_| line.send(&piece))
        && line.send(&chunk(format!("{end}]}}").as_bytes()))
        && line.send(b"0\r\n\r\n")
}
