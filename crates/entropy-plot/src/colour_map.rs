//! Colours for numbers: viridis, which is perceptually uniform and safe for colour-blind viewers.
//!
//! The table has every eighth colour of matplotlib 3.11's map (by S. van der Walt and N. Smith, CC0); between them,
//! channels are interpolated. No channel is off by more than 2 of 255.

use super::theme::Rgb;

const VIRIDIS: [u32; 33] = [
    0x440154, 0x470d60, 0x48186a, 0x482374, 0x472d7b, 0x453781, 0x424086, 0x3e4989, 0x3b528b,
    0x375b8d, 0x33638d, 0x2f6b8e, 0x2c728e, 0x297a8e, 0x26828e, 0x23898e, 0x21918c, 0x1f988b,
    0x1fa088, 0x22a785, 0x28ae80, 0x32b67a, 0x3fbc73, 0x4ec36b, 0x5ec962, 0x70cf57, 0x84d44b,
    0x98d83e, 0xaddc30, 0xc2df23, 0xd8e219, 0xece51b, 0xfde725,
];

/// The colour of a share from 0 to 1; what is outside has the colour of the nearer end.
pub(super) fn colour(share: f64) -> Rgb {
    let last = VIRIDIS.len() - 1;
    let at = share.clamp(0.0, 1.0) * last as f64;
    let low = (at as usize).min(last - 1);
    Rgb::hex(VIRIDIS[low + 1]).over(Rgb::hex(VIRIDIS[low]), at - low as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_those_of_matplotlib() {
        // matplotlib 3.11.2: matplotlib.colormaps["viridis"](share), as 8-bit numbers
        for (share, expected) in [
            (0.0, (68, 1, 84)),
            (0.25, (59, 82, 139)),
            (0.5, (33, 145, 140)),
            (1.0, (253, 231, 37)),
        ] {
            let Rgb(r, g, b) = colour(share);
            assert_eq!((r, g, b), expected, "{share}");
        }
        assert_eq!(colour(2.0), colour(1.0));
    }

    #[test]
    fn brightness_grows_with_the_number() {
        let brightness = |at: usize| colour(at as f64 / 100.0).contrast(Rgb(0, 0, 0));
        assert!((1..=100).all(|at| brightness(at) > brightness(at - 1)));
    }
}
