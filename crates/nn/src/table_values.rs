//! How the numbers of embedding tables are kept.
use crate::init::Init;
use crate::placement::HeldRows;
use dlrm_kernels::Buffer;
use dlrm_kernels::half::{Numbers, NumbersMut};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// How the numbers of embedding tables are kept. Their optimiser's state is f32 either way; so is everything
/// of a compressed feature's two tables, which are small, and the weights of learned pooling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TablePrecision {
    /// In 32 bits.
    #[default]
    F32,
    /// In 16 bits, rounded stochastically: the range of f32, eight bits of precision.
    Bf16,
    /// In 16 bits, rounded stochastically: eleven bits of precision, from 6e-8 to 65504.
    F16,
}

impl TablePrecision {
    /// Bytes of a number.
    pub fn bytes(self) -> usize {
        match self {
            TablePrecision::F32 => 4,
            TablePrecision::Bf16 | TablePrecision::F16 => 2,
        }
    }
}

/// The numbers of a table.
#[derive(Debug, Clone)]
pub enum Values {
    /// In 32 bits.
    F32(Buffer),
    /// As bf16.
    Bf16(Buffer<u16>),
    /// As f16.
    F16(Buffer<u16>),
}

impl Values {
    /// How they are kept.
    pub fn precision(&self) -> TablePrecision {
        match self {
            Values::F32(_) => TablePrecision::F32,
            Values::Bf16(_) => TablePrecision::Bf16,
            Values::F16(_) => TablePrecision::F16,
        }
    }

    /// `len` zeros.
    pub(crate) fn zeroed(precision: TablePrecision, len: usize) -> Self {
        match precision {
            TablePrecision::F32 => Values::F32(Buffer::zeroed(len)),
            TablePrecision::Bf16 => Values::Bf16(Buffer::zeroed(len)),
            TablePrecision::F16 => Values::F16(Buffer::zeroed(len)),
        }
    }

    /// For reading.
    pub fn view(&self) -> Numbers<'_> {
        match self {
            Values::F32(x) => Numbers::F32(x),
            Values::Bf16(x) => Numbers::Bf16(x),
            Values::F16(x) => Numbers::F16(x),
        }
    }

    /// For writing.
    pub fn view_mut(&mut self) -> NumbersMut<'_> {
        match self {
            Values::F32(x) => NumbersMut::F32(x),
            Values::Bf16(x) => NumbersMut::Bf16(x),
            Values::F16(x) => NumbersMut::F16(x),
        }
    }

    /// Initial values of those rows of the parameter `name` that are held: each as where all are.
    pub(crate) fn fill_rows(&mut self, init: Init, held: HeldRows, dim: usize, (seed, name): (u64, &str)) {
        const ROWS: usize = 1 << 10;
        if held.is_all() || held.is_none() {
            return self.fill(init, seed, name);
        }
        let key = Init::key(seed, name);
        let chunks: Vec<_> = match self {
            Values::F32(x) => x.chunks_mut(ROWS * dim).map(NumbersMut::F32).collect(),
            Values::Bf16(x) => x.chunks_mut(ROWS * dim).map(NumbersMut::Bf16).collect(),
            Values::F16(x) => x.chunks_mut(ROWS * dim).map(NumbersMut::F16).collect(),
        };
        chunks.into_par_iter().enumerate().for_each(|(number, mut chunk)| {
            let mut wide = vec![0.0; chunk.view().len()];
            for (place, row) in wide.chunks_mut(dim).enumerate() {
                init.fill_from(row, key, held.row(number * ROWS + place) * dim);
            }
            chunk.set(&wide);
        });
    }

    /// Initial values of the parameter `name`: the nearest to those that an f32 table begins with.
    pub(crate) fn fill(&mut self, init: Init, seed: u64, name: &str) {
        const CHUNK: usize = 1 << 14;
        let chunks: Vec<_> = match self {
            Values::F32(x) => return init.fill(x, seed, name),
            Values::Bf16(x) => x.chunks_mut(CHUNK).map(NumbersMut::Bf16).collect(),
            Values::F16(x) => x.chunks_mut(CHUNK).map(NumbersMut::F16).collect(),
        };
        let key = Init::key(seed, name);
        chunks.into_par_iter().enumerate().for_each(|(number, mut chunk)| {
            let mut wide = vec![0.0; chunk.view().len()];
            init.fill_from(&mut wide, key, number * CHUNK);
            chunk.set(&wide);
        });
    }
}
