//! A trial of settings, before anything runs: whether each destination's client can be made.
use super::error::Problem;
use super::kinds::Environment;
use super::lane::Settings;
use super::options::Options;
use hookwright_model::Name;
use hookwright_settings::Destination;

/// Makes destinations as delivery does, and lets them go. `check` uses it, and
/// the start, to tell of all mistakes at once.
pub struct Trial {
    environment: Environment,
}

impl Default for Trial {
    fn default() -> Self {
        Self { environment: Environment::new(Options::default()) }
    }
}

impl Trial {
    /// Nothing is connected to, and no file is opened.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn make(&self, name: &Name, options: &Destination) -> Result<(), Problem> {
        Settings::new(name, options.clone(), &self.environment, None).map(drop)
    }
}
