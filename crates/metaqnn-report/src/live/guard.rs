//! Who is answered: on this machine's own address only requests that name it, elsewhere only those that know the token.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

use super::page;
use super::watch::Site;

/// Nothing is loaded from elsewhere, nothing runs that stands in the page, and no other page may frame it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                                       connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The rules.
pub(crate) struct Guard {
    token: Option<String>,
    /// Names by which a request may call the server; any where the list is empty.
    hosts: Vec<String>,
    /// Name of the cookie that holds the token: cookies do not tell ports apart.
    cookie: String,
}

impl Guard {
    /// The rules of a server at `address`.
    pub(crate) fn new(address: SocketAddr, token: Option<String>) -> Self {
        let port = address.port();
        // A page elsewhere may point a name of its own at this machine (DNS rebinding): it cannot choose these names.
        let hosts = match address.ip().is_loopback() {
            true => {
                let names = ["127.0.0.1", "localhost", "[::1]"].map(|name| format!("{name}:{port}"));
                names.into_iter().chain([address.to_string()]).collect()
            }
            false => Vec::new(),
        };
        Guard { token, hosts, cookie: format!("metaqnn-{port}") }
    }

    /// The token, where one is needed.
    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    fn allows_host(&self, headers: &HeaderMap) -> bool {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        self.hosts.is_empty() || host.is_some_and(|host| self.hosts.iter().any(|it| it.eq_ignore_ascii_case(host)))
    }

    /// Compares in a time that does not tell how much of it is right.
    fn is_token(&self, found: &str) -> bool {
        self.token.as_ref().is_some_and(|token| bool::from(token.as_bytes().ct_eq(found.as_bytes())))
    }

    fn has_cookie(&self, headers: &HeaderMap) -> bool {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.any(|(name, value)| name == self.cookie && self.is_token(value))
    }
}

/// Refuses what is not to be answered, and adds to every answer the headers that keep a page to itself.
pub(crate) async fn check(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let mut response = match refuse(&site.guard, &request) {
        Some(refusal) => refusal,
        None => {
            site.note_request();
            next.run(request).await
        }
    };
    let headers = response.headers_mut();
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    response
}

fn refuse(guard: &Guard, request: &Request) -> Option<Response> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = page::message(StatusCode::METHOD_NOT_ALLOWED, "Only GET", "This server only shows.");
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Some(response);
    }
    if !guard.allows_host(request.headers()) {
        let text = "This server answers only to the address of this machine itself: open the address that `metaqnn serve` printed.";
        return Some(page::message(StatusCode::FORBIDDEN, "Not by this name", text));
    }
    // The style is no secret, and the page that asks for the token needs it.
    let is_asset = request.uri().path().starts_with("/assets/");
    if guard.token.is_none() || is_asset || guard.has_cookie(request.headers()) {
        return None;
    }
    let query = request.uri().query().unwrap_or_default();
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    match pairs.find(|(name, value)| name == "token" && guard.is_token(value)) {
        Some((_, token)) => Some(remember(guard, request, &token)),
        None => {
            let text = "Open the address that `metaqnn serve` printed, with its token.";
            Some(page::message(StatusCode::UNAUTHORIZED, "A token is needed", text))
        }
    }
}

/// Keeps the token in a cookie and leads to the same address without it, so that it stays out of bookmarks and histories.
fn remember(guard: &Guard, request: &Request, token: &str) -> Response {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let pairs = form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes());
    query.extend_pairs(pairs.filter(|(name, _)| name != "token"));
    let query = query.finish();
    // Two slashes at the beginning would lead to another server.
    let path = request.uri().path().trim_start_matches(['/', '\\']);
    let location = format!("/{path}{}{query}", if query.is_empty() { "" } else { "?" });
    let cookie = format!("{}={token}; HttpOnly; SameSite=Strict; Path=/", guard.cookie);
    (StatusCode::SEE_OTHER, [(header::LOCATION, location), (header::SET_COOKIE, cookie)]).into_response()
}
