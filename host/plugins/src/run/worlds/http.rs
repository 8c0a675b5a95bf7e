//! The interface `http`: requests to the hosts that the grants name.
use http::HeaderValue;
use wasmtime::{Result, bail};

use crate::limits::HTTP_CALLS;
use crate::run::bindings::hookwright::plugin::http as contract;
use crate::run::guest::Guest;
use crate::run::network::{FetchError, Incoming};
use crate::run::slow::give_way;
use crate::text::escape;

impl contract::Host for Guest {
    async fn send(
        &mut self,
        request: contract::Request,
    ) -> Result<std::result::Result<contract::Response, contract::Error>> {
        self.enter(request.body.len()).await?;
        let Some(network) = self.network.clone() else {
            bail!("`http` is there while an event is handled, not in `describe` or `init`");
        };
        let request = match network.prepare(request) {
            Ok(request) => request,
            Err(why) => return Ok(Err(contract::Error::Refused(why))),
        };
        let Some(fetch) = &network.fetch else {
            let why = "nothing is sent here: not for a shadow or a preview, nor by the commands of an author";
            return Ok(Err(contract::Error::Refused(why.into())));
        };
        if self.requests >= HTTP_CALLS {
            let why = format!("more than {HTTP_CALLS} requests in one call");
            return Ok(Err(contract::Error::Refused(why)));
        }
        self.requests += 1;
        // To wait, and to begin again, is nothing for a thread that others need.
        give_way().await;
        Ok(match fetch.fetch(request).await {
            Ok(answer) => Ok(raise(answer)),
            Err(FetchError::Failed(why)) => Err(contract::Error::Failed(escape(&why, 512))),
            Err(FetchError::Timeout) => Err(contract::Error::Timeout),
            Err(FetchError::TooLarge) => Err(contract::Error::TooLarge),
        })
    }
}

fn raise(answer: Incoming) -> contract::Response {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let named = answer.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value)));
    contract::Response {
        status: answer.status,
        headers: named.collect(),
        body: answer.body.to_vec(),
    }
}
