//! Products of matrices, a tile in registers at a time.

use crate::lanes::{LANES, Lanes};

/// Columns of a block.
pub(crate) const BLOCK: usize = 2 * LANES;

/// Rows of a tile of the gradient of the weights.
const ROWS: usize = 6;

/// First column and width of the blocks of a row.
pub(crate) fn blocks(columns: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..columns).step_by(BLOCK).map(move |begin| (begin, BLOCK.min(columns - begin)))
}

/// One block of output channels over all positions.
pub(crate) struct Sweep {
    pub(crate) input: *const f32,
    /// Rows of a window.
    pub(crate) runs: usize,
    /// Numbers of a row.
    pub(crate) run: usize,
    /// From the first number of a row to that of the next.
    pub(crate) run_stride: usize,
    pub(crate) weights: *const f32,
    pub(crate) bias: Option<*const f32>,
    pub(crate) relu: bool,
    /// From a position of the output to the next.
    pub(crate) columns: usize,
}

impl Sweep {
    /// All positions, a tile at a time: those whose windows begin at `offsets`, `width` output channels each.
    ///
    /// # Safety
    ///
    /// `width` is [`LANES`] or twice that; `output` has room for all positions; every window lies in the input, weights and
    /// bias have `width` columns.
    #[inline(always)]
    pub(crate) unsafe fn all<L: Lanes>(&self, width: usize, offsets: &[usize], output: *mut f32) {
        let tile = if width == BLOCK { 6 } else { 8 };
        let mut at = 0;
        while at < offsets.len() {
            let size = tile.min(offsets.len() - at);
            // SAFETY: `offsets` has `size` more entries.
            unsafe {
                let (offsets, output) = (offsets.as_ptr().add(at), output.add(at * self.columns));
                match (width / LANES, size) {
                    (2, 6) => self.tile::<L, 6, 2>(offsets, output),
                    (2, 5) => self.tile::<L, 5, 2>(offsets, output),
                    (2, 4) => self.tile::<L, 4, 2>(offsets, output),
                    (2, 3) => self.tile::<L, 3, 2>(offsets, output),
                    (2, 2) => self.tile::<L, 2, 2>(offsets, output),
                    (2, _) => self.tile::<L, 1, 2>(offsets, output),
                    (_, 8) => self.tile::<L, 8, 1>(offsets, output),
                    (_, 7) => self.tile::<L, 7, 1>(offsets, output),
                    (_, 6) => self.tile::<L, 6, 1>(offsets, output),
                    (_, 5) => self.tile::<L, 5, 1>(offsets, output),
                    (_, 4) => self.tile::<L, 4, 1>(offsets, output),
                    (_, 3) => self.tile::<L, 3, 1>(offsets, output),
                    (_, 2) => self.tile::<L, 2, 1>(offsets, output),
                    _ => self.tile::<L, 1, 1>(offsets, output),
                }
            }
            at += size;
        }
    }

    /// `P` positions × `V` vectors of output channels.
    ///
    /// # Safety
    ///
    /// `offsets` has `P` entries, `output` room for `P` positions; every window lies in the input, weights and bias have `V` vectors.
    #[inline(always)]
    unsafe fn tile<L: Lanes, const P: usize, const V: usize>(&self, offsets: *const usize, output: *mut f32) {
        // SAFETY: as said above.
        unsafe {
            let start: [L; V] = std::array::from_fn(|v| match self.bias {
                Some(bias) => L::load(bias.add(v * LANES)),
                None => L::splat(0.0),
            });
            let mut sums = [start; P];
            let windows: [*const f32; P] = std::array::from_fn(|p| self.input.add(*offsets.add(p)));
            let mut weights = self.weights;
            for run in 0..self.runs {
                let rows: [*const f32; P] = std::array::from_fn(|p| windows[p].add(run * self.run_stride));
                for i in 0..self.run {
                    let factors: [L; V] = std::array::from_fn(|v| L::load(weights.add(v * LANES)));
                    for p in 0..P {
                        let value = L::splat(*rows[p].add(i));
                        for v in 0..V {
                            sums[p][v] = value.mul_add(factors[v], sums[p][v]);
                        }
                    }
                    weights = weights.add(V * LANES);
                }
            }
            for (p, sums) in sums.into_iter().enumerate() {
                for (v, sum) in sums.into_iter().enumerate() {
                    let sum = if self.relu { sum.relu() } else { sum };
                    sum.store(output.add(p * self.columns + v * LANES));
                }
            }
        }
    }
}

/// Positions in a row of an image, and where input and output gradient of the first are.
#[derive(Clone, Copy)]
pub(crate) struct Segment {
    pub(crate) input: usize,
    pub(crate) gradient: usize,
    pub(crate) positions: usize,
}

/// The gradient of the weights: rows of a window × output channels.
pub(crate) struct GradientTiles {
    pub(crate) input: *const f32,
    /// Rows of a window.
    pub(crate) runs: usize,
    /// Numbers of a row.
    pub(crate) run: usize,
    /// From the first number of a row to that of the next.
    pub(crate) run_stride: usize,
    pub(crate) output_gradient: *const f32,
    /// From a window to the next, in the input.
    pub(crate) input_step: usize,
    /// From a position to the next, in the output gradient.
    pub(crate) gradient_step: usize,
    /// (`runs` · `run`) × `outputs`.
    pub(crate) sums: *mut f32,
    pub(crate) outputs: usize,
}

impl GradientTiles {
    /// Adds what comes of the segments, tile by tile.
    ///
    /// # Safety
    ///
    /// Input, output gradient and sums have what the rows of a window and the segments ask for.
    #[inline(always)]
    pub(crate) unsafe fn add_all<L: Lanes>(&self, segments: &[Segment]) {
        let run = self.run;
        for (begin, width) in blocks(self.outputs) {
            for row in 0..self.runs {
                let mut at = 0;
                while at < run {
                    let size = ROWS.min(run - at);
                    let input = row * self.run_stride + at;
                    let sums = (row * run + at) * self.outputs + begin;
                    // SAFETY: `blocks` gives widths of one or two vectors; row, `at` and `begin` lie in the gradient.
                    unsafe { self.add_tile::<L>(width, size, input, begin, sums, segments) };
                    at += size;
                }
            }
        }
    }

    /// Adds `size` rows × `width` output channels over the segments.
    ///
    /// # Safety
    ///
    /// As of [`GradientTiles::add`]; `size` is at most [`ROWS`], `width` is [`LANES`] or twice that.
    #[inline(always)]
    unsafe fn add_tile<L: Lanes>(
        &self,
        width: usize,
        size: usize,
        input: usize,
        begin: usize,
        sums: usize,
        segments: &[Segment],
    ) {
        // SAFETY: as said above.
        unsafe {
            match (width / LANES, size) {
                (2, 6) => self.add::<L, 6, 2>(input, begin, sums, segments),
                (2, 5) => self.add::<L, 5, 2>(input, begin, sums, segments),
                (2, 4) => self.add::<L, 4, 2>(input, begin, sums, segments),
                (2, 3) => self.add::<L, 3, 2>(input, begin, sums, segments),
                (2, 2) => self.add::<L, 2, 2>(input, begin, sums, segments),
                (2, _) => self.add::<L, 1, 2>(input, begin, sums, segments),
                (_, 6) => self.add::<L, 6, 1>(input, begin, sums, segments),
                (_, 5) => self.add::<L, 5, 1>(input, begin, sums, segments),
                (_, 4) => self.add::<L, 4, 1>(input, begin, sums, segments),
                (_, 3) => self.add::<L, 3, 1>(input, begin, sums, segments),
                (_, 2) => self.add::<L, 2, 1>(input, begin, sums, segments),
                _ => self.add::<L, 1, 1>(input, begin, sums, segments),
            }
        }
    }

    /// Adds `R` rows × `V` vectors of output channels over the segments.
    ///
    /// # Safety
    ///
    /// Input, output gradient and sums have what the segments, `R` and `V` ask for.
    #[inline(always)]
    unsafe fn add<L: Lanes, const R: usize, const V: usize>(
        &self,
        input: usize,
        output: usize,
        sums: usize,
        segments: &[Segment],
    ) {
        // SAFETY: as said above.
        unsafe {
            let to = self.sums.add(sums);
            let at = |r: usize, v: usize| to.add(r * self.outputs + v * LANES);
            let mut sums = [[L::splat(0.0); V]; R];
            for segment in segments {
                let mut input = self.input.add(input + segment.input);
                let mut output_gradient = self.output_gradient.add(output + segment.gradient);
                for _ in 0..segment.positions {
                    let factors: [L; V] = std::array::from_fn(|v| L::load(output_gradient.add(v * LANES)));
                    for r in 0..R {
                        let value = L::splat(*input.add(r));
                        for v in 0..V {
                            sums[r][v] = value.mul_add(factors[v], sums[r][v]);
                        }
                    }
                    // The pointer after the last position may lie beyond the buffer, so it is not offset with `add`.
                    input = input.wrapping_add(self.input_step);
                    output_gradient = output_gradient.wrapping_add(self.gradient_step);
                }
            }
            for (r, sums) in sums.into_iter().enumerate() {
                for (v, sum) in sums.into_iter().enumerate() {
                    L::load(at(r, v)).add(sum).store(at(r, v));
                }
            }
        }
    }

    /// The same with input and output gradient copied first, so that a tile reads both one number after the other: rows of many
    /// channels are as far apart as a cache can not hold well. `room` grows as it is asked to.
    ///
    /// # Safety
    ///
    /// As of [`GradientTiles::add_all`].
    #[inline(always)]
    pub(crate) unsafe fn add_all_packed<L: Lanes>(&self, segments: &[Segment], room: &mut Vec<f32>) {
        let positions: usize = segments.iter().map(|segment| segment.positions).sum();
        let needed = positions * (self.outputs + ROWS) + LANES;
        if room.len() < needed {
            room.reserve_exact(needed - room.len());
            room.resize(needed, 0.0);
        }
        let (gradients, inputs) = room.split_at_mut(positions * self.outputs);
        // SAFETY: as said above; blocks follow each other in the copy.
        unsafe {
            let mut to = gradients.as_mut_ptr();
            for (begin, width) in blocks(self.outputs) {
                for segment in segments {
                    let mut from = self.output_gradient.add(begin + segment.gradient);
                    for _ in 0..segment.positions {
                        for v in (0..width).step_by(LANES) {
                            L::load(from.add(v)).store(to.add(v));
                        }
                        from = from.wrapping_add(self.gradient_step);
                        to = to.add(width);
                    }
                }
            }
        }
        for row in 0..self.runs {
            for at in (0..self.run).step_by(ROWS) {
                let size = ROWS.min(self.run - at);
                // SAFETY: as said above; a whole vector is read where the row has one, and what it writes too much is overwritten
                // or lies in the vector of room at the end.
                unsafe {
                    let mut to = inputs.as_mut_ptr();
                    for segment in segments {
                        let mut from = self.input.wrapping_add(row * self.run_stride + at + segment.input);
                        for _ in 0..segment.positions {
                            if at + LANES <= self.run {
                                L::load(from).store(to);
                            } else {
                                to.copy_from_nonoverlapping(from, size);
                            }
                            from = from.wrapping_add(self.input_step);
                            to = to.add(size);
                        }
                    }
                }
                for (begin, width) in blocks(self.outputs) {
                    let packed = GradientTiles {
                        input: inputs.as_ptr(),
                        runs: 1,
                        run: size,
                        run_stride: 0,
                        output_gradient: gradients[begin * positions..].as_ptr(),
                        input_step: size,
                        gradient_step: width,
                        sums: self.sums,
                        outputs: self.outputs,
                    };
                    let sums = (row * self.run + at) * self.outputs + begin;
                    // SAFETY: the copies have the positions; row, `at` and `begin` lie in the gradient.
                    unsafe {
                        packed.add_tile::<L>(width, size, 0, 0, sums, &[Segment { input: 0, gradient: 0, positions }])
                    };
                }
            }
        }
    }
}
