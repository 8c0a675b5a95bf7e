//! Whether the clock is believed: a jump ahead only once it has held. Pure.
//!
//! Clocks are set wrong: by a time server, an image that was made elsewhere, a
//! person. What a wrong clock makes old is gone for good; what it makes young
//! is kept for longer. So steps back are believed at once.

/// What a clock may gain on the time that passed before it counts as a jump, milliseconds.
const JUMP_MS: u64 = 3_600_000;
/// So long a jump must hold, milliseconds.
const HOLD_MS: u64 = 24 * 3_600_000;

/// What is known of a clock.
#[derive(Debug)]
pub(super) struct Belief {
    /// The last time that was believed, and how much time had passed since the start.
    wall_ms: u64,
    steady_ms: u64,
    /// When the clock was first seen to have jumped.
    jumped_ms: Option<u64>,
}

impl Belief {
    pub(super) fn new(wall_ms: u64, steady_ms: u64) -> Self {
        Self { wall_ms, steady_ms, jumped_ms: None }
    }

    /// What time it surely is, where the clock says `wall_ms` and so much time
    /// has passed since the start.
    pub(super) fn look(&mut self, wall_ms: u64, steady_ms: u64) -> u64 {
        let passed = steady_ms.saturating_sub(self.steady_ms);
        let expected = self.wall_ms.saturating_add(passed);
        if wall_ms > expected.saturating_add(JUMP_MS) {
            let jumped = *self.jumped_ms.get_or_insert(steady_ms);
            if steady_ms.saturating_sub(jumped) < HOLD_MS {
                return expected;
            }
        }
        *self = Self::new(wall_ms, steady_ms);
        wall_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;
    const NOW: u64 = 1_700_000_000_000;

    #[test]
    fn a_jump_ahead_is_believed_after_a_day_and_one_back_at_once() {
        let mut belief = Belief::new(NOW, 0);
        assert_eq!(belief.look(NOW + HOUR, 10), NOW + HOUR, "an hour is no jump");
        let (wall, far) = (NOW + HOUR, 74 * 365 * 24 * HOUR);
        assert_eq!(belief.look(wall + far, 1_010), wall + 1_000);
        assert_eq!(belief.look(wall + far + 23 * HOUR, 23 * HOUR), wall + 23 * HOUR - 10);
        assert_eq!(belief.look(wall + 20 * HOUR, 23 * HOUR), wall + 20 * HOUR, "set right");
        assert_eq!(belief.look(wall + far, 23 * HOUR), wall + 20 * HOUR);
        let later = 24 * HOUR;
        assert_eq!(belief.look(wall + far + later, 23 * HOUR + later), wall + far + later);
        assert_eq!(belief.look(NOW, 48 * HOUR), NOW);
    }

    #[test]
    fn time_that_passes_is_no_jump_however_seldom_it_is_looked_at() {
        let mut belief = Belief::new(NOW, 0);
        let year = 365 * 24 * HOUR;
        assert_eq!(belief.look(NOW + year, year), NOW + year);
    }
}
