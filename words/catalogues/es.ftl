### Spanish. Readers are addressed with "usted". Times always have the article "las", as in CLDR. See en.ftl for the
### meaning of each message and argument.

language-name = Español

## How long a link works. The forms are used as in "durante 60 minutos".
## $count (number): selects the plural form.
## $number (text): the same number, written in the language's digits.

duration-minutes = { $count ->
    [one] { $number } minuto
   *[other] { $number } minutos
}
duration-hours = { $count ->
    [one] { $number } hora
   *[other] { $number } horas
}
duration-days = { $count ->
    [one] { $number } día
   *[other] { $number } días
}

## The mail.
## $host (text): the portal, "portal.example.com".
## $time, $date (text): when the mail was requested, "15:05:30 CET" and "26 de noviembre de 2026".
## $lifetime (text): how long the link or the code works, "60 minutos".
## $until, $until-date (text): when the link or the code expires, "16:05 CET" and "26 de noviembre de 2026".
## $days (number): the number of days from $date to $until-date. It is 0 if both dates are the same.

mail-subject-link = Su enlace para iniciar sesión en { $host }, { $time }
mail-subject-code = Su código para iniciar sesión en { $host }, { $time }
mail-preview = Funciona una sola vez, durante { $lifetime }, { $days ->
    [0] hasta las { $until }
   *[other] hasta el { $until-date } a las { $until }
}.
mail-heading = Iniciar sesión en { $host }

mail-request-link = Alguien solicitó este enlace el { $date } a las { $time }. Si fue usted, inicie sesión aquí:
mail-button = Iniciar sesión
mail-link-works = El enlace funciona una sola vez, durante { $lifetime }, { $days ->
    [0] hasta las { $until }
   *[other] hasta el { $until-date } a las { $until }
}.
mail-newest-link = Si lo solicitó más de una vez, use el correo más reciente: una vez que haya iniciado sesión, los enlaces anteriores dejarán de funcionar.
mail-button-fails = Si el botón no funciona, copie esta dirección en su navegador:
mail-ignore-link = Si no solicitó este enlace, puede ignorar este correo: nadie puede entrar sin el enlace. No lo comparta nunca.

mail-other-device = ¿Va a iniciar sesión en otro dispositivo? Escriba allí este código. Funciona una sola vez, { $days ->
    [0] hasta las { $until }
   *[other] hasta el { $until-date } a las { $until }
}, si no ha usado el enlace. Escríbalo únicamente en { $host }:
mail-ignore-link-and-code = Si no solicitó este enlace ni este código, puede ignorar este correo: nadie puede entrar sin el enlace o el código. No los comparta nunca.

mail-request-code = Alguien solicitó este código el { $date } a las { $time }. Si fue usted, escríbalo en la página donde lo solicitó. Escríbalo únicamente en { $host }.
mail-code-works = El código funciona una sola vez, durante { $lifetime }, { $days ->
    [0] hasta las { $until }
   *[other] hasta el { $until-date } a las { $until }
}.
mail-newest-code = Si lo solicitó más de una vez, use el correo más reciente: una vez que haya iniciado sesión, los códigos anteriores dejarán de funcionar.
mail-ignore-code = Si no solicitó este código, puede ignorar este correo: nadie puede entrar sin el código. No lo comparta nunca.

## The mail of a portal that has a name. These messages replace the messages without `-portal`.
## $portal (text): the name of the portal, "Example Portal".

mail-subject-link-portal = Su enlace para iniciar sesión en { $portal }, { $time }
mail-subject-code-portal = Su código para iniciar sesión en { $portal }, { $time }
mail-heading-portal = Iniciar sesión en { $portal }
mail-request-link-portal = Alguien solicitó este enlace para { $portal } ({ $host }) el { $date } a las { $time }. Si fue usted, inicie sesión aquí:
mail-request-code-portal = Alguien solicitó este código para { $portal } el { $date } a las { $time }. Si fue usted, escríbalo en la página donde lo solicitó. Escríbalo únicamente en { $host }.

## The footer of the mail, if the portal has a support address or page.
## $support (text): a mail address, "help@example.com", or a page, "https://example.com/help".

mail-support = ¿Tiene preguntas? Escriba a { $support }
mail-support-page = ¿Tiene preguntas? Encontrará ayuda en { $support }

## The confirm page, which the link in the mail opens. Its button signs the person in.
## $host (text): the portal, "portal.example.com".
## $address (text): the person's mail address.

confirm-heading = Iniciar sesión en { $host }
confirm-as = Está a punto de iniciar sesión como { $address }.
confirm-with-link = Está a punto de iniciar sesión con el enlace de su correo.
confirm-button-as = Iniciar sesión como { $address }
confirm-button = Iniciar sesión
confirm-not-you = ¿No es usted?
confirm-not-you-note = Cierre esta página. Si alguien le reenvió este enlace, usted entraría en la cuenta de esa persona.
confirm-code-hint = ¿Va a iniciar sesión en otro dispositivo? Escriba allí el código del correo.

## The confirm page if it cannot sign the person in: a heading and a message for each reason.

confirm-unreadable-title = Este enlace está incompleto
confirm-unreadable-text = Es posible que una parte se haya perdido por el camino. Ábralo de nuevo desde el correo o copie el enlace completo en su navegador. Si eso no sirve, solicite un enlace nuevo.
confirm-expired-title = Este enlace ha caducado
confirm-expired-text = Solicite uno nuevo y use el correo más reciente.
confirm-expired-button = Ir a la página de inicio de sesión
confirm-not-allowed-title = Este enlace no se puede usar
confirm-not-allowed-text = El portal al que lleva ha cambiado de dirección. Vaya al portal y solicite un enlace nuevo.
confirm-foreign-title = Abra el enlace de su correo
confirm-foreign-text = Otro sitio web ha intentado iniciar sesión en su lugar. No ha ocurrido nada.
confirm-limited-title = Demasiadas solicitudes
confirm-limited-text = Se han abierto demasiados enlaces de inicio de sesión desde su red. Espere un minuto y vuelva a abrir el enlace.
