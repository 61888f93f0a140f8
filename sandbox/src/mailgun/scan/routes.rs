//! The endpoints that the mailbox page calls to scan a mail. `POST /scan` requests the mail's URLs, and
//! `POST /scan/visit` records the browser's visit. Both identify the mail by its number and accept no URL.

use poem::{
    IntoResponse, Response, Route, handler,
    http::StatusCode,
    post,
    web::{Data, Form, Redirect},
};
use serde::Deserialize;

use super::{Scan, Visit, steps};
use crate::{http, mailgun::MailgunState};

/// Adds the routes for scans.
pub(in crate::mailgun) fn routes(route: Route) -> Route {
    route.at("/scan", post(press_scan)).at("/scan/visit", post(report_visit))
}

#[derive(Debug, Deserialize)]
struct ScanPress {
    mail: usize,
    /// Whether the browser will visit the link.
    #[serde(default)]
    visits: bool,
}

#[handler]
async fn press_scan(Data(state): Data<&MailgunState>, Form(press): Form<ScanPress>) -> Response {
    let (Some(mail), Ok(client)) = (state.mails.get(press.mail), http::client()) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let scan = steps::begin(&client, &mail, state.link_tokens.get(), press.visits).await;
    state.scans.add(|_| scan);
    Redirect::see_other("/").into_response()
}

#[derive(Debug, Deserialize)]
struct VisitReport {
    mail: usize,
    visit: ReportedVisit,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ReportedVisit {
    Done,
    LeftOpen,
    Blocked,
}

impl From<ReportedVisit> for Visit {
    fn from(reported: ReportedVisit) -> Self {
        match reported {
            ReportedVisit::Done => Visit::Done,
            ReportedVisit::LeftOpen => Visit::LeftOpen,
            ReportedVisit::Blocked => Visit::Blocked,
        }
    }
}

#[handler]
fn report_visit(Data(state): Data<&MailgunState>, Form(report): Form<VisitReport>) -> Response {
    let is_meant = |scan: &Scan| scan.mail == report.mail && scan.visit == Visit::Pending;
    let Some(number) = state.scans.all().iter().rposition(is_meant) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let visit = report.visit.into();
    state.scans.update(number, |scan| steps::finish(scan, visit, state.link_tokens.get()));
    Redirect::see_other("/").into_response()
}
