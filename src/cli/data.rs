//! `dlrm data`.
use super::args::DataArgs;
use super::failure::Failure;
use super::output::{self, count, plain, tell};
use super::session::Session;
use dlrm::data::format::bytes;
use dlrm::fetch::catalogue::{self, Source};
use dlrm::fetch::place::{Record, TERMS, whole};
use dlrm::fetch::transfer::Patience;
use dlrm::fetch::{CATALOGUE, DataSet, Observer, Request, fetch};
use dlrm::report::terminal::table;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Runs the subcommand.
pub(super) fn run(session: &Session, args: &DataArgs) -> Result<(), Failure> {
    let Some(name) = &args.name else { return list(session) };
    let set = catalogue::find(name).ok_or_else(|| unknown(name))?;
    let directory = args.output.clone().unwrap_or_else(|| PathBuf::from("data").join(set.name));
    let mut watch = Watch::new(session);
    if let Some(record) = whole(set, &directory, &mut watch)? {
        watch.bar.finish_and_clear();
        return tell_of(session, set, &directory, &record, Was::There);
    }
    if let (Source::Login(how), None, None) = (set.source, &args.from, &args.url) {
        let file = set.archive.file;
        return Err(Failure::usage(
            format!("{}: its publisher hands it out only to those who log in", set.name),
            format!("{how} ({}), then: dlrm data {} --from {file}", set.page, set.name),
        ));
    }
    terms(session, set, args)?;
    let recipe = recipe(set).map(|text| (RECIPE, text));
    let request = Request {
        directory: &directory,
        from: args.from.as_deref(),
        url: args.url.as_deref(),
        beside: recipe.as_slice(),
        patience: Patience::default(),
    };
    session.stop_by_signal();
    let record = fetch(set, &request, &mut watch);
    watch.bar.finish_and_clear();
    tell_of(session, set, &directory, &record?, Was::Fetched)
}

fn unknown(name: &str) -> Failure {
    let hint = catalogue::near(name)
        .map_or_else(|| "`dlrm data` lists them".to_owned(), |near| format!("did you mean \"{near}\"?"));
    Failure::usage(format!("data: expected the name of a data set, found \"{name}\""), hint)
}

fn list(session: &Session) -> Result<(), Failure> {
    if session.json {
        let value = |set: &DataSet| {
            let (url, login) = match set.source {
                Source::Url(url) => (Some(url), None),
                Source::Login(how) => (None, Some(how)),
            };
            serde_json::json!({
                "name": set.name, "title": set.title, "publisher": set.publisher, "page": set.page,
                "url": url, "login": login, "bytes": set.archive.checksum.bytes(),
                "unpacked_bytes": set.unpacked, "rows": set.rows(), "terms": set.terms,
                "directory": format!("data/{}", set.name),
            })
        };
        return output::print(&format!("{}\n", serde_json::Value::from_iter(CATALOGUE.iter().map(value))));
    }
    let row = |set: &DataSet| {
        let download = match set.source {
            Source::Url(_) => bytes(set.archive.checksum.bytes()),
            Source::Login(_) => "by hand".to_owned(),
        };
        let place = format!("data/{}", set.name);
        vec![
            set.name.into(),
            set.publisher.into(),
            download,
            bytes(set.unpacked),
            count(set.rows()),
            place,
            set.terms.into(),
        ]
    };
    let rows: Vec<Vec<String>> = CATALOGUE.iter().map(row).collect();
    output::print(&format!(
        "{}\nFetch one with `dlrm data NAME`. What lies behind a login, or where there is no network, is \
            fetched by hand and given\n\
         with --from. The day files of Criteo Terabyte \
         (https://huggingface.co/datasets/criteo/CriteoClickLogs, behind a login)\n\
         need no unpacking: --format criteo reads them where they are.\n",
        table(&["name", "publisher", "download", "unpacked", "rows", "directory", "terms"], &rows)
    ))
}

/// Shows the terms, and asks where someone can answer. Whoever has the file has accepted them already.
fn terms(session: &Session, set: &DataSet, args: &DataArgs) -> Result<(), Failure> {
    let is_accepted = args.accept_terms || args.from.is_some();
    if !session.quiet || !is_accepted {
        tell(&format!("{}, published by {}: {}\nTerms in short:", set.title, set.publisher, set.page));
        set.terms_text.lines().for_each(|line| tell(&format!("  {line}")));
    }
    if is_accepted {
        return Ok(());
    }
    let refusal = || {
        let hint = "read them, above and on the publisher's page, and repeat the command with --accept-terms";
        Failure::usage(format!("{}: expected its terms to be accepted before it is fetched", set.name), hint)
    };
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return Err(refusal());
    }
    let _ = write!(std::io::stderr(), "Do you accept them? [y/N] ");
    let mut answer = String::new();
    let _ = std::io::stdin().read_line(&mut answer);
    if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") { Ok(()) } else { Err(refusal()) }
}

/// Whether a data set had to be fetched.
enum Was {
    There,
    Fetched,
}

fn tell_of(
    session: &Session,
    set: &DataSet,
    directory: &Path,
    record: &Record,
    was: Was,
) -> Result<(), Failure> {
    let next = next(set, directory);
    if session.json {
        let value = serde_json::json!({
            "directory": directory, "fetched": matches!(was, Was::Fetched), "record": record, "next": next,
        });
        return output::print(&format!("{value}\n"));
    }
    let was = match was {
        Was::There => "is there already, and whole",
        Was::Fetched => "is there",
    };
    let rows: Vec<String> =
        record.rows.iter().map(|(name, rows)| format!("{name} {} rows", count(*rows))).collect();
    let mut text = format!("{} {was}: {} ({})\n", set.title, directory.display(), rows.join(", "));
    text.push_str(&format!("verified: {}\n", record.checked));
    if let Some(archive) = &record.archive {
        text.push_str(&format!("archive:  {} bytes, SHA-256 {}\n", count(archive.bytes), archive.sha256));
    }
    text.push_str(&format!("terms:    {}\n\nTrain on it:\n  {next}\n", directory.join(TERMS).display()));
    output::print(&text)
}

/// Name of the recipe that is put beside the data.
const RECIPE: &str = "recipe.toml";

fn recipe(set: &DataSet) -> Option<&'static str> {
    match set.name {
        "adult" => Some(include_str!("../../recipes/adult.toml")),
        "criteo-kaggle" => Some(include_str!("../../recipes/criteo-kaggle.toml")),
        _ => None,
    }
}

/// The command that trains on what lies in `directory`.
fn next(set: &DataSet, directory: &Path) -> String {
    let shown = |path: &Path| {
        let text = path.display().to_string();
        if text.contains(char::is_whitespace) { format!("\"{text}\"") } else { text }
    };
    let table = shown(&directory.join(set.tables[0].file));
    let (recipe, directory, name) = (shown(&directory.join(RECIPE)), shown(directory), set.name);
    match name {
        "adult" => format!("dlrm train --config {recipe} --data-dir {directory} -o runs/{name}"),
        "criteo-kaggle" => format!("dlrm train {table} --config {recipe} --stream -o runs/{name}"),
        "avazu" => format!("dlrm train {table} --label click --stream -o runs/{name}"),
        _ => format!("dlrm train {directory} --format movielens --label-rule \"rating >= 4\" -o runs/{name}"),
    }
}

/// Shows how it goes: a bar on a terminal, plain lines elsewhere.
struct Watch<'a> {
    session: &'a Session,
    bar: ProgressBar,
    is_terminal: bool,
    /// When the last plain line was written.
    spoken: Instant,
}

/// Between plain lines where there is no terminal.
const SPEAK_EVERY: Duration = Duration::from_secs(10);

impl<'a> Watch<'a> {
    fn new(session: &'a Session) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let target = if is_terminal && !session.quiet {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let style = "{spinner} {bytes}/{total_bytes} [{bar:30}] {bytes_per_sec} eta {eta}";
        // The template is a constant that is known to be right.
        let style = ProgressStyle::with_template(style)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ");
        let bar = ProgressBar::with_draw_target(None, target).with_style(style);
        Watch { session, bar, is_terminal, spoken: Instant::now() }
    }

    fn line(&self, text: &str) {
        if self.session.quiet {
        } else if self.is_terminal {
            self.bar.println(&*plain(text));
        } else {
            tell(text);
        }
    }
}

impl Observer for Watch<'_> {
    fn stage(&mut self, what: &str) {
        self.bar.reset();
        self.bar.unset_length();
        self.line(&format!("{what} …"));
    }

    fn progress(&mut self, done: u64, all: Option<u64>) {
        if let Some(all) = all {
            self.bar.set_length(all);
        }
        self.bar.set_position(done);
        if !self.is_terminal && self.spoken.elapsed() >= SPEAK_EVERY {
            self.spoken = Instant::now();
            let of = all.map_or_else(String::new, |all| format!(" of {}", bytes(all)));
            self.line(&format!("{}{of}", bytes(done)));
        }
    }

    fn warned(&mut self, warning: &str) {
        self.line(&format!("warning: {warning}"));
    }

    fn should_stop(&mut self) -> bool {
        self.session.stop.load(Ordering::SeqCst)
    }
}
