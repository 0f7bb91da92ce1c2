//! What a person said about a comparison.
use super::Compare;
use super::entry::Entry;
use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::note::Note;
use crate::request::{RunRequest, model_of_kind, model_with};
use dlrm_models::ModelConfig;
use std::path::PathBuf;

/// What a person said about a comparison; what is absent is decided by [`CompareRequest::resolve`].
#[derive(Clone, Default)]
pub struct CompareRequest {
    /// What holds for all models. Its own configuration file, run directory and start are not used.
    pub common: RunRequest,
    /// Configuration files: one that all models start from, or one for each model, on the same rows.
    pub configs: Vec<PathBuf>,
    /// Kinds of models, with default settings.
    pub models: Vec<String>,
    /// Runs of each model.
    pub seeds: u64,
}

impl CompareRequest {
    /// The complete comparison, checked, and what was noticed on the way.
    ///
    /// # Errors
    /// As [`RunRequest::resolve`], or if there is nothing to compare, or the configurations speak of
    /// different rows.
    pub fn resolve(&self) -> Result<(Compare, Vec<Note>)> {
        let (mut notes, mut entries) = (Vec::new(), Vec::new());
        let base = self.configuration(self.configs.first(), &mut notes)?;
        for path in &self.configs {
            let own = self.configuration(Some(path), &mut Vec::new())?;
            let same = own.input == base.input && own.data == base.data && own.schema == base.schema;
            if !same {
                let first = self.configs[0].display();
                let error = Error::config(
                    path.display().to_string(),
                    format!("the input, data and schema of {first}"),
                    "others",
                );
                return Err(error.with_hint("let both files extend a common one (extends = \"data.toml\")"));
            }
            // A single configuration with kinds of models is the base of those.
            if self.models.is_empty() || self.configs.len() > 1 {
                let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
                let name = stem.unwrap_or_else(|| own.model.kind().to_owned());
                entries.push(Entry { name, model: own.model, train: own.train });
            }
        }
        for (kind, model) in self.models.iter().zip(self.kinds(&base, &mut notes)?) {
            entries.push(Entry { name: kind.clone(), model, train: base.train.clone() });
        }
        if entries.iter().any(|entry| entry.train.from.is_some()) {
            return Err(Error::config(
                "train.from",
                "models that start anew, to compare them",
                "one that goes on",
            )
            .with_hint("leave it out: every model is trained on all rows"));
        }
        if entries.is_empty() {
            return Err(Error::config("models", "at least one model", "nothing to compare")
                .with_hint("name kinds of models (lr,fm,dlrm), or a configuration for each"));
        }
        let (rows, resources) = (self.common.rows.clone(), self.common.resources);
        Ok((Compare { base, rows, entries, seeds: self.seeds, resources }, notes))
    }

    /// The models of `models`. A setting of models holds for those that have it, of which there must be one.
    fn kinds(&self, base: &RunConfig, notes: &mut Vec<Note>) -> Result<Vec<ModelConfig>> {
        let settings = &self.common.settings;
        let (mut refused, mut models) = (Vec::new(), Vec::new());
        for kind in &self.models {
            if kind == base.model.kind() && self.configs.len() == 1 {
                models.push(base.model.clone());
                continue;
            }
            let usual = model_of_kind(kind, "models")?;
            models.push(model_with(kind, "models", settings).unwrap_or_else(|error| {
                refused.push((kind, error));
                usual
            }));
        }
        if refused.len() == self.models.len()
            && let Some((_, error)) = refused.pop()
        {
            return Err(error);
        }
        notes.extend(refused.iter().map(|(kind, error)| {
            Note::decision(format!("{kind} is compared with its usual settings: {error}"))
        }));
        Ok(models)
    }

    fn configuration(&self, config: Option<&PathBuf>, notes: &mut Vec<Note>) -> Result<RunConfig> {
        RunRequest { config: config.cloned(), ..self.common.clone() }.configuration(notes)
    }
}
