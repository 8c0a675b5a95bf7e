//! The conformance suite: what every engine of the event store must do, whatever it stands on.
//!
//! An engine's tests implement [`Engine`] once and name it in [`suite!`], which
//! makes a test of each case here. The cases speak the store's face alone, so
//! what they ask is what the other crates may rely on; what only one engine has
//! (files, damage, a full disk) is tested in that engine, with the events and
//! outcomes of [`fixtures`].
#![deny(missing_docs)]
// The cases are tests, which happen to stand in a library.
#![allow(clippy::unwrap_used)]
mod bench;
#[doc(hidden)]
pub mod cases;
pub mod fixtures;

use std::sync::Arc;

use hookwright_model::clock::Clock;
use hookwright_store::{Handoff, Store};

/// An engine as the suite opens, uses and reopens it.
///
/// Each value owns what its store stands on (a folder, a schema), which goes
/// with it.
pub trait Engine: Sized + 'static {
    /// An empty store that reads the time from the clock.
    fn open(clock: Clock, handoff: Arc<dyn Handoff>) -> Self;

    /// The open store.
    fn store(&self) -> &Arc<dyn Store>;

    /// The store after the host's end and its next start.
    fn reopen(
        self,
        end: End,
        clock: Clock,
        handoff: Arc<dyn Handoff>,
    ) -> impl Future<Output = Self>;
}

/// How the host ended before the store was opened again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The store was closed.
    Orderly,
    /// The host was killed: only what was durable is left.
    Crash,
}

/// Makes a test of each case, for one engine.
///
/// ```ignore
/// hookwright_store_conformance::suite!(InFolder);
/// ```
#[macro_export]
macro_rules! suite {
    ($engine:ty) => {
        $crate::suite!($engine:
            intake::an_event_comes_back_byte_for_byte_and_is_handed_on,
            intake::ids_rise_also_when_the_clock_steps_back,
            intake::of_a_hundred_events_with_one_key_at_once_one_is_new,
            intake::a_key_is_known_to_the_end_of_its_window_and_of_its_source_alone,
            intake::a_key_is_known_after_a_restart_and_after_a_crash,
            claims::a_claim_has_all_that_was_handed_in_before_it,
            claims::two_claimants_at_once_see_what_waits_and_nothing_that_ended,
            claims::pages_follow_one_another_by_their_cursors,
            claims::a_cursor_of_another_store_is_refused,
            claims::times_of_a_clock_that_was_ahead_are_brought_back,
            claims::what_is_handed_in_after_the_close_is_refused,
            rounds::a_replay_starts_a_new_round_and_keeps_the_attempts,
            rounds::an_attempt_that_ends_late_is_kept_and_success_wins,
            rounds::what_waits_is_discarded_in_steps_and_what_is_behind_goes_first,
            rounds::one_that_waits_for_its_retry_holds_its_key_up_and_no_other,
            lists::a_search_finds_bodies_by_their_bytes_and_says_where_it_stopped,
            lists::a_feed_continues_from_where_it_was,
            lists::filters_leave_what_they_name,
            kept::plugin_state_is_kept_with_outcomes_in_their_order,
            kept::conditions_and_jobs_are_kept_over_a_restart,
            kept::a_crash_with_work_pending_repeats_work_and_loses_none,
            kept::a_purge_beside_readers_drops_what_is_finished_and_old_alone,
            order::of_each_order_key_one_delivery_is_due_and_the_earliest_follows,
            model::the_store_says_what_the_model_says,
        );
    };
    ($engine:ty: $($module:ident :: $case:ident),+ $(,)?) => {
        $(
            #[test]
            fn $case() {
                $crate::cases::$module::$case::<$engine>();
            }
        )+
    };
}
