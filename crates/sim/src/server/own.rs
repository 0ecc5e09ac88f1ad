//! Who may see the simulator's own pages: whoever names this very server.
//!
//! A page in somebody's browser reaches servers of its own machine by a name of its own that resolves to
//! here (DNS rebinding); the browser says that name in `Host`, and what the page is in `Origin`. Only the
//! simulator's pages are kept from it: its APIs hold nothing but what was just sent to them, and clients
//! may come to them by a proxy's name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use http::header::{CONTENT_TYPE, HOST, HeaderName, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::timeline::{ServerRequest, Timeline};

/// What the paths of the pages begin with.
pub(super) const PAGES: &str = "/_sim/";

/// The port of an origin that names none.
const HTTP: u16 = 80;

/// The reply to who may not see a page that is asked for.
pub(super) fn refused(request: &ServerRequest, address: SocketAddr) -> Option<Timeline> {
    if !request.path.starts_with(PAGES) {
        return None;
    }
    let hosts = said(&request.headers, &HOST);
    let is_host = |host: Option<&str>| host.is_some_and(|host| is_here(host, address.port(), address));
    if hosts.is_empty() || !hosts.into_iter().all(is_host) {
        let text = format!("{PAGES} is served to who asks {address} or localhost, by that name\n");
        return Some(page(StatusCode::MISDIRECTED_REQUEST, text));
    }
    let is_origin = |origin: Option<&str>| {
        let authority = origin.and_then(|origin| origin.strip_prefix("http://"));
        authority.is_some_and(|authority| is_here(authority, HTTP, address))
    };
    if !said(&request.headers, &ORIGIN).into_iter().all(is_origin) {
        return Some(page(
            StatusCode::FORBIDDEN,
            format!("{PAGES} is not served to pages of other origins\n"),
        ));
    }
    None
}

/// Every value of a header, none where it is no text.
fn said<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<Option<&'a str>> {
    headers.get_all(name).iter().map(|value| value.to_str().ok()).collect()
}

/// Whether this names the server at `address`: a host, and its port where that is not `port_unless_said`.
fn is_here(authority: &str, port_unless_said: u16, address: SocketAddr) -> bool {
    let Ok(parsed) = authority.parse::<Authority>() else { return false };
    let host = parsed.host();
    let port = match authority.strip_prefix(host) {
        Some("") => Some(port_unless_said),
        Some(rest) => rest.strip_prefix(':').and_then(|port| port.parse().ok()),
        None => None,
    };
    let ip: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    let is_ours = |ip: IpAddr| {
        // Of a server at all of the machine's addresses any may be meant; rebinding needs a name.
        let here = [address.ip(), Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        here.contains(&ip) || address.ip().is_unspecified()
    };
    port == Some(address.port()) && (host.eq_ignore_ascii_case("localhost") || ip.is_some_and(is_ours))
}

/// Plain text, so that nobody takes it for an API's.
fn page(status: StatusCode, text: String) -> Timeline {
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("text/plain"))]);
    Timeline::whole(Duration::ZERO, status, headers, text.into())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Method;

    use super::*;

    fn status(address: &str, headers: &[(HeaderName, &'static str)], path: &str) -> Option<u16> {
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.append(name, HeaderValue::from_static(value));
        }
        let path = path.to_owned();
        let request =
            ServerRequest { method: Method::GET, path, query: None, headers: all, body: Bytes::new() };
        let refused = refused(&request, address.parse().unwrap())?;
        Some(refused.head.unwrap().status.as_u16())
    }

    #[test]
    fn pages_are_served_to_who_names_this_server() {
        let check = |address: &str, host: &'static str, is_served: bool| {
            let expected = (!is_served).then_some(421);
            for path in ["/_sim/stats", "/_sim/ledger", "/_sim/control"] {
                assert_eq!(status(address, &[(HOST, host)], path), expected, "{address} {host}");
            }
            assert_eq!(status(address, &[(HOST, host)], "/v1/messages"), None, "{host}");
        };
        let names = [
            "localhost",
            "LocalHost",
            "127.0.0.1",
            "[::1]",
            "localhost:8080",
            "127.0.0.1:8080",
            "[::1]:8080",
        ];
        for host in names {
            check("127.0.0.1:8080", host, true);
            check("[::1]:8080", host, true);
            check("127.0.0.2:8080", host, true);
        }
        check("127.0.0.2:8080", "127.0.0.2:8080", true);
        check("0.0.0.0:8080", "192.168.1.5:8080", true);
        for host in [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "evil.example@localhost",
            "localhost:8081",
            "localhost:x",
            "localhost:",
            "127.0.0.2",
            "192.168.1.5:8080",
            "::1",
            "",
        ] {
            check("127.0.0.1:8080", host, false);
        }
        check("0.0.0.0:8080", "evil.example:8080", false);
        let both = [(HOST, "localhost"), (HOST, "evil.example")];
        assert_eq!(status("127.0.0.1:8080", &both, "/_sim/stats"), Some(421));
        assert_eq!(status("127.0.0.1:8080", &[], "/_sim/stats"), Some(421));
    }

    #[test]
    fn pages_are_not_served_to_pages_of_other_origins() {
        let check = |address: &str, origin: &'static str, is_served: bool| {
            let headers = [(HOST, "localhost"), (ORIGIN, origin)];
            let expected = (!is_served).then_some(403);
            assert_eq!(status(address, &headers, "/_sim/control"), expected, "{address} {origin}");
            assert_eq!(status(address, &headers, "/v1/messages"), None, "{origin}");
        };
        check("127.0.0.1:8080", "http://localhost:8080", true);
        check("127.0.0.1:8080", "http://127.0.0.1:8080", true);
        check("127.0.0.1:80", "http://localhost", true);
        for origin in [
            "http://localhost",
            "http://localhost:3000",
            "https://localhost:8080",
            "http://evil.example:8080",
            "null",
            "",
        ] {
            check("127.0.0.1:8080", origin, false);
        }
    }
}
