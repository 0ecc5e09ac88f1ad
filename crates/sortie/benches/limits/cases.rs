//! The cases.

use super::case::{Case, Sizes, Target};
use super::figures::Load;

const KNOWN: Target = Target { refused: 0.0, times_ideal: 1.03, used: 0.0 };
const TOLD: Target = Target { refused: 0.01, times_ideal: f64::INFINITY, used: 0.95 };
const UNTOLD: Target = Target { refused: 0.03, times_ideal: f64::INFINITY, used: 0.90 };
/// At five a minute the first ten, which start together, are a good part of all.
const SLOW: Target = Target { refused: 0.06, times_ideal: f64::INFINITY, used: 0.85 };
const ANY: Target = Target { refused: 0.05, times_ideal: f64::INFINITY, used: 0.0 };

/// 200 ms answers on this machine.
macro_rules! scenario {
    ($($more:literal),*) => {
        concat!(
            "latency: { total: { seconds: { fixed: 0.2 }, first_token: { fixed: 0.05 } } }\nnetwork_ms: { min: 1, max: 3 }\noutput_tokens: { fixed: 20 }\n",
            $($more),*
        )
    };
}

/// Answers that take their time, as SPEC.md M has it.
macro_rules! slow {
    ($more:literal) => {
        concat!(
            "latency: { total: { seconds: { lognormal: { mean: 4, sigma: 0.35, min: 2, max: 10 } }, first_token: { fixed: 0.5 } } }\n",
            $more
        )
    };
}

const PLAIN: Case = Case {
    name: "",
    tasks: 2_400,
    first_prompt: "",
    agents: &[("claude", "claude-sonnet-5-5")],
    sizes: Sizes::Even(4),
    pause_s: None,
    max_tokens: 100,
    limits: "{ max_concurrent: 64 }",
    scenario: scenario!(),
    ideal_s: None,
    load: None,
    target: ANY,
};

/// Requests a minute after the first one, of 600.
const REQUESTS: Option<Load> =
    Some(Load::Requests { per_minute: 600.0, from_s: 60.0, until_s: f64::INFINITY });

/// The same of fifty, which is what the configuration is shipped with.
const FIFTY: Option<Load> = Some(Load::Requests { per_minute: 50.0, from_s: 10.0, until_s: f64::INFINITY });

const OPENAI: &[(&str, &str)] = &[("gpt", "gpt-6.1-sol")];

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "known limit, bucket 10 of 600/min, 16 wide",
        limits: "{ requests_per_minute: 600, requests_burst: 10, max_concurrent: 16 }",
        scenario: scenario!("requests_per_minute: 600\nrequests_burst: 10\n"),
        tasks: 1_200,
        ideal_s: Some(119.2),
        target: KNOWN,
        ..PLAIN
    },
    Case {
        name: "known limit, bucket 10 of 600/min, 64 wide",
        limits: "{ requests_per_minute: 600, requests_burst: 10, max_concurrent: 64 }",
        scenario: scenario!("requests_per_minute: 600\nrequests_burst: 10\n"),
        tasks: 1_200,
        ideal_s: Some(119.2),
        target: KNOWN,
        ..PLAIN
    },
    Case {
        name: "known limit, bucket 600 of 600/min, 16 wide",
        limits: "{ requests_per_minute: 600, requests_burst: 600, max_concurrent: 16 }",
        scenario: scenario!("requests_per_minute: 600\nrequests_burst: 600\n"),
        tasks: 1_200,
        ideal_s: Some(60.2),
        target: KNOWN,
        ..PLAIN
    },
    Case {
        name: "known limit, bucket 600 of 600/min, 64 wide",
        limits: "{ requests_per_minute: 600, requests_burst: 600, max_concurrent: 64 }",
        scenario: scenario!("requests_per_minute: 600\nrequests_burst: 600\n"),
        tasks: 1_200,
        ideal_s: Some(60.2),
        target: KNOWN,
        ..PLAIN
    },
    Case {
        name: "told by headers, bucket 10 of 600/min, 64 wide",
        scenario: scenario!("requests_per_minute: 600\nrequests_burst: 10\n"),
        load: REQUESTS,
        target: TOLD,
        ..PLAIN
    },
    Case {
        name: "told by headers, bucket 600 of 600/min, 64 wide",
        scenario: scenario!("requests_per_minute: 600\nrequests_burst: 600\n"),
        load: REQUESTS,
        target: TOLD,
        ..PLAIN
    },
    Case {
        name: "told by headers, bucket 10, answers of 4 s, far away",
        scenario: slow!(
            "network_ms: { min: 100, max: 500 }\noutput_tokens: { fixed: 20 }\nrequests_per_minute: 600\nrequests_burst: 10\n"
        ),
        load: REQUESTS,
        target: TOLD,
        ..PLAIN
    },
    Case {
        name: "no headers, bucket 10 of 600/min, 64 wide",
        scenario: scenario!("requests_per_minute: 600\nrequests_burst: 10\nlimit_headers: absent\n"),
        load: REQUESTS,
        target: UNTOLD,
        ..PLAIN
    },
    Case {
        name: "no headers, bucket 600 of 600/min, 64 wide",
        scenario: scenario!("requests_per_minute: 600\nrequests_burst: 600\nlimit_headers: absent\n"),
        load: REQUESTS,
        target: UNTOLD,
        ..PLAIN
    },
    Case {
        name: "no headers, bucket 1 of 50/min, 64 wide",
        scenario: scenario!("requests_per_minute: 50\nrequests_burst: 1\nlimit_headers: absent\n"),
        tasks: 1_000,
        load: Some(Load::Requests { per_minute: 50.0, from_s: 60.0, until_s: f64::INFINITY }),
        target: UNTOLD,
        ..PLAIN
    },
    Case {
        name: "known limit, bucket 1 of 50/min, as shipped",
        limits: "{ requests_per_minute: 50, max_concurrent: 10 }",
        scenario: scenario!("requests_per_minute: 50\nrequests_burst: 1\n"),
        tasks: 300,
        ideal_s: Some(359.0),
        load: FIFTY,
        target: Target { used: 0.90, ..KNOWN },
        ..PLAIN
    },
    Case {
        name: "no headers, bucket 1 of 5/min, 64 wide",
        scenario: scenario!("requests_per_minute: 5\nrequests_burst: 1\nlimit_headers: absent\n"),
        tasks: 400,
        load: Some(Load::Requests { per_minute: 5.0, from_s: 180.0, until_s: f64::INFINITY }),
        target: SLOW,
        ..PLAIN
    },
    Case {
        name: "no headers, bucket 10, quiet for 30 s in the middle",
        agents: &[("claude", "claude-sonnet-5-5"), ("slow", "claude-haiku-5-5")],
        pause_s: Some(30),
        scenario: scenario!("requests_per_minute: 600\nrequests_burst: 10\nlimit_headers: absent\n"),
        // The second half begins after two and a half minutes.
        load: Some(Load::Requests { per_minute: 600.0, from_s: 160.0, until_s: 260.0 }),
        target: UNTOLD,
        ..PLAIN
    },
    Case {
        name: "no headers, no retry-after, bucket 10, 64 wide",
        scenario: scenario!(
            "requests_per_minute: 600\nrequests_burst: 10\nlimit_headers: absent\nretry_after: absent\n"
        ),
        load: REQUESTS,
        target: UNTOLD,
        ..PLAIN
    },
    Case {
        name: "headers of zero, bucket 10 of 600/min, 64 wide",
        scenario: scenario!("requests_per_minute: 600\nrequests_burst: 10\nlimit_headers: zero\n"),
        load: REQUESTS,
        target: UNTOLD,
        ..PLAIN
    },
    Case {
        name: "headers rounded to thousands, bucket 10, 64 wide",
        scenario: scenario!("requests_per_minute: 600\nrequests_burst: 10\nlimit_headers: rounded\n"),
        load: REQUESTS,
        target: UNTOLD,
        ..PLAIN
    },
    Case {
        name: "told, halved at 120 s: from 10 s after",
        scenario: scenario!(
            "requests_per_minute: 600\nrequests_burst: 10\nquota_changes: [{ from_s: 120, times: 0.5 }]\n"
        ),
        load: Some(Load::Requests { per_minute: 300.0, from_s: 130.0, until_s: 230.0 }),
        target: TOLD,
        ..PLAIN
    },
    Case {
        name: "no headers, halved at 120 s: from 10 s after",
        scenario: scenario!(
            "requests_per_minute: 600\nrequests_burst: 10\nlimit_headers: absent\nquota_changes: [{ from_s: 120, times: 0.5 }]\n"
        ),
        load: Some(Load::Requests { per_minute: 300.0, from_s: 130.0, until_s: 230.0 }),
        target: UNTOLD,
        ..PLAIN
    },
    Case {
        name: "told, doubled at 120 s: from 60 s after",
        tasks: 4_000,
        scenario: scenario!(
            "requests_per_minute: 600\nrequests_burst: 10\nquota_changes: [{ from_s: 120, times: 2 }]\n"
        ),
        load: Some(Load::Requests { per_minute: 1200.0, from_s: 180.0, until_s: 240.0 }),
        target: TOLD,
        ..PLAIN
    },
    Case {
        name: "no headers, doubled at 120 s: from 60 s after",
        tasks: 4_000,
        scenario: scenario!(
            "requests_per_minute: 600\nrequests_burst: 10\nlimit_headers: absent\nquota_changes: [{ from_s: 120, times: 2 }]\n"
        ),
        load: Some(Load::Requests { per_minute: 1200.0, from_s: 180.0, until_s: 240.0 }),
        target: UNTOLD,
        ..PLAIN
    },
    Case {
        name: "bound by input tokens",
        sizes: Sizes::Even(400),
        tasks: 600,
        scenario: scenario!("requests_per_minute: 1000\ninput_tokens_per_minute: 60000\n"),
        load: Some(Load::InputTokens { per_minute: 60_000.0 }),
        target: TOLD,
        ..PLAIN
    },
    Case {
        name: "bound by input tokens, lognormal sizes",
        sizes: Sizes::Lognormal { mean: 600.0, sigma: 0.8 },
        tasks: 600,
        scenario: scenario!("requests_per_minute: 1000\ninput_tokens_per_minute: 60000\n"),
        load: Some(Load::InputTokens { per_minute: 60_000.0 }),
        target: TOLD,
        ..PLAIN
    },
    Case {
        name: "told by headers, two models of one class",
        agents: &[("one", "claude-opus-4-8"), ("other", "claude-opus-4-7")],
        scenario: scenario!("requests_per_minute: 600\nrequests_burst: 10\n"),
        load: REQUESTS,
        target: TOLD,
        ..PLAIN
    },
    Case {
        name: "OpenAI: told by headers, bucket 10 of 600/min, 64 wide",
        agents: OPENAI,
        scenario: scenario!("requests_per_minute: 600\nrequests_burst: 10\n"),
        load: REQUESTS,
        target: TOLD,
        ..PLAIN
    },
    Case {
        name: "OpenAI: bound by tokens of both kinds, lognormal sizes",
        agents: OPENAI,
        sizes: Sizes::Lognormal { mean: 300.0, sigma: 0.8 },
        max_tokens: 200,
        tasks: 800,
        scenario: scenario!("requests_per_minute: 1000\ntokens_per_minute: 60000\n"),
        load: Some(Load::Tokens { per_minute: 60_000.0, max_tokens: 200.0 }),
        target: TOLD,
        ..PLAIN
    },
    Case {
        name: "bound by output tokens, counted as produced",
        max_tokens: 1500,
        tasks: 400,
        scenario: slow!(
            "network_ms: { min: 20, max: 120 }\noutput_tokens: { lognormal: { mean: 400, sigma: 0.5, min: 16, max: 1500 } }\nrequests_per_minute: 1000\noutput_tokens_per_minute: 40000\n"
        ),
        load: Some(Load::OutputTokens { per_minute: 40_000.0 }),
        target: TOLD,
        ..PLAIN
    },
    Case {
        name: "bound by output tokens, charged from max_tokens",
        max_tokens: 1500,
        tasks: 400,
        scenario: slow!(
            "network_ms: { min: 20, max: 120 }\noutput_tokens: { lognormal: { mean: 400, sigma: 0.5, min: 16, max: 1500 } }\nrequests_per_minute: 1000\noutput_tokens_per_minute: 40000\notpm: max_tokens_up_front\n"
        ),
        load: Some(Load::OutputTokens { per_minute: 40_000.0 }),
        target: TOLD,
        ..PLAIN
    },
    Case {
        name: "bound by output tokens, sizes and input mixed",
        max_tokens: 1500,
        sizes: Sizes::Lognormal { mean: 300.0, sigma: 0.8 },
        tasks: 400,
        scenario: slow!(
            "network_ms: { min: 20, max: 120 }\noutput_tokens: { lognormal: { mean: 400, sigma: 0.8, min: 16, max: 1500 } }\nrequests_per_minute: 1000\ninput_tokens_per_minute: 60000\noutput_tokens_per_minute: 40000\n"
        ),
        load: Some(Load::OutputTokens { per_minute: 40_000.0 }),
        target: TOLD,
        ..PLAIN
    },
    Case {
        name: "the first answer is 429 with retry-after: 89",
        tasks: 1_200,
        first_prompt: "[[sim fail=429 retry_after=89]]",
        scenario: scenario!("requests_per_minute: 600\nrequests_burst: 600\n"),
        // The bucket is full when the gate opens.
        ideal_s: Some(89.0 + 60.2),
        target: Target { times_ideal: 1.03, ..ANY },
        ..PLAIN
    },
];
