//! What is known of each provider without asking it: names, address, a current model.

use super::address::authority;
use super::written::{Api, Provider};

impl Provider {
    /// `anthropic` or `openai`: the dialect's name.
    pub const fn name(self) -> &'static str {
        match self {
            Provider::Anthropic => "anthropic",
            Provider::OpenAi => "openai",
        }
    }

    /// The provider's own address, as its SDK has it.
    pub const fn base_url(self) -> &'static str {
        match self {
            Provider::Anthropic => "https://api.anthropic.com",
            Provider::OpenAi => "https://api.openai.com/v1",
        }
    }

    /// Whether this address of it serves in one region alone, and at the region's rates: OpenAI's hosts
    /// `us.`, `eu.`, … `api.openai.com`. "Data residency endpoints are charged a 10% uplift for models
    /// released on or after March 5, 2026" (developers.openai.com/api/docs/guides/data-residency);
    /// which models that are is in the price table. Anthropic has no such hosts.
    pub(super) fn is_regional(self, base_url: &str) -> bool {
        let host = authority(base_url).to_ascii_lowercase();
        let host = host.split(':').next().unwrap_or_default();
        let region = host.strip_suffix(authority(Provider::OpenAi.base_url()));
        self == Provider::OpenAi && region.is_some_and(|region| region.len() > 1 && region.ends_with('.'))
    }

    /// Whether this address is the provider's own, one of its regions' included.
    pub fn is_at(self, base_url: &str) -> bool {
        authority(base_url).eq_ignore_ascii_case(authority(self.base_url())) || self.is_regional(base_url)
    }

    /// What a current model is called, for agents that name none.
    pub const fn default_model(self) -> &'static str {
        match self {
            Provider::Anthropic => "claude-sonnet-5-5",
            Provider::OpenAi => "gpt-6.1-sol",
        }
    }

    /// `ANTHROPIC_MODEL`, `OPENAI_BASE_URL`, …: the names that the SDKs and the founding document
    /// (SPEC.md E2) use.
    pub(super) fn variable(self, what: &str) -> String {
        format!("{}_{what}", self.name().to_ascii_uppercase())
    }

    /// The most that a sampling temperature may be (both providers' API references).
    pub(crate) const fn max_temperature(self) -> f64 {
        match self {
            Provider::Anthropic => 1.0,
            Provider::OpenAi => 2.0,
        }
    }

    /// Whose model, or whose namesake, this is.
    pub(super) fn told_by(name: &str) -> Option<Provider> {
        let name = name.to_ascii_lowercase();
        let starts = |beginnings: &[&str]| beginnings.iter().any(|beginning| name.starts_with(beginning));
        let is_series = |series: &str| name == series || name.starts_with(&format!("{series}-"));
        if starts(&["claude", "anthropic"]) {
            Some(Provider::Anthropic)
        } else if starts(&["gpt", "chatgpt", "openai"]) || ["o1", "o3", "o4"].into_iter().any(is_series) {
            Some(Provider::OpenAi)
        } else {
            None
        }
    }
}

impl Api {
    /// Whose API it is.
    pub const fn provider(self) -> Provider {
        match self {
            Api::Chat | Api::Responses => Provider::OpenAi,
            Api::V2023 | Api::V2026 => Provider::Anthropic,
        }
    }

    /// What the header `anthropic-version` says; nothing for APIs that have no versions.
    pub const fn version(self) -> Option<&'static str> {
        match self {
            Api::Chat | Api::Responses => None,
            Api::V2023 => Some("2023-06-01"),
            Api::V2026 => Some("2026-10-21"),
        }
    }
}
