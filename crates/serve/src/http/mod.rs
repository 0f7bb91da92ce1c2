//! HTTP: connections, routes, and the two interfaces behind them.
mod accept;
mod answers;
mod beside;
mod body;
mod inference;
mod native;
mod openapi;
mod packing;
mod pages;
mod routes;
mod tensors;

pub(crate) use accept::{Connections, Protocol, accept};
pub(crate) use packing::PACKED_FROM;
pub(crate) use routes::{admin, public};
