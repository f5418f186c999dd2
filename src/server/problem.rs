//! What a request is told when it is not answered: RFC 9457, with a code that does not change.

use axum::body::Body;
use axum::response::Response;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::{Map, Value};

use crate::blob::store;
use crate::log::place::PlaceError;
use crate::log::{self, Conflict};

macro_rules! codes {
    ($($(#[doc = $about:literal])+ $code:ident = $status:literal $name:literal,)+) => {
        /// Why, for programs: a code and its HTTP status.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code { $($(#[doc = $about])+ $code,)+ }

        impl Code {
            /// Every code.
            pub const ALL: &[Code] = &[$(Code::$code),+];

            /// Its name, which does not change.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Code::$code => $name,)+ }
            }

            /// The HTTP status.
            #[must_use]
            pub fn status(self) -> u16 {
                match self { $(Code::$code => $status,)+ }
            }

            /// What it means, in a sentence.
            #[must_use]
            pub fn about(self) -> &'static str {
                match self { $(Code::$code => concat!($($about),+).trim_ascii_start(),)+ }
            }
        }
    };
}

codes! {
    /// A parameter is unknown, is missing, or has a value that it cannot have.
    InvalidParameter = 400 "invalid_parameter",
    /// A header has a value that it cannot have.
    InvalidHeader = 400 "invalid_header",
    /// The body is no energy, or not what its content type says.
    InvalidBody = 400 "invalid_body",
    /// The topic is none.
    InvalidTopic = 400 "invalid_topic",
    /// No token, or none that is known.
    Unauthorized = 401 "unauthorized",
    /// The token's role does not allow it.
    Forbidden = 403 "forbidden",
    /// The topic belongs to the engine.
    ReservedTopic = 403 "reserved_topic",
    /// There is no such route.
    NoRoute = 404 "no_route",
    /// There is no such plane.
    NoPlane = 404 "no_plane",
    /// There is no such energy, stream, content, spell or key.
    NotFound = 404 "not_found",
    /// The route exists, the method does not.
    MethodNotAllowed = 405 "method_not_allowed",
    /// None of the formats that are accepted can be given.
    NotAcceptable = 406 "not_acceptable",
    /// The body did not come in time.
    Timeout = 408 "timeout",
    /// The stream is not at the version that was expected.
    VersionConflict = 409 "version_conflict",
    /// The id belongs to another energy.
    IdConflict = 409 "id_conflict",
    /// What must not have happened has.
    ConditionFailed = 409 "condition_failed",
    /// The server was started with a spell of that name.
    SpellConflict = 409 "spell_conflict",
    /// The energy is no longer kept.
    Gone = 410 "gone",
    /// The key is not at the version that was expected.
    PreconditionFailed = 412 "precondition_failed",
    /// The body is larger than the limit.
    TooLarge = 413 "too_large",
    /// The content type is none that is taken.
    UnsupportedMediaType = 415 "unsupported_media_type",
    /// The spell cannot run; the member `report` says why.
    SpellRefused = 422 "spell_refused",
    /// Too much waits already: come back.
    Busy = 429 "busy",
    /// Something went wrong that should not; it is in the server's log.
    Internal = 500 "internal",
    /// A projection cannot be loaded, or failed on an energy.
    ProjectionFailed = 500 "projection_failed",
    /// The log failed and takes nothing more, an engine did, or the server stops.
    Unavailable = 503 "unavailable",
    /// The answer that a spell gave to a request makes no sense.
    BadAnswer = 502 "bad_answer",
    /// No spell answered the request in time.
    NoAnswer = 504 "no_answer",
    /// The disk is full.
    Full = 507 "full",
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Problem {
    code: Code,
    detail: String,
    members: Map<String, Value>,
}

impl Problem {
    /// A problem, in words: what happened, where, what to do.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), members: Map::new() }
    }

    /// Adds a member for programs.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// A member for programs.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// As the answer to a request.
    #[must_use]
    pub fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut object = Map::new();
        object.insert("title".into(), status.canonical_reason().unwrap_or("Error").into());
        object.insert("status".into(), self.code.status().into());
        object.insert("code".into(), self.code.name().into());
        object.insert("detail".into(), self.detail.into());
        object.extend(self.members);
        let mut response = Response::new(Body::from(format!("{}\n", Value::Object(object))));
        *response.status_mut() = status;
        let json = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        let (name, value) = match self.code {
            Code::Busy => (RETRY_AFTER, "1"),
            Code::Unauthorized => (WWW_AUTHENTICATE, "Bearer"),
            _ => return response,
        };
        response.headers_mut().insert(name, HeaderValue::from_static(value));
        response
    }
}

impl From<Conflict> for Problem {
    fn from(conflict: Conflict) -> Self {
        let detail = conflict.to_string();
        match conflict {
            Conflict::Version { stream, actual, expected } => Self::new(Code::VersionConflict, detail)
                .with("stream", stream)
                .with("actual", actual)
                .with("expected", expected),
            Conflict::Id { id, position } => {
                Self::new(Code::IdConflict, detail).with("id", id.to_string()).with("position", position)
            }
            Conflict::Query { position, after } => {
                Self::new(Code::ConditionFailed, detail).with("position", position).with("after", after)
            }
        }
    }
}

impl From<log::Error> for Problem {
    fn from(error: log::Error) -> Self {
        let code = match &error {
            log::Error::UnknownId(_) => Code::NotFound,
            log::Error::TooLarge { .. } => Code::TooLarge,
            log::Error::Poisoned(_) => Code::Unavailable,
            _ => Code::Internal,
        };
        Self::internal(code, &error)
    }
}

impl From<PlaceError> for Problem {
    fn from(error: PlaceError) -> Self {
        match error {
            PlaceError::Log(error) => error.into(),
            PlaceError::Ended(_) => Self::new(Code::Gone, error.to_string()),
            PlaceError::Beyond { last, .. } => {
                Self::new(Code::NotFound, error.to_string()).with("last", last)
            }
        }
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        let code = match &error {
            store::Error::TooLarge { .. } | store::Error::OverLimit { .. } => Code::TooLarge,
            store::Error::Poisoned { .. } => Code::Unavailable,
            store::Error::Full { .. } => Code::Full,
            store::Error::Input(_) => Code::InvalidBody,
            _ => Code::Internal,
        };
        Self::internal(code, &error)
    }
}

impl Problem {
    /// An error, which is also told to who runs the server where it is not the client's. It may name files of the
    /// server's, so the client is not given its words then.
    fn internal(code: Code, error: &dyn std::error::Error) -> Self {
        match code {
            Code::Internal => {
                tracing::error!(%error, "a request failed");
                Self::new(code, "the server failed; its log says why")
            }
            Code::Unavailable => {
                tracing::error!(%error, "the log failed");
                Self::new(
                    code,
                    "the log takes nothing more since it failed; whether this append was stored is not known",
                )
            }
            _ => Self::new(code, error.to_string()),
        }
    }
}
