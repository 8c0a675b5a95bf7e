//! Waiting for the store, and looking at work once without waiting for it.
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio_util::sync::CancellationToken;

use hookwright_store::WorkQueue;

/// Waits until the store takes what plugins may make of an event. False where
/// the host stops before that; the event is in its row.
pub(super) async fn for_room(store: &Arc<dyn WorkQueue>, stopping: &CancellationToken) -> bool {
    let Some(room) = store.room() else { return true };
    tokio::select! {
        () = stopping.cancelled() => false,
        () = room => true,
    }
}

pub(super) fn poll_once(work: Pin<&mut (impl Future<Output = ()> + ?Sized)>) -> Poll<()> {
    work.poll(&mut Context::from_waker(Waker::noop()))
}
