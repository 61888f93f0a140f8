//! What is known of the recipients of a batch.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, types::Json};

use crate::{EnqueuePolicy, NewJob};

/// What is known of the recipients of a batch: as it was read, and then as the batch leaves it.
#[derive(Default)]
pub(super) struct RecipientState {
    pub(super) mailboxes: HashMap<String, Mailbox>,
    /// By address.
    pub(super) suppressed: HashMap<String, Suppression>,
    /// When it was read.
    pub(super) at: DateTime<Utc>,
}

/// Theoretical arrival times, one per window of a quota.
type Tats = Vec<DateTime<Utc>>;
/// Those of each client's network.
pub(super) type Clients = HashMap<String, Tats>;

/// A row of `recipient_quotas`.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    /// Of the row that was read, if there is one.
    pub(super) version: Option<i64>,
    pub(super) tats: Tats,
    pub(super) clients: Clients,
    /// Address and callback URL of the newest job, where that is young enough to make the same request a double click.
    pub(super) last: Option<(String, String)>,
}

/// Why an address is not mailed for a while.
#[derive(Debug)]
pub(super) struct Suppression {
    pub(super) reason: String,
    pub(super) until: DateTime<Utc>,
}

/// A row of `email_read_recipients`: of a mailbox, or of an address that is suppressed.
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

/// A query of [`RecipientRow`]s: `from` what, and its parameters.
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
    /// Reads what is known of the recipients of these requests.
    pub(super) async fn read(
        connection: &mut PgConnection,
        admission: &EnqueuePolicy,
        requests: &[NewJob],
    ) -> Result<Self, sqlx::Error> {
        let mailboxes: BTreeSet<String> = requests.iter().map(|request| request.recipient.mailbox()).collect();
        let mailboxes: Vec<String> = mailboxes.into_iter().collect();
        let addresses: Vec<&str> = requests.iter().map(|request| request.recipient.as_str()).collect();
        let rows = recipient_rows!(
            "-- A row at least, for the time.
            from (select) as always
            left join email_read_recipients($1, $2) on true",
            &mailboxes,
            &addresses as &[&str],
        )
        .fetch_all(connection)
        .await?;
        Ok(Self::of(rows, admission.duplicate_window))
    }

    pub(super) fn of(rows: Vec<RecipientRow>, duplicate_window: Duration) -> Self {
        let mut known = Self { at: rows.iter().map(|row| row.now).max().unwrap_or_default(), ..Self::default() };
        for row in rows {
            let Some(key) = row.key else { continue };
            if let (Some(reason), Some(until)) = (row.suppressed_for, row.suppressed_until) {
                known.suppressed.insert(key, Suppression { reason, until });
                continue;
            }
            let is_young =
                row.last_at.is_some_and(|at| (known.at - at).to_std().unwrap_or_default() < duplicate_window);
            let mailbox = Mailbox {
                version: row.version,
                tats: row.tats.unwrap_or_default(),
                clients: row.clients.map(|clients| clients.0).unwrap_or_default(),
                last: row.last_recipient.zip(row.last_callback_url).filter(|_| is_young),
            };
            known.mailboxes.insert(key, mailbox);
        }
        known
    }
}
