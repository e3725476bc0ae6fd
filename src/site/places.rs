//! How many archives are sent at a time, by all clients and by one.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;

use crate::config::Limits;

use super::login::asker;

/// The places for archives. Each keeps the entries of its folders and some open files.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    per_client: usize,
    /// Whose archives are being sent.
    taken: Taken,
}

/// The clients, as [`asker`] says.
type Taken = Rc<RefCell<Vec<u64>>>;

/// The place of one archive, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    client: u64,
    taken: Taken,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// All are taken.
    All,
    /// The client has as many as it may.
    OfClient,
}

impl Places {
    pub(super) fn new(limits: &Limits) -> Places {
        let Limits { archive_downloads: most, archive_downloads_per_client: per_client, .. } =
            *limits;
        Places { most, per_client, taken: Taken::default() }
    }

    /// A place for an archive of this client. One without an address has no limit of its own.
    pub(super) fn take(&self, client: Option<IpAddr>) -> Result<Place, NoPlace> {
        let (is_known, client) = (client.is_some(), asker(client));
        let mut taken = self.taken.borrow_mut();
        let of_client = taken.iter().filter(|other| **other == client).count();
        if is_known && of_client >= self.per_client {
            return Err(NoPlace::OfClient);
        }
        if taken.len() >= self.most {
            return Err(NoPlace::All);
        }
        taken.push(client);
        Ok(Place { client, taken: Rc::clone(&self.taken) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.borrow_mut();
        if let Some(at) = taken.iter().position(|client| *client == self.client) {
            taken.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_cannot_take_all_places() {
        let limits =
            Limits { archive_downloads: 5, archive_downloads_per_client: 3, ..Limits::default() };
        let places = Places::new(&limits);
        let address = |text: &str| Some(text.parse().unwrap());
        let take = |client: &str| places.take(address(client));
        let mut held: Vec<Place> = (0..3).map(|_| take("192.0.2.1").unwrap()).collect();
        assert_eq!(take("192.0.2.1").unwrap_err(), NoPlace::OfClient);
        held.push(take("2001:db8::1").unwrap());
        held.push(take("2001:db8::2").unwrap());
        assert_eq!(take("192.0.2.2").unwrap_err(), NoPlace::All);
        held.remove(0);
        let last = take("192.0.2.1").unwrap();
        drop(held);
        // Clients of a Unix socket are not told apart.
        let _unknown: Vec<Place> = (0..4).map(|_| places.take(None).unwrap()).collect();
        assert_eq!(places.take(None).unwrap_err(), NoPlace::All);
        drop(last);
        assert!(places.take(None).is_ok());
    }

    #[test]
    fn addresses_of_one_network_are_one_client() {
        let limits = Limits { archive_downloads_per_client: 1, ..Limits::default() };
        let places = Places::new(&limits);
        let take = |client: &str| places.take(Some(client.parse().unwrap()));
        let _one = take("2001:db8:0:1::1").unwrap();
        assert_eq!(take("2001:db8:0:1:ffff::2").unwrap_err(), NoPlace::OfClient);
        let _other = take("2001:db8:0:2::1").unwrap();
        let _third = take("::ffff:192.0.2.1").unwrap();
        assert_eq!(take("192.0.2.1").unwrap_err(), NoPlace::OfClient);
    }
}
