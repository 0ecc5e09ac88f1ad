//! An answer as gzip, its pieces as they come.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderValue;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};

use crate::timeline::{Chunk, Timeline};

/// The same reply compressed, each of its pieces at its time.
pub(super) fn compressed(mut timeline: Timeline) -> Timeline {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let last = timeline.chunks.len().saturating_sub(1);
    for (nth, chunk) in timeline.chunks.iter_mut().enumerate() {
        let written = encoder.write_all(&chunk.bytes);
        // Flushed, so that a piece can be read when it is there. Memory takes whatever is written to it.
        let _infallible =
            written.and_then(|()| if nth == last { encoder.try_finish() } else { encoder.flush() });
        let bytes = std::mem::take(encoder.get_mut());
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
