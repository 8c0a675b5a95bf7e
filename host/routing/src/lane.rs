//! One source's lane: a bounded window of events in flight, and the reader of further rows.
mod in_flight;
mod reader;
mod worker;

use std::sync::Arc;

use self::in_flight::InFlight;
use self::reader::Reader;
use self::worker::Worker;
use super::pipeline::Pipeline;
use super::services::Services;
use hookwright_model::tasks::Tasks;
use hookwright_model::{Event, Name};

/// Routes the events of one source. The router offers it events that were just made durable; its reader finds the
/// others in their rows.
pub(super) struct Lane {
    worker: Arc<Worker>,
    in_flight: Arc<InFlight>,
}

impl Lane {
    /// Starts the reader, which resumes the events that an earlier run left in their rows.
    pub(super) fn start(
        source: Name,
        pipeline: Pipeline,
        services: Arc<Services>,
        tasks: &Tasks,
    ) -> Self {
        let worker = Arc::new(Worker::new(source, pipeline, services, tasks.stopping()));
        let in_flight = InFlight::new();
        tasks.spawn("routing", Reader::new(worker.clone(), in_flight.clone()).run());
        Self { worker, in_flight }
    }

    /// The active pipeline.
    pub(super) fn pipeline(&self) -> Arc<Pipeline> {
        self.worker.pipeline.load_full()
    }

    /// Makes a pipeline active, and opens the lane if it was closed.
    pub(super) fn set_pipeline(&self, pipeline: Pipeline) {
        self.worker.pipeline.store(Arc::new(pipeline));
        if !self.in_flight.set_open(true) {
            self.in_flight.rows_changed();
        }
    }

    /// Closes the lane to new events. The lane itself is kept, so that a source that returns to the settings does
    /// not route an event twice at the same time.
    pub(super) fn close(&self) {
        self.in_flight.set_open(false);
    }

    /// To be called when the rows have new work.
    pub(super) fn wake(&self) {
        self.in_flight.rows_changed();
    }

    /// Takes the events that fit into the window; the others stay in their rows.
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
