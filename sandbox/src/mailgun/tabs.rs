//! The tabs of the mailbox page: the inbox, and the mails of all portals.

/// A tab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    /// The mails that arrived.
    Inbox,
    /// The mails that can be sent.
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

    /// Links to all tabs, with this one marked as the current one.
    pub(super) fn render(self) -> String {
        let links = Tab::ALL.map(|tab| {
            let current = if tab == self { " aria-current=\"page\"" } else { "" };
            format!("<a href=\"{}\"{current}>{}</a>", tab.path(), tab.label())
        });
        format!("<nav class=\"tabs\" aria-label=\"Mailbox\">{}</nav>\n", links.concat())
    }
}
