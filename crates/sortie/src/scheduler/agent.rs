//! An agent of the library's face.

use std::time::Duration;

use crate::config::written::{AgentFile, Api, Auth, Free, Names, PriceFile, Provider, RateLimiting, Rates};

/// A named configuration: provider, model, limits on its answers and on its pace.
///
/// Where nothing else is said its key comes from `ANTHROPIC_API_KEY` or `OPENAI_API_KEY`, its price
/// from the built-in table, and its pace from the [`Scheduler`](crate::Scheduler). Agents with the
/// same key, address and model share one account's limits: the stricter of both counts.
///
/// Numbers are checked when a run begins, all of them at once: out of its range each is
/// [`Error::Config`](crate::Error::Config). What has no method here has a field of [`AgentFile`],
/// which turns into an agent by `from`.
///
/// ```
/// use std::time::Duration;
/// use sortie::Agent;
/// use sortie::config::written::Api;
///
/// let careful = Agent::anthropic("claude-sonnet-5-5")
///     .system("You answer in one paragraph.")
///     .max_tokens(800)
///     .requests_per_minute(50)
///     .retries(5, Duration::from_secs(2), Duration::from_secs(60));
/// let local = Agent::openai("qwen3-8b").base_url("http://127.0.0.1:8080/v1").free();
/// let gpt = Agent::openai("gpt-6.1-sol").api(Api::Responses);
/// # let _ = (careful, local, gpt);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "an agent does nothing until a scheduler has it"]
pub struct Agent(pub(super) AgentFile);

impl Agent {
    /// An agent that speaks Anthropic Messages.
    pub fn anthropic(model: impl Into<String>) -> Self {
        Agent::of(Provider::Anthropic, model.into())
    }

    /// An agent that speaks OpenAI Chat Completions, with OpenAI or a compatible server, unless told
    /// to speak [`Api::Responses`].
    pub fn openai(model: impl Into<String>) -> Self {
        Agent::of(Provider::OpenAi, model.into())
    }

    fn of(provider: Provider, model: String) -> Self {
        Agent(AgentFile { provider: Some(provider), model: Some(model), ..AgentFile::default() })
    }

    /// Where it is reached, in the form of the official SDKs: Anthropic's without `/v1`, OpenAI's
    /// with it. Otherwise `ANTHROPIC_BASE_URL` or `OPENAI_BASE_URL`, else the provider's own.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.0.base_url = Some(url.into());
        self
    }

    /// The environment variable that holds its key; the key itself is never part of an agent.
    pub fn api_key_env(mut self, name: impl Into<String>) -> Self {
        self.0.api_key_env = Some(name.into());
        self
    }

    /// Which of its provider's APIs it speaks.
    pub fn api(mut self, api: Api) -> Self {
        self.0.api = Some(api);
        self
    }

    /// How its key is sent; as its address is known to take it unless told.
    pub fn auth(mut self, auth: Auth) -> Self {
        self.0.auth = Some(auth);
        self
    }

    /// The system prompt of its tasks; a task's own goes before it.
    pub fn system(mut self, prompt: impl Into<String>) -> Self {
        self.0.system = Some(prompt.into());
        self
    }

    /// Sampling temperature, 0 to 1 with Anthropic and 0 to 2 with OpenAI; sent only where set.
    /// Recent models refuse it.
    pub fn temperature(mut self, temperature: f64) -> Self {
        self.0.temperature = Some(temperature);
        self
    }

    /// Whether its prompts are counted before a run: at Anthropic by its API, which costs nothing; of
    /// OpenAI's models in this program, which is done anyway at OpenAI's own hosts.
    pub fn count_tokens(mut self, counts: bool) -> Self {
        self.0.count_tokens = Some(counts);
        self
    }

    /// Whether the provider is asked to keep each answer, so that one that was lost when the process died is found
    /// again by a resume and not bought twice. `OpenAI`'s Chat Completions only.
    pub fn recover_lost(mut self, recovers: bool) -> Self {
        self.0.recover_lost = Some(recovers);
        self
    }

    /// Output tokens that a task may use where it does not say, at least 1; 4000 unless told.
    pub fn max_tokens(mut self, tokens: u32) -> Self {
        self.0.max_tokens = Some(tokens);
        self
    }

    /// What its tokens cost, in USD per million, in place of the built-in table.
    pub fn price(mut self, input: f64, output: f64) -> Self {
        let rates = Rates { input, output, cache_read: None, cache_write: None, cache_write_1h: None };
        self.0.price = Some(PriceFile::Rates(rates));
        self
    }

    /// Its tokens cost nothing: a server of one's own.
    pub fn free(mut self) -> Self {
        self.0.price = Some(PriceFile::Word(Free::Free));
        self
    }

    /// The agents that do its tasks while its account is stopped or its provider is failing, of which the first
    /// that serves is asked; at most 16.
    pub fn fallback<N: Into<String>>(mut self, agents: impl IntoIterator<Item = N>) -> Self {
        self.0.fallback = Some(Names::Several(agents.into_iter().map(Into::into).collect()));
        self
    }

    /// They do them also when it is throttled for longer than this, which is more than 0.
    pub fn fallback_after(mut self, throttled: Duration) -> Self {
        self.0.fallback_after = Some(throttled.as_secs_f64());
        self
    }

    /// Requests that may start in a minute, at least 1.
    pub fn requests_per_minute(mut self, requests: u32) -> Self {
        self.limits().requests_per_minute = Some(requests);
        self
    }

    /// Requests that may start at once after a pause, at least 1; a second's worth unless told.
    pub fn requests_burst(mut self, requests: u32) -> Self {
        self.limits().requests_burst = Some(requests);
        self
    }

    /// Input tokens that may be sent in a minute, at least 1.
    pub fn input_tokens_per_minute(mut self, tokens: u64) -> Self {
        self.limits().input_tokens_per_minute = Some(tokens);
        self
    }

    /// Output tokens that may be asked for in a minute, at least 1.
    pub fn output_tokens_per_minute(mut self, tokens: u64) -> Self {
        self.limits().output_tokens_per_minute = Some(tokens);
        self
    }

    /// Calls that its account may have in flight, at least 1; the scheduler's number binds as well.
    pub fn max_concurrent(mut self, calls: u32) -> Self {
        self.limits().max_concurrent = Some(calls);
        self
    }

    /// How often a failed call is tried again, and how long it waits: `first` before the first
    /// retry, then twice as long each time, at most `most` (0 to a year). A longer wait that the
    /// provider names is kept to. 3 retries after 1, 2 and 4 s, at most 30 s, unless told.
    pub fn retries(mut self, retries: u32, first: Duration, most: Duration) -> Self {
        let limits = self.limits();
        limits.max_retries = Some(retries);
        limits.initial_delay = Some(first.as_secs_f64());
        limits.max_delay = Some(most.as_secs_f64());
        self
    }

    fn limits(&mut self) -> &mut RateLimiting {
        self.0.rate_limiting.get_or_insert_default()
    }
}

impl From<AgentFile> for Agent {
    fn from(written: AgentFile) -> Self {
        Agent(written)
    }
}
