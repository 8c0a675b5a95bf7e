//! Reads a request's body: bounded in size and time, and copied only where it comes in pieces.
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;

/// The first piece of a body of unknown length makes room for no more than this.
const FIRST_ROOM: usize = 64 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("the body is longer than the limit")]
    TooLarge,
    #[error("the body did not come in time")]
    Timeout,
    #[error("the body ended before its announced length")]
    Incomplete,
}

/// The whole body, at most `max` bytes, within `timeout`. One that comes in one
/// piece is not copied.
///
/// # Errors
/// `TooLarge` before anything is read where the announced length says so.
pub async fn read_body<B>(body: &mut B, max: usize, timeout: Duration) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > max {
        return Err(BodyError::TooLarge);
    }
    match tokio::time::timeout(timeout, gather(body, announced, max)).await {
        Ok(result) => result,
        Err(_) => Err(BodyError::Timeout),
    }
}

async fn gather<B>(body: &mut B, announced: usize, max: usize) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let Some(first) = next(body).await? else { return Ok(Bytes::new()) };
    if first.len() > max {
        return Err(BodyError::TooLarge);
    }
    if body.is_end_stream() {
        return Ok(first);
    }
    let Some(second) = next(body).await? else { return Ok(first) };
    let room = if announced > 0 { announced } else { FIRST_ROOM.min(max) };
    let mut whole = BytesMut::with_capacity(room.max(first.len()));
    whole.extend_from_slice(&first);
    drop(first);
    let mut piece = Some(second);
    while let Some(bytes) = piece {
        if bytes.len() > max - whole.len() {
            return Err(BodyError::TooLarge);
        }
        whole.extend_from_slice(&bytes);
        piece = next(body).await?;
    }
    Ok(whole.freeze())
}

/// The next piece with bytes in it; none at the end. Trailers are passed over.
async fn next<B>(body: &mut B) -> Result<Option<Bytes>, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
{
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| BodyError::Incomplete)?;
        if let Ok(bytes) = frame.into_data()
            && !bytes.is_empty()
        {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

/// Reads on and throws away, so that a client that is still sending sees the
/// answer rather than a reset connection. Gives up after `max` bytes or `timeout`.
pub async fn discard<B>(mut body: B, max: usize, timeout: Duration)
where
    B: Body<Data = Bytes> + Unpin,
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
    // Whoever is still sending then is cut off.
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
        read_body(&mut body, max, LONG).await
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
        assert_eq!(read_body(&mut body, 4, LONG).await, Err(BodyError::TooLarge));
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
}
