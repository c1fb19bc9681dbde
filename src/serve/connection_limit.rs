//! Limit on connections: in all, and by address. Where all are taken, an address that comes gets the place of one of those
//! that have more: whose connection has asked for nothing yet, else whose was used longest ago. So a few agents keep no
//! other out, and nobody takes a place of one that has fewer, or the only one that is in use.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

/// Milliseconds since its last use after which a connection is idle.
const IDLE: u64 = 5000;

/// Connections that may be open at one time.
pub struct ConnectionLimit {
    most: u64,
    most_each: u64,
    open: Mutex<OpenConnections>,
}

#[derive(Default)]
struct OpenConnections {
    next: u64,
    places: HashMap<u64, Arc<ConnectionPlace>>,
    /// Number of places by address.
    held: HashMap<IpAddr, u64>,
}

/// Place of one connection.
pub struct ConnectionPlace {
    agent: IpAddr,
    begun: Instant,
    /// Milliseconds from `begun` to the last use.
    used: AtomicU64,
    has_asked: AtomicBool,
    is_lost: AtomicBool,
    lost: Notify,
}

/// Permit for one connection, given back when dropped.
pub struct Permit {
    limit: Arc<ConnectionLimit>,
    id: u64,
    /// Place of the connection.
    pub place: Arc<ConnectionPlace>,
    /// True if another connection lost its place to this one.
    pub has_ended_other: bool,
}

impl ConnectionLimit {
    /// For so many, and so many from one address.
    pub fn new(most: u64, most_each: u64) -> Arc<Self> {
        Arc::new(Self { most, most_each, open: Mutex::default() })
    }

    fn connections(&self) -> MutexGuard<'_, OpenConnections> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for `address`, if there is one.
    pub fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Permit> {
        let agent = address.to_canonical();
        let mut open = self.connections();
        let held = open.held.get(&agent).copied().unwrap_or(0);
        if held >= self.most_each {
            return None;
        }
        let is_full = open.places.len() as u64 >= self.most;
        if is_full && !open.end_one(held) {
            return None;
        }
        open.next += 1;
        let id = open.next;
        let place = Arc::new(ConnectionPlace::of(agent));
        open.places.insert(id, Arc::clone(&place));
        *open.held.entry(agent).or_default() += 1;
        Some(Permit { limit: Arc::clone(self), id, place, has_ended_other: is_full })
    }

    /// Number of open connections.
    pub fn open(&self) -> u64 {
        self.connections().places.len() as u64
    }
}

impl OpenConnections {
    /// Ends a connection for an address that has so many. False: there is none that may be ended for it.
    fn end_one(&mut self, held: u64) -> bool {
        let of = |place: &ConnectionPlace| self.held.get(&place.agent).copied().unwrap_or(0);
        let may_end = |place: &ConnectionPlace| of(place) > held + 1 || (of(place) > held && place.is_idle());
        let candidates = self.places.iter().filter(|(_, place)| may_end(place));
        let first = candidates.min_by_key(|(_, place)| (Reverse(of(place)), place.has_asked(), Reverse(place.rest())));
        let Some(id) = first.map(|(id, _)| *id) else { return false };
        if let Some(place) = self.remove(id) {
            place.is_lost.store(true, Ordering::Relaxed);
            place.lost.notify_one();
        }
        true
    }

    fn remove(&mut self, id: u64) -> Option<Arc<ConnectionPlace>> {
        let place = self.places.remove(&id)?;
        let held = self.held.get(&place.agent).copied().unwrap_or(1) - 1;
        if held == 0 {
            self.held.remove(&place.agent);
        } else {
            self.held.insert(place.agent, held);
        }
        Some(place)
    }
}

impl ConnectionPlace {
    fn of(agent: IpAddr) -> Self {
        Self {
            agent,
            begun: Instant::now(),
            used: AtomicU64::new(0),
            has_asked: AtomicBool::new(false),
            is_lost: AtomicBool::new(false),
            lost: Notify::new(),
        }
    }

    fn age(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Milliseconds since the last use.
    fn rest(&self) -> u64 {
        self.age().saturating_sub(self.used.load(Ordering::Relaxed))
    }

    fn has_asked(&self) -> bool {
        self.has_asked.load(Ordering::Relaxed)
    }

    /// True if the connection asks for nothing, or does not take what it asked for.
    fn is_idle(&self) -> bool {
        !self.has_asked() || self.rest() >= IDLE
    }

    /// Notes that the connection asks for something.
    pub fn note_request(&self) {
        self.has_asked.store(true, Ordering::Relaxed);
        self.note_use();
    }

    /// Notes that the connection is used now.
    pub fn note_use(&self) {
        self.used.store(self.age(), Ordering::Relaxed);
    }

    /// True if another connection has the place.
    pub fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed)
    }

    /// Waits until another connection gets the place.
    pub async fn lost(&self) {
        if !self.is_lost() {
            self.lost.notified().await;
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.limit.connections().remove(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn places_are_given_back() {
        let limit = ConnectionLimit::new(3, 2);
        let (one, two) = (address("10.0.0.1"), address("10.0.0.2"));
        let permits = [limit.admit(one), limit.admit(address("::ffff:10.0.0.1"))];
        assert!(permits.iter().all(Option::is_some) && limit.admit(one).is_none(), "two from one address");
        let third = limit.admit(two).unwrap();
        third.place.note_request();
        assert_eq!(limit.open(), 3);
        drop(permits);
        assert!(limit.open() == 1 && limit.admit(one).is_some());
        drop(third);
        assert_eq!((limit.open(), limit.connections().held.len()), (0, 0));
    }

    /// A few agents with all their connections keep no other out, and nobody takes a place of one that has fewer.
    #[test]
    fn some_agents_keep_no_other_out() {
        let limit = ConnectionLimit::new(8, 4);
        let flood = |from: &str| -> Vec<Permit> { (0..4).map(|_| limit.admit(address(from)).unwrap()).collect() };
        let crowds = [flood("10.0.0.1"), flood("10.0.0.2")];
        // They ask, too, and take what they get.
        for permit in crowds.iter().flatten().skip(1) {
            permit.place.note_request();
        }
        let honest = limit.admit(address("10.0.0.3")).unwrap();
        assert!(honest.has_ended_other && crowds[0][0].place.is_lost(), "who asked for nothing goes first");
        honest.place.note_request();
        let more: Vec<Permit> = (4..9).filter_map(|host| limit.admit(address(&format!("10.0.0.{host}")))).collect();
        for permit in &more {
            permit.place.note_request();
        }
        assert!(!honest.place.is_lost() && more.iter().all(|permit| !permit.place.is_lost()));
        assert_eq!((more.len(), limit.open()), (5, 8));
        // Each of eight has one that is in use: a ninth has to wait.
        assert!(limit.admit(address("10.0.0.1")).is_none(), "it has as many as the others");
        assert!(limit.admit(address("10.0.0.99")).is_none());
        drop((crowds, honest, more));
        assert_eq!((limit.open(), limit.connections().held.len()), (0, 0));
    }
}
