//! Time budget of a bundle: processor time for all that is done to look into its files, whatever thread does it. In
//! scope: an examiner that does its work and gets content that is made to cost time. Out of scope: an examiner that was
//! taken over, which the keeper stops by its own clock.

use std::io::{self, BufRead, ErrorKind, Read};
use std::time::{Duration, Instant};

use base::clock::process_time;
use base::{Limits, Reason, Refusal};

/// Bytes that are read between two looks at the clock.
const INTERVAL: usize = 1 << 20;

/// Threads that an examiner has at work at once, at most: its own, and those that look at an artifact, at an archive
/// that the artifact is, and at one inside that. With more the limit would come later, not never.
const THREADS: u32 = 4;

/// Processor time that a bundle is given: what the config says, and a second for each MiB that the bundle brings. By
/// what it unpacks to, a small bundle would be given much.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeBudget {
    /// Moment, and the processor time used until then.
    since: (Instant, Duration),
    most: Duration,
}

impl TimeBudget {
    /// Budget of a bundle that this process begins with now.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { since: (Instant::now(), process_time()), most: limits.inspection.0 }
    }

    /// Adds what so many bytes of the bundle are given.
    pub(crate) fn add(&mut self, bytes: u64) {
        let given = Duration::from_millis(bytes.saturating_mul(1000) >> 20);
        self.most = self.most.saturating_add(given);
    }

    /// True if all of it was used.
    pub(crate) fn is_used_up(&self) -> bool {
        let (began, used) = self.since;
        // Asked for each small file: the clock of a processor costs a call of the kernel, that of the wall none.
        began.elapsed() * THREADS >= self.most && process_time().saturating_sub(used) >= self.most
    }

    /// Refusal `bundle-time-limit`: all of it was used.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        if !self.is_used_up() {
            return Ok(());
        }
        let detail = format!(
            "looking into the bundle's files took more than the {} seconds of processor time that it is given",
            self.most.as_secs_f32().ceil()
        );
        Err(Refusal::new(Reason::BundleTimeLimit, detail))
    }
}

/// Reader that fails, `TimedOut`, when a budget is used up; without one it never does.
pub(crate) struct BudgetReader<R> {
    from: R,
    budget: Option<TimeBudget>,
    /// Bytes until the next look at the clock.
    left: usize,
}

impl<R> BudgetReader<R> {
    /// Reader of `from`.
    pub(crate) fn new(from: R, budget: Option<TimeBudget>) -> Self {
        Self { from, budget, left: INTERVAL }
    }

    /// Source, without the budget.
    pub(crate) fn into_inner(self) -> R {
        self.from
    }

    fn look(&mut self) -> io::Result<()> {
        if self.left == 0 {
            self.left = INTERVAL;
            if self.budget.is_some_and(|budget| budget.is_used_up()) {
                return Err(ErrorKind::TimedOut.into());
            }
        }
        Ok(())
    }
}

impl<R: Read> Read for BudgetReader<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.look()?;
        let got = self.from.read(to)?;
        self.left = self.left.saturating_sub(got);
        Ok(got)
    }
}

impl<R: BufRead> BufRead for BudgetReader<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.look()?;
        self.from.fill_buf()
    }

    fn consume(&mut self, size: usize) {
        self.left = self.left.saturating_sub(size);
        self.from.consume(size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::span::Span;

    #[test]
    fn a_reader_stops_when_the_budget_is_used_up() {
        let none = Limits { inspection: Span(Duration::ZERO), ..Limits::default() };
        let bytes = vec![0; 3 * INTERVAL];
        let read = |budget| BudgetReader::new(bytes.as_slice(), budget).read_to_end(&mut Vec::new());
        assert_eq!(read(Some(TimeBudget::new(&none))).unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(read(None).unwrap(), bytes.len());
        let mut budget = TimeBudget::new(&none);
        assert_eq!(budget.check().unwrap_err().reason, Reason::BundleTimeLimit);
        budget.add(1 << 30);
        assert!(budget.most == Duration::from_secs(1024) && budget.check().is_ok());
        assert_eq!(read(Some(budget)).unwrap(), bytes.len());
    }
}
