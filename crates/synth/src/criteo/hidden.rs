//! What the clicks depend on.
//!
//! logit = bias + a · Σ effects + b · interactions
//!
//! An id's effect and vector are those of its cluster and a little of its own, so that a rare id can be
//! learned from its row's others but never known for sure. The interactions are
//!   fm:   Σ_{i<j} <v_i, v_j>
//!   dlrm: Σ_h u_h max(0, Σ_p w_hp <v_i, v_j>_p), with one vector tanh(W x) made of the integers x.
use super::{CATEGORIES, Features, INTEGERS, Teacher};
use dlrm_data::rng::{Rng, mix};

/// Rows that the scales and the bias are fitted on.
pub(super) const CALIBRATION_ROWS: u64 = 4096;

/// Width of vectors.
const LATENT: usize = 8;
const CLUSTERS: usize = 64;
/// Vectors of a row: the categories' and the integers'.
const VECTORS: usize = CATEGORIES + 1;
const PAIRS: usize = VECTORS * (VECTORS - 1) / 2;
const HIDDEN: usize = 12;
/// How much of its own an id has, against its cluster.
const OWN: f32 = 0.35;
/// Standard deviations of the two parts of the logit.
const EFFECTS: f64 = 0.9;
const INTERACTIONS: f64 = 1.1;

/// Streams of the seed.
const PARAMETERS: u64 = 1;
const IDS: u64 = 2;

/// Effects on two days far apart, then the vector.
type Latent = [f32; 2 + LATENT];

#[derive(Debug)]
pub(super) struct Hidden {
    teacher: Teacher,
    stream: u64,
    bias: f64,
    scales: [f64; 2],
    /// `[CATEGORIES][CLUSTERS]`.
    clusters: Vec<Latent>,
    /// How much each column counts.
    weight: [f32; CATEGORIES],
    /// Effects of the integers, on two days.
    dense: [[f32; 2]; INTEGERS],
    mixing: [[f32; INTEGERS]; LATENT],
    /// `[HIDDEN][PAIRS]`.
    first: Vec<f32>,
    second: [f32; HIDDEN],
}

impl Hidden {
    pub(super) fn draw(seed: u64, teacher: Teacher) -> Self {
        let rng = &mut Rng::new(seed, PARAMETERS);
        let mut normal = || rng.normal() as f32;
        let clusters = (0..CATEGORIES * CLUSTERS).map(|_| std::array::from_fn(|_| normal())).collect();
        let weight = std::array::from_fn(|_| 0.3 + normal().abs().min(2.0));
        let dense = std::array::from_fn(|_| std::array::from_fn(|_| 0.6 * normal()));
        let mixing = std::array::from_fn(|_| std::array::from_fn(|_| normal() / (INTEGERS as f32).sqrt()));
        let first = (0..HIDDEN * PAIRS).map(|_| normal() / (PAIRS as f32).sqrt()).collect();
        let second = std::array::from_fn(|_| normal());
        let stream = Rng::new(seed, IDS).next_u64();
        Hidden {
            teacher,
            stream,
            bias: 0.0,
            scales: [1.0; 2],
            clusters,
            weight,
            dense,
            mixing,
            first,
            second,
        }
    }

    /// Scales both parts to their deviations over `sample`, then fits the bias to the mean probability
    /// `rate`.
    pub(super) fn calibrate(&mut self, sample: &[Features], rate: f64) {
        let parts: Vec<[f64; 2]> = sample.iter().map(|features| self.parts(features, 0.0)).collect();
        let deviation = |p: usize| {
            let mean = parts.iter().map(|x| x[p]).sum::<f64>() / parts.len() as f64;
            (parts.iter().map(|x| (x[p] - mean).powi(2)).sum::<f64>() / parts.len() as f64).sqrt()
        };
        self.scales = [EFFECTS / deviation(0).max(1e-9), INTERACTIONS / deviation(1).max(1e-9)];
        let logits: Vec<f64> = parts.iter().map(|x| self.scales[0] * x[0] + self.scales[1] * x[1]).collect();
        let mean = |bias: f64| {
            logits.iter().map(|l| 1.0 / (1.0 + (-l - bias).exp())).sum::<f64>() / logits.len() as f64
        };
        let (mut low, mut high) = (-60.0, 60.0);
        // The mean rises with the bias.
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if mean(middle) < rate { low = middle } else { high = middle }
        }
        self.bias = 0.5 * (low + high);
    }

    /// Logit of a row on a day whose effects have turned by `angle`.
    pub(super) fn logit(&self, features: &Features, angle: f64) -> f64 {
        let [effects, interactions] = self.parts(features, angle);
        self.bias + self.scales[0] * effects + self.scales[1] * interactions
    }

    fn parts(&self, features: &Features, angle: f64) -> [f64; 2] {
        let turn = [angle.cos() as f32, angle.sin() as f32];
        let (mut effects, mut vectors) = (0.0, [[0.0f32; LATENT]; VECTORS]);
        for (f, id) in features.ids.iter().enumerate() {
            let Some(id) = *id else { continue };
            let latent = self.latent(f, id);
            effects += self.weight[f] * (turn[0] * latent[0] + turn[1] * latent[1]);
            vectors[f] = std::array::from_fn(|d| self.weight[f] * latent[2 + d]);
        }
        let x: [f32; INTEGERS] = std::array::from_fn(|k| features.dense[k].map_or(0.0, |z| z as f32));
        effects += x
            .iter()
            .zip(&self.dense)
            .map(|(x, [now, then])| x * (turn[0] * now + turn[1] * then))
            .sum::<f32>();
        vectors[CATEGORIES] =
            std::array::from_fn(|d| self.mixing[d].iter().zip(&x).map(|(w, x)| w * x).sum::<f32>().tanh());
        let interactions = match self.teacher {
            Teacher::Lr => 0.0,
            Teacher::Fm => pairwise(&vectors),
            Teacher::Dlrm => self.layer(&vectors),
        };
        [f64::from(effects), f64::from(interactions)]
    }

    fn latent(&self, f: usize, id: u32) -> Latent {
        let mut hash = mix(self.stream ^ u64::from(id) << 8 ^ f as u64);
        let cluster = &self.clusters[f * CLUSTERS + hash as usize % CLUSTERS];
        std::array::from_fn(|d| {
            if d % 4 == 0 {
                hash = mix(hash.wrapping_add(0x9e37_79b9_7f4a_7c15));
            }
            // Uniform with deviation 1, from 16 bits.
            let uniform = ((hash >> (16 * (d % 4))) as u16 as f32 / 65_536.0 - 0.5) * 12f32.sqrt();
            cluster[d] + OWN * uniform
        })
    }

    fn layer(&self, vectors: &[[f32; LATENT]; VECTORS]) -> f32 {
        let (mut pairs, mut p) = ([0.0; PAIRS], 0);
        for i in 1..VECTORS {
            for j in 0..i {
                pairs[p] = dot(&vectors[i], &vectors[j]);
                p += 1;
            }
        }
        let unit =
            |h: usize| self.second[h] * lanes(&self.first[h * PAIRS..(h + 1) * PAIRS], &pairs).max(0.0);
        (0..HIDDEN).map(unit).sum()
    }
}

fn dot(x: &[f32; LATENT], y: &[f32; LATENT]) -> f32 {
    x.iter().zip(y).map(|(a, b)| a * b).sum()
}

/// Dot product in eight sums, which the compiler keeps in a vector.
fn lanes(x: &[f32], y: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    for (x, y) in x.chunks(8).zip(y.chunks(8)) {
        sums.iter_mut().zip(x.iter().zip(y)).for_each(|(sum, (a, b))| *sum += a * b);
    }
    sums.iter().sum()
}

/// ½ (|Σ v|² - Σ |v|²).
fn pairwise(vectors: &[[f32; LATENT]; VECTORS]) -> f32 {
    let sum: [f32; LATENT] = std::array::from_fn(|d| vectors.iter().map(|v| v[d]).sum());
    0.5 * (dot(&sum, &sum) - vectors.iter().map(|v| dot(v, v)).sum::<f32>())
}
