//! Numbers that look random and come again with the same seed; or with the same octets, which a fuzzer chooses.

// The simulation and the fuzzers each use another part of this.
#![allow(dead_code)]

/// Where choices come from.
#[derive(Clone, Debug)]
pub struct Random(Source);

#[derive(Clone, Debug)]
enum Source {
    /// SplitMix64, by Sebastiano Vigna: one word of state, and good enough to choose by.
    Seed(u64),
    /// Each small choice is one octet; behind the end all choices are the first one.
    Octets { octets: Vec<u8>, at: usize },
}

/// `FERRYD_SEED`, or one that is always the same.
pub fn seed() -> u64 {
    std::env::var("FERRYD_SEED").map_or(20_260_102, |text| text.parse().expect("FERRYD_SEED is a number"))
}

/// `FERRYD_SEEDS`: how many sessions are simulated, where somebody has an opinion.
pub fn seeds(default: u64) -> u64 {
    std::env::var("FERRYD_SEEDS").map_or(default, |text| text.parse().expect("FERRYD_SEEDS is a number"))
}

fn mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The seed of one round, which does not depend on how many numbers the rounds before took.
pub fn of_round(seed: u64, round: u64) -> u64 {
    seed ^ round.wrapping_mul(0xd134_2543_de82_ef95)
}

impl Random {
    /// The numbers of one round.
    pub fn new(seed: u64, round: u64) -> Random {
        Random(Source::Seed(of_round(seed, round)))
    }

    /// Choices that are made already.
    pub fn from_octets(octets: &[u8]) -> Random {
        Random(Source::Octets { octets: octets.to_vec(), at: 0 })
    }

    /// Whether there is nothing left to choose by.
    pub fn is_spent(&self) -> bool {
        matches!(&self.0, Source::Octets { octets, at } if *at >= octets.len())
    }

    fn number(&mut self, octets_wanted: usize) -> u64 {
        match &mut self.0 {
            Source::Seed(state) => mix(state),
            Source::Octets { octets, at } => {
                let end = (*at + octets_wanted).min(octets.len());
                let number = octets[*at..end].iter().fold(0, |number, octet| number << 8 | u64::from(*octet));
                *at = end;
                number
            }
        }
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        let octets_wanted = match limit {
            0..=0x100 => 1,
            0x101..=0x1_0000 => 2,
            _ => 8,
        };
        (self.number(octets_wanted) % limit.max(1) as u64) as usize
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) + 1 == times
    }

    /// One of `choices`.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// `count` octets.
    pub fn octets(&mut self, count: usize) -> Vec<u8> {
        let mut state = self.number(2);
        (0..count).map(|_| mix(&mut state) as u8).collect()
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
