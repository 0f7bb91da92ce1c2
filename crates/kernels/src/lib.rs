//! Floor 0 of dlrm: numeric kernels. The only crate with `unsafe` (beside one mmap in `data`).
//!
//! Slices in, slices out: no allocation on the hot path, no threads, no logging, no `Result`; preconditions are asserted
//! once at the safe door of each kernel. Every kernel has a `reference` written as the definition,
//! generic over f32 and f64; the fast path is one algorithm that the instruction sets only bind
//! ([`isa`]). "backward" functions add to their outputs.
//!
//! Shape legend: B rows of a batch, F fields, D embedding dim, N outputs, K inputs of a layer.

#[macro_use]
mod bind;
mod copy;
mod hash;

pub mod activation;
pub mod bf16;
pub mod buffer;
pub mod dot_interaction;
pub mod elementwise;
pub mod embedding;
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
