//! What the user changed of a run while it was under way: in words, and what it means for a bound.

use std::borrow::Cow;

use sortie_core::run::control::Control;
use sortie_core::run::input::Settings;

use crate::fold::{Fold, RunView};

/// What a control did, in a sentence without its end.
pub fn words(run: &RunView, control: Control) -> String {
    match control {
        Control::Concurrency(most) => format!("calls at a time set to {most} by the user"),
        Control::RequestsPerMinute { gate, per_minute } => {
            let spec = gate.and_then(|gate| run.settings.gates.get(gate.index()));
            let whose = spec.map_or_else(String::new, |spec| format!(" of {}", spec.name));
            format!("requests/min{whose} set to {per_minute} by the user")
        }
        Control::Pause => "paused by the user: calls in flight finish, nothing new starts".to_owned(),
        Control::Resume => "pause ended by the user".to_owned(),
    }
}

/// The loosest limits that were ever in force: what keeps a lower bound of a run's time a bound.
pub(crate) fn loosest(fold: &Fold) -> Cow<'_, Settings> {
    let settings = &*fold.run().settings;
    if fold.controls().is_empty() {
        return Cow::Borrowed(settings);
    }
    let (mut loosest, mut in_force) = (settings.clone(), settings.clone());
    for (_, control) in fold.controls() {
        control.change(&mut in_force);
        loosest.max_concurrent = loosest.max_concurrent.max(in_force.max_concurrent);
        for (loosest, in_force) in loosest.gates.iter_mut().zip(&in_force.gates) {
            // Without a limit is looser than any.
            loosest.requests_per_minute =
                loosest.requests_per_minute.zip(in_force.requests_per_minute).map(|(a, b)| a.max(b));
            loosest.requests_burst = loosest.requests_burst.max(in_force.requests_burst);
        }
    }
    Cow::Owned(loosest)
}

#[cfg(test)]
mod tests {
    use sortie_core::limit::GateId;
    use sortie_core::run::event::Event;

    use super::*;
    use crate::testing::{Story, diamond};

    fn rpm(gate: Option<u16>, per_minute: u32) -> Control {
        Control::RequestsPerMinute { gate: gate.map(GateId), per_minute }
    }

    #[test]
    fn a_control_is_said_in_words() {
        let run = diamond().run();
        let name = &run.settings.gates[0].name;
        for (control, expected) in [
            (Control::Concurrency(20), "calls at a time set to 20 by the user".to_owned()),
            (rpm(None, 100), "requests/min set to 100 by the user".to_owned()),
            (rpm(Some(0), 7), format!("requests/min of {name} set to 7 by the user")),
            (rpm(Some(99), 7), "requests/min set to 7 by the user".to_owned()),
        ] {
            assert_eq!(words(&run, control), expected);
        }
    }

    #[test]
    fn a_bound_takes_the_loosest_limits_that_were_in_force() {
        let limits = |rate, controls: &[Control]| {
            let mut story = Story::pipeline();
            story.settings.gates[0].requests_per_minute = rate;
            for &control in controls {
                story = story.at(0.0, Event::Controlled { control });
            }
            let fold = story.fold();
            let loosest = loosest(&fold);
            (loosest.max_concurrent, loosest.gates[0].requests_per_minute)
        };
        assert_eq!(limits(Some(50), &[]), (10, Some(50)));
        let controls = [Control::Concurrency(30), rpm(None, 600), Control::Pause, Control::Concurrency(1)];
        assert_eq!(limits(Some(50), &controls), (30, Some(600)));
        assert_eq!(limits(Some(50), &[rpm(None, 5)]), (10, Some(50)));
        assert_eq!(limits(None, &controls), (30, None));
    }
}
