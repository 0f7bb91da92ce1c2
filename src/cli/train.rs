//! `dlrm train`.
use super::args::{self, TrainArgs};
use super::failure::{Failure, io};
use super::progress::Progress;
use super::{Session, inputs, output};
use dlrm::data::dataset::Sources;
use dlrm::data::error::nearest;
use dlrm::data::prepared::{Prepared, Settings};
use dlrm::data::readers::Input;
use dlrm::data::rows::OpenRows;
use dlrm::data::schema::{Cross, Schema};
use dlrm::data::source::DataSource;
use dlrm::data::split::Split;
use dlrm::engine::RunConfig;
use dlrm::engine::config::{Baseline, DataConfig, Loading};
use dlrm::engine::job::{Job, Start, Trained};
use dlrm::engine::run_dir;
use dlrm::metrics::Metric;
use dlrm::models::ModelConfig;
use dlrm::report::summary::{self, Context};
use dlrm::report::{Fact, InputCard, Report, RunCard};
use std::fs;
use std::path::{Path, PathBuf};

/// Runs the subcommand.
pub fn run(session: &Session, args: &TrainArgs) -> Result<(), Failure> {
    let out = args.output.clone().unwrap_or_else(|| PathBuf::from("runs/model"));
    let (config, notes) = if args.resume { (resumed(args, &out)?, Vec::new()) } else { fresh(args)? };
    let memory_limit = match &args.memory_limit {
        Some(text) => Some(args::size(text)?),
        None => free_memory(),
    };
    let start = match (args.resume, args.overwrite) {
        (true, _) => Start::Resume,
        (_, true) => Start::Overwrite,
        _ => Start::Fresh,
    };
    let job = Job {
        config,
        out: Some(out.clone()),
        start,
        threads: session.threads,
        isa: session.isa,
        memory_limit,
    };
    let data = &job.config.data;
    let (validation, test) = (job.config.input_of(&data.validation), job.config.input_of(&data.test));
    let sources = Sources {
        main: &job.config.input,
        validation: validation.as_ref().map(|i| i as &dyn OpenRows),
        test: test.as_ref().map(|i| i as &dyn OpenRows),
        split: &data.split,
        max_bad_rows: data.max_bad_rows,
        threads: session.threads,
    };
    let mut progress = Progress::new(session, job.config.train.epochs, job.config.train.batch_size);
    notes.iter().for_each(|note| progress.line(&format!("warning: {note}")));
    let prepared = job.config.data.prepared.as_deref().map(Prepared::open).transpose()?;
    let source = prepared.as_ref().map_or(DataSource::Raw(&sources), DataSource::Prepared);
    let mut trained = job.run(source, &mut progress)?;
    drop(progress);
    write_bad_rows(&out, &trained)?;
    let inputs = [Some(&job.config.input), validation.as_ref(), test.as_ref()];
    let context = Context {
        title: format!("{} on {}", job.config.model.kind().to_uppercase(), job.config.input.name()),
        inputs: inputs.into_iter().flatten().flat_map(input_cards).collect(),
        run: run_card(session),
        optimum: None,
        notes,
    };
    let report = summary::report(&trained, &job.config, context)?;
    save_report(&out, &report, trained.fitted.encoder.schema())?;
    // Only now is the run safe without its checkpoints.
    trained.finish()?;
    if session.json {
        return output::print(&format!("{}\n", json_summary(&report, &out)));
    }
    output::print(&text_summary(&report, &out))?;
    let example =
        job.config.input.paths.first().map_or_else(|| "more.csv".into(), |p| p.display().to_string());
    output::print(&format!(
        "next:   dlrm show {0}   dlrm evaluate {0} {example}   dlrm predict {0} {example} > scores.csv\n",
        out.display()
    ))
}

/// The configuration of a new run: file, then flags, then what they leave open.
pub fn fresh(args: &TrainArgs) -> Result<(RunConfig, Vec<String>), Failure> {
    let mut notes = Vec::new();
    let mut config = match &args.config {
        Some(path) => RunConfig::read(path, &args.source.set, &mut notes)?,
        None => RunConfig::load("", "the configuration", &args.source.set, &mut notes)?,
    };
    if let Some(dir) = &args.source.data_dir {
        let lists = [&mut config.input.paths, &mut config.data.validation, &mut config.data.test];
        lists.into_iter().flatten().for_each(|path| *path = dir.join(&*path));
    }
    apply_flags(args, &mut config)?;
    let paths = if args.source.paths.is_empty() { &config.input.paths } else { &args.source.paths };
    if let [dir] = &paths[..]
        && Prepared::is_in(dir)
    {
        let dir = dir.clone();
        return prepared(args, config, &dir);
    }
    config.input = inputs::apply(&args.source.input, &args.source.paths, config.input)?.resolve()?;
    if args.source.parts.split.is_none() && config.data.split == Split::default() {
        config.data.split = inputs::usual_split(&config.input);
    }
    let mut notes = Vec::new();
    let mut schema = match (&args.source.schema, config.schema.take()) {
        (Some(path), _) => inputs::read_schema(path)?,
        (None, Some(schema)) => schema,
        (None, None) => {
            let (schema, warnings) = inputs::schema(&config.input, &args.source.label)?;
            notes = warnings;
            without_fold(schema, &config.data.split)?
        }
    };
    inputs::apply_label(&mut schema, &args.source.label)?;
    if let Some(range) = config.data.max_ind_range {
        schema.limit_indices(range)?;
    }
    if config.data.reference_compat {
        schema.follow_reference()?;
        notes.push(
            "the dictionary knows the rows to validate and to test, as the reference's does: their results are not those of new rows"
                .into(),
        );
    }
    let columns = |cross: &String| cross.split(',').map(|column| column.trim().to_owned()).collect();
    schema.crosses.extend(args.source.cross.iter().map(|cross| Cross::of(columns(cross))));
    inputs::check_time(&config.data.split, &schema)?;
    if !matches!(&config.data.split, Split::Time { .. }) {
        // Only a split by time reads it, and a missing time is then no reason to refuse a row.
        schema.time = None;
    }
    config.train.resolve(schema.label.task);
    config.schema = Some(schema);
    config.check()?;
    Ok((config, notes))
}

/// The configuration of a run on a prepared data set, which has decided how rows are read, encoded and split.
fn prepared(
    args: &TrainArgs,
    mut config: RunConfig,
    dir: &Path,
) -> Result<(RunConfig, Vec<String>), Failure> {
    let label = [
        args.source.label.label.is_some(),
        args.source.label.label_rule.is_some(),
        !args.source.label.positive.is_empty(),
    ];
    let given = [
        ("--schema", args.source.schema.is_some()),
        ("--split", args.source.parts.split.is_some()),
        ("--test", !args.source.parts.test.is_empty()),
        ("--validation", !args.source.parts.validation.is_empty()),
        ("--cross", !args.source.cross.is_empty()),
        ("--max-ind-range", args.source.max_ind_range.is_some()),
        ("--reference-compat", args.source.reference_compat),
        ("--label, --label-rule or --positive", label.contains(&true)),
    ];
    if let Some((flag, _)) = given.into_iter().find(|(_, given)| *given) {
        let message = format!(
            "{flag}: expected raw files, found the prepared data set {}, where this is decided",
            dir.display()
        );
        return Err(Failure::usage(message, "leave it out, or prepare the data set anew with it"));
    }
    let set = Prepared::open(dir)?;
    let Settings { input, validation, test, split, max_bad_rows } = set.manifest().settings.clone();
    config.input = input;
    config.data =
        DataConfig { validation, test, split, max_bad_rows, prepared: Some(dir.to_owned()), ..config.data };
    let schema = set.encoder().schema().clone();
    config.train.resolve(schema.label.task);
    config.schema = Some(schema);
    config.check()?;
    Ok((config, Vec::new()))
}

/// An inferred schema does not take the given folds for an input.
fn without_fold(mut schema: Schema, split: &Split) -> Result<Schema, Failure> {
    if let Split::Column { column, .. } = split {
        schema.dense.retain(|c| c.name != *column);
        schema.categorical.retain(|c| c.name != *column);
        schema.check("inferred schema")?;
    }
    Ok(schema)
}

fn apply_flags(args: &TrainArgs, config: &mut RunConfig) -> Result<(), Failure> {
    if let Some(kind) = &args.source.parts.split {
        config.data.split = inputs::split(kind, args.seed.unwrap_or(0))?;
    } else if let (Split::Random { seed, .. }, Some(given)) = (&mut config.data.split, args.seed) {
        *seed = given;
    }
    if let Some(kind) = &args.model
        && kind != config.model.kind()
    {
        config.model = model_of_kind(kind, "--model")?;
    }
    let (train, data) = (&mut config.train, &mut config.data);
    train.epochs = args.epochs.unwrap_or(train.epochs);
    train.batch_size = args.batch_size.unwrap_or(train.batch_size);
    train.seed = args.seed.unwrap_or(train.seed);
    data.max_bad_rows = args.source.input.max_bad_rows.unwrap_or(data.max_bad_rows);
    if args.stream {
        data.loading = Loading::Stream;
    }
    data.max_ind_range = args.source.max_ind_range.or(data.max_ind_range);
    data.reference_compat |= args.source.reference_compat;
    if args.no_baseline {
        data.baseline = Baseline::Mean;
    }
    if !args.source.parts.test.is_empty() {
        data.test.clone_from(&args.source.parts.test);
    }
    if !args.source.parts.validation.is_empty() {
        data.validation.clone_from(&args.source.parts.validation);
    }
    Ok(())
}

/// The model of that kind with default settings.
pub fn model_of_kind(kind: &str, flag: &str) -> Result<ModelConfig, Failure> {
    ModelConfig::of_kind(kind).ok_or_else(|| {
        let known: Vec<&str> = ModelConfig::ABOUT.iter().map(|about| about.kind).collect();
        let hint = match nearest(kind, known.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"? `dlrm models` describes them"),
            None => "`dlrm models` describes them".into(),
        };
        Failure::usage(format!("{flag}: expected one of {}, found \"{kind}\"", known.join(", ")), hint)
    })
}

/// The configuration of the run being resumed; its paths may have moved.
fn resumed(args: &TrainArgs, out: &Path) -> Result<RunConfig, Failure> {
    let mut config = run_dir::stored_config(out)?;
    match (&args.source.paths[..], &mut config.data.prepared) {
        ([], _) => {}
        ([dir, ..], Some(prepared)) => prepared.clone_from(dir),
        (paths, None) => config.input.paths = paths.to_vec(),
    }
    Ok(config)
}

/// Command line, threads and versions for the report.
pub fn run_card(session: &Session) -> RunCard {
    let command: Vec<String> = std::env::args()
        .map(|arg| if arg.contains([' ', '>', '"']) { format!("'{arg}'") } else { arg })
        .collect();
    let fact = |name: &str, value: String| Fact { name: name.into(), value };
    RunCard {
        command: command.join(" "),
        threads: session.threads as u64,
        facts: vec![
            fact("dlrm", env!("CARGO_PKG_VERSION").into()),
            fact("instruction set", session.isa.level().name().into()),
            fact("system", format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)),
        ],
        ..RunCard::default()
    }
}

fn input_cards(input: &Input) -> Vec<InputCard> {
    let files = input.files().unwrap_or_default();
    let card = |path: PathBuf| InputCard {
        name: path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned()),
        format: input.format.name().into(),
        rows: None,
        bytes: fs::metadata(&path).ok().map(|m| m.len()),
    };
    files.into_iter().map(card).collect()
}

/// Lists skipped rows beside the model.
fn write_bad_rows(out: &Path, trained: &Trained) -> Result<(), Failure> {
    let path = out.join("bad_rows.txt");
    if trained.fitted.skipped == 0 {
        // An earlier run's list must not stand beside this model.
        return match fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(io("remove", &path)(e)),
            _ => Ok(()),
        };
    }
    let mut text = format!("{} malformed rows were skipped\n", trained.fitted.skipped);
    for bad in &trained.fitted.bad_rows {
        text.push_str(&format!("{bad}\n    {}\n", bad.text.escape_debug().to_string().replace("\\\"", "\"")));
    }
    fs::write(&path, text).map_err(io("write", &path))
}

/// Writes `report.html`, `report.json` and `schema.toml` beside the model.
pub fn save_report(out: &Path, report: &Report, schema: &Schema) -> Result<(), Failure> {
    for (name, text) in [
        ("report.html", report.to_html()),
        ("report.json", report.to_json()),
        ("schema.toml", schema.to_toml()),
    ] {
        let path = out.join(name);
        fs::write(&path, text).map_err(io("write", &path))?;
    }
    Ok(())
}

/// Verdict and table for people.
pub fn text_summary(report: &Report, out: &Path) -> String {
    let verdict = report.verdict();
    let mut text = format!("\n{}\n", verdict.headline);
    verdict.sentences.iter().for_each(|sentence| text.push_str(&format!("  {sentence}\n")));
    let split = &report.verdict_split;
    let metrics: Vec<Metric> = Metric::ALL
        .into_iter()
        .filter(|m| report.model.on(split).is_some_and(|s| m.of(&s.metrics).is_some()))
        .collect();
    let mut header = vec![split.as_str()];
    header.extend(metrics.iter().map(|m| m.title()));
    header.push("parameters");
    let mut rows = Vec::new();
    for candidate in std::iter::once(&report.model).chain(&report.baselines) {
        let Some(found) = candidate.on(split) else { continue };
        let mut row = vec![candidate.name.clone()];
        row.extend(
            metrics.iter().map(|m| m.of(&found.metrics).map_or_else(|| "-".into(), |v| format!("{v:.5}"))),
        );
        row.push(candidate.parameters.map_or_else(String::new, output::count));
        rows.push(row);
    }
    if let Some(optimum) = &report.optimum {
        let mut row = vec!["best possible".to_owned()];
        row.extend(metrics.iter().map(|m| match m {
            Metric::LogLoss => format!("{:.5}", optimum.log_loss),
            Metric::Auc => format!("{:.5}", optimum.auc),
            _ => "-".into(),
        }));
        rows.push(row);
    }
    text.push_str(&format!("\n{}\n", output::table(&header, &rows)));
    report.notes.iter().for_each(|note| text.push_str(&format!("note: {note}\n")));
    if report.data.skipped_rows > 0 {
        let n = output::count(report.data.skipped_rows);
        text.push_str(&format!(
            "note: {n} malformed rows were skipped; they are listed in {}\n",
            out.join("bad_rows.txt").display()
        ));
    }
    text.push_str(&format!(
        "model:  {}\nreport: {}\n",
        out.join("model").display(),
        out.join("report.html").display()
    ));
    text
}

/// The same for machines.
pub fn json_summary(report: &Report, out: &Path) -> serde_json::Value {
    let candidate = |c: &dlrm::report::Candidate| serde_json::json!({"name": c.name, "parameters": c.parameters, "splits": c.splits});
    serde_json::json!({
        "model": out.join("model"),
        "report": out.join("report.html"),
        "verdict": report.verdict().headline,
        "candidates": std::iter::once(&report.model).chain(&report.baselines).map(candidate).collect::<Vec<_>>(),
        "comparisons": report.comparisons,
        "optimum": report.optimum,
        "skipped_rows": report.data.skipped_rows,
        "notes": report.notes,
        "stages": report.run.stages,
    })
}

/// Memory that the system could give, where it tells.
pub fn free_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemAvailable:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kb| kb * 1024)
}
