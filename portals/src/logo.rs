//! A portal's logo. It is embedded in each mail, because mails must load nothing from the network.

use std::{fmt, fs, path::Path, sync::Arc};

use imagesize::ImageType;
use words::{Fault, problem_of_file};

/// Maximum size of a logo, in bytes. The limit is low because every mail contains the logo.
const MAX_BYTES: usize = 100 * 1024;
/// Maximum width and height of the image, in pixels. A larger image is probably a mistake, because mails show logos at
/// a much smaller size.
const MAX_SIDE: usize = 4_096;
/// Maximum size at which a logo is shown, in CSS pixels.
const SHOWN_WIDTH: usize = 240;
const SHOWN_HEIGHT: usize = 48;

/// An image in a format that all mail programs show: PNG, JPEG or GIF.
#[derive(Clone, PartialEq, Eq)]
pub struct Logo {
    bytes: Arc<[u8]>,
    media_type: &'static str,
    file_name: &'static str,
    width: usize,
    height: usize,
}

/// Why a file cannot be used as a logo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LogoProblem {
    /// The file is not a PNG, JPEG or GIF image.
    #[error("is not a PNG, JPEG or GIF image")]
    Format,
    /// The file is too large.
    #[error("is larger than 100 KiB")]
    TooLarge,
    /// The image's width or height is zero or too large.
    #[error("must be 1 to 4096 pixels wide and high")]
    Dimensions,
}

impl Logo {
    /// Reads an image. Mails show it at no more than 240 × 48 CSS pixels, so an image of twice that size is sharp even
    /// on a high-resolution screen.
    ///
    /// # Errors
    /// [`LogoProblem`] if the image cannot be used as a logo.
    pub fn parse(bytes: impl Into<Arc<[u8]>>) -> Result<Self, LogoProblem> {
        let bytes = bytes.into();
        if bytes.len() > MAX_BYTES {
            return Err(LogoProblem::TooLarge);
        }
        let (media_type, file_name) = match imagesize::image_type(&bytes) {
            Ok(ImageType::Png) => ("image/png", "logo.png"),
            Ok(ImageType::Jpeg) => ("image/jpeg", "logo.jpg"),
            Ok(ImageType::Gif) => ("image/gif", "logo.gif"),
            _ => return Err(LogoProblem::Format),
        };
        let size = imagesize::blob_size(&bytes).map_err(|_| LogoProblem::Format)?;
        let sides = 1..=MAX_SIDE;
        if !sides.contains(&size.width) || !sides.contains(&size.height) {
            return Err(LogoProblem::Dimensions);
        }
        let (width, height) = shown_size(size.width, size.height);
        Ok(Self { bytes, media_type, file_name, width, height })
    }

    /// Reads a logo. `path` is relative to the folder that contains `portals_file`.
    ///
    /// # Errors
    /// A message with the path of the file and the problem.
    pub(crate) fn read(portals_file: &Path, path: &str) -> Result<Self, String> {
        let path = portals_file.parent().unwrap_or(Path::new("")).join(path);
        let unreadable = |error: std::io::Error| {
            let problem = Fault::of_file(&path, problem_of_file(&error)).to_string();
            problem.trim_end_matches('.').to_owned()
        };
        let size = fs::metadata(&path).map_err(unreadable)?.len();
        let bytes =
            if size > MAX_BYTES as u64 { Err(LogoProblem::TooLarge) } else { Ok(fs::read(&path).map_err(unreadable)?) };
        bytes.and_then(Self::parse).map_err(|problem| format!("{} {problem}", path.display()))
    }

    /// The content of the image file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// `image/png`, `image/jpeg` or `image/gif`.
    #[must_use]
    pub fn media_type(&self) -> &'static str {
        self.media_type
    }

    /// The file name, which Mailgun uses as the part's Content-ID.
    #[must_use]
    pub fn file_name(&self) -> &'static str {
        self.file_name
    }

    /// The value of the image's `src` attribute, such as `cid:logo.png`.
    #[must_use]
    pub fn source(&self) -> String {
        format!("cid:{}", self.file_name)
    }

    /// Width and height at which mails show the image, in CSS pixels.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }
}

/// Returns the size at which mails show an image. A large image is scaled down, and keeps its proportions.
fn shown_size(width: usize, height: usize) -> (usize, usize) {
    if width <= SHOWN_WIDTH && height <= SHOWN_HEIGHT {
        return (width, height);
    }
    // Apply whichever limit shrinks the image more: the width or the height.
    if width * SHOWN_HEIGHT > height * SHOWN_WIDTH {
        (SHOWN_WIDTH, (height * SHOWN_WIDTH / width).max(1))
    } else {
        ((width * SHOWN_HEIGHT / height).max(1), SHOWN_HEIGHT)
    }
}

impl fmt::Debug for Logo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} × {}, {} bytes)", self.file_name, self.width, self.height, self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_STANDARD};

    use super::*;

    /// A transparent GIF of one pixel.
    const PIXEL: &str = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";

    #[test]
    fn only_images_that_mail_programs_can_show_are_accepted_as_logos() {
        let logo = Logo::parse(BASE64_STANDARD.decode(PIXEL).unwrap()).unwrap();
        assert_eq!((logo.media_type(), logo.source().as_str(), logo.size()), ("image/gif", "cid:logo.gif", (1, 1)));
        for (bytes, problem) in [
            (&b""[..], LogoProblem::Format),
            (b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>", LogoProblem::Format),
            (b"\x89PNG\r\n\x1a\n", LogoProblem::Format),
            (b"GIF89a\0\0\0\0\0\0\0\0\0\0", LogoProblem::Dimensions),
            (b"RIFF\0\0\0\0WEBPVP8 ", LogoProblem::Format),
            (&[0; 102_401], LogoProblem::TooLarge),
        ] {
            assert_eq!(Logo::parse(bytes), Err(problem));
        }
    }

    #[test]
    fn a_large_image_is_scaled_down_in_proportion() {
        for (size, shown) in [
            ((100, 40), (100, 40)),
            ((240, 48), (240, 48)),
            ((480, 96), (240, 48)),
            ((96, 96), (48, 48)),
            ((1_000, 10), (240, 2)),
            ((4_096, 1), (240, 1)),
            ((1, 4_096), (1, 48)),
        ] {
            assert_eq!(shown_size(size.0, size.1), shown, "{size:?}");
        }
    }
}
