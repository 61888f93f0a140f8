//! Writes docs/settings.md and the example `.env` from the command lines of both programs. Run by `just settings`.

use tests::settings::Settings;

fn main() -> std::io::Result<()> {
    for (path, content) in Settings::read().files() {
        std::fs::write(path, content)?;
    }
    Ok(())
}
