//! Chance, from one seed: named streams of random numbers, so that one seed is one history.

use std::{ops::Range, time::Duration};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

/// The characters of generated names, without vowels and look-alikes (apimachinery/pkg/util/rand).
const NAME_ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// A stream of random numbers that belongs to one name.
///
/// Whoever draws has a stream of its own, made by [`Random::fork`] from its component's: a further draw in one place
/// then changes nothing in another, and one seed goes on meaning the same history as far as possible.
#[derive(Debug)]
pub struct Random {
    key: u64,
    source: ChaCha8Rng,
}

impl Random {
    /// The root stream of a seed.
    pub fn from_seed(seed: u64) -> Self {
        Self::from_key(mix(0xcbf2_9ce4_8422_2325, &seed.to_le_bytes()))
    }

    fn from_key(key: u64) -> Self {
        Self { key, source: ChaCha8Rng::seed_from_u64(key) }
    }

    /// The stream named `name` below this one; it depends on the names and the seed only, not on what has been drawn.
    #[must_use]
    pub fn fork(&self, name: &str) -> Self {
        Self::from_key(mix(mix(self.key, name.as_bytes()), b"/"))
    }

    /// A number in [0, 1).
    pub fn unit(&mut self) -> f64 {
        // The upper 53 bits are a double's precision.
        #[allow(clippy::cast_precision_loss)]
        let bits = (self.source.next_u64() >> 11) as f64;
        bits / 9_007_199_254_740_992.0
    }

    /// A number below `bound`; 0 if `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let wide = u128::from(self.source.next_u64()) * bound as u128;
        usize::try_from(wide >> 64).unwrap_or(0)
    }

    /// A duration drawn evenly from a range; its start if it is empty.
    pub fn between(&mut self, range: Range<Duration>) -> Duration {
        range.start + range.end.saturating_sub(range.start).mul_f64(self.unit())
    }

    /// `duration` lengthened by up to `factor` times itself, as `wait.Jitter` does (apimachinery/pkg/util/wait).
    pub fn jitter(&mut self, duration: Duration, factor: f64) -> Duration {
        duration + duration.mul_f64(self.unit() * factor)
    }

    /// `length` characters as in generated names (apimachinery/pkg/util/rand:String).
    pub fn suffix(&mut self, length: usize) -> String {
        (0..length).map(|_| char::from(NAME_ALPHABET[self.below(NAME_ALPHABET.len())])).collect()
    }

    /// A version-4 UUID, as objects have for `metadata.uid`.
    pub fn uuid(&mut self) -> String {
        let mut bytes = [0_u8; 16];
        self.source.fill_bytes(&mut bytes);
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let number = u128::from_be_bytes(bytes);
        let part = |shift: u32, digits: u32| (number >> shift) & ((1 << (4 * digits)) - 1);
        format!("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", part(96, 8), part(80, 4), part(64, 4), part(48, 4), part(0, 12))
    }

    /// `length` hexadecimal digits, as in a container's ID.
    pub fn hex(&mut self, length: usize) -> String {
        (0..length).map(|_| char::from(b"0123456789abcdef"[self.below(16)])).collect()
    }
}

/// FNV-1a, continued from `state`: fixed for ever, unlike the standard library's hashes.
fn mix(state: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(state, |state, byte| (state ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_does_not_depend_on_what_was_drawn() {
        let mut drawn = Random::from_seed(7);
        drawn.unit();
        assert_eq!(drawn.fork("kubelet").uuid(), Random::from_seed(7).fork("kubelet").uuid());
    }

    #[test]
    fn names_and_seeds_give_different_streams() {
        let root = Random::from_seed(7);
        assert_ne!(root.fork("a").uuid(), root.fork("b").uuid());
        assert_ne!(root.fork("a").uuid(), Random::from_seed(8).fork("a").uuid());
        assert_ne!(root.fork("a").fork("b").uuid(), root.fork("ab").uuid());
    }

    #[test]
    fn draws_stay_inside_their_ranges() {
        let mut random = Random::from_seed(1);
        let range = Duration::from_millis(5)..Duration::from_millis(20);
        for _ in 0..1_000 {
            assert!(range.contains(&random.between(range.clone())));
            assert!(random.below(3) < 3);
            let jittered = random.jitter(Duration::from_mins(1), 0.5);
            assert!((Duration::from_mins(1)..Duration::from_secs(90)).contains(&jittered));
        }
        assert_eq!(random.below(0), 0);
    }

    #[test]
    fn a_uuid_has_its_version_and_variant() {
        let uuid = Random::from_seed(3).uuid();
        assert_eq!((uuid.len(), uuid.as_bytes()[14]), (36, b'4'));
        assert!(b"89ab".contains(&uuid.as_bytes()[19]), "{uuid}");
    }
}
