//! Following of the pointers: what is published reaches agents within a fraction of a second, and each fault is told
//! once.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::error;

use super::Server;
use super::index::Index;
use super::plan::ServePlan;
use super::published::{Published, TUF};
use super::set::CurrentSet;
use super::tls::Tls;
use base::error::IoContext as _;
use base::raw::mapped;
use base::{Fault, clock};

/// Interval at which the pointers are looked at.
const LOOK: Duration = Duration::from_millis(200);
/// Interval after something could not be loaded.
const AGAIN: Duration = Duration::from_secs(5);

/// Follows the pointers on a thread of its own: a publish reaches agents within a fraction of a
/// second. What cannot be loaded is tried again, and nothing else waits for it.
pub(crate) fn follow(service: Arc<Server>, plan: ServePlan, tls: Option<Arc<Tls>>) -> Result<(), Fault> {
    let run = move || {
        let (mut pause, mut breaks, mut told) = (LOOK, mapped::breaks(), Vec::new());
        loop {
            std::thread::sleep(pause);
            let now = clock::now();
            let index = service.index.load();
            index.feeds.iter().for_each(|feed| feed.look(now));
            if tls.as_ref().is_some_and(|tls| tls.follow().is_err()) {
                service.counts.load_faults.fetch_add(1, Ordering::Relaxed);
            }
            // Where a file could not be read it is mapped anew: the disk may give it now, or somebody has repaired it.
            let broken = mapped::breaks();
            let is_outdated = service.is_outdated.swap(false, Ordering::Relaxed);
            let (is_current, is_whole) = look(&service.published, &plan, &index);
            if is_current && is_whole && broken == breaks && !is_outdated {
                pause = LOOK;
                continue;
            }
            breaks = broken;
            // What could be loaded is shown at once: what left a set does not wait for what is damaged.
            let faults = match Index::load(&service.published, &plan, now, Some(&index)) {
                Ok((index, faults)) => {
                    service.index.store(Arc::new(index));
                    faults
                }
                Err(fault) => vec![(fault, "all is served that was".to_owned())],
            };
            pause = if faults.is_empty() { LOOK } else { AGAIN };
            service.counts.load_faults.fetch_add(u64::from(pause == AGAIN), Ordering::Relaxed);
            told = tell(&faults, &told);
        }
    };
    let started = std::thread::Builder::new().name("follow".into()).spawn(run);
    started.map(drop).during("start", Path::new("a thread"))
}

/// Tells each fault that was not told at the last load; gives those of this one.
pub(crate) fn tell(faults: &[(Fault, String)], told: &[String]) -> Vec<String> {
    let mut texts = Vec::new();
    for (fault, effect) in faults {
        let text = format!("{fault}; {effect}");
        if !told.contains(&text) {
            error!(fault = %fault, "{text}");
        }
        texts.push(text);
    }
    texts
}

/// True if the pointers still name what is served, as far as they can be read; and true if all can.
fn look(published: &Published, plan: &ServePlan, index: &Index) -> (bool, bool) {
    let (mut is_current, mut is_whole) = (true, true);
    let mut compare = |found: Result<Option<CurrentSet>, Fault>, shown: Option<CurrentSet>| match found {
        Ok(found) => is_current &= found == shown,
        Err(_) => is_whole = false,
    };
    for channel in &plan.channels {
        compare(published.current(&channel.name), index.shown(&channel.name));
    }
    if plan.has_tuf {
        compare(published.current(TUF), index.tree);
    }
    (is_current, is_whole)
}
