//! An answer as gzip (RFC 1952), its pieces as they come: stored blocks (RFC 1951), which every decoder
//! reads and which need no compressor.

use bytes::Bytes;
use http::HeaderValue;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};

use crate::timeline::{Chunk, Timeline};

/// Magic number, the deflate method, no flags, no time, an unknown system.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// The most bytes of a stored block.
const BLOCK: usize = 0xffff;

/// The last block, without a byte.
const LAST: [u8; 5] = [1, 0, 0, 0xff, 0xff];

/// The same reply compressed, each of its pieces at its time.
pub(super) fn compressed(mut timeline: Timeline) -> Timeline {
    let (mut sum, mut length) = (Crc::new(), 0_u32);
    let count = timeline.chunks.len();
    for (nth, chunk) in timeline.chunks.iter_mut().enumerate() {
        sum.add(&chunk.bytes);
        // Counted modulo 2^32, as the format has it.
        length = length.wrapping_add(chunk.bytes.len() as u32);
        let mut bytes = if nth == 0 { HEAD.to_vec() } else { Vec::new() };
        for block in chunk.bytes.chunks(BLOCK) {
            let size = block.len() as u16;
            bytes.push(0);
            bytes.extend(size.to_le_bytes());
            bytes.extend((!size).to_le_bytes());
            bytes.extend(block);
        }
        if nth + 1 == count {
            bytes.extend(LAST);
            bytes.extend(sum.value().to_le_bytes());
            bytes.extend(length.to_le_bytes());
        }
        *chunk = Chunk { at: chunk.at, bytes: Bytes::from(bytes) };
    }
    let bytes: usize = timeline.chunks.iter().map(|chunk| chunk.bytes.len()).sum();
    if let Some(head) = &mut timeline.head {
        head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        if head.headers.contains_key(CONTENT_LENGTH) {
            head.headers.insert(CONTENT_LENGTH, bytes.into());
        }
    }
    timeline
}

/// The checksum of the format: CRC-32, reflected, of the polynomial 0x04c11db7.
struct Crc(u32);

impl Crc {
    fn new() -> Self {
        Crc(!0)
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 ^= u32::from(*byte);
            for _ in 0..8 {
                self.0 = if self.0 & 1 == 1 { (self.0 >> 1) ^ 0xedb8_8320 } else { self.0 >> 1 };
            }
        }
    }

    fn value(&self) -> u32 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_formats() {
        let mut sum = Crc::new();
        sum.add(b"12345");
        sum.add(b"6789");
        // The check value of CRC-32 (ISO-HDLC).
        assert_eq!(sum.value(), 0xcbf4_3926);
    }
}
