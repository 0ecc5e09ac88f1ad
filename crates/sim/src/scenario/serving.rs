//! What makes no sense in what a scenario says of its server.

use sortie_core::serving::Serving;

/// The most numbers of a slowdown: more requests at a time than any one server of one's own answers.
const MOST_LEVELS: usize = 10_000;

/// The most times longer that an answer may take.
const MOST_SLOWDOWN: f64 = 10_000.0;

pub(super) fn problems(server: &Serving) -> impl Iterator<Item = String> {
    let Serving { slots, slowdown } = server;
    let no_slot = (*slots == Some(0)).then(|| "server.slots has to be at least 1".to_owned());
    // Written so that a NaN is a problem too.
    let within = slowdown.iter().all(|factor| (0.001..=MOST_SLOWDOWN).contains(factor));
    let fits = within && slowdown.len() <= MOST_LEVELS;
    let slowdown = (!fits).then(|| {
        format!("server.slowdown has to have at most {MOST_LEVELS} numbers between 0.001 and {MOST_SLOWDOWN}")
    });
    no_slot.into_iter().chain(slowdown)
}
