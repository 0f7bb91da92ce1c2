//! The thread that loads models beside those that answer.
//!
//! One thread for all loads, for its memory is then used again by the next one, where a thread for each would
//! leave the allocator pieces everywhere. It gives way to the threads that answer: a load takes as long as it
//! takes, a request does not wait for it.
use super::registry::{Registry, Reload};
use super::watch::Watch;
use crate::refusal::{Code, Refusal};
use dlrm_engine::Error;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Time between two looks at the directories of models.
const LOOK: Duration = Duration::from_secs(1);

/// How much it gives way: a thread of niceness 10 gets a tenth of a core that others want.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// What the thread is to do.
enum Order {
    Load { model: String, answer: oneshot::Sender<Result<Reload, Refusal>> },
    End,
}

/// Where loads are asked for.
pub(crate) struct Loader {
    orders: Sender<Order>,
}

/// What the thread of a loader will listen to.
pub(crate) struct Orders(Receiver<Order>);

/// Is told what became of a directory that had changed.
pub(crate) type Noticed = Box<dyn Fn(&str, Result<Reload, Error>) + Send>;

impl Loader {
    /// A loader whose thread is yet to be started.
    pub(crate) fn new() -> (Self, Orders) {
        let (orders, taken) = mpsc::channel();
        (Loader { orders }, Orders(taken))
    }

    /// Loads what the directory of a model holds now.
    pub(crate) async fn load(&self, model: &str) -> Result<Reload, Refusal> {
        let lost = || Refusal::new(Code::Internal, "loading met a fault of the server");
        let (answer, answered) = oneshot::channel();
        self.orders.send(Order::Load { model: model.to_owned(), answer }).map_err(|_| lost())?;
        answered.await.unwrap_or_else(|_| Err(lost()))
    }

    /// Lets its thread end, after what it does now.
    pub(crate) fn end(&self) {
        // It may have ended.
        let _ = self.orders.send(Order::End);
    }
}

impl Orders {
    /// Starts the thread. Where there are `watches`, directories that have changed are loaded too.
    ///
    /// # Errors
    /// If there is no thread to be had.
    pub(crate) fn start(
        self,
        registry: Arc<Registry>,
        watches: Vec<(String, Watch)>,
        noticed: Noticed,
    ) -> io::Result<JoinHandle<()>> {
        let work = move || {
            give_way();
            Work { registry, watches, noticed }.until_the_end(&self.0);
        };
        thread::Builder::new().name("load".into()).spawn(work)
    }
}

/// What the thread knows.
struct Work {
    registry: Arc<Registry>,
    watches: Vec<(String, Watch)>,
    noticed: Noticed,
}

impl Work {
    fn until_the_end(mut self, orders: &Receiver<Order>) {
        let mut next_look = Instant::now() + LOOK;
        loop {
            let left = next_look.saturating_duration_since(Instant::now());
            match orders.recv_timeout(left) {
                Ok(Order::Load { model, answer }) => {
                    let loaded = catch_unwind(AssertUnwindSafe(|| self.registry.load(&model)));
                    let loaded = loaded.map(|loaded| {
                        loaded.map_err(|error| Refusal::new(Code::BadRequest, error.to_string()))
                    });
                    if let Ok(loaded) = loaded {
                        // Whoever asked may have gone.
                        let _ = answer.send(loaded);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.look();
                    next_look = Instant::now() + LOOK;
                }
                Ok(Order::End) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Loads the directories that have changed.
    fn look(&mut self) {
        for (model, watch) in &mut self.watches {
            if watch.has_changed(self.registry.last_read(model).as_deref()) {
                let loaded = catch_unwind(AssertUnwindSafe(|| self.registry.load(model)));
                watch.note(matches!(loaded, Ok(Ok(_))));
                if let Ok(loaded) = loaded {
                    (self.noticed)(model, loaded);
                }
            }
        }
    }
}

/// Lets other threads go first, where a thread can say so by itself.
fn give_way() {
    #[cfg(target_os = "linux")]
    // It is a favour: where it is refused, loading goes on as fast as the rest.
    let _ = rustix::process::setpriority_process(None, NICENESS);
}
