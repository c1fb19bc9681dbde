//! Seats of a server: connections that it holds at a time, by holder. Whoever comes gets a seat while one can be given
//! up: where the holder has as many as one may have, its connection that was idle longest ends; where all seats are
//! taken, one of the holder with the most, which may be in use if that holder has more than the newcomer would have. So
//! idle connections keep nobody out, and no holder takes a seat of another that has fewer.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Holder of seats: one agent, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SeatHolder {
    /// Agent by the name in its certificate, which was verified.
    Certificate(String),
    /// Network of an agent without one.
    Network(IpAddr),
}

impl SeatHolder {
    /// Holder of what comes from an address.
    pub fn at(address: IpAddr) -> Self {
        Self::Network(network(address))
    }

    /// Holder of what comes from an address, on a connection with this verified certificate.
    pub fn of(certificate: Option<&str>, address: IpAddr) -> Self {
        certificate.map_or_else(|| Self::at(address), |name| Self::Certificate(name.to_owned()))
    }
}

/// Network of an agent: its address, or of IPv6 the network (/64), within which addresses are the agent's to choose.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        address @ IpAddr::V4(_) => address,
    }
}

/// Seats of one listener, or of several.
pub struct Seats<K> {
    most: usize,
    /// Counts takings and uses, so that the order of the last uses is known.
    turn: Arc<AtomicU64>,
    taken: Mutex<TakenSeats<K>>,
}

struct TakenSeats<K> {
    count: usize,
    next: u64,
    holders: HashMap<K, HashMap<u64, Arc<SeatUse>>>,
}

/// Use of a seat.
#[derive(Default)]
pub struct SeatUse {
    turn: Arc<AtomicU64>,
    used: AtomicU64,
    is_at_work: AtomicBool,
    lost: Notify,
}

impl SeatUse {
    /// Notes that something came on the connection, and that it is not idle from here on.
    pub fn work(&self) {
        self.is_at_work.store(true, Ordering::Relaxed);
        self.note();
    }

    /// Notes that the connection is idle from here on.
    pub fn rest(&self) {
        self.is_at_work.store(false, Ordering::Relaxed);
    }

    fn note(&self) {
        self.used.store(self.turn.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Order in which seats are given up: idle ones first, and of those the one that was used longest ago.
    fn order(&self) -> (bool, u64) {
        (self.is_at_work.load(Ordering::Relaxed), self.used.load(Ordering::Relaxed))
    }
}

/// Seat of one connection, given back when dropped.
pub struct Seat<K: Eq + Hash + Clone> {
    seats: Arc<Seats<K>>,
    place: Mutex<(K, u64)>,
    /// Use of the seat, for whoever sees what comes on the connection.
    pub usage: Arc<SeatUse>,
}

impl<K: Eq + Hash + Clone> Seats<K> {
    /// So many in all.
    pub fn new(most: usize) -> Arc<Self> {
        let taken = TakenSeats { count: 0, next: 0, holders: HashMap::new() };
        Arc::new(Self { most, turn: Arc::default(), taken: Mutex::new(taken) })
    }

    fn taken(&self) -> MutexGuard<'_, TakenSeats<K>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of seats that are taken.
    pub fn count(&self) -> usize {
        self.taken().count
    }

    /// Takes a seat for `holder`, who may have so many. `None`: none can be given up, since all are in use.
    pub fn take(self: &Arc<Self>, holder: K, most: usize) -> Option<Seat<K>> {
        let usage = Arc::new(SeatUse { turn: Arc::clone(&self.turn), ..SeatUse::default() });
        usage.note();
        let id = self.taken().take(holder.clone(), Arc::clone(&usage), (most, self.most))?;
        Some(Seat { seats: Arc::clone(self), place: Mutex::new((holder, id)), usage })
    }
}

impl<K: Eq + Hash + Clone> TakenSeats<K> {
    /// Takes a seat within the limits of one holder and of all.
    fn take(&mut self, holder: K, usage: Arc<SeatUse>, (most, most_of_all): (usize, usize)) -> Option<u64> {
        let held = self.held(&holder);
        if held >= most {
            self.end_one(|it, _| *it == holder, false)?;
        } else if self.count >= most_of_all {
            let largest = self.holders.values().map(HashMap::len).max().unwrap_or_default();
            let may = |it: &K, count| count == largest && (largest > held || *it == holder);
            self.end_one(may, largest > held + 1)?;
        }
        self.next += 1;
        self.count += 1;
        self.holders.entry(holder).or_default().insert(self.next, usage);
        Some(self.next)
    }

    fn held(&self, holder: &K) -> usize {
        self.holders.get(holder).map_or(0, HashMap::len)
    }

    /// Ends a connection of the holders that `may` give up one: an idle one, or, where that is allowed, one in use.
    fn end_one(&mut self, may: impl Fn(&K, usize) -> bool, in_use: bool) -> Option<()> {
        let (holder, id, usage) = self
            .holders
            .iter()
            .filter(|(holder, seats)| may(holder, seats.len()))
            .flat_map(|(holder, seats)| seats.iter().map(move |(id, usage)| (holder, *id, usage)))
            .min_by_key(|(_, _, usage)| usage.order())?;
        if usage.order().0 && !in_use {
            return None;
        }
        usage.lost.notify_one();
        let holder = holder.clone();
        self.give_back(&holder, id);
        Some(())
    }

    fn give_back(&mut self, holder: &K, id: u64) -> Option<Arc<SeatUse>> {
        let seats = self.holders.get_mut(holder)?;
        let usage = seats.remove(&id)?;
        self.count -= 1;
        if seats.is_empty() {
            self.holders.remove(holder);
        }
        Some(usage)
    }
}

impl<K: Eq + Hash + Clone> Seat<K> {
    /// Notes that the connection is used now.
    pub fn note_use(&self) {
        self.usage.note();
    }

    /// Passes the seat to another holder, who may have so many: who is at the other end is known better now. False: it
    /// was lost, or this holder has as many in use.
    pub fn pass_to(&self, holder: K, most: usize) -> bool {
        let mut place = self.place();
        let mut taken = self.seats.taken();
        let Some(usage) = taken.give_back(&place.0, place.1) else { return false };
        let Some(id) = taken.take(holder.clone(), usage, (most, self.seats.most)) else { return false };
        *place = (holder, id);
        true
    }

    /// Does `work`, or as much of it as is done before another connection gets the seat.
    pub async fn hold(&self, work: impl Future<Output = ()>) {
        tokio::select! {
            () = work => {}
            () = self.usage.lost.notified() => {}
        }
    }

    fn place(&self) -> MutexGuard<'_, (K, u64)> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash + Clone> Drop for Seat<K> {
    fn drop(&mut self) {
        let place = self.place();
        self.seats.taken().give_back(&place.0, place.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_lost<K: Eq + Hash + Clone>(seat: &Seat<K>) -> bool {
        let place = seat.place();
        !seat.seats.taken().holders.get(&place.0).is_some_and(|seats| seats.contains_key(&place.1))
    }

    #[test]
    fn who_comes_gets_a_seat_and_takes_none_of_others_who_have_fewer() {
        let seats = Seats::new(4);
        let take = |holder| seats.take(holder, 2).unwrap();
        let strangers = [take("stranger"), take("stranger")];
        strangers[0].note_use();
        let third = take("stranger");
        assert!(!is_lost(&strangers[0]) && is_lost(&strangers[1]) && !is_lost(&third), "that used longest ago");
        let officer = take("officer");
        let more: Vec<_> = (0..9).map(|_| take("stranger")).collect();
        assert!(!is_lost(&officer) && is_lost(&third) && more.iter().filter(|seat| !is_lost(seat)).count() == 2);
        let auditor = take("auditor");
        // All four are taken: a fifth holder gets one of those who have the most.
        let fifth = take("operator");
        assert!([&officer, &auditor, &fifth].into_iter().all(|seat| !is_lost(seat)));
        assert!(more.iter().filter(|seat| !is_lost(seat)).count() == 1);
        drop((officer, auditor, fifth, more, third, strangers));
        assert!(seats.count() == 0 && seats.taken().holders.is_empty());
    }

    /// A seat in use gives way to a holder with fewer, and to nobody else; an idle one goes first.
    #[test]
    fn a_seat_in_use_gives_way_to_who_has_fewer_only() {
        let seats = Seats::new(3);
        let busy: Vec<_> = (0..3).map(|_| seats.take("a", 3).unwrap()).collect();
        for seat in &busy {
            seat.usage.work();
        }
        assert!(seats.take("a", 3).is_none(), "its own downloads go on");
        busy[1].usage.rest();
        let own = seats.take("a", 3).unwrap();
        assert!(is_lost(&busy[1]) && !is_lost(&busy[0]));
        own.usage.work();
        let second = seats.take("b", 3).unwrap();
        assert!(is_lost(&busy[0]) && !is_lost(&second), "that used longest ago");
        second.usage.work();
        assert!(seats.take("b", 3).is_none() && seats.take("a", 3).is_none());
        let third = seats.take("c", 3).unwrap();
        third.usage.work();
        assert!(seats.take("d", 3).is_none(), "each has one, in use");
        third.usage.rest();
        assert!(seats.take("d", 3).is_some_and(|_| is_lost(&third)));
    }

    /// A network is one holder, and who has shown a certificate is known by that.
    #[test]
    fn a_seat_passes_to_the_holder_of_the_certificate() {
        let at = |text: &str| SeatHolder::at(text.parse().unwrap());
        assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:1"));
        assert!(at("2001:db8:0:1::1") != at("2001:db8::1") && at("10.0.0.1") != at("10.0.0.2"));
        assert_eq!(at("::ffff:10.0.0.1"), at("10.0.0.1"));
        let seats = Seats::new(2);
        let agent = SeatHolder::Certificate("agent".into());
        let first = seats.take(at("10.0.0.1"), 1).unwrap();
        assert!(first.pass_to(agent.clone(), 1) && !is_lost(&first) && seats.count() == 1);
        // The address is free for another agent behind it; this certificate has its seat.
        let second = seats.take(at("10.0.0.1"), 1).unwrap();
        assert!(!is_lost(&first) && second.pass_to(agent.clone(), 1) && is_lost(&first) && !is_lost(&second));
        second.usage.work();
        let third = seats.take(at("10.0.0.1"), 1).unwrap();
        assert!(!third.pass_to(agent, 1) && is_lost(&third) && !is_lost(&second) && seats.count() == 1);
    }

    #[tokio::test]
    async fn who_lost_a_seat_stops() {
        let seats = Seats::new(1);
        let first = seats.take("a", 1).unwrap();
        let _second = seats.take("b", 1).unwrap();
        first.hold(std::future::pending()).await;
    }
}
