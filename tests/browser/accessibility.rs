//! Checks a page with axe: the rules of WCAG 2.2 and axe's own best practices. `just browser-test` installs axe.

use std::{path::Path, sync::LazyLock};

use serde_json::{Value, json};

use crate::chromium::Browser;

const AXE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/browser/axe/node_modules/axe-core/axe.min.js");

static SCRIPT: LazyLock<String> = LazyLock::new(|| {
    std::fs::read_to_string(Path::new(AXE))
        .unwrap_or_else(|error| panic!("could not read {AXE}: {error}; run `just browser-test`, which installs axe"))
});

/// Runs axe, and returns each violation with the elements that violate the rule. Contrast is not checked with forced
/// colours. The user has chosen those colours, and axe would read the page's own text colour
/// (`-webkit-text-fill-color`) instead of the colour that is shown.
const RUN: &str = r"
    const [ignored, done] = arguments;
    const told = ({ id, help, nodes }) =>
      `${id}: ${help}\n` + nodes.map((node) => `  ${node.html}\n  ${node.failureSummary}`).join('\n');
    const hasForcedColors = matchMedia('(forced-colors: active)').matches;
    if (hasForcedColors) ignored.push('color-contrast');
    const rules = Object.fromEntries(ignored.map((rule) => [rule, { enabled: false }]));
    axe.run(document, { resultTypes: ['violations'], rules }).then(
      ({ violations, passes }) => done({ violations: violations.map(told), passes: passes.length }),
      (error) => done({ violations: [String(error)], passes: 0 }),
    );
";

impl Browser {
    /// Fails if axe finds a violation on the page in its current state. `what` describes the page and its state.
    pub(crate) async fn assert_accessible(&self, what: &str) {
        self.assert_without(&[], what).await;
    }

    /// Like `assert_accessible`, but for a mail. A mail program shows a mail as part of its own page, so the rules
    /// about a page's landmarks do not apply.
    pub(crate) async fn assert_mail_accessible(&self, what: &str) {
        self.assert_without(&["landmark-one-main", "region"], what).await;
    }

    async fn assert_without(&self, ignored: &[&str], what: &str) {
        self.driver.execute(SCRIPT.as_str(), Vec::<Value>::new()).await.unwrap();
        let result = self.driver.execute_async(RUN, vec![json!(ignored)]).await.unwrap().json().clone();
        let violations: Vec<&str> = result["violations"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert!(violations.is_empty(), "{what}:\n{}", violations.join("\n"));
        assert!(result["passes"].as_u64() > Some(0), "{what}: axe checked no rules");
    }
}
