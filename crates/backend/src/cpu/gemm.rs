//! Matrix products on strided memory: the only calls into the library that does them.
//!
//! That library (`matrixmultiply`) chooses its instruction set itself. It is slow on a single
//! column, which callers do themselves.
#![allow(unsafe_code)]

/// A matrix in memory: element `(r, c)` is `values[r * row + c * column]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Matrix<'a> {
    pub(super) values: &'a [f32],
    pub(super) row: usize,
    pub(super) column: usize,
}

impl Matrix<'_> {
    /// Whether all elements of a matrix of this size are there.
    fn holds(&self, rows: usize, columns: usize) -> bool {
        (rows - 1) * self.row + (columns - 1) * self.column < self.values.len()
    }
}

/// The sizes of a product: `a` is `rows` × `depth`, `b` is `depth` × `columns`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) rows: usize,
    pub(super) depth: usize,
    pub(super) columns: usize,
}

/// `c = a · b`, or `c += a · b`; rows of `c` are `stride` apart, and what lies between them stays.
pub(super) fn multiply(
    a: Matrix<'_>,
    b: Matrix<'_>,
    size: Size,
    c: &mut [f32],
    stride: usize,
    add: bool,
) {
    let Size { rows, depth, columns } = size;
    assert!(rows > 0 && depth > 0 && columns > 0, "an empty product: {size:?}");
    assert!(a.holds(rows, depth) && b.holds(depth, columns), "too small for {size:?}");
    assert!(columns <= stride && (rows - 1) * stride + columns <= c.len(), "no room for {size:?}");
    #[cfg(not(miri))]
    // SAFETY: asserted above, every element that the strides and sizes name lies inside its slice;
    // rows of `c` do not overlap, and `c` is borrowed alone. Slices are at most `isize::MAX` bytes,
    // so no stride that is used leaves `isize`; one that is not (a single row or column) is
    // multiplied by zero.
    unsafe {
        matrixmultiply::sgemm(
            rows,
            depth,
            columns,
            1.0,
            a.values.as_ptr(),
            a.row.cast_signed(),
            a.column.cast_signed(),
            b.values.as_ptr(),
            b.row.cast_signed(),
            b.column.cast_signed(),
            if add { 1.0 } else { 0.0 },
            c.as_mut_ptr(),
            stride.cast_signed(),
            1,
        );
    }
    #[cfg(miri)]
    for (r, c) in c.chunks_mut(stride).enumerate().take(rows) {
        for (column, c) in c.iter_mut().enumerate().take(columns) {
            let term =
                |d| a.values[r * a.row + d * a.column] * b.values[d * b.row + column * b.column];
            let before = if add { *c } else { 0.0 };
            *c = before + (0..depth).map(term).sum::<f32>();
        }
    }
}
