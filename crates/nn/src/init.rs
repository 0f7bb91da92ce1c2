//! Initial values. Element i of a parameter depends on (seed, name, i) alone, so neither the order of
//! building nor the number of threads changes it.
use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Distribution of initial values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// All zero.
    Zero,
    /// All the same.
    Constant(f32),
    /// Uniform in ±bound.
    Uniform(f64),
    /// Normal with mean 0 and this standard deviation.
    Normal(f64),
}

/// SplitMix64's output function: a bijection of 64 bits that passes statistical tests on a counter.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Uniform in the open interval (0, 1), number `i` of the stream `key`.
fn uniform(key: u64, i: u64) -> f64 {
    let bits = mix(key.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    ((bits >> 12) as f64 + 0.5) / (1u64 << 52) as f64
}

impl Init {
    /// Fills `values` for the parameter `name`.
    pub fn fill(self, values: &mut [f32], seed: u64, name: &str) {
        const CHUNK: usize = 1 << 16;
        let key = Init::key(seed, name);
        if self == Init::Zero {
            return values.fill(0.0);
        }
        values
            .par_chunks_mut(CHUNK)
            .enumerate()
            .for_each(|(chunk, values)| self.fill_from(values, key, chunk * CHUNK));
    }

    /// What decides the values of the parameter `name`.
    pub(crate) fn key(seed: u64, name: &str) -> u64 {
        mix(xxh3_64_with_seed(name.as_bytes(), seed))
    }

    /// Fills `values`, elements `first` and following of the parameter of this key.
    pub(crate) fn fill_from(self, values: &mut [f32], key: u64, first: usize) {
        for (i, value) in values.iter_mut().enumerate() {
            *value = self.value(key, (first + i) as u64);
        }
    }

    fn value(self, key: u64, i: u64) -> f32 {
        match self {
            Init::Zero => 0.0,
            Init::Constant(value) => value,
            Init::Uniform(bound) => ((2.0 * uniform(key, i) - 1.0) * bound) as f32,
            Init::Normal(deviation) => {
                // Box and Muller; the second variate is not used, so that elements stay independent.
                let (u, v) = (uniform(key, 2 * i), uniform(key, 2 * i + 1));
                ((-2.0 * libm::log(u)).sqrt() * libm::cos(std::f64::consts::TAU * v) * deviation) as f32
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_independence() {
        let n = 100_000;
        let mut values = vec![0.0; n];
        Init::Normal(2.0).fill(&mut values, 7, "a");
        let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / n as f64;
        let square = values.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>() / n as f64;
        assert!(mean.abs() < 0.03 && (square - 4.0).abs() < 0.08, "{mean} {square}");
        let mut other = vec![0.0; 10];
        Init::Normal(2.0).fill(&mut other, 7, "b");
        assert_ne!(other[..], values[..10]);
        Init::Normal(2.0).fill(&mut other, 7, "a");
        assert_eq!(other[..], values[..10]);
        Init::Uniform(0.5).fill(&mut values, 1, "c");
        assert!(values.iter().all(|x| x.abs() <= 0.5));
        let square = values.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>() / n as f64;
        assert!((square - 0.25 / 3.0).abs() < 1e-3);
    }
}
