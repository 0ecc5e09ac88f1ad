//! The official SDKs of Anthropic and OpenAI, unmodified, against the simulator: whatever they make
//! of a reply of the provider's, they have to make of ours.
//!
//! Each test installs one pinned SDK (into the build directory, once), starts a simulator of its own,
//! lets a script do the cases of that provider's table, and compares what the SDK made of them, how
//! many requests the simulator saw, and how long the SDK waited at least. Needs `python3` with venv,
//! and `node` with npm; `SORTIE_NO_SDK=1` skips it all.
//!
//! # Adding a case
//! One row in `anthropic.rs`, `openai.rs` or `openai/faults.rs`; a verb more in the scripts where none
//! does it yet.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod anthropic;
mod install;
mod openai;
mod play;
mod table;

use install::{Python, Runtime};
use table::{Column, Row};

/// One SDK: how to get it, its provider's cases, and its column in their table.
struct Sdk {
    runtime: Runtime,
    cases: Cases,
    column: Column,
}

/// What the SDKs of one provider have to do.
struct Cases {
    /// The scripts' name, without its ending.
    script: &'static str,
    rows: fn() -> Vec<Row>,
    /// Rows that the simulator cannot do yet.
    pending: &'static [&'static str],
}

const ANTHROPIC: Cases =
    Cases { script: "anthropic_cases", rows: anthropic::rows, pending: anthropic::PENDING };
const OPENAI: Cases = Cases { script: "openai_cases", rows: openai::rows, pending: openai::PENDING };

/// Set to skip these tests on a machine without Python or Node.
const SKIP: &str = "SORTIE_NO_SDK";

async fn check(sdk: Sdk) {
    #[expect(clippy::disallowed_methods, reason = "a switch for whoever runs the tests")]
    let is_skipped = std::env::var(SKIP).is_ok_and(|value| value == "1");
    if is_skipped {
        return;
    }
    let installed = install::installed(&sdk.runtime)
        .unwrap_or_else(|error| panic!("failed to install the SDK ({SKIP}=1 skips this): {error}"));
    let mut rows = (sdk.cases.rows)();
    rows.retain(|row| row.is_for(sdk.column));
    let played = play::play(&installed, sdk.cases.script, &rows).await;
    let report = table::compare(&rows, sdk.cases.pending, sdk.column, &played);
    assert!(report.is_empty(), "{}", report.join("\n"));
}

macro_rules! python {
    ($name:literal) => {
        Runtime::Python(Python {
            name: $name,
            requirements: include_str!(concat!("requirements/", $name, ".txt")),
        })
    };
}

#[tokio::test]
async fn anthropic_python_0_125_0() {
    check(Sdk { runtime: python!("anthropic-0.125.0"), cases: ANTHROPIC, column: anthropic::PYTHON_0 }).await;
}

#[tokio::test]
async fn anthropic_python_1_17_0() {
    check(Sdk { runtime: python!("anthropic-1.17.0"), cases: ANTHROPIC, column: anthropic::PYTHON_1 }).await;
}

#[tokio::test]
async fn anthropic_python_2_12_0() {
    check(Sdk { runtime: python!("anthropic-2.12.0"), cases: ANTHROPIC, column: anthropic::PYTHON_2 }).await;
}

#[tokio::test]
async fn anthropic_javascript_1_12_0() {
    check(Sdk { runtime: Runtime::Node, cases: ANTHROPIC, column: anthropic::JAVASCRIPT }).await;
}

#[tokio::test]
async fn openai_python_1_109_1() {
    check(Sdk { runtime: python!("openai-1.109.1"), cases: OPENAI, column: openai::PYTHON_1 }).await;
}

#[tokio::test]
async fn openai_python_2_54_0() {
    check(Sdk { runtime: python!("openai-2.54.0"), cases: OPENAI, column: openai::PYTHON_2 }).await;
}

#[tokio::test]
async fn openai_python_3_54_0() {
    check(Sdk { runtime: python!("openai-3.54.0"), cases: OPENAI, column: openai::PYTHON_3 }).await;
}

#[tokio::test]
async fn openai_javascript_6_49_0() {
    check(Sdk { runtime: Runtime::Node, cases: OPENAI, column: openai::JAVASCRIPT }).await;
}
