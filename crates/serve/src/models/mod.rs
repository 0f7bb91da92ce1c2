//! Models: loaded, by name, and exchanged while requests are answered.
mod loaded;
mod registry;
mod watch;

pub(crate) use loaded::Loaded;
pub use registry::ModelSource;
pub(crate) use registry::{Registry, Reload, Snapshot, Status};
pub(crate) use watch::Watch;
