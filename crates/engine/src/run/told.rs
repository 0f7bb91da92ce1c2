//! What the first rank has made of a request, told to the others: they need neither its directory nor another
//! look at the rows to know how they are trained on.
use super::{Resources, Run};
use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::ranks::Ranks;
use crate::start::Start;

/// What errors call the message.
const MESSAGE: &str = "what the first rank has sent";

impl Run {
    /// Tells the other ranks of this run, which they then [`assist`](Run::assist).
    ///
    /// # Errors
    /// If one of them cannot go on.
    pub fn tell(&self) -> Result<()> {
        self.ranks.all_gather(self.config.to_toml().into_bytes()).map(drop)
    }

    /// The run that the first of `ranks` tells of, with the resources of this one.
    ///
    /// # Errors
    /// [`Error::Assisted`] if there is nothing to do, for the first one has left.
    pub fn told(ranks: Ranks, resources: Resources) -> Result<Run> {
        let mut all = ranks.all_gather(Vec::new())?;
        let text = String::from_utf8(all.swap_remove(0))
            .map_err(|e| Error::saved(MESSAGE, format!("expected UTF-8, found {e}")))?;
        let config = RunConfig::load_stored(&text, MESSAGE, &mut Vec::new())?;
        Ok(Run { config, rows: None, out: None, start: Start::Fresh, resources, ranks })
    }
}
