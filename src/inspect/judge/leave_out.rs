//! Copying of bytes without some of their lines.

use std::io::{self, BufWriter, Read, Write};

use crate::cut::{ByteSpan, Leaving};
use base::Digest;
use base::digest::Hasher;

/// Copies `from` without these lines, which rise; gives digest and length of what is left. Errors: `InvalidInput`
/// where they are not whole lines of it; the streams'.
pub(crate) fn leave_out(mut from: impl Read, lines: &[ByteSpan], to: impl Write) -> io::Result<(Digest, u64)> {
    let mut to = BufWriter::with_capacity(128 << 10, to);
    let (mut hasher, mut kept, mut leaving) = (Hasher::new(), 0, Leaving::new(lines));
    let mut buffer = vec![0; 128 << 10];
    loop {
        let got = from.read(&mut buffer)?;
        if got == 0 {
            break;
        }
        leaving.take(buffer.get(..got).unwrap_or_default(), &mut |piece| {
            hasher.update(piece);
            kept += piece.len() as u64;
            to.write_all(piece)
        })?;
    }
    leaving.finish()?;
    to.flush()?;
    Ok((hasher.finish(), kept))
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use crate::judge::leave_out::*;

    #[test]
    fn whole_lines_and_nothing_else() {
        let text = b"one\ntwo\n\nfour";
        let left = |spans: &[(u64, u64)]| {
            let spans: Vec<_> = spans.iter().map(|(from, size)| ByteSpan { from: *from, size: *size }).collect();
            let mut out = Vec::new();
            let (digest, size) = leave_out(text.as_slice(), &spans, &mut out).map_err(|e| e.kind())?;
            assert_eq!((digest, size), (Digest::of(&out), out.len() as u64));
            Ok::<_, ErrorKind>(String::from_utf8(out).unwrap())
        };
        assert_eq!(left(&[]).unwrap(), "one\ntwo\n\nfour");
        assert_eq!(left(&[(0, 4)]).unwrap(), "two\n\nfour");
        assert_eq!(left(&[(4, 4), (9, 4)]).unwrap(), "one\n\n");
        assert_eq!(left(&[(0, 8), (8, 1)]).unwrap(), "four");
        assert_eq!(left(&[(0, 13)]).unwrap(), "");
        for wrong in [[(0, 3)], [(1, 3)], [(4, 5)], [(9, 3)], [(9, 5)], [(4, 0)], [(20, 1)], [(0, u64::MAX)]] {
            // The empty third line is one: what begins in the second and ends with it is two whole lines.
            if wrong != [(4, 5)] {
                assert_eq!(left(&wrong).unwrap_err(), ErrorKind::InvalidInput, "{wrong:?}");
            }
        }
        for wrong in [[(4, 4), (0, 4)], [(0, 4), (0, 8)], [(0, 4), (2, 6)]] {
            assert_eq!(left(&wrong).unwrap_err(), ErrorKind::InvalidInput, "{wrong:?}");
        }
    }
}
