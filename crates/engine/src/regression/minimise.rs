//! L-BFGS (Liu and Nocedal 1989) on a convex regression, scaled by the diagonal of its second derivative.
use super::design::Design;
use dlrm_data::schema::Task;
use std::collections::VecDeque;

/// Pairs of differences that the second derivative is guessed from.
const MEMORY: usize = 10;
/// Vectors of a number for each column that are held at once: those pairs and the work of an iteration.
pub(super) const VECTORS: u64 = 2 * MEMORY as u64 + 8;
/// Vectors of a number for each row.
pub(super) const VECTORS_OF_ROWS: u64 = 6;
/// Iterations, at most.
const ITERATIONS: usize = 400;
/// Convergence: no derivative of the mean loss is larger (scikit-learn's default is 1e-4), and what a step by
/// the diagonal of the second derivative would gain is no more than a hundredth of this: derivatives of rare
/// ids are small wherever their weights are.
pub(super) const TOLERANCE: f64 = 1e-5;
const GAIN: f64 = 1e-2;
/// Convergence of what only tells strengths apart.
pub(super) const ROUGH: f64 = 1e-4;

/// f(w) = Σ_b u_b ℓ(x_b·w, y_b) / Σ_b u_b + λ/2 Σ_j w_j², the intercept left out of the last sum; ℓ is log
/// loss for clicks and half the squared error for ratings.
pub(super) struct Problem<'a> {
    pub(super) design: &'a Design<'a>,
    pub(super) labels: &'a [f32],
    /// u, all ones where absent.
    pub(super) weights: Option<&'a [f32]>,
    pub(super) task: Task,
    /// λ
    pub(super) l2: f64,
    /// How near the end is to the minimum: see [`TOLERANCE`].
    pub(super) tolerance: f64,
}

/// How minimising ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ended {
    pub(super) iterations: usize,
    /// Σ_b u_b ℓ / Σ_b u_b
    pub(super) loss: f64,
    /// The largest derivative.
    pub(super) gradient: f64,
    /// Whether it is as small as it was to become.
    pub(super) converged: bool,
}

impl Problem<'_> {
    fn weight(&self, b: usize) -> f64 {
        self.weights.map_or(1.0, |weights| f64::from(weights[b]))
    }

    pub(super) fn total(&self) -> f64 {
        self.weights.map_or(self.labels.len() as f64, |w| w.iter().map(|&w| f64::from(w)).sum())
    }

    fn mean_loss(&self, margin: impl Fn(usize) -> f64 + Sync) -> f64 {
        self.sum_of_losses(margin) / self.total()
    }

    /// Of rows with these margins.
    fn sum_of_losses(&self, margin: impl Fn(usize) -> f64 + Sync) -> f64 {
        let loss = |z: f64, y: f64| match self.task {
            Task::Binary => z.max(0.0) + libm::log1p(libm::exp(-z.abs())) - y * z,
            Task::Rating => 0.5 * (z - y) * (z - y),
        };
        let row = |b: usize| self.weight(b) * loss(margin(b), f64::from(self.labels[b]));
        self.design.of_parts(|rows| rows.map(&row).sum::<f64>()).into_iter().sum()
    }

    /// Sum of the losses of rows of these weights.
    pub(super) fn loss_of(&self, w: &[f64], weights: &[f32]) -> f64 {
        let mut z = vec![0.0; self.labels.len()];
        self.design.margins(w, &mut z);
        Problem { weights: Some(weights), ..*self }.sum_of_losses(|b| z[b])
    }

    fn penalty(&self, w: &[f64]) -> f64 {
        0.5 * self.l2 * dot(&w[..w.len() - 1], &w[..w.len() - 1])
    }

    /// ∂ℓ/∂z and ∂²ℓ/∂z² of each row, weighted.
    fn slopes(&self, margins: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let total = self.total();
        let of = |b: usize| {
            let (z, y) = (margins[b], self.labels[b]);
            let weight = self.weight(b) / total;
            match self.task {
                Task::Binary => {
                    let p = 1.0 / (1.0 + libm::exp(-z));
                    (weight * (p - f64::from(y)), weight * p * (1.0 - p))
                }
                Task::Rating => (weight * (z - f64::from(y)), weight),
            }
        };
        let parts = self.design.of_parts(|rows| rows.map(&of).collect::<Vec<_>>());
        parts.into_iter().flatten().unzip()
    }

    fn gradient(&self, w: &[f64], slopes: &[f64]) -> Vec<f64> {
        let mut gradient = self.design.transposed(slopes);
        let last = w.len() - 1;
        gradient[..last].iter_mut().zip(w).for_each(|(g, w)| *g += self.l2 * w);
        gradient
    }

    /// 1 / the diagonal of the second derivative.
    fn scale(&self, curvatures: &[f64]) -> Vec<f64> {
        let mut diagonal = self.design.diagonal(curvatures);
        let last = diagonal.len() - 1;
        diagonal[..last].iter_mut().for_each(|d| *d += self.l2);
        diagonal.into_iter().map(|d| 1.0 / d.max(1e-12)).collect()
    }

    /// Moves `w` to the minimum, or until `stop` says so, which is asked before each iteration.
    pub(super) fn minimise(&self, w: &mut [f64], stop: &mut dyn FnMut() -> bool) -> Ended {
        let mut z = vec![0.0; self.labels.len()];
        self.design.margins(w, &mut z);
        let mut loss = self.mean_loss(|b| z[b]);
        let (slopes, curvatures) = self.slopes(&z);
        let scale = self.scale(&curvatures);
        let mut gradient = self.gradient(w, &slopes);
        let mut memory = Memory::default();
        let mut along = vec![0.0; z.len()];
        let mut iterations = 0;
        while !self.is_minimum(&gradient, &scale) && iterations < ITERATIONS && !stop() {
            iterations += 1;
            let direction = memory.direction(&gradient, &scale);
            self.design.margins(&direction, &mut along);
            let Some((step, new)) = self.line_search((w, &z, loss), (&direction, &along), &gradient) else {
                break;
            };
            w.iter_mut().zip(&direction).for_each(|(w, d)| *w += step * d);
            z.iter_mut().zip(&along).for_each(|(z, d)| *z += step * d);
            loss = new;
            let next = self.gradient(w, &self.slopes(&z).0);
            let moved: Vec<f64> = direction.iter().map(|d| step * d).collect();
            let turned: Vec<f64> = next.iter().zip(&gradient).map(|(a, b)| a - b).collect();
            memory.push(moved, turned);
            gradient = next;
        }
        let converged = self.is_minimum(&gradient, &scale);
        Ended { iterations, loss, gradient: largest(&gradient), converged }
    }

    fn is_minimum(&self, gradient: &[f64], scale: &[f64]) -> bool {
        let gain = || 0.5 * gradient.iter().zip(scale).map(|(g, scale)| g * g * scale).sum::<f64>();
        largest(gradient) <= self.tolerance && gain() <= GAIN * self.tolerance
    }

    /// A step along the direction that decreases f enough (Armijo), and the loss there. Margins are linear in
    /// it, so a trial costs no pass over the columns.
    fn line_search(
        &self,
        (w, z, loss): (&[f64], &[f64], f64),
        (direction, along): (&[f64], &[f64]),
        gradient: &[f64],
    ) -> Option<(f64, f64)> {
        let (slope, before) = (dot(gradient, direction), loss + self.penalty(w));
        let mut step = 1.0;
        for _ in 0..50 {
            let moved: Vec<f64> = w.iter().zip(direction).map(|(w, d)| w + step * d).collect();
            let new = self.mean_loss(|b| z[b] + step * along[b]);
            if new + self.penalty(&moved) <= before + 1e-4 * step * slope {
                return Some((step, new));
            }
            step *= 0.5;
        }
        None
    }
}

/// The last moves and how the gradient turned along them.
#[derive(Default)]
struct Memory {
    pairs: VecDeque<(Vec<f64>, Vec<f64>, f64)>,
}

impl Memory {
    fn push(&mut self, moved: Vec<f64>, turned: Vec<f64>) {
        let curvature = dot(&moved, &turned);
        if curvature <= 1e-300 {
            return;
        }
        if self.pairs.len() == MEMORY {
            self.pairs.pop_front();
        }
        self.pairs.push_back((moved, turned, 1.0 / curvature));
    }

    /// The two-loop recursion: minus the gradient, times the inverse of the second derivative as far as the
    /// pairs tell and as `scale` guesses otherwise.
    fn direction(&self, gradient: &[f64], scale: &[f64]) -> Vec<f64> {
        let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
        let mut factors = Vec::with_capacity(self.pairs.len());
        for (moved, turned, rho) in self.pairs.iter().rev() {
            let a = rho * dot(moved, &q);
            q.iter_mut().zip(turned).for_each(|(q, y)| *q -= a * y);
            factors.push(a);
        }
        let gamma = self.pairs.back().map_or(1.0, |(_, turned, rho)| {
            let scaled: f64 = turned.iter().zip(scale).map(|(y, s)| y * y * s).sum();
            1.0 / (rho * scaled.max(1e-300))
        });
        q.iter_mut().zip(scale).for_each(|(q, s)| *q *= gamma * s);
        for ((moved, turned, rho), a) in self.pairs.iter().zip(factors.into_iter().rev()) {
            let b = rho * dot(turned, &q);
            q.iter_mut().zip(moved).for_each(|(q, s)| *q += (a - b) * s);
        }
        q
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest, value| value.abs().max(largest))
}
