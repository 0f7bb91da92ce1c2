//! The second pass of `dlrm inspect`: what is wrong with the data, and what training on it will take.
use super::super::args::InspectArgs;
use super::super::failure::Failure;
use super::super::flags;
use super::super::progress::memory_parts;
use super::super::session::Session;
use dlrm::bench::{EpochTimeEstimate, EstimateOptions};
use dlrm::data::Encoder;
use dlrm::data::Stop;
use dlrm::data::format;
use dlrm::data::format::bytes;
use dlrm::data::readers::Input;
use dlrm::data::schema::Schema;
use dlrm::data::split::Part;
use dlrm::engine::config::DataConfig;
use dlrm::engine::plan::{Expected, Plan};
use dlrm::engine::rows::with_raw_rows;
use dlrm::engine::{RunConfig, request};
use dlrm::inspect::findings::{Finding, FindingKind, Inspection, RowSample, Severity};
use dlrm::inspect::profile::Profile;
use serde_json::Value;
use std::time::{Duration, Instant};

/// What is spent on telling the time of an epoch.
const ESTIMATE: Duration = Duration::from_millis(1200);

/// What training on the rows will take.
pub(super) struct Forecast {
    /// Rows to train on.
    rows: u64,
    plan: Option<Plan>,
    estimate: Option<EpochTimeEstimate>,
    /// Seconds of the pass, which reads the rows as training does.
    seconds: f64,
}

/// Reads all parts of the data by the schema.
pub(super) fn look(
    session: &Session,
    args: &InspectArgs,
    (input, schema): (&Input, &Schema),
    (profile, sample): (&Profile, &RowSample),
) -> Result<(Inspection, Forecast), Failure> {
    let split = match &args.parts.split {
        Some(kind) => request::split_of(kind, 0)?,
        None => request::usual_split(input),
    };
    request::check_time(&split, schema)?;
    let (validation, test) = (args.parts.validation.clone(), args.parts.test.clone());
    let data = DataConfig { validation, test, split, max_bad_rows: u64::MAX, ..DataConfig::default() };
    let mut config = RunConfig { input: input.clone(), data, ..RunConfig::default() };
    config.train.resolve(schema.label.task);
    let start = Instant::now();
    let inspected = with_raw_rows(&config, None, (session.threads, Stop::never()), |sources| {
        Inspection::of(sources, schema, profile, sample)
    });
    let mut inspection = inspected?;
    let seconds = start.elapsed().as_secs_f64();
    inspection.findings.iter_mut().for_each(|finding| finding.fix = flags::in_text(&finding.fix));
    let plan = plan(&config, schema, super::memory_limit(args)?, &mut inspection);
    // An estimate is not worth failing for.
    let measured = plan.is_some() && !args.no_estimate;
    let estimate = measured.then(|| estimate(session, &config, &inspection).ok()).flatten();
    let forecast = Forecast { rows: inspection.rows[Part::Train], plan, estimate, seconds };
    Ok((inspection, forecast))
}

/// What the default model needs; a finding where it does not fit.
fn plan(
    config: &RunConfig,
    schema: &Schema,
    memory: Option<u64>,
    inspection: &mut Inspection,
) -> Option<Plan> {
    let Inspection { layout, rows, encoded_bytes, .. } = &*inspection;
    let encoder_bytes = Encoder::expected_vocabulary_bytes(schema, layout);
    let expected = Expected { layout, rows: *rows, encoded_bytes: *encoded_bytes, encoder_bytes };
    let (plan, objection) = match Plan::of(config, expected) {
        Ok(plan) => {
            let objection = plan.check(memory).err();
            (Some(plan), objection)
        }
        Err(error) => (None, Some(error)),
    };
    if let Some(error) = objection {
        let found = format!("the default model does not fit: {error}");
        let finding = Finding::new(Severity::Warning, FindingKind::Model, found);
        let fix = Failure::from(error).hint.unwrap_or_else(|| {
            "choose another one: `dlrm models` lists \
            them"
                .into()
        });
        inspection.push(finding.because("training without settings will refuse this data", fix));
    }
    plan
}

/// Trains for a moment to tell the time of an epoch.
fn estimate(
    session: &Session,
    config: &RunConfig,
    inspection: &Inspection,
) -> Result<EpochTimeEstimate, dlrm::engine::Error> {
    let options = EstimateOptions {
        isa: session.isa,
        threads: session.threads,
        rows: inspection.rows[Part::Train],
        length: ESTIMATE,
    };
    let ids: Vec<f64> = inspection.tables.iter().map(|table| table.ids_per_row).collect();
    EpochTimeEstimate::measure(config, &inspection.layout, &ids, options)
}

impl Forecast {
    /// Seconds of an epoch.
    fn epoch(&self) -> Option<f64> {
        self.estimate.map(|estimate| self.rows as f64 / estimate.rows_per_second)
    }

    /// What training will take, for machines.
    pub(super) fn json(&self) -> Value {
        serde_json::json!({
            "plan": self.plan,
            "memory_bytes": self.plan.as_ref().map(Plan::memory_bytes),
            "pace": self.estimate,
            "seconds_per_epoch": self.epoch(),
            "seconds_per_pass": self.seconds,
        })
    }

    /// What training will take, for people.
    pub(super) fn text(&self) -> String {
        let Some(plan) = &self.plan else { return String::new() };
        let parameters = format::count((plan.dense_parameters + plan.table_parameters) as u64);
        let mut text = format!(
            "\ndefault model: {parameters} parameters; memory about {}: {}\n",
            bytes(plan.memory_bytes()),
            memory_parts(plan),
        );
        if let (Some(estimate), Some(epoch)) = (&self.estimate, self.epoch()) {
            let threads = if estimate.threads == 1 { "thread" } else { "threads" };
            let rate = format::count(rounded(estimate.rows_per_second));
            text.push_str(&format!(
                "training: {} per epoch on this machine, {} {threads} ({rate} rows/s on random rows of this \
                    shape)\nreading the rows once: {}\n",
                duration(epoch),
                estimate.threads,
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
