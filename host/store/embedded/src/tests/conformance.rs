//! The embedded engine passes what every engine passes, with segments that are small and short-lived.
use super::*;
use crate::face::Face;
use hookwright_store::Store;
use hookwright_store_conformance::{End, Engine};

struct InFolder {
    store: Arc<dyn Store>,
    dir: Arc<TempDir>,
}

impl InFolder {
    fn at(dir: Arc<TempDir>, clock: Clock, handoff: Arc<dyn Handoff>) -> Self {
        let mut options = Options::new(dir.path(), clock);
        options.segment_bytes = 1_500;
        options.segment_age = Duration::from_millis(200);
        // Tests read much, and one at a time.
        options.read_spacing = Duration::ZERO;
        let store = open_embedded(options, handoff).unwrap();
        Self { store: Arc::new(Face::new(store)), dir }
    }
}

impl Engine for InFolder {
    fn open(clock: Clock, handoff: Arc<dyn Handoff>) -> Self {
        Self::at(Arc::new(TempDir::new().unwrap()), clock, handoff)
    }

    fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    async fn reopen(self, end: End, clock: Clock, handoff: Arc<dyn Handoff>) -> Self {
        let dir = match end {
            End::Crash => snapshot(self.dir.path()),
            End::Orderly => Arc::clone(&self.dir),
        };
        self.store.close().await.unwrap();
        Self::at(dir, clock, handoff)
    }
}

hookwright_store_conformance::suite!(InFolder);
