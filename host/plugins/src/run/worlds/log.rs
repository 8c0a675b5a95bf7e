//! The interface `log`: what a guest says goes into its event's log.
use wasmtime::Result;

use crate::run::bindings::hookwright::plugin::log;
use crate::run::guest::Guest;
use crate::run::log::Level;

impl log::Host for Guest {
    async fn log(&mut self, level: log::Level, message: String) -> Result<()> {
        self.enter(message.len()).await?;
        let level = match level {
            log::Level::Trace => Level::Trace,
            log::Level::Debug => Level::Debug,
            log::Level::Info => Level::Info,
            log::Level::Warn => Level::Warn,
            log::Level::Error => Level::Error,
        };
        self.log.write(level, &message);
        Ok(())
    }
}
