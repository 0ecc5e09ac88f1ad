//! `obfuscation`: characters that pad the events of a stream, so that their sizes do not tell what
//! was said (OpenAI's reference of `stream_options.include_obfuscation`; on unless it is `false`).

use serde_json::Value;
use sortie_core::chance::Chance;
use sortie_core::hash::Hash;

/// What padded texts are a multiple of, in bytes.
const BLOCK: usize = 16;

const LETTERS: [&str; 16] = ["a", "b", "c", "d", "E", "F", "G", "H", "k", "m", "P", "Q", "2", "3", "7", "9"];

/// Pads the events of one answer, or none of them.
pub(in super::super) struct Padding {
    /// What decides the characters, where there are any.
    of: Option<Hash>,
}

impl Padding {
    /// As the request asks; the characters depend on the answer's id and on what an event says.
    pub(in super::super) fn of(asked: &Value, id: &str) -> Self {
        let is_wanted = asked["stream_options"]["include_obfuscation"] != false;
        Padding { of: is_wanted.then(|| Hash::of(id.as_bytes())) }
    }

    /// Pads an event, which says `text`.
    pub(in super::super) fn pad(&self, event: &mut Value, text: &str) {
        if let Some(of) = &self.of {
            let mut chance = Chance::new(0, of, text);
            let missing = BLOCK - text.len() % BLOCK;
            let padding: String = (0..missing).map(|_| chance.pick(&LETTERS)).collect();
            event["obfuscation"] = padding.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_padded_event_has_the_size_of_the_others_unless_told_not_to() {
        let padded = |asked: Value, text: &str| {
            let mut event = json!({});
            Padding::of(&asked, "id").pad(&mut event, text);
            event["obfuscation"].as_str().map(str::to_owned)
        };
        for text in ["", "a", "fifteen letters", "sixteen letters.", "seventeen letters"] {
            let padding = padded(json!({}), text).unwrap();
            assert!(!padding.is_empty() && (text.len() + padding.len()).is_multiple_of(BLOCK), "{text}");
            assert_eq!(padded(json!({}), text), Some(padding), "{text}");
        }
        let off = json!({"stream_options": {"include_obfuscation": false}});
        assert_eq!(padded(off, "a"), None);
    }
}
