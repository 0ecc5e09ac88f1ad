//! Server-sent events, as far as the model APIs use them: the payloads, in any slicing of bytes.
//!
//! Follows the WHATWG's "event stream interpretation": lines end with LF, CRLF or CR, a line that
//! begins with a colon is a comment, an event ends at an empty line, and one that the end of the
//! body cuts is dropped. Event names are left out: both APIs repeat them inside the payload or have
//! none. Nothing here knows JSON or reconnects.

/// The longest line, the longest payload of one event, and the longest reply that is one document:
/// 8 MiB. An event carries a few tokens, the longest answers have half a megabyte; without a bound, a
/// server that never ends its line would fill the memory, and JSON in memory is up to forty times
/// longer than as text.
pub(super) const LONGEST: usize = 8 << 20;

/// A push parser.
#[derive(Debug, Default)]
pub(super) struct Sse {
    line: Vec<u8>,
    /// Whether the last byte was a CR, so that an LF after it ends no second line.
    after_cr: bool,
    /// The payload of the event so far; `None` before its first `data:` line.
    payload: Option<String>,
    /// Whether the first line is behind us: only it may begin with a byte order mark.
    begun: bool,
}

/// A line or a payload was longer than 8 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Sse {
    /// Takes the next bytes and hands over each payload that they complete.
    pub(super) fn push(&mut self, mut bytes: &[u8], mut take: impl FnMut(&str)) -> Result<(), TooLong> {
        while !bytes.is_empty() {
            if std::mem::take(&mut self.after_cr) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let (piece, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            if self.line.len() + piece.len() > LONGEST {
                return Err(TooLong);
            }
            self.line.extend_from_slice(piece);
            let Some((ending, rest)) = rest.split_first() else { break };
            self.after_cr = *ending == b'\r';
            bytes = rest;
            let line = std::mem::take(&mut self.line);
            if let Some(payload) = self.end_line(&line)? {
                take(&payload);
            }
            // The buffer is kept: an answer has thousands of lines.
            self.line = line;
            self.line.clear();
        }
        Ok(())
    }

    /// Takes one whole line; a payload comes out where the line ends an event that has one.
    fn end_line(&mut self, line: &[u8]) -> Result<Option<String>, TooLong> {
        let line = if self.begun { line } else { line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line) };
        self.begun = true;
        if line.is_empty() {
            return Ok(self.payload.take());
        }
        let Some(value) = field_value(line, b"data") else { return Ok(None) };
        let value = String::from_utf8_lossy(value);
        match &mut self.payload {
            None => self.payload = Some(value.into_owned()),
            Some(payload) if payload.len() + value.len() >= LONGEST => return Err(TooLong),
            Some(payload) => {
                payload.push('\n');
                payload.push_str(&value);
            }
        }
        Ok(None)
    }
}

/// The value of a line of this field, without the one space that may follow the colon.
fn field_value<'a>(line: &'a [u8], field: &[u8]) -> Option<&'a [u8]> {
    match line.strip_prefix(field)? {
        [] => Some(&[]),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: &[&str]) {
        for slice in [body.len().max(1), 1, 2, 3] {
            let (mut sse, mut payloads) = (Sse::default(), Vec::new());
            for bytes in body.as_bytes().chunks(slice) {
                sse.push(bytes, |payload| payloads.push(payload.to_owned())).unwrap();
            }
            assert_eq!(payloads, expected, "{body:?} in slices of {slice}");
        }
    }

    #[test]
    fn payloads_come_whole_whatever_ends_the_lines() {
        check("data: a\n\ndata: b\n\n", &["a", "b"]);
        check("data: a\r\n\r\ndata: b\r\n\r\n", &["a", "b"]);
        check("data: a\r\rdata: b\r\r", &["a", "b"]);
    }

    #[test]
    fn the_space_after_the_colon_is_optional_and_only_one_is_dropped() {
        check("data:a\n\ndata:  b\n\n", &["a", " b"]);
    }

    #[test]
    fn comments_names_and_unknown_fields_are_no_payload() {
        check(": OPENROUTER PROCESSING\n\nevent: ping\nid: 7\ndatabase: x\ndata: a\n\n", &["a"]);
    }

    #[test]
    fn several_data_lines_are_joined_and_an_empty_event_is_none() {
        check("\n\nevent: ping\n\ndata: a\ndata\ndata: b\n\n", &["a\n\nb"]);
        check("data: a\r\ndata: b\r\n\r\n", &["a\nb"]);
    }

    #[test]
    fn an_event_that_the_end_cuts_is_dropped() {
        check("data: a\n\ndata: b\n", &["a"]);
        check("data: a\n\ndata: b", &["a"]);
    }

    #[test]
    fn a_byte_order_mark_and_line_separators_of_unicode_do_no_harm() {
        check("\u{feff}data: a\u{2028}b\n\n", &["a\u{2028}b"]);
    }

    #[test]
    fn an_endless_line_and_an_endless_event_are_refused() {
        let mut sse = Sse::default();
        let piece = vec![b'x'; 1 << 20];
        let pushed: Vec<_> = (0..9).map(|_| sse.push(&piece, |_| ())).collect();
        assert_eq!(pushed.iter().filter(|pushed| pushed.is_err()).count(), 1);

        let mut sse = Sse::default();
        let line = format!("data: {}\n", "x".repeat(1 << 20));
        assert!((0..9).any(|_| sse.push(line.as_bytes(), |_| ()).is_err()));
    }
}
