//! The data-generating process that simulated clicks follow.
//!
//! logit p = bias + Σ effect(id) + hour(h) + price(x) + age(a)
//!         + <user, item> + mean_i <interest_i, category> + <device, (sin h, cos h)>
//!
//! The second line is what logistic regression cannot represent. Users and items come in clusters with nearby
//! latent vectors, so that rows of one id also teach something about its neighbours.
use super::click_config::ClickConfig;
use dlrm_data::rng::Rng;
use std::f64::consts::TAU;

/// Most interests of one row.
pub(super) const MOST_INTERESTS: usize = 5;
pub(super) const DEVICES: usize = 4;
pub(super) const CATEGORIES: usize = 12;
pub(super) const COUNTRIES: usize = 20;
pub(super) const INTERESTS: usize = 15;

/// Width of the latent vectors, and clusters they gather in.
const LATENT: usize = 4;
const CLUSTERS: usize = 6;
/// Spread of latent vectors within a cluster, against 1 between the clusters.
const WITHIN_CLUSTER: f64 = 0.3;
/// Rows that the bias and the scale of the interactions are fitted on.
const CALIBRATION_ROWS: u64 = 4096;

const AGE_MISSING: f64 = 0.12;
const PRICE_MISSING: f64 = 0.04;

/// Streams of the seed: parameters, the rows that fit the bias, the rows themselves.
const PARAMETERS: u64 = 1;
const CALIBRATION: u64 = 2;
const ROWS: u64 = 3;

type Latent = [f64; LATENT];

/// What one row shows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Features {
    pub user: usize,
    pub item: usize,
    pub category: usize,
    pub device: usize,
    pub country: usize,
    /// Ascending, distinct.
    pub interests: Vec<usize>,
    pub hour: u32,
    /// In whole cents, as it is written.
    pub price: Option<f64>,
    pub age: Option<u32>,
}

/// Everything that is drawn once per seed.
#[derive(Debug)]
pub(super) struct Truth {
    seed: u64,
    bias: f64,
    /// Factor of the interactions that gives them the deviation asked for.
    strength: f64,
    users: Ids,
    items: Ids,
    countries: Ids,
    devices: Ids,
    interests: Ids,
    category_of: Vec<usize>,
    category_latent: Vec<Latent>,
    base_price: Vec<f64>,
}

/// Ids of one column: how often they come, what each adds to the logit, and its latent vector.
#[derive(Debug)]
struct Ids {
    cumulative: Vec<f64>,
    effect: Vec<f64>,
    latent: Vec<Latent>,
}

impl Ids {
    /// `n` ids with frequencies ∝ 1 / (rank + 3): a power law without one id that drowns the others.
    fn draw(n: usize, spread: f64, random: &mut Rng) -> Self {
        let mut sum = 0.0;
        let mut cumulative: Vec<f64> = (0..n)
            .map(|rank| {
                sum += 1.0 / (rank as f64 + 3.0);
                sum
            })
            .collect();
        cumulative.iter_mut().for_each(|c| *c /= sum);
        let effect = (0..n).map(|_| spread * random.normal()).collect();
        let mut latent = clustered(n, random);
        let frequency = |i: usize| cumulative[i] - if i > 0 { cumulative[i - 1] } else { 0.0 };
        centre(&mut latent, frequency);
        Ids { cumulative, effect, latent }
    }

    fn pick(&self, random: &mut Rng) -> usize {
        let u = random.uniform();
        self.cumulative.partition_point(|&c| c <= u).min(self.cumulative.len() - 1)
    }
}

/// `n` latent vectors near `CLUSTERS` centres; <x, y> of two centres has mean 0 and variance 1.
fn clustered(n: usize, random: &mut Rng) -> Vec<Latent> {
    let scale = (LATENT as f64).powf(-0.25);
    let mut vector = |spread: f64| -> Latent { std::array::from_fn(|_| spread * random.normal()) };
    let centres: Vec<Latent> = (0..CLUSTERS).map(|_| vector(scale)).collect();
    let near = |centre: &Latent, step: Latent| -> Latent { std::array::from_fn(|d| centre[d] + step[d]) };
    (0..n).map(|i| near(&centres[i % CLUSTERS], vector(scale * WITHIN_CLUSTER))).collect()
}

/// Takes away the mean under `frequency`: what is left in a dot product with these vectors is interaction, no
/// effect of either id alone.
fn centre(latent: &mut [Latent], frequency: impl Fn(usize) -> f64) {
    let mean: Latent =
        std::array::from_fn(|d| latent.iter().enumerate().map(|(i, v)| frequency(i) * v[d]).sum());
    latent.iter_mut().for_each(|v| v.iter_mut().zip(&mean).for_each(|(x, m)| *x -= m));
}

fn dot(x: &Latent, y: &Latent) -> f64 {
    x.iter().zip(y).map(|(a, b)| a * b).sum()
}

impl Truth {
    /// Draws the parameters of `config.seed` and fits the bias to `config.click_rate`.
    pub(crate) fn new(config: &ClickConfig) -> Self {
        let random = &mut Rng::new(config.seed, PARAMETERS);
        let users = Ids::draw(config.users.max(1), 0.5, random);
        let items = Ids::draw(config.items.max(1), 0.6, random);
        let countries = Ids::draw(COUNTRIES, 0.3, random);
        let devices = Ids::draw(DEVICES, 0.3, random);
        let interests = Ids::draw(INTERESTS, 0.2, random);
        let mut category_latent = clustered(CATEGORIES, random);
        centre(&mut category_latent, |_| 1.0 / CATEGORIES as f64);
        let base_price = (0..items.effect.len()).map(|_| 2.5 + 0.7 * random.normal()).collect();
        let category_of =
            (0..items.effect.len()).map(|_| (random.uniform() * CATEGORIES as f64) as usize).collect();
        let mut truth = Truth {
            seed: config.seed,
            bias: 0.0,
            strength: 0.0,
            users,
            items,
            countries,
            devices,
            interests,
            category_of,
            category_latent,
            base_price,
        };
        let stream = Rng::new(config.seed, CALIBRATION).next_u64();
        let sample: Vec<Features> =
            (0..CALIBRATION_ROWS).map(|r| truth.draw(&mut Rng::new(stream, r))).collect();
        truth.strength = config.interaction_strength / truth.interaction_deviation(&sample).max(1e-9);
        truth.bias = truth.fitted_bias(&sample, config.click_rate);
        truth
    }

    /// Standard deviation of the interactions over `sample`.
    fn interaction_deviation(&self, sample: &[Features]) -> f64 {
        let terms: Vec<f64> = sample.iter().map(|f| self.interactions(f)).collect();
        let mean = terms.iter().sum::<f64>() / terms.len() as f64;
        (terms.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / terms.len() as f64).sqrt()
    }

    /// The bias at which the mean probability of `sample` is `rate`, by bisection: the mean rises with the
    /// bias.
    fn fitted_bias(&self, sample: &[Features], rate: f64) -> f64 {
        let logits: Vec<f64> = sample.iter().map(|f| self.logit(f)).collect();
        let mean = |bias: f64| logits.iter().map(|l| sigmoid(l + bias)).sum::<f64>() / logits.len() as f64;
        let (mut low, mut high) = (-30.0, 30.0);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if mean(middle) < rate { low = middle } else { high = middle }
        }
        0.5 * (low + high)
    }

    /// What row `r` shows, the probability of its click, and the click.
    pub(crate) fn row(&self, r: u64) -> (Features, f64, bool) {
        let stream = Rng::new(self.seed, ROWS).next_u64();
        let random = &mut Rng::new(stream, r);
        let features = self.draw(random);
        let probability = sigmoid(self.logit(&features));
        let click = random.uniform() < probability;
        (features, probability, click)
    }

    fn draw(&self, random: &mut Rng) -> Features {
        let (user, item) = (self.users.pick(random), self.items.pick(random));
        let (device, country) = (self.devices.pick(random), self.countries.pick(random));
        let wanted = (random.uniform() * (MOST_INTERESTS + 1) as f64) as usize;
        let mut interests: Vec<usize> = (0..wanted).map(|_| self.interests.pick(random)).collect();
        interests.sort_unstable();
        interests.dedup();
        // Two humps: around noon and in the evening.
        let peak = if random.uniform() < 0.4 { 12.0 } else { 20.0 };
        let hour = (peak + 3.5 * random.normal()).round().rem_euclid(24.0) as u32;
        let price = (self.base_price[item] + 0.6 * random.normal()).exp();
        let price = Some((price * 100.0).round() / 100.0).filter(|_| random.uniform() >= PRICE_MISSING);
        let age = (18.0 + 22.0 * (0.5 * random.normal()).exp() - 8.0).round().clamp(18.0, 90.0) as u32;
        let age = Some(age).filter(|_| random.uniform() >= AGE_MISSING);
        Features {
            user,
            item,
            category: self.category_of[item],
            device,
            country,
            interests,
            hour,
            price,
            age,
        }
    }

    fn logit(&self, f: &Features) -> f64 {
        let ids = self.users.effect[f.user]
            + self.items.effect[f.item]
            + self.countries.effect[f.country]
            + self.devices.effect[f.device];
        let interests: f64 = f.interests.iter().map(|&i| self.interests.effect[i]).sum();
        self.bias + ids + interests + dense_effect(f) + self.strength * self.interactions(f)
    }

    fn interactions(&self, f: &Features) -> f64 {
        let affinity = dot(&self.users.latent[f.user], &self.items.latent[f.item]);
        let category = &self.category_latent[f.category];
        let topic: f64 = f.interests.iter().map(|&i| dot(&self.interests.latent[i], category)).sum();
        let topic = topic / f.interests.len().max(1) as f64;
        let angle = TAU * f64::from(f.hour) / 24.0;
        let device = &self.devices.latent[f.device];
        affinity + 0.6 * topic + 0.5 * (device[0] * angle.sin() + device[1] * angle.cos())
    }
}

/// Evening and a middling price help, as does an age around 30; a missing age says a little by itself.
fn dense_effect(f: &Features) -> f64 {
    let hour = 0.4 * (TAU * (f64::from(f.hour) - 19.0) / 24.0).cos();
    let price = f.price.map_or(0.0, |x| {
        let z = x.ln_1p() - 2.6;
        -0.35 * z - 0.15 * z * z
    });
    let age = f.age.map_or(-0.3, |a| 0.7 * (-((f64::from(a) - 30.0) / 10.0).powi(2)).exp());
    hour + price + age
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
