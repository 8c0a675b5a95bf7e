//! The orderly end: no new events, then what is in flight, then the store.
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::App;
use hookwright_model::tasks::Tasks;
use hookwright_store::Maintenance;

/// What the parts get beside the time that the settings give to what is in flight.
const GRACE: Duration = Duration::from_secs(5);

/// Ends everything once the store can't continue without a restart.
pub(super) fn with_the_store(store: &dyn Maintenance, tasks: &Tasks) {
    let (died, stop, all) = (store.died(), tasks.stopping(), tasks.clone());
    tasks.spawn("store", async move {
        tokio::select! {
            () = stop.cancelled() => {}
            why = died => {
                tracing::error!(why, "the host ends, so that it is started again");
                all.stop();
            }
        }
    });
}

impl App {
    /// Runs until SIGTERM, SIGINT, or a part that ended by itself. True where
    /// the stop was asked for and clean.
    pub async fn run_until_signal(self) -> bool {
        let mut terminate = signal(SignalKind::terminate()).expect("a runtime with signals");
        let mut interrupt = signal(SignalKind::interrupt()).expect("a runtime with signals");
        let (work, servers) = (self.work.stopping(), self.servers.stopping());
        let admin = self.admin_servers.stopping();
        let asked = tokio::select! {
            _ = terminate.recv() => true,
            _ = interrupt.recv() => true,
            () = work.cancelled() => false,
            () = servers.cancelled() => false,
            () = admin.cancelled() => false,
        };
        tracing::info!(asked, "stopping");
        self.stop().await && asked
    }

    /// Stops. True where everything ended in time; what did not is in the rows.
    pub async fn stop(self) -> bool {
        self.ready.store(false, Ordering::SeqCst);
        let deadline = self.config.read().shutdown;
        // Side by side: a slow upload must not use up the time of the deliveries.
        let delivery = &self.stages.delivery;
        let (served, delivered) =
            tokio::join!(self.servers.drain(deadline + GRACE), delivery.drain(deadline));
        let worked = self.work.drain(GRACE).await;
        self.stages.plugins.close();
        let closed = self.store.close().await.is_ok();
        self.admin_servers.drain(GRACE).await;
        let clean = served && worked && closed;
        tracing::info!(clean, delivered, "stopped");
        clean
    }
}
