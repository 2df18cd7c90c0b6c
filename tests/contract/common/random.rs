//! Randomness that can be repeated, and how much of it is wanted.

/// A generator that needs no crate (splitmix64).
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Seeded by `PGMAYDAY_SEED`, else by the process; the seed is printed.
    pub(crate) fn seeded(test: &str) -> Self {
        let process = std::process::id() as usize;
        let seed = number("PGMAYDAY_SEED", process, process);
        eprintln!("{test}: PGMAYDAY_SEED={seed}");
        Self(test.bytes().fold(seed as u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte))))
    }

    /// A number below the bound.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

/// A number of the environment; its default, or the one for `make endurance` (`PGMAYDAY_ENDURANCE=1`).
pub(crate) fn number(name: &str, default: usize, endurance: usize) -> usize {
    let default = if std::env::var_os("PGMAYDAY_ENDURANCE").is_some() { endurance } else { default };
    std::env::var(name)
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}
