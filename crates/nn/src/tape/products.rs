//! Products of vectors: interactions, cross terms, gates.
use super::{Back, Op, Tape, Var, gradient_of, grown, value};
use crate::weights::ParamId;
use dlrm_kernels::dot_interaction::{self, Dims, Pairs};
use dlrm_kernels::{elementwise, interaction};

impl Tape<'_> {
    /// Dot products of all pairs of the `fields` vectors of each row: [S, F·D] → [S, P].
    pub fn dot_interaction(&mut self, x: Var, fields: usize, pairs: Pairs) -> Var {
        let isa = self.isa;
        let d = Dims { rows: self.rows, fields, dim: self.width(x) / fields.max(1), pairs };
        self.push(Op::DotInteraction { x, fields, pairs }, d.pairs(), |z, inputs| {
            let scratch = grown(inputs.scratch, dot_interaction::scratch_len(d));
            let x = value(inputs.nodes, inputs.values, inputs.dense, inputs.rows, x);
            dot_interaction::forward(isa, z, x, d, scratch);
        })
    }

    /// All pairwise element-wise products of the `fields` vectors of each row, summed: [S, F·D] → [S, D].
    pub fn second_order(&mut self, x: Var, fields: usize) -> Var {
        let (isa, dim) = (self.isa, self.width(x) / fields.max(1));
        self.push(Op::SecondOrder { x, fields }, dim, |y, inputs| {
            interaction::fm_interaction(isa, y, inputs.value(x), fields, dim)
        })
    }

    /// Σ_{i<j} <v_ij, v_ji> where field i has a vector for each field j: [S, F·F·D] → [S, 1].
    pub fn field_aware(&mut self, x: Var, fields: usize) -> Var {
        let (isa, dim) = (self.isa, self.width(x) / (fields * fields).max(1));
        self.push(Op::FieldAware { x, fields }, 1, |y, inputs| {
            interaction::ffm_interaction(isa, y, inputs.value(x), fields, dim)
        })
    }

    /// Outer products block by block: [S, C·H] and [S, C·M] → [S, C·H·M] for C `blocks`.
    pub fn outer(&mut self, a: Var, b: Var, blocks: usize) -> Var {
        let (isa, shape) = (self.isa, (self.width(a) / blocks, self.width(b) / blocks));
        self.push(Op::Outer { a, b, blocks }, blocks * shape.0 * shape.1, |y, inputs| {
            interaction::outer(isa, y, inputs.value(a), inputs.value(b), shape);
        })
    }

    /// [S, F, D] → [S, D, F].
    pub fn transpose(&mut self, x: Var, fields: usize) -> Var {
        let width = self.width(x);
        self.push(Op::Transpose { x, fields }, width, |y, inputs| {
            y.fill(0.0);
            add_transposed(y, inputs.value(x), fields, width / fields.max(1));
        })
    }

    /// Each dense input times its learned vector [n, D]: [S, n] → [S, n·D].
    pub fn dense_vectors(&mut self, x: Var, vectors: ParamId) -> Var {
        let (values, n) = (self.weights.values(vectors), self.width(x));
        let dim = values.len().checked_div(n).unwrap_or(0);
        self.push(Op::DenseVectors { x, vectors }, values.len(), |y, inputs| {
            for (y, x) in y.chunks_exact_mut(values.len().max(1)).zip(inputs.value(x).chunks_exact(n.max(1)))
            {
                for ((y, v), &x) in y.chunks_exact_mut(dim).zip(values.chunks_exact(dim)).zip(x) {
                    y.iter_mut().zip(v).for_each(|(y, &v)| *y = x * v);
                }
            }
        })
    }

    /// a ⊙ b, of the same shape.
    pub fn mul(&mut self, a: Var, b: Var) -> Var {
        let (isa, width) = (self.isa, self.width(a));
        assert_eq!(width, self.width(b), "factors of one width");
        self.push(Op::Mul(a, b), width, |y, inputs| {
            y.fill(0.0);
            elementwise::add_product(isa, y, inputs.value(a), inputs.value(b));
        })
    }

    /// Every row of x [S, N] times its scale [S, 1].
    pub fn scale_rows(&mut self, x: Var, scales: Var) -> Var {
        let (isa, width) = (self.isa, self.width(x));
        assert_eq!(self.width(scales), 1, "one scale per row");
        self.push(Op::ScaleRows { x, scales }, width, |y, inputs| {
            y.fill(0.0);
            elementwise::add_scaled_rows(isa, y, inputs.value(x), inputs.value(scales));
        })
    }

    /// Softmax over the columns of each row.
    pub fn softmax(&mut self, x: Var) -> Var {
        let n = self.width(x);
        self.push(Op::Softmax(x), n, |y, inputs| {
            for (y, x) in y.chunks_exact_mut(n.max(1)).zip(inputs.value(x).chunks_exact(n.max(1))) {
                let largest = x.iter().fold(f32::NEG_INFINITY, |m, &x| m.max(x));
                y.iter_mut().zip(x).for_each(|(y, &x)| *y = (x - largest).exp());
                let sum: f32 = y.iter().sum();
                y.iter_mut().for_each(|y| *y /= sum);
            }
        })
    }
}

/// y[s, d, f] += x[s, f, d]
fn add_transposed(y: &mut [f32], x: &[f32], fields: usize, dim: usize) {
    let size = (fields * dim).max(1);
    for (y, x) in y.chunks_exact_mut(size).zip(x.chunks_exact(size)) {
        for (f, x) in x.chunks_exact(dim).enumerate() {
            y.iter_mut().skip(f).step_by(fields).zip(x).for_each(|(y, &x)| *y += x);
        }
    }
}

impl Back<'_> {
    pub(super) fn dot_interaction(&mut self, dy: &[f32], x: Var, fields: usize, pairs: Pairs) {
        let d = Dims { rows: self.rows, fields, dim: self.width_of(x) / fields.max(1), pairs };
        let x_value = self.value(x);
        if let Some(dx) = gradient_of(self.nodes, (self.before, self.touched), self.rows, x) {
            dot_interaction::backward(
                self.isa,
                dx,
                dy,
                x_value,
                d,
                grown(self.scratch, dot_interaction::scratch_len(d)),
            );
        }
    }

    pub(super) fn second_order(&mut self, dy: &[f32], x: Var, fields: usize) {
        let (x_value, dim) = (self.value(x), self.width);
        if let Some(dx) = gradient_of(self.nodes, (self.before, self.touched), self.rows, x) {
            interaction::fm_interaction_backward(self.isa, dx, dy, x_value, fields, dim);
        }
    }

    pub(super) fn field_aware(&mut self, dy: &[f32], x: Var, fields: usize) {
        let (x_value, dim) = (self.value(x), self.width_of(x) / (fields * fields).max(1));
        if let Some(dx) = gradient_of(self.nodes, (self.before, self.touched), self.rows, x) {
            interaction::ffm_interaction_backward(self.isa, dx, dy, x_value, fields, dim);
        }
    }

    pub(super) fn outer(&mut self, dy: &[f32], a: Var, b: Var, blocks: usize) {
        let shape = (self.width_of(a) / blocks, self.width_of(b) / blocks);
        let (a_value, b_value) = (self.value(a), self.value(b));
        if let Some(da) = gradient_of(self.nodes, (self.before, self.touched), self.rows, a) {
            interaction::outer_backward_left(self.isa, da, dy, b_value, shape);
        }
        if let Some(db) = gradient_of(self.nodes, (self.before, self.touched), self.rows, b) {
            interaction::outer_backward_right(self.isa, db, dy, a_value, shape);
        }
    }

    pub(super) fn transpose(&mut self, dy: &[f32], x: Var, fields: usize) {
        let dim = self.width / fields.max(1);
        if let Some(dx) = gradient_of(self.nodes, (self.before, self.touched), self.rows, x) {
            add_transposed(dx, dy, dim, fields);
        }
    }

    pub(super) fn dense_vectors(&mut self, dy: &[f32], x: Var, vectors: ParamId) {
        let (x_value, n) = (self.value(x), self.width_of(x));
        let dim = self.width.checked_div(n).unwrap_or(0);
        let dv = self.lane.slot(self.weights, vectors);
        for (dy, x) in dy.chunks_exact(self.width.max(1)).zip(x_value.chunks_exact(n.max(1))) {
            for ((dv, dy), &x) in dv.chunks_exact_mut(dim).zip(dy.chunks_exact(dim)).zip(x) {
                dv.iter_mut().zip(dy).for_each(|(dv, &dy)| *dv += x * dy);
            }
        }
    }

    pub(super) fn mul(&mut self, dy: &[f32], a: Var, b: Var) {
        for (own, other) in [(a, b), (b, a)] {
            let factor = self.value(other);
            if let Some(dx) = gradient_of(self.nodes, (self.before, self.touched), self.rows, own) {
                elementwise::add_product(self.isa, dx, dy, factor);
            }
        }
    }

    pub(super) fn scale_rows(&mut self, dy: &[f32], x: Var, scales: Var) {
        let (x_value, factor) = (self.value(x), self.value(scales));
        if let Some(dx) = gradient_of(self.nodes, (self.before, self.touched), self.rows, x) {
            elementwise::add_scaled_rows(self.isa, dx, dy, factor);
        }
        if let Some(ds) = gradient_of(self.nodes, (self.before, self.touched), self.rows, scales) {
            elementwise::row_dots(self.isa, ds, dy, x_value);
        }
    }

    /// dx += y ⊙ (dy - <dy, y>)
    pub(super) fn softmax(&mut self, dy: &[f32], y: &[f32], x: Var) {
        let n = self.width.max(1);
        if let Some(dx) = gradient_of(self.nodes, (self.before, self.touched), self.rows, x) {
            for ((dx, dy), y) in dx.chunks_exact_mut(n).zip(dy.chunks_exact(n)).zip(y.chunks_exact(n)) {
                let mean: f32 = dy.iter().zip(y).map(|(&dy, &y)| dy * y).sum();
                dx.iter_mut().zip(dy).zip(y).for_each(|((dx, &dy), &y)| *dx += y * (dy - mean));
            }
        }
    }
}
