//! `/_sandbox/faults`: the fault queue over HTTP. It accepts only JSON, so that another site's page cannot post to it:
//! a browser would first send a preflight request, which the stand-in rejects.

use super::{Fault, Faults};
use poem::{
    EndpointExt, IntoEndpoint, Route, get, handler,
    http::StatusCode,
    web::{Data, Json},
};

/// Serves `GET`, `POST` and `DELETE` on the path under which it is nested.
pub(crate) fn routes(faults: Faults) -> impl IntoEndpoint {
    Route::new().at("/", get(list).post(add).delete(clear).data(faults))
}

#[handler]
fn list(Data(faults): Data<&Faults>) -> Json<Vec<Fault>> {
    Json(faults.list())
}

#[handler]
fn add(Data(faults): Data<&Faults>, Json(fault): Json<Fault>) -> (StatusCode, Json<Vec<Fault>>) {
    faults.add(fault);
    (StatusCode::CREATED, Json(faults.list()))
}

#[handler]
fn clear(Data(faults): Data<&Faults>) -> StatusCode {
    faults.clear();
    StatusCode::NO_CONTENT
}
