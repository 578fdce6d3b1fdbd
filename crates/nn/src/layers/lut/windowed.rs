//! A LUT layer at every position of a window: the same tables, other rows.

use lutweave_lut::{NO_SOURCE, Wiring};

use super::LutLayer;
use super::body::Body;
use super::on_bits::OnBits;
use super::on_reals::OnReals;
use crate::layer::{Windowed, Windows};
use crate::{Layer, Result, Signal, Site};

/// Rows of zeros and of ones that follow those of the image in a wiring.
const CONSTANTS: usize = 2;

/// The wiring of one window, and where the window is.
#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) wiring: Wiring,
    windows: Windows,
    /// Rows of the image.
    rows: usize,
}

impl Kernel {
    /// Whether windows reach over the edge to a constant.
    pub(super) fn has_border(&self) -> bool {
        self.windows.sources.contains(&NO_SOURCE)
    }

    /// The wiring at all positions: node `n` at position `p` is `n · positions + p`.
    pub(super) fn expand(&self, wiring: &Wiring) -> Result<Wiring> {
        let (positions, fan_in) = (self.windows.positions(), wiring.fan_in());
        let sources = self.rows + if self.has_border() { CONSTANTS } else { 0 };
        let mut table = vec![0u32; wiring.table().len() * positions];
        for (node, places) in table.chunks_mut(positions * fan_in).enumerate() {
            for (input, &element) in wiring.node(node).iter().enumerate() {
                let rows = self.windows.rows(element as usize);
                for (place, &row) in places.chunks_mut(fan_in).zip(rows) {
                    place[input] = self.windows.row(row, self.rows);
                }
            }
        }
        Ok(Wiring::explicit(sources, fan_in, table)?)
    }
}

impl LutLayer {
    /// The layer at all positions of a window; none for what only works at one.
    pub(super) fn windowed(&self, site: &Site<'_>, windows: &Windows) -> Option<Result<Windowed>> {
        let whole = [0f32, 1.0].map(f32::to_bits).contains(&windows.border_value.to_bits());
        if self.learns_wiring() || (self.real_inputs && !whole) {
            return None;
        }
        Some(self.at_positions(site, windows))
    }

    fn at_positions(&self, site: &Site<'_>, windows: &Windows) -> Result<Windowed> {
        let mut one_window = Site { inputs: vec![windows.seen.clone()], ..site.clone() };
        one_window.ancestors = vec![Vec::new()];
        self.check(&one_window)?;
        let (wiring, _) = self.wire(&one_window)?;
        let rows = site.input().nodes();
        let kernel = Kernel { wiring, windows: windows.clone(), rows };
        let fixed = kernel.expand(&kernel.wiring)?;
        let body = Body::windowed(self.clone(), fixed, kernel, windows, site);
        let seen = Signal { dtype: body.base.output().dtype, shape: self.output_shape() };
        let layer: Box<dyn Layer> =
            if self.real_inputs { Box::new(OnReals(body)) } else { Box::new(OnBits(body)) };
        Ok((layer, seen))
    }
}
