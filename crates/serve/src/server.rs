//! A server: its threads and their end.
use crate::catalogue::Catalogue;
use crate::grpc;
use crate::http::{self, Connections, Protocol};
use crate::join::Join;
use crate::keys::Keys;
use crate::limits::Limits;
use crate::live::Live;
use crate::log::Log;
use crate::metrics::{Asked, Metrics};
use crate::models::{Loaded, Loader, ModelSource, Orders, Registry, Reload, Watch};
use crate::request_log::{LineSink, RequestLog};
use crate::service::{BLOCK, RequestIds, Service};
use crate::split::Split;
use crate::statistics::Statistics;
use crate::tls::{TlsError, TlsFiles};
use crate::work::{Probe, Queue, work};
use dlrm_kernels::Isa;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, watch};

/// How long a look-up in the store of features may take.
const LOOK_UP: Duration = Duration::from_millis(50);
/// Threads that read and write connections.
const IO_THREADS: usize = 2;

/// What is served, and how.
#[derive(Clone)]
pub struct Options {
    /// The models, the first of which answers where a request names none.
    pub models: Vec<ModelSource>,
    /// Where HTTP is listened for; port 0 takes a free one.
    pub http: SocketAddr,
    /// Where gRPC is listened for, if anywhere.
    pub grpc: Option<SocketAddr>,
    /// Where models can be loaded, unloaded and taken back, if anywhere.
    pub admin: Option<SocketAddr>,
    /// Compute threads.
    pub threads: usize,
    /// Instruction set.
    pub isa: Isa,
    /// Bytes that a model may take.
    pub memory_limit: Option<u64>,
    /// Whether a directory that is replaced is loaded.
    pub watch: bool,
    /// What can be recommended.
    pub catalogue: Option<Arc<Catalogue>>,
    /// The store that requests are joined to.
    pub features: Option<String>,
    /// The directory that answers are written down in, if they are.
    pub log: Option<PathBuf>,
    /// What takes a line of JSON for each request, if anything.
    pub request_log: Option<LineSink>,
    /// Which model answers requests that name none, if not the first.
    pub split: Option<Split>,
    /// The model that is asked beside the one that answers, to compare both.
    pub shadow: Option<String>,
    /// The certificate to speak TLS with, if it is spoken.
    pub tls: Option<TlsFiles>,
    /// Who may ask.
    pub keys: Keys,
    /// What a request may take.
    pub limits: Limits,
    /// For tests.
    pub probe: Option<Probe>,
}

/// What happens in a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A version of a model answers from now on.
    Loaded {
        /// The model.
        model: String,
        /// Its version.
        version: String,
    },
    /// A model cannot use the items of the events that some model was trained on.
    WithoutItems {
        /// The model.
        model: String,
        /// Why.
        reason: String,
    },
    /// Answers, or lines about requests, could not be written down.
    NotLogged {
        /// What the system says.
        error: String,
    },
    /// A directory could not be loaded; what answered before goes on to.
    NotLoaded {
        /// The model.
        model: String,
        /// What is wrong.
        error: String,
    },
}

/// Who is told.
pub trait ServerObserver: Send + Sync {
    /// Something happened.
    fn event(&self, event: &Event);
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A model cannot be loaded.
    #[error("model \"{name}\": {source}")]
    Model {
        /// The model.
        name: String,
        /// What is wrong.
        source: Box<dlrm_engine::Error>,
    },
    /// An address cannot be listened at.
    #[error("{address}: expected an address to listen at, found: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// No model has the column that shares go by.
    #[error("the column that shares go by: expected one of the models, found \"{column}\"")]
    By {
        /// The column.
        column: String,
    },
    /// A certificate or key is none.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// There is no such store of features.
    #[error("{source}")]
    Features {
        /// What is wrong.
        source: Box<dlrm_features::Error>,
    },
    /// Answers cannot be written down.
    #[error("{}: expected a directory to write to, found: {source}", dir.display())]
    Log {
        /// The directory.
        dir: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The system refuses a thread.
    #[error("threads: expected {wanted} more, found: {source}")]
    Threads {
        /// How many.
        wanted: usize,
        /// What the system says.
        source: io::Error,
    },
}

/// A server that answers until it is stopped.
pub struct Server {
    service: Arc<Service>,
    runtime: Option<Runtime>,
    http: SocketAddr,
    grpc: Option<SocketAddr>,
    admin: Option<SocketAddr>,
    tls: Option<TlsFiles>,
    ended: watch::Sender<bool>,
    accepting: Vec<tokio::task::JoinHandle<()>>,
    workers: Vec<JoinHandle<()>>,
    loader: Option<JoinHandle<()>>,
}

impl Server {
    /// Loads all models, listens and answers.
    ///
    /// # Errors
    /// If a model cannot be loaded, an address is taken or threads are refused; nothing is left behind then.
    pub fn start(options: Options, observer: Arc<dyn ServerObserver>) -> Result<Self, Error> {
        let watches: Vec<(String, Watch)> =
            options.models.iter().map(|source| (source.name.clone(), Watch::new(&source.dir))).collect();
        let (service, orders) = service(&options, &observer)?;
        let service = Arc::new(service);
        let refused = |source| Error::Threads { wanted: IO_THREADS, source };
        let runtime = Builder::new_multi_thread().worker_threads(IO_THREADS).enable_all().build();
        let runtime = runtime.map_err(refused)?;
        let (ended, over_soon) = watch::channel(false);
        let connections = Connections {
            limits: options.limits.clone(),
            metrics: service.metrics.clone(),
            room: Arc::new(Semaphore::new(options.limits.connections)),
            ended: over_soon,
        };
        let mut server = Server {
            service,
            runtime: None,
            http: options.http,
            grpc: None,
            admin: None,
            tls: options.tls.clone(),
            ended,
            accepting: Vec::new(),
            workers: Vec::new(),
            loader: None,
        };
        let public = http::public(server.service.clone());
        server.http = server.listen(&runtime, (options.http, Protocol::Http), public, &connections)?;
        if let Some(address) = options.grpc {
            let routes = runtime.block_on(grpc::routes(server.service.clone()));
            server.grpc = Some(server.listen(&runtime, (address, Protocol::Grpc), routes, &connections)?);
        }
        if let Some(address) = options.admin {
            let routes = http::admin(server.service.clone());
            server.admin = Some(server.listen(&runtime, (address, Protocol::Http), routes, &connections)?);
        }
        server.runtime = Some(runtime);
        server.compute(&options)?;
        server.load(orders, if options.watch { watches } else { Vec::new() }, observer)?;
        Ok(server)
    }

    fn listen(
        &mut self,
        runtime: &Runtime,
        (address, protocol): (SocketAddr, Protocol),
        routes: axum::Router,
        connections: &Connections,
    ) -> Result<SocketAddr, Error> {
        let refused = |source| Error::Listen { address, source };
        let listener = runtime.block_on(TcpListener::bind(address)).map_err(refused)?;
        let bound = listener.local_addr().map_err(refused)?;
        let offered: &[u8] = if protocol == Protocol::Grpc { b"h2" } else { b"http/1.1" };
        let tls = self.tls.as_ref().map(|files| files.acceptor(&[offered])).transpose()?;
        let accepting = http::accept(listener, routes, protocol, connections.clone(), tls);
        self.accepting.push(runtime.spawn(accepting));
        Ok(bound)
    }

    fn compute(&mut self, options: &Options) -> Result<(), Error> {
        for number in 0..options.threads {
            let (service, probe) = (self.service.clone(), options.probe.clone());
            let compute = move || work(&service.queue, &service.registry, &service.metrics, probe.as_ref());
            let thread = thread::Builder::new().name(format!("compute-{number}")).spawn(compute);
            self.workers.push(thread.map_err(|source| Error::Threads { wanted: options.threads, source })?);
        }
        Ok(())
    }

    /// Lets models be loaded from now on, when someone asks for it or their directories change.
    fn load(
        &mut self,
        orders: Orders,
        watches: Vec<(String, Watch)>,
        observer: Arc<dyn ServerObserver>,
    ) -> Result<(), Error> {
        let (registry, metrics) = (self.service.registry.clone(), self.service.metrics.clone());
        let told = registry.clone();
        let noticed = move |name: &str, loaded: Result<Reload, dlrm_engine::Error>| {
            let code = if loaded.is_ok() { "ok" } else { "error" };
            let asked = Asked { model: name.to_owned(), kind: "watch", code: code.into() };
            metrics.reloads.get_or_create(&asked).inc();
            tell((&*observer, &told), name, loaded);
        };
        let thread = orders.start(registry, watches, Box::new(noticed));
        self.loader = Some(thread.map_err(|source| Error::Threads { wanted: 1, source })?);
        Ok(())
    }

    /// Where HTTP is answered.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where gRPC is answered, if anywhere.
    pub fn grpc(&self) -> Option<SocketAddr> {
        self.grpc
    }

    /// Where models can be loaded, if anywhere.
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// Takes no more requests, answers those that are there, and ends.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.service.ready.store(false, Ordering::Relaxed);
        self.service.loader.end();
        // Nobody listens where nothing was accepted.
        let _ = self.ended.send(true);
        if let Some(runtime) = self.runtime.take() {
            for accepting in self.accepting.drain(..) {
                let _ = runtime.block_on(accepting);
            }
            self.service.queue.close();
            self.workers.drain(..).for_each(|worker| drop(worker.join()));
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
        self.service.queue.close();
        self.workers.drain(..).chain(self.loader.take()).for_each(|thread| drop(thread.join()));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// What is asked, with all models loaded.
fn service(options: &Options, observer: &Arc<dyn ServerObserver>) -> Result<(Service, Orders), Error> {
    // Whoever asks for recommendations asks for a block from each thread.
    let most_rows = options.limits.waiting_rows.max(2 * BLOCK * options.threads);
    let queue = Arc::new(Queue::new(options.limits.waiting, most_rows));
    let renewed = queue.clone();
    let changed = move |generation| renewed.renew(generation);
    let catalogue = options.catalogue.clone();
    let join = options.features.as_deref().map(join).transpose()?;
    let keys = join.as_ref().map(Join::keys).unwrap_or_default();
    let how = (options.isa, options.memory_limit);
    let registry = Registry::new(options.models.clone(), how, (catalogue, keys), changed);
    for source in &options.models {
        let loaded = registry.load(&source.name);
        let loaded =
            loaded.map_err(|error| Error::Model { name: source.name.clone(), source: Box::new(error) })?;
        tell((&**observer, &registry), &source.name, Ok(loaded));
    }
    if let Some(split) = &options.split {
        let known = |model: &Arc<Loaded>| model.format.place(split.by()).is_some();
        if !registry.snapshot().models.iter().any(known) {
            return Err(Error::By { column: split.by().to_owned() });
        }
    }
    let metrics = Arc::new(Metrics::new());
    let request_log = options.request_log.clone();
    let request_log = request_log.map(|sink| request_log_to(sink, &metrics, observer)).transpose()?;
    let (loader, orders) = Loader::new();
    let service = Service {
        registry: Arc::new(registry),
        loader,
        queue,
        metrics,
        statistics: Statistics::default(),
        live: Live::new(),
        log: options.log.clone().map(|dir| log(dir, observer)).transpose()?,
        request_log,
        join,
        split: options.split.clone(),
        shadow: options.shadow.clone(),
        ids: RequestIds::new(),
        threads: options.threads,
        limits: options.limits.clone(),
        keys: options.keys.clone(),
        ready: AtomicBool::new(true),
    };
    Ok((service, orders))
}

fn join(address: &str) -> Result<Join, Error> {
    let store =
        dlrm_features::open(address).map_err(|source| Error::Features { source: Box::new(source) })?;
    Ok(Join::new(store, LOOK_UP))
}

fn log(dir: PathBuf, observer: &Arc<dyn ServerObserver>) -> Result<Log, Error> {
    let observer = observer.clone();
    let failed = move |error| observer.event(&Event::NotLogged { error });
    Log::start(dir.clone(), failed).map_err(|source| Error::Log { dir, source })
}

fn request_log_to(
    sink: LineSink,
    metrics: &Metrics,
    observer: &Arc<dyn ServerObserver>,
) -> Result<RequestLog, Error> {
    let observer = observer.clone();
    let failed = move |error| observer.event(&Event::NotLogged { error });
    let started = RequestLog::start(sink, metrics.request_log_lost.clone(), failed);
    started.map_err(|source| Error::Threads { wanted: 1, source })
}

fn tell(
    (observer, registry): (&dyn ServerObserver, &Registry),
    model: &str,
    loaded: Result<Reload, dlrm_engine::Error>,
) {
    let model = model.to_owned();
    match loaded {
        Ok(Reload::Swapped(version)) => {
            let found = registry.find(&model, Some(&version));
            observer.event(&Event::Loaded { model: model.clone(), version });
            if let Some(reason) = found.ok().and_then(|loaded| loaded.without_items.clone()) {
                observer.event(&Event::WithoutItems { model, reason });
            }
        }
        Ok(Reload::Unchanged) => {}
        Err(error) => observer.event(&Event::NotLoaded { model, error: error.to_string() }),
    }
}
