//! Models: loaded, by name, and exchanged while requests are answered.
mod items;
mod loaded;
mod loader;
mod parts;
mod registry;
mod watch;

pub(crate) use loaded::Loaded;
pub(crate) use loader::{Loader, Orders};
pub(crate) use parts::Parts;
pub use registry::ModelSource;
pub(crate) use registry::{Registry, Reload, Snapshot, Status};
pub(crate) use watch::Watch;
