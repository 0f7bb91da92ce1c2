//! Pooled vectors of which some are still on their way.
use crate::ranks::Ranks;
use dlrm_cluster::Ticket;
use dlrm_data::Batch;
use dlrm_nn::{GatheredVectors, GroupId, LocalTables, TableStore};
use std::ops::Range;
use std::sync::{Mutex, OnceLock, PoisonError};

/// The pooled vectors of a rank's rows of a batch: those of its first lanes, which are here, and those of the
/// others, which come while the first are computed.
pub(crate) struct Arriving<'a> {
    tables: &'a LocalTables,
    batch: &'a Batch,
    ranks: &'a Ranks,
    first: GatheredVectors<'a>,
    later: OnceLock<GatheredVectors<'a>>,
    /// The exchange that the later ones come by, until someone waits for it, and their rows.
    coming: Mutex<Option<(Ticket, Vec<Range<usize>>)>>,
}

impl<'a> Arriving<'a> {
    /// Of these tables' vectors for rows of `batch`.
    pub(crate) fn new(
        (tables, batch, ranks): (&'a LocalTables, &'a Batch, &'a Ranks),
        first: GatheredVectors<'a>,
        coming: (Ticket, Vec<Range<usize>>),
    ) -> Self {
        Arriving { tables, batch, ranks, first, later: OnceLock::new(), coming: Mutex::new(Some(coming)) }
    }

    /// The later ones; waits until they are here.
    fn later(&self) -> &GatheredVectors<'a> {
        self.later.get_or_init(|| {
            let coming = self.coming.lock().unwrap_or_else(PoisonError::into_inner).take();
            let (ticket, rows) = coming.expect("one exchange brings all that comes later");
            let messages = self.ranks.finish(ticket);
            GatheredVectors::new(self.tables, self.batch, rows.into_iter(), messages)
                .expect("ranks run one program on one batch")
        })
    }

    /// The messages that they came by, once all rows are computed.
    pub(crate) fn into_messages(self) -> Vec<Vec<u8>> {
        // Also where no row of this rank comes later: others wait for the end of the exchange.
        self.later();
        let later = self.later.into_inner().map(GatheredVectors::into_messages);
        self.first.into_messages().into_iter().chain(later.into_iter().flatten()).collect()
    }
}

impl TableStore for Arriving<'_> {
    fn pool(&self, batch: &Batch, rows: Range<usize>, group: GroupId, out: &mut [f32]) {
        let store = if self.first.has(&rows) { &self.first } else { self.later() };
        store.pool(batch, rows, group, out);
    }
}
