//! Which outputs of a network vary over a data set.

use lutweave_backend::Cpu;
use lutweave_tensor::{DType, Dataset, FrameBuffer};

use crate::{Error, Network, Result};

/// Frames evaluated at a time.
const BLOCK: usize = 1024;

impl Network {
    /// Which outputs vary over a data set, one mark for each output node: what
    /// [`LutLayer::live`](crate::LutLayer::live) wants of the layers before it. Outputs that are the
    /// same for every sample tell a LUT nothing, such as the pixels of a frame around all digits.
    ///
    /// ```
    /// use lutweave_nn::{LutLayer, Sequential, Thermometer, WiringRule};
    /// use lutweave_tensor::{Dataset, Targets, Values};
    ///
    /// // Two images of 1 x 2 pixels; the first pixel is always 7.
    /// let labels = Targets::Classes { count: 2, labels: vec![0, 1] };
    /// let data = Dataset::new("two", &[1, 1, 2], Values::U8(vec![7, 0, 7, 9]), labels)?;
    /// let encoder = Thermometer::uniform(&data, 1)?;
    /// let live = Sequential::new(&[1, 1, 2]).then(encoder).build(1)?.live_outputs(&data)?;
    /// assert_eq!(live, [false, true]);
    /// let layer = LutLayer::new(1).fan_in(1).wiring(WiringRule::Random).live(live);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the data set is not what the network reads, or the network gives neither bits nor f32.
    pub fn live_outputs(&self, data: &Dataset) -> Result<Vec<bool>> {
        let mut live = vec![false; self.output().nodes()];
        let mut first: Option<FrameBuffer> = None;
        let order: Vec<usize> = (0..data.len()).collect();
        for block in order.chunks(BLOCK) {
            let y = self.evaluate(&self.batch(data, block)?, &Cpu::new())?;
            let first = first.get_or_insert_with(|| y.clone());
            for (node, live) in live.iter_mut().enumerate() {
                *live |= match y.dtype() {
                    DType::Bit => bits_vary(&y, first.bit(node, 0)?, node)?,
                    DType::F32 => {
                        let value = first.row::<f32>(node)?[0];
                        y.row::<f32>(node)?.iter().any(|other| other.to_bits() != value.to_bits())
                    }
                    got_dtype => {
                        return Err(Error::Input {
                            layer: "live outputs".to_owned(),
                            expected: "a network that gives bits or f32".to_owned(),
                            got_dtype,
                            got_shape: y.shape().to_vec(),
                        });
                    }
                };
            }
        }
        Ok(live)
    }
}

/// Whether a node has another bit than this in any frame.
fn bits_vary(y: &FrameBuffer, bit: bool, node: usize) -> Result<bool> {
    let all = if bit { u64::MAX } else { 0 };
    let row = &y.rows::<u64>()?[node * y.stride()..][..y.stride()];
    Ok(row.iter().enumerate().any(|(word, bits)| bits ^ (all & y.frame_mask(word)) != 0))
}

#[cfg(test)]
mod tests {
    use lutweave_tensor::{Targets, Values};

    use super::*;
    use crate::{GroupSum, LutLayer, Sequential, Thermometer};

    /// `count` samples of four values: 0, the number, 200, and 0 but for the last sample.
    fn data(count: usize) -> Dataset {
        let sample = |n: usize| [0, n as u8, 200, u8::from(n + 1 == count) * 90];
        let values = (0..count).flat_map(sample).collect();
        let labels = Targets::Classes { count: 1, labels: vec![0; count] };
        Dataset::new("numbers", &[4], Values::U8(values), labels).unwrap()
    }

    #[test]
    fn outputs_that_never_change_are_not_live() {
        for count in [2, 63, 64, 65, 1025, 1100] {
            let data = data(count);
            let encoder = Thermometer::uniform(&data, 2).unwrap();
            let net = Sequential::new(&[4]).then(encoder).build(1).unwrap();
            let live = net.live_outputs(&data).unwrap();
            let number = count > 67;
            // Two levels for each value.
            assert_eq!(
                [live[0], live[2], live[4], live[6]],
                [false, number, false, true],
                "{count}"
            );
        }
        let (one, many) = (data(1), data(70));
        let encoder = Thermometer::uniform(&many, 2).unwrap();
        let net = Sequential::new(&[4]).then(encoder.clone()).build(1).unwrap();
        assert_eq!(net.live_outputs(&one).unwrap(), [false; 8]);
        let net = Sequential::new(&[4]).then(encoder).then(LutLayer::new(4)).then(GroupSum::new(2));
        assert_eq!(net.build(1).unwrap().live_outputs(&many).unwrap().len(), 2);
    }
}
