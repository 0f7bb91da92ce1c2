//! A uniform sample of the rows of a pass, taken while another reader has it.
use dlrm_data::error::Result;
use dlrm_data::rng::mix;
use dlrm_data::row::{RawRow, RowSource};
use dlrm_data::schema::MultiValued;
use std::sync::Arc;

/// Rows kept at most, and bytes of them.
const MOST_ROWS: usize = 20_000;
const MOST_BYTES: usize = 32 << 20;

/// Hands every row on and keeps some: those whose number's hash is small. The same every time.
pub struct SampledRows<'s> {
    source: &'s mut dyn RowSource,
    next: u64,
    bytes: usize,
    level: u32,
    kept: Vec<(u64, RawRow)>,
    file: Arc<str>,
    before_last_file: u64,
}

impl<'s> SampledRows<'s> {
    /// Over the rows of `source`.
    pub fn new(source: &'s mut dyn RowSource) -> Self {
        SampledRows {
            source,
            next: 0,
            bytes: 0,
            level: 0,
            kept: Vec::new(),
            file: "".into(),
            before_last_file: 0,
        }
    }

    /// The rows that were kept, in order.
    pub fn into_sample(self) -> RowSample {
        let rows = self.kept.into_iter().map(|(_, row)| row).collect();
        RowSample { columns: self.source.columns().to_vec(), rows, before_last_file: self.before_last_file }
    }

    fn keep(&mut self, row: &RawRow) {
        if !Arc::ptr_eq(&self.file, &row.file) && self.file != row.file {
            self.before_last_file = self.next;
        }
        self.file.clone_from(&row.file);
        let key = mix(self.next);
        self.next += 1;
        if key.leading_zeros() < self.level {
            return;
        }
        self.bytes += size(row);
        self.kept.push((key, row.clone()));
        while (self.kept.len() > MOST_ROWS || self.bytes > MOST_BYTES)
            && self.kept.len() > 1
            && self.level < 63
        {
            self.level += 1;
            self.kept.retain(|(key, _)| key.leading_zeros() >= self.level);
            self.bytes = self.kept.iter().map(|(_, row)| size(row)).sum();
        }
    }
}

fn size(row: &RawRow) -> usize {
    row.fields().map(str::len).sum::<usize>() + size_of::<usize>() * row.len() + size_of::<RawRow>()
}

impl RowSource for SampledRows<'_> {
    fn columns(&self) -> &[String] {
        self.source.columns()
    }

    fn lists(&self) -> Vec<(usize, MultiValued)> {
        self.source.lists()
    }

    fn next_row(&mut self, row: &mut RawRow) -> Result<bool> {
        let more = self.source.next_row(row)?;
        if more && row.len() == self.source.columns().len() {
            self.keep(row);
        }
        Ok(more)
    }
}

/// Some rows of an input, each as likely as any other.
#[derive(Debug, Clone, Default)]
pub struct RowSample {
    columns: Vec<String>,
    rows: Vec<RawRow>,
    before_last_file: u64,
}

impl RowSample {
    /// Names of the fields.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Rows of the whole input before its last file.
    pub fn before_last_file(&self) -> u64 {
        self.before_last_file
    }

    /// The rows.
    pub fn rows(&self) -> &[RawRow] {
        &self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dlrm_synth::{ClickConfig, ClickSimulator};

    #[test]
    fn few_rows_of_all_parts_are_kept() {
        let simulator = ClickSimulator::new(ClickConfig { rows: 100_000, ..ClickConfig::default() });
        let mut source = simulator.rows(0..100_000);
        let mut sampled = SampledRows::new(&mut source);
        let (mut row, mut seen) = (RawRow::default(), 0);
        while sampled.next_row(&mut row).unwrap() {
            seen += 1;
            assert!(sampled.kept.len() <= MOST_ROWS);
        }
        let sample = sampled.into_sample();
        assert_eq!(seen, 100_000);
        assert!((8_000..=MOST_ROWS).contains(&sample.rows().len()), "{}", sample.rows().len());
        let early =
            sample.rows().iter().filter(|row| row.line <= 50_000).count() as f64 / sample.rows().len() as f64;
        assert!((early - 0.5).abs() < 0.02, "{early}");
    }
}
