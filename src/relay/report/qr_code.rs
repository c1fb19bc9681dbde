//! QR code of a text.

use qrcode::{Color, EcLevel, QrCode};

/// Modules that must stay light around a QR code (ISO/IEC 18004: four).
const QUIET: usize = 4;

/// Rows of modules (true: dark), with the quiet zone around them; empty if the text is longer than a QR code holds,
/// about 2900 bytes.
pub(crate) fn modules(text: &str) -> Vec<Vec<bool>> {
    let Ok(code) = QrCode::with_error_correction_level(text, EcLevel::L) else { return Vec::new() };
    let width = code.width();
    let side = width + 2 * QUIET;
    let modules = code.to_colors();
    let dark = |y: usize, x: usize| {
        let (y, x) = (y.checked_sub(QUIET)?, x.checked_sub(QUIET).filter(|x| *x < width)?);
        modules.get(y * width + x).map(|color| *color == Color::Dark)
    };
    (0..side).map(|y| (0..side).map(|x| dark(y, x).unwrap_or_default()).collect()).collect()
}

/// QR code for a terminal, dark on light, with the quiet zone: each line shows two rows of modules.
pub(crate) fn half_blocks(text: &str) -> Vec<String> {
    let rows = modules(text);
    let dark = |y: usize, x: usize| rows.get(y).and_then(|row| row.get(x)).copied().unwrap_or_default();
    let line = |y: usize| {
        let modules = (0..rows.len()).map(|x| match (dark(y, x), dark(y + 1, x)) {
            (true, true) => '█',
            (true, false) => '▀',
            (false, true) => '▄',
            (false, false) => ' ',
        });
        modules.collect()
    };
    (0..rows.len()).step_by(2).map(line).collect()
}
