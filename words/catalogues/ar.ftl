### Arabic (Modern Standard). The programs isolate each argument from the words around it, because some arguments, such
### as host names, are written from left to right. See en.ftl for the meaning of each message and argument.

language-name = العربية

## How long a link works. The forms follow "لمدة", so they are in the genitive.
## $count (number): selects the plural form.
## $number (text): the same number, written in the language's digits.

duration-minutes = { $count ->
    [zero] { $number } دقيقة
    [one] دقيقة واحدة
    [two] دقيقتين
    [few] { $number } دقائق
    [many] { $number } دقيقة
   *[other] { $number } دقيقة
}
duration-hours = { $count ->
    [zero] { $number } ساعة
    [one] ساعة واحدة
    [two] ساعتين
    [few] { $number } ساعات
    [many] { $number } ساعة
   *[other] { $number } ساعة
}
duration-days = { $count ->
    [zero] { $number } يوم
    [one] يوم واحد
    [two] يومين
    [few] { $number } أيام
    [many] { $number } يومًا
   *[other] { $number } يوم
}

## The mail.
## $host (text): the portal, "portal.example.com".
## $time, $date (text): when the mail was requested, "3:05:30 م التوقيت العالمي" and "26 نوفمبر 2026".
## $lifetime (text): how long the link or the code works, "60 دقيقة".
## $until, $until-date (text): when the link or the code expires, "4:05 م التوقيت العالمي" and "26 نوفمبر 2026".
## $days (number): the number of days from $date to $until-date. It is 0 if both dates are the same.

mail-subject-link = رابط تسجيل الدخول إلى { $host }، { $time }
mail-subject-code = رمز تسجيل الدخول إلى { $host }، { $time }
mail-preview = صالح لمرة واحدة، لمدة { $lifetime }، { $days ->
    [0] حتى الساعة { $until }
   *[other] حتى الساعة { $until } بتاريخ { $until-date }
}.
mail-heading = تسجيل الدخول إلى { $host }

mail-request-link = طُلب هذا الرابط عند الساعة { $time } بتاريخ { $date }. إذا كان الطلب منك، فسجّل الدخول من هنا:
mail-button = تسجيل الدخول
mail-link-works = يعمل الرابط مرة واحدة فقط، لمدة { $lifetime }، { $days ->
    [0] حتى الساعة { $until }
   *[other] حتى الساعة { $until } بتاريخ { $until-date }
}.
mail-newest-link = إذا طلبت الرابط أكثر من مرة، فاستخدم أحدث رسالة: بعد تسجيل الدخول لن تعمل الروابط الأقدم.
mail-button-fails = إذا لم يعمل الزر، فانسخ هذا الرابط إلى متصفحك:
mail-ignore-link = إذا لم تطلب هذا الرابط، فيمكنك تجاهل هذه الرسالة: لا يمكن لأحد الدخول من دون الرابط. لا تشاركه مع أحد أبدًا.

mail-other-device = هل تسجّل الدخول على جهاز آخر؟ أدخل هذا الرمز هناك. يعمل الرمز مرة واحدة فقط، { $days ->
    [0] حتى الساعة { $until }
   *[other] حتى الساعة { $until } بتاريخ { $until-date }
}، ما لم تستخدم الرابط. لا تُدخله إلا في { $host }:
mail-ignore-link-and-code = إذا لم تطلب الرابط والرمز، فيمكنك تجاهل هذه الرسالة: لا يمكن لأحد الدخول من دون أحدهما. لا تشاركهما مع أحد أبدًا.

mail-request-code = طُلب هذا الرمز عند الساعة { $time } بتاريخ { $date }. إذا كان الطلب منك، فأدخله في الصفحة التي طلبته منها. لا تُدخله إلا في { $host }.
mail-code-works = يعمل الرمز مرة واحدة فقط، لمدة { $lifetime }، { $days ->
    [0] حتى الساعة { $until }
   *[other] حتى الساعة { $until } بتاريخ { $until-date }
}.
mail-newest-code = إذا طلبت الرمز أكثر من مرة، فاستخدم أحدث رسالة: بعد تسجيل الدخول لن تعمل الرموز الأقدم.
mail-ignore-code = إذا لم تطلب هذا الرمز، فيمكنك تجاهل هذه الرسالة: لا يمكن لأحد الدخول من دون الرمز. لا تشاركه مع أحد أبدًا.

## The mail of a portal that has a name. These messages replace the messages without `-portal`.
## $portal (text): the name of the portal, "Example Portal".

mail-subject-link-portal = رابط تسجيل الدخول إلى { $portal }، { $time }
mail-subject-code-portal = رمز تسجيل الدخول إلى { $portal }، { $time }
mail-heading-portal = تسجيل الدخول إلى { $portal }
mail-request-link-portal = طُلب هذا الرابط لتسجيل الدخول إلى { $portal } ({ $host }) عند الساعة { $time } بتاريخ { $date }. إذا كان الطلب منك، فسجّل الدخول من هنا:
mail-request-code-portal = طُلب هذا الرمز لتسجيل الدخول إلى { $portal } عند الساعة { $time } بتاريخ { $date }. إذا كان الطلب منك، فأدخله في الصفحة التي طلبته منها. لا تُدخله إلا في { $host }.

## The footer of the mail, if the portal has a support address or page.
## $support (text): a mail address, "help@example.com", or a page, "https://example.com/help".

mail-support = هل لديك أسئلة؟ راسلنا على { $support }
mail-support-page = هل لديك أسئلة؟ تجد المساعدة في { $support }

## The confirm page, which the link in the mail opens. Its button signs the person in.
## $host (text): the portal, "portal.example.com".
## $address (text): the person's mail address.

confirm-heading = تسجيل الدخول إلى { $host }
confirm-as = أنت على وشك تسجيل الدخول باسم { $address }.
confirm-with-link = أنت على وشك تسجيل الدخول بالرابط الوارد في رسالتك.
confirm-button-as = تسجيل الدخول باسم { $address }
confirm-button = تسجيل الدخول
confirm-not-you = هذا ليس حسابك؟
confirm-not-you-note = أغلق هذه الصفحة. إذا أعاد شخص ما توجيه هذا الرابط إليك، فسيؤدي إلى تسجيل دخولك إلى حسابه.
confirm-code-hint = هل تسجّل الدخول على جهاز آخر؟ أدخل الرمز الوارد في الرسالة هناك.

## The confirm page if it cannot sign the person in: a heading and a message for each reason.

confirm-unreadable-title = هذا الرابط غير مكتمل
confirm-unreadable-text = ربما فُقد جزء منه في الطريق. افتحه من الرسالة مرة أخرى، أو انسخ الرابط كاملًا إلى متصفحك. إذا لم ينجح ذلك، فاطلب رابطًا جديدًا.
confirm-expired-title = انتهت صلاحية هذا الرابط
confirm-expired-text = اطلب رابطًا جديدًا، واستخدم أحدث رسالة.
confirm-expired-button = الانتقال إلى صفحة تسجيل الدخول
confirm-not-allowed-title = لا يمكن استخدام هذا الرابط
confirm-not-allowed-text = تغيّر عنوان البوابة التي يؤدي إليها هذا الرابط. انتقل إلى البوابة، واطلب رابطًا جديدًا.
confirm-foreign-title = يُرجى فتح الرابط من رسالتك
confirm-foreign-text = حاول موقع آخر تسجيل دخولك. لم يحدث أي شيء.
confirm-limited-title = طلبات كثيرة جدًا
confirm-limited-text = فُتح عدد كبير جدًا من روابط تسجيل الدخول من شبكتك. انتظر دقيقة، ثم افتح الرابط مرة أخرى.
