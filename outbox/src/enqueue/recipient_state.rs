//! The state of a batch's recipients: their quotas, their last request, and whether they are suppressed.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, types::Json};

use super::request::{EnqueuePolicy, NewJob};
use crate::model::mailbox::Mailbox;

/// The state of a batch's recipients. It is read from the tables and then updated by each decision.
#[derive(Default)]
pub(super) struct RecipientState {
    pub(super) mailboxes: HashMap<Mailbox, MailboxState>,
    /// Suppressions by address.
    pub(super) suppressed: HashMap<String, Suppression>,
    /// When the state was read, by Postgres's clock.
    pub(super) at: DateTime<Utc>,
}

/// Theoretical arrival times, one per window of a quota.
type Tats = Vec<DateTime<Utc>>;
/// Theoretical arrival times per client network, and per portal under its [`portal_key`].
pub(super) type Clients = HashMap<String, Tats>;

/// The key of a portal's own quota in [`Clients`]. It cannot be mistaken for a client network.
pub(super) fn portal_key(portal: &str) -> String {
    format!("portal:{portal}")
}

/// A row of `recipient_quotas`.
#[derive(Debug, Default)]
pub(super) struct MailboxState {
    /// Version of the row; `None` if there is no row yet.
    pub(super) version: Option<i64>,
    pub(super) tats: Tats,
    pub(super) clients: Clients,
    /// Address and callback URL of the last request, if repeating that request would be a double click.
    pub(super) last: Option<(String, String)>,
}

/// The suppression of an address.
#[derive(Debug)]
pub(super) struct Suppression {
    pub(super) reason: String,
    pub(super) until: DateTime<Utc>,
}

/// A row of `email_read_recipients`. Each row describes either a mailbox or a suppressed address.
pub(super) struct RecipientRow {
    pub(super) key: Option<String>,
    pub(super) version: Option<i64>,
    pub(super) tats: Option<Tats>,
    pub(super) clients: Option<Json<Clients>>,
    pub(super) last_recipient: Option<String>,
    pub(super) last_callback_url: Option<String>,
    pub(super) last_at: Option<DateTime<Utc>>,
    pub(super) suppressed_for: Option<String>,
    pub(super) suppressed_until: Option<DateTime<Utc>>,
    pub(super) now: DateTime<Utc>,
}

/// `sqlx::query_as!` for [`RecipientRow`]s: expects the `from` clause and its parameters.
macro_rules! recipient_rows {
    ($from:tt, $($parameter:expr),+ $(,)?) => {
        sqlx::query_as!(
            RecipientRow,
            r#"
            select
              key, version, tats as "tats: _", clients as "clients: _",
              last_recipient, last_callback_url, last_at, suppressed_for, suppressed_until, clock_timestamp() as "now!"
            "# + $from,
            $($parameter),+
        )
    };
}
pub(super) use recipient_rows;

impl RecipientState {
    /// Reads the state of the recipients of these requests.
    pub(super) async fn read(
        connection: &mut PgConnection,
        policy: &EnqueuePolicy,
        requests: &[NewJob],
    ) -> Result<Self, sqlx::Error> {
        let mailboxes: BTreeSet<Mailbox> = requests.iter().map(|request| request.recipient.mailbox()).collect();
        let mailboxes: Vec<&str> = mailboxes.iter().map(Mailbox::as_str).collect();
        let addresses: Vec<&str> = requests.iter().map(|request| request.recipient.as_str()).collect();
        let rows = recipient_rows!(
            "-- Returns at least one row, because the caller needs the time.
            from (select) as always
            left join email_read_recipients($1, $2) on true",
            &mailboxes as &[&str],
            &addresses as &[&str],
        )
        .fetch_all(connection)
        .await?;
        Ok(Self::from_rows(rows, policy.duplicate_window))
    }

    pub(super) fn from_rows(rows: Vec<RecipientRow>, duplicate_window: Duration) -> Self {
        let mut state = Self { at: rows.iter().map(|row| row.now).max().unwrap_or_default(), ..Self::default() };
        for row in rows {
            let Some(key) = row.key else { continue };
            if let (Some(reason), Some(until)) = (row.suppressed_for, row.suppressed_until) {
                state.suppressed.insert(key, Suppression { reason, until });
                continue;
            }
            let is_recent =
                row.last_at.is_some_and(|at| (state.at - at).to_std().unwrap_or_default() < duplicate_window);
            let mailbox = MailboxState {
                version: row.version,
                tats: row.tats.unwrap_or_default(),
                clients: row.clients.map(|clients| clients.0).unwrap_or_default(),
                last: row.last_recipient.zip(row.last_callback_url).filter(|_| is_recent),
            };
            state.mailboxes.insert(Mailbox::from_key(key), mailbox);
        }
        state
    }
}
