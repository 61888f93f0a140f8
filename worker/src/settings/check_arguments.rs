//! The options of `magic-link-worker check`.
#![allow(rustdoc::bare_urls, reason = "--help shows the same text")]

use clap::Args;

/// The options of `magic-link-worker check`. They stay text here, so that all invalid values are reported at once.
#[derive(Args)]
pub struct CheckArguments {
    /// Prints a list of JSON objects with probe, result, message and action, instead of lines.
    #[arg(long)]
    pub json: bool,
    /// Also requests one real link for this address, and checks where it leads and how long its code is. The link is
    /// neither mailed nor shown, but any earlier link of this person stops working. The address must have an account.
    /// No link is requested for a person with an open job. Example: you@example.com
    #[arg(long = "as", value_name = "ADDRESS")]
    pub address: Option<String>,
    /// Callback of a portal, to compare with Supabase's redirect allow list. May be repeated. PORTALS_FILE already names those of
    /// its portals. Example: https://portal.example.com/auth/callback
    #[arg(long, value_name = "URL")]
    pub callback: Vec<String>,
    /// Origins of portals, separated by commas: the api's setting of the same name, for deployments without PORTALS_FILE.
    /// Example: https://portal.example.com
    #[arg(long, env = "CALLBACK_ORIGINS", value_name = "ORIGINS")]
    pub callback_origins: Option<String>,
    /// Path of the portals' callback pages: the api's setting of the same name. Example: /auth/callback
    #[arg(long, env = "CALLBACK_PATH", default_value = "/auth/callback", value_name = "PATH")]
    pub callback_path: String,
    /// Checks only the callbacks of this portal of PORTALS_FILE. May be repeated. Example: shop
    #[arg(long, value_name = "ID")]
    pub portal: Vec<String>,
    /// DNS server to ask, instead of the system's. Example: 1.1.1.1
    #[arg(long, value_name = "ADDRESS")]
    pub dns: Option<String>,
}
