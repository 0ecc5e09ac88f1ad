//! Compressed bodies of replies. They are unpacked here, and not by the HTTP client, which would not
//! say how much came for how little.

use std::borrow::Cow;
use std::io::{self, Write};

use flate2::write::MultiGzDecoder;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

/// Times its packed size that a body may have. Answers and their events come to 3 to 20; what deflate
/// makes of zeros is 1,000.
const MOST_GROWTH: u64 = 100;

/// What a body may have however little came for it, 1 MiB: a short one that repeats itself is none
/// the less an answer.
const ALWAYS: u64 = 1 << 20;

/// The body of a reply, on its way out of its packing.
pub(super) enum Body {
    /// As it is; also in packings that nobody asked for, which then are no answer.
    Plain,
    Gzip(Box<Gzip>),
}

pub(super) struct Gzip {
    decoder: MultiGzDecoder<Room>,
    taken: u64,
    given: u64,
}

/// Why a body cannot be unpacked.
#[derive(Debug)]
pub(super) enum Packed {
    /// It grows out of all proportion.
    Bomb,
    /// It is not what it says it is: why.
    Damaged(String),
}

impl Body {
    /// The body of a reply with these headers.
    pub(super) fn of(headers: &HeaderMap) -> Body {
        let is_gzip = headers.get(CONTENT_ENCODING).is_some_and(|value| {
            let value = value.as_bytes().trim_ascii();
            value.eq_ignore_ascii_case(b"gzip") || value.eq_ignore_ascii_case(b"x-gzip")
        });
        if is_gzip {
            let decoder = MultiGzDecoder::new(Room::default());
            Body::Gzip(Box::new(Gzip { decoder, taken: 0, given: 0 }))
        } else {
            Body::Plain
        }
    }

    /// What these bytes unpack to, with those before them.
    pub(super) fn push<'a>(&mut self, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>, Packed> {
        let Body::Gzip(gzip) = self else { return Ok(Cow::Borrowed(bytes)) };
        gzip.taken += bytes.len() as u64;
        let room = gzip.taken.saturating_mul(MOST_GROWTH).max(ALWAYS).saturating_sub(gzip.given);
        gzip.decoder.get_mut().left = usize::try_from(room).unwrap_or(usize::MAX);
        // Flushed, so that an event is out when its last byte is in.
        let unpacked = gzip.decoder.write_all(bytes).and_then(|()| gzip.decoder.flush());
        let room = gzip.decoder.get_mut();
        let out = std::mem::take(&mut room.out);
        if room.is_full {
            return Err(Packed::Bomb);
        }
        gzip.given += out.len() as u64;
        unpacked.map_or_else(|error| Err(Packed::Damaged(damaged(&error))), |()| Ok(Cow::Owned(out)))
    }

    /// There are no more bytes.
    ///
    /// # Errors
    /// Why they are no whole packing.
    pub(super) fn finish(self) -> Result<(), String> {
        match self {
            Body::Plain => Ok(()),
            Body::Gzip(gzip) if gzip.taken == 0 => Ok(()),
            Body::Gzip(mut gzip) => gzip.decoder.try_finish().map_err(|error| damaged(&error)),
        }
    }
}

fn damaged(error: &io::Error) -> String {
    format!("the body is no gzip: {error}")
}

/// Where unpacked bytes go, as long as there is room.
#[derive(Debug, Default)]
struct Room {
    out: Vec<u8>,
    left: usize,
    is_full: bool,
}

impl Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.left {
            self.is_full = true;
            return Err(io::Error::other("it grows out of all proportion"));
        }
        self.left -= bytes.len();
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    fn packed(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    fn body(encoding: &'static str) -> Body {
        Body::of(&HeaderMap::from_iter([(CONTENT_ENCODING, http::HeaderValue::from_static(encoding))]))
    }

    fn unpacked(packed: &[u8], slice: usize) -> Result<Vec<u8>, Packed> {
        let (mut body, mut out) = (body("gzip"), Vec::new());
        for bytes in packed.chunks(slice) {
            out.extend_from_slice(&body.push(bytes)?);
        }
        body.finish().map_err(Packed::Damaged).map(|()| out)
    }

    #[test]
    fn a_body_is_unpacked_in_any_slicing_and_events_as_they_come() {
        let text = "data: {\"type\": \"ping\"}\n\n".repeat(100).into_bytes();
        let twice = [packed(&text), packed(b"more")].concat();
        for slice in [1, 7, 10_000] {
            assert_eq!(unpacked(&packed(&text), slice).unwrap(), text);
            assert_eq!(unpacked(&twice, slice).unwrap(), [&text[..], b"more"].concat());
        }
        assert_eq!(unpacked(b"", 1).unwrap(), b"");
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(b"data: a\n\n").unwrap();
        encoder.flush().unwrap();
        assert_eq!(body("X-GZIP ").push(encoder.get_ref()).unwrap(), b"data: a\n\n".as_slice());
        assert_eq!(body("identity").push(b"as it is").unwrap(), b"as it is".as_slice());
    }

    #[test]
    fn what_is_cut_or_no_gzip_is_damaged() {
        let whole = packed(b"data: {}\n\n");
        for cut in 1..whole.len() {
            assert!(matches!(unpacked(&whole[..cut], 3), Err(Packed::Damaged(_))), "{cut}");
        }
        assert!(matches!(unpacked(b"data: {}\n\ndata: {}\n\n", 3), Err(Packed::Damaged(_))));
    }

    #[test]
    fn a_body_grows_a_hundredfold_and_no_further() {
        assert_eq!(unpacked(&packed(&vec![0; ALWAYS as usize]), 100).unwrap().len() as u64, ALWAYS);
        assert!(matches!(unpacked(&packed(&vec![0; ALWAYS as usize + 1]), 100), Err(Packed::Bomb)));
    }
}
