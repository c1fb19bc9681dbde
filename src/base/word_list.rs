//! A digest as words, for people who compare one over a telephone: the 24 words of BIP-39
//! (<https://github.com/bitcoin/bips/blob/master/bip-0039.mediawiki>), of which the last holds a checksum.

use bip39::Mnemonic;

use super::Digest;

/// Words in a line.
const A_LINE: usize = 6;

/// Four lines of six words, each line with the number of its first.
pub fn word_list(digest: Digest) -> String {
    // 32 bytes are one of the lengths that BIP-39 has words for.
    let words = Mnemonic::from_entropy(&digest.0).map(|words| words.words().collect::<Vec<_>>()).unwrap_or_default();
    let line = |(place, line): (usize, &[&str])| format!("{:>2}  {}", place * A_LINE + 1, line.join(" "));
    words.chunks(A_LINE).enumerate().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vector of BIP-39 whose entropy is 32 bytes of 0x7f.
    #[test]
    fn as_the_standard_has_it() {
        let expected = "legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth \
                        useful legal winner thank year wave sausage worth title";
        let text = word_list(Digest([0x7f; 32]));
        let words: Vec<&str> = text.split_whitespace().filter(|word| word.parse::<u8>().is_err()).collect();
        assert_eq!(words.join(" "), expected);
        assert!(text.starts_with(" 1  legal winner"));
    }
}
