//! Asks the provider how many tokens prompts have, where the configuration says so. It costs nothing, but
//! each question is a request, and the provider limits how many there may be in a minute.
//!
//! Nothing is asked twice: a question that fails leaves its tasks to the bound of their bytes, and one
//! that says that others would fail too ends it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sortie_core::agent::AgentId;
use sortie_core::failure::{Class, Failure};
use sortie_core::plan::TaskId;
use sortie_engine::store::Header;
use sortie_providers::dialect::Request;
use sortie_providers::http::{Client, Endpoint};
use sortie_providers::keys::Environment;
use tokio::task::JoinSet;

use super::pieces;
use crate::binding::{Binding, endpoint_of};
use crate::config::written::Provider;
use crate::error::{Error, Setup};

/// Questions of a run, at most: about what the lowest tier of Anthropic's limits allows in ten minutes
/// (100 a minute), and the highest in some seconds.
const MOST_QUESTIONS: usize = 1_000;
/// Questions under way at a time.
const AT_ONCE: usize = 8;
/// How long an answer may take.
const WITHIN: Duration = Duration::from_secs(10);

/// What the provider will be asked before a run.
#[derive(Debug)]
pub struct Questions {
    list: Vec<Question>,
    /// Tasks that nobody is asked about, because there are too many.
    pub left_out: usize,
    /// What has to be set up before an agent can be asked about.
    pub missing: Vec<Setup>,
}

/// One distinct prompt.
#[derive(Debug)]
struct Question {
    endpoint: Endpoint,
    request: Request,
    tasks: Vec<Asked>,
}

/// A task that a question is about.
#[derive(Clone, Copy, Debug)]
struct Asked {
    id: TaskId,
    /// Bytes of its text that the question leaves out, because results stand beside them.
    rest: u64,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Answered {
    /// Tasks whose prompts were counted.
    pub counted: usize,
    /// Tasks whose prompts were not.
    pub uncounted: usize,
    /// Why the first of these was not, where it was asked about.
    pub failure: Option<Failure>,
}

impl Questions {
    /// What is to be asked about this run: of each agent that is configured so, each distinct prompt.
    ///
    /// # Errors
    /// Where the run does not say how its agents are reached.
    pub fn of(header: &Header, environment: &Environment) -> Result<Self, Error> {
        let binding = Binding::of(header)?;
        let mut questions = Questions { list: Vec::new(), left_out: 0, missing: Vec::new() };
        if binding.simulation.is_some() {
            return Ok(questions);
        }
        let plan = &header.plan;
        let mut reached: HashMap<AgentId, Option<Endpoint>> = HashMap::new();
        let mut places: HashMap<(AgentId, Option<&str>, String), usize> = HashMap::new();
        for ((id, task), prompt) in plan.ids().zip(plan.tasks()).zip(header.prompts.iter()) {
            let Some(configured) = binding.endpoints.get(task.agent.index()) else { continue };
            let is_asked =
                configured.provider == Provider::Anthropic && configured.count_tokens == Some(true);
            let is_known = task.prompt.fixed_tokens.is_some();
            if !is_asked || is_known || task.invalid.is_some() {
                continue;
            }
            let agent = plan.agent(task.agent);
            let endpoint = reached.entry(task.agent).or_insert_with(|| {
                endpoint_of(agent, configured, environment)
                    .map_err(|setup| questions.missing.push(setup))
                    .ok()
            });
            let (pieces, rest) = pieces(prompt);
            let (text, asked) = (pieces.concat(), Asked { id, rest });
            if text.trim().is_empty() {
                // The API takes no message without text, and there is nothing in it to count.
                continue;
            }
            let system = prompt.system.as_deref().or(configured.system.as_deref());
            let key = (task.agent, system, text);
            match (places.get(&key), endpoint) {
                (Some(&place), _) => questions.list[place].tasks.push(asked),
                (None, Some(endpoint)) if questions.list.len() < MOST_QUESTIONS => {
                    let request = Request {
                        model: agent.model.clone(),
                        system: system.map(str::to_owned),
                        prompt: key.2.clone(),
                        ..Request::default()
                    };
                    questions.list.push(Question { endpoint: endpoint.clone(), request, tasks: vec![asked] });
                    places.insert(key, questions.list.len() - 1);
                }
                (None, _) => questions.left_out += 1,
            }
        }
        Ok(questions)
    }

    /// How many requests it takes.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is nothing to ask.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Asks, and takes the answers into the plan.
    ///
    /// # Errors
    /// Where the HTTP client cannot be made.
    pub async fn ask(self, header: &mut Header) -> Result<Answered, Error> {
        let connect = header.plan.agents().iter().map(|agent| agent.timeouts.connect).max();
        let client = Client::new(connect.unwrap_or(WITHIN))?;
        let mut counts = vec![None; header.plan.len()];
        let mut answered = Answered { uncounted: self.left_out, ..Answered::default() };
        let mut waiting = self.list.into_iter();
        let mut asking = JoinSet::new();
        loop {
            while asking.len() < AT_ONCE && answered.goes_on() {
                let Some(Question { endpoint, request, tasks }) = waiting.next() else { break };
                let client = client.clone();
                asking.spawn(async move { (client.count_tokens(&endpoint, &request, WITHIN).await, tasks) });
            }
            match asking.join_next().await {
                Some(Ok((result, tasks))) => answered.take(result, &tasks, &mut counts),
                // A question that was dropped counted nothing.
                Some(Err(_)) => {}
                None => break,
            }
        }
        answered.uncounted += waiting.map(|question| question.tasks.len()).sum::<usize>();
        Arc::make_mut(&mut header.plan).count_tokens(counts);
        Ok(answered)
    }
}

impl Answered {
    /// Whether there is a point in asking more: a question that can never be answered says nothing of
    /// the others, everything else does.
    fn goes_on(&self) -> bool {
        self.failure.as_ref().is_none_or(|failure| failure.class == Class::Invalid)
    }

    fn take(&mut self, result: Result<u64, Failure>, tasks: &[Asked], counts: &mut [Option<u64>]) {
        match result {
            Ok(count) => {
                self.counted += tasks.len();
                for &Asked { id, rest } in tasks {
                    counts[id.index()] = Some(bound_of(count).saturating_add(rest));
                }
            }
            Err(failure) => {
                self.uncounted += tasks.len();
                // The one that ended it tells more than one that did not.
                if self.goes_on() {
                    self.failure = Some(failure);
                }
            }
        }
    }
}

/// What a count bounds. Anthropic calls its count an estimate from which the actual number "may differ by
/// a small amount" (its guide "Token counting") and names none; a twentieth, and 16 at least, is ours.
fn bound_of(count: u64) -> u64 {
    count.saturating_add((count / 20 + 1).max(16))
}
