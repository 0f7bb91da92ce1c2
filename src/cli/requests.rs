//! From flags to requests of the engine: what was said, and nothing else.
use super::args::{InputArgs, LabelArgs, PartArgs, SourceArgs, TrainArgs};
use super::column_args::ColumnArgs;
use super::failure::Failure;
use super::session::Session;
use super::values;
use dlrm::bench::memory;
use dlrm::engine::config::{Baseline, Loading};
use dlrm::engine::request::{ColumnsRequest, InputRequest, LabelRequest, PartsRequest};
use dlrm::engine::training::AUTO;
use dlrm::engine::{Resources, RunRequest, Start};
use std::path::{Path, PathBuf};

/// How files are read.
pub(super) fn input(args: &InputArgs, paths: &[PathBuf]) -> InputRequest {
    InputRequest {
        paths: paths.to_vec(),
        format: args.format.clone(),
        delimiter: args.delimiter.clone(),
        header: args.header.clone(),
        quote: args.quote.clone(),
        trim: args.trim.clone(),
        columns: args.columns.clone(),
    }
}

/// What is predicted.
pub(super) fn label(args: &LabelArgs) -> LabelRequest {
    let (column, rule, positive) = (args.label.clone(), args.label_rule.clone(), args.positive.clone());
    LabelRequest { column, rule, positive, task: None }
}

/// What columns are.
pub(super) fn columns(args: &ColumnArgs) -> ColumnsRequest {
    let (ignore, categorical) = (args.ignore.clone(), args.categorical.clone());
    ColumnsRequest { ignore, categorical, weight: args.weight.clone() }
}

/// Which rows validate and test.
pub(super) fn parts(args: &PartArgs) -> PartsRequest {
    PartsRequest { validation: args.validation.clone(), test: args.test.clone(), split: args.split.clone() }
}

/// Rows, columns and split.
pub(super) fn source(args: &SourceArgs) -> RunRequest {
    let columns = |cross: &String| cross.split(',').map(|column| column.trim().to_owned()).collect();
    RunRequest {
        settings: args.set.clone(),
        data_dir: args.data_dir.clone(),
        input: input(&args.input, &args.paths),
        schema: args.schema.clone(),
        label: label(&args.label),
        columns: self::columns(&args.columns_are),
        parts: parts(&args.parts),
        max_bad_rows: args.input.max_bad_rows,
        crosses: args.cross.iter().map(columns).collect(),
        max_ind_range: args.max_ind_range,
        reference_compat: args.reference_compat.then_some(true),
        ..RunRequest::default()
    }
}

/// A run of training in `out`.
pub(super) fn training(session: &Session, args: &TrainArgs, out: &Path) -> Result<RunRequest, Failure> {
    Ok(RunRequest {
        config: args.config.clone(),
        preset: args.preset.clone(),
        // With several to choose from, that of the configuration is one of them.
        model: args.model.clone().filter(|kind| kind != AUTO),
        from: args.from.clone(),
        keep_optimizer: args.keep_optimizer.then_some(true),
        epochs: args.epochs,
        max_steps: args.max_steps,
        batch_size: args.batch_size,
        seed: args.seed,
        loading: args.stream.then_some(Loading::Stream),
        baseline: args.no_baseline.then_some(Baseline::Mean),
        out: Some(out.to_owned()),
        start: match (&args.resume, args.overwrite) {
            // With `auto`, the directory decides in their place.
            (Some(_), _) => Start::Resume,
            (None, true) => Start::Overwrite,
            _ => Start::Fresh,
        },
        ..limited(session, &args.source, args.memory_limit.as_deref())?
    })
}

/// Threads, instruction set and memory.
pub(super) fn resources(session: &Session, memory_limit: Option<&str>) -> Result<Resources, Failure> {
    let memory_limit = values::memory_limit(memory_limit)?.or_else(memory::free);
    Ok(Resources { threads: session.threads, isa: session.isa, memory_limit })
}

/// Rows, columns and split with threads, instruction set and memory; without a limit that was said, that is
/// what the system could give. Only one that was said bounds the inference of a schema, which does not depend
/// on the machine.
pub(super) fn limited(
    session: &Session,
    rows: &SourceArgs,
    memory_limit: Option<&str>,
) -> Result<RunRequest, Failure> {
    Ok(RunRequest {
        resources: resources(session, memory_limit)?,
        inference_memory: values::memory_limit(memory_limit)?,
        ..source(rows)
    })
}
