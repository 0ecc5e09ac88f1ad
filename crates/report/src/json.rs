//! `summary.json`: the figures for programs.

use crate::fold::Report;
use crate::format::Format;

pub(crate) struct Json;

impl Format for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn file(&self) -> &'static str {
        "summary.json"
    }

    fn render(&self, report: &Report) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(&report.summary)
            .expect("a summary has only string keys and writes to memory");
        bytes.push(b'\n');
        bytes
    }
}
