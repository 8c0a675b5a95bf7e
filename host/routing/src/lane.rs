//! One source's lane: a bounded window of events in flight, and the rows behind it.
mod in_flight;
mod reader;
mod worker;

use std::sync::Arc;

use self::in_flight::InFlight;
use self::reader::Reader;
use self::worker::Worker;
use super::pipeline::Pipeline;
use super::shared::Shared;
use hookwright_model::tasks::Tasks;
use hookwright_model::{Event, Name};

/// Routes the events of one source. The router offers it what was just made durable; the rest its reader finds.
pub(super) struct Lane {
    worker: Arc<Worker>,
    in_flight: Arc<InFlight>,
}

impl Lane {
    /// Starts the reader, which resumes what an earlier run left in the rows.
    pub(super) fn start(
        source: Name,
        pipeline: Pipeline,
        shared: Arc<Shared>,
        tasks: &Tasks,
    ) -> Self {
        let worker = Arc::new(Worker::new(source, pipeline, shared, tasks.stopping()));
        let in_flight = InFlight::new();
        tasks.spawn("routing", Reader::new(worker.clone(), in_flight.clone()).run());
        Self { worker, in_flight }
    }

    /// The active pipeline.
    pub(super) fn pipeline(&self) -> Arc<Pipeline> {
        self.worker.pipeline.load_full()
    }

    /// Makes a pipeline active, and opens the lane where it was closed.
    pub(super) fn set_pipeline(&self, pipeline: Pipeline) {
        self.worker.pipeline.store(Arc::new(pipeline));
        if !self.in_flight.set_open(true) {
            self.in_flight.rows_changed();
        }
    }

    /// Begins nothing new. The lane stays, so that a source that comes back does not
    /// route an event twice at once.
    pub(super) fn close(&self) {
        self.in_flight.set_open(false);
    }

    /// The rows have something new.
    pub(super) fn wake(&self) {
        self.in_flight.rows_changed();
    }

    /// Takes what fits; the rest stays with the rows.
    pub(super) fn offer(&self, events: Vec<Arc<Event>>) {
        if !self.in_flight.is_open() || self.worker.stopping.is_cancelled() {
            return;
        }
        let in_turn = self.worker.in_turn();
        let jobs = self.in_flight.offer(events, in_turn);
        if in_turn {
            self.worker.begin_queue(&self.in_flight);
        } else {
            self.worker.begin(jobs);
        }
    }
}
