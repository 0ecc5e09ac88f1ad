//! Asks providers for the answers of lost attempts, where the configuration has them kept (`recover_lost`).
//!
//! A question costs nothing. One that fails leaves its attempt at risk, as does an answer that is not there: it may
//! be kept only some time after its call has ended, so each resume asks again for what is still lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sortie_core::agent::AgentId;
use sortie_core::call::Returned;
use sortie_core::failure::{Class, Failure};
use sortie_core::plan::OutputSchema;
use sortie_core::run::Run;
use sortie_core::run::event::{AttemptId, Timing};
use sortie_core::run::input::{Billing, Found};
use sortie_engine::store::{Header, Output};
use sortie_providers::dialect::Decoded;
use sortie_providers::http::Client;
use sortie_providers::keys::Environment;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::binding::{Binding, endpoint_of};
use crate::caller::{attributed, checked};
use crate::error::{Error, Setup};

/// Questions under way at a time.
const AT_ONCE: usize = 4;
/// How long an answer may take.
const WITHIN: Duration = Duration::from_secs(10);
/// How long all of them may take: what is not told by then stays at risk, and the next resume asks again.
const ALTOGETHER: Duration = Duration::from_secs(60);

/// What came of asking for lost answers.
#[derive(Debug, Default)]
pub struct Recovery {
    /// Attempts that were asked for, or could not be.
    pub lost: usize,
    /// Of these, those that were found.
    pub found: usize,
    /// Why the first of the others could not be asked for; none where they all were, and are not there (yet).
    pub failure: Option<Failure>,
    /// What has to be set up before an agent can be asked.
    pub missing: Vec<Setup>,
}

impl Recovery {
    /// Why some could not even be asked for.
    pub fn why_not(&self) -> Option<String> {
        let failure = self.failure.as_ref().map(ToString::to_string);
        failure.or_else(|| self.missing.first().map(ToString::to_string))
    }
}

/// What begins the names of a run's attempts at providers. Runs of one name are born at different times, here or
/// elsewhere with the same key.
pub(crate) fn prefix(header: &Header) -> String {
    format!("{}/{}", header.run_id, header.created.micros())
}

/// The name by which the answer of an attempt is kept: below 512 characters, which is what metadata may have.
pub(crate) fn name(prefix: &str, attempt: AttemptId) -> String {
    format!("{prefix}/{}/{}", attempt.task.0, attempt.number)
}

/// The lost attempts of a run that its providers may have kept.
pub(crate) fn may_be_kept<'a>(run: &'a Run, binding: &'a Binding) -> impl Iterator<Item = AttemptId> + 'a {
    run.recoverable().into_iter().filter(|attempt| binding.keeps_answers(run.plan().asked(*attempt)))
}

/// Asks for what a run has lost: what came of it, what was found, and its texts.
pub(crate) async fn ask(
    header: &Header,
    run: &Run,
    binding: &Binding,
    environment: &Environment,
) -> Result<(Recovery, Vec<Found>, Vec<Output>), Error> {
    let (mut recovery, mut found, mut texts) = (Recovery::default(), Vec::new(), Vec::new());
    let lost: Vec<AttemptId> = may_be_kept(run, binding).collect();
    recovery.lost = lost.len();
    if lost.is_empty() {
        return Ok((recovery, found, texts));
    }
    let client = Client::new(WITHIN)?;
    let prefix = prefix(header);
    let mut endpoints = BTreeMap::new();
    for agent in lost.iter().map(|attempt| run.plan().asked(*attempt)).collect::<BTreeSet<_>>() {
        match endpoint_of(run.plan().agent(agent), &binding.endpoints[agent.index()], environment) {
            Ok(endpoint) => drop(endpoints.insert(agent, endpoint)),
            Err(setup) => recovery.missing.push(setup),
        }
    }
    let of = |attempt| {
        let agent = run.plan().asked(attempt);
        endpoints.contains_key(&agent).then_some((attempt, agent))
    };
    let question = |attempt, agent: AgentId| {
        let (client, endpoint) = (client.clone(), endpoints[&agent].clone());
        let name = name(&prefix, attempt);
        async move { client.kept(&endpoint, &name, WITHIN).await }
    };
    let heard = |attempt: AttemptId, kept| match kept {
        Ok(Some(decoded)) => {
            let prompt = header.prompts.get(attempt.task.index());
            let output = prompt.and_then(|prompt| prompt.output.as_ref());
            if let Some((one, text)) = taken(attempt, decoded, run, output) {
                found.push(one);
                texts.extend(text);
            }
        }
        // It is not there, or not yet.
        Ok(None) => {}
        Err(failure) => drop(recovery.failure.get_or_insert(failure)),
    };
    if !ask_all(lost.into_iter().filter_map(of), question, heard).await {
        let late = format!("not all were told within {} s", ALTOGETHER.as_secs());
        recovery.failure.get_or_insert_with(|| Failure::new(Class::Timeout, late));
    }
    recovery.found = found.len();
    // The order in which answers come decides nothing.
    found.sort_by_key(|found| found.attempt);
    Ok((recovery, found, texts))
}

/// Asks all of these, a few at a time, and hands on what each came to. Of an agent that does not answer in time, or
/// cannot be reached, no more are asked: whoever waits for his run waits for each of them. Whether it was done
/// in time.
#[expect(clippy::disallowed_methods, reason = "no run is driven yet: only its user waits for this")]
async fn ask_all<T: Send + 'static, F>(
    lost: impl Iterator<Item = (AttemptId, AgentId)>,
    question: impl Fn(AttemptId, AgentId) -> F,
    mut heard: impl FnMut(AttemptId, Result<T, Failure>),
) -> bool
where
    F: Future<Output = Result<T, Failure>> + Send + 'static,
{
    let mut waiting = lost;
    let (mut asking, mut silent) = (JoinSet::new(), BTreeSet::new());
    let all = async {
        loop {
            while asking.len() < AT_ONCE
                && let Some((attempt, agent)) = waiting.find(|(_, agent)| !silent.contains(agent))
            {
                let question = question(attempt, agent);
                asking.spawn(async move { (attempt, agent, question.await) });
            }
            match asking.join_next().await {
                Some(Ok((attempt, agent, kept))) => {
                    if let Err(Failure { class: Class::Timeout | Class::Network, .. }) = &kept {
                        silent.insert(agent);
                    }
                    heard(attempt, kept);
                }
                // A question that was dropped found nothing.
                Some(Err(_)) => {}
                None => break,
            }
        }
    };
    timeout(ALTOGETHER, all).await.is_ok()
}

/// What was found, in the run's words, and its text where it is an answer; none where it does not say what it used.
fn taken(
    attempt: AttemptId,
    decoded: Decoded,
    run: &Run,
    output: Option<&OutputSchema>,
) -> Option<(Found, Option<Output>)> {
    let usage = decoded.usage?;
    let agent = run.plan().agent_asked(attempt);
    let (billing, timing) = (Billing::Reported(usage), Timing::default());
    let returned = Returned { result: decoded.result, billing, timing };
    let returned = checked(attributed(returned, agent), output);
    let (answer, wrong, model, text) = match returned.result {
        Ok(text) => {
            let (answer, output) = text.into_answer(None);
            let model = Arc::clone(&answer.model);
            (Some(answer), None, model, Some(output))
        }
        Err(failure) => {
            let wrong = (failure.class == Class::InvalidOutput).then(|| failure.message.into());
            (None, wrong, failure.model.unwrap_or_else(|| agent.model.clone()).into(), None)
        }
    };
    Some((Found { attempt, answer, wrong, usage, model }, text))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "on a clock that stands still until all wait")]
mod tests {
    use std::future::pending;

    use sortie_core::plan::TaskId;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn of_an_agent_that_does_not_answer_no_more_are_asked() {
        // The first agent hangs, the second answers.
        let lost = (0..24).map(|n| (AttemptId::new(TaskId(n), 1), AgentId(u16::from(n % 2 == 1))));
        let question = |_, agent| async move {
            if agent == AgentId(0) {
                // As long as a question may take.
                let _ = timeout(WITHIN, pending::<()>()).await;
                return Err(Failure::new(Class::Timeout, "no answer"));
            }
            Ok(())
        };
        let (mut told, mut late) = (0, 0);
        let heard = |_, kept: Result<(), _>| if kept.is_ok() { told += 1 } else { late += 1 };
        let asked = timeout(WITHIN * 3 / 2, ask_all(lost, question, heard)).await;
        assert_eq!((asked, told), (Ok(true), 12));
        assert!(late <= AT_ONCE, "{late} questions were asked of who does not answer");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_answers_for_ever() {
        let lost = (0..500).map(|n| (AttemptId::new(TaskId(n), 1), AgentId(0)));
        let question = |_, _| async {
            let _ = timeout(WITHIN / 2, pending::<()>()).await;
            Ok(())
        };
        let mut told = 0;
        let asked = timeout(ALTOGETHER * 2, ask_all(lost, question, |_, _| told += 1)).await;
        assert_eq!(asked, Ok(false));
        assert!(told >= AT_ONCE);
    }
}
