//! Debian's Chromium, headless, controlled through WebDriver. Each test has its own session and profile. If the browser
//! is missing, the test fails with the names of the packages to install.

use std::{path::Path, time::Duration};

use sandbox::{Program, eventually_within};
use tempfile::TempDir;
use thirtyfour::{By, ChromiumLikeCapabilities as _, DesiredCapabilities, WebDriver, WebElement};

/// Maximum time that a test waits for a page. It is generous, so that the tests also pass on a machine with two cores.
const MAX_WAIT: Duration = Duration::from_secs(20);

/// Turns off background traffic, because tests have no network. Also turns off Chromium's sandbox. The sandbox does not
/// work for root, and is not needed, because the browser opens only our own pages.
const ARGUMENTS: [&str; 11] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--lang=en",
    "--window-size=1100,800",
];

/// An open browser.
pub(crate) struct Browser {
    pub(crate) driver: WebDriver,
}

/// Opens a browser for a test, and closes it even if the test fails.
pub(crate) async fn browse<F: Future<Output = ()>>(test: impl FnOnce(Browser) -> F) {
    let home = TempDir::new().unwrap();
    let settings = [("HOME".to_owned(), home.path().to_str().unwrap().to_owned())];
    let program = Program::spawn(Path::new("chromedriver"), "chromedriver", &settings, &["--port=0"])
        .unwrap_or_else(|error| panic!("{error}: install the Debian packages chromium and chromium-driver"));
    let line = program.wait_for_line("started successfully on port", MAX_WAIT).await.unwrap();
    let port = line.trim_end_matches('.').rsplit(' ').next().unwrap();
    let mut capabilities = DesiredCapabilities::chrome();
    for argument in ARGUMENTS {
        capabilities.add_arg(argument).unwrap();
    }
    let driver = WebDriver::builder(format!("http://127.0.0.1:{port}"), capabilities)
        .client(sandbox::client().unwrap())
        .await
        .unwrap_or_else(|error| panic!("{error}: install the Debian packages chromium and chromium-driver"));
    let run = driver.run_and_quit(|driver| async move {
        test(Browser { driver }).await;
        Ok::<(), std::convert::Infallible>(())
    });
    run.await.unwrap();
}

impl Browser {
    /// Opens this URL.
    pub(crate) async fn go(&self, url: &str) {
        self.driver.goto(url).await.unwrap();
    }

    /// The element with this id.
    pub(crate) async fn at(&self, id: &str) -> WebElement {
        self.driver.find(By::Id(id)).await.unwrap()
    }

    /// The visible text of the element with this id.
    pub(crate) async fn text(&self, id: &str) -> String {
        self.at(id).await.text().await.unwrap()
    }

    /// Clicks the element with this id.
    pub(crate) async fn click(&self, id: &str) {
        self.at(id).await.click().await.unwrap();
    }

    /// Clears the field with this id, and types `text` into it.
    pub(crate) async fn type_into(&self, id: &str, text: &str) {
        let field = self.at(id).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Submits the portal's form with this email address.
    pub(crate) async fn ask_for(&self, address: &str) {
        self.type_into("email", address).await;
        self.click("submit").await;
    }

    /// Returns the value of a JavaScript expression on the current page.
    pub(crate) async fn value(&self, expression: &str) -> serde_json::Value {
        let script = format!("return ({expression})");
        self.driver.execute(script, Vec::<serde_json::Value>::new()).await.unwrap().json().clone()
    }

    /// Waits until a JavaScript expression is true. An expression that cannot be evaluated, for example during a
    /// navigation, counts as false.
    pub(crate) async fn until(&self, expression: &str) {
        const SEEN: &str = "location.href + '\\n' + document.body?.innerText";
        let script = format!("return Boolean({expression}) || {SEEN}");
        eventually_within(MAX_WAIT, expression, async || {
            let held = self.driver.execute(script.clone(), Vec::<serde_json::Value>::new()).await;
            match held.map(|held| held.json().clone()) {
                Ok(serde_json::Value::Bool(true)) => Ok(()),
                seen => Err(seen),
            }
        })
        .await;
    }

    /// Waits until the element with this id is visible.
    pub(crate) async fn until_shown(&self, id: &str) {
        self.until(&format!("document.getElementById('{id}')?.checkVisibility()")).await;
    }

    /// Waits until the element with this id shows text that contains `part`.
    pub(crate) async fn until_text(&self, id: &str, part: &str) {
        self.until(&format!("document.getElementById('{id}')?.innerText.includes({part:?})")).await;
    }

    /// Switches to the tab that was opened last.
    pub(crate) async fn to_newest_tab(&self) {
        let tabs = self.driver.windows().await.unwrap();
        self.driver.switch_to_window(tabs.last().unwrap().clone()).await.unwrap();
    }
}
