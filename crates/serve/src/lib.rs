//! Floor 5 of dlrm: model directories behind HTTP, with raw values in and the scores of `dlrm predict` out,
//! bit for bit.
//!
//! Three floors: connections (`http`), a bounded queue, compute threads (`work`). Threads of connections read
//! and write; compute threads pull from the queue what they can score in one pass, each alone, through the
//! engine's
//! `RowScorer`. Nothing that is answered depends on what else is.
#![forbid(unsafe_code)]

mod catalogue;
mod data_type;
mod filter;
mod grpc;
mod http;
mod inputs;
mod join;
mod keys;
mod limits;
mod live;
mod log;
mod metrics;
mod metrics_format;
mod models;
mod oip;
mod once;
mod refusal;
mod request;
mod request_log;
mod rows;
mod server;
mod service;
mod split;
mod statistics;
mod tensor_text;
mod tls;
mod trace;
mod work;

pub use catalogue::{Catalogue, EventItems, Origin, Roles, rows_of_table};
pub use keys::Keys;
pub use limits::Limits;
pub use models::ModelSource;
pub use once::{KnownUser, RecommendError, RecommendRequest, Recommended, recommend};
pub use request_log::LineSink;
pub use server::{Error, Event, Options, Server, ServerObserver};
pub use split::Split;
pub use tls::{TlsError, TlsFiles};
pub use work::Probe;
