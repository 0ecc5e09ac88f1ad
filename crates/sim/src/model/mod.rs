//! The simulated API as one pure model: a request and the time go in, a [`Timeline`] comes out.
//!
//! It has no clock and no socket. The HTTP server plays its timelines in real time; a run on a
//! virtual clock reads them off in the same process. What it remembers between requests is what a
//! provider would: quotas used, tries seen, the ledger. Answers, token counts and faults depend on
//! the seed and on the request alone, whatever came before it or beside it.

mod asked;
mod batch;
mod cache;
mod count;
#[cfg(test)]
mod fault_tests;
mod files;
mod gate;
mod gzip;
mod kept;
mod models;
mod page;
mod pages;
mod refusal;
mod reply;
mod room;
mod route;
mod served;
#[cfg(test)]
mod tests;
mod throttle;
mod twist;

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use sortie_core::hash::Hash;
use sortie_core::serving::Queue;
use sortie_providers::dialect::{self, Dialect, Quota, ServerAnswer};

use crate::control::Standing;
use crate::fault::Fault;
use crate::ledger::{Delivery, Entry, Ledger, Stats, Ticket};
use crate::quota::{Ask, Bucket, Buckets};
use crate::scenario::{self, Scenario};
use crate::timeline::{End, ServerRequest, Timeline};
pub use gate::most_body;
pub(crate) use models::{PROVIDERS, names as model_names, provider};
pub(crate) use refusal::error_reply;

use asked::Asked;
use batch::Batches;
use cache::Caches;
use files::Files;
use kept::{Kept, completions, responses};
use refusal::Refusal;
use reply::Try;
use route::{Endpoint, Route};
use sortie_core::chance::Chance;

/// The one key that is not accepted.
pub const INVALID_KEY: &str = "sk-sim-invalid";

/// The content type of a batch's results.
const JSONL: &str = "application/x-jsonl";

/// The content type of a file.
const BYTES: &str = "application/octet-stream";

/// How long a 429 that a fault asked for says to wait, unless steered.
const FAULT_WAIT: Duration = Duration::from_secs(1);

/// Characters of the prompt that the ledger keeps.
const LEDGER_PROMPT: usize = 40;

/// The simulated API.
#[derive(Debug)]
pub struct Model {
    scenario: Scenario,
    seed: u64,
    dialects: &'static [&'static dyn Dialect],
    /// When the scenario began: with its first request, unless told before.
    began: Option<Duration>,
    /// Quotas by key, provider and class of models.
    accounts: HashMap<(String, &'static str, String), Buckets>,
    /// The quota of each key's requests to Anthropic's batches.
    batch_requests: HashMap<String, Bucket>,
    /// How often each request's content has come as far as the model.
    tries: HashMap<Hash, u32>,
    /// Who is being answered, and who waits.
    queue: Queue,
    caches: Caches,
    batches: Batches,
    files: Files,
    kept: Kept,
    arrivals: u64,
    ledger: Ledger,
    standing: Standing,
}

/// A request that has a key, on its way to an endpoint.
struct Asker<'a> {
    dialect: &'static dyn Dialect,
    request: &'a ServerRequest,
    key: &'a str,
    /// The id of the reply.
    id: &'a str,
}

impl Model {
    /// The API that this scenario describes, speaking all dialects. `seed` decides all that looks
    /// random.
    pub fn new(scenario: Scenario, seed: u64) -> Self {
        Self::speaking(dialect::ALL, scenario, seed)
    }

    /// The same speaking these dialects; where several have the same path, the first of them.
    pub fn speaking(dialects: &'static [&'static dyn Dialect], scenario: Scenario, seed: u64) -> Self {
        Model {
            scenario,
            seed,
            dialects,
            began: None,
            accounts: HashMap::new(),
            batch_requests: HashMap::new(),
            tries: HashMap::new(),
            queue: Queue::default(),
            caches: Caches::default(),
            batches: Batches::default(),
            files: Files::default(),
            kept: Kept::default(),
            arrivals: 0,
            ledger: Ledger::default(),
            standing: Standing::default(),
        }
    }

    /// The reply to a request that has arrived whole at `now`, Unix time or a virtual clock's.
    ///
    /// A reply with a ticket counts as under way until [`Model::delivered`] is told of its end.
    pub fn handle(&mut self, request: &ServerRequest, now: Duration) -> Timeline {
        self.settle_batches(now);
        self.settle_jobs(now);
        self.files.expire(now);
        if let Some(shown) = self.shown(request, now) {
            return shown;
        }
        self.began.get_or_insert(now);
        self.arrivals += 1;
        self.ledger.retried_by(&request.headers);
        let id = format!("req_{}", self.id(&Hash::of(&self.arrivals.to_le_bytes()), "reply"));
        let Some(dialect) = route::spoken(self.dialects, request) else {
            return Timeline::whole(Duration::ZERO, StatusCode::NOT_FOUND, HeaderMap::new(), Bytes::new());
        };
        let timeline = match self.reply(dialect, request, &id, now) {
            Ok(timeline) => timeline,
            Err(refusal) => self.refused(dialect, &refusal, &id, now),
        };
        self.ledger.replied(timeline.head.as_ref().map(|head| head.status.as_u16()));
        timeline
    }

    /// A reply with this ticket has ended at `now`, on the clock of [`Model::handle`]. What was
    /// generated until then is billed: a streamed answer stops when its client hangs up, one that is
    /// not streamed does not. Either frees its slot, where the server has so many.
    pub fn delivered(&mut self, ticket: Ticket, delivery: Delivery, now: Duration) {
        self.queue.leave(ticket.number(), now);
        self.kept.delivered(ticket, delivery, now);
        self.ledger.close(ticket, delivery, now);
    }

    /// What has been counted, as `GET /_sim/stats` shows it.
    pub fn stats(&self) -> Stats {
        self.ledger.stats()
    }

    /// An entry for each generation that was accepted, in order, as `GET /_sim/ledger` shows them.
    pub fn ledger(&self) -> &[Entry] {
        self.ledger.entries()
    }

    fn reply(
        &mut self,
        dialect: &'static dyn Dialect,
        request: &ServerRequest,
        id: &str,
        now: Duration,
    ) -> Result<Timeline, Box<Refusal>> {
        gate::check_size(dialect, request, self.scenario.too_long)?;
        let route = route::route(dialect, request)?;
        let key = gate::key(dialect, &request.headers)?;
        self.ledger.asked(&fingerprint(key));
        let request = gate::check_headers(dialect, request, &self.scenario)?;
        let request = &*gate::unpacked(dialect, request)?;
        let (endpoint, thing) = match route {
            Route::Generate if self.standing.paused => return Ok(Timeline::silent(End::Stall)),
            Route::Generate => return self.generate(dialect, request, key, id, now),
            Route::Other(endpoint, thing) => (endpoint, thing),
        };
        let asker = Asker { dialect, request, key, id };
        if is_anthropic(dialect) && endpoint.is_of_batches() {
            self.admit_batches(key, dialect, now)?;
        }
        let (kind, body) = self.at(endpoint, &thing, &asker, now)?;
        let mut headers = self.headers(dialect, id, &[], now);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        Ok(Timeline::whole(Duration::ZERO, StatusCode::OK, headers, body))
    }

    /// What an endpoint replies that answers no prompt: its content type and its body.
    fn at(
        &mut self,
        endpoint: Endpoint,
        thing: &str,
        asker: &Asker<'_>,
        now: Duration,
    ) -> Result<(&'static str, Bytes), Box<Refusal>> {
        let retired = &self.scenario.retired_models;
        let own = is_anthropic(asker.dialect);
        let shown = match endpoint {
            Endpoint::CountTokens => count::messages(self, asker)?,
            Endpoint::CountInput => count::responses(self, asker, now)?,
            Endpoint::Models => models::list(asker, retired, now)?,
            Endpoint::Model => models::one(asker.dialect, retired, thing, now)?,
            Endpoint::CreateBatch if own => batch::anthropic::create(self, asker, now)?,
            Endpoint::CreateBatch => batch::openai::create(self, asker, now)?,
            Endpoint::Batches if own => batch::anthropic::list(self, asker, now)?,
            Endpoint::Batches => batch::openai::list(self, asker, now)?,
            Endpoint::Batch if own => batch::anthropic::get(self, asker, thing, now)?,
            Endpoint::Batch => batch::openai::get(self, asker, thing, now)?,
            Endpoint::CancelBatch if own => batch::anthropic::cancel(self, asker, thing, now)?,
            Endpoint::CancelBatch => batch::openai::cancel(self, asker, thing, now)?,
            Endpoint::DeleteBatch => batch::anthropic::delete(self, asker, thing, now)?,
            Endpoint::BatchResults => {
                return Ok((JSONL, batch::anthropic::results(self, asker, thing, now)?));
            }
            Endpoint::CreateFile => self.upload(asker, now)?,
            Endpoint::Files => self.files.list(asker)?,
            Endpoint::File => self.files.find(asker, thing)?.shown(),
            Endpoint::FileContent => return Ok((BYTES, self.files.find(asker, thing)?.content.clone())),
            Endpoint::DeleteFile => self.files.delete(asker, thing)?,
            Endpoint::Completions => completions::list(&self.kept, asker, now)?,
            Endpoint::Completion => completions::get(&mut self.kept, asker, thing, now)?,
            Endpoint::UpdateCompletion => completions::update(&mut self.kept, asker, thing, now)?,
            Endpoint::DeleteCompletion => completions::delete(&mut self.kept, asker, thing, now)?,
            Endpoint::Response => responses::get(&mut self.kept, asker, thing, now)?,
            Endpoint::CancelResponse => responses::cancel(&mut self.kept, asker, thing, now)?,
            Endpoint::DeleteResponse => responses::delete(self, asker, thing, now)?,
        };
        Ok(("application/json", shown.to_string().into()))
    }

    fn generate(
        &mut self,
        dialect: &'static dyn Dialect,
        request: &ServerRequest,
        key: &str,
        id: &str,
        now: Duration,
    ) -> Result<Timeline, Box<Refusal>> {
        let mut asked = self.asked(dialect, request, key, now)?;
        let reading = self.caches.read(&asked.said, key, &asked.request.model, asked.usage.input, now);
        asked.read_as(reading.input);
        self.ledger.ignored_directives(asked.steering.unknown);
        let quotas = self.admit(&asked, key, now)?;
        let attempt = *self.tries.entry(asked.content).and_modify(|tries| *tries += 1).or_insert(1);
        let fault = self.fault(&asked, attempt, now);
        let mut this = Try::new(asked, fault, attempt);
        if let Some(refusal) = this.refusal(&self.scenario, self.told_time(now)) {
            return Err(refusal.after(this.asked.network, quotas));
        }
        self.caches.keep(&reading, now);
        let id_of_answer = self.id(&this.asked.content, &format!("answer {attempt}"));
        let headers = self.headers(dialect, id, &quotas, now);
        let place = self.queue_up(&mut this, now);
        let timeline = self.play(&this, &this.answer(id_of_answer, now), headers, (request, key, id), now);
        self.take_place(place.as_ref(), &this, timeline.ticket);
        Ok(timeline)
    }

    /// Reads a request of this key, with what was said before it where it goes on from that.
    fn asked(
        &self,
        dialect: &'static dyn Dialect,
        request: &ServerRequest,
        key: &str,
        now: Duration,
    ) -> Result<Asked, Box<Refusal>> {
        let told = kept::continued(&self.kept, dialect, request, key, now)?;
        Asked::read(&self.scenario, self.seed, dialect, &told)
    }

    /// The reply to a request that has come as far as its answer; keeps what is to be kept of it.
    fn play(
        &mut self,
        this: &Try,
        answer: &ServerAnswer,
        headers: HeaderMap,
        (request, key, id): (&ServerRequest, &str, &str),
        now: Duration,
    ) -> Timeline {
        let (mut timeline, mut generation) = this.play(answer, headers.clone(), &request.body, id);
        let status = timeline.head.as_ref().map(|head| head.status.as_u16());
        let entry = this.entry(fingerprint(key), status, now);
        let said = &this.asked.said;
        let body = || this.asked.dialect.body(answer, &request.body);
        if said.in_background && !this.asked.request.stream && this.fault.generates() {
            return self.take_job(this, headers, (key, body()), (entry, generation), now);
        }
        let goes_on = |whole| said.in_background || whole && kept::outlives_its_client(this);
        if let Some(generation) = generation.as_mut().filter(|generation| goes_on(generation.is_whole())) {
            // It goes on to its end, whoever hangs up.
            generation.pace = None;
        }
        let body = (said.is_stored || said.in_background).then(body);
        let ticket = self.ledger.open(now, generation.map(|generation| (entry, generation)));
        if let Some(body) = body {
            self.keep_answer(this, (key, body), generation, (ticket, now));
        }
        timeline.ticket = Some(ticket);
        timeline
    }

    /// Takes the request from the quotas of its key and class of models; gives the quotas for the headers.
    fn admit(&mut self, asked: &Asked, key: &str, now: Duration) -> Result<Vec<Quota>, Box<Refusal>> {
        let (provider, class) =
            (models::provider(asked.dialect), sortie_providers::models::class(&asked.request.model));
        let elapsed = now.saturating_sub(self.began.unwrap_or(now));
        let quotas = self.scenario.quotas_at(provider, &class, elapsed);
        let account = (key.to_owned(), provider, class);
        let buckets = self.accounts.entry(account).or_insert_with(|| quotas.buckets(now));
        if !self.scenario.quota_changes.is_empty() {
            buckets.change(&quotas, now);
        }
        let ask = Ask::new(&asked.usage, asked.pace, asked.request.max_tokens, self.scenario.otpm);
        let admission = buckets.admit(ask, now);
        let quotas = buckets.told();
        match throttle::refusal(admission, ask, &quotas, asked) {
            None => Ok(quotas),
            Some((error, wait)) => {
                let told = wait.and_then(|wait| self.scenario.retry_after.header(wait, self.told_time(now)));
                Err(Refusal::new(error).with_header(told).after(asked.network, quotas))
            }
        }
    }

    /// What goes wrong with a try: what the prompt says, else what was ordered for the next request,
    /// else what the scenario's shares draw.
    fn fault(&mut self, asked: &Asked, attempt: u32, now: Duration) -> Fault {
        if asked.steering.fail.is_empty() {
            if let Some(fault) = self.standing.fail_next.pop_front() {
                return fault;
            }
            let chance = &mut Chance::new(self.seed, &asked.content, &format!("fault {attempt}"));
            let elapsed = now.saturating_sub(self.began.unwrap_or(now));
            return self.scenario.fault(models::provider(asked.dialect), chance, elapsed);
        }
        asked.steering.fail.get(attempt as usize - 1).cloned().unwrap_or(Fault::None)
    }

    /// The scenario begins now, for faults that have a window of time; else it does so with the
    /// first request.
    pub fn begin(&mut self, now: Duration) {
        self.began = Some(now);
    }

    /// The headers of a reply: its id, and the quotas as far and as truly as replies tell them.
    fn headers(&self, dialect: &dyn Dialect, id: &str, quotas: &[Quota], now: Duration) -> HeaderMap {
        let told = &self.scenario.limit_headers;
        let mut headers = dialect.reply_headers(id, &told.told(quotas), self.told_time(now));
        if self.scenario.usage_based_headers {
            scenario::tell_usage_based(&mut headers);
        }
        told.falsify(&mut headers);
        if self.scenario.clock_skew_s != 0.0 {
            scenario::tell_date(&mut headers, self.told_time(now));
        }
        headers
    }

    /// What time it is by the clock that replies show.
    fn told_time(&self, now: Duration) -> Duration {
        scenario::skewed(now, self.scenario.clock_skew_s)
    }

    /// 24 letters and digits.
    fn id(&self, content: &Hash, purpose: &str) -> String {
        let mut chance = Chance::new(self.seed, content, purpose);
        format!("{:016x}{:08x}", chance.bits(), chance.bits() >> 32)
    }
}

/// Whether it is Anthropic's API and none of OpenAI's.
fn is_anthropic(dialect: &dyn Dialect) -> bool {
    dialect.name() == "anthropic"
}

/// Unix time as RFC 3339, to the second.
fn rfc3339(at: Duration) -> String {
    let timestamp = i64::try_from(at.as_secs()).ok().and_then(|s| jiff::Timestamp::from_second(s).ok());
    timestamp.unwrap_or(jiff::Timestamp::MAX).to_string()
}

fn json_headers(mut headers: HeaderMap) -> HeaderMap {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers
}

fn fingerprint(key: &str) -> String {
    let mut digits = Hash::of(key.as_bytes()).to_string();
    digits.truncate(8);
    digits
}
