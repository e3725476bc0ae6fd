//! Session tickets whose keys all workers derive from one seed.
//!
//! Time is divided into periods of [`PERIOD_S`] seconds, and each has a key. The seed of a period
//! gives its key and the seed of the next one, but not that of an earlier one: an attacker who
//! reads the memory of the server learns the keys of the last period and of all later ones, but of
//! no earlier one. So workers agree on the keys without a message, and a worker that is started
//! later gets a later seed.

use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use rustls::server::ProducesTickets;
use zeroize::Zeroizing;

/// Seconds for which a key makes new tickets; for the same time after that, it still opens them.
const PERIOD_S: u64 = 6 * 3600;

/// Gives the keys of a period and of all later ones.
#[derive(Clone)]
pub(super) struct Seed {
    period: u64,
    bytes: Zeroizing<[u8; 32]>,
}

impl Seed {
    /// A random one, for the period before that of `now`, in seconds since 1970.
    pub(super) fn fresh(now: u64) -> Result<Seed, getrandom::Error> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *bytes)?;
        Ok(Seed { period: period(now), bytes })
    }

    pub(super) fn put(&self, to: &mut Vec<u8>) {
        to.extend(self.period.to_le_bytes());
        to.extend(&*self.bytes);
    }

    pub(super) fn take(from: &[u8]) -> Option<(Seed, &[u8])> {
        let (period, rest) = from.split_first_chunk()?;
        let (bytes, rest) = rest.split_first_chunk::<32>()?;
        Some((Seed { period: u64::from_le_bytes(*period), bytes: Zeroizing::new(*bytes) }, rest))
    }

    /// Moves it to the period before that of `now`, whose tickets are still valid.
    pub(super) fn renew(&mut self, now: u64) {
        self.advance(period(now));
    }

    fn advance(&mut self, to: u64) {
        let steps = to.saturating_sub(self.period).min(STEPS_MOST);
        for _ in 0..steps {
            *self.bytes = *self.derive(b"next");
        }
        self.period = self.period.max(to);
    }

    fn derive(&self, label: &[u8]) -> Zeroizing<[u8; 32]> {
        let tag = sign(&Key::new(HMAC_SHA256, &*self.bytes), label);
        let mut derived = Zeroizing::new([0; 32]);
        derived.copy_from_slice(&tag.as_ref()[..32]);
        derived
    }

    fn key(&self) -> Option<TicketKey> {
        let mut name = [0; NAME_BYTES];
        name.copy_from_slice(&self.derive(b"name")[..NAME_BYTES]);
        let key = RandomizedNonceKey::new(&AES_256_GCM, &*self.derive(b"key")).ok()?;
        Some(TicketKey { name, key })
    }
}

/// The period before that of `now`: its seed is kept, because its tickets are still valid.
fn period(now: u64) -> u64 {
    (now / PERIOD_S).saturating_sub(1)
}

/// Most periods that a clock can jump over: ten years. After a longer jump, the keys of a period in
/// between are used: to derive those of a clock that is far wrong would take seconds.
const STEPS_MOST: u64 = 14_600;

struct TicketKey {
    name: [u8; NAME_BYTES],
    key: RandomizedNonceKey,
}

const NAME_BYTES: usize = 16;

impl TicketKey {
    fn seal(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = plain.to_vec();
        let nonce = self.key.seal_in_place_append_tag(Aad::from(self.name), &mut sealed).ok()?;
        Some([&self.name[..], nonce.as_ref(), &sealed].concat())
    }

    fn open(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_first_chunk::<NAME_BYTES>()?;
        if *name != self.name {
            return None;
        }
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self.key.open_in_place(nonce, Aad::from(self.name), &mut sealed).ok()?;
        Some(plain.to_vec())
    }
}

/// Makes and opens tickets.
pub(super) struct Tickets {
    // The library shares it between threads, if there are some.
    keys: Mutex<Keys>,
}

struct Keys {
    /// Of the last period.
    seed: Seed,
    current: Option<TicketKey>,
    last: Option<TicketKey>,
}

impl std::fmt::Debug for Tickets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tickets").finish_non_exhaustive()
    }
}

impl Tickets {
    pub(super) fn new(seed: &Seed, now: u64) -> Tickets {
        let mut seed = seed.clone();
        seed.advance(period(now));
        Tickets { keys: Mutex::new(Keys::of(seed)) }
    }

    fn encrypt_at(&self, plain: &[u8], now: u64) -> Option<Vec<u8>> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.renew(now);
        keys.current.as_ref()?.seal(plain)
    }

    fn decrypt_at(&self, ticket: &[u8], now: u64) -> Option<Vec<u8>> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.renew(now);
        [&keys.current, &keys.last].into_iter().flatten().find_map(|key| key.open(ticket))
    }
}

impl Keys {
    fn of(seed: Seed) -> Keys {
        let mut next = seed.clone();
        next.advance(seed.period + 1);
        Keys { current: next.key(), last: seed.key(), seed }
    }

    fn renew(&mut self, now: u64) {
        if period(now) > self.seed.period {
            let mut seed = self.seed.clone();
            seed.advance(period(now));
            *self = Keys::of(seed);
        }
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(PERIOD_S).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.encrypt_at(plain, unix_seconds())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.decrypt_at(ticket, unix_seconds())
    }
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn seed() -> Seed {
        Seed::fresh(NOW).unwrap()
    }

    #[test]
    fn every_worker_opens_the_tickets_of_every_other() {
        let seed = seed();
        let (one, other) = (Tickets::new(&seed, NOW), Tickets::new(&seed, NOW + 60));
        let ticket = one.encrypt_at(b"state", NOW).unwrap();
        assert_eq!(other.decrypt_at(&ticket, NOW + 60).as_deref(), Some(&b"state"[..]));
        let again = one.encrypt_at(b"state", NOW).unwrap();
        assert_ne!(ticket, again, "the nonce differs");
        assert_eq!(Tickets::new(&self::seed(), NOW).decrypt_at(&ticket, NOW), None);
    }

    #[test]
    fn a_ticket_is_valid_in_its_period_and_the_next_one() {
        let tickets = Tickets::new(&seed(), NOW);
        let ticket = tickets.encrypt_at(b"state", NOW).unwrap();
        assert!(tickets.decrypt_at(&ticket, NOW + PERIOD_S).is_some());
        assert!(tickets.decrypt_at(&ticket, NOW + 2 * PERIOD_S).is_none());
        assert!(tickets.decrypt_at(&ticket, NOW).is_none(), "the key is gone for good");
    }

    #[test]
    fn a_worker_that_starts_later_gets_a_seed_that_opens_what_is_still_valid() {
        let mut seed = seed();
        let ticket = Tickets::new(&seed, NOW).encrypt_at(b"state", NOW).unwrap();
        let (early, later) = (seed.clone(), NOW + PERIOD_S);
        seed.renew(later);
        assert_ne!(*seed.bytes, *early.bytes, "the earlier seed is gone");
        let mut bytes = Vec::new();
        seed.put(&mut bytes);
        let (seed, rest) = Seed::take(&bytes).unwrap();
        assert!(rest.is_empty());
        assert!(Tickets::new(&seed, later).decrypt_at(&ticket, later).is_some());
    }

    #[test]
    fn a_ticket_that_was_changed_or_cut_is_refused() {
        let tickets = Tickets::new(&seed(), NOW);
        let ticket = tickets.encrypt_at(b"state", NOW).unwrap();
        for at in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[at] ^= 1;
            assert_eq!(tickets.decrypt_at(&changed, NOW), None, "byte {at}");
            assert_eq!(tickets.decrypt_at(&ticket[..at], NOW), None, "cut at {at}");
        }
    }
}
