//! One request for the first start of a run and for every later one: it begins where its directory says. What
//! is said beside a run that was begun must be what that was started with.
use super::RunRequest;
use super::difference::{Difference, difference};
use crate::choice::Choice;
use crate::config::{DataConfig, RunConfig};
use crate::error::{Error, Result};
use crate::note::Note;
use crate::run_dir::{self, Standing};
use crate::start::Start;
use crate::train_config::Solver;
use dlrm_data::Hint;
use dlrm_data::schema::{Cross, Schema};
use dlrm_data::split::Split;
use std::path::{Path, PathBuf};
use toml::Table;

impl RunRequest {
    /// This request at the start that its run directory calls for: the beginning where that holds nothing of
    /// a run, else where the run in it was interrupted. `None` where that run is finished.
    ///
    /// # Errors
    /// If the directory holds something else, or neither a run nor this request names rows.
    pub fn at_its_start(&self) -> Result<Option<RunRequest>> {
        let standing = self.out.as_deref().map_or(Ok(Standing::Nothing), run_dir::standing)?;
        let start = match standing {
            Standing::Finished => return Ok(None),
            Standing::Unfinished => Start::GoOn,
            Standing::Nothing => {
                self.check_names_rows()?;
                Start::Fresh
            }
        };
        Ok(Some(RunRequest { start, ..self.clone() }))
    }

    /// With no run to go on with, something has to say which rows to train on.
    fn check_names_rows(&self) -> Result<()> {
        let set = self.settings.iter().any(|setting| setting.trim_start().starts_with("input."));
        if !self.input.paths.is_empty() || self.config.is_some() || self.rows.is_some() || set {
            return Ok(());
        }
        let found = match &self.out {
            Some(out) => format!("neither, and nothing of a run in {}", out.display()),
            None => "neither".to_owned(),
        };
        let error = Error::config("input.paths", "files to train on, or a run to go on with", found);
        let hint = Hint::from("name files to start a run, or the directory of one with ").name("run.out");
        Err(error.with_hint(hint))
    }

    /// The configuration of the run in `out`, which what was said must agree with.
    pub(super) fn gone_on(&self, out: &Path, notes: &mut Vec<Note>) -> Result<RunConfig> {
        let stored = run_dir::stored_config(out, notes)?;
        let said = self.said_of(&stored, out)?;
        let table = |config: &RunConfig| Table::try_from(config).expect("a configuration is plain data");
        match difference(&table(&stored), &table(&said), &|_| true) {
            None => Ok(stored),
            Some(found) => Err(contradiction(&found, out)),
        }
    }

    /// What was said, put on top of the configuration of the run in `out`: nothing changes where they agree.
    fn said_of(&self, stored: &RunConfig, out: &Path) -> Result<RunConfig> {
        if let Some(dir) = &stored.data.prepared {
            self.check_beside_prepared(dir)?;
        }
        let mut said = self.put_on_stored(stored)?;
        if self.model.is_none() && Choice::read(out)?.is_some() {
            // The validation rows have chosen it.
            said.model.clone_from(&stored.model);
        }
        if said.train.solver == Some(Solver::Lbfgs) {
            // It may have been asked for where rows are too many for it.
            said.train.solver = stored.train.solver;
        }
        match (&self.from, &mut said.train.from) {
            (Some(from), Some(before)) if !is_same(from, &before.model) => before.model.clone_from(from),
            (Some(from), before @ None) => {
                *before = Some(crate::predecessor::Predecessor { model: from.clone(), id: None });
            }
            _ => {}
        }
        if stored.data.prepared.is_some() {
            self.put_on_prepared(&mut said, stored);
        } else {
            if self.rows.is_none() {
                self.put_on_input(&mut said, stored)?;
            }
            said.schema = Some(self.schema_of_said(&said, stored)?);
        }
        Ok(said)
    }

    /// File or preset, settings and values.
    fn put_on_stored(&self, stored: &RunConfig) -> Result<RunConfig> {
        let over = match (&self.config, &self.preset) {
            (Some(path), _) => RunConfig::table_of_file(path)?,
            (None, Some(name)) => {
                toml::from_str(super::preset(name)?).expect("a preset is known to be right")
            }
            (None, None) => Table::new(),
        };
        let mut said = stored.with_on_top(over, &self.all_settings()?)?;
        for (own, kept) in lists(&mut said).into_iter().zip(lists(&mut stored.clone())) {
            // Those that nothing was said of have been joined before.
            if let Some(dir) = self.data_dir.as_ref().filter(|_| own != kept) {
                own.iter_mut().for_each(|path| *path = dir.join(&*path));
            }
        }
        let mut said = RunRequest { data_dir: None, ..self.clone() }.put_on(said)?;
        if let (Split::Random { seed, .. }, Split::Random { seed: kept, .. }) =
            (&mut said.data.split, &stored.data.split)
            && self.seed.is_none()
            && self.parts.split.is_some()
        {
            *seed = *kept;
        }
        Ok(said)
    }

    /// Which prepared data set was named; it has decided all else of the rows.
    fn put_on_prepared(&self, said: &mut RunConfig, stored: &RunConfig) {
        let named = if self.input.paths.is_empty() { &said.input.paths } else { &self.input.paths };
        let named = named.clone();
        let DataConfig { validation, test, split, max_bad_rows, prepared, .. } = stored.data.clone();
        said.data = DataConfig { validation, test, split, max_bad_rows, prepared, ..said.data.clone() };
        let was = stored.data.prepared.as_deref();
        said.input = stored.input.clone();
        match &named[..] {
            // Nothing was said: these are the files that the data set was made of.
            _ if named == stored.input.paths => {}
            [dir] if was.is_some_and(|was| is_same(was, dir)) => {}
            [dir] => said.data.prepared = Some(dir.clone()),
            _ => said.input.paths = named,
        }
    }

    /// Which files, and how they are read.
    fn put_on_input(&self, said: &mut RunConfig, stored: &RunConfig) -> Result<()> {
        said.input = self.input.apply(std::mem::take(&mut said.input))?;
        for (own, kept) in lists(said).into_iter().zip(lists(&mut stored.clone())) {
            if own.len() == kept.len() && own.iter().zip(&*kept).all(|(own, kept)| is_same(own, kept)) {
                own.clone_from(kept);
            }
        }
        if said.input != stored.input && said.input.paths == stored.input.paths {
            // What was left to be detected has been.
            said.input = said.input.resolve()?;
        }
        Ok(())
    }

    /// The schema with what was said of it.
    fn schema_of_said(&self, said: &RunConfig, stored: &RunConfig) -> Result<Schema> {
        let kept = stored.complete_schema()?;
        let mut schema = match &self.schema {
            // That of a predecessor keeps its column of times.
            Some(path) if self.from.is_some() => {
                Schema { time: kept.time.clone(), ..super::read_schema(path)? }
            }
            Some(path) => super::read_schema(path)?,
            None => said.complete_schema()?.clone(),
        };
        if self.columns.key().is_some() {
            self.columns.apply(&mut schema, self.rows_to_read(&said.input).open_rows()?.columns())?;
        }
        self.label.apply(&mut schema)?;
        let crosses = self.crosses.iter().filter(|columns| {
            let cross = Cross::of((*columns).clone());
            !schema.crosses.contains(&cross)
        });
        let more = RunRequest { crosses: crosses.cloned().collect(), ..self.clone() };
        more.complete(&mut schema, &said.data, &mut Vec::new())?;
        Ok(schema)
    }
}

/// The lists of files of a configuration.
fn lists(config: &mut RunConfig) -> [&mut Vec<PathBuf>; 3] {
    [&mut config.input.paths, &mut config.data.validation, &mut config.data.test]
}

/// Whether two paths lead to the same file or directory.
fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    one == other || real(one).is_some_and(|one| Some(one) == real(other))
}

/// What was said is not what the run in `out` was started with.
fn contradiction(Difference { key, old, new }: &Difference, out: &Path) -> Error {
    // Most keys of a schema have no flag of their own, or one that says something else.
    let within = key.strip_prefix("schema.").filter(|below| !below.starts_with("label"));
    let (key, value) = match within {
        Some(below) => ("schema", format!("{below} = ")),
        None => (key.as_str(), String::new()),
    };
    let expected = format!("{value}{old}, with which the run in {} was started", out.display());
    let hint = Hint::from("leave it out to go on with the run as it is; to train with other settings, give ");
    let hint = hint.say("another ").name("run.out").say(", or ").name("run.overwrite").say(" without ");
    let hint = hint.name("run.resume");
    let moved = ["input.paths", "data.prepared"].contains(&key);
    let hint = match moved {
        true => hint.say("; where files have only moved, ").name("run.resume").say(" alone takes new paths"),
        false => hint,
    };
    Error::config(key, expected, format!("{value}{new}")).with_hint(hint)
}
