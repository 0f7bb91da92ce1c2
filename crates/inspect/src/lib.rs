//! Floor 2 of dlrm: what a data set holds, and what is wrong with it.
//!
//! * [`profile`]: one streaming pass over an input: facts, warnings and an inferred schema.
//! * [`findings`]: a second pass, over the rows of all parts: leaks, shared rows, drift, and what training
//!   will take.
#![forbid(unsafe_code)]

pub mod findings;
pub mod profile;
