### Everything that people read in the sign-in mail and on the confirm page. Messages are text: HTML in them is shown as it is
### written. Line breaks inside a message do not matter.
###
### The programs write dates, times and numbers in the form of the language. A time always names its zone: "15:05 CET".

# The name of the language in the language itself.
language-name = English

## How long a link works.
## $count (number): chooses the form.
## $number (text): the same number in the digits of the language.

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
## $until, $until-date (text): the time and the date until which it works, "16:05 CET" and "26 November 2026".
## $days (number): 0 if that time is on the same date as the request.

mail-subject-link = Your sign-in link for { $host }, { $time }
mail-subject-code = Your sign-in code for { $host }, { $time }
# The text that an inbox shows after the subject. It describes the link or the code.
mail-preview = Works once, for { $lifetime }, { $days ->
    [0] until { $until }
   *[other] until { $until } on { $until-date }
}.
mail-heading = Sign in to { $host }

# In a mail with a link. The button follows.
mail-request-link = Somebody asked for this link at { $time } on { $date }. If that was you, sign in here:
mail-button = Sign in
mail-link-works = The link works once, for { $lifetime }, { $days ->
    [0] until { $until }
   *[other] until { $until } on { $until-date }
}.
mail-newest-link = If you asked more than once, use the newest mail: once you have signed in, older links no longer work.
# The link follows as text.
mail-button-fails = If the button does nothing, copy this into your browser:
mail-ignore-link = If you did not ask for it, you can ignore this mail: nobody gets in without the link. Never pass it on.

# In a mail with a link and a code. The code follows.
mail-other-device = Are you signing in on another device? Type this code there. It works once, { $days ->
    [0] until { $until }
   *[other] until { $until } on { $until-date }
}, if you have not used the link. Type it only at { $host }:
# "Them" and "they" are the link and the code.
mail-ignore-link-and-code = If you did not ask for them, you can ignore this mail: nobody gets in without the link or the code. Never pass them on.

# In a mail with only a code.
mail-request-code = Somebody asked for this code at { $time } on { $date }. If that was you, type it at the page where you asked for it. Type it only at { $host }.
mail-code-works = The code works once, for { $lifetime }, { $days ->
    [0] until { $until }
   *[other] until { $until } on { $until-date }
}.
mail-newest-code = If you asked more than once, use the newest mail: once you have signed in, older codes no longer work.
mail-ignore-code = If you did not ask for it, you can ignore this mail: nobody gets in without the code. Never pass it on.

## The mail of a portal that has a name. The messages replace the ones without `-portal`.
## $portal (text): the name, "Example Portal".

mail-subject-link-portal = Your sign-in link for { $portal }, { $time }
mail-subject-code-portal = Your sign-in code for { $portal }, { $time }
mail-heading-portal = Sign in to { $portal }
mail-request-link-portal = Somebody asked for this link to { $portal } ({ $host }) at { $time } on { $date }. If that was you, sign in here:
mail-request-code-portal = Somebody asked for this code for { $portal } at { $time } on { $date }. If that was you, type it at the page where you asked for it. Type it only at { $host }.

## The foot of the mail of a portal with an address for questions.
## $support (text): "help@example.com", or a page, "https://example.com/help".

mail-support = Questions? Write to { $support }
# Replaces the message above if the support is a page.
mail-support-page = Questions? Get help at { $support }

## The confirm page, which the link in the mail opens. Its button signs the person in.
## $host (text): the portal, "portal.example.com".
## $address (text): the person's mail address.

confirm-heading = Sign in to { $host }
confirm-as = You are about to sign in as { $address }.
# Replaces the message above if the page does not know the address.
confirm-with-link = You are about to sign in with the link from your mail.
confirm-button-as = Sign in as { $address }
confirm-button = Sign in
# In bold, followed by the next message.
confirm-not-you = Not you?
confirm-not-you-note = Close this page. If somebody forwarded this link to you, it would sign you in to their account.
confirm-code-hint = Signing in on another device? Type the code from the mail there.

## The confirm page if it cannot sign the person in: a heading and a message for each reason.

# A part of the link is missing, or was changed.
confirm-unreadable-title = This link is incomplete
confirm-unreadable-text = A part of it may have been lost on the way. Open it from the mail again, or copy the whole link into your browser. If that does not help, ask for a new link.
confirm-expired-title = This link has expired
confirm-expired-text = Ask for a new one, and use the newest mail.
# A button below the text. It opens the portal.
confirm-expired-button = Go to the sign-in page
# The portal's address is no longer allowed.
confirm-not-allowed-title = This link cannot be used
confirm-not-allowed-text = The portal that it leads to has moved. Go to the portal, and ask for a new link.
# Another site sent the browser here.
confirm-foreign-title = Please open the link from your mail
confirm-foreign-text = Another site tried to sign you in. Nothing has happened.
confirm-limited-title = Too many requests
confirm-limited-text = Your network has opened too many sign-in links. Wait a minute, and open the link again.
