//! Floor 2 of dlrm: the ranks of an MPI job as a [`Communicator`](https://docs.rs/dlrm-cluster).
//!
//! Only with the feature `mpi`, which links the MPI of the system (Open MPI, MPICH and what is built on them)
//! through [rsmpi](https://crates.io/crates/mpi); without it there is nothing here.
#![forbid(unsafe_code)]

#[cfg(feature = "mpi")]
mod exchange;
#[cfg(feature = "mpi")]
mod job;

#[cfg(feature = "mpi")]
pub use job::{Mpi, MpiError};
