### French. Readers are addressed with "vous", and no word depends on whether the reader is a man or a woman. A no-break
### space (U+00A0) precedes ":" and "?". See en.ftl for the meaning of each message and argument.

language-name = Français

## How long a link works. The forms are used as in "pendant 60 minutes".
## $count (number): selects the plural form.
## $number (text): the same number, written in the language's digits.

duration-minutes = { $count ->
    [one] { $number } minute
   *[other] { $number } minutes
}
duration-hours = { $count ->
    [one] { $number } heure
   *[other] { $number } heures
}
duration-days = { $count ->
    [one] { $number } jour
   *[other] { $number } jours
}

## The mail.
## $host (text): the portal, "portal.example.com".
## $time, $date (text): when the mail was requested, "15:05:30 UTC+1" and "26 novembre 2026".
## $lifetime (text): how long the link or the code works, "60 minutes".
## $until, $until-date (text): when the link or the code expires, "16:05 UTC+1" and "26 novembre 2026".
## $days (number): the number of days from $date to $until-date. It is 0 if both dates are the same.

mail-subject-link = Votre lien de connexion à { $host }, { $time }
mail-subject-code = Votre code de connexion à { $host }, { $time }
mail-preview = Fonctionne une seule fois, pendant { $lifetime }, { $days ->
    [0] jusqu’à { $until }
   *[other] jusqu’au { $until-date } à { $until }
}.
mail-heading = Se connecter à { $host }

mail-request-link = Quelqu’un a demandé ce lien le { $date } à { $time }. Si c’était vous, connectez-vous ici :
mail-button = Se connecter
mail-link-works = Le lien fonctionne une seule fois, pendant { $lifetime }, { $days ->
    [0] jusqu’à { $until }
   *[other] jusqu’au { $until-date } à { $until }
}.
mail-newest-link = Si vous avez demandé plusieurs liens, utilisez l’e-mail le plus récent : après votre connexion, les liens plus anciens ne fonctionnent plus.
mail-button-fails = Si le bouton ne fonctionne pas, copiez cette adresse dans votre navigateur :
mail-ignore-link = Si vous n’avez pas demandé ce lien, vous pouvez ignorer cet e-mail : sans le lien, personne ne peut se connecter. Ne le transmettez à personne.

mail-other-device = Vous vous connectez sur un autre appareil ? Saisissez-y ce code. Il fonctionne une seule fois, { $days ->
    [0] jusqu’à { $until }
   *[other] jusqu’au { $until-date } à { $until }
}, si vous n’avez pas utilisé le lien. Saisissez-le uniquement sur { $host } :
mail-ignore-link-and-code = Si vous n’avez pas demandé ce lien et ce code, vous pouvez ignorer cet e-mail : sans le lien ou le code, personne ne peut se connecter. Ne les transmettez à personne.

mail-request-code = Quelqu’un a demandé ce code le { $date } à { $time }. Si c’était vous, saisissez-le sur la page où vous l’avez demandé. Saisissez-le uniquement sur { $host }.
mail-code-works = Le code fonctionne une seule fois, pendant { $lifetime }, { $days ->
    [0] jusqu’à { $until }
   *[other] jusqu’au { $until-date } à { $until }
}.
mail-newest-code = Si vous avez demandé plusieurs codes, utilisez l’e-mail le plus récent : après votre connexion, les codes plus anciens ne fonctionnent plus.
mail-ignore-code = Si vous n’avez pas demandé ce code, vous pouvez ignorer cet e-mail : sans le code, personne ne peut se connecter. Ne le transmettez à personne.

## The mail of a portal that has a name. These messages replace the messages without `-portal`.
## $portal (text): the name of the portal, "Example Portal".

mail-subject-link-portal = Votre lien de connexion à { $portal }, { $time }
mail-subject-code-portal = Votre code de connexion à { $portal }, { $time }
mail-heading-portal = Se connecter à { $portal }
mail-request-link-portal = Quelqu’un a demandé ce lien de connexion à { $portal } ({ $host }) le { $date } à { $time }. Si c’était vous, connectez-vous ici :
mail-request-code-portal = Quelqu’un a demandé ce code de connexion à { $portal } le { $date } à { $time }. Si c’était vous, saisissez-le sur la page où vous l’avez demandé. Saisissez-le uniquement sur { $host }.

## The footer of the mail, if the portal has a support address or page.
## $support (text): a mail address, "help@example.com", or a page, "https://example.com/help".

mail-support = Des questions ? Écrivez à { $support }
mail-support-page = Des questions ? Vous trouverez de l’aide ici : { $support }

## The confirm page, which the link in the mail opens. Its button signs the person in.
## $host (text): the portal, "portal.example.com".
## $address (text): the person's mail address.

confirm-heading = Se connecter à { $host }
confirm-as = Vous allez vous connecter en tant que { $address }.
confirm-with-link = Vous allez vous connecter avec le lien reçu par e-mail.
confirm-button-as = Se connecter en tant que { $address }
confirm-button = Se connecter
confirm-not-you = Ce n’est pas vous ?
confirm-not-you-note = Fermez cette page. Si quelqu’un vous a transféré ce lien, celui-ci vous connecterait au compte de cette personne.
confirm-code-hint = Vous vous connectez sur un autre appareil ? Saisissez-y le code indiqué dans l’e-mail.

## The confirm page if it cannot sign the person in: a heading and a message for each reason.

confirm-unreadable-title = Ce lien est incomplet
confirm-unreadable-text = Une partie s’est peut-être perdue en chemin. Ouvrez-le de nouveau depuis l’e-mail, ou copiez le lien entier dans votre navigateur. Si cela ne suffit pas, demandez un nouveau lien.
confirm-expired-title = Ce lien a expiré
confirm-expired-text = Demandez-en un nouveau, et utilisez l’e-mail le plus récent.
confirm-expired-button = Aller à la page de connexion
confirm-not-allowed-title = Ce lien ne peut pas être utilisé
confirm-not-allowed-text = Le portail auquel il mène a changé d’adresse. Allez sur le portail, et demandez un nouveau lien.
confirm-foreign-title = Veuillez ouvrir le lien reçu par e-mail
confirm-foreign-text = Un autre site a tenté de vous connecter. Rien ne s’est passé.
confirm-limited-title = Trop de demandes
confirm-limited-text = Trop de liens de connexion ont été ouverts depuis votre réseau. Attendez une minute, puis ouvrez de nouveau le lien.
