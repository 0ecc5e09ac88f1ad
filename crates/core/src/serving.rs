//! A server that answers so many requests at a time, keeps the others waiting in the order of their arrival,
//! and slows down as it fills.
//!
//! It is what a simulator and a forecast suppose of a server of one's own (llama.cpp's, for one: so many slots,
//! and a queue that never ends). Nothing here refuses a request, and nobody who waits is told so.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How many requests a server answers at a time, and how much slower it is then.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Serving {
    /// How many it answers at a time, at least 1; as many as come unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slots: Option<u32>,
    /// How many times longer an answer takes where so many are being answered when it begins, itself
    /// included: the first number is for one alone, the last one for more, too. None: as long as ever.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub slowdown: Vec<f64>,
}

impl Serving {
    /// How many times longer an answer takes that begins as one of so many.
    pub fn factor(&self, busy: usize) -> f64 {
        let at = busy.min(self.slowdown.len()).saturating_sub(1);
        self.slowdown.get(at).copied().unwrap_or(1.0)
    }
}

/// When a request's turn comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// When it is begun.
    pub begins: Duration,
    /// How many are being answered then, itself included.
    pub busy: usize,
}

/// What a server is answering, and what waits there. Times are of one clock, whichever.
///
/// A turn is settled when a request arrives. Who leaves early frees a place for those that arrive later;
/// those that wait already keep their turns.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    places: Vec<Place>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    /// Who has it, where it may be left early.
    holder: Option<u64>,
    begins: Duration,
    ends: Duration,
}

impl Queue {
    /// The turn of a request that arrives now, no earlier than any before it. Without slots it is now.
    pub fn turn(&mut self, slots: Option<u32>, now: Duration) -> Turn {
        self.places.retain(|place| place.ends > now);
        // Nobody overtakes those that wait.
        let behind = self.places.iter().map(|place| place.begins).max().unwrap_or(now).max(now);
        // All of them have begun by then, so only their ends count.
        let mut ends: Vec<Duration> =
            self.places.iter().map(|place| place.ends).filter(|ends| *ends > behind).collect();
        let slots = slots.map_or(usize::MAX, |slots| slots.max(1) as usize);
        let mut begins = behind;
        if ends.len() >= slots {
            let nth = ends.len() - slots;
            begins = *ends.select_nth_unstable(nth).1;
        }
        Turn { begins, busy: 1 + ends.iter().filter(|end| **end > begins).count() }
    }

    /// Takes a place from its turn until then.
    pub fn take(&mut self, holder: Option<u64>, begins: Duration, ends: Duration) {
        self.places.push(Place { holder, begins, ends });
    }

    /// Whoever has this place leaves it at this time, if it is not left by then.
    pub fn leave(&mut self, holder: u64, at: Duration) {
        let Some(index) = self.places.iter().position(|place| place.holder == Some(holder)) else { return };
        let place = &mut self.places[index];
        place.ends = place.ends.min(at);
        if place.ends <= place.begins {
            self.places.swap_remove(index);
        }
    }

    /// Nobody is there any more.
    pub fn clear(&mut self) {
        self.places.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// When requests begin that arrive at these seconds and take so many each, and beside how many.
    fn begun(slots: Option<u32>, arrivals: &[(u64, u64)]) -> Vec<(u64, usize)> {
        let mut queue = Queue::default();
        let turn = |&(at, takes): &(u64, u64)| {
            let turn = queue.turn(slots, second(at));
            queue.take(None, turn.begins, turn.begins + second(takes));
            (turn.begins.as_secs(), turn.busy)
        };
        arrivals.iter().map(turn).collect()
    }

    #[test]
    fn requests_beyond_the_slots_wait_in_the_order_of_their_arrival() {
        let arrivals = [(0, 4), (0, 6), (1, 1), (1, 9), (2, 1), (20, 1)];
        let all_at_once = [(0, 1), (0, 2), (1, 3), (1, 4), (2, 4), (20, 1)];
        assert_eq!(begun(None, &arrivals), all_at_once);
        assert_eq!(begun(Some(1), &arrivals), [(0, 1), (4, 1), (10, 1), (11, 1), (20, 1), (21, 1)]);
        assert_eq!(begun(Some(2), &arrivals), [(0, 1), (0, 2), (4, 2), (5, 2), (6, 2), (20, 1)]);
        assert_eq!(begun(Some(9), &arrivals), all_at_once);
    }

    #[test]
    fn who_leaves_frees_the_place_for_those_that_come_later() {
        let check = |left: u64, at: u64, expected: u64| {
            let mut queue = Queue::default();
            for holder in 0..2 {
                let turn = queue.turn(Some(1), second(0));
                queue.take(Some(holder), turn.begins, turn.begins + second(10));
            }
            queue.leave(left, second(at));
            queue.leave(7, second(0));
            assert_eq!(queue.turn(Some(1), second(at)).begins, second(expected), "{left} leaves at {at}");
        };
        check(1, 15, 15);
        // Before its turn.
        check(1, 5, 10);
        // The one that waits keeps its turn.
        check(0, 5, 20);
        check(1, 25, 25);
    }

    #[test]
    fn the_last_factor_counts_for_more() {
        let serving = Serving { slots: None, slowdown: vec![1.0, 1.5, 2.0] };
        let tenths = |serving: &Serving, busy| (serving.factor(busy) * 10.0) as u32;
        assert_eq!([1, 2, 3, 9].map(|busy| tenths(&serving, busy)), [10, 15, 20, 20]);
        assert_eq!(tenths(&Serving::default(), 5), 10);
    }
}
