//! The models by name. One is loaded beside the one that answers and takes its place at once; one that fails
//! its checks never does.
use super::Loaded;
use super::watch::manifest;
use crate::catalogue::Catalogue;
use crate::refusal::{Code, Refusal};
use dlrm_engine::Error;
use dlrm_kernels::Isa;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Where a model is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelSource {
    /// What requests call it.
    pub name: String,
    /// Its run or model directory.
    pub dir: PathBuf,
}

/// All models that answer at one moment.
#[derive(Default)]
pub(crate) struct Snapshot {
    /// Rises with every change.
    pub(crate) generation: u64,
    pub(crate) models: Vec<Arc<Loaded>>,
}

/// The models.
pub(crate) struct Registry {
    slots: Vec<Slot>,
    isa: Isa,
    limit: Option<u64>,
    catalogue: Option<Arc<Catalogue>>,
    keys: Vec<String>,
    snapshot: RwLock<Arc<Snapshot>>,
    changed: Box<dyn Fn(u64) + Send + Sync>,
}

struct Slot {
    source: ModelSource,
    state: Mutex<State>,
    /// Held while one is loaded: two at once would take the memory of three.
    loading: Mutex<()>,
    /// What the directory said of itself when it was last loaded.
    read: Mutex<Option<Vec<u8>>>,
}

#[derive(Default, Clone)]
struct State {
    current: Option<Arc<Loaded>>,
    previous: Option<Arc<Loaded>>,
    failed: Option<String>,
}

/// What is known of a name.
pub(crate) struct Status {
    pub(crate) name: String,
    pub(crate) current: Option<Arc<Loaded>>,
    pub(crate) previous: Option<Arc<Loaded>>,
    /// Why the last attempt to load it failed, if it did.
    pub(crate) failed: Option<String>,
}

/// What became of loading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reload {
    /// A version took the place of another, or was the first.
    Swapped(String),
    /// The directory holds what answers already.
    Unchanged,
}

impl Registry {
    /// Names without models; rows may have `keys` that a model does not read. `changed` is told the
    /// generation of every change.
    pub(crate) fn new(
        sources: Vec<ModelSource>,
        (isa, limit): (Isa, Option<u64>),
        (catalogue, keys): (Option<Arc<Catalogue>>, Vec<String>),
        changed: impl Fn(u64) + Send + Sync + 'static,
    ) -> Self {
        let slot = |source| Slot {
            source,
            state: Mutex::default(),
            loading: Mutex::new(()),
            read: Mutex::default(),
        };
        let (slots, snapshot) = (sources.into_iter().map(slot).collect(), RwLock::default());
        Registry { slots, isa, limit, catalogue, keys, snapshot, changed: Box::new(changed) }
    }

    pub(crate) fn sources(&self) -> impl Iterator<Item = &ModelSource> {
        self.slots.iter().map(|slot| &slot.source)
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Loads what the directory of a model holds now, on the calling thread.
    ///
    /// # Errors
    /// If it cannot be loaded: what answered before goes on to.
    pub(crate) fn load(&self, name: &str) -> Result<Reload, Error> {
        let Some(slot) = self.slots.iter().find(|slot| slot.source.name == name) else {
            return Err(Error::config("model", "the name of a model", name));
        };
        let _loading = slot.loading.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the rest: what comes in between is then taken for new.
        let read = manifest(&slot.source.dir);
        let how = (self.isa, self.limit);
        let loaded = Loaded::load(name, &slot.source.dir, how, (self.catalogue.as_ref(), &self.keys));
        let mut state = slot.state.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = match loaded {
            Ok(loaded) => Arc::new(loaded),
            Err(error) => {
                state.failed = Some(error.to_string());
                return Err(error);
            }
        };
        state.failed = None;
        *slot.read.lock().unwrap_or_else(PoisonError::into_inner) = read;
        if state.current.as_ref().is_some_and(|current| current.version == loaded.version) {
            return Ok(Reload::Unchanged);
        }
        let version = loaded.version.clone();
        state.previous = state.current.replace(loaded);
        drop(state);
        self.publish();
        Ok(Reload::Swapped(version))
    }

    /// What the directory of a model said of itself when it was last loaded.
    pub(crate) fn last_read(&self, name: &str) -> Option<Vec<u8>> {
        let slot = self.slots.iter().find(|slot| slot.source.name == name)?;
        slot.read.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets the version before the current one answer again; the current one is then the one before.
    pub(crate) fn roll_back(&self, name: &str) -> Result<String, Refusal> {
        let slot = self.slot(name)?;
        let mut state = slot.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(previous) = state.previous.take() else {
            return Err(Refusal::new(
                Code::NotFound,
                format!("model \"{name}\" has no version before this one"),
            ));
        };
        let version = previous.version.clone();
        state.previous = state.current.replace(previous);
        drop(state);
        self.publish();
        Ok(version)
    }

    /// Lets a model answer no longer.
    pub(crate) fn unload(&self, name: &str) -> Result<(), Refusal> {
        *self.slot(name)?.state.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
        self.publish();
        Ok(())
    }

    fn publish(&self) {
        let mut snapshot = self.snapshot.write().unwrap_or_else(PoisonError::into_inner);
        let models = self.statuses().into_iter().filter_map(|status| status.current).collect();
        let generation = snapshot.generation + 1;
        *snapshot = Arc::new(Snapshot { generation, models });
        drop(snapshot);
        (self.changed)(generation);
    }

    pub(crate) fn statuses(&self) -> Vec<Status> {
        let status = |slot: &Slot| {
            let state = slot.state.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let State { current, previous, failed } = state;
            Status { name: slot.source.name.clone(), current, previous, failed }
        };
        self.slots.iter().map(status).collect()
    }

    /// The model of a name, in this version or its newest.
    pub(crate) fn find(&self, name: &str, version: Option<&str>) -> Result<Arc<Loaded>, Refusal> {
        let state = self.slot(name)?.state.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let known: Vec<Arc<Loaded>> = state.current.into_iter().chain(state.previous).collect();
        let Some(version) = version.filter(|version| !version.is_empty()) else {
            let missing = || Refusal::new(Code::Unavailable, format!("model \"{name}\" is not loaded"));
            return known.into_iter().next().ok_or_else(missing);
        };
        let versions = known.iter().map(|loaded| loaded.version.as_str());
        let unknown = Refusal::unknown(Code::UnknownVersion, "a version", version, versions);
        known.iter().find(|loaded| loaded.version == version).cloned().ok_or(unknown)
    }

    fn slot(&self, name: &str) -> Result<&Slot, Refusal> {
        let names = self.slots.iter().map(|slot| slot.source.name.as_str());
        let unknown = || Refusal::unknown(Code::UnknownModel, "a model", name, names);
        self.slots.iter().find(|slot| slot.source.name == name).ok_or_else(unknown)
    }
}
