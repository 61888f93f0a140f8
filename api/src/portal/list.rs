//! Finds the portal that an origin belongs to.

use std::sync::Arc;

use portals::{Origin, PortalOrigin};

use super::Portal;

/// All portals. Each origin belongs to at most one portal.
#[derive(Debug, Clone)]
pub(crate) struct PortalList(Vec<Arc<Portal>>);

/// A portal and the origin for which it was found.
#[derive(Debug, Clone)]
pub(crate) struct FoundPortal {
    pub(crate) portal: Arc<Portal>,
    pub(crate) origin: PortalOrigin,
}

impl PortalList {
    pub(crate) fn new(portals: Vec<Portal>) -> Self {
        Self(portals.into_iter().map(Arc::new).collect())
    }

    /// Returns the portal that an origin belongs to, or `None` if no portal allows the origin.
    pub(crate) fn find(&self, origin: &Origin) -> Option<FoundPortal> {
        self.0.iter().find_map(|portal| {
            let origin = portal.origins.find_portal(origin.clone())?;
            Some(FoundPortal { portal: portal.clone(), origin })
        })
    }

    /// Parses an origin. Returns `None` if the text is not an origin, or no portal allows it.
    pub(crate) fn parse_allowed(&self, text: &str) -> Option<Origin> {
        let origin = Origin::parse(text)?;
        self.find(&origin).map(|found| found.origin.origin)
    }

    /// Returns the ids of all portals, or `None` if the only portal is described by the environment.
    pub(crate) fn ids(&self) -> Option<Vec<String>> {
        self.iter().map(|portal| Some(portal.id.as_ref()?.to_string())).collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Portal> {
        self.0.iter().map(Arc::as_ref)
    }
}
