//! What the first rank has made of a request, told to the others: they need neither its directory nor another
//! look at the rows to know how they are trained on.
use super::{Resources, Run};
use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::ranks::Ranks;
use crate::start::Start;
use dlrm_kernels::isa::{Isa, Level};

/// What errors call the message.
const MESSAGE: &str = "what the first rank has sent";

impl Run {
    /// Tells the other ranks of this run, which they then [`assist`](Run::assist) with the instructions that
    /// all have; what to warn of, where this one has more.
    ///
    /// # Errors
    /// If one of them cannot go on.
    pub fn tell(&mut self) -> Result<Option<String>> {
        self.ranks.all_gather(self.config.to_toml().into_bytes())?;
        let own = self.resources.isa;
        let least = self.agree_on_instructions()?;
        Ok(least.filter(|_| self.resources.isa != own).map(|rank| {
            let name = |isa: Isa| {
                format!("{}{}", isa.level().name(), if isa.has_bf16() { " with bf16" } else { "" })
            };
            let (common, own) = (name(self.resources.isa), name(own));
            format!("rank {rank} has the instruction set {common}, rank 0 {own}: all compute with {common}")
        }))
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
        let mut run = Run { config, rows: None, out: None, start: Start::Fresh, resources, ranks };
        run.agree_on_instructions()?;
        Ok(run)
    }

    /// Computes with the least instruction set of all ranks, for others round otherwise; who has it.
    fn agree_on_instructions(&mut self) -> Result<Option<usize>> {
        let own = self.resources.isa;
        let all = self.ranks.all_gather(vec![own.level() as u8, u8::from(own.has_bf16())])?;
        let Some((rank, least)) = all.iter().enumerate().min_by_key(|(_, told)| *told) else {
            return Ok(None);
        };
        let level = Level::ALL.into_iter().find(|&level| least.first() == Some(&(level as u8)));
        let isa = level.filter(|&level| level <= own.level()).and_then(Isa::of);
        // Ranks of another version are refused by themselves.
        let Some(isa) = isa else { return Ok(None) };
        let bf16 = all.iter().all(|told| told.get(1) == Some(&1));
        self.resources.isa = if bf16 { isa } else { isa.without_bf16() };
        Ok(Some(rank))
    }
}
