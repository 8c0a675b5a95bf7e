//! A share of all events, and which of them are in it.

/// A part of the whole, to a millionth of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

impl Share {
    /// So many millionths of a percent are everything.
    const WHOLE: u32 = 100_000_000;

    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Everything.
    pub const ALL: Self = Self(Self::WHOLE);

    /// From millionths of a percent; none where they are more than everything.
    pub fn new(millionths: u32) -> Option<Self> {
        (millionths <= Self::WHOLE).then_some(Self(millionths))
    }

    /// From whole per cents; none where they are more than a hundred.
    pub fn percent(percent: u32) -> Option<Self> {
        Self::new(percent.checked_mul(Self::WHOLE / 100)?)
    }

    /// From a part of 1, rounded to a millionth of a percent; what is outside of 0
    /// to 1 is taken as the nearer of them.
    pub fn fraction(part: f64) -> Self {
        // The cast saturates; what is not a number becomes 0.
        Self(((part * f64::from(Self::WHOLE)).round() as u32).min(Self::WHOLE))
    }

    /// Whether `part` of `whole` are at least this share.
    pub fn is_reached(self, part: u32, whole: u32) -> bool {
        u64::from(part) * u64::from(Self::WHOLE) >= u64::from(whole) * u64::from(self.0)
    }

    /// Whether it holds `number`, one of numbers that are spread evenly over all of 64 bits. It
    /// holds its part of them to within one, and each that a smaller share holds.
    pub fn holds(self, number: u64) -> bool {
        // Scaled down, not divided: a remainder would favour some.
        let place = (u128::from(number) * u128::from(Self::WHOLE)) >> 64;
        place < u128::from(self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_holds_none_and_everything_all() {
        for number in [0, 1, u64::MAX / 2, u64::MAX] {
            assert!(!Share::NONE.holds(number) && Share::ALL.holds(number), "{number}");
        }
        assert_eq!(Share::new(Share::WHOLE), Some(Share::ALL));
        assert_eq!(Share::new(Share::WHOLE + 1), None);
    }

    #[test]
    fn percentages_and_fractions_are_shares() {
        assert_eq!(Share::percent(100), Some(Share::ALL));
        assert_eq!(Share::percent(101), None);
        assert_eq!(Share::percent(u32::MAX), None);
        assert_eq!(Share::percent(80), Some(Share::fraction(0.8)));
        for (part, share) in [(-1.0, Share::NONE), (f64::NAN, Share::NONE), (1e300, Share::ALL)] {
            assert_eq!(Share::fraction(part), share);
        }
    }

    proptest! {
        #[test]
        fn a_share_is_reached_by_exact_numbers(percent in 0u32..=100, part in 0u32..1_000, whole in 0u32..1_000) {
            let share = Share::percent(percent).unwrap();
            prop_assert_eq!(share.is_reached(part, whole), part * 100 >= whole * percent);
        }

        /// So of 2⁶⁴ numbers it holds its part, to within one.
        #[test]
        fn it_ends_exactly_where_its_part_ends(millionths in 1u32..Share::WHOLE) {
            let share = Share::new(millionths).unwrap();
            let part = (u128::from(millionths) << 64).div_ceil(u128::from(Share::WHOLE)) as u64;
            prop_assert!(share.holds(0) && share.holds(part - 1));
            prop_assert!(!share.holds(part) && !share.holds(u64::MAX));
        }

        #[test]
        fn a_larger_share_holds_what_a_smaller_one_does(a in 0u32..=Share::WHOLE, b in 0u32..=Share::WHOLE, number: u64) {
            let (small, large) = (Share(a.min(b)), Share(a.max(b)));
            prop_assert!(!small.holds(number) || large.holds(number));
        }
    }
}
