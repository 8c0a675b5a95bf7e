//! Reads a request's body: bounded in size, time and memory, and copied only if it arrives in pieces.
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::poll;
use http::{Request, header};
use http_body::Body;
use http_body_util::BodyExt;

use super::budget::Spent;
use super::{BodyBroken, Charge};

/// The first buffer for a body in pieces; it doubles as needed.
const FIRST_ROOM: usize = 4 * 1024;
/// Bytes of a refused body that are read, so that its sender sees the response.
const DISCARD: usize = 8 * 1024 * 1024;
const DISCARD_TIME: Duration = Duration::from_secs(5);

/// Why a request's body could not be read. Services turn it into a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It exceeds the service's limit.
    #[error("the body is longer than the limit")]
    TooLarge,
    /// It exceeded the service's timeout.
    #[error("the body did not come in time")]
    Timeout,
    /// The connection ended within it.
    #[error("the body ended before its announced length")]
    Incomplete,
    /// Its trailers are too many or too long.
    #[error("the trailers are over the limits of a request's head")]
    Trailers,
    /// The byte budget, or its holder's share of it, is used up.
    #[error("there was no memory left for the body")]
    Memory,
}

impl From<BodyBroken> for BodyError {
    fn from(broken: BodyBroken) -> Self {
        match broken {
            BodyBroken::Connection(_) | BodyBroken::Cut => Self::Incomplete,
            BodyBroken::Trailers => Self::Trailers,
            BodyBroken::Late => Self::Timeout,
            BodyBroken::Memory => Self::Memory,
        }
    }
}

impl From<std::convert::Infallible> for BodyError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

impl From<Spent> for BodyError {
    fn from(_: Spent) -> Self {
        Self::Memory
    }
}

/// The whole body, at most `max` bytes, within `timeout`. One that comes in one
/// piece is not copied. `charge` holds its bytes as they come, however many are
/// announced, and afterwards: the caller drops it once it is done with them.
///
/// # Errors
/// `TooLarge` before anything is read where the announced length says so.
pub async fn read_body<B>(
    body: &mut B,
    max: usize,
    timeout: Duration,
    charge: &mut Charge,
) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes, Error: Into<BodyError>> + Unpin,
{
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > max {
        return Err(BodyError::TooLarge);
    }
    let most = if announced > 0 { announced } else { max };
    match tokio::time::timeout(timeout, gather(body, most, charge)).await {
        Ok(result) => result,
        Err(_) => Err(BodyError::Timeout),
    }
}

async fn gather<B>(body: &mut B, max: usize, charge: &mut Charge) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes, Error: Into<BodyError>> + Unpin,
{
    let Some(first) = next(body).await? else { return Ok(Bytes::new()) };
    if first.len() > max {
        return Err(BodyError::TooLarge);
    }
    charge.take(first.len())?;
    if body.is_end_stream() {
        return Ok(first);
    }
    let mut whole = Vec::new();
    let mut piece = {
        let mut second = std::pin::pin!(next(body));
        match poll!(second.as_mut()) {
            Poll::Ready(piece) => {
                let Some(piece) = piece? else { return Ok(first) };
                put(&mut whole, &first, max, charge)?;
                Some(piece)
            }
            // A small piece keeps the whole buffer that it was read into, so it is copied before a wait.
            Poll::Pending => {
                put(&mut whole, &first, max, charge)?;
                drop(first);
                second.await?
            }
        }
    };
    while let Some(bytes) = piece {
        put(&mut whole, &bytes, max, charge)?;
        piece = next(body).await?;
    }
    Ok(whole.into())
}

/// Adds a piece, with room that is charged before it is made.
fn put(
    whole: &mut Vec<u8>,
    piece: &[u8],
    max: usize,
    charge: &mut Charge,
) -> Result<(), BodyError> {
    let needed = whole.len() + piece.len();
    if needed > max {
        return Err(BodyError::TooLarge);
    }
    if needed > whole.capacity() {
        let room = needed.max(whole.capacity() * 2).max(FIRST_ROOM).min(max);
        charge.resize(room)?;
        whole.reserve_exact(room - whole.len());
    }
    whole.extend_from_slice(piece);
    Ok(())
}

/// The next piece with bytes in it; none at the end. Trailers are passed over.
async fn next<B>(body: &mut B) -> Result<Option<Bytes>, BodyError>
where
    B: Body<Data = Bytes, Error: Into<BodyError>> + Unpin,
{
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(Into::into)?;
        if let Ok(bytes) = frame.into_data()
            && !bytes.is_empty()
        {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

/// Reads on after a refusal, so that the sender sees the response, unless the sender
/// waits for `100 Continue`.
pub fn spare<B>(request: Request<B>)
where
    B: Body<Data = Bytes, Error: Into<BodyError>> + Send + Unpin + 'static,
{
    if !request.body().is_end_stream() && !request.headers().contains_key(header::EXPECT) {
        tokio::spawn(discard(request.into_body(), DISCARD, DISCARD_TIME));
    }
}

/// Reads and discards, so that a client that is still sending sees the
/// response and not a reset connection. Stops after `max` bytes or `timeout`.
pub async fn discard<B>(mut body: B, max: usize, timeout: Duration)
where
    B: Body<Data = Bytes, Error: Into<BodyError>> + Unpin,
{
    let read = async {
        let mut left = max;
        while let Ok(Some(bytes)) = next(&mut body).await {
            match left.checked_sub(bytes.len()) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    // A client that is still sending then is cut off.
    let _ = tokio::time::timeout(timeout, read).await;
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http_body::{Frame, SizeHint};
    use tokio::time::Instant;

    use super::*;
    use crate::Budget;

    impl From<()> for BodyError {
        fn from((): ()) -> Self {
            Self::Incomplete
        }
    }

    fn charge() -> Charge {
        Budget::new("test", 1024 * 1024).charge([127, 0, 0, 1].into(), None)
    }

    const LONG: Duration = Duration::from_secs(10);

    /// Gives its pieces; a none among them breaks off, and without an end it stays silent.
    #[derive(Default)]
    struct Pieces {
        left: VecDeque<Option<Bytes>>,
        announced: Option<u64>,
        endless: bool,
    }

    fn pieces(pieces: &[&'static str]) -> Pieces {
        let left = pieces.iter().map(|piece| Some(Bytes::from_static(piece.as_bytes())));
        Pieces { left: left.collect(), ..Pieces::default() }
    }

    impl Body for Pieces {
        type Data = Bytes;
        type Error = ();

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, ()>>> {
            match self.left.pop_front() {
                Some(Some(bytes)) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Some(None) => Poll::Ready(Some(Err(()))),
                None if self.endless => Poll::Pending,
                None => Poll::Ready(None),
            }
        }

        fn size_hint(&self) -> SizeHint {
            self.announced.map(SizeHint::with_exact).unwrap_or_default()
        }
    }

    async fn read(mut body: Pieces, max: usize) -> Result<Bytes, BodyError> {
        read_body(&mut body, max, LONG, &mut charge()).await
    }

    #[tokio::test]
    async fn one_piece_is_not_copied() {
        for body in [pieces(&["whole"]), pieces(&["", "whole", ""])] {
            let there = body.left.iter().flatten().find(|piece| !piece.is_empty()).cloned();
            let got = read(body, 5).await.unwrap();
            assert_eq!(got.as_ptr(), there.unwrap().as_ptr());
        }
        assert_eq!(read(pieces(&[]), 0).await.unwrap(), "");
    }

    #[tokio::test]
    async fn pieces_are_gathered_in_order_up_to_the_limit() {
        let parts = ["one ", "two ", "", "three"];
        assert_eq!(read(pieces(&parts), 13).await.unwrap(), "one two three");
        assert_eq!(read(pieces(&parts), 12).await, Err(BodyError::TooLarge));
        assert_eq!(read(pieces(&["12345"]), 4).await, Err(BodyError::TooLarge));
        let mut known = pieces(&parts);
        known.announced = Some(13);
        assert_eq!(read(known, 13).await.unwrap(), "one two three");
    }

    #[tokio::test]
    async fn an_announced_length_over_the_limit_is_refused_unread() {
        let mut body = pieces(&["12345"]);
        body.announced = Some(u64::MAX);
        assert_eq!(read_body(&mut body, 4, LONG, &mut charge()).await, Err(BodyError::TooLarge));
        assert_eq!(body.left.len(), 1);
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_incomplete() {
        for parts in [&["1"][..], &["1", "2"], &[]] {
            let mut body = pieces(parts);
            body.left.push_back(None);
            assert_eq!(read(body, 9).await, Err(BodyError::Incomplete));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stays_away_is_given_up_in_time() {
        for parts in [&[][..], &["1", "2"]] {
            let mut body = pieces(parts);
            body.endless = true;
            let since = Instant::now();
            assert_eq!(read(body, 9).await, Err(BodyError::Timeout));
            assert_eq!(since.elapsed().as_secs(), 10);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn discarding_ends_with_the_body_the_bytes_or_the_time() {
        discard(pieces(&["1", "2"]), 9, LONG).await;
        let mut body = pieces(&["123", "456"]);
        body.endless = true;
        let since = Instant::now();
        discard(body, 5, LONG).await;
        assert_eq!(since.elapsed().as_secs(), 0);
        discard(Pieces { endless: true, ..Pieces::default() }, 5, LONG).await;
        assert_eq!(since.elapsed().as_secs(), 10);
    }

    #[tokio::test]
    async fn bytes_are_charged_as_they_come_and_never_by_what_is_announced() {
        let budget = Budget::new("test", 256 * 1024);
        let mut charge = budget.charge([127, 0, 0, 1].into(), None);
        let mut body = Pieces { endless: true, announced: Some(200_000), ..pieces(&["1", "2"]) };
        let reading = read_body(&mut body, 1024 * 1024, LONG, &mut charge);
        let reading = tokio::time::timeout(Duration::ZERO, reading).await;
        assert!(reading.is_err(), "it still waits");
        assert_eq!(budget.used(), FIRST_ROOM);
        drop(charge);
        let mut charge = budget.charge([127, 0, 0, 1].into(), None);
        let part: &'static str = Box::leak("x".repeat(30_000).into_boxed_str());
        let mut body = pieces(&[part; 6]);
        let told = read_body(&mut body, 1024 * 1024, LONG, &mut charge).await;
        assert_eq!(told, Err(BodyError::Memory), "an address has a third of all, alone");
        assert!(!body.left.is_empty(), "the rest is not read");
    }
}
