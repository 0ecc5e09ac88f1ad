//! What a task waits for, and how that may end.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TaskId;

/// How a dependency may end for the task behind it to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// It has its answer.
    #[default]
    Succeeded,
    /// It succeeded or failed; where it was skipped, so is the task behind it.
    Finished,
    /// It will not run any more, for whatever reason.
    Any,
}

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It has its answer.
    Succeeded,
    /// It will not be tried again.
    Failed,
    /// It will never run.
    Skipped,
}

/// A dependency of one task on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Edge {
    /// The task at the other end: what is waited for, or, among [`super::Plan::dependants`], who waits.
    pub task: TaskId,
    /// How it may end.
    pub when: When,
}

/// Only its task, where it is as most are: so it stands in journals of before there were conditions.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Task(TaskId),
    Edge { task: TaskId, when: When },
}

impl From<Written> for Edge {
    fn from(written: Written) -> Self {
        match written {
            Written::Task(task) => task.into(),
            Written::Edge { task, when } => Edge { task, when },
        }
    }
}

impl From<Edge> for Written {
    fn from(Edge { task, when }: Edge) -> Self {
        if when == When::Succeeded { Written::Task(task) } else { Written::Edge { task, when } }
    }
}

impl From<TaskId> for Edge {
    /// On a task that has to succeed.
    fn from(task: TaskId) -> Self {
        Edge { task, when: When::Succeeded }
    }
}

impl Edge {
    /// For people, where its task has this name: `a`, `a (finished)`.
    pub fn named(self, name: &str) -> String {
        match self.when {
            When::Succeeded => name.to_owned(),
            When::Finished => format!("{name} (finished)"),
            When::Any => format!("{name} (any)"),
        }
    }
}

impl When {
    /// Whether what is waited for may end like this.
    pub const fn is_met_by(self, end: End) -> bool {
        match end {
            End::Succeeded => true,
            End::Failed => matches!(self, When::Finished | When::Any),
            End::Skipped => matches!(self, When::Any),
        }
    }
}

/// What a task's failure means for the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// What depends on it is skipped, the rest goes on.
    #[default]
    Skip,
    /// The same, and nothing new starts: the run ends once what is in flight has finished.
    Stop,
    /// What depends on it runs all the same, without its result.
    Continue,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_of_before_there_were_conditions_is_read_and_written_as_it_was() {
        let edges: Vec<Edge> = serde_json::from_str(r#"[3,{"task":4,"when":"any"}]"#).unwrap();
        assert_eq!(edges, [TaskId(3).into(), Edge { task: TaskId(4), when: When::Any }]);
        assert_eq!(serde_json::to_string(&edges).unwrap(), r#"[3,{"task":4,"when":"any"}]"#);
    }
}
