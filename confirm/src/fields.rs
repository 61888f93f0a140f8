//! Tagged fields. Each field consists of a tag byte, the length of the value as a big-endian `u16`, and the value.

/// The tag of a field. Links in people's inboxes contain these numbers, so they must never change.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Tag {
    VerifyUrl = 1,
    /// A hexadecimal token hash, decoded to bytes.
    TokenHash = 2,
    /// A token hash that is not lower-case hexadecimal, as text.
    TokenText = 3,
    Recipient = 4,
    CallbackUrl = 5,
    ShownHost = 6,
    /// A field without a value. If it is missing, the mail has no code.
    HasCode = 7,
    /// Seconds since 1970, as a big-endian `u64`.
    ExpiresAt = 8,
    /// A language tag. If it is missing, the mail is in English.
    Language = 9,
}

/// Appends a field. `None` if the value is 64 KiB or longer.
pub(crate) fn push(bytes: &mut Vec<u8>, tag: Tag, value: &[u8]) -> Option<()> {
    let length = u16::try_from(value.len()).ok()?;
    bytes.push(tag as u8);
    bytes.extend(length.to_be_bytes());
    bytes.extend(value);
    Some(())
}

/// The fields of a payload.
pub(crate) struct Reader<'a>(Vec<(u8, &'a [u8])>);

impl<'a> Reader<'a> {
    /// Parses the fields. `None` if a field is cut off, or if a tag occurs twice.
    pub(crate) fn parse(mut bytes: &'a [u8]) -> Option<Self> {
        let mut fields: Vec<(u8, &[u8])> = vec![];
        while let Some((&tag, rest)) = bytes.split_first() {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            let (value, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
            if fields.iter().any(|(known, _)| *known == tag) {
                return None;
            }
            fields.push((tag, value));
            bytes = rest;
        }
        Some(Self(fields))
    }

    /// The value of a field. `None` if the field is missing.
    pub(crate) fn get(&self, tag: Tag) -> Option<&'a [u8]> {
        self.0.iter().find(|(known, _)| *known == tag as u8).map(|(_, value)| *value)
    }

    /// The value of a field as text. `None` if the field is missing or not valid UTF-8.
    pub(crate) fn text(&self, tag: Tag) -> Option<String> {
        String::from_utf8(self.get(tag)?.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_tag_and_unknown_fields_are_ignored() {
        let mut bytes = vec![200, 0, 1, b'x'];
        push(&mut bytes, Tag::Recipient, b"ann@example.com").unwrap();
        let fields = Reader::parse(&bytes).unwrap();
        assert_eq!(fields.text(Tag::Recipient).as_deref(), Some("ann@example.com"));
        assert_eq!(fields.get(Tag::HasCode), None);
    }

    #[test]
    fn a_field_that_is_too_long_is_refused() {
        assert_eq!(push(&mut vec![], Tag::Recipient, &[0; 65_535]), Some(()));
        assert_eq!(push(&mut vec![], Tag::Recipient, &[0; 65_536]), None);
    }

    #[test]
    fn a_truncated_or_repeated_field_is_refused() {
        let mut bytes = vec![];
        push(&mut bytes, Tag::Recipient, b"ann@example.com").unwrap();
        for length in 1..bytes.len() {
            assert!(Reader::parse(&bytes[..length]).is_none(), "{length}");
        }
        assert!(Reader::parse(&bytes.repeat(2)).is_none());
    }
}
