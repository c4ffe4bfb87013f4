//! Says again what happens again and again, but not each time.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long nothing is said after something was.
const PAUSE: Duration = Duration::from_secs(10);

/// Lets one message through in ten seconds, with the number of those held back since.
#[derive(Debug, Default)]
pub(crate) struct Quiet(Mutex<Option<(Instant, u64)>>);

impl Quiet {
    /// Calls `speak` with the number of messages that were held back, unless it has just spoken.
    pub(crate) fn say(&self, speak: impl FnOnce(u64)) {
        if let Some(held) = self.may_speak(Instant::now()) {
            speak(held);
        }
    }

    fn may_speak(&self, now: Instant) -> Option<u64> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match last.as_mut() {
            Some((spoken, held)) if now.saturating_duration_since(*spoken) < PAUSE => {
                *held = held.saturating_add(1);
                None
            }
            _ => {
                let held = last.map_or(0, |(_, held)| held);
                *last = Some((now, 0));
                Some(held)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_back_is_counted() {
        let quiet = Quiet::default();
        let start = Instant::now();
        assert_eq!(quiet.may_speak(start), Some(0));
        assert_eq!(quiet.may_speak(start), None);
        assert_eq!(quiet.may_speak(start + PAUSE / 2), None);
        assert_eq!(quiet.may_speak(start + PAUSE), Some(2));
        assert_eq!(quiet.may_speak(start + 2 * PAUSE), Some(0));
    }
}
