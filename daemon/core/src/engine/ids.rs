//! Owns: the ids of runs: `r-` and eight digits, from a seed. Must never know: chance (the seed is an argument).

/// Makes ids, each once (SplitMix64, by Steele, Lea and Flood: a bijection of the counter, so no two are alike before 2^40).
#[derive(Clone, Debug)]
pub(super) struct Ids(u64);

impl Ids {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> String {
        const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        let digit = |at: u32| char::from(DIGITS[usize::try_from((mixed >> (5 * at)) & 31).unwrap_or(0)]);
        format!("r-{}", (0..10).map(digit).collect::<String>())
    }
}
