//! Two agents' work in ten lines: `cargo run -p sortie --example quickstart`.

#![expect(clippy::print_stdout, reason = "an example speaks to whoever runs it")]

use sortie::{Agent, Scheduler, Task};

#[tokio::main]
async fn main() -> Result<(), sortie::Error> {
    let result = Scheduler::new()
        .agent("claude", Agent::anthropic("claude-sonnet-5-5").max_tokens(400))
        .max_cost(0.50)
        .simulate("calm") // leave this out to ask the real API with ANTHROPIC_API_KEY
        .run([
            Task::new("analyze", "Analyse the requirements of a photo-sharing site."),
            Task::new("design", "Design it:\n{{ results.analyze }}").depends_on(["analyze"]),
        ])
        .await?;
    println!("{}", result.text("design").unwrap_or("no design"));
    println!("{:.1?} and ${}", result.total_duration, result.total_cost);
    Ok(())
}
