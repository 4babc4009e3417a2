//! Images to the planes of points, and back.

use super::points::{SIDE, column_of, gradient_at_points, input_at_points, load_each, output_of_points};
use super::{Winograd, row_stride};
use crate::convolution::Finish;
use crate::lanes::{Lanes, each_vector};

/// Bᵀ d B of each tile, to the planes of `to`.
///
/// # Safety
///
/// `input` is placed for `winograd` with `channels` a position; `to` has room for a group.
#[inline(always)]
pub(super) unsafe fn transform_input<L: Lanes>(
    winograd: &Winograd,
    input: &[f32],
    channels: usize,
    first: usize,
    tiles: usize,
    to: *mut f32,
) {
    let placement = winograd.placement();
    let (plane, row) = (winograd.plane(channels), row_stride(channels));
    for tile in 0..tiles {
        let (n, y, x) = winograd.corner(first + tile);
        let corner = ((n * placement.height + y) * placement.width + x) * channels;
        // SAFETY: the tile lies in the placement, the plane's row in `to`.
        unsafe {
            let (from, to) = (input.as_ptr().add(corner), to.add(tile * row));
            let image_row = placement.width * channels;
            each_vector!(L, channels, |c| transform_input_vector::<_>(
                from.add(c),
                channels,
                image_row,
                to.add(c),
                plane
            ));
        }
    }
}

/// The same of one tile's one vector of channels; positions are `position` after each other, rows of the image `image_row`.
///
/// # Safety
///
/// As of [`Lanes`], for each of the tile's positions and each plane.
#[inline(always)]
unsafe fn transform_input_vector<L: Lanes>(
    from: *const f32,
    position: usize,
    image_row: usize,
    to: *mut f32,
    plane: usize,
) {
    // SAFETY: as said above.
    unsafe {
        let mut rows = [[L::splat(0.0); SIDE]; SIDE];
        for (i, values) in rows.iter_mut().enumerate() {
            *values = input_at_points(load_each::<L, SIDE>(from.add(i * image_row), position));
        }
        for j in 0..SIDE {
            let column = input_at_points(column_of(&rows, j));
            for (i, value) in column.into_iter().enumerate() {
                value.store(to.add((i * SIDE + j) * plane));
            }
        }
    }
}

/// A ∂y Aᵀ of each tile, to the planes of `to`.
///
/// # Safety
///
/// `gradient` is placed for `winograd` with its outputs at a position; `to` has room for a group.
#[inline(always)]
pub(super) unsafe fn transform_output_gradient<L: Lanes, const M: usize>(
    winograd: &Winograd,
    gradient: &[f32],
    first: usize,
    tiles: usize,
    to: *mut f32,
) {
    let placement = winograd.placement();
    let channels = winograd.outputs;
    let (plane, row) = (winograd.plane(channels), row_stride(channels));
    for tile in 0..tiles {
        let (n, y, x) = winograd.corner(first + tile);
        let corner = placement.index(n, y, x) * channels;
        // SAFETY: the tile lies in the placement, the plane's row in `to`.
        unsafe {
            let (from, to) = (gradient.as_ptr().add(corner), to.add(tile * row));
            let image_row = placement.width * channels;
            each_vector!(L, channels, |c| transform_gradient_vector::<_, M>(
                from.add(c),
                channels,
                image_row,
                to.add(c),
                plane
            ));
        }
    }
}

/// The same of one tile's one vector of channels; positions are `position` after each other, rows of the image `image_row`.
///
/// # Safety
///
/// As of [`Lanes`], for each of the tile's positions and each plane.
#[inline(always)]
unsafe fn transform_gradient_vector<L: Lanes, const M: usize>(
    from: *const f32,
    position: usize,
    image_row: usize,
    to: *mut f32,
    plane: usize,
) {
    // SAFETY: as said above.
    unsafe {
        let mut rows = [[L::splat(0.0); SIDE]; M];
        for (i, values) in rows.iter_mut().enumerate() {
            *values = gradient_at_points::<L, M>(load_each(from.add(i * image_row), position));
        }
        for j in 0..SIDE {
            let column = gradient_at_points::<L, M>(column_of(&rows, j));
            for (i, value) in column.into_iter().enumerate() {
                value.store(to.add((i * SIDE + j) * plane));
            }
        }
    }
}

/// Aᵀ m A of each tile of the planes of `from`, with bias and ReLU, to the images of `output`.
///
/// # Safety
///
/// `from` has the tiles, `output` the images of the tiles, the bias an entry for each output.
#[inline(always)]
pub(super) unsafe fn transform_output<L: Lanes, const M: usize>(
    winograd: &Winograd,
    from: *const f32,
    first: usize,
    tiles: usize,
    finish: Finish<'_>,
    output: &mut [f32],
) {
    let Winograd { height, width, outputs: channels, .. } = *winograd;
    let (plane, row) = (winograd.plane(channels), row_stride(channels));
    for tile in 0..tiles {
        let (n, y, x) = winograd.corner(first + tile);
        let corner = ((n * height + y) * width + x) * channels;
        // At the lower and right edge tiles are cut.
        let (rows, columns) = (M.min(height - y), M.min(width - x));
        // SAFETY: the tile lies in `from`, what is left after the cut in the image.
        unsafe {
            let from = from.add(tile * row);
            let to = output.as_mut_ptr().add(corner);
            let bias = |c| finish.bias.map(|bias| bias.as_ptr().add(c));
            let cut = Cut { rows, columns, position: channels, image_row: width * channels };
            each_vector!(L, channels, |c| transform_output_vector::<_, M>(
                from.add(c),
                plane,
                bias(c),
                finish.relu,
                to.add(c),
                cut
            ));
        }
    }
}

/// Where an output tile is written.
#[derive(Clone, Copy)]
struct Cut {
    /// How much of the tile there is room for.
    rows: usize,
    columns: usize,
    /// From a position to the next.
    position: usize,
    /// From a row of the image to the next.
    image_row: usize,
}

/// The same of one tile's one vector of channels.
///
/// # Safety
///
/// As of [`Lanes`], for each plane, the bias and the positions of the cut.
#[inline(always)]
unsafe fn transform_output_vector<L: Lanes, const M: usize>(
    from: *const f32,
    plane: usize,
    bias: Option<*const f32>,
    relu: bool,
    to: *mut f32,
    cut: Cut,
) {
    // SAFETY: as said above.
    unsafe {
        let bias = match bias {
            Some(bias) => L::load(bias),
            None => L::splat(0.0),
        };
        let mut halves = [[L::splat(0.0); SIDE]; M];
        for j in 0..SIDE {
            let column = load_each(from.add(j * plane), SIDE * plane);
            for (half, value) in halves.iter_mut().zip(output_of_points::<L, M>(column)) {
                half[j] = value;
            }
        }
        for (i, half) in halves.into_iter().enumerate().take(cut.rows) {
            let values = output_of_points::<L, M>(half);
            for (j, value) in values.into_iter().enumerate().take(cut.columns) {
                let value = value.add(bias);
                let value = if relu { value.relu() } else { value };
                value.store(to.add(i * cut.image_row + j * cut.position));
            }
        }
    }
}
