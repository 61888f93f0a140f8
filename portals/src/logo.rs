//! The logo of a portal's mails. It is part of the mail, because an image on a server would tell that server who reads the mail.

use std::{fs, path::Path};

use words::{Fault, problem_of_file};

/// Maximum size of the file in bytes. Every mail carries the logo.
const MAX_BYTES: u64 = 100 * 1024;
/// Maximum width and height in pixels.
const MAX_PIXELS: usize = 2_000;

/// The formats of images that all mail programs show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogoType {
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// GIF.
    Gif,
}

impl LogoType {
    /// The media type: `image/png`.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
        }
    }

    /// The usual ending of a file name: `png`.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Gif => "gif",
        }
    }
}

/// An image with its size.
#[derive(Clone, PartialEq, Eq)]
pub struct Logo {
    /// The file's content.
    pub bytes: Vec<u8>,
    /// The format.
    pub kind: LogoType,
    /// Width in pixels, 1 to 2,000.
    pub width: u32,
    /// Height in pixels, 1 to 2,000.
    pub height: u32,
}

impl Logo {
    /// Reads a file. `path` is relative to the folder of `portals_file`.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(crate) fn read(portals_file: &Path, path: &str) -> Result<Self, String> {
        let path = portals_file.parent().unwrap_or(Path::new("")).join(path);
        let unreadable = |error: std::io::Error| Fault::of_file(&path, problem_of_file(&error)).to_string();
        let size = fs::metadata(&path).map_err(unreadable)?.len();
        if size > MAX_BYTES {
            return Err(format!("{} has {} KiB: 100 KiB are allowed", path.display(), size.div_ceil(1024)));
        }
        Self::parse(fs::read(&path).map_err(unreadable)?).map_err(|problem| format!("{} {problem}", path.display()))
    }

    fn parse(bytes: Vec<u8>) -> Result<Self, String> {
        let kind = match imagesize::image_type(&bytes) {
            Ok(imagesize::ImageType::Png) => LogoType::Png,
            Ok(imagesize::ImageType::Jpeg) => LogoType::Jpeg,
            Ok(imagesize::ImageType::Gif) => LogoType::Gif,
            _ => return Err("is not a PNG, JPEG or GIF image".to_owned()),
        };
        let size = imagesize::blob_size(&bytes).map_err(|_| "is a damaged image".to_owned())?;
        let pixels = |count: usize| u32::try_from(count).ok().filter(|_| (1..=MAX_PIXELS).contains(&count));
        match (pixels(size.width), pixels(size.height)) {
            (Some(width), Some(height)) => Ok(Self { bytes, kind, width, height }),
            _ => Err(format!("has {}×{} pixels: {MAX_PIXELS}×{MAX_PIXELS} are allowed", size.width, size.height)),
        }
    }
}

impl std::fmt::Debug for Logo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { bytes, kind, width, height } = self;
        write!(f, "Logo({kind:?}, {width}x{height}, {} bytes)", bytes.len())
    }
}
