//! Floor 0 of dlrm: numeric kernels. The only crate with `unsafe` (beside one mmap in `data`).
//!
//! Slices in, slices out: no allocation on the hot path, no threads, no logging, no `Result`; preconditions
//! are asserted once at the safe door of each kernel. Every kernel has a `reference` written as the
//! definition, generic over f32 and f64; the fast path is one algorithm that the instruction sets only bind
//! ([`isa`]). "backward" functions add to their outputs.
//!
//! Shape legend: B rows of a batch, S rows of a shard of one, F fields, D embedding dim, R rows of a table,
//! N outputs (columns of a result), K inputs of a layer.
//!
//! No safe function runs an instruction that the CPU may lack: an [`Isa`] exists only where the CPU has its
//! level, and inside the crate a body that uses wide instructions takes a token of them (`simd`), which only
//! code compiled for them can make.

#[macro_use]
mod bind;
mod copy;
mod hash;
mod number_format;
mod simd;
mod strided;
mod vector;

pub mod activation;
pub mod allocator;
pub mod bf16;
pub mod buffer;
pub mod dot_interaction;
pub mod elementwise;
pub mod embedding;
pub mod exponential;
pub mod f16;
pub mod half;
pub mod interaction;
pub mod isa;
pub mod linear;
pub mod loss;
pub mod matmul;
pub mod norm;
pub mod optimizer;
pub mod peak;
pub mod prefetch;
pub mod quotient_remainder;
pub mod real;

pub use buffer::Buffer;
pub use isa::Isa;
pub use real::Real;
pub use strided::Strided;
