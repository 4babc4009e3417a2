//! Products of matrices, a tile in registers at a time.

use crate::lanes::{LANES, Lanes};

/// Columns of a block.
pub(crate) const BLOCK: usize = 2 * LANES;

/// Positions of a tile of one block, where that is two vectors: twelve sums, and three registers for what is multiplied.
const TILE: usize = 6;
/// The same where a block is one vector: as many sums, whose additions are enough to hide how long each takes.
const WIDE_TILE: usize = 12;
/// The same of half a block.
const HALF_TILE: usize = 8;

/// Rows of a tile of the gradient of the weights, at most [`WIDE_TILE`].
const fn rows<L: Lanes>() -> usize {
    if L::Block::COUNT == BLOCK { WIDE_TILE } else { TILE }
}

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
        // SAFETY: as said above; a block is one vector where the processor has such, else two.
        unsafe {
            match (width / LANES, L::Block::COUNT / LANES) {
                (2, 2) => self.positions::<L::Block, WIDE_TILE, 1>(offsets, output),
                (2, _) => self.positions::<L, TILE, 2>(offsets, output),
                _ => self.positions::<L, HALF_TILE, 1>(offsets, output),
            }
        }
    }

    /// The same, at most `TILE` positions × `V` vectors of output channels at a time.
    ///
    /// # Safety
    ///
    /// As of [`Sweep::all`].
    #[inline(always)]
    unsafe fn positions<L: Lanes, const TILE: usize, const V: usize>(&self, offsets: &[usize], output: *mut f32) {
        let mut at = 0;
        while at < offsets.len() {
            let size = TILE.min(offsets.len() - at);
            // SAFETY: `offsets` has `size` more entries.
            unsafe {
                let (offsets, output) = (offsets.as_ptr().add(at), output.add(at * self.columns));
                match size {
                    12 if TILE >= 12 => self.tile::<L, 12, V>(offsets, output),
                    11 if TILE >= 11 => self.tile::<L, 11, V>(offsets, output),
                    10 if TILE >= 10 => self.tile::<L, 10, V>(offsets, output),
                    9 if TILE >= 9 => self.tile::<L, 9, V>(offsets, output),
                    8 if TILE >= 8 => self.tile::<L, 8, V>(offsets, output),
                    7 if TILE >= 7 => self.tile::<L, 7, V>(offsets, output),
                    6 => self.tile::<L, 6, V>(offsets, output),
                    5 => self.tile::<L, 5, V>(offsets, output),
                    4 => self.tile::<L, 4, V>(offsets, output),
                    3 => self.tile::<L, 3, V>(offsets, output),
                    2 => self.tile::<L, 2, V>(offsets, output),
                    _ => self.tile::<L, 1, V>(offsets, output),
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
                Some(bias) => L::load(bias.add(v * L::COUNT)),
                None => L::splat(0.0),
            });
            let mut sums = [start; P];
            let windows: [*const f32; P] = std::array::from_fn(|p| self.input.add(*offsets.add(p)));
            let mut weights = self.weights;
            for run in 0..self.runs {
                let rows: [*const f32; P] = std::array::from_fn(|p| windows[p].add(run * self.run_stride));
                for i in 0..self.run {
                    let factors: [L; V] = std::array::from_fn(|v| L::load(weights.add(v * L::COUNT)));
                    for p in 0..P {
                        let value = L::splat(*rows[p].add(i));
                        for v in 0..V {
                            sums[p][v] = value.mul_add(factors[v], sums[p][v]);
                        }
                    }
                    weights = weights.add(V * L::COUNT);
                }
            }
            for (p, sums) in sums.into_iter().enumerate() {
                for (v, sum) in sums.into_iter().enumerate() {
                    let sum = if self.relu { sum.relu() } else { sum };
                    sum.store(output.add(p * self.columns + v * L::COUNT));
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
                    let size = rows::<L>().min(run - at);
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
    /// As of [`GradientTiles::add`]; `size` is at most [`rows`], `width` is [`LANES`] or twice that.
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
            match (width / LANES, L::Block::COUNT / LANES) {
                (2, 2) => self.add_rows::<L::Block, 1>(size, input, begin, sums, segments),
                (2, _) => self.add_rows::<L, 2>(size, input, begin, sums, segments),
                _ => self.add_rows::<L, 1>(size, input, begin, sums, segments),
            }
        }
    }

    /// The same, with `V` vectors of output channels.
    ///
    /// # Safety
    ///
    /// As of [`GradientTiles::add_tile`].
    #[inline(always)]
    unsafe fn add_rows<L: Lanes, const V: usize>(
        &self,
        size: usize,
        input: usize,
        begin: usize,
        sums: usize,
        segments: &[Segment],
    ) {
        // SAFETY: as said above.
        unsafe {
            match size {
                12 if V == 1 => self.add::<L, 12, V>(input, begin, sums, segments),
                11 if V == 1 => self.add::<L, 11, V>(input, begin, sums, segments),
                10 if V == 1 => self.add::<L, 10, V>(input, begin, sums, segments),
                9 if V == 1 => self.add::<L, 9, V>(input, begin, sums, segments),
                8 if V == 1 => self.add::<L, 8, V>(input, begin, sums, segments),
                7 if V == 1 => self.add::<L, 7, V>(input, begin, sums, segments),
                6 => self.add::<L, 6, V>(input, begin, sums, segments),
                5 => self.add::<L, 5, V>(input, begin, sums, segments),
                4 => self.add::<L, 4, V>(input, begin, sums, segments),
                3 => self.add::<L, 3, V>(input, begin, sums, segments),
                2 => self.add::<L, 2, V>(input, begin, sums, segments),
                _ => self.add::<L, 1, V>(input, begin, sums, segments),
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
            let at = |r: usize, v: usize| to.add(r * self.outputs + v * L::COUNT);
            let mut sums = [[L::splat(0.0); V]; R];
            for segment in segments {
                let mut input = self.input.add(input + segment.input);
                let mut output_gradient = self.output_gradient.add(output + segment.gradient);
                for _ in 0..segment.positions {
                    let factors: [L; V] = std::array::from_fn(|v| L::load(output_gradient.add(v * L::COUNT)));
                    for (r, sums) in sums.iter_mut().enumerate() {
                        let value = L::splat(*input.add(r));
                        for (sum, factor) in sums.iter_mut().zip(factors) {
                            *sum = value.mul_add(factor, *sum);
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
        let needed = positions * (self.outputs + rows::<L>()) + BLOCK;
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
            for at in (0..self.run).step_by(rows::<L>()) {
                let size = rows::<L>().min(self.run - at);
                // SAFETY: as said above; a whole vector is read where the row has one, and what it writes too much is overwritten
                // or lies in the vector of room at the end.
                unsafe {
                    let mut to = inputs.as_mut_ptr();
                    for segment in segments {
                        let mut from = self.input.wrapping_add(row * self.run_stride + at + segment.input);
                        for _ in 0..segment.positions {
                            if at + L::Block::COUNT <= self.run {
                                L::Block::load(from).store(to);
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
