//! Asks providers for the answers of lost attempts, where the configuration has them kept (`recover_lost`).
//!
//! A question costs nothing. One that fails leaves its attempt at risk, as does an answer that is not there: it may
//! be kept only some time after its call has ended, so each resume asks again for what is still lost.

use std::sync::Arc;
use std::time::Duration;

use sortie_core::call::Returned;
use sortie_core::failure::Failure;
use sortie_core::plan::OutputSchema;
use sortie_core::run::Run;
use sortie_core::run::event::{AttemptId, Timing};
use sortie_core::run::input::{Billing, Found};
use sortie_engine::store::{Header, Output};
use sortie_providers::dialect::Decoded;
use sortie_providers::http::Client;
use sortie_providers::keys::Environment;
use tokio::task::JoinSet;

use crate::binding::{Binding, endpoint_of};
use crate::caller::{attributed, checked};
use crate::error::{Error, Setup};

/// Questions under way at a time.
const AT_ONCE: usize = 4;
/// How long an answer may take.
const WITHIN: Duration = Duration::from_secs(10);

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
fn may_be_kept<'a>(run: &'a Run, binding: &'a Binding) -> impl Iterator<Item = AttemptId> + 'a {
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
    let mut waiting = lost.into_iter();
    let mut asking = JoinSet::new();
    loop {
        while asking.len() < AT_ONCE
            && let Some(attempt) = waiting.next()
        {
            let asked = run.plan().asked(attempt);
            match endpoint_of(run.plan().agent(asked), &binding.endpoints[asked.index()], environment) {
                Ok(endpoint) => {
                    let (client, name) = (client.clone(), name(&prefix, attempt));
                    asking.spawn(async move { (attempt, client.kept(&endpoint, &name, WITHIN).await) });
                }
                Err(setup) => recovery.missing.push(setup),
            }
        }
        match asking.join_next().await {
            Some(Ok((attempt, Ok(Some(decoded))))) => {
                let prompt = header.prompts.get(attempt.task.index());
                let output = prompt.and_then(|prompt| prompt.output.as_ref());
                if let Some((one, text)) = taken(attempt, decoded, run, output) {
                    found.push(one);
                    texts.extend(text);
                }
            }
            Some(Ok((_, Err(failure)))) => {
                recovery.failure.get_or_insert(failure);
            }
            // It is not there, or not yet; a question that was dropped found nothing.
            Some(Ok((_, Ok(None))) | Err(_)) => {}
            None => break,
        }
    }
    recovery.found = found.len();
    // The order in which answers come decides nothing.
    found.sort_by_key(|found| found.attempt);
    Ok((recovery, found, texts))
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
    let (answer, model, text) = match returned.result {
        Ok(text) => {
            let (answer, output) = text.into_answer(None);
            let model = Arc::clone(&answer.model);
            (Some(answer), model, Some(output))
        }
        Err(failure) => (None, failure.model.unwrap_or_else(|| agent.model.clone()).into(), None),
    };
    Some((Found { attempt, answer, usage, model }, text))
}
