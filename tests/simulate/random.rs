//! Numbers that look random and come again with the same seed.

/// SplitMix64, by Sebastiano Vigna: one word of state, and good enough to choose by.
#[derive(Clone, Debug)]
pub struct Random(u64);

/// `FERRYD_SEED`, or one that is always the same.
pub fn seed() -> u64 {
    std::env::var("FERRYD_SEED").map_or(20_260_102, |text| text.parse().expect("FERRYD_SEED is a number"))
}

impl Random {
    /// The numbers of one round, which do not depend on how many the rounds before took.
    pub fn new(seed: u64, round: u64) -> Random {
        Random(seed ^ round.wrapping_mul(0xd134_2543_de82_ef95))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of `choices`.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// `count` octets.
    pub fn octets(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }

    /// Cuts `octets` into pieces: all at once, one octet at a time, or anything between.
    pub fn cut(&mut self, octets: &[u8]) -> Vec<Vec<u8>> {
        let longest = *self.pick(&[1, 2, 7, 100, usize::MAX]);
        let mut pieces = Vec::new();
        let mut rest = octets;
        while !rest.is_empty() {
            let length = (1 + self.below(longest.min(rest.len()))).min(rest.len());
            pieces.push(rest[..length].to_vec());
            rest = &rest[length..];
        }
        pieces
    }
}
