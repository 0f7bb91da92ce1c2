//! The second pass of `dlrm inspect`: what is wrong with the data, and what training on it will take.
use super::args::InspectArgs;
use super::failure::Failure;
use super::session::Session;
use super::{memory, output};
use dlrm::bench::{Pace, Pacing};
use dlrm::data::dataset::Sources;
use dlrm::data::readers::Input;
use dlrm::data::rows::OpenRows;
use dlrm::data::schema::Schema;
use dlrm::engine::plan::{Expected, Plan, bytes};
use dlrm::engine::{RunConfig, request};
use dlrm::inspect::findings::{Diagnosis, Finding, FindingKind, RowSample, Severity};
use dlrm::inspect::profile::Profile;
use serde_json::Value;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What is spent on telling the time of an epoch.
const ESTIMATE: Duration = Duration::from_millis(1200);

/// What the second pass found, and what training will take.
pub struct Examined {
    /// The findings.
    pub diagnosis: Diagnosis,
    plan: Option<Plan>,
    pace: Option<Pace>,
    /// Seconds of the pass, which reads the rows as training does.
    seconds: f64,
}

/// Reads all parts of the data by `schema`.
pub fn examine(
    session: &Session,
    args: &InspectArgs,
    input: &Input,
    schema: &Schema,
    (profile, sample): (&Profile, &RowSample),
) -> Result<Examined, Failure> {
    let split = match &args.parts.split {
        Some(kind) => request::split_of(kind, 0)?,
        None => request::usual_split(input),
    };
    request::check_time(&split, schema)?;
    let of =
        |paths: &[PathBuf]| (!paths.is_empty()).then(|| Input { paths: paths.to_vec(), ..input.clone() });
    let (validation, test) = (of(&args.parts.validation), of(&args.parts.test));
    let sources = Sources {
        main: input,
        validation: validation.as_ref().map(|input| input as &dyn OpenRows),
        test: test.as_ref().map(|input| input as &dyn OpenRows),
        split: &split,
        max_bad_rows: u64::MAX,
        threads: session.threads,
    };
    let start = Instant::now();
    let mut diagnosis = Diagnosis::of(&sources, schema, profile, sample)?;
    let seconds = start.elapsed().as_secs_f64();
    let mut config = RunConfig::default();
    config.train.resolve(schema.label.task);
    let expected =
        Expected { layout: &diagnosis.layout, rows: diagnosis.rows, encoded_bytes: diagnosis.encoded_bytes };
    let (plan, objection) = match Plan::of(&config, expected) {
        Ok(plan) => {
            let objection = plan.check(memory::free()).err();
            (Some(plan), objection)
        }
        Err(error) => (None, Some(error)),
    };
    if let Some(error) = objection {
        let finding = Finding::new(
            Severity::Warning,
            FindingKind::Model,
            format!("the default model does not fit: {error}"),
        );
        let fix = error.hint().unwrap_or_else(|| "choose another one: `dlrm models` lists them".into());
        diagnosis.push(finding.because("training without settings will refuse this data", fix));
    }
    let pacing = Pacing { isa: session.isa, threads: session.threads, length: ESTIMATE };
    let ids: Vec<f64> = diagnosis.tables.iter().map(|table| table.ids_per_row).collect();
    // An estimate is not worth failing for.
    let pace = plan
        .as_ref()
        .filter(|_| !args.no_estimate)
        .and_then(|_| Pace::measure(&config, &diagnosis.layout, &ids, pacing).ok());
    Ok(Examined { diagnosis, plan, pace, seconds })
}

impl Examined {
    /// Seconds of an epoch.
    fn epoch(&self) -> Option<f64> {
        self.pace.map(|pace| self.diagnosis.rows[0] as f64 / pace.rows_per_second)
    }

    /// What training will take, for machines.
    pub fn forecast(&self) -> Value {
        serde_json::json!({
            "plan": self.plan,
            "memory_bytes": self.plan.as_ref().map(Plan::memory_bytes),
            "pace": self.pace,
            "seconds_per_epoch": self.epoch(),
            "seconds_per_pass": self.seconds,
        })
    }

    /// The same for people.
    pub fn forecast_text(&self) -> String {
        let Some(plan) = &self.plan else { return String::new() };
        let parts = [plan.data_bytes, plan.weight_bytes, plan.training_bytes].map(bytes);
        let parameters = output::count((plan.dense_parameters + plan.table_parameters) as u64);
        let mut text = format!(
            "\ndefault model: {parameters} parameters; memory about {}: {} encoded rows, {} weights, {} training\n",
            bytes(plan.memory_bytes()),
            parts[0],
            parts[1],
            parts[2],
        );
        if let (Some(pace), Some(epoch)) = (&self.pace, self.epoch()) {
            let threads = if pace.threads == 1 { "thread" } else { "threads" };
            let rate = output::count(rounded(pace.rows_per_second));
            text.push_str(&format!(
                "training: {} per epoch on this machine, {} {threads} ({rate} rows/s on random rows of this shape)\nreading the rows once: {}\n",
                duration(epoch),
                pace.threads,
                duration(self.seconds),
            ));
        }
        text
    }
}

/// Two digits are known, if that.
fn rounded(x: f64) -> u64 {
    let unit = 10f64.powi((x.max(1.0).log10().floor() as i32 - 1).max(0));
    ((x / unit).round() * unit) as u64
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 0.1 => "less than 0.1 s".into(),
        s if s < 10.0 => format!("about {s:.1} s"),
        s if s < 120.0 => format!("about {s:.0} s"),
        s if s < 7200.0 => format!("about {:.0} min", s / 60.0),
        s => format!("about {:.1} h", s / 3600.0),
    }
}
