//! Colour, where the caller says that there may be some.

/// Whether texts may be coloured. Whoever owns the terminal knows (`NO_COLOR`, a missing TTY).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// Text and nothing else.
    #[default]
    Plain,
    /// With ANSI escape sequences (ECMA-48, SGR).
    Ansi,
}

/// What a piece of text is, apart from its words: colour never says what the words do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// As wished.
    Good,
    /// Failed.
    Bad,
    /// Worth a look.
    Warn,
    /// The main thing of its place.
    Strong,
    /// Beside the point.
    Dim,
}

impl Style {
    /// The text, painted where the style allows. It has to be safe to show already.
    pub fn paint(self, paint: Paint, text: &str) -> String {
        let code = match paint {
            Paint::Good => 32,
            Paint::Bad => 31,
            Paint::Warn => 33,
            Paint::Strong => 1,
            Paint::Dim => 2,
        };
        match self {
            Style::Plain => text.to_owned(),
            Style::Ansi => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}
