//! `dlrm prepare`.
use super::args::PrepareArgs;
use super::counter::Counter;
use super::failure::{Failure, INTERRUPTED};
use super::session::Session;
use super::{output, requests, values};
use dlrm::bench::memory;
use dlrm::data::Stop;
use dlrm::data::counts::EncodedCounts;
use dlrm::data::format;
use dlrm::data::format::bytes;
use dlrm::data::prepared::{
    self, Extended, Extension, Limits, Manifest, PassOf, PrepareObserver, Prepared, Start, TakenFile,
};
use dlrm::data::split::Part;
use dlrm::engine::{Error, RunRequest, preparation};
use dlrm::report::terminal::table;
use std::time::Instant;

impl PrepareObserver for Counter {
    fn stage(&mut self, name: &str) {
        self.stage(name);
    }

    fn pass(&mut self, pass: PassOf) {
        self.pass(&format!("pass {} of {}", pass.number, pass.of), pass.rows);
    }

    fn rows(&mut self, rows: u64) -> bool {
        self.rows(rows)
    }
}

/// Runs the subcommand.
pub(super) fn run(session: &Session, args: &PrepareArgs) -> Result<(), Failure> {
    let started = Instant::now();
    let (made, read) = match &args.extend {
        Some(part) => extend(session, args, part)?,
        None => prepare(session, args)?,
    };
    let seconds = started.elapsed().as_secs_f64();
    if session.json {
        let value = serde_json::json!({
            "directory": made.dir().display().to_string(),
            "manifest": made.manifest(),
            "bytes_read": read,
            "seconds": seconds,
        });
        return output::print(&format!("{value}\n"));
    }
    output::print(&text(&made, read, seconds))
}

fn prepare(session: &Session, args: &PrepareArgs) -> Result<(Prepared, u64), Failure> {
    let memory_limit = values::memory_limit(args.memory_limit.as_deref())?;
    let request = RunRequest {
        config: args.config.clone(),
        seed: args.seed,
        inference_memory: memory_limit,
        ..requests::source(&args.source)
    };
    let mut notes = Vec::new();
    let config = request.configuration(&mut notes)?;
    if let Some(dir) = &config.data.prepared {
        let message = format!("expected raw files, found the prepared data set {}", dir.display());
        return Err(Failure::usage(message, "train on it: dlrm train DIR"));
    }
    if !session.quiet {
        notes.iter().for_each(|note| output::tell(&output::note(note)));
    }
    // Where little is free it is tried with the least that it takes.
    let free = || memory::free().map(|free| free.max(prepared::LEAST_MEMORY));
    let limits = Limits::of_memory(memory_limit.or_else(free))?;
    // Until here there is nothing to save or to clear away.
    session.stop_by_signal();
    let start = if args.overwrite { Start::Overwrite } else { Start::Fresh };
    let counter = &mut Counter::new(session);
    let reading = (session.threads, Stop::never());
    let made = preparation::prepare((&config, None), &args.output, (limits, start), reading, counter)
        .map_err(|e| failure(e, Failed::Preparing))?;
    let data = &config.data;
    let more = [&data.validation, &data.test].map(|paths| config.input_of(paths));
    let inputs = std::iter::once(&config.input).chain(more.iter().flatten());
    Ok((made, inputs.filter_map(|input| input.byte_len().ok()).sum()))
}

fn extend(session: &Session, args: &PrepareArgs, part: &str) -> Result<(Prepared, u64), Failure> {
    let part = Part::ALL.into_iter().find(|p| p.name() == part).ok_or_else(|| {
        Failure::usage(
            format!("--extend: expected train, validation or test, found \"{part}\""),
            "new days train, unless they are to test",
        )
    })?;
    let old = Prepared::open(&args.output)?;
    let settings = &old.manifest().settings;
    // The same format, but the paths are others.
    let input =
        requests::input(&args.source.input, &args.source.paths).apply(settings.input.clone())?.resolve()?;
    let max_bad_rows = args.source.input.max_bad_rows.unwrap_or(settings.max_bad_rows);
    session.stop_by_signal();
    let extension = Extension { input: &input, part, max_bad_rows, threads: session.threads };
    let Extended { prepared, added, known } = extension
        .run(&args.output, &mut Counter::new(session))
        .map_err(|e| failure(e.into(), Failed::Extending))?;
    tell_known(session, &added, &known);
    let read = added.iter().map(|file| file.sum.bytes).sum();
    Ok((prepared, read))
}

/// Says which files were left out, as their rows are in the data set already.
fn tell_known(session: &Session, added: &[TakenFile], known: &[(TakenFile, TakenFile)]) {
    if session.quiet {
        return;
    }
    for (now, then) in known {
        let (file, earlier) = (now.file.display(), then.file.display());
        let part = then.part.map_or_else(String::new, |part| format!(" to {}", part.name()));
        output::tell(&format!("note: {file} is in the data set already ({earlier}{part}): it adds no row"));
    }
    if added.is_empty() {
        output::tell("note: nothing was added");
    }
}

/// What was interrupted.
#[derive(Clone, Copy)]
enum Failed {
    Preparing,
    Extending,
}

fn failure(error: Error, what: Failed) -> Failure {
    match error {
        Error::Data(dlrm::data::Error::Interrupted) => {
            let hint = match what {
                Failed::Preparing => "run the same command again to go on",
                Failed::Extending => "the data set is as it was",
            };
            Failure { code: INTERRUPTED, message: "before all was done".into(), hint: Some(hint.into()) }
        }
        error => error.into(),
    }
}

fn text(made: &Prepared, read: u64, seconds: f64) -> String {
    let manifest = made.manifest();
    let rows: Vec<Vec<String>> = Part::ALL.into_iter().filter_map(|part| row(manifest, part)).collect();
    let mut text = table(&["rows", "", "mean label", "missing", "unseen", "files", "size"], &rows);
    let layout = made.encoder().layout();
    let table_rows: usize = layout.tables.iter().map(|table| table.rows).sum();
    text.push_str(&format!(
        "{} tables with {} rows; {} of input in {seconds:.1} s ({:.0} MB/s)\n",
        layout.tables.len(),
        format::count(table_rows as u64),
        bytes(read),
        read as f64 / 1e6 / seconds
    ));
    if manifest.skipped > 0 {
        text.push_str(&format!(
            "note: {} malformed rows were skipped, the first: ",
            format::count(manifest.skipped)
        ));
        text.push_str(&manifest.bad_rows.first().map_or_else(String::new, |bad| format!("{bad}\n")));
    }
    let dir = made.dir().display();
    text.push_str(&format!("next:   dlrm train {dir}   (larger than memory: dlrm train {dir} --stream)\n"));
    text
}

fn row(manifest: &Manifest, part: Part) -> Option<Vec<String>> {
    let stats = &manifest.parts[part];
    let zero = EncodedCounts { unseen: Some(0), ..EncodedCounts::default() };
    let counts =
        stats.counts.iter().fold(zero, |all, own| if own.unseen.is_some() { all.plus(*own) } else { all });
    let files: Vec<u64> =
        manifest.files.iter().filter(|file| file.part == part).map(|file| file.sum.bytes).collect();
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    (stats.rows > 0).then(|| {
        vec![
            part.name().to_owned(),
            format::count(stats.rows),
            format!("{:.4}", stats.mean_label()),
            percent(counts.missing_rate()),
            percent(counts.unseen_rate().unwrap_or(0.0)),
            files.len().to_string(),
            bytes(files.iter().sum()),
        ]
    })
}
