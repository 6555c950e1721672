//! Owns: a folder that is large, beside what its process has of memory. Must never know: how it reads.

use mingle_tests::{daemon::Home, vdir::Vdir};
use rustix::process::Signal;

const FILES: usize = 40;
const FILE_BYTES: usize = 300 << 10;

/// Bytes of memory that a service over the folder has had at most, once so many files are taken.
fn most(home: &Home, vdir: &mut Vdir, files: usize) -> usize {
    vdir.start(home);
    vdir.until_said(&format!("{files} new file"));
    let most = vdir.resident_bytes_most();
    assert_eq!(vdir.end(Signal::TERM), Some(0));
    usize::try_from(most).expect("a size")
}

#[test]
fn a_large_folder_is_joined_in_little_memory() {
    let daemon = Home::new(Some("[collection.small]\nnested = true\n[collection.large]\nnested = true\n")).start();
    let card = |n: usize, bytes: usize| {
        let photo = "QUJD".repeat(bytes / 4);
        format!("BEGIN:VCARD\r\nVERSION:3.0\r\nUID:u{n}\r\nFN:Card {n}\r\nPHOTO;ENCODING=b;TYPE=JPEG:{photo}\r\nEND:VCARD\r\n")
    };
    let (mut small, mut large) = (Vdir::new(&daemon, "small", "small"), Vdir::new(&daemon, "large", "large"));
    small.write("c0.vcf", &card(0, FILE_BYTES));
    (0..FILES).for_each(|n| large.write(&format!("c{n}.vcf"), &card(n, FILE_BYTES)));
    let (one, all) = (most(&daemon, &mut small, 1), most(&daemon, &mut large, FILES));
    eprintln!("memory: {} KiB with one file, {} KiB with {FILES}", one >> 10, all >> 10);
    assert!(
        all < one + FILES * FILE_BYTES / 2,
        "{FILES} files of {FILE_BYTES} bytes: {all} bytes of memory, {one} with one of them"
    );
}
