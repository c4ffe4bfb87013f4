//! The generator of Go's `math/rand`, from its published definition: an additive lagged Fibonacci generator over 64-bit integers
//! (x[n] = x[n-607] + x[n-273]), whose state is a warmed-up state xored with a seeded one.
//!
//! Go ships the warmed-up state as a table: the state after 7.8e12 steps from a seed of 1. The recurrence is linear, so that state is computed
//! here by raising x to that power modulo the recurrence's polynomial, and no table is copied.

const LENGTH: usize = 607;
const TAP: usize = 273;
const WARM_UP: u64 = 7_800_000_000_000;

/// The generator, with the buffer of a word half used.
pub(crate) struct GoRand {
    state: Vec<u64>,
    tap: usize,
    feed: usize,
    rest: Vec<u8>,
}

impl GoRand {
    pub(crate) fn new(seed: u32) -> Self {
        let state = warmed_up().into_iter().zip(seeded(seed, 40, 20)).map(|(a, b)| a ^ b).collect();
        Self { state, tap: 0, feed: LENGTH - TAP, rest: Vec::new() }
    }

    fn word(&mut self) -> u64 {
        self.tap = self.tap.checked_sub(1).unwrap_or(LENGTH - 1);
        self.feed = self.feed.checked_sub(1).unwrap_or(LENGTH - 1);
        let word = self.state[self.feed].wrapping_add(self.state[self.tap]);
        self.state[self.feed] = word;
        word
    }

    /// Go's `Uint32` is the upper half of its `Int63`; each gives four bytes, little-endian.
    pub(crate) fn fill(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            if self.rest.is_empty() {
                let word = u32::try_from((self.word() & (u64::MAX >> 1)) >> 31).unwrap();
                self.rest.extend(word.to_le_bytes());
            }
            let taken = bytes.len().min(self.rest.len());
            let (now, later) = bytes.split_at_mut(taken);
            now.copy_from_slice(&self.rest[..taken]);
            self.rest.drain(..taken);
            bytes = later;
        }
    }
}

/// `LENGTH` words, each of three steps of the Lehmer generator x = 48271 x mod (2^31 - 1), the first two shifted.
fn seeded(seed: u32, first: u32, second: u32) -> Vec<u64> {
    let mut x = u64::from(seed);
    let mut step = || {
        x = x * 48_271 % ((1 << 31) - 1);
        x
    };
    (0..20).for_each(|_| {
        step();
    });
    (0..LENGTH).map(|_| (step() << first) ^ (step() << second) ^ step()).collect()
}

fn warmed_up() -> Vec<u64> {
    // In the order in which the generator makes them: the state is consumed from `LENGTH - TAP - 1` downward, and around.
    let slot = |age: usize| (2 * LENGTH - TAP - 1 - age) % LENGTH;
    let start = seeded(1, 20, 10);
    let history: Vec<u64> = (0..LENGTH).map(|age| start[slot(age)]).collect();
    // The word n steps on is the sum of the first words, weighted with x^n modulo the polynomial.
    let mut weights = power(WARM_UP);
    let shift = usize::try_from(WARM_UP % u64::try_from(LENGTH).unwrap()).unwrap();
    let mut state = vec![0; LENGTH];
    for age in 0..LENGTH {
        let word =
            weights.iter().zip(&history).fold(0u64, |sum, (a, b)| sum.wrapping_add(a.wrapping_mul(*b)));
        state[(slot(age) + LENGTH - shift) % LENGTH] = word;
        weights = times_x(&weights);
    }
    state
}

/// x^exponent modulo x^607 - x^334 - 1, over 64-bit integers.
fn power(exponent: u64) -> Vec<u64> {
    let mut result = vec![0u64; LENGTH];
    result[0] = 1;
    for bit in (0..64).rev() {
        let mut square = vec![0u64; 2 * LENGTH];
        for (i, a) in result.iter().enumerate() {
            for (j, b) in result.iter().enumerate() {
                square[i + j] = square[i + j].wrapping_add(a.wrapping_mul(*b));
            }
        }
        for high in (LENGTH..2 * LENGTH).rev() {
            let factor = std::mem::take(&mut square[high]);
            square[high - LENGTH] = square[high - LENGTH].wrapping_add(factor);
            square[high - TAP] = square[high - TAP].wrapping_add(factor);
        }
        square.truncate(LENGTH);
        result = if exponent >> bit & 1 == 1 { times_x(&square) } else { square };
    }
    result
}

fn times_x(polynomial: &[u64]) -> Vec<u64> {
    let carry = polynomial[LENGTH - 1];
    let mut result: Vec<u64> =
        std::iter::once(carry).chain(polynomial[..LENGTH - 1].iter().copied()).collect();
    result[LENGTH - TAP] = result[LENGTH - TAP].wrapping_add(carry);
    result
}

#[test]
fn the_table_of_go_begins_as_published() {
    assert_eq!(warmed_up()[0].cast_signed(), -4_181_792_142_133_755_926);
}
