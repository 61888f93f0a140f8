//! The mail itself: its text (`render`), and the encryption of links that wait in the database (`link_seal`).

pub(crate) mod link_seal;
pub(crate) mod render;
