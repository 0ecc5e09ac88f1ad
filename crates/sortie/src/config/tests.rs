//! Every key does what it says, or says that it does not.

mod refused;

use sortie_core::agent::Backoff;
use sortie_core::document::schema_of;
use sortie_core::price::{self, Pricing};

use super::*;

const E5: &str = include_str!("../../tests/fixtures/config.production.yaml");

fn today() -> Date {
    Date::constant(2026, 11, 23)
}

fn read_with(text: &str, env: &[(&str, &str)]) -> Result<Config, Problems> {
    let source = Source::new("sortie.yaml", text.into())?;
    let env = |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    Config::read(&source, &env, today())
}

pub(super) fn read(text: &str) -> Config {
    read_with(text, &[]).map_err(|problems| format!("{text}\n{problems}")).unwrap()
}

/// The problems of a configuration, as they are shown.
pub(super) fn refused(text: &str, expect: &[&str]) {
    let shown = read_with(text, &[]).expect_err(text).to_string();
    assert_eq!(shown.lines().collect::<Vec<_>>(), expect, "{text}");
}

/// The warnings of a configuration that is fine.
pub(super) fn warned(text: &str, expect: &[&str]) {
    let shown = read(text).warnings.to_string();
    assert_eq!(shown.lines().collect::<Vec<_>>(), expect, "{text}");
}

#[test]
fn the_founding_document_s_file_loads_as_it_stands() {
    let config = read(E5);
    let [claude, openai] = config.agents.as_slice() else { panic!("two agents") };
    assert_eq!(
        (claude.agent.name.as_str(), claude.agent.model.as_str()),
        ("claude", "claude-sonnet-4-5-20250929")
    );
    assert_eq!((openai.agent.name.as_str(), openai.agent.model.as_str()), ("openai", "gpt-4-turbo"));
    assert_eq!(claude.endpoint.base_url, "https://api.anthropic.com");
    assert!(matches!(claude.agent.pricing, Pricing::Known(_)));
    assert_eq!(config.default_agent, "claude");
    assert_eq!((config.gates[0].requests_per_minute, config.gates[0].requests_burst), (Some(50), 1));
    warned(
        E5,
        &[
            "sortie.yaml:4:12: warning: model `claude-sonnet-4-5-20250929` will be retired on 2026-11-30, in 7 days",
            "  hint: its successor is `claude-sonnet-5-5`",
            "sortie.yaml:9:12: warning: model `gpt-4-turbo` was retired on 2026-10-23",
            "  hint: its successor is `gpt-5.6-sol`",
            "sortie.yaml:25:3: warning: `monitoring.enable_metrics` is not yet supported",
        ],
    );
}

#[test]
fn every_key_of_the_founding_document_has_an_effect() {
    let plain = effects(read(E5));
    for (written, instead) in [
        ("enabled: true\n    model: \"claude", "enabled: false\n    model: \"claude"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-5-5"),
        ("max_tokens: 4000\n    api_key_env: \"ANTH", "max_tokens: 3000\n    api_key_env: \"ANTH"),
        ("\"ANTHROPIC_API_KEY\"", "\"OTHER_KEY\""),
        ("enabled: true\n    model: \"gpt", "enabled: false\n    model: \"gpt"),
        ("gpt-4-turbo", "gpt-6.1-sol"),
        ("max_tokens: 4000\n    api_key_env: \"OPEN", "max_tokens: 3000\n    api_key_env: \"OPEN"),
        ("\"OPENAI_API_KEY\"", "\"OTHER_KEY\""),
        ("cost_control:\n  enabled: true", "cost_control:\n  enabled: false"),
        ("max_cost_per_session: 10.0", "max_cost_per_session: 11.0"),
        ("max_cost_per_task: 0.5", "max_cost_per_task: 0.6"),
        ("alert_threshold: 5.0", "alert_threshold: 6.0"),
        ("auto_stop_on_limit: true", "auto_stop_on_limit: false"),
        ("requests_per_minute: 50", "requests_per_minute: 60"),
        ("max_concurrent: 10", "max_concurrent: 9"),
        ("retry_on_rate_limit: true", "retry_on_rate_limit: false"),
        ("exponential", "linear"),
        ("INFO", "DEBUG"),
        ("enable_metrics: true", "enable_metrics: false"),
        ("export_results: true", "export_results: false"),
        ("./results/production", "./elsewhere"),
    ] {
        assert!(E5.contains(written), "{written} is not in the file");
        let changed = effects(read(&E5.replacen(written, instead, 1)));
        assert_ne!(changed, plain, "{instead} changes nothing");
    }
}

/// What a configuration means, without the text that its warnings are shown with.
fn effects(mut config: Config) -> String {
    let warnings = std::mem::take(&mut config.warnings);
    let messages: Vec<&str> = warnings.iter().map(|problem| problem.message.as_str()).collect();
    format!("{config:?} {messages:?}")
}

#[test]
fn every_key_of_ours_has_an_effect() {
    let agent = |key: &str| format!("agents: {{a: {{model: claude-sonnet-5-5, {key}}}}}");
    let first = |text: &str| read(text).agents.swap_remove(0);
    assert_eq!(first("agents: {x: {provider: openai}}").agent.model, "gpt-6.1-sol");
    assert_eq!(first(&agent("base_url: 'https://h/x/'")).endpoint.base_url, "https://h/x");
    assert_eq!(first(&agent("system: sys")).agent.system_bytes, 3);
    assert_eq!(first(&agent("temperature: 0.5")).endpoint.temperature, Some(0.5));
    assert_eq!(first(&agent("api: 2023-06-01")).endpoint.api, Some(Api::V2023));
    assert_eq!(first(&agent("auth: bearer")).endpoint.auth, Some(Auth::Bearer));
    assert!(first("agents: {x: {provider: openai, recover_lost: true}}").endpoint.recover_lost);
    assert!(!first("agents: {x: {provider: openai}}").endpoint.recover_lost);
    assert_eq!(first(&agent("price: free")).agent.pricing, Pricing::Free);
    let Pricing::Known(price) =
        first(&agent("price: {input: 0.5, output: 2, cache_read: 0.05}")).agent.pricing
    else {
        panic!("known")
    };
    let rates = &price.standard;
    let pico = [rates.input, rates.output, rates.cache_read, rates.cache_write].map(Usd::pico);
    assert_eq!(pico, [500_000, 2_000_000, 50_000, 500_000]);
    let timeouts =
        "timeouts: {request_timeout: 1, total_timeout: 2, connect: 3, first_token: 4, idle: 5, grace: 6}";
    let agent = first(timeouts).agent.timeouts;
    assert_eq!((agent.request, agent.connect), (Some(Duration::from_secs(1)), Duration::from_secs(3)));
    assert_eq!((agent.first_token, agent.idle), (Duration::from_secs(4), Duration::from_secs(5)));
    let config = read(timeouts);
    assert_eq!((config.run_timeout, config.grace), (Some(Duration::from_secs(2)), Duration::from_secs(6)));
    assert_eq!(read("routes: {coding: openai}").routes["coding"], "openai");
    assert_eq!(read("default_agent: openai").default_agent, "openai");
    assert_eq!(read("criteria: {max_cost_outlier: 2}").criteria.max_cost_outlier, Some(2.0));
}

#[test]
fn an_agent_s_own_rates_go_before_those_for_all() {
    let config = read(
        "agents:\n  claude:\n    rate_limiting: {requests_per_minute: 240, max_concurrent: 3, max_retries: 9}\n  \
         openai: {}\nrate_limiting: {requests_per_minute: 50, input_tokens_per_minute: 7, initial_delay: 2, \
         max_delay: 1, max_concurrent: 4, backoff_strategy: constant}",
    );
    let [claude, openai] = config.gates.as_slice() else { panic!("two gates") };
    assert_eq!(
        (claude.requests_per_minute, claude.requests_burst, claude.max_concurrent),
        (Some(240), 4, Some(3))
    );
    assert_eq!(
        (openai.requests_per_minute, openai.requests_burst, openai.max_concurrent),
        (Some(50), 1, None)
    );
    assert_eq!((claude.input_tokens_per_minute, claude.output_tokens_per_minute), (Some(7), None));
    assert_eq!(config.max_concurrent, 4);
    let retry = &config.agents[0].agent.retry;
    assert_eq!((retry.max_retries, retry.backoff), (9, Backoff::Constant));
    assert_eq!((retry.initial_delay, retry.max_delay), (Duration::from_secs(2), Duration::from_secs(2)));
}

#[test]
fn agents_of_one_account_and_model_share_a_gate_with_the_stricter_numbers() {
    let config = read(
        "agents:\n  claude: {rate_limiting: {requests_per_minute: 50, output_tokens_per_minute: 9}}\n  \
         writer: {provider: anthropic, rate_limiting: {requests_per_minute: 20, max_concurrent: 2}}\n  \
         other_key: {provider: anthropic, api_key_env: K}\n  other_model: {model: claude-haiku-5-5}",
    );
    let gates: Vec<u16> = config.agents.iter().map(|configured| configured.agent.gate.0).collect();
    assert_eq!(gates, [0, 0, 1, 2]);
    let shared = &config.gates[0];
    assert_eq!((shared.requests_per_minute, shared.max_concurrent), (Some(20), Some(2)));
    assert_eq!(shared.output_tokens_per_minute, Some(9));
    assert_eq!(shared.name, "anthropic/claude-sonnet-5-5");
    assert_ne!(config.gates[0].account, config.gates[1].account);
    assert_eq!(config.gates[0].account, config.gates[2].account);
    // The provider counts a generation of a family as one.
    let config = read("agents: {claude: {model: claude-opus-4-7}, other: {model: claude-opus-4-8}}");
    assert_eq!((config.gates.len(), &*config.gates[0].name), (1, "anthropic/opus 4"));
}

#[test]
fn the_environment_fills_only_what_is_left_open() {
    let env = [
        ("ANTHROPIC_MODEL", "claude-haiku-5-5"),
        ("ANTHROPIC_BASE_URL", "http://127.0.0.1:8080/"),
        ("OPENAI_MODEL", " "),
    ];
    let config = read_with(
        "agents: {claude: {}, openai: {}, own: {model: claude-sonnet-5-5, base_url: 'https://h'}}",
        &env,
    )
    .unwrap();
    let shown: Vec<_> = config
        .agents
        .iter()
        .map(|a| (a.agent.model.as_str(), a.endpoint.base_url.as_str(), a.endpoint.base_url_from.clone()))
        .collect();
    assert_eq!(
        shown,
        [
            ("claude-haiku-5-5", "http://127.0.0.1:8080", Origin::Variable("ANTHROPIC_BASE_URL".into())),
            ("gpt-6.1-sol", "https://api.openai.com/v1", Origin::Default),
            ("claude-sonnet-5-5", "https://h", Origin::Configuration),
        ]
    );
    assert_eq!(config.gates[0].name, "anthropic/claude-haiku-5-5 at 127.0.0.1:8080");
}

#[test]
fn without_a_configuration_there_are_two_agents_with_known_prices() {
    let config = Config::default_agents(&|_| None, today()).unwrap();
    assert_eq!(config.agents.iter().map(|a| a.agent.name.as_str()).collect::<Vec<_>>(), ["claude", "openai"]);
    assert!(config.agents.iter().all(|a| matches!(a.agent.pricing, Pricing::Known(_))));
    assert_eq!((config.default_agent.as_str(), config.results_dir.to_str()), ("claude", Some("./results")));
    assert_eq!((config.money.budget, config.max_concurrent), (None, 10));
    assert!(config.warnings.is_empty());
}

#[test]
fn whose_api_it_is_is_told_by_the_model_and_then_by_the_name() {
    for (agent, expect) in [
        ("claude: {}", "anthropic"),
        ("gpt: {}", "openai"),
        ("claude: {model: gpt-6.1-sol}", "openai"),
        ("x: {model: o3}", "openai"),
        ("x: {model: o4-mini}", "openai"),
        ("openai: {model: llama}", "openai"),
        ("openai: {provider: anthropic}", "anthropic"),
    ] {
        assert_eq!(read(&format!("agents: {{{agent}}}")).agents[0].agent.provider, expect, "{agent}");
    }
    refused(
        "agents:\n  local: {model: o3x}",
        &[
            "sortie.yaml:2:3: neither name nor model of agent `local` tells whose API it is",
            "  hint: set `provider` to `anthropic` or `openai`",
        ],
    );
}

#[test]
fn all_that_is_wrong_is_told_at_once_with_its_place() {
    let text = "agents:\n  claude: {max_tokens: 0, temperature: 1.5, api: chat, fallback: opnai}\n  \
                openai: {enabled: false, rate_limiting: {max_concurrent: 0}}\n  \
                gpt: {price: {input: -1, output: -2}, rate_limiting: {requests_per_minute: 0, max_delay: -1}}\n\
                cost_control: {max_cost_per_session: -1}\nrate_limiting: {initial_delay: .inf}\n\
                timeouts: {connect: 0}\nroutes: {coding: nobody}\ndefault_agent: openai\n\
                criteria: {min_efficiency: 90}\nmonitoring: {log_level: LOUD}\n";
    refused(
        text,
        &[
            "sortie.yaml:2:24: `max_tokens` must be at least 1",
            "sortie.yaml:2:40: `temperature` must be from 0 to 1",
            "sortie.yaml:2:50: this `api` is openai's, agent `claude` is anthropic's",
            "sortie.yaml:2:66: there is no agent `opnai`",
            "  hint: did you mean `openai`?",
            "sortie.yaml:4:24: `input` must be from 0 to 18 million USD per million tokens",
            "sortie.yaml:4:36: `output` must be from 0 to 18 million USD per million tokens",
            "sortie.yaml:4:78: `agents.gpt.rate_limiting.requests_per_minute` must be at least 1",
            "sortie.yaml:4:92: `agents.gpt.rate_limiting.max_delay` must be from 0 to 31536000 seconds",
            "sortie.yaml:5:38: `cost_control.max_cost_per_session` must be more than 0 and at most 18 million USD",
            "sortie.yaml:6:32: `rate_limiting.initial_delay` must be from 0 to 31536000 seconds",
            "sortie.yaml:7:21: `timeouts.connect` must be more than 0 and at most 31536000 seconds",
            "sortie.yaml:8:18: there is no agent `nobody`",
            "sortie.yaml:9:16: the default agent `openai` is disabled",
            "sortie.yaml:10:28: `criteria.min_efficiency` must be from 0 to 1",
            "sortie.yaml:11:25: `monitoring.log_level` must be `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`",
        ],
    );
    refused(
        "agents: {claude: {api: 2026-10-21, temperature: 1}}",
        &["sortie.yaml:1:49: API version 2026-10-21 takes no `temperature`"],
    );
    refused(
        "agents: {openai: {api: responses, max_tokens: 15}}",
        &["sortie.yaml:1:47: the Responses API takes no `max_tokens` below 16"],
    );
    let not_finite = "agents: {claude: {price: {input: 1, output: .nan}}}";
    refused(not_finite, &["sortie.yaml:1:45: `output` must be a number, not `.nan`"]);
    let absurd = |rates: &str, column: u32, rule: &str| {
        let text = format!("agents: {{claude: {{price: {{{rates}}}}}}}");
        refused(&text, &[&format!("sortie.yaml:1:{column}: the price of agent `claude` is absurd: {rule}")]);
    };
    absurd("input: 1, output: 0.09", 45, "output costs less than a tenth of input");
    let read = "reading from a cache costs more than plain input";
    absurd("input: 1, output: 5, cache_read: 1.01", 60, read);
    refused("agents: {claude: {enabled: false}}", &["sortie.yaml:1:1: no agent is enabled"]);
    refused(
        "cost_controll: {}",
        &["sortie.yaml:1:1: unknown field `cost_controll`", "  hint: did you mean `cost_control`?"],
    );
}

#[test]
fn what_does_nothing_yet_says_so() {
    warned(
        "agents: {openai: {max_tokens: 200000}}\nmonitoring: {enable_metrics: true}",
        &[
            "sortie.yaml:1:31: warning: `max_tokens` of 200000 is more than `gpt-6.1-sol` gives: 128000",
            "sortie.yaml:2:14: warning: `monitoring.enable_metrics` is not yet supported",
        ],
    );
    warned(
        "cost_control: {max_cost_per_session: 1, alert_threshold: 2}",
        &["sortie.yaml:1:58: warning: the alert at $2.00 never comes: the budget is $1.00"],
    );
}

#[test]
fn keys_and_passwords_are_never_shown() {
    for text in [
        "agents: {claude: {api_key_env: sk-test-0123456789}}",
        "agents: {claude: {base_url: 'https://me:sk-test-0123456789@h/'}}",
        "agents: {claude: {base_url: 'https://h/?key=sk-test-0123456789'}}",
    ] {
        let problems = read_with(text, &[]).unwrap_err();
        assert!(problems.iter().all(|problem| problem.at.is_none()), "{text}");
        assert!(!problems.to_string().contains("0123456789"), "{text}");
    }
}

#[test]
fn keys_go_in_clear_to_this_machine_alone() {
    for (url, is_fine) in [
        ("http://127.0.0.1:8080", true),
        ("http://localhost/v1", true),
        ("http://[::1]:8080", true),
        ("http://[::1]", true),
        ("https://10.0.0.1:8000/v1", true),
        ("http://10.0.0.1:8000/v1", false),
        ("http://localhost.evil.example", false),
        ("http://127.0.0.1@evil.example", false),
        ("ftp://127.0.0.1", false),
        ("https://", false),
        ("api.openai.com", false),
    ] {
        let env = [("OPENAI_BASE_URL", url)];
        assert_eq!(read_with("agents: {openai: {}}", &env).is_ok(), is_fine, "{url}");
    }
}

#[test]
fn a_regional_host_of_openai_costs_what_its_region_costs() {
    for (url, model, percent) in [
        ("https://api.openai.com/v1", "gpt-6.1-sol", 100),
        ("https://eu.api.openai.com/v1", "gpt-6.1-sol", 110),
        ("https://US.api.openai.com:443/v1", "gpt-6.1-sol", 110),
        ("https://eu.api.openai.com/v1", "gpt-5.1", 100),
        ("https://eviapi.openai.com/v1", "gpt-6.1-sol", 100),
        ("https://.api.openai.com/v1", "gpt-6.1-sol", 100),
        ("https://eu.api.openai.com.example/v1", "gpt-6.1-sol", 100),
        ("http://127.0.0.1:8080/v1", "gpt-6.1-sol", 100),
    ] {
        let config =
            read_with(&format!("agents: {{openai: {{model: {model}}}}}"), &[("OPENAI_BASE_URL", url)]);
        let config = config.unwrap();
        let listed = &price::table().find(model).unwrap().price.standard;
        let Pricing::Known(price) = &config.agents[0].agent.pricing else { panic!("{url}") };
        assert_eq!(price.standard.input, listed.input.percent_rounded_up(percent), "{url}");
        assert_eq!((price.region_percent, price.row.as_deref()), (100, Some(model)), "{url}");
    }
    let stated = "agents: {openai: {price: {input: 1, output: 2}, base_url: 'https://eu.api.openai.com/v1'}}";
    let Pricing::Known(price) = &read(stated).agents[0].agent.pricing else { panic!() };
    assert_eq!(price.standard.input, Usd::from_pico(1_000_000), "a stated price is what it is");
}

#[test]
fn the_command_line_goes_before_the_configuration() {
    let by = Overrides {
        max_cost: Some(Usd::from_pico(1)),
        max_concurrent: Some(2),
        agent_max_cost: std::collections::BTreeMap::new(),
        results_dir: Some("x".into()),
    };
    let config = read("cost_control: {enabled: false, max_cost_per_session: 5}").overridden(by);
    assert_eq!((config.money.budget, config.max_concurrent), (Some(Usd::from_pico(1)), 2));
    assert_eq!(config.results_dir, PathBuf::from("x"));
    let config = read(E5).overridden(Overrides::default());
    assert_eq!(config.money.budget, Usd::from_f64(10.0));
}

#[test]
fn a_budget_of_the_command_line_stops_even_where_the_configuration_only_warns() {
    let warns = "cost_control: {auto_stop_on_limit: false, max_cost_per_session: 10}";
    assert!(!read(warns).money.auto_stop);
    let by = Overrides { max_cost: "0.0001".parse().ok(), ..Overrides::default() };
    assert!(read(warns).overridden(by).money.auto_stop);
}

#[test]
fn the_schema_has_the_founding_document_s_keys() {
    let schema = schema_of::<ConfigFile>();
    for key in ["agents", "cost_control", "rate_limiting", "monitoring"] {
        assert!(schema["properties"][key].is_object(), "{key}");
    }
}

#[test]
fn a_wrong_form_hides_nothing_that_is_wrong_with_the_meaning() {
    refused(
        "rate_limiting: {requests_per_minute: 0, burst: 1}\nroutes: {coding: nobody, b: [x]}\n\
         default_agent: nobody\nmonitoring: {log_level: LOUD}\ncost_control: {alert_threshold: -5}\n\
         timeouts: {idle: 0, connect: soon}\nxyzzy: 1\n",
        &[
            "sortie.yaml:1:38: `rate_limiting.requests_per_minute` must be at least 1",
            "sortie.yaml:1:41: unknown field `burst`",
            "  hint: known here: backoff_strategy, initial_delay, input_tokens_per_minute, max_concurrent, max_delay, max_retries, output_tokens_per_minute, requests_burst, requests_per_minute, retry_on_rate_limit",
            "sortie.yaml:2:18: there is no agent `nobody`",
            "sortie.yaml:2:29: `b` must be text, not a list",
            "sortie.yaml:3:16: there is no agent `nobody`",
            "sortie.yaml:4:25: `monitoring.log_level` must be `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`",
            "sortie.yaml:5:33: `cost_control.alert_threshold` must be from 0 to 18 million USD",
            "sortie.yaml:6:18: `timeouts.idle` must be more than 0 and at most 31536000 seconds",
            "sortie.yaml:6:30: `connect` must be a number, not `soon`",
            "sortie.yaml:7:1: unknown field `xyzzy`",
            "  hint: known here: agents, cost_control, criteria, default_agent, monitoring, rate_limiting, routes, timeouts",
        ],
    );
}

#[test]
fn what_could_not_be_read_is_not_taken_for_absent() {
    refused("agents: 5\ndefault_agent: mine\n", &["sortie.yaml:1:9: `agents` must be a map, not `5`"]);
    refused(
        "agents: {mine: {provider: opnai, max_tokens: x}}\nroutes: {coding: mine}\n",
        &[
            "sortie.yaml:1:27: `provider` must be `anthropic` or `openai`, not `opnai`",
            "  hint: did you mean `openai`?",
            "sortie.yaml:1:46: `max_tokens` must be a whole number from 0 to 4294967295, not `x`",
        ],
    );
    refused("agents: {mine: 5}\n", &["sortie.yaml:1:16: `mine` must be a map, not `5`"]);
}

#[test]
fn a_configuration_of_nothing_is_the_defaults() {
    for text in ["", "\n", "# Nothing yet.\n", "---\n"] {
        assert_eq!(
            effects(read(text)),
            effects(Config::default_agents(&|_| None, today()).unwrap()),
            "{text:?}"
        );
    }
}
