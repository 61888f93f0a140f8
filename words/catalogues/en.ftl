### The words of the sign-in mail and of the confirm page. Messages are plain text: HTML in them is shown as it is
### written. Line breaks inside a message do not matter.
###
### The programs write dates, times and numbers in the language's own format. A time always names its zone: "15:05 CET".

# The name of the language, in that language.
language-name = English

## How long a link works.
## $count (number): selects the plural form.
## $number (text): the same number, written in the language's digits.

duration-minutes = { $count ->
    [one] { $number } minute
   *[other] { $number } minutes
}
duration-hours = { $count ->
    [one] { $number } hour
   *[other] { $number } hours
}
duration-days = { $count ->
    [one] { $number } day
   *[other] { $number } days
}

## The mail.
## $host (text): the portal, "portal.example.com".
## $time, $date (text): when the mail was requested, "15:05:30 CET" and "26 November 2026".
## $lifetime (text): how long the link or the code works, "60 minutes".
## $until, $until-date (text): when the link or the code expires, "16:05 CET" and "26 November 2026".
## $days (number): the number of days from $date to $until-date. It is 0 if both dates are the same.

mail-subject-link = Your sign-in link for { $host }, { $time }
mail-subject-code = Your sign-in code for { $host }, { $time }
# The text that an inbox shows after the subject. It describes the link or the code.
mail-preview = Works once, for { $lifetime }, { $days ->
    [0] until { $until }
   *[other] until { $until } on { $until-date }
}.
mail-heading = Sign in to { $host }

# Shown above the button, in a mail with a link. In the plain-text mail, the link takes the place of the button.
mail-request-link = Somebody asked for this link at { $time } on { $date }. If that was you, sign in here:
mail-button = Sign in
mail-link-works = The link works once, for { $lifetime }, { $days ->
    [0] until { $until }
   *[other] until { $until } on { $until-date }
}.
mail-newest-link = If you asked more than once, use the newest mail: once you have signed in, older links no longer work.
# Shown below the button, above the link as text.
mail-button-fails = If the button does nothing, copy this into your browser:
mail-ignore-link = If you did not ask for it, you can ignore this mail: nobody gets in without the link. Never pass it on.

# Shown above the code, in a mail with a link and a code.
mail-other-device = Are you signing in on another device? Type this code there. It works once, { $days ->
    [0] until { $until }
   *[other] until { $until } on { $until-date }
}, if you have not used the link. Type it only at { $host }:
# "Them" means the link and the code.
mail-ignore-link-and-code = If you did not ask for them, you can ignore this mail: nobody gets in without the link or the code. Never pass them on.

# Shown in a mail with only a code.
mail-request-code = Somebody asked for this code at { $time } on { $date }. If that was you, type it on the page where you asked for it. Type it only at { $host }.
mail-code-works = The code works once, for { $lifetime }, { $days ->
    [0] until { $until }
   *[other] until { $until } on { $until-date }
}.
mail-newest-code = If you asked more than once, use the newest mail: once you have signed in, older codes no longer work.
mail-ignore-code = If you did not ask for it, you can ignore this mail: nobody gets in without the code. Never pass it on.

## The mail of a portal that has a name. These messages replace the messages without `-portal`.
## $portal (text): the name of the portal, "Example Portal".

mail-subject-link-portal = Your sign-in link for { $portal }, { $time }
mail-subject-code-portal = Your sign-in code for { $portal }, { $time }
mail-heading-portal = Sign in to { $portal }
mail-request-link-portal = Somebody asked for this link to { $portal } ({ $host }) at { $time } on { $date }. If that was you, sign in here:
mail-request-code-portal = Somebody asked for this code for { $portal } at { $time } on { $date }. If that was you, type it on the page where you asked for it. Type it only at { $host }.

## The footer of the mail, if the portal has a support address or page.
## $support (text): a mail address, "help@example.com", or a page, "https://example.com/help".

mail-support = Questions? Write to { $support }
# Replaces mail-support if $support is a page.
mail-support-page = Questions? Get help at { $support }

## The confirm page, which the link in the mail opens. Its button signs the person in.
## $host (text): the portal, "portal.example.com".
## $address (text): the person's mail address.

confirm-heading = Sign in to { $host }
confirm-as = You are about to sign in as { $address }.
# Replaces confirm-as if the page does not know the address.
confirm-with-link = You are about to sign in with the link from your mail.
confirm-button-as = Sign in as { $address }
confirm-button = Sign in
# Shown in bold, followed by confirm-not-you-note.
confirm-not-you = Not you?
confirm-not-you-note = Close this page. If somebody forwarded this link to you, it would sign you in to their account.
confirm-code-hint = Signing in on another device? Type the code from the mail there.

## The confirm page if it cannot sign the person in: a heading and a message for each reason.

# Shown if the link cannot be read, for example because a part of it is missing.
confirm-unreadable-title = This link is incomplete
confirm-unreadable-text = A part of it may have been lost on the way. Open it from the mail again, or copy the whole link into your browser. If that does not help, ask for a new link.
confirm-expired-title = This link has expired
confirm-expired-text = Ask for a new one, and use the newest mail.
# The button below confirm-expired-text. It opens the portal.
confirm-expired-button = Go to the sign-in page
# Shown if the portal's address is no longer allowed.
confirm-not-allowed-title = This link cannot be used
confirm-not-allowed-text = The portal that it leads to has moved. Go to the portal, and ask for a new link.
# Shown if another site tried to press the button on the confirm page.
confirm-foreign-title = Please open the link from your mail
confirm-foreign-text = Another site tried to sign you in. Nothing has happened.
confirm-limited-title = Too many requests
confirm-limited-text = Your network has opened too many sign-in links. Wait a minute, and open the link again.
