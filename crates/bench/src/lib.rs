//! Synthetic training workloads, and how near they come to the limits of the machine; a server under load.
//!
//! | file | noun |
//! |---|---|
//! | `workload` | shapes, their memory, networks and batches |
//! | `epoch_time` | rows per second of a model on data of a given shape |
//! | `machine` | what the machine can do at most, measured in this process |
//! | `memory`, `cgroup` | what the system says of memory |
//! | `cores` | what the system says of the cores of this process |
//! | `measure` | rows per second and times of a workload's steps |
//! | `breakdown` | thread time by operator |
//! | `earlier` | what an earlier run measured |
//! | `loading` | how long a saved model takes to load |
//! | `load` | a running server under requests that are due at fixed times |
#![forbid(unsafe_code)]

mod breakdown;
mod cgroup;
mod cores;
mod earlier;
mod epoch_time;
pub mod load;
mod loading;
mod machine;
mod measure;
pub mod memory;
mod workload;

pub use breakdown::{Operator, StepShare};
pub use cores::{Cores, cores};
pub use earlier::{Earlier, MachineThen};
pub use epoch_time::{EpochTimeEstimate, EstimateOptions};
pub use loading::Loading;
pub use machine::{BAG, Machine, MachineSize, Peaks, RandomRows};
pub use measure::{Bench, Floor, Measured, Rate, Windows, rows_per_second};
pub use workload::Workload;
