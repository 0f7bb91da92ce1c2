//! Wide & Deep (Cheng et al. 2016, arXiv:1606.07792): a linear model of the features and a deep network, summed.
use crate::common::{LinearPart, Row, Scorer, deep_config, with_crosses};
use crate::config::Model;
use dlrm_nn::{Bias, Builder, Result, Tape, Var};

deep_config! {
    /// Settings of Wide & Deep.
    pub struct WideDeepConfig {}
}

/// A built Wide & Deep.
pub struct WideDeep {
    wide: LinearPart,
    row: Row,
    deep: Scorer,
}

impl WideDeep {
    /// Declares the parameters. The bias is that of the deep part's last layer.
    ///
    /// # Errors
    /// If there is no input or a width is zero.
    pub fn build(config: &WideDeepConfig, b: &mut Builder<'_>) -> Result<Self> {
        let wide = LinearPart::build(b, &with_crosses(b.layout()), true, Bias::Without)?;
        let row = Row::build(b, config.embedding_dim, config.embedding_std)?;
        let deep = Scorer::build(b, "deep", row.width, config.deep())?;
        Ok(WideDeep { wide, row, deep })
    }
}

impl Model for WideDeep {
    fn forward(&self, t: &mut Tape<'_>) -> Var {
        let wide = self.wide.forward(t); // [S, 1]
        let row = self.row.forward(t); // [S, n + F·D]
        let deep = self.deep.forward(t, row); // [S, 1]
        t.add(wide, deep)
    }
}
