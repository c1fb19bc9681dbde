//! TUF metadata: a repository of pieces of the input is taken or refused, and unsigned it is never taken.
#![no_main]

use base::Timestamp;
use bundle::tuf::client::{Files, check};
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 5] = ["1.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json", "2.root.json"];

fuzz_target!(|data: &[u8]| {
    let pieces = data.split(|byte| *byte == 0).map(|piece| String::from_utf8_lossy(piece).into_owned());
    let files: Files = NAMES.iter().map(|name| (*name).to_owned()).zip(pieces).collect();
    // No input makes up an Ed25519 signature.
    assert!(check(&files, None, Timestamp::from_secs(0)).is_err());
});
