//! Starts delivery, and the handle by which the other parts reach it.
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio_util::task::TaskTracker;

use super::dispatch;
use super::error::{SettingsError, StartError, SwitchError};
use super::kinds::Environment;
use super::lane::{Lane, Limits, Services, Settings};
use super::options::Options;
use super::status::Status;
use hookwright_model::clock::Clock;
use hookwright_model::tasks::Tasks;
use hookwright_model::{Delivery, Name};
use hookwright_settings::Destination;
use hookwright_store::{Conditions, WorkQueue};

/// For destinations to close at the host's end.
const CLOSE: Duration = Duration::from_secs(1);

type Lanes = HashMap<Name, Arc<Lane>>;

/// Delivery at work. Cheap to clone.
#[derive(Clone)]
pub struct Handle(Arc<Runtime>);

/// What the clones of a handle have in common: the lanes, and what new ones are made of.
struct Runtime {
    services: Arc<Services>,
    environment: Environment,
    /// Bytes of due bodies in memory, of all lanes together.
    window: usize,
    lanes: ArcSwap<Lanes>,
    /// One change of the settings at a time.
    changing: tokio::sync::Mutex<()>,
}

/// Starts a lane for each destination; each begins with what waits in the
/// rows. Reads the store and the machine's certificates; the latter blocks
/// shortly. To be wired to the
/// store's hand-offs before anything makes new deliveries: what is committed in
/// between is found a minute later only.
///
/// # Errors
/// All that is wrong with the settings, or a store that can't be read. Nothing runs then.
pub async fn start(
    mut options: Options,
    queue: Arc<dyn WorkQueue>,
    conditions: Arc<dyn Conditions>,
    clock: Clock,
    tasks: Tasks,
) -> Result<Handle, StartError> {
    let stop = tasks.stopping().child_token();
    let services = Services {
        attempts: TaskTracker::new(),
        runtime: tokio::runtime::Handle::current(),
        stop,
        cut: Default::default(),
        traces: options.traces.clone(),
        queue,
        conditions,
        clock,
        tasks,
    };
    let (window, destinations) = (options.window, std::mem::take(&mut options.destinations));
    let runtime = Runtime {
        services: Arc::new(services),
        environment: Environment::new(options),
        window,
        lanes: ArcSwap::default(),
        changing: Default::default(),
    };
    let handle = Handle(Arc::new(runtime));
    handle.reconfigure(destinations).await?;
    Ok(handle)
}

impl Handle {
    /// Takes deliveries whose rows are committed or on their way. Never blocks. Those
    /// for destinations that are unknown, disabled, or have enough in memory
    /// are let go: their rows keep them.
    pub fn ready(&self, deliveries: Vec<Delivery>) {
        let lanes = self.0.lanes.load();
        let now_ms = self.0.services.clock.now_ms();
        for delivery in deliveries {
            if let Some(lane) = lanes.get(&*delivery.destination) {
                dispatch::offer(lane, delivery, now_ms);
            }
        }
    }

    /// Takes new settings with nothing dropped: new destinations start, those
    /// that are gone stop after what is in flight, changed ones use the new
    /// settings from the next attempt on. Blocks as `start` does.
    ///
    /// # Errors
    /// All that is wrong with them; the old ones stay active then.
    pub async fn reconfigure(
        &self,
        destinations: HashMap<Name, Destination>,
    ) -> Result<(), StartError> {
        let _one = self.0.changing.lock().await;
        let old = self.0.lanes.load_full();
        let made = self.make(destinations, &old)?;
        let known = self.0.services.conditions.conditions().await?;
        let mut known: HashMap<_, _> = known.into_iter().collect();
        let limits = Limits::share(self.0.window, made.len());
        // Removed lanes stay until nothing is in flight, so that a destination
        // that comes back does not meet itself.
        let mut lanes = Lanes::clone(&old);
        lanes.retain(|name, lane| {
            let wanted = made.contains_key(name);
            wanted || !lane.end_if_idle()
        });
        for (name, lane) in &lanes {
            if !made.contains_key(name) {
                lane.remove();
            }
        }
        let mut new = Vec::new();
        for (name, settings) in made {
            let settings = Arc::new(settings);
            match lanes.get(&name) {
                Some(lane) => lane.configure(settings, limits),
                None => {
                    let condition = known.remove(name.as_str()).unwrap_or_default();
                    let services = Arc::clone(&self.0.services);
                    let lane = Lane::new(name.clone(), services, settings, condition, limits);
                    new.push(Arc::clone(&lane));
                    lanes.insert(name, lane);
                }
            }
        }
        // First reachable, then running: what is handed over before a lane
        // polls the rows for the first time is found there.
        self.0.lanes.store(Arc::new(lanes));
        for lane in new {
            self.0.services.tasks.spawn("delivery lane", dispatch::run(lane));
        }
        Ok(())
    }

    fn make(
        &self,
        destinations: HashMap<Name, Destination>,
        old: &Lanes,
    ) -> Result<HashMap<Name, Settings>, StartError> {
        let mut made = HashMap::with_capacity(destinations.len());
        let mut wrong = Vec::new();
        for (name, options) in destinations {
            let before = old.get(&name).map(|lane| lane.settings());
            match Settings::new(&name, options, &self.0.environment, before.as_deref()) {
                Ok(settings) => drop(made.insert(name, settings)),
                Err(problem) => wrong.push(SettingsError { destination: name, problem }),
            }
        }
        wrong.sort_by(|a, b| a.destination.cmp(&b.destination));
        if wrong.is_empty() { Ok(made) } else { Err(StartError::Settings(wrong)) }
    }

    /// Lets a destination have its deliveries again, whatever stopped them,
    /// beginning with what waits in the rows.
    ///
    /// # Errors
    /// Where the name is unknown, the settings disable it, or the change could
    /// not be written down (it holds until the next start then).
    pub async fn enable(&self, destination: &str) -> Result<(), SwitchError> {
        let lane = self.lane(destination)?;
        if lane.settings().disabled {
            return Err(SwitchError::BySettings { destination: lane.name().clone() });
        }
        lane.enable();
        Ok(lane.write_down().await?)
    }

    /// Keeps a destination's deliveries waiting; what is in flight ends by itself.
    ///
    /// # Errors
    /// As `enable`.
    pub async fn disable(&self, destination: &str, reason: &str) -> Result<(), SwitchError> {
        let lane = self.lane(destination)?;
        lane.disable(reason.to_owned());
        Ok(lane.write_down().await?)
    }

    /// Keeps a destination's deliveries waiting for so long, over a restart too.
    ///
    /// # Errors
    /// As `enable`.
    pub async fn pause(&self, destination: &str, lasts: Duration) -> Result<(), SwitchError> {
        let lane = self.lane(destination)?;
        lane.pause(lasts);
        Ok(lane.write_down().await?)
    }

    /// Closes the breaker and forgets what the destination was slowed down by.
    ///
    /// # Errors
    /// Where the name is unknown.
    pub fn close_breaker(&self, destination: &str) -> Result<(), SwitchError> {
        self.lane(destination)?.close_breaker();
        Ok(())
    }

    /// One in the settings.
    fn lane(&self, destination: &str) -> Result<Arc<Lane>, SwitchError> {
        let lane = self.0.lanes.load().get(destination).cloned();
        let known = lane.filter(|lane| lane.status().is_some());
        known.ok_or_else(|| SwitchError::Unknown(destination.to_owned()))
    }

    /// Which destinations the settings have.
    pub fn names(&self) -> HashSet<Name> {
        let lanes = self.0.lanes.load();
        let known = lanes.values().filter(|lane| !lane.is_removed());
        known.map(|lane| lane.name().clone()).collect()
    }

    /// Every destination in the settings, by name.
    pub fn status(&self) -> Vec<Status> {
        let lanes = self.0.lanes.load();
        let mut all: Vec<_> = lanes.values().filter_map(|lane| lane.status()).collect();
        all.sort_by(|a, b| a.destination.cmp(&b.destination));
        all
    }

    /// Starts no more attempts and waits for those in flight, at most
    /// `deadline`; what is left then is cut off and still waits in its row.
    /// Then closes the destinations, for which they have 1 s at the most.
    /// False where something was cut off.
    pub async fn drain(&self, deadline: Duration) -> bool {
        let services = &self.0.services;
        let lanes = self.0.lanes.load_full();
        lanes.values().for_each(|lane| lane.end());
        services.attempts.close();
        let in_time = tokio::time::timeout(deadline, services.attempts.wait()).await.is_ok();
        services.cut.cancel();
        services.attempts.wait().await;
        let kinds = lanes.values().map(|lane| lane.settings().kind.clone());
        let closing = kinds.map(|kind| async move { kind.close().await });
        let closed = tokio::time::timeout(CLOSE, futures_util::future::join_all(closing)).await;
        in_time && closed.is_ok()
    }
}
