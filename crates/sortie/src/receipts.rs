//! What the runs of a journal cost: read run after run, never all at once.
//!
//! A run that is driven right now counts as far as it is; what another has in flight is at risk. Runs against the in-process simulator cost
//! nothing and are left out unless they are asked for.

use sortie_core::agent::Agent;
use sortie_core::price::Pricing;
use sortie_core::run::event::Record;
use sortie_core::time::Time;
use sortie_engine::store::{Header, Store, StoreError, read_newest};
use sortie_report::costs::{Costs, Grouping, Span};
use sortie_report::reconcile::{Believed, Comparison, Export};

use crate::binding::Binding;
use crate::error::Error;
use crate::session::view;

/// Which runs of a journal count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs {
    /// Those that a provider, or a server in its place, may have billed.
    Billed,
    /// Simulated ones too.
    All,
}

/// What is left out of a sum.
#[derive(Debug, Default)]
pub struct LeftOut {
    /// Runs that could not be read.
    pub unreadable: Vec<Unreadable>,
    /// How many runs were simulated.
    pub simulated: u64,
}

/// A run that is left out, because it could not be read.
#[derive(Debug)]
pub struct Unreadable {
    /// Its id.
    pub run_id: String,
    /// Why.
    pub error: StoreError,
}

/// What the calls that were charged in this stretch of time cost, and what is left out.
///
/// # Errors
/// Where the runs cannot be listed.
pub async fn costs<S: Store>(
    journal: &S,
    by: Grouping,
    runs: Runs,
    span: Span,
) -> Result<(Costs, LeftOut), StoreError> {
    let mut costs = Costs::new(by);
    let left_out = each_run(journal, runs, span, |header, records, is_driven| {
        let run = &view(header);
        costs.add_run(run, records, span);
        if !is_driven {
            costs.add_in_flight(run, records, span);
        }
    });
    let left_out = left_out.await?;
    Ok((costs, left_out))
}

/// Holds a run, or all of them, against a provider's export: all of them on the days that the export is
/// about, one on the days on which it made calls; within the span, if it has ends.
///
/// # Errors
/// Where the run cannot be read, or was simulated; where the runs cannot be listed.
pub async fn reconcile<S: Store>(
    journal: &S,
    run_id: Option<&str>,
    export: &Export,
    span: Span,
) -> Result<(Comparison, Vec<Unreadable>), Error> {
    let mut believed = Believed::new(export);
    let Some(run_id) = run_id else {
        let add = |header: &Header, records: &[Record], _: bool| add(&mut believed, header, records);
        let left_out = each_run(journal, Runs::Billed, Span::default(), add).await?;
        return Ok((believed.against(export, export.days(), span), left_out.unreadable));
    };
    let (header, records) = read_newest(journal, run_id).await?;
    if header.settings.simulated {
        return Err(Error::NotBilled(run_id.to_owned()));
    }
    add(&mut believed, &header, &records);
    Ok((believed.against(export, believed.days(), span), Vec::new()))
}

/// Takes a run's calls, but for those that went to another server than the provider's and at no price of the
/// provider's: what stands in the provider's place at its prices passes them on, or simulates it.
fn add(believed: &mut Believed, header: &Header, records: &[Record]) {
    // A run that does not say where its agents are is taken for the provider's.
    let endpoints = Binding::of(header).map(|binding| binding.endpoints).unwrap_or_default();
    let is_elsewhere = |agent: &Agent| {
        let place = header.plan.agents().iter().position(|known| known.name == agent.name);
        let endpoint = place.and_then(|place| endpoints.get(place));
        let is_listed = matches!(&agent.pricing, Pricing::Known(price) if price.row.is_some());
        !is_listed && endpoint.is_some_and(|endpoint| !endpoint.provider.is_at(&endpoint.base_url))
    };
    believed.add_run(&view(header), records, is_elsewhere);
}

/// Visits the runs that may have been charged something in this stretch of time, the newest first, with
/// whether a process drives them now, and gives those that were left out.
///
/// # Errors
/// Where the runs cannot be listed.
pub async fn each_run<S: Store>(
    journal: &S,
    runs: Runs,
    span: Span,
    mut visit: impl FnMut(&Header, &[Record], bool),
) -> Result<LeftOut, StoreError> {
    let mut left_out = LeftOut::default();
    for listed in journal.list().await? {
        let last = listed.last.as_ref().map_or(Time::from_micros(u64::MAX), |record| record.at);
        if !span.touches(listed.created, last) {
            continue;
        }
        match read_newest(journal, &listed.run_id).await {
            Ok((header, _)) if header.settings.simulated && runs == Runs::Billed => left_out.simulated += 1,
            Ok((header, records)) => visit(&header, &records, listed.owned),
            Err(error) => left_out.unreadable.push(Unreadable { run_id: listed.run_id, error }),
        }
    }
    Ok(left_out)
}
