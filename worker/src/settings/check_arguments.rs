//! The options of `magic-link-worker check`.
#![allow(rustdoc::bare_urls, reason = "--help shows the same text")]

use std::ffi::OsString;

use clap::Args;

/// The options of `magic-link-worker check`. The values remain text here, so that all invalid values are reported
/// together.
#[derive(Args)]
pub struct CheckArguments {
    /// Prints JSON instead of text: a list of objects with probe, result, message and action.
    #[arg(long)]
    pub json: bool,
    /// Also requests one real link for this address, and checks where it leads and how long its code is. The link is
    /// neither mailed nor shown, but any earlier link of this person stops working. The address must have an account.
    /// No link is requested for a person with an open job. Example: you@example.com
    #[arg(long = "as", value_name = "ADDRESS")]
    pub address: Option<String>,
    /// Callback URL to check against Supabase's redirect allow list. May be repeated. Not needed for the portals in
    /// PORTALS_FILE. Example: https://portal.example.com/auth/callback
    #[arg(long, value_name = "URL")]
    pub callback: Vec<String>,
    /// Origins of portals, separated by commas. Use the same value as for the api. Ignored with PORTALS_FILE. Example:
    /// https://portal.example.com
    #[arg(long, env = "CALLBACK_ORIGINS", value_name = "ORIGINS")]
    pub callback_origins: Option<String>,
    /// Path of the portals' callback pages. Use the same value as for the api. Example: /auth/callback
    #[arg(long, env = "CALLBACK_PATH", default_value = "/auth/callback", value_name = "PATH")]
    pub callback_path: String,
    /// Time after which a job expires. Use the same value as for the api. If this is set, the command compares it with
    /// LINK_LIFETIME. Example: 15m
    #[arg(long, env = "JOB_DEADLINE", value_name = "TIME")]
    pub job_deadline: Option<String>,
    /// Checks only the callbacks of this portal in PORTALS_FILE. May be repeated. Example: shop
    #[arg(long, value_name = "ID")]
    pub portal: Vec<String>,
    /// DNS server to query instead of the system's DNS server. Example: 1.1.1.1
    #[arg(long, value_name = "ADDRESS")]
    pub dns: Option<String>,
    /// Shows whose rate limit a request counts against, and checks nothing else. ADDRESS is the address from which the
    /// request reaches the api: behind a proxy, the proxy's address. Needs no settings except the api's
    /// TRUSTED_PROXIES, CLIENT_IP_HEADER and TRUSTED_PROXY_HOPS. Example: 10.0.0.7
    #[arg(
        long,
        value_name = "ADDRESS",
        help_heading = "Callers",
        conflicts_with_all = ["address", "callback", "portal", "dns"]
    )]
    pub peer: Option<String>,
    /// Header of the request that is checked with --peer. Repeat the option for more headers, in the order of the
    /// request. Example: 'X-Forwarded-For: 198.51.100.3, 10.0.0.5'
    #[arg(long, value_name = "HEADER", help_heading = "Callers", requires = "peer")]
    pub from_header: Vec<OsString>,
    /// Networks of the trusted proxies. Use the same value as for the api. Example: 10.0.0.0/8,2001:db8::/32
    #[arg(
        long,
        env = "TRUSTED_PROXIES",
        default_value = "",
        hide_default_value = true,
        value_name = "NETWORKS",
        help_heading = "Callers"
    )]
    pub trusted_proxies: String,
    /// Header that contains the caller's address. Use the same value as for the api. Example: Fly-Client-IP
    #[arg(
        long,
        env = "CLIENT_IP_HEADER",
        default_value = "",
        hide_default_value = true,
        value_name = "HEADER",
        help_heading = "Callers"
    )]
    pub client_ip_header: String,
    /// Position of the caller's address in X-Forwarded-For, counted from the right. Use the same value as for the api.
    /// Example: 2
    #[arg(
        long,
        env = "TRUSTED_PROXY_HOPS",
        default_value = "",
        hide_default_value = true,
        value_name = "NUMBER",
        help_heading = "Callers"
    )]
    pub trusted_proxy_hops: String,
}
