//! Layers: sums, biases, activations, normalisation, dropout.
use super::{Back, Inputs, Mode, Op, Tape, Var, gradient_of, gradient_to_write, grown, value};
use crate::layer::{Operands, Target};
use crate::weights::{BatchNorm, ParamId, Weights};
use dlrm_kernels::activation::{self, Activation, ActivationGradients};
use dlrm_kernels::elementwise;
use dlrm_kernels::matmul::{Epilogue, View};
use dlrm_kernels::norm::{self, Columns, NormGradients};
use std::ops::Range;

impl Tape<'_> {
    /// a + b, of the same shape.
    pub fn add(&mut self, a: Var, b: Var) -> Var {
        let (isa, width) = (self.isa, self.width(a));
        assert_eq!(width, self.width(b), "summands of one width");
        self.push(Op::Add(a, b), width, |y, inputs| {
            y.copy_from_slice(inputs.value(a));
            elementwise::add(isa, y, inputs.value(b));
        })
    }

    /// x + bias in every row.
    pub fn add_bias(&mut self, x: Var, bias: ParamId) -> Var {
        let (isa, width, bias_values) = (self.isa, self.width(x), self.weights.values(bias));
        assert_eq!(width, bias_values.len(), "one bias per column");
        self.push(Op::AddBias { x, bias }, width, |y, inputs| {
            y.copy_from_slice(inputs.value(x));
            y.chunks_exact_mut(width.max(1)).for_each(|y| elementwise::add(isa, y, bias_values));
        })
    }

    /// Sum over the columns: [S, N] → [S, 1].
    pub fn sum_columns(&mut self, x: Var) -> Var {
        let n = self.width(x);
        self.push(Op::SumColumns(x), 1, |y, inputs| {
            for (y, x) in y.iter_mut().zip(inputs.value(x).chunks_exact(n.max(1))) {
                *y = x.iter().sum();
            }
        })
    }

    /// Sum over `blocks` blocks of columns: [S, C·N] → [S, N].
    pub fn sum_blocks(&mut self, x: Var, blocks: usize) -> Var {
        let (isa, width) = (self.isa, self.width(x));
        let n = width / blocks.max(1);
        self.push(Op::SumBlocks { x, blocks }, n, |y, inputs| {
            y.fill(0.0);
            for (y, x) in y.chunks_exact_mut(n.max(1)).zip(inputs.value(x).chunks_exact(width.max(1))) {
                x.chunks_exact(n.max(1)).for_each(|x| elementwise::add(isa, y, x));
            }
        })
    }

    /// Some columns: [S, N] → [S, len].
    pub fn slice(&mut self, x: Var, columns: Range<usize>) -> Var {
        let (width, n) = (columns.len(), self.width(x));
        self.push(Op::Slice { x, columns: columns.clone() }, width, |y, inputs| {
            for (y, x) in y.chunks_exact_mut(width.max(1)).zip(inputs.value(x).chunks_exact(n.max(1))) {
                y.copy_from_slice(&x[columns.clone()]);
            }
        })
    }

    /// curve(x), element by element.
    pub fn curve(&mut self, x: Var, curve: Activation) -> Var {
        let (isa, width) = (self.isa, self.width(x));
        self.push(Op::Curve { x, curve }, width, |y, inputs| {
            activation::forward(isa, y, inputs.value(x), curve, &[])
        })
    }

    /// x where x > 0, else slope · x, with one learned slope per column.
    pub fn prelu(&mut self, x: Var, slopes: ParamId) -> Var {
        let (isa, width, slope_values) = (self.isa, self.width(x), self.weights.values(slopes));
        self.push(Op::Prelu { x, slopes }, width, |y, inputs| {
            activation::forward(isa, y, inputs.value(x), Activation::Prelu, slope_values);
        })
    }

    /// Rows normalised to mean 0 and variance 1, times gain, plus bias.
    pub fn layer_norm(&mut self, x: Var, gain: ParamId, bias: ParamId) -> Var {
        let (isa, width) = (self.isa, self.width(x));
        let (gains, biases) = (self.weights.values(gain), self.weights.values(bias));
        self.push(Op::LayerNorm { x, gain, bias }, width, |y, inputs| {
            norm::layer(isa, y, inputs.value(x), gains, biases)
        })
    }

    /// Columns normalised: in training by the moments of this shard (ghost batch normalisation, Hoffer et al. 2017),
    /// in inference by the running statistics, which are those of whole batches.
    pub fn batch_norm(&mut self, x: Var, index: usize) -> Var {
        let (isa, width, weights) = (self.isa, self.width(x), self.weights);
        let BatchNorm { gain, bias, mean, variance } = weights.norms[index];
        let saved = (self.mode != Mode::Inference).then_some(self.arena.saved.len());
        self.push(Op::BatchNorm { x, norm: index, saved }, width, |y, inputs| {
            let Inputs { nodes, values, dense, rows, scratch, saved: kept, .. } = inputs;
            let x = value(nodes, values, dense, rows, x);
            let (gamma, beta) = (weights.values(gain), weights.values(bias));
            let moments = match saved {
                Some(at) => {
                    // [mean, variance, scale] of the shard, kept for the way back.
                    kept.resize(at + 3 * width, 0.0);
                    let (mean, rest) = kept[at..].split_at_mut(width);
                    let (variance, scale) = rest.split_at_mut(width);
                    norm::column_moments(isa, mean, variance, x);
                    scale.copy_from_slice(variance);
                    norm::scales(scale);
                    Columns { mean, scale, gamma, beta }
                }
                None => {
                    let scale = grown(scratch, width);
                    scale.copy_from_slice(weights.values(variance));
                    norm::scales(scale);
                    Columns { mean: weights.values(mean), scale, gamma, beta }
                }
            };
            norm::batch(isa, y, x, moments);
        })
    }

    /// In training, zeroes elements with probability `rate` and scales the others by 1 / (1 - rate). Which ones depends
    /// on seed, step, layer, row of the batch and column, not on shards or threads.
    pub fn dropout(&mut self, x: Var, rate: f32) -> Var {
        if rate == 0.0 {
            return x;
        }
        let (isa, width) = (self.isa, self.width(x));
        let by = dropout_at(self.mode, self.arena.nodes.len() as u32, self.first, rate);
        self.push(Op::Dropout { x, rate }, width, |y, inputs| match by {
            Some(by) => {
                y.fill(0.0);
                norm::dropout(isa, y, inputs.value(x), width, by);
            }
            None => y.copy_from_slice(inputs.value(x)),
        })
    }
}

/// What dropout node `index` drops in rows from `first_row` on.
fn dropout_at(mode: Mode, index: u32, first_row: usize, rate: f32) -> Option<norm::Dropout> {
    match mode {
        Mode::Inference => None,
        Mode::Training { key } => Some(norm::Dropout {
            key: key ^ u64::from(index + 1).wrapping_mul(0xA076_1D64_78BD_642F),
            first_row,
            rate,
        }),
    }
}

impl Back<'_> {
    /// dW += dyᵀ x, db += column sums of dy (in the lane), dx += dy W.
    pub(super) fn linear(
        &mut self,
        dy: &[f32],
        x: Var,
        (weight, bias): (ParamId, Option<ParamId>),
        blocks: usize,
        operands: &mut Operands,
    ) {
        let (isa, weights, rows) = (self.isa, self.weights, self.rows * blocks);
        let (n, k) = (self.width / blocks.max(1), self.width_of(x) / blocks.max(1));
        let x_value = View::of(self.value(x), k);
        let epilogue = if self.lane.take_fresh(weight.0 as usize) { Epilogue::Set } else { Epilogue::Add };
        let dw = &mut self.lane.dense[weights.params[weight.0 as usize].range.clone()];
        let to = Target { c: dw, columns: k, rows: n, epilogue };
        operands.outer(isa, weights.precision(), to, View::of(dy, n), (x_value, rows));
        if let Some(bias) = bias {
            self.add_bias(dy, bias);
        }
        if let Some((dx, first)) = gradient_to_write(self.nodes, (self.before, self.touched), self.rows, x) {
            let epilogue = if first { Epilogue::Set } else { Epilogue::Add };
            let to = Target { c: dx, columns: k, rows, epilogue };
            weights.layer(weight).backward(isa, to, (View::of(dy, n), n), operands);
        }
    }

    /// db += column sums of dy, in the lane.
    pub(super) fn add_bias(&mut self, dy: &[f32], bias: ParamId) {
        elementwise::column_sums(self.isa, self.lane.slot(self.weights, bias), dy);
    }

    pub(super) fn add(&mut self, dy: &[f32], x: Var) {
        match gradient_to_write(self.nodes, (self.before, self.touched), self.rows, x) {
            Some((dx, true)) => dx.copy_from_slice(dy),
            Some((dx, false)) => elementwise::add(self.isa, dx, dy),
            None => {}
        }
    }

    /// dx += the columns of dy from `column` on.
    pub(super) fn columns(&mut self, dy: &[f32], x: Var, column: usize) {
        let (own, width) = (self.width_of(x), self.width);
        let dx = gradient_to_write(self.nodes, (self.before, self.touched), self.rows, x).filter(|_| own > 0);
        let Some((dx, first)) = dx else { return };
        for (dx, dy) in dx.chunks_exact_mut(own).zip(dy.chunks_exact(width)) {
            let dy = &dy[column..column + own];
            if first { dx.copy_from_slice(dy) } else { elementwise::add(self.isa, dx, dy) }
        }
    }

    /// The columns of dx from `column` on += dy.
    pub(super) fn slice(&mut self, dy: &[f32], x: Var, column: usize) {
        let (own, width) = (self.width_of(x), self.width);
        if let Some(dx) =
            gradient_of(self.nodes, (self.before, self.touched), self.rows, x).filter(|_| width > 0)
        {
            for (dx, dy) in dx.chunks_exact_mut(own).zip(dy.chunks_exact(width)) {
                dx[column..column + width].iter_mut().zip(dy).for_each(|(dx, &dy)| *dx += dy);
            }
        }
    }

    pub(super) fn sum_columns(&mut self, dy: &[f32], x: Var) {
        let n = self.width_of(x).max(1);
        if let Some(dx) = gradient_of(self.nodes, (self.before, self.touched), self.rows, x) {
            for (dx, &dy) in dx.chunks_exact_mut(n).zip(dy) {
                dx.iter_mut().for_each(|dx| *dx += dy);
            }
        }
    }

    pub(super) fn sum_blocks(&mut self, dy: &[f32], x: Var, blocks: usize) {
        let (isa, n) = (self.isa, self.width.max(1));
        if let Some(dx) = gradient_of(self.nodes, (self.before, self.touched), self.rows, x) {
            for (dx, dy) in dx.chunks_exact_mut(n * blocks).zip(dy.chunks_exact(n)) {
                dx.chunks_exact_mut(n).for_each(|dx| elementwise::add(isa, dx, dy));
            }
        }
    }

    pub(super) fn curve(&mut self, dy: &[f32], x: Var, curve: Activation) {
        let x_value = self.value(x);
        if let Some(dx) = gradient_of(self.nodes, (self.before, self.touched), self.rows, x) {
            let into = ActivationGradients { dx, dslopes: &mut [] };
            activation::backward(self.isa, into, dy, x_value, curve, &[]);
        }
    }

    pub(super) fn prelu(&mut self, dy: &[f32], x: Var, slopes: ParamId) {
        let (x_value, slope_values) = (self.value(x), self.weights.values(slopes));
        let ds = self.lane.slot(self.weights, slopes);
        if let Some(dx) = gradient_of(self.nodes, (self.before, self.touched), self.rows, x) {
            let into = ActivationGradients { dx, dslopes: ds };
            activation::backward(self.isa, into, dy, x_value, Activation::Prelu, slope_values);
        }
    }

    pub(super) fn layer_norm(&mut self, dy: &[f32], x: Var, gain: ParamId, bias: ParamId) {
        let (x_value, gains) = (self.value(x), self.weights.values(gain));
        let [dgamma, dbeta] = self.lane.slots(self.weights, [gain, bias]);
        if let Some(dx) = gradient_of(self.nodes, (self.before, self.touched), self.rows, x) {
            norm::layer_backward(self.isa, NormGradients { dx, dgamma, dbeta }, dy, x_value, gains);
        }
    }

    /// Gradients, and the shard's share of the running statistics: Σ n (mean - r) and Σ n (variance + (mean - r)²),
    /// where r is the running mean, from which those of the whole batch follow.
    pub(super) fn batch_norm(&mut self, dy: &[f32], x: Var, index: usize, saved: Option<&[f32]>) {
        let saved = saved.expect("only training goes back");
        let (weights, width, n) = (self.weights, self.width, self.rows as f32);
        let BatchNorm { gain, bias, mean, variance } = weights.norms[index];
        let (means, variances, scale) =
            (&saved[..width], &saved[width..2 * width], &saved[2 * width..3 * width]);
        let [sum, squares] = self.lane.slots(weights, [mean, variance]);
        for (j, &running) in weights.values(mean).iter().enumerate() {
            let shift = means[j] - running;
            sum[j] += n * shift;
            squares[j] += n * (variances[j] + shift * shift);
        }
        let by = Columns { mean: means, scale, gamma: weights.values(gain), beta: weights.values(bias) };
        let x_value = self.value(x);
        let [dgamma, dbeta] = self.lane.slots(weights, [gain, bias]);
        if let Some(dx) = gradient_of(self.nodes, (self.before, self.touched), self.rows, x) {
            norm::batch_backward(
                self.isa,
                NormGradients { dx, dgamma, dbeta },
                dy,
                x_value,
                by,
                grown(self.scratch, 2 * width),
            );
        }
    }

    pub(super) fn dropout(
        &mut self,
        dy: &[f32],
        x: Var,
        mode: Mode,
        (index, first_row, rate): (u32, usize, f32),
    ) {
        let width = self.width;
        if let (Some(dx), Some(by)) = (
            gradient_of(self.nodes, (self.before, self.touched), self.rows, x),
            dropout_at(mode, index, first_row, rate),
        ) {
            norm::dropout(self.isa, dx, dy, width, by);
        }
    }
}

impl Weights {
    /// Moves the running statistics by a tenth towards those of the whole batch, as PyTorch does (its variance being
    /// over n - 1). `lane` is the reduced gradient, `rows` the batch.
    pub(crate) fn update_statistics(&mut self, lane: &[f32], rows: usize) {
        const MOMENTUM: f32 = 0.1;
        let n = rows as f32;
        for BatchNorm { mean, variance, .. } in self.norms.clone() {
            let [mean, variance] = [mean, variance].map(|p| self.params[p.0 as usize].range.clone());
            for (m, v) in mean.zip(variance) {
                let shift = lane[m] / n;
                self.dense[m] += MOMENTUM * shift;
                if rows > 1 {
                    let unbiased = (lane[v] / n - shift * shift).max(0.0) * n / (n - 1.0);
                    self.dense[v] += MOMENTUM * (unbiased - self.dense[v]);
                }
            }
        }
    }
}
