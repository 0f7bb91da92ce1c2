//! HTTP: connections, routes, and the two interfaces behind them.
mod accept;
mod answers;
mod body;
mod inference;
mod native;
mod routes;
mod tensors;

pub(crate) use accept::{Connections, accept};
pub(crate) use routes::{admin, public};
