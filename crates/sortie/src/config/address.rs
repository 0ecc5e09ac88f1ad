//! Where a key may be sent to.

use std::net::IpAddr;

/// What is between scheme and path: `api.openai.com`, `127.0.0.1:8080`.
pub(super) fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}

/// Refuses what keys should not be sent to; says why, without the address.
pub(super) fn check_address(url: &str) -> Result<(), &'static str> {
    let is_http = url.starts_with("http://");
    let authority = authority(url);
    // An IPv6 address is in brackets, and has colons of its own.
    let host =
        authority.rsplit_once(':').filter(|(_, port)| !port.contains(']')).map_or(authority, |(h, _)| h);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if !is_http && !url.starts_with("https://") {
        Err("must begin with `https://`, or with `http://` on this machine")
    } else if host.is_empty() || url.chars().any(|c| c.is_whitespace() || c.is_control()) {
        Err("is not an address")
    } else if authority.contains('@') || url.contains(['?', '#']) {
        Err("must have no user, password, query or fragment")
    } else if is_http && !is_loopback {
        Err("must be `https`: keys are sent in clear over `http`, except on this machine")
    } else {
        Ok(())
    }
}
