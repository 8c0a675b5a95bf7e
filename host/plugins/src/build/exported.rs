//! Reads a component's state through the functions that Wizer's instrumentation exports, for a snapshot.
use std::future::pending;

use tokio::sync::oneshot;
use wasmtime::Store;
use wasmtime::component::{ComponentNamedList, Instance, Lift, WasmList};
use wasmtime_wizer::ComponentInstanceState;

/// An instance of an instrumented component, as Wizer reads it. The library's own reader comes with
/// half a dozen crates that nothing else here needs, and panics where a call fails.
pub(crate) struct ExportedState<'a, T: 'static> {
    store: &'a mut Store<T>,
    instance: Instance,
    failed: Option<oneshot::Sender<wasmtime::Error>>,
}

impl<'a, T: Send> ExportedState<'a, T> {
    /// The state, and what receives the error of the first call that fails. Wizer has no way to
    /// take an error, so that call never returns: wait for both, and drop the snapshot then.
    pub(crate) fn new(
        store: &'a mut Store<T>,
        instance: Instance,
    ) -> (Self, oneshot::Receiver<wasmtime::Error>) {
        let (failed, failure) = oneshot::channel();
        (Self { store, instance, failed: Some(failed) }, failure)
    }

    /// Calls a function without parameters.
    async fn call<R>(&mut self, interface: &str, function: &str) -> R
    where
        R: Lift + Send + Sync + 'static,
        (R,): ComponentNamedList,
    {
        match self.try_call::<R>(interface, function).await {
            Ok(value) => value,
            Err(error) => {
                if let Some(failed) = self.failed.take() {
                    // Nobody waits any more: the call is dropped with the snapshot.
                    let _ended = failed.send(error);
                }
                pending().await
            }
        }
    }

    async fn try_call<R>(&mut self, interface: &str, function: &str) -> wasmtime::Result<R>
    where
        R: Lift + Send + Sync + 'static,
        (R,): ComponentNamedList,
    {
        let missing = || wasmtime::format_err!("no function `{interface}#{function}`");
        let interface = self.instance.get_export_index(&mut *self.store, None, interface);
        let interface = interface.ok_or_else(missing)?;
        let index = self.instance.get_export_index(&mut *self.store, Some(&interface), function);
        let index = index.ok_or_else(missing)?;
        let function = self.instance.get_typed_func::<(), (R,)>(&mut *self.store, index)?;
        Ok(function.call_async(&mut *self.store, ()).await?.0)
    }
}

impl<T: Send> ComponentInstanceState for ExportedState<'_, T> {
    async fn call_func_ret_list_u8(
        &mut self,
        instance: &str,
        func: &str,
        contents: impl FnOnce(&[u8]) + Send,
    ) {
        let list: WasmList<u8> = self.call(instance, func).await;
        contents(list.as_le_slice(&*self.store));
    }

    async fn call_func_ret_s32(&mut self, instance: &str, func: &str) -> i32 {
        self.call(instance, func).await
    }

    async fn call_func_ret_s64(&mut self, instance: &str, func: &str) -> i64 {
        self.call(instance, func).await
    }

    async fn call_func_ret_f32(&mut self, instance: &str, func: &str) -> u32 {
        self.call::<f32>(instance, func).await.to_bits()
    }

    async fn call_func_ret_f64(&mut self, instance: &str, func: &str) -> u64 {
        self.call::<f64>(instance, func).await.to_bits()
    }
}
