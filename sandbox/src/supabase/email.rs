//! Supabase Auth's rules for addresses.

use super::answer::AuthError;

/// Accepts the HTML5 format, ASCII only, and returns the address in lower case (mail.go, validateEmail).
pub(super) fn valid_email(email: &str) -> Result<String, AuthError> {
    if email.is_empty() {
        return Err(AuthError::validation("An email address is required"));
    }
    if email.len() > 255 {
        return Err(AuthError::validation("An email address is too long"));
    }
    let valid =
        email.split_once('@').is_some_and(|(local, host)| is_local_part(local) && host.split('.').all(is_label));
    if !valid {
        let message = "Unable to validate email address: invalid format";
        return Err(AuthError::validation(message));
    }
    Ok(email.to_ascii_lowercase())
}

fn is_local_part(local: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(c);
    !local.is_empty() && local.chars().all(allowed)
}

fn is_label(label: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    (1..=63).contains(&label.len()) && label.chars().all(allowed) && !label.starts_with('-') && !label.ends_with('-')
}
