//! Bodies: into memory within limits that are checked before memory is taken.

use axum::body::Body;
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::Bytes;
use hyper::header::CONTENT_LENGTH;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::Server;
use super::problem::{Code, Problem};

/// Room taken at a time for a body that does not say how long it is.
const STEP_BYTES: usize = 64 << 10;

/// A body in memory, and its share of the room.
#[derive(Debug)]
pub struct Taken {
    /// Its bytes.
    pub bytes: Vec<u8>,
    _room: Option<OwnedSemaphorePermit>,
}

impl Server {
    /// Reads a body of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// [`Code::TooLarge`], [`Code::Timeout`], [`Code::Busy`] where other bodies take all the room, and
    /// [`Code::InvalidBody`] where it breaks off.
    pub async fn take(&self, headers: &HeaderMap, body: Body, bytes_max: usize) -> Result<Taken, Problem> {
        let said = length(headers)?;
        if said.is_some_and(|said| said > bytes_max as u64) {
            return Err(too_large(bytes_max));
        }
        let said = said.map_or(0, |said| usize::try_from(said).unwrap_or(bytes_max));
        timeout(self.limits.body, self.take_all(body, said, bytes_max)).await.unwrap_or_else(|_| Err(late()))
    }

    async fn take_all(&self, mut body: Body, said: usize, bytes_max: usize) -> Result<Taken, Problem> {
        let (mut room, mut held, mut bytes) = (None, 0, Vec::new());
        if said > 0 {
            self.hold(&mut room, &mut held, said).await?;
            bytes.reserve_exact(said);
        }
        while let Some(data) = self.piece(&mut body).await? {
            let len = bytes.len() + data.len();
            if len > bytes_max {
                return Err(too_large(bytes_max));
            }
            if len > held {
                let step = (len - held).next_multiple_of(STEP_BYTES).max(held).min(self.limits.bodies_bytes);
                self.hold(&mut room, &mut held, step).await?;
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Taken { bytes, _room: room })
    }

    /// Takes more of the room that bodies share.
    async fn hold(
        &self,
        room: &mut Option<OwnedSemaphorePermit>,
        held: &mut usize,
        bytes: usize,
    ) -> Result<(), Problem> {
        let count = u32::try_from(bytes).unwrap_or(u32::MAX);
        let asked = Semaphore::acquire_many_owned(self.room.clone(), count);
        let Ok(Ok(permit)) = timeout(self.limits.patience, asked).await else {
            return Err(Problem::new(
                Code::Busy,
                "the bodies of other requests take all the memory there is for them",
            ));
        };
        match room {
            Some(room) => room.merge(permit),
            None => *room = Some(permit),
        }
        *held += bytes;
        Ok(())
    }

    /// The next bytes of a body that is passed on as it comes; `None` at its end.
    ///
    /// # Errors
    /// [`Code::Timeout`], [`Code::InvalidBody`].
    pub async fn piece(&self, body: &mut Body) -> Result<Option<Bytes>, Problem> {
        loop {
            match timeout(self.limits.silence, body.frame()).await {
                Err(_) => return Err(late()),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => {
                    return Err(Problem::new(Code::InvalidBody, format!("the body breaks off: {error}")));
                }
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}

/// The length that a body says it has.
///
/// # Errors
/// [`Code::InvalidHeader`].
pub fn length(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(CONTENT_LENGTH) else { return Ok(None) };
    let length = value.to_str().ok().and_then(|text| text.parse().ok());
    length.map(Some).ok_or_else(|| Problem::new(Code::InvalidHeader, "`Content-Length` is no number"))
}

/// A body over its limit.
#[must_use]
pub fn too_large(bytes_max: usize) -> Problem {
    Problem::new(Code::TooLarge, format!("the body has more than {bytes_max} bytes; send it in parts"))
        .with("limit", bytes_max)
}

fn late() -> Problem {
    Problem::new(Code::Timeout, "the body did not come in time")
}
