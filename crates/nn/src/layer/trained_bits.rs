//! The bits of a trained layer.

/// What of a trained layer or network is bits, see [`Layer::trained_bits`](crate::Layer::trained_bits).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrainedBits {
    /// How many there are.
    pub count: u64,
    /// The bits in a fixed order. Those of a word that are not used are zero.
    pub words: Vec<u64>,
}

impl TrainedBits {
    /// These bits, 64 a word.
    pub fn of(bits: impl Iterator<Item = bool>) -> Self {
        let mut all = Self::default();
        for bit in bits {
            let at = all.count % 64;
            if at == 0 {
                all.words.push(0);
            }
            if let Some(word) = all.words.last_mut() {
                *word |= u64::from(bit) << at;
            }
            all.count += 1;
        }
        all
    }

    /// Adds those of another layer, from the next word on.
    pub fn append(&mut self, other: Self) {
        self.count += other.count;
        self.words.extend(other.words);
    }

    /// The share of bits that differ from earlier ones of the same network (the flip ratio of
    /// Helwegen et al. 2019); none where there are no bits, or where `before` is of another network.
    pub fn flipped_since(&self, before: &[u64]) -> Option<f64> {
        if self.count == 0 || self.words.len() != before.len() {
            return None;
        }
        let differ =
            self.words.iter().zip(before).map(|(now, then)| u64::from((now ^ then).count_ones()));
        Some(differ.sum::<u64>() as f64 / self.count as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flips_are_counted_over_all_layers() {
        let mut bits = TrainedBits::of((0..70).map(|bit| bit % 2 == 0));
        let mut other = TrainedBits::of((0..70).map(|bit| bit % 2 == 0 || bit == 69));
        assert_eq!((bits.count, bits.words.len(), bits.words[1]), (70, 2, 0b01_0101));
        for all in [&mut bits, &mut other] {
            all.append(TrainedBits::of([true; 10].into_iter()));
        }
        assert_eq!(other.flipped_since(&bits.words), Some(1.0 / 80.0));
        assert_eq!(other.flipped_since(&bits.words[1..]), None);
        assert_eq!(TrainedBits::default().flipped_since(&[]), None);
    }
}
