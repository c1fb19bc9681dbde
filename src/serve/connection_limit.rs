//! Limit on connections: in all, and by address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Connections that may be open at one time.
pub struct ConnectionLimit {
    most: u64,
    most_each: u64,
    open: Mutex<(u64, HashMap<IpAddr, u64>)>,
}

/// Permit for one connection, given back when dropped.
pub struct Permit {
    limit: Arc<ConnectionLimit>,
    address: IpAddr,
}

impl ConnectionLimit {
    /// For so many, and so many from one address.
    pub fn new(most: u64, most_each: u64) -> Arc<Self> {
        Arc::new(Self { most, most_each, open: Mutex::default() })
    }

    /// A place for `address`, if there is one.
    pub fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Permit> {
        let address = address.to_canonical();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let each = open.1.get(&address).copied().unwrap_or(0);
        if open.0 >= self.most || each >= self.most_each {
            return None;
        }
        open.0 += 1;
        open.1.insert(address, each + 1);
        Some(Permit { limit: Arc::clone(self), address })
    }

    /// Number of open connections.
    pub fn open(&self) -> u64 {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.limit.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.0 = open.0.saturating_sub(1);
        let each = open.1.get(&self.address).copied().unwrap_or(1) - 1;
        if each == 0 {
            open.1.remove(&self.address);
        } else {
            open.1.insert(self.address, each);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_back() {
        let limit = ConnectionLimit::new(3, 2);
        let (one, two): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let permits = [limit.admit(one), limit.admit("::ffff:10.0.0.1".parse().unwrap())];
        assert!(permits.iter().all(Option::is_some) && limit.admit(one).is_none(), "two from one address");
        let third = limit.admit(two);
        assert!(third.is_some() && limit.admit("10.0.0.3".parse().unwrap()).is_none() && limit.open() == 3);
        drop(permits);
        assert!(limit.open() == 1 && limit.admit(one).is_some());
    }
}
