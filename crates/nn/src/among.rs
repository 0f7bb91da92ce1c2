//! What the update of weights asks of others that share them.
use crate::squares::TableSquares;
use std::ops::Range;

/// Others that hold tables, and update dense parameters, of the same model.
pub trait Among {
    /// Whether there is nobody else.
    fn is_alone(&self) -> bool;

    /// Which of the `trained` dense parameters are updated here: their gradients are whole.
    fn own(&self, trained: usize) -> Range<usize>;

    /// Of the squares of the gradients of the rows that are here, makes those of all rows.
    fn squares(&mut self, own: Vec<TableSquares>) -> Vec<TableSquares>;

    /// Begins to send the dense parameters that were updated here.
    fn send(&mut self, trained: &[f32]);

    /// Fills in those that others have updated.
    fn receive(&mut self, trained: &mut [f32]);
}

/// Nobody else.
pub(crate) struct Alone;

impl Among for Alone {
    fn is_alone(&self) -> bool {
        true
    }

    fn own(&self, trained: usize) -> Range<usize> {
        0..trained
    }

    fn squares(&mut self, own: Vec<TableSquares>) -> Vec<TableSquares> {
        own
    }

    fn send(&mut self, _: &[f32]) {}

    fn receive(&mut self, _: &mut [f32]) {}
}
