//! `dlrm serve`: models behind HTTP until a signal ends it.

use super::failure::{Failure, io};
use super::serve_args::ServeArgs;
use super::session::Session;
use super::{items, output};
use dlrm::bench::memory;
use dlrm::data::format;
use dlrm::serve::{
    Catalogue, Error, Event, Keys, Limits, LineSink, ModelSource, Options, Server, ServerObserver, Split,
    TlsFiles,
};
use std::fs::OpenOptions;
use std::io::Write;
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
    let asked = args.models.iter().chain(&args.shadow);
    let models = asked.map(|model| source(model)).collect::<Result<Vec<_>, _>>()?;
    if let Some(twice) = twice(&models) {
        let message = format!("MODEL: expected models of different names, found \"{twice}\" twice");
        return Err(Failure::usage(message, "give one of them another name: NAME=DIR"));
    }
    let shadow = args.shadow.as_ref().and_then(|_| models.last()).map(|model| model.name.clone());
    let split = args.split.as_ref().zip(args.by.as_ref());
    let split = split.map(|(shares, by)| split_of(shares, by, &models)).transpose()?;
    let keys = match &args.keys {
        Some(path) => keys(path)?,
        None => Keys::default(),
    };
    let tls = args.tls_certificate.clone().zip(args.tls_key.clone());
    let tls = tls.map(|(certificate, key)| TlsFiles { certificate, key });
    let grpc = grpc(args)?;
    for address in [Some(args.listen), grpc, args.admin].into_iter().flatten() {
        if !is_own(address.ip()) && keys.is_empty() && !args.insecure {
            let message = format!("{address}: expected keys where others can ask, found none");
            let hint = "give a file of keys by --keys, listen at 127.0.0.1, or say --insecure";
            return Err(Failure::usage(message, hint));
        }
    }
    let items = Items::find(session, args, &models)?;
    let request_log = args.request_log.as_deref().map(request_log).transpose()?;
    let options = Options {
        models,
        http: args.listen,
        grpc,
        admin: args.admin,
        threads: session.threads,
        isa: session.isa,
        memory_limit: memory::free(),
        watch: !args.no_watch,
        catalogue: items.catalogue.clone(),
        features: args.features.clone(),
        log: args.log.clone(),
        request_log,
        split,
        shadow,
        tls,
        keys,
        limits: Limits { rows: args.max_rows, ..Limits::default() },
        probe: None,
    };
    session.stop_by_signal();
    let observer = Arc::new(Told { quiet: session.quiet, json: session.json });
    let server = Server::start(options, observer).map_err(failure)?;
    items.tell(session);
    told(session, args, &server)?;
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
fn told(session: &Session, args: &ServeArgs, server: &Server) -> Result<(), Failure> {
    if session.json {
        let value =
            serde_json::json!({ "http": server.http(), "grpc": server.grpc(), "admin": server.admin() });
        return output::print(&format!("{value}\n"));
    }
    let scheme = if args.tls_certificate.is_some() { "https" } else { "http" };
    let mut text = format!("http:  {scheme}://{}\n", server.http());
    if let Some(grpc) = server.grpc() {
        text.push_str(&format!("grpc:  {grpc}\n"));
    }
    if let Some(admin) = server.admin() {
        text.push_str(&format!("admin: {scheme}://{admin}\n"));
    }
    output::print(&text)
}

/// Where gRPC is listened for: as asked, or at the port behind that of HTTP, a free one behind a free one.
fn grpc(args: &ServeArgs) -> Result<Option<SocketAddr>, Failure> {
    let (ip, port) = (args.listen.ip(), args.listen.port());
    match args.grpc.as_deref() {
        Some("off") => Ok(None),
        None if port == 0 => Ok(Some(SocketAddr::new(ip, 0))),
        None => Ok(port.checked_add(1).map(|port| SocketAddr::new(ip, port))),
        Some(text) => text.parse().map(Some).map_err(|_| {
            let message = format!("--grpc: expected an address such as 127.0.0.1:8001, or off, found {text}");
            Failure::usage(message, "leave it out for the port behind that of HTTP")
        }),
    }
}

/// `NAME=DIR`, or a directory that gives its own name.
fn source(text: &str) -> Result<ModelSource, Failure> {
    let is_name = |name: &str| {
        let mut letters = name.bytes();
        let first = letters.next().is_some_and(|b| b.is_ascii_alphanumeric());
        first
            && name.len() <= LONGEST_NAME
            && letters.all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    if let Some((name, dir)) = text.split_once('=').filter(|(name, _)| is_name(name)) {
        return Ok(ModelSource { name: name.to_owned(), dir: dir.into() });
    }
    let dir = Path::new(text);
    let own = dir.file_name().filter(|name| *name != "model").or_else(|| dir.parent()?.file_name());
    let name = own.and_then(|name| name.to_str()).filter(|name| is_name(name)).unwrap_or("model");
    Ok(ModelSource { name: name.to_owned(), dir: dir.into() })
}

/// Shares as `a=0.9,b=0.1`.
fn split_of(shares: &str, by: &str, models: &[ModelSource]) -> Result<Split, Failure> {
    let wrong = |found: &str| {
        let names = models.iter().map(|model| model.name.as_str()).collect::<Vec<_>>().join(", ");
        let message = format!("--split: expected NAME=SHARE,… with the names {names}, found {found}");
        Failure::usage(message, "shares are numbers from 0 on, such as a=0.9,b=0.1")
    };
    let mut all = Vec::new();
    for part in shares.split(',') {
        let (name, share) = part.split_once('=').ok_or_else(|| wrong(part))?;
        let share: f64 = share.trim().parse().map_err(|_| wrong(part))?;
        let name = name.trim();
        if !models.iter().any(|model| model.name == name) {
            return Err(wrong(name));
        }
        all.push((name.to_owned(), share));
    }
    Split::new(all, by.to_owned()).ok_or_else(|| wrong(shares))
}

/// What can be recommended.
struct Items {
    catalogue: Option<Arc<Catalogue>>,
    /// The rows that it was made of, or why there is none.
    note: Option<String>,
}

impl Items {
    /// As the flags say, or else those of the training rows of the first model; without these it serves all
    /// the same, and says why nothing is recommended.
    fn find(session: &Session, args: &ServeArgs, models: &[ModelSource]) -> Result<Self, Failure> {
        let key = args.item_key.as_deref();
        match (&args.items, models.first()) {
            (Some(off), _) if off.as_os_str() == "off" => Ok(Items { catalogue: None, note: None }),
            (Some(path), _) => Ok(Items { catalogue: Some(items::given(path, key)?), note: None }),
            (None, Some(model)) => match items::derived(session, &model.dir, key) {
                Ok((catalogue, rows)) => Ok(Items { catalogue: Some(catalogue), note: Some(rows) }),
                Err(failure) if key.is_some() => Err(failure),
                Err(failure) => {
                    let note = format!("nothing can be recommended: {}", failure.message);
                    Ok(Items { catalogue: None, note: Some(note) })
                }
            },
            (None, None) => Ok(Items { catalogue: None, note: None }),
        }
    }

    /// Says what they are.
    fn tell(&self, session: &Session) {
        if session.quiet {
            return;
        }
        let Some(catalogue) = &self.catalogue else {
            let Some(note) = &self.note else { return };
            let value = serde_json::json!({ "event": "no_items", "reason": note });
            return output::tell(&if session.json { value.to_string() } else { format!("items: {note}") });
        };
        let (count, columns, key) = (catalogue.len(), catalogue.columns(), catalogue.key());
        let value = serde_json::json!({ "event": "items", "items": count, "key": key, "columns": columns });
        let of = self.note.as_ref().map_or_else(String::new, |rows| format!(" of {rows}"));
        let text = format!("items: {}{of}, {}", format::count(count as u64), items::told_apart(columns, key));
        output::tell(&if session.json { value.to_string() } else { text });
    }
}

/// Where the log of requests goes.
fn request_log(path: &Path) -> Result<LineSink, Failure> {
    if path == Path::new("-") {
        return Ok(Arc::new(|lines| {
            output::tell(lines.trim_end());
            Ok(())
        }));
    }
    let file = OpenOptions::new().create(true).append(true).open(path).map_err(io("open", path))?;
    Ok(Arc::new(move |lines| (&file).write_all(lines.as_bytes())))
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
        Error::Model { source, .. } => Failure { message, ..Failure::from(*source) },
        Error::Listen { address, .. } => {
            let free = SocketAddr::new(address.ip(), 0);
            Failure::resources(
                message,
                format!("another program may have it: choose another, or {free} for a free one"),
            )
        }
        Error::Tls(_) => {
            Failure::usage(message, "both files are in PEM, as `openssl req -x509 -nodes` writes them")
        }
        Error::Features { source } => Failure::from(*source),
        Error::By { .. } => Failure::usage(message, "--by names a raw column, such as the user's"),
        Error::Log { .. } => Failure::resources(message, "name a directory that can be written to"),
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
            Event::WithoutItems { model, reason } => (
                format!("note: model \"{model}\" recommends nothing: {reason}"),
                serde_json::json!({ "event": "without_items", "model": model, "reason": reason }),
            ),
            Event::NotLogged { error } => (
                format!("warning: answers were not written down: {error}"),
                serde_json::json!({ "event": "not_logged", "error": error }),
            ),
            Event::NotLoaded { model, error } => (
                format!("warning: model \"{model}\" was not loaded, the one before goes on: {error}"),
                serde_json::json!({ "event": "not_loaded", "model": model, "error": error }),
            ),
        };
        let warns = matches!(event, Event::NotLoaded { .. } | Event::NotLogged { .. });
        if self.json {
            output::tell(&value.to_string());
        } else if !self.quiet || warns {
            output::tell(&text);
        }
    }
}
