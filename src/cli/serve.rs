//! `dlrm serve`: models behind HTTP until a signal ends it.
use super::args::ServeArgs;
use super::failure::Failure;
use super::output;
use super::session::Session;
use dlrm::bench::memory;
use dlrm::serve::{Error, Event, Keys, Limits, ModelSource, Options, Server, ServerObserver};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Time between two looks whether a signal came.
const LOOK: Duration = Duration::from_millis(50);
/// Letters of a model's name.
const LONGEST_NAME: usize = 64;

/// Runs the subcommand.
pub(super) fn run(session: &Session, args: &ServeArgs) -> Result<(), Failure> {
    let models = args.models.iter().map(|model| source(model)).collect::<Result<Vec<_>, _>>()?;
    if let Some(twice) = twice(&models) {
        let message = format!("MODEL: expected models of different names, found \"{twice}\" twice");
        return Err(Failure::usage(message, "give one of them another name: NAME=DIR"));
    }
    let keys = match &args.keys {
        Some(path) => keys(path)?,
        None => Keys::default(),
    };
    for address in [Some(args.listen), args.admin].into_iter().flatten() {
        if !is_own(address.ip()) && keys.is_empty() && !args.insecure {
            let message = format!("{address}: expected keys where others can ask, found none");
            let hint = "give a file of keys by --keys, listen at 127.0.0.1, or say --insecure";
            return Err(Failure::usage(message, hint));
        }
    }
    let limits = Limits { rows: args.max_rows, ..Limits::default() };
    let options = Options {
        models,
        http: args.listen,
        admin: args.admin,
        threads: session.threads,
        isa: session.isa,
        memory_limit: memory::free(),
        watch: !args.no_watch,
        keys,
        limits,
        probe: None,
    };
    session.stop_by_signal();
    let observer = Arc::new(Told { quiet: session.quiet, json: session.json });
    let server = Server::start(options, observer).map_err(failure)?;
    told(session, &server)?;
    while !session.stop.load(Ordering::SeqCst) {
        std::thread::sleep(LOOK);
    }
    if !session.quiet {
        output::tell("answering what is there; a second Ctrl-C ends at once");
    }
    server.stop();
    Ok(())
}

/// Says where it listens. On standard output, for programs that start it on a free port.
fn told(session: &Session, server: &Server) -> Result<(), Failure> {
    if session.json {
        let value = serde_json::json!({ "http": server.http(), "admin": server.admin() });
        return output::print(&format!("{value}\n"));
    }
    let mut text = format!("http:  http://{}\n", server.http());
    if let Some(admin) = server.admin() {
        text.push_str(&format!("admin: http://{admin}\n"));
    }
    output::print(&text)
}

/// `NAME=DIR`, or a directory that gives its own name.
fn source(text: &str) -> Result<ModelSource, Failure> {
    let is_name = |name: &str| {
        let mut letters = name.bytes();
        let first = letters.next().is_some_and(|b| b.is_ascii_alphanumeric());
        first && name.len() <= LONGEST_NAME && letters.all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    if let Some((name, dir)) = text.split_once('=').filter(|(name, _)| is_name(name)) {
        return Ok(ModelSource { name: name.to_owned(), dir: dir.into() });
    }
    let dir = Path::new(text);
    let own = dir.file_name().filter(|name| *name != "model").or_else(|| dir.parent()?.file_name());
    let name = own.and_then(|name| name.to_str()).filter(|name| is_name(name)).unwrap_or("model");
    Ok(ModelSource { name: name.to_owned(), dir: dir.into() })
}

fn twice(models: &[ModelSource]) -> Option<&str> {
    let again = |(place, model): (usize, &ModelSource)| models[..place].iter().any(|m| m.name == model.name);
    models.iter().enumerate().find(|&found| again(found)).map(|(_, model)| model.name.as_str())
}

fn keys(path: &Path) -> Result<Keys, Failure> {
    let text = dlrm::data::text::read(path)?;
    let keys = Keys::parse(&text);
    if keys.is_empty() {
        let message = format!("{}: expected keys, one in each line, found none", path.display());
        return Err(Failure::usage(message, "without --keys whoever reaches the server may ask"));
    }
    Ok(keys)
}

/// Whether only this machine reaches the address.
fn is_own(address: IpAddr) -> bool {
    address.is_loopback()
}

fn failure(error: Error) -> Failure {
    let message = error.to_string();
    match error {
        Error::Model { source, .. } => Failure { message, ..source.into() },
        Error::Listen { address, .. } => {
            let free = SocketAddr::new(address.ip(), 0);
            Failure::resources(message, format!("another program may have it: choose another, or {free} for a free one"))
        }
        Error::Threads { .. } => Failure::resources(message, "end other programs, or give fewer --threads"),
    }
}

/// Says on standard error what happens.
struct Told {
    quiet: bool,
    json: bool,
}

impl ServerObserver for Told {
    fn event(&self, event: &Event) {
        let (text, value) = match event {
            Event::Loaded { model, version } => (
                format!("model \"{model}\": version {version} answers"),
                serde_json::json!({ "event": "loaded", "model": model, "version": version }),
            ),
            Event::NotLoaded { model, error } => (
                format!("warning: model \"{model}\" was not loaded, the one before goes on: {error}"),
                serde_json::json!({ "event": "not_loaded", "model": model, "error": error }),
            ),
        };
        let warns = matches!(event, Event::NotLoaded { .. });
        if self.json {
            output::tell(&value.to_string());
        } else if !self.quiet || warns {
            output::tell(&text);
        }
    }
}
