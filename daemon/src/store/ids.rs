//! Owns: the making of ids. Must never know: what they name, the clock (a moment is an argument).

use mingle_core::time::Timestamp;
use uuid::{Builder, Uuid};

/// Where the chance in ids comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ids {
    /// From the system.
    #[default]
    Random,
    /// From a seed: the same ids in every run of a simulation.
    Seeded(u64),
}

/// Makes ids: a stream of bytes that nobody can foresee, started once.
pub(super) struct Maker(blake3::OutputReader);

impl Maker {
    pub(super) fn new(ids: Ids) -> Self {
        let mut hasher = blake3::Hasher::new();
        match ids {
            Ids::Random => {
                hasher.update(Uuid::new_v4().as_bytes());
                hasher.update(Uuid::new_v4().as_bytes());
            }
            Ids::Seeded(seed) => {
                hasher.update(&seed.to_le_bytes());
            }
        }
        Self(hasher.finalize_xof())
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill(&mut bytes);
        bytes
    }

    /// Names a store: a UUIDv4 without dashes.
    pub(super) fn instance(&mut self) -> String {
        Builder::from_random_bytes(self.bytes()).into_uuid().simple().to_string()
    }

    /// A UUIDv7: rises with time, so that new rows lie together.
    pub(super) fn uuid7(&mut self, now: Timestamp) -> String {
        let ms = u64::try_from(now.unix_ms()).unwrap_or(0);
        Builder::from_unix_timestamp_millis(ms, &self.bytes()).into_uuid().to_string()
    }

    /// A short id for people to type: the kind's letter and 40 bits, as `c-7k2m4x9q`.
    pub(super) fn short(&mut self, letter: char) -> String {
        const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        let digits = self.bytes::<8>().map(|byte| char::from(DIGITS[usize::from(byte & 31)]));
        format!("{letter}-{}", digits.iter().collect::<String>())
    }
}

/// The moment inside a UUIDv7, as it is usually written; none for any other text. One of 64 random texts of 32 hex digits has its
/// version and variant by chance, and nobody meant a moment with it.
pub(super) fn moment_of(id: &str) -> Option<Timestamp> {
    let uuid = Uuid::try_parse(id).ok().filter(|_| id.len() == uuid::fmt::Hyphenated::LENGTH)?;
    if uuid.get_version_num() != 7 || uuid.get_variant() != uuid::Variant::RFC4122 {
        return None;
    }
    let ms = u128::from_be_bytes(*uuid.as_bytes()) >> 80;
    Some(Timestamp::from_unix_ms(i64::try_from(ms).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_hold_their_moment_and_repeat_from_a_seed() {
        let now = Timestamp::from_unix_ms(1_790_000_000_123);
        let (mut a, mut b, mut c) = (Maker::new(Ids::Seeded(7)), Maker::new(Ids::Seeded(7)), Maker::new(Ids::Random));
        let id = a.uuid7(now);
        assert_eq!(id, b.uuid7(now));
        assert_ne!(id, c.uuid7(now));
        assert_ne!(id, a.uuid7(now));
        assert_eq!(moment_of(&id), Some(now));
        assert_eq!(moment_of(&Uuid::new_v4().to_string()), None);
        assert_eq!(moment_of(&id.replace('-', "")), None, "32 digits may be anything");
        assert_eq!(moment_of("00c52c00-2d72-7000-0567-c0397da9af6e"), None, "of another variant");
        assert_eq!(moment_of("mine"), None);
        assert_eq!(a.short('c').len(), 10);
    }
}
