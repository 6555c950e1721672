//! Owns: the tests of whose turn it is: nothing is stranded, nobody else waits for a disk, and what a small write may not do.
//! Must never know: what is written.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    sync::mpsc,
    time::Duration,
};

use mingle_core::ask::Refusal;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    runtime::{Builder, Runtime},
};

use crate::store::{Class, Origin, Store, StoreError, apply, prepare, record, testing::*};

const LONG: Duration = Duration::from_secs(30);

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn put_small(store: &Store, id: &str) -> impl Future<Output = Result<u64, StoreError>> + Send + use<> {
    let prepared = prepare(writer(None), vec![put(id, "{}")]).unwrap();
    let written = store.write_small(NOW, move |tx| apply(tx, &prepared));
    async move { Ok(written.await?.writes[0].seq) }
}

#[test]
fn no_write_is_stranded() {
    let directory = tempfile::tempdir().unwrap();
    let store = file(&directory);
    let runtime = runtime();
    let mut apps = Vec::new();
    for app in 0..16 {
        let store = store.clone();
        apps.push(runtime.spawn(async move {
            for at in 0..50 {
                if (app + at) % 7 == 0 {
                    // Given up before anybody looked at it: it is done all the same.
                    drop(put_small(&store, &format!("dropped-{app}-{at}")));
                }
                if app % 5 == 0 {
                    store.write(Class::Background, NOW, |_| Ok(())).await.unwrap();
                }
                put_small(&store, &format!("{app}-{at}")).await.unwrap();
            }
        }));
    }
    runtime.block_on(async {
        for app in apps {
            tokio::time::timeout(LONG, app).await.unwrap().unwrap();
        }
    });
    store.write_blocking(Class::Background, NOW, |_| Ok(())).unwrap();
    let dropped = (0..16).flat_map(|app| (0..50).map(move |at| app + at)).filter(|sum| sum % 7 == 0).count();
    assert_eq!(number(&store, "SELECT count(*) FROM m_record"), i64::try_from(16 * 50 + dropped).unwrap());
}

#[test]
fn sockets_are_served_while_a_task_waits_for_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let store = file(&directory);
    let runtime = runtime();
    let (mut near, far) = UnixStream::pair().unwrap();
    near.set_read_timeout(Some(LONG)).unwrap();
    far.set_nonblocking(true).unwrap();
    runtime.spawn(async move {
        let mut far = tokio::net::UnixStream::from_std(far).unwrap();
        let mut byte = [0];
        while far.read_exact(&mut byte).await.is_ok() {
            far.write_all(&byte).await.unwrap();
        }
    });
    let (mut served, mut tried) = (0, 0);
    while served < 20 {
        tried += 1;
        assert!(tried <= 200, "a task does its write itself: {served} of {tried}");
        let (go, goes) = mpsc::channel::<()>();
        let (begins, begun) = mpsc::channel();
        let store = store.clone();
        let slow = runtime.spawn(async move {
            let held = store.write_small(NOW, move |_| {
                begins.send(super::is_writing() && std::thread::current().name() != Some("writer")).unwrap();
                goes.recv_timeout(LONG).map_err(|_| StoreError::Closed)
            });
            held.await
        });
        // The writer's thread answers before it lets go of the hand: on a busy machine it may have it still, and then does this too.
        if begun.recv_timeout(LONG).unwrap() {
            served += 1;
            near.write_all(&[served]).unwrap();
            let mut byte = [0];
            near.read_exact(&mut byte).unwrap();
            assert_eq!(byte, [served]);
        }
        go.send(()).unwrap();
        runtime.block_on(slow).unwrap().unwrap();
    }
}

/// A group of three: a small write, this one, and another small write.
fn group(
    between: impl FnOnce(&Store) -> tokio::task::JoinHandle<Result<(), StoreError>>,
) -> (tempfile::TempDir, Store, [bool; 3]) {
    let directory = tempfile::tempdir().unwrap();
    let store = file(&directory);
    let (go, goes) = mpsc::channel::<()>();
    let (begins, begun) = mpsc::channel();
    let runtime = runtime();
    let _in = runtime.enter();
    let held = store.write(Class::Background, NOW, move |_| {
        begins.send(()).unwrap();
        goes.recv_timeout(LONG).map_err(|_| StoreError::Closed)
    });
    begun.recv_timeout(LONG).unwrap();
    let first = put_small(&store, "first");
    let middle = between(&store);
    let last = put_small(&store, "last");
    go.send(()).unwrap();
    let done = runtime.block_on(async {
        held.await.unwrap();
        let middle = middle.await.unwrap();
        [first.await.is_ok(), middle.is_ok(), last.await.is_ok()]
    });
    (directory, store, done)
}

#[test]
fn a_small_write_that_refuses_before_its_first_change_is_alone_in_that() {
    let (_directory, store, done) = group(|store| {
        let refused = store.write_small(NOW, |tx| {
            let _ = tx.next_seq();
            Err::<(), _>(Refusal::Denied("no".into()).into())
        });
        tokio::spawn(refused)
    });
    assert_eq!(done, [true, false, true]);
    assert_eq!(*store.head().borrow(), 2, "its seq was never given");
}

#[test]
fn a_small_write_that_fails_half_done_takes_its_group_with_it() {
    let (_directory, store, done) = group(|store| {
        let half = store.write_small(NOW, |tx| {
            let number = tx.collection("a")?;
            record::make(tx, number, "half", "{}", &Origin::App("x".into()))?;
            Err::<(), _>(Refusal::Denied("no".into()).into())
        });
        tokio::spawn(half)
    });
    assert_eq!(done, [false; 3]);
    assert_eq!((data(&store, "first"), data(&store, "half"), data(&store, "last")), ("-".into(), "-".into(), "-".into()));
    assert_eq!(seq(&store, put("x", "{}")), 1);
}
