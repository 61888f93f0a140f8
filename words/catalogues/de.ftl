### German. Readers are addressed with "Sie". See en.ftl for the meaning of each message and argument.

language-name = Deutsch

## How long a link works. The forms are used as in "60 Minuten lang", so they are in the accusative.
## $count (number): selects the plural form.
## $number (text): the same number, written in the language's digits.

duration-minutes = { $count ->
    [one] { $number } Minute
   *[other] { $number } Minuten
}
duration-hours = { $count ->
    [one] { $number } Stunde
   *[other] { $number } Stunden
}
duration-days = { $count ->
    [one] { $number } Tag
   *[other] { $number } Tage
}

## The mail.
## $host (text): the portal, "portal.example.com".
## $time, $date (text): when the mail was requested, "15:05:30 MEZ" and "26. November 2026".
## $lifetime (text): how long the link or the code works, "60 Minuten".
## $until, $until-date (text): when the link or the code expires, "16:05 MEZ" and "26. November 2026".
## $days (number): the number of days from $date to $until-date. It is 0 if both dates are the same.

mail-subject-link = Ihr Anmeldelink für { $host }, { $time }
mail-subject-code = Ihr Anmeldecode für { $host }, { $time }
mail-preview = Funktioniert einmal, { $lifetime } lang, { $days ->
    [0] bis { $until }
   *[other] bis zum { $until-date } um { $until }
}.
mail-heading = Bei { $host } anmelden

mail-request-link = Jemand hat am { $date } um { $time } diesen Link angefordert. Wenn Sie das waren, melden Sie sich hier an:
mail-button = Anmelden
mail-link-works = Der Link funktioniert einmal, { $lifetime } lang, { $days ->
    [0] bis { $until }
   *[other] bis zum { $until-date } um { $until }
}.
mail-newest-link = Wenn Sie mehrmals einen Link angefordert haben, verwenden Sie die neueste E-Mail: Sobald Sie sich angemeldet haben, funktionieren ältere Links nicht mehr.
mail-button-fails = Wenn die Schaltfläche nicht funktioniert, kopieren Sie diese Adresse in Ihren Browser:
mail-ignore-link = Wenn Sie den Link nicht angefordert haben, können Sie diese E-Mail ignorieren: Ohne den Link kann sich niemand anmelden. Geben Sie ihn niemals weiter.

mail-other-device = Melden Sie sich auf einem anderen Gerät an? Geben Sie dort diesen Code ein. Er funktioniert einmal, { $days ->
    [0] bis { $until }
   *[other] bis zum { $until-date } um { $until }
}, sofern Sie den Link nicht verwendet haben. Geben Sie den Code nur auf { $host } ein:
mail-ignore-link-and-code = Wenn Sie nichts angefordert haben, können Sie diese E-Mail ignorieren: Ohne den Link oder den Code kann sich niemand anmelden. Geben Sie beide niemals weiter.

mail-request-code = Jemand hat am { $date } um { $time } diesen Code angefordert. Wenn Sie das waren, geben Sie ihn auf der Seite ein, auf der Sie ihn angefordert haben. Geben Sie ihn nur auf { $host } ein.
mail-code-works = Der Code funktioniert einmal, { $lifetime } lang, { $days ->
    [0] bis { $until }
   *[other] bis zum { $until-date } um { $until }
}.
mail-newest-code = Wenn Sie mehrmals einen Code angefordert haben, verwenden Sie die neueste E-Mail: Sobald Sie sich angemeldet haben, funktionieren ältere Codes nicht mehr.
mail-ignore-code = Wenn Sie den Code nicht angefordert haben, können Sie diese E-Mail ignorieren: Ohne den Code kann sich niemand anmelden. Geben Sie ihn niemals weiter.

## The mail of a portal that has a name. These messages replace the messages without `-portal`.
## $portal (text): the name of the portal, "Example Portal".

mail-subject-link-portal = Ihr Anmeldelink für { $portal }, { $time }
mail-subject-code-portal = Ihr Anmeldecode für { $portal }, { $time }
mail-heading-portal = Bei { $portal } anmelden
mail-request-link-portal = Jemand hat am { $date } um { $time } diesen Link für { $portal } ({ $host }) angefordert. Wenn Sie das waren, melden Sie sich hier an:
mail-request-code-portal = Jemand hat am { $date } um { $time } diesen Code für { $portal } angefordert. Wenn Sie das waren, geben Sie ihn auf der Seite ein, auf der Sie ihn angefordert haben. Geben Sie ihn nur auf { $host } ein.

## The footer of the mail, if the portal has a support address or page.
## $support (text): a mail address, "help@example.com", or a page, "https://example.com/help".

mail-support = Fragen? Schreiben Sie an { $support }
mail-support-page = Fragen? Hilfe finden Sie unter { $support }

## The confirm page, which the link in the mail opens. Its button signs the person in.
## $host (text): the portal, "portal.example.com".
## $address (text): the person's mail address.

confirm-heading = Bei { $host } anmelden
confirm-as = Sie melden sich gleich als { $address } an.
confirm-with-link = Sie melden sich gleich mit dem Link aus Ihrer E-Mail an.
confirm-button-as = Als { $address } anmelden
confirm-button = Anmelden
confirm-not-you = Das sind nicht Sie?
confirm-not-you-note = Schließen Sie diese Seite. Falls jemand Ihnen diesen Link weitergeleitet hat, würden Sie in dessen Konto angemeldet.
confirm-code-hint = Melden Sie sich auf einem anderen Gerät an? Geben Sie dort den Code aus der E-Mail ein.

## The confirm page if it cannot sign the person in: a heading and a message for each reason.

confirm-unreadable-title = Dieser Link ist unvollständig
confirm-unreadable-text = Ein Teil davon ist vielleicht unterwegs verloren gegangen. Öffnen Sie den Link noch einmal aus der E-Mail, oder kopieren Sie den ganzen Link in Ihren Browser. Wenn das nicht hilft, fordern Sie einen neuen Link an.
confirm-expired-title = Dieser Link ist abgelaufen
confirm-expired-text = Fordern Sie einen neuen an, und verwenden Sie die neueste E-Mail.
confirm-expired-button = Zur Anmeldeseite
confirm-not-allowed-title = Dieser Link kann nicht verwendet werden
confirm-not-allowed-text = Das Portal, zu dem er führt, ist umgezogen. Gehen Sie zum Portal, und fordern Sie einen neuen Link an.
confirm-foreign-title = Bitte öffnen Sie den Link aus Ihrer E-Mail
confirm-foreign-text = Eine andere Website hat versucht, Sie anzumelden. Es ist nichts passiert.
confirm-limited-title = Zu viele Anfragen
confirm-limited-text = Aus Ihrem Netzwerk wurden zu viele Anmeldelinks geöffnet. Warten Sie eine Minute, und öffnen Sie den Link noch einmal.
