//! Exponentials of differences of counts.

/// `exp(d / τ)` for whole numbers `d`.
#[derive(Debug)]
pub(super) struct Scale {
    /// 1 / τ.
    pub(super) inverse: f32,
    /// For `d` from `−most` on.
    exp: Vec<f32>,
    most: i32,
}

impl Scale {
    /// For differences of up to `most`; larger ones are as good as that.
    pub(super) fn new(temperature: f32, most: usize) -> Self {
        let most = i32::try_from(most).unwrap_or(i32::MAX).min(1 << 20);
        // Far from the largest score, where only the order of size matters, nothing overflows.
        let exp = |d: i32| libm::expf((d as f32 / temperature).min(40.0));
        Self { inverse: 1.0 / temperature, exp: (-most..=most).map(exp).collect(), most }
    }

    /// `exp(d / τ)`.
    #[inline]
    pub(super) fn exp(&self, d: i32) -> f32 {
        self.exp[(d.clamp(-self.most, self.most) + self.most) as usize]
    }
}
