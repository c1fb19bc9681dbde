//! Seats of a small server: connections that it holds at a time, by holder. Whoever comes always gets a seat: where the
//! holder has as many as one may have, its connection that was used longest ago ends; where all seats are taken, one of
//! the holder with the most. So idle connections keep nobody out, and no holder takes a seat of another that has fewer.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Seats of one listener.
pub(crate) struct Seats<K> {
    most: usize,
    taken: Mutex<TakenSeats<K>>,
}

struct TakenSeats<K> {
    /// Counts takings and uses, so that the order of the last uses is known.
    turn: u64,
    seats: HashMap<u64, TakenSeat<K>>,
}

struct TakenSeat<K> {
    holder: K,
    used: u64,
    lost: Arc<Notify>,
}

/// Seat of one connection, given back when dropped.
pub(crate) struct Seat<K: Eq + Hash + Clone> {
    seats: Arc<Seats<K>>,
    id: u64,
    lost: Arc<Notify>,
}

impl<K: Eq + Hash + Clone> Seats<K> {
    /// So many in all.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, taken: Mutex::new(TakenSeats { turn: 0, seats: HashMap::new() }) })
    }

    fn taken(&self) -> MutexGuard<'_, TakenSeats<K>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a seat for `holder`, who may have so many.
    pub(crate) fn take(self: &Arc<Self>, holder: K, most: usize) -> Seat<K> {
        let mut taken = self.taken();
        let mut held: HashMap<K, usize> = HashMap::new();
        for seat in taken.seats.values() {
            *held.entry(seat.holder.clone()).or_default() += 1;
        }
        if held.get(&holder).is_some_and(|held| *held >= most) {
            taken.end_one(|seat| seat.holder == holder);
        } else if taken.seats.len() >= self.most {
            let largest = held.values().copied().max().unwrap_or_default();
            taken.end_one(|seat| held.get(&seat.holder) == Some(&largest));
        }
        let (id, lost) = (taken.next_turn(), Arc::new(Notify::new()));
        taken.seats.insert(id, TakenSeat { holder, used: id, lost: Arc::clone(&lost) });
        Seat { seats: Arc::clone(self), id, lost }
    }
}

impl<K> TakenSeats<K> {
    fn next_turn(&mut self) -> u64 {
        self.turn += 1;
        self.turn
    }

    /// Ends the connection that was used longest ago, of those that `may` end.
    fn end_one(&mut self, may: impl Fn(&TakenSeat<K>) -> bool) {
        let candidates = self.seats.iter().filter(|(_, seat)| may(seat));
        let Some(id) = candidates.min_by_key(|(_, seat)| seat.used).map(|(id, _)| *id) else { return };
        if let Some(seat) = self.seats.remove(&id) {
            seat.lost.notify_one();
        }
    }
}

impl<K: Eq + Hash + Clone> Seat<K> {
    /// Notes that the connection is used now.
    pub(crate) fn note_use(&self) {
        let mut taken = self.seats.taken();
        let turn = taken.next_turn();
        if let Some(seat) = taken.seats.get_mut(&self.id) {
            seat.used = turn;
        }
    }

    /// Does `work`, or as much of it as is done before another connection gets the seat.
    pub(crate) async fn hold(&self, work: impl Future<Output = ()>) {
        tokio::select! {
            () = work => {}
            () = self.lost.notified() => {}
        }
    }
}

impl<K: Eq + Hash + Clone> Drop for Seat<K> {
    fn drop(&mut self) {
        self.seats.taken().seats.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_lost(seat: &Seat<&'static str>) -> bool {
        !seat.seats.taken().seats.contains_key(&seat.id)
    }

    #[test]
    fn who_comes_gets_a_seat_and_takes_none_of_others_who_have_fewer() {
        let seats = Seats::new(4);
        let strangers = [seats.take("stranger", 2), seats.take("stranger", 2)];
        strangers[0].note_use();
        let third = seats.take("stranger", 2);
        assert!(!is_lost(&strangers[0]) && is_lost(&strangers[1]) && !is_lost(&third), "that used longest ago");
        let officer = seats.take("officer", 2);
        let more: Vec<_> = (0..9).map(|_| seats.take("stranger", 2)).collect();
        assert!(!is_lost(&officer) && is_lost(&third) && more.iter().filter(|seat| !is_lost(seat)).count() == 2);
        let auditor = seats.take("auditor", 2);
        // All four are taken: a fifth holder gets one of those who have the most.
        let fifth = seats.take("operator", 2);
        assert!([&officer, &auditor, &fifth].into_iter().all(|seat| !is_lost(seat)));
        assert!(more.iter().filter(|seat| !is_lost(seat)).count() == 1);
        drop((officer, auditor, fifth, more, third, strangers));
        assert!(seats.taken().seats.is_empty());
    }

    #[tokio::test]
    async fn who_lost_a_seat_stops() {
        let seats = Seats::new(1);
        let first = seats.take("a", 1);
        let _second = seats.take("b", 1);
        first.hold(std::future::pending()).await;
    }
}
