//! Who watches a run for Python: the progress line, callbacks, Ctrl-C.
use crate::json;
use dlrm_engine::choice::{Choice, ChoiceObserver};
use dlrm_engine::compare::{CompareObserver, Diverged, SeedRun};
use dlrm_engine::folds::{Folded, FoldsObserver};
use dlrm_engine::observer::{Observer, Standing};
use dlrm_engine::plan::Plan;
use dlrm_engine::run::RunObserver;
use dlrm_engine::train_state::{Evaluation, TrainState};
use pyo3::prelude::*;
use serde_json::{Value, json};
use std::time::{Duration, Instant, SystemTime};

/// Between looks at signals, and between steps that are shown.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const SHOW_EVERY: Duration = Duration::from_millis(200);
/// Between checkpoints within an epoch.
const SAVE_EVERY: Duration = Duration::from_secs(600);

/// Tells Python how a run goes.
pub(crate) struct Watch {
    /// Called with the name of an event and its facts.
    tell: Py<PyAny>,
    /// What a signal or Python raised; it ends the run.
    pub(crate) raised: Option<PyErr>,
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
        Watch { tell, raised: None, looked: now, shown: now, saved: now, steps: 0, calm: false }
    }

    fn tell(&mut self, event: &str, facts: &Value) {
        if self.raised.is_some() {
            return;
        }
        let told = Python::attach(|py| self.tell.call1(py, (event, json::to_python(py, facts)?)).map(|_| ()));
        self.raised = told.err();
    }

    /// The error that ended a run: what Python raised, if it did.
    pub(crate) fn error(self, py: Python<'_>, error: dlrm_engine::Error) -> PyErr {
        match self.raised {
            Some(raised) => {
                let said = crate::error::of(py, error);
                // Where the run stood when it was stopped.
                let _ = raised.value(py).call_method1("add_note", (said.value(py).to_string(),));
                raised
            }
            None => crate::error::of(py, error),
        }
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
        if self.raised.is_none() && self.looked.elapsed() >= LOOK_EVERY {
            self.looked = Instant::now();
            self.raised = Python::attach(|py| py.check_signals()).err();
        }
        self.raised.is_some()
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

impl FoldsObserver for Watch {
    fn fold(&mut self, fold: u64, folds: u64) {
        self.calm = true;
        self.tell("stage", &json!(format!("fold {} of {folds}", fold + 1)));
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
