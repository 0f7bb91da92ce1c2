//! Floor 1 of dlrm: processes (ranks) that train one model together send each other bytes.
//!
//! * [`Communicator`]: a personalised all-to-all of byte buffers, and what derives from it.
//! * [`Solo`]: one rank; nothing leaves it. [`Threads`]: ranks as threads of one process, for tests.
//! * [`Watch`]: who tells which ranks are waited for too long; communicators take one when they are made.
//!
//! A communicator moves bytes and **never adds floats**: communication libraries choose the order of a sum by
//! the size of the message, and then the result depends on the number of ranks. Whoever receives adds, in an
//! order that all ranks share.
#![forbid(unsafe_code)]

mod communicator;
mod solo;
mod threads;
mod watch;

pub use communicator::{Communicator, Ticket};
pub use solo::Solo;
pub use threads::Threads;
pub use watch::{PATIENCE, Wait, Watch};
