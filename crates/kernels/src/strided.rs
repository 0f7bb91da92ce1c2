//! Rows with a stride between them.

/// Rows that start `stride` floats apart: where a kernel writes some columns of a matrix that may be wider.
#[derive(Debug)]
pub struct Strided<'a> {
    /// From the first float of the first row on.
    pub data: &'a mut [f32],
    /// From the start of a row to the start of the next.
    pub stride: usize,
}

impl<'a> Strided<'a> {
    /// Rows of `data` that start `stride` floats apart.
    pub fn new(data: &'a mut [f32], stride: usize) -> Self {
        Strided { data, stride }
    }

    /// The first `len` floats of row `i`.
    ///
    /// # Panics
    /// If `data` is shorter.
    #[inline(always)]
    pub(crate) fn row(&mut self, i: usize, len: usize) -> &mut [f32] {
        &mut self.data[i * self.stride..][..len]
    }
}
