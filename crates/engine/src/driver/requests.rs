//! What was asked: prompts rendered, requests told apart by their hashes, and answers of earlier runs found by these.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use sortie_core::call::Call;
use sortie_core::failure::{Class, Failure};
use sortie_core::hash::Hash;
use sortie_core::plan::{TaskId, corrected};
use sortie_core::run::event::{Answer, AttemptId};
use sortie_core::run::input::{Input, Recalled};

use super::Observe;
use super::round::Driver;
use crate::executor::Executor;
use crate::store::{Store, StoreError};

impl<S: Store, E: Executor, O: Observe> Driver<'_, S, E, O> {
    /// Looks whether these tasks' requests were answered before.
    pub(super) async fn look_up(&mut self, tasks: Vec<TaskId>) -> Result<(), StoreError> {
        let mut known = Vec::new();
        for task in tasks {
            let attempt = AttemptId::new(task, self.run.task(task).attempts + 1);
            let Ok(call) = self.rendered(attempt).await? else { continue };
            let Some(request) = self.executor.request_of(&call) else { continue };
            if let Some((run, answer)) = self.store.answered(&request).await? {
                // Whoever looks for the request is to find the run that asked it.
                let answer = Answer { request: None, ..answer };
                known.push((task, Recalled { answer, run: run.into() }));
            }
        }
        self.heard.push_back(Input::Recalled(known).into());
        Ok(())
    }

    /// Renders the prompt of an attempt and adds what else a call needs; its request is remembered for its answer.
    pub(super) async fn write_down(
        &mut self,
        attempt: AttemptId,
    ) -> Result<Result<Call, Failure>, StoreError> {
        let mut call = match self.rendered(attempt).await? {
            Ok(call) => call,
            Err(failure) => return Ok(Err(failure)),
        };
        if let Some(request) = self.executor.request_of(&call) {
            self.requests.insert(attempt, request);
        }
        // After that: an answer that had to be corrected answers what was asked at first.
        if let Some(wrong) = self.run.task(attempt.task).wrong.as_deref() {
            call.prompt = corrected(call.prompt, wrong);
        }
        Ok(Ok(call))
    }

    async fn rendered(&self, attempt: AttemptId) -> Result<Result<Call, Failure>, StoreError> {
        let Some(prompt) = self.prompts.get(attempt.task.index()) else {
            return Ok(Err(Failure::new(Class::Template, "the task has no prompt")));
        };
        let mut results = HashMap::new();
        for task in prompt.template.inserted() {
            let Some(hash) = self.run.output(task) else { continue };
            if let Entry::Vacant(place) = results.entry(task) {
                place.insert(self.output(&hash).await?);
            }
        }
        let rendered = prompt.template.render(|task| results.get(&task).map(|text| &**text));
        let (plan, asked) = (self.run.plan(), self.run.plan().asked(attempt));
        Ok(rendered.map(|text| Call {
            attempt,
            agent: asked,
            prompt: text,
            system: prompt.system.clone(),
            output: prompt.output.clone(),
            temperature: prompt.temperature,
            max_tokens: plan.max_tokens_of(attempt.task, asked),
            timeout: plan.task(attempt.task).timeout,
        }))
    }

    async fn output(&self, hash: &Hash) -> Result<Arc<str>, StoreError> {
        match self.recent.get(hash) {
            Some(text) => Ok(text),
            None => self.store.output(hash).await,
        }
    }
}
