//! Broken inputs, made from whole ones.

/// The longest input.
const LONGEST: usize = 64 << 10;

/// Changes of one input, at most.
const MOST_CHANGES: u64 = 6;

/// What breaks readers of JSON, YAML, event streams, numbers, dates and durations.
const WORDS: [&str; 64] = [
    "\0",
    "\n",
    "\n\n",
    "\r\n",
    "\r",
    "\t",
    " ",
    "\u{feff}",
    "\u{2028}",
    "\u{202e}",
    "é",
    "🌍",
    "\"",
    "'",
    "\\",
    "\\u0000",
    "\\ud800",
    "{",
    "}",
    "[",
    "]",
    "{}",
    "[]",
    ":",
    ",",
    "-",
    "- ",
    "? ",
    "| ",
    "> ",
    "&a ",
    "*a",
    "<<: ",
    "!!",
    "#",
    "%",
    "---\n",
    "data: ",
    "data:",
    "event: ",
    ": ",
    "[DONE]",
    "null",
    "true",
    "false",
    "NaN",
    "inf",
    "-1",
    "0",
    "1e999",
    "-0.0",
    "1e-320",
    "18446744073709551615",
    "18446744073709551616",
    "9223372036854775807",
    "4294967296",
    "1h1m1s",
    "µs",
    "GMT",
    "2026-11-23T12:00:00Z",
    "{{ results.",
    "}}",
    "[[sim ",
    "]]",
];

/// Numbers that look random, the same for the same seed.
struct Chance(u64);

impl Chance {
    fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.bits() >> 11) as usize % n.max(1)
    }
}

/// Mutations of some seeds, one after the other.
pub(crate) struct Mutation<'a> {
    seeds: &'a [Vec<u8>],
    chance: Chance,
}

impl<'a> Mutation<'a> {
    pub(crate) fn new(seeds: &'a [Vec<u8>], seed: u64) -> Self {
        let mut chance = Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        chance.bits();
        Mutation { seeds, chance }
    }

    pub(crate) fn next(&mut self) -> Vec<u8> {
        let mut input = self.seeds[self.chance.below(self.seeds.len())].clone();
        for _ in 0..=self.chance.bits() % MOST_CHANGES {
            self.change(&mut input);
            input.truncate(LONGEST);
        }
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let chance = &mut self.chance;
        let at = chance.below(input.len() + 1);
        match chance.below(12) {
            0 | 1 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << chance.below(8);
                }
            }
            2 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = chance.bits() as u8;
                }
            }
            3..=5 => {
                let word = WORDS[chance.below(WORDS.len())];
                // In the place of something, or before it.
                let gone = chance.below(2) * chance.below(12);
                input.splice(at..(at + gone).min(input.len()), word.bytes());
            }
            6 => {
                let gone = chance.below(64);
                input.drain(at..(at + gone).min(input.len()));
            }
            7 => input.truncate(at),
            8 => {
                let piece = piece(input, at, 1 + chance.below(256));
                let to = chance.below(input.len() + 1);
                input.splice(to..to, piece);
            }
            9 => {
                // Depth, and length.
                let times = 1 << chance.below(11);
                let piece = piece(input, at, 1 + chance.below(8));
                let repeated = piece.repeat(times);
                input.splice(at..at, repeated);
            }
            10 => {
                let other = &self.seeds[chance.below(self.seeds.len())];
                let from = chance.below(other.len() + 1);
                let piece = piece(other, from, chance.below(512));
                input.splice(at..at, piece);
            }
            _ => number(input, at, chance),
        }
    }
}

fn piece(of: &[u8], from: usize, length: usize) -> Vec<u8> {
    of[from.min(of.len())..(from + length).min(of.len())].to_vec()
}

/// Another number in the place of the first one from here on.
fn number(input: &mut Vec<u8>, at: usize, chance: &mut Chance) {
    let Some(start) = input[at..].iter().position(u8::is_ascii_digit).map(|found| at + found) else { return };
    let length = input[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = match chance.below(3) {
        0 => (1_u64 << chance.below(64)).wrapping_sub(chance.bits() % 2),
        1 => chance.bits(),
        _ => chance.bits() % 100,
    };
    input.splice(start..start + length, number.to_string().into_bytes());
}
