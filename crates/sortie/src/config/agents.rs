//! The agents of a configuration, as meant: who is behind each, where, for how much.

use jiff::civil::Date;
use sortie_core::agent::{Agent, Retry, Timeouts};
use sortie_core::document::{Place, Problem, Problems};
use sortie_core::limit::GateSpec;
use sortie_core::money::Usd;
use sortie_core::plan::check::MAX_ID_CHARS;
use sortie_core::price::{self, Price, Pricing, Rule};

use super::address::check_address;
use super::check::{rate_limiting, retry};
use super::gates::{self, Gates};
use super::written::{AgentFile, Api, ConfigFile, PriceFile, Provider, RateLimiting, Rates};
use super::{ConfiguredAgent, Endpoint, Environment, Origin};

/// Output tokens a task may use where nobody says: the founding document's (SPEC.md E5).
const MAX_TOKENS: u32 = 4000;
/// The least that the Responses API takes for `max_output_tokens` (its own error message says so).
pub(super) const LEAST_IN_RESPONSES: u32 = 16;
/// Agents, at most: an agent's id is 16 bits wide.
const MAX_AGENTS: usize = u16::MAX as usize;
/// Days before its retirement from which a model is warned of.
const RETIRES_SOON: i32 = 60;

/// The agents as meant, and the gates that they share.
#[derive(Default)]
pub(super) struct Agents {
    pub(super) enabled: Vec<ConfiguredAgent>,
    pub(super) disabled: Vec<String>,
    pub(super) gates: Vec<GateSpec>,
    /// All that are written, enabled or not, right or wrong.
    pub(super) names: Vec<String>,
}

impl Agents {
    pub(super) fn check(
        file: &ConfigFile,
        rates: &RateLimiting,
        retry: &Retry,
        timeouts: Timeouts,
        env: Environment<'_>,
        today: Date,
        problems: &mut Problems,
    ) -> Agents {
        let written = file.agents.clone().unwrap_or_else(ConfigFile::agents_by_default);
        let mut agents = Agents::default();
        if written.len() > MAX_AGENTS {
            let message = format!("{} agents are too many: at most {MAX_AGENTS}", written.len());
            problems.push(Problem::error(message).at(Place::root().name("agents")));
            return agents;
        }
        agents.names = written.iter().map(|(name, _)| name.clone()).collect();
        let mut gates = Gates::default();
        for (name, written) in &written {
            let written = written.clone().unwrap_or_default();
            let mut checker = Checker { name, written: &written, env, today, problems };
            checker.check_name();
            if written.enabled == Some(false) {
                agents.disabled.push(name.clone());
            } else {
                agents.enabled.extend(checker.agent(rates, retry, timeouts, &mut gates));
            }
        }
        agents.gates = gates.finish();
        agents.fallbacks(&written, problems);
        if agents.enabled.is_empty() && !problems.has_errors() {
            problems.push(Problem::error("no agent is enabled").at(Place::root().name("agents")));
        }
        agents
    }
}

impl ConfigFile {
    /// The agents of a configuration that names none.
    pub(super) fn agents_by_default() -> Vec<(String, Option<AgentFile>)> {
        ["claude", "openai"].map(|name| (name.to_owned(), None)).to_vec()
    }
}

/// One agent on its way from written to meant.
struct Checker<'a> {
    name: &'a str,
    written: &'a AgentFile,
    env: Environment<'a>,
    today: Date,
    problems: &'a mut Problems,
}

impl Checker<'_> {
    fn at(&self, key: &'static str) -> Place {
        Place::root().key("agents").key(self.name.to_owned()).key(key)
    }

    fn error(&mut self, key: &'static str, message: String) {
        let place = self.at(key);
        self.problems.push(Problem::error(message).at(place));
    }

    fn check_name(&mut self) {
        let chars = self.name.chars().count();
        if chars == 0 || chars > MAX_ID_CHARS || self.name.chars().any(char::is_control) {
            let message = format!("an agent's name has 1 to {MAX_ID_CHARS} printable characters");
            let place = Place::root().key("agents").name(self.name.to_owned());
            self.problems.push(Problem::error(message).at(place));
        }
    }

    fn agent(
        &mut self,
        rates: &RateLimiting,
        otherwise: &Retry,
        timeouts: Timeouts,
        gates: &mut Gates,
    ) -> Option<ConfiguredAgent> {
        let own = self.written.rate_limiting.clone().unwrap_or_default();
        rate_limiting(&own, &gates::place(self.name), self.problems);
        let provider = self.provider()?;
        let model = self.model(provider);
        let endpoint = self.endpoint(provider);
        let max_tokens = self.max_tokens(&model);
        let max_cost = self.max_cost();
        let row = price::table().find(&model);
        let agent = Agent {
            name: self.name.to_owned(),
            provider: provider.name().to_owned(),
            gate: gates.of(&endpoint, &model, &own, rates),
            pricing: self.pricing(&endpoint, &model),
            max_cost,
            max_tokens,
            system_bytes: endpoint.system.as_ref().map_or(0, |system| system.len() as u64),
            context: row.and_then(|row| row.context),
            max_output: row.and_then(|row| u32::try_from(row.max_output?).ok()),
            fallbacks: Vec::new(), // as soon as all agents are known
            fallback_after: None,
            retry: retry(&own, otherwise),
            timeouts,
            model,
        };
        Some(ConfiguredAgent { agent, endpoint })
    }

    /// As stated, else as the model or the agent is called.
    fn provider(&mut self) -> Option<Provider> {
        let told = self.written.provider;
        let told = told.or_else(|| Provider::told_by(self.written.model.as_deref()?));
        let told = told.or_else(|| Provider::told_by(self.name));
        if told.is_none() {
            let message = format!("neither name nor model of agent `{}` tells whose API it is", self.name);
            let place = Place::root().key("agents").name(self.name.to_owned());
            let own = Place::root().key("agents").key(self.name.to_owned());
            let problem = Problem::error(message).at(place).help("set `provider` to `anthropic` or `openai`");
            self.problems.push(problem.absent(own.clone(), "provider").absent(own, "model"));
        }
        told
    }

    fn model(&mut self, provider: Provider) -> String {
        let from_env = || (self.env)(&provider.variable("MODEL")).filter(|model| !model.trim().is_empty());
        let stated = self.written.model.clone();
        let model = stated.or_else(from_env).unwrap_or_else(|| provider.default_model().to_owned());
        if model.trim().is_empty() || model.chars().any(char::is_control) {
            self.error("model", format!("the model {model:?} of agent `{}` is none", self.name));
        }
        self.warn_of_retirement(&model);
        model
    }

    fn warn_of_retirement(&mut self, model: &str) {
        let Some(row) = price::table().find(model) else { return };
        let Some(date) = row.retires.as_deref().and_then(|date| date.parse::<Date>().ok()) else { return };
        let days = self.today.until(date).map_or(i32::MAX, |span| span.get_days());
        let message = match days {
            ..=0 => format!("model `{model}` was retired on {date}"),
            1..=RETIRES_SOON => format!("model `{model}` will be retired on {date}, in {days} days"),
            _ => return,
        };
        let help = row.successor.as_ref().map(|successor| format!("its successor is `{successor}`"));
        let place = self.at("model");
        self.problems.push(Problem::warning(message).at(place).maybe_help(help));
    }

    fn max_tokens(&mut self, model: &str) -> u32 {
        let max_tokens = self.written.max_tokens.unwrap_or(MAX_TOKENS);
        let most = price::table().find(model).and_then(|row| row.max_output);
        if max_tokens == 0 {
            self.error("max_tokens", "`max_tokens` must be at least 1".into());
        } else if self.written.api == Some(Api::Responses) && max_tokens < LEAST_IN_RESPONSES {
            let message = format!("the Responses API takes no `max_tokens` below {LEAST_IN_RESPONSES}");
            self.error("max_tokens", message);
        } else if let Some(most) = most.filter(|&most| u64::from(max_tokens) > most) {
            let message = format!("`max_tokens` of {max_tokens} is more than `{model}` gives: {most}");
            let place = self.at("max_tokens");
            self.problems.push(Problem::warning(message).at(place));
        }
        max_tokens
    }

    fn max_cost(&mut self) -> Option<Usd> {
        let written = self.written.max_cost?;
        let max_cost = Usd::from_f64(written).filter(|usd| !usd.is_zero());
        if max_cost.is_none() {
            self.error("max_cost", "`max_cost` must be more than 0 and at most 18 million USD".into());
        }
        max_cost
    }

    fn endpoint(&mut self, provider: Provider) -> Endpoint {
        let (base_url, base_url_from) = self.base_url(provider);
        Endpoint {
            provider,
            base_url,
            base_url_from,
            api: self.api(provider),
            auth: self.written.auth,
            api_key_env: self.api_key_env(provider),
            system: self.written.system.clone(),
            temperature: self.temperature(provider),
            count_tokens: self.written.count_tokens,
            recover_lost: self.recover_lost(provider),
        }
    }

    fn recover_lost(&mut self, provider: Provider) -> bool {
        let is_asked = self.written.recover_lost == Some(true);
        let why = match (provider, self.written.api) {
            (Provider::Anthropic, _) => "Anthropic keeps no answers to be asked for",
            (_, Some(Api::Responses)) => "the Responses API has no list of what it keeps; `api: chat` has",
            _ => return is_asked,
        };
        if is_asked {
            self.error("recover_lost", format!("agent `{}` cannot `recover_lost`: {why}", self.name));
        }
        false
    }

    fn base_url(&mut self, provider: Provider) -> (String, Origin) {
        let variable = provider.variable("BASE_URL");
        let (url, origin) = if let Some(url) = &self.written.base_url {
            (url.clone(), Origin::Configuration)
        } else if let Some(url) = (self.env)(&variable).filter(|url| !url.trim().is_empty()) {
            (url, Origin::Variable(variable))
        } else {
            return (provider.base_url().to_owned(), Origin::Default);
        };
        let url = url.trim().trim_end_matches('/').to_owned();
        let name = match &origin {
            Origin::Variable(variable) => variable.clone(),
            _ => format!("agents.{}.base_url", self.name),
        };
        if let Err(why) = check_address(&url) {
            // No place: the line could be shown, and there may be a password in it. A variable is that of
            // several agents, and wrong once.
            let problem = Problem::error(format!("`{name}` {why}"));
            if self.problems.iter().all(|known| known.message != problem.message) {
                self.problems.push(problem);
            }
        } else if provider == Provider::Anthropic && url.ends_with("/v1") {
            let place = self.at("base_url");
            let message = format!("`{name}` ends in `/v1`, which is added to it: Anthropic's has none");
            self.problems.push(Problem::warning(message).at(place));
        }
        (url, origin)
    }

    fn api(&mut self, provider: Provider) -> Option<Api> {
        let api = self.written.api?;
        let of = api.provider();
        if of != provider {
            let message =
                format!("this `api` is {}'s, agent `{}` is {}'s", of.name(), self.name, provider.name());
            self.error("api", message);
        }
        Some(api)
    }

    fn api_key_env(&mut self, provider: Provider) -> String {
        let Some(name) = self.written.api_key_env.clone() else { return provider.variable("API_KEY") };
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(is_name) || name.starts_with(|c: char| c.is_ascii_digit()) {
            // Neither value nor place: somebody may have put the key itself there.
            let message = format!("`agents.{}.api_key_env` is not the name of a variable", self.name);
            let help = "it names the environment variable that holds the key; it is never the key itself";
            self.problems.push(Problem::error(message).help(help));
        }
        name
    }

    fn temperature(&mut self, provider: Provider) -> Option<f64> {
        let temperature = self.written.temperature?;
        let most = provider.max_temperature();
        if !(0.0..=most).contains(&temperature) {
            self.error("temperature", format!("`temperature` must be from 0 to {most}"));
        } else if self.written.api == Some(Api::V2026) {
            self.error("temperature", "API version 2026-10-21 takes no `temperature`".into());
        }
        Some(temperature)
    }

    /// A stated price is what it is. Of the table's, OpenAI's are for the host that is asked: its replies
    /// name no region.
    fn pricing(&mut self, endpoint: &Endpoint, model: &str) -> Pricing {
        let provider = endpoint.provider;
        match &self.written.price {
            Some(PriceFile::Word(_)) => Pricing::Free,
            Some(PriceFile::Rates(rates)) => Pricing::Known(self.rates(rates)),
            None => {
                let row = price::table().find(model).filter(|row| row.provider == provider.name());
                row.map_or(Pricing::Unknown, |row| {
                    Pricing::Known(match provider {
                        Provider::Anthropic => row.price.clone(),
                        Provider::OpenAi => row.price.at_host(provider.is_regional(&endpoint.base_url)),
                    })
                })
            }
        }
    }

    /// Rates that leave the cache out take it for plain input, so that nothing comes out too cheap.
    fn rates(&mut self, rates: &Rates) -> Price {
        let mut get = |key: &'static str, per_million: f64| {
            let token = Usd::from_f64(per_million).map(per_token);
            if token.is_none() {
                let place = self.at("price").key(key);
                let message = format!("`{key}` must be from 0 to 18 million USD per million tokens");
                self.problems.push(Problem::error(message).at(place));
            }
            token.unwrap_or_default()
        };
        let (input, output) = (get("input", rates.input), get("output", rates.output));
        let cache_read = rates.cache_read.map_or(input, |rate| get("cache_read", rate));
        let cache_write = rates.cache_write.map_or(input, |rate| get("cache_write", rate));
        let cache_write_1h = rates.cache_write_1h.map_or(cache_write, |rate| get("cache_write_1h", rate));
        let rates = price::Rates { input, output, cache_read, cache_write, cache_write_1h, long: None };
        let price = Price::stated(rates);
        if let Err(absurd) = price.plausible() {
            // Only these two can break in rates of one tier.
            let key = if absurd.rule == Rule::CacheReadTooDear { "cache_read" } else { "output" };
            let place = self.at("price").key(key);
            let message = format!("the price of agent `{}` is absurd: {}", self.name, absurd.rule);
            self.problems.push(Problem::error(message).at(place));
        }
        price
    }
}

/// What one token costs, rounded up to a picodollar, where a million cost this.
fn per_token(million: Usd) -> Usd {
    Usd::from_pico(million.pico().div_ceil(1_000_000))
}
