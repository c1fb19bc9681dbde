//! A text as a QR code.

use qrcode::{Color, EcLevel, QrCode};

/// Modules that must stay light around a QR code (ISO/IEC 18004: four).
const QUIET: usize = 4;

/// Rows of modules, dark or not, the quiet zone included; none if the text is longer than a QR code holds,
/// about 2900 bytes.
pub fn picture(text: &str) -> Vec<Vec<bool>> {
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
