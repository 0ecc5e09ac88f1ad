//! What the providers' documentation leaves open, or what their APIs and compatible servers do
//! differently: a switch for each, the provider's most likely way first.

use serde::{Deserialize, Serialize};

/// What becomes of requests for models that the price table does not know as the provider's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownModels {
    /// They are answered 404, as both providers do.
    #[default]
    Refused,
    /// They are answered: a server that speaks the dialect and has models of its own.
    Served,
}

/// What becomes of requests without a header that the documentation says is required, and that has not
/// been seen to be refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingHeader {
    /// They are refused: 400.
    #[default]
    Refused,
    /// They are answered.
    Taken,
}

/// In whose words a body that is too long is refused: Anthropic's documentation of errors has both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TooLong {
    /// The API's own: JSON.
    #[default]
    Json,
    /// The proxy's before it: a page of HTML.
    Html,
}
