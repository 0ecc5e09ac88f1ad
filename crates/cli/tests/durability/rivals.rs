//! Two processes that resume the same run at the same moment.

use crate::is_long;
use crate::support::{Sandbox, Simulator, until};

/// One call that outlasts every test: who drives the run has it in flight until it is killed.
const PLAN: &str = "tasks: [{ id: only, prompt: 'Only. [[sim latency=3600]]' }]";

#[test]
#[expect(clippy::print_stdout, reason = "`--nocapture` shows what was tried")]
fn of_two_who_resume_a_run_at_once_exactly_one_does() {
    let trials = if is_long() { 100 } else { 8 };
    let simulator = Simulator::start();
    let sandbox = Sandbox::reaching(&simulator).file("plan.yaml", PLAN);
    let in_flight = |calls: u64| {
        let stats = simulator.stats();
        (stats.generations == calls && stats.in_flight == 1).then_some(())
    };
    let first = sandbox.start("run plan.yaml --run-id one --quiet");
    until("the call is in flight", || in_flight(1));
    first.kill();
    let mut firsts = 0;
    for trial in 1..=trials {
        until("the simulator has noticed", || (simulator.stats().in_flight == 0).then_some(()));
        let mut rivals = [(); 2].map(|()| sandbox.start("resume one --quiet"));
        let loser =
            until("one of them has given up", || rivals.iter_mut().position(|rival| !rival.is_running()));
        let [one, two] = rivals;
        firsts += u32::from(loser == 1);
        let (loser, winner) = if loser == 0 { (one, two) } else { (two, one) };
        loser.end().exits(4).says("drives run \"one\"").says("hint: ");
        until("the other has made the call again", || in_flight(1 + trial));
        winner.kill();
    }
    assert_eq!(simulator.stats().generations, 1 + trials, "a call was made twice");
    println!(
        "{trials} trials: one of two went on in {trials}, the first of them in {firsts}; calls made twice 0"
    );
}
