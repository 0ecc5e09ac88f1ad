//! Keys: what one is, and where it comes from. A key leaves this crate only inside a request's
//! header; what may be shown of it is its fingerprint.

mod environment;

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use sortie_core::hash::Hash;

pub use environment::{Environment, EnvironmentError, Origin};

/// An API key. Never shown, never serialised; its memory is cleared when it is dropped.
#[derive(Clone)]
pub struct Key(SecretString);

/// Why a text is no key. Says nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is nothing in it.
    #[error("the key is empty")]
    Empty,
    /// It holds something that no header can: a line break inside, a control character, an accent.
    #[error("the key holds characters that no key has")]
    NotAscii,
}

impl Key {
    /// A key. White space around it is dropped: key files end in a line break.
    ///
    /// # Errors
    /// Where it is empty, or has other than visible ASCII characters.
    pub fn new(text: &str) -> Result<Key, KeyError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(KeyError::NotAscii);
        }
        Ok(Key(SecretString::from(text)))
    }

    /// The first 8 hexadecimal digits of its SHA-256: tells keys apart and gives none away.
    pub fn fingerprint(&self) -> String {
        Hash::of(self.expose().as_bytes()).to_string()[..8].to_owned()
    }

    /// The key itself, for the one place that puts it into a header.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(REDACTED)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_shown_but_can_be_told_apart() {
        let key = Key::new("sk-test\n").unwrap();
        assert_eq!(format!("{key:?}"), "Key(REDACTED)");
        // By `printf sk-test | sha256sum`.
        assert_eq!(key.fingerprint(), "f3abf2a6");
        assert_eq!(key.expose(), "sk-test");
    }

    #[test]
    fn what_no_header_can_carry_is_no_key() {
        assert_eq!(Key::new(" \n").unwrap_err(), KeyError::Empty);
        for text in ["sk-te\nst", "sk-tést", "sk test", "sk\u{0}test"] {
            assert_eq!(Key::new(text).unwrap_err(), KeyError::NotAscii, "{text:?}");
        }
    }
}
