//! A running server under load: requests that are due at times fixed ahead, whatever the server makes of
//! them.
//!
//! The loop is open: how long a request took is counted from when it was due, never from when it was sent,
//! so a server that stalls does not hide the requests that it has kept waiting (no coordinated omission).
//! Each connection has a thread, which sends the next request that is due and waits for its answer.
//!
//! | file | noun |
//! |---|---|
//! | `address` | where the server is |
//! | `connection` | what little of HTTP/1.1 is needed to ask it |
//! | `served` | what the server says of a model |
//! | `requests` | what is asked, made ahead |
//! | `schedule` | when |
//! | `asking` | asking, and how long each answer took |
//! | `measured` | what came of all of it |
//! | `quantiles` | times that so many requests took at most |
//! | `stages` | where the server's time went, by its own account |
mod address;
mod asking;
mod connection;
mod error;
mod measured;
mod quantiles;
mod requests;
mod schedule;
mod served;
mod stages;

pub use address::Address;
pub use asking::Load;
pub use error::LoadError;
pub use measured::{LoadMeasured, RunEnd};
pub use quantiles::Quantiles;
pub use requests::{Question, RequestBodies, RequestRows};
pub use schedule::Arrivals;
pub use served::{ServedColumn, ServedModel};
pub use stages::StageTime;
