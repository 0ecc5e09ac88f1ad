//! The server's half: objects that say by a `type` what they are, as blocks, sources and tools do. Kinds
//! and fields are those of the official SDKs' types, of all versions that are tested here; what a beta's
//! header brings is taken without it too. The forms of messages are those of recorded replies.

use serde_json::Value;

use super::super::WireError;
use super::reading::invalid;

/// Names of fields.
type Names = &'static [&'static str];

/// A kind of object: its `type`, the fields that it has to have, those that it may have beside them, and
/// those that it shares with its like.
pub(super) struct Kind {
    pub(super) name: &'static str,
    required: Names,
    others: Names,
    shared: Names,
}

pub(super) const fn kind(name: &'static str, required: Names, others: Names) -> Kind {
    Kind { name, required, others, shared: &[] }
}

impl Kind {
    /// The same with fields that its like have too.
    pub(super) const fn sharing(self, shared: Names) -> Self {
        Kind { shared, ..self }
    }

    fn has(&self, field: &str) -> bool {
        [self.required, self.others, self.shared].iter().any(|names| names.contains(&field))
    }
}

/// What a field holds.
#[derive(Clone, Copy)]
enum Form {
    Text,
    Object,
    Flag,
    List,
    TextOrList,
    /// The id of a call of one of the client's tools.
    Id,
    /// The same of one of the provider's.
    ServerId,
}

/// What fields hold: a field, the kinds that it is of where not all, and its form. The first that fits
/// counts. What is not here is looked at elsewhere, or not at all.
const FORMS: [(&str, &[&str], Form); 29] = [
    ("caller", &[], Form::Object),
    ("citations", &["text"], Form::List),
    ("citations", &["document", "search_result"], Form::Object),
    ("content", &["search_result"], Form::List),
    ("content", &["content", "tool_result"], Form::TextOrList),
    ("context", &["document"], Form::Text),
    ("data", &[], Form::Text),
    ("description", &["custom"], Form::Text),
    ("disable_parallel_tool_use", &[], Form::Flag),
    ("file_id", &[], Form::Text),
    ("id", &["server_tool_use"], Form::ServerId),
    ("id", &["mcp_tool_use", "tool_use"], Form::Id),
    ("input", &[], Form::Object),
    ("input_schema", &[], Form::Object),
    ("is_error", &["tool_result"], Form::Flag),
    ("media_type", &[], Form::Text),
    ("name", &[], Form::Text),
    ("previous_message_id", &[], Form::Text),
    ("schema", &[], Form::Object),
    ("server_name", &[], Form::Text),
    ("signature", &["thinking"], Form::Text),
    ("source", &["search_result"], Form::Text),
    ("strict", &[], Form::Flag),
    ("text", &["text"], Form::Text),
    ("thinking", &[], Form::Text),
    ("title", &["document", "search_result"], Form::Text),
    ("tool_use_id", &["mcp_tool_result", "tool_result"], Form::Id),
    ("tool_use_id", &[], Form::ServerId),
    ("url", &[], Form::Text),
];

impl Form {
    /// What is wrong with a value.
    fn fault(self, value: &Value) -> Option<&'static str> {
        let (is_right, why) = match self {
            Form::Text => (value.is_string(), "Input should be a valid string"),
            Form::Object => (value.is_object(), "Input should be an object"),
            Form::Flag => (value.is_boolean(), "Input should be a valid boolean"),
            Form::List => (value.is_array(), "Input should be a valid array"),
            Form::TextOrList => (value.is_string() || value.is_array(), "Input should be a valid array"),
            Form::Id | Form::ServerId => return self.id_fault(value),
        };
        (!is_right).then_some(why)
    }

    /// The patterns of Anthropic's reference, with which recorded replies refuse what does not match.
    fn id_fault(self, id: &Value) -> Option<&'static str> {
        let Some(id) = id.as_str() else { return Some("Input should be a valid string") };
        let is_of = |id: &str, more: &str| {
            !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        };
        let (is_right, why) = match self {
            Form::ServerId => (
                id.strip_prefix("srvtoolu_").is_some_and(|rest| is_of(rest, "_")),
                "String should match pattern '^srvtoolu_[a-zA-Z0-9_]+$'",
            ),
            _ => (is_of(id, "_-"), "String should match pattern '^[a-zA-Z0-9_-]+$'"),
        };
        (!is_right).then_some(why)
    }
}

/// The kind of an object that stands at `field`, as `find` knows it by its name.
pub(super) fn kind_of(
    field: &str,
    object: &Value,
    find: &dyn Fn(&str) -> Option<&'static Kind>,
) -> Result<&'static Kind, WireError> {
    if !object.is_object() {
        return Err(invalid(format!("{field}: Input should be an object")));
    }
    let name = match &object["type"] {
        Value::Null => return Err(invalid(format!("{field}.type: Field required"))),
        name => name.as_str().map_or_else(|| name.to_string(), str::to_owned),
    };
    find(&name).ok_or_else(|| invalid(unknown(field, &name)))
}

/// What is said of a `type` that there is not. The API adds what it has by its own version and betas.
pub(super) fn unknown(field: &str, name: &str) -> String {
    format!("{field}: Input tag '{name}' found using 'type' does not match any of the expected tags")
}

/// Refuses fields that are missing, or not those of the kind, or hold something else.
pub(super) fn check_fields(field: &str, object: &Value, kind: &Kind) -> Result<(), WireError> {
    if let Some(name) = kind.required.iter().find(|name| object.get(**name).is_none()) {
        return Err(invalid(format!("{field}.{name}: Field required")));
    }
    for (name, value) in object.as_object().into_iter().flatten() {
        if name != "type" && !kind.has(name) {
            return Err(invalid(format!("{field}.{name}: Extra inputs are not permitted")));
        }
        if value.is_null() && !kind.required.contains(&name.as_str()) {
            continue;
        }
        let is_meant = |kinds: &[&str]| kinds.is_empty() || kinds.contains(&kind.name);
        let form = FORMS.iter().find(|(known, kinds, _)| known == name && is_meant(kinds));
        if let Some(why) = form.and_then(|(.., form)| form.fault(value)) {
            return Err(invalid(format!("{field}.{name}: {why}")));
        }
    }
    Ok(())
}
