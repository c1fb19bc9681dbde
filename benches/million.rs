//! Makes a log of a million entries in the folder given: `cargo bench --bench million -- DIR`.
//! `scripts/bench` times `gaprelay log verify` on it.
#![allow(clippy::unwrap_used, reason = "a bench that fails names its line")]

use std::path::PathBuf;

use base::Timestamp;
use gaprelay::log::{Event, Log};

fn main() {
    let folder: PathBuf = std::env::args().nth(1).unwrap().into();
    Log::create(&folder, "bench/import/1").unwrap();
    let mut log = Log::open(&folder).unwrap();
    for start in (0..1_000_000).step_by(10_000) {
        let events = (start..start + 10_000).map(|i| Event::MediumRead { bundles: i, unrelated: 7, unchanged: true });
        log.append(Timestamp::from_secs(start), events.collect()).unwrap();
    }
    let began = std::time::Instant::now();
    drop(Log::open(&folder).unwrap());
    println!("opening a log of a million entries: {:?}", began.elapsed());
}
