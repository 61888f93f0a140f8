//! The tabs of the mailbox page: the inbox, and example mails of all portals.

/// A tab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    /// The mails that have arrived.
    Inbox,
    /// Example mails of all portals.
    Mails,
}

impl Tab {
    const ALL: [Tab; 2] = [Tab::Inbox, Tab::Mails];

    fn label(self) -> &'static str {
        match self {
            Tab::Inbox => "Inbox",
            Tab::Mails => "Mails",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Tab::Inbox => "/",
            Tab::Mails => "/mails",
        }
    }

    /// Renders links to all tabs, and marks this tab as the current one.
    pub(super) fn render(self) -> String {
        let links = Tab::ALL.map(|tab| {
            let current = if tab == self { " aria-current=\"page\"" } else { "" };
            format!("<a href=\"{}\"{current}>{}</a>", tab.path(), tab.label())
        });
        format!("<nav class=\"tabs\" aria-label=\"Mailbox\">{}</nav>\n", links.concat())
    }
}
