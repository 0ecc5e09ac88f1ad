//! What a fault changes in the bytes of an answer that comes whole: its JSON, its events, its pace.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use sortie_providers::dialect::{Dialect, Frames};

use crate::fault::Fault;
use crate::timeline::{Chunk, End, Timeline};

/// Keep-alives of a flood, all told: about 300 kB.
const PINGS: usize = 1000;

/// The most pieces that a reply drips in; one that is longer comes in larger drops, at its rate.
const MAX_DROPS: usize = 20_000;

/// A plain JSON answer as the fault has it.
pub(super) fn body(fault: &Fault, body: Bytes) -> Bytes {
    match edit(fault) {
        Some(edit) => edited(&body, edit),
        None => body,
    }
}

/// A streamed answer as the fault has it.
pub(super) fn frames(fault: &Fault, dialect: &dyn Dialect, mut frames: Frames) -> Frames {
    match (fault, edit(fault)) {
        // The first word on usage stays true, so that the last contradicts it.
        (Fault::WrongUsage, Some(edit)) => frames.closing = edited_events(&frames.closing, edit),
        (_, Some(edit)) => {
            frames.opening = edited_events(&frames.opening, edit);
            frames.pieces = frames.pieces.iter().map(|piece| edited_events(piece, edit)).collect();
            frames.closing = edited_events(&frames.closing, edit);
        }
        (Fault::DuplicateDelta, None) => frames.closing = usage_said_twice(&frames.closing),
        (Fault::PingFlood, None) => flood(&mut frames, dialect),
        _ => {}
    }
    frames
}

/// A change in an object of an answer's JSON; it is shown all of them, from the outside in.
type Edit = fn(&mut serde_json::Map<String, Value>);

fn edit(fault: &Fault) -> Option<Edit> {
    match fault {
        Fault::NoUsage => Some(|object| drop(object.remove("usage"))),
        Fault::NoId => Some(|object| drop(object.remove("id"))),
        Fault::WrongUsage => Some(|object| object.get_mut("usage").into_iter().for_each(halve)),
        _ => None,
    }
}

/// Halves all numbers.
fn halve(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(count) = number.as_u64() {
                *value = (count / 2).into();
            }
        }
        Value::Object(fields) => fields.values_mut().for_each(halve),
        Value::Array(items) => items.iter_mut().for_each(halve),
        _ => {}
    }
}

/// JSON after an edit; what is no object (`[DONE]`) stays as it is.
fn edited(json: &Bytes, edit: Edit) -> Bytes {
    fn walk(value: &mut Value, edit: Edit) {
        match value {
            Value::Object(fields) => {
                edit(fields);
                fields.values_mut().for_each(|value| walk(value, edit));
            }
            Value::Array(items) => items.iter_mut().for_each(|value| walk(value, edit)),
            _ => {}
        }
    }
    match serde_json::from_slice::<Value>(json) {
        Ok(mut value) if value.is_object() => {
            walk(&mut value, edit);
            value.to_string().into()
        }
        _ => json.clone(),
    }
}

/// Events after an edit of what each of them says.
fn edited_events(events: &Bytes, edit: Edit) -> Bytes {
    let text = String::from_utf8_lossy(events);
    let line = |line: &str| match line.strip_prefix("data: ") {
        Some(json) => {
            let json = edited(&Bytes::copy_from_slice(json.as_bytes()), edit);
            format!("data: {}", String::from_utf8_lossy(&json))
        }
        None => line.to_owned(),
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n").into()
}

/// The events with the first that speaks of usage in them twice; where none does, the first is.
fn usage_said_twice(events: &Bytes) -> Bytes {
    let text = String::from_utf8_lossy(events);
    let events: Vec<&str> = text.split_inclusive("\n\n").collect();
    let twice = events.iter().position(|event| event.contains("\"usage\":{")).unwrap_or(0);
    let events = events.iter().enumerate();
    events
        .map(|(nth, event)| if nth == twice { event.repeat(2) } else { (*event).to_owned() })
        .collect::<String>()
        .into()
}

/// Puts keep-alives before each piece: Anthropic's are events, the others' comments.
fn flood(frames: &mut Frames, dialect: &dyn Dialect) {
    let ping = if dialect.name() == "anthropic" {
        "event: ping\ndata: {\"type\": \"ping\"}\n\n"
    } else {
        ": keep-alive\n\n"
    };
    let each = ping.repeat(PINGS.div_ceil(frames.pieces.len().max(1)));
    for piece in &mut frames.pieces {
        *piece = [each.as_bytes(), piece].concat().into();
    }
}

/// The same reply, its body at so many bytes a second from its first byte on.
pub(super) fn dripped(mut timeline: Timeline, bytes_per_second: u32) -> Timeline {
    let Some(first) = timeline.chunks.first().map(|chunk| chunk.at) else { return timeline };
    let whole: Vec<u8> = timeline.chunks.iter().flat_map(|chunk| chunk.bytes.iter().copied()).collect();
    let whole = Bytes::from(whole);
    let drop_size = whole.len().div_ceil(MAX_DROPS).max(1);
    let at = |sent: usize| first + Duration::from_secs_f64(sent as f64 / f64::from(bytes_per_second.max(1)));
    let drops = (0..whole.len()).step_by(drop_size);
    timeline.chunks = drops
        .map(|from| Chunk { at: at(from), bytes: whole.slice(from..whole.len().min(from + drop_size)) })
        .collect();
    timeline.end = End::Closed(timeline.chunks.last().map_or(first, |chunk| chunk.at));
    if let Some(head) = &mut timeline.head {
        head.at = head.at.min(first);
    }
    timeline
}

/// The same reply that stands still for so long after half of its pieces; one that comes in one piece, after half of
/// that.
pub(super) fn paused(mut timeline: Timeline, seconds: u32) -> Timeline {
    if let [Chunk { at, bytes }] = &mut timeline.chunks[..] {
        let rest = bytes.split_off(bytes.len() / 2);
        let at = *at;
        timeline.chunks.push(Chunk { at, bytes: rest });
    }
    let pause = Duration::from_secs(u64::from(seconds));
    let half = timeline.chunks.len() / 2;
    timeline.chunks[half..].iter_mut().for_each(|chunk| chunk.at += pause);
    if let End::Closed(at) = &mut timeline.end {
        *at += pause;
    }
    timeline
}
