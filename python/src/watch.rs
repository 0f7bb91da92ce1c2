//! Who watches a run for Python: the progress line, callbacks, Ctrl-C.
use crate::json;
use dlrm_data::Stop;
use dlrm_engine::choice::{Choice, ChoiceObserver};
use dlrm_engine::compare::{CompareObserver, Diverged, SeedRun};
use dlrm_engine::folds::{CompareFoldsObserver, Folded, FoldsObserver};
use dlrm_engine::observer::{Observer, Standing};
use dlrm_engine::plan::Plan;
use dlrm_engine::run::RunObserver;
use dlrm_engine::train_state::{Evaluation, TrainState};
use pyo3::prelude::*;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Between looks at signals, and between steps that are shown.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const SHOW_EVERY: Duration = Duration::from_millis(200);
/// Between checkpoints within an epoch.
const SAVE_EVERY: Duration = Duration::from_secs(600);

/// What Python raised, for all threads that work.
#[derive(Clone, Default)]
pub(crate) struct Raised(Arc<Mutex<Option<PyErr>>>);

impl Raised {
    fn error(&self) -> MutexGuard<'_, Option<PyErr>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_there(&self) -> bool {
        self.error().is_some()
    }

    /// The error that ended work: what Python raised, if it did.
    pub(crate) fn error_of(&self, py: Python<'_>, error: dlrm_engine::Error) -> PyErr {
        let (raised, said) = (self.error().take(), crate::error::of(py, error));
        let Some(raised) = raised else { return said };
        // Where the work stood when it was stopped.
        let _ = raised.value(py).call_method1("add_note", (said.value(py).to_string(),));
        raised
    }

    /// Notes what `work` raises.
    fn note(&self, work: impl FnOnce(Python<'_>) -> PyResult<()>) {
        // Never held while Python runs, which may ask for it.
        if let Err(error) = Python::attach(work) {
            self.error().get_or_insert(error);
        }
    }

    /// Tells threads that read rows.
    pub(crate) fn stop(&self) -> Stop {
        let raised = self.clone();
        Stop::when(move || raised.look())
    }

    /// Looks for signals (Python tells of them in its main thread only), and whether anything was raised.
    fn look(&self) -> bool {
        if !self.is_there() {
            self.note(|py| py.check_signals());
        }
        self.is_there()
    }
}

/// Tells Python how a run goes.
pub(crate) struct Watch {
    /// Called with the name of an event and its facts.
    tell: Py<PyAny>,
    /// What a signal or Python raised; it ends the run.
    raised: Raised,
    looked: Instant,
    shown: Instant,
    saved: Instant,
    steps: u64,
    /// Whether a training is one of many, of which no evaluations are told.
    calm: bool,
}

impl Watch {
    /// That calls `tell`.
    pub(crate) fn new(tell: Py<PyAny>) -> Self {
        let now = Instant::now();
        Watch { tell, raised: Raised::default(), looked: now, shown: now, saved: now, steps: 0, calm: false }
    }

    fn tell(&mut self, event: &str, facts: &Value) {
        if !self.raised.is_there() {
            self.raised.note(|py| self.tell.call1(py, (event, json::to_python(py, facts)?)).map(drop));
        }
    }

    /// As [`Raised::error_of`].
    pub(crate) fn error(self, py: Python<'_>, error: dlrm_engine::Error) -> PyErr {
        self.raised.error_of(py, error)
    }
}

impl Observer for Watch {
    fn step(&mut self, state: &TrainState, loss: f64) {
        if self.shown.elapsed() >= SHOW_EVERY {
            self.shown = Instant::now();
            let facts = json!({"step": state.step, "steps": self.steps, "rows": state.rows, "loss": loss});
            self.tell("step", &facts);
        }
    }

    fn evaluated(&mut self, evaluation: &Evaluation, standing: Standing) {
        if self.calm {
            return;
        }
        let mut facts = serde_json::to_value(evaluation).unwrap_or_default();
        facts["best"] = Value::Bool(standing == Standing::Best);
        self.tell("evaluated", &facts);
    }

    fn warned(&mut self, warning: &str) {
        self.tell("warned", &json!(warning));
    }

    fn should_stop(&mut self) -> bool {
        if self.looked.elapsed() < LOOK_EVERY {
            return self.raised.is_there();
        }
        self.looked = Instant::now();
        self.raised.look()
    }

    fn stop(&self) -> Stop {
        self.raised.stop()
    }

    fn wall_time(&mut self) -> f64 {
        SystemTime::UNIX_EPOCH.elapsed().map_or(0.0, |since| since.as_secs_f64())
    }

    fn should_save(&mut self) -> bool {
        let due = self.saved.elapsed() >= SAVE_EVERY;
        if due {
            self.saved = Instant::now();
        }
        due
    }
}

impl RunObserver for Watch {
    fn stage(&mut self, name: &str) {
        self.tell("stage", &json!(name));
    }

    fn baseline(&mut self, steps: u64) {
        self.steps = steps;
    }

    fn planned(&mut self, plan: &Plan) {
        self.steps = plan.steps;
    }
}

impl Watch {
    fn on_fold(&mut self, fold: u64, folds: u64) {
        self.calm = true;
        self.tell("stage", &json!(format!("fold {} of {folds}", fold + 1)));
    }
}

impl CompareFoldsObserver for Watch {
    fn fold(&mut self, fold: u64, folds: u64) {
        self.on_fold(fold, folds);
    }
}

impl FoldsObserver for Watch {
    fn fold(&mut self, fold: u64, folds: u64) {
        self.on_fold(fold, folds);
    }

    fn measured(&mut self, _: &Folded) {
        self.calm = false;
    }
}

impl ChoiceObserver for Watch {
    fn candidate(&mut self, index: usize, of: usize, name: &str) {
        self.calm = true;
        self.tell("stage", &json!(format!("[{}/{of}] {name}", index + 1)));
    }

    fn chosen(&mut self, _: &Choice) {
        self.calm = false;
    }
}

impl CompareObserver for Watch {
    fn run(&mut self, _: usize, name: &str, seed: u64) {
        self.calm = true;
        self.tell("stage", &json!(format!("{name}, seed {seed}")));
    }

    fn done(&mut self, name: &str, run: &SeedRun) {
        let facts =
            json!({"name": name, "test": run.test, "best_epoch": run.best_epoch, "seconds": run.seconds});
        self.tell("run", &facts);
    }

    fn diverged(&mut self, run: &Diverged) {
        let warning =
            format!("{}, seed {}: diverged at step {}; the model is left out", run.name, run.seed, run.step);
        self.tell("warned", &json!(warning));
    }
}
