//! What a program may rely on that uses the library on tokio.

use std::time::Duration;

use sortie::config::written::ConfigFile;
use sortie::core::document::Source;
use sortie::{
    Agent, Ended, Environment, Error, Outcome, RunResult, Scheduler, Signal, Signals, Stop, Task, Usd,
};

fn scheduler() -> Scheduler {
    Scheduler::new()
        .agent("claude", Agent::anthropic("claude-sonnet-4-5-20250929").max_tokens(400))
        .environment(Environment::default())
        .simulate("calm")
}

fn chain(length: usize) -> Vec<Task> {
    let task = |n: usize| Task::new(format!("task-{n}"), format!("Do step {n}."));
    (0..length)
        .map(|n| if n == 0 { task(n) } else { task(n).depends_on([format!("task-{}", n - 1)]) })
        .collect()
}

#[test]
fn futures_can_be_spawned_and_errors_carried_anywhere() {
    fn assert_send<T: Send>(_: T) {}
    fn assert_error<T: std::error::Error + Send + Sync + 'static>() {}
    fn assert_shared<T: Send + Sync + 'static>() {}
    let scheduler = scheduler();
    assert_send(scheduler.run(chain(1)));
    assert_send(scheduler.run_until(chain(1), Signals::none()));
    assert_send(scheduler.resume(None));
    assert_send(scheduler.resume_until(Some("run"), Signals::none()));
    assert_error::<Error>();
    assert_shared::<Scheduler>();
    assert_shared::<RunResult>();
    assert_shared::<Stop>();
}

#[tokio::test]
async fn every_field_of_a_result_is_there_and_serialises() {
    let result = scheduler().run(chain(3)).await.unwrap();
    assert!(result.success && result.error.is_none());
    assert_eq!(result.ended, Ended::Finished(Outcome::Completed));
    assert_eq!(result.execution_history, ["task-0", "task-1", "task-2"]);
    assert_eq!((result.successful_tasks, result.total_tasks, result.success_rate), (3, 3, Some(100.0)));
    assert_eq!(result.cost_per_task.unwrap().times(3).pico() / 10, result.total_cost.pico() / 10);
    assert_eq!(result.avg_duration.unwrap().as_millis(), (result.total_duration / 3).as_millis());
    let json = serde_json::to_value(&result).unwrap();
    for field in [
        "success",
        "error",
        "task_results",
        "total_duration",
        "execution_history",
        "successful_tasks",
        "total_tasks",
        "success_rate",
        "avg_duration",
        "total_cost",
        "cost_per_task",
    ] {
        assert!(json.get(field).is_some(), "{field}");
    }
    let task = &json["task_results"]["task-1"];
    assert_eq!(task["success"], true);
    assert_eq!(task["result"].as_str(), result.text("task-1"));
    assert!(task["error"].is_null());
}

#[tokio::test]
async fn a_scheduler_runs_again_and_gives_the_same_but_for_its_name() {
    let scheduler = scheduler().seed(7);
    let texts = async || {
        let result = scheduler.run(chain(3)).await.unwrap();
        (result.total_cost, result.text("task-2").map(str::to_owned), result.total_duration)
    };
    assert_eq!(texts().await, texts().await);
}

#[tokio::test]
async fn the_first_agent_does_what_nobody_else_is_named_for() {
    let tasks = || {
        [
            Task::new("plain", "Go."),
            Task::new("routed", "Go.").task_type("coding"),
            Task::new("named", "Go.").agent("other"),
        ]
    };
    let agents_of = async |scheduler: Scheduler| {
        let result = scheduler.run(tasks()).await.unwrap();
        ["plain", "routed", "named"].map(|id| result.task_results[id].agent.clone())
    };
    let two = scheduler().agent("other", Agent::openai("gpt-6.1-sol")).route("coding", "other");
    assert_eq!(agents_of(two.clone()).await, ["claude", "other", "other"]);
    assert_eq!(agents_of(two.default_agent("other")).await, ["other", "other", "other"]);
}

#[tokio::test]
async fn an_agent_of_the_same_name_takes_the_place_of_the_first() {
    let result =
        scheduler().agent("claude", Agent::openai("gpt-6.1-sol")).run([Task::new("a", "Go.")]).await.unwrap();
    assert!(result.task_results["a"].model.starts_with("gpt"), "{}", result.task_results["a"].model);
}

#[tokio::test]
async fn what_an_agent_and_a_task_say_reaches_the_run() {
    let prompt = "[[sim fail=529,529,529,529 latency=1]] Go.";
    let impatient = Agent::anthropic("claude-sonnet-4-5-20250929").retries(
        1,
        Duration::from_millis(10),
        Duration::from_millis(10),
    );
    let result = scheduler().agent("claude", impatient).run([Task::new("a", prompt)]).await.unwrap();
    assert_eq!(result.task_results["a"].attempts, 2, "{:?}", result.task_results["a"]);

    let slow = Task::new("a", "[[sim latency=50]] Go.").timeout(Duration::from_secs(20));
    let result = scheduler().max_retries(0).run([slow]).await.unwrap();
    assert_eq!(result.task_results["a"].error.as_ref().unwrap().class, "timeout");
    assert_eq!(result.total_duration, Duration::from_secs(20));

    let dear = Task::new("a", "Go.").max_tokens(400).max_cost(0.000_001);
    let result = scheduler().run([dear]).await.unwrap();
    assert_eq!(result.task_results["a"].error.as_ref().unwrap().class, "over_budget");

    let literal = Task::new("a", "What is {{ this }}?").literal().metadata("mine");
    assert!(scheduler().run([literal]).await.unwrap().success);
}

#[tokio::test]
async fn what_is_wrong_is_said_all_at_once_with_what_to_do() {
    let check = async |scheduler: Scheduler, tasks: Vec<Task>, expected: &[&str]| {
        let error = scheduler.run(tasks).await.unwrap_err();
        let text = format!("{error} {}", error.hint().unwrap_or_default());
        for part in expected {
            assert!(text.contains(part), "{part:?} is not in {text:?}");
        }
    };
    let wrong = vec![Task::new("a", "{{ results.b }}").depends_on(["c"])];
    check(scheduler(), wrong, &["the plan is invalid", "`b`", "`c`"]).await;
    let numbers = scheduler().max_cost(-1.0).max_concurrent(0).request_timeout(Duration::ZERO);
    check(numbers, chain(1), &["max_cost_per_session", "max_concurrent", "request_timeout"]).await;
    check(scheduler().simulate("storm?"), chain(1), &["storm?", "calm"]).await;
    let unknown = scheduler().agent("claude", Agent::anthropic("claude-unheard-of")).max_cost(1.0);
    check(unknown, chain(1), &["claude-unheard-of", "agents.claude.price"]).await;
    check(scheduler(), vec![], &["no tasks"]).await;
}

#[tokio::test]
async fn a_run_that_the_budget_stopped_goes_on_with_a_larger_one_and_pays_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let kept = scheduler().results_dir(dir.path()).run_id("kept").name("a chain");
    let first = kept.clone().max_cost(0.009).run(chain(6)).await.unwrap();
    assert!(
        matches!(first.ended, Ended::Finished(Outcome::BudgetExceeded { .. })),
        "{:?} {:?}",
        first.ended,
        first.error
    );
    assert!(first.total_cost <= Usd::from_f64(0.009).unwrap() && first.pending_tasks > 0);

    let same = kept.resume(Some("kept")).await.unwrap();
    assert_eq!((same.pending_tasks, same.total_cost), (first.pending_tasks, first.total_cost));

    let whole = kept.clone().max_cost(1.0).resume(None).await.unwrap();
    assert!(whole.success && whole.api_calls_count == 6, "{:?}", whole.error);
    assert_eq!(whole.text("task-0"), first.text("task-0"));
    let again = kept.resume(Some("kept")).await.unwrap();
    assert_eq!((again.total_cost, again.api_calls_count), (whole.total_cost, 6));
    assert!(matches!(kept.resume(None).await, Err(Error::NothingToResume)));
    assert!(kept.run(chain(1)).await.unwrap_err().hint().is_some(), "the name is taken");
}

#[tokio::test]
async fn a_run_that_is_asked_to_stop_brings_home_what_is_in_flight() {
    let (stop, signals) = Signals::channel();
    stop.send(Signal::Interrupt);
    let result = scheduler().run_until(chain(3), signals).await.unwrap();
    assert_eq!(result.ended, Ended::Finished(Outcome::Interrupted { signal: Signal::Interrupt }));
    assert_eq!(result.successful_tasks + result.pending_tasks, 3);
    assert!(result.pending_tasks >= 2 && result.error.as_ref().unwrap().contains("SIGINT"));
}

#[tokio::test]
async fn a_configuration_file_is_a_scheduler() {
    let text = "
        agents: { mine: { model: claude-sonnet-4-5-20250929, max_tokens: 100 } }
        cost_control: { max_cost_per_session: 0.000001 }";
    let file: ConfigFile = Source::new("sortie.yaml", text.into()).unwrap().read().unwrap();
    let scheduler = Scheduler::from(file).environment(Environment::default()).simulate("calm");
    let result = scheduler.run(chain(1)).await.unwrap();
    assert!(matches!(result.ended, Ended::Finished(Outcome::BudgetExceeded { .. })), "{:?}", result.error);
    assert_eq!(result.task_results["task-0"].agent, "mine");
}
