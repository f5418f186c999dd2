//! A request on its way to a handler: whose it is, and what it asks, read once.

use std::sync::Arc;

use axum::response::Response;
use hyper::{HeaderMap, Method};
use percent_encoding::percent_decode_str;

use super::problem::{Code, Problem};
use super::routes::Route;
use super::{Plane, Server};
use crate::event::suggest::suggest;

/// What a handler gives.
pub type Answer = Result<Response, Problem>;

/// Parameters in one query at most.
const PARAMETERS_MAX: usize = 256;

/// See the module.
#[derive(Debug)]
pub struct Call {
    /// Who is asked.
    pub server: Arc<Server>,
    /// The route.
    pub route: &'static Route,
    /// The method.
    pub method: Method,
    /// The headers.
    pub headers: HeaderMap,
    /// The parts of the path that have names.
    pub path: Vec<(String, String)>,
    /// The query's parameters, in order.
    pub query: Vec<(String, String)>,
}

impl Call {
    /// A named part of the path.
    #[must_use]
    pub fn part(&self, name: &str) -> &str {
        self.path.iter().find(|(part, _)| part == name).map_or("", |(_, value)| value)
    }

    /// The plane that is meant: that of the path, else of the parameter `plane`, else `main`.
    ///
    /// # Errors
    /// [`Code::NoPlane`].
    pub fn plane(&self) -> Result<&Arc<Plane>, Problem> {
        let name = self.plane_name();
        self.server.planes.get(name).ok_or_else(|| {
            let planes: Vec<_> = self.server.planes.keys().map(|name| format!("`{name}`")).collect();
            Problem::new(
                Code::NoPlane,
                format!("there is no plane `{name}`; there are {}", planes.join(", ")),
            )
        })
    }

    /// The name of the plane that is meant.
    #[must_use]
    pub fn plane_name(&self) -> &str {
        match self.part("plane") {
            "" => self.first("plane").unwrap_or("main"),
            name => name,
        }
    }

    /// The first value of a parameter.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(parameter, _)| parameter == name).map(|(_, value)| value.as_str())
    }

    /// Whether a flag is set: `follow`, `follow=true`, `follow=1`.
    ///
    /// # Errors
    /// [`Code::InvalidParameter`].
    pub fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.first(name) {
            None | Some("false" | "0") => Ok(false),
            Some("" | "true" | "1") => Ok(true),
            Some(_) => Err(invalid(name, "it is true or false")),
        }
    }

    /// The value of a parameter that may be given once.
    ///
    /// # Errors
    /// [`Code::InvalidParameter`].
    pub fn one<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Problem> {
        let mut values = self.query.iter().filter(|(parameter, _)| parameter == name);
        let value = values.next();
        if values.next().is_some() {
            return Err(invalid(name, "it is given twice"));
        }
        value.map(|(_, value)| parse(value).map_err(|why| invalid(name, &why))).transpose()
    }

    /// The values of a parameter that may be given several times.
    ///
    /// # Errors
    /// [`Code::InvalidParameter`].
    pub fn all<T>(&self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, Problem> {
        let values = self.query.iter().filter(|(parameter, _)| parameter == name);
        values.map(|(_, value)| parse(value).map_err(|why| invalid(name, &why))).collect()
    }

    /// A number.
    ///
    /// # Errors
    /// [`Code::InvalidParameter`].
    pub fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        self.one(name, |text| text.parse().map_err(|_| "it is a whole number, 0 or more".to_owned()))
    }

    /// A header, as text.
    ///
    /// # Errors
    /// [`Code::InvalidHeader`].
    pub fn header(&self, name: &str) -> Result<Option<&str>, Problem> {
        let text = self.headers.get(name).map(|value| std::str::from_utf8(value.as_bytes()));
        text.transpose()
            .map_err(|_| Problem::new(Code::InvalidHeader, format!("the header `{name}` is not UTF-8")))
    }
}

/// A parameter with a value that it cannot have.
#[must_use]
pub fn invalid(name: &str, why: &str) -> Problem {
    Problem::new(Code::InvalidParameter, format!("the parameter `{name}`: {why}")).with("parameter", name)
}

/// Reads a query; each parameter must be one of the route's.
///
/// # Errors
/// [`Code::InvalidParameter`].
pub fn read_query(text: &str, route: &Route) -> Result<Vec<(String, String)>, Problem> {
    let mut query = Vec::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name)?, decode(value)?);
        if !route.parameters().any(|known| known == name) {
            let near = suggest(&name, route.parameters()).map(|near| format!("; did you mean `{near}`?"));
            let shown: String = name.chars().take(64).collect();
            let why =
                format!("there is no parameter `{}` here{}", shown.escape_debug(), near.unwrap_or_default());
            return Err(Problem::new(Code::InvalidParameter, why));
        }
        if query.len() == PARAMETERS_MAX {
            return Err(Problem::new(
                Code::InvalidParameter,
                format!("there are over {PARAMETERS_MAX} parameters"),
            ));
        }
        query.push((name, value));
    }
    Ok(query)
}

fn decode(text: &str) -> Result<String, Problem> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8().map(std::borrow::Cow::into_owned);
    decoded.map_err(|_| Problem::new(Code::InvalidParameter, "the query is not UTF-8"))
}
