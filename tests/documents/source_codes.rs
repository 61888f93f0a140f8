//! Finds the error codes in the source: where Rust code creates a `Failure` or fills in a field named `code`, in the
//! tables of verdicts, and where SQL ends a job or sets its code.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::Path,
};

use crate::{files, workspace};

/// Files that classify the responses of upstreams. In these files, a code follows a verdict, as in
/// `(refused("SUPABASE_URL"), "a_code")`.
const VERDICTS: [&str; 3] = [
    "worker/src/upstream/supabase.rs",
    "worker/src/upstream/verdict/mailgun.rs",
    "worker/src/upstream/verdict/supabase.rs",
];

/// Files that create a `Failure` from a `code` that comes from one of [`VERDICTS`].
const PASS_ON_A_CODE: [&str; 3] = [
    "worker/src/upstream/supabase.rs",
    "worker/src/upstream/verdict/mailgun.rs",
    "worker/src/upstream/verdict/upstream_failure.rs",
];

/// The codes that `email_jobs.code` and `email_attempts.code` can contain. A code that only an old migration writes
/// also counts, because migrations are never edited.
pub(crate) fn job_codes() -> BTreeSet<String> {
    let sources = ["worker/src", "outbox/src"].map(|folder| read_folder(folder, "rs")).concat();
    let constants = sources.iter().flat_map(|(_, source)| constants(source)).collect();
    let mut codes = BTreeSet::new();
    for (path, source) in &sources {
        codes.extend(in_failures(path, source, &constants));
        if VERDICTS.contains(&&**path) {
            codes.extend(after_verdicts(source, &constants));
        }
        if path.starts_with("outbox/") {
            codes.extend(in_fields(source));
            codes.extend(in_sql(source));
        }
    }
    codes.extend(read_folder("migrations", "sql").iter().flat_map(|(_, source)| in_sql(source)));
    codes
}

/// The codes that `/health/ready` can contain in addition to the codes of jobs.
pub(crate) fn health_codes() -> BTreeSet<String> {
    let worker = literals_after(&read("worker/src/tasks/health.rs"), "code: ");
    let api = literals_after(&read("api/src/server/health.rs"), "\"code\": ");
    worker.into_iter().chain(api).collect()
}

/// The reasons for which the api refuses a webhook, except the one that the alert `WebhooksRefused` ignores.
pub(crate) fn webhook_reasons() -> BTreeSet<String> {
    let handler = read("api/src/webhook/handler.rs");
    let mut reasons: BTreeSet<String> = literals_after(&handler, "RejectedWebhook::new(").into_iter().collect();
    reasons.extend(literals_after(&handler, "NO_SIGNING_KEY: &str = "));
    reasons.extend(literals_after(&read("outbox/src/reports/mailgun_event.rs"), "Malformed("));
    // The alert ignores this reason, because the alerts DatabaseAway and RequestsFail report it.
    reasons.remove("database");
    reasons
}

/// The files in a folder: for each file, its path in the workspace and its text as [`read`] returns it.
fn read_folder(folder: &str, extension: &str) -> Vec<(String, String)> {
    let path_of = |file: &Path| file.strip_prefix(workspace()).unwrap().to_str().unwrap().to_owned();
    let paths = files(&workspace().join(folder), extension).into_iter().map(|file| path_of(&file));
    paths.map(|path| (path.clone(), read(&path))).collect()
}

/// The text of a file, without comments and unit tests, as one line.
fn read(path: &str) -> String {
    as_one_line(&fs::read_to_string(workspace().join(path)).unwrap())
}

fn as_one_line(source: &str) -> String {
    let source = source.split("#[cfg(test)]").next().unwrap();
    let lines = source.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.filter(|line| !line.starts_with("//") && !line.starts_with("--")).collect::<Vec<_>>().join(" ")
}

fn is_code(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase())
}

/// The string constants of a file.
fn constants(source: &str) -> Vec<(String, String)> {
    let constants = source.split("const ").skip(1).filter_map(|rest| rest.split_once(": &str = "));
    constants.filter_map(|(name, value)| Some((name.to_owned(), literal(value)?.to_owned()))).collect()
}

/// The string at the start of `text`.
fn literal(text: &str) -> Option<&str> {
    text.trim_start().strip_prefix('"')?.split('"').next()
}

/// The code at the start of `text`, which is given as a string or by the name of a constant.
fn code<'a>(text: &'a str, constants: &'a HashMap<String, String>) -> Option<&'a str> {
    let name = || text.trim_start().split(|c: char| c != '_' && !c.is_ascii_alphanumeric()).next();
    literal(text).or_else(|| constants.get(name()?).map(String::as_str)).filter(|code| is_code(code))
}

/// The strings that follow `before` and look like codes. `Some(` may be in between.
fn literals_after(source: &str, before: &str) -> Vec<String> {
    let found = source.split(before).skip(1).map(|rest| rest.trim_start().trim_start_matches("Some("));
    found.filter_map(literal).filter(|text| is_code(text)).map(str::to_owned).collect()
}

/// The first arguments of `Failure::new`.
fn in_failures(path: &str, source: &str, constants: &HashMap<String, String>) -> Vec<String> {
    let arguments = source.split("Failure::new(").skip(1);
    let passed_on = |argument: &str| PASS_ON_A_CODE.contains(&path) && argument.trim_start().starts_with("code,");
    let codes = arguments.filter(|argument| !passed_on(argument)).map(|argument| {
        let start: String = argument.chars().take(40).collect();
        let found = code(argument, constants);
        found.unwrap_or_else(|| {
            panic!("{path}: `Failure::new({start}…` has neither a string nor a constant as its code")
        })
    });
    codes.map(str::to_owned).collect()
}

/// The codes that follow a verdict and a comma. A verdict ends with a letter or a closing bracket. An upstream's own
/// code follows a status instead, as in `(403, "bad_jwt")`, and is not found.
fn after_verdicts(source: &str, constants: &HashMap<String, String>) -> Vec<String> {
    let is_verdict = |at: usize| source[..at].ends_with(|c: char| c == ')' || c == '}' || c.is_ascii_alphabetic());
    let commas = source.match_indices(", ").filter(|(at, _)| is_verdict(*at));
    commas.filter_map(|(at, _)| code(&source[at + 1..], constants)).map(str::to_owned).collect()
}

/// The values of fields named `code`.
fn in_fields(source: &str) -> Vec<String> {
    literals_after(source, " code: ")
}

/// The codes that SQL writes: in the third argument of `email_job_ended`, and in `set code = …`.
fn in_sql(source: &str) -> Vec<String> {
    let ends = source.split("email_job_ended(").skip(1).filter_map(|rest| arguments(rest).into_iter().nth(2));
    let sets = source.split("set code = ").skip(1).filter_map(|rest| arguments(rest).into_iter().next());
    ends.chain(sets).flat_map(sql_codes).collect()
}

/// The arguments at the start of `text`, up to the closing bracket of their list.
fn arguments(text: &str) -> Vec<&str> {
    let (mut found, mut start, mut depth, mut is_string) = (vec![], 0, 0, false);
    for (at, character) in text.char_indices() {
        match character {
            '\'' => is_string = !is_string,
            _ if is_string => {}
            '(' => depth += 1,
            ')' if depth > 0 => depth -= 1,
            ',' | ')' if depth == 0 => {
                found.push(&text[start..at]);
                start = at + 1;
                if character == ')' {
                    break;
                }
            }
            _ => {}
        }
    }
    found
}

/// The strings in an expression, except those in comparisons.
fn sql_codes(expression: &str) -> Vec<String> {
    let parts: Vec<&str> = expression.split('\'').collect();
    let strings = parts.windows(2).step_by(2).map(|pair| (pair[0].trim_end(), pair[1]));
    let results = strings.filter(|(before, _)| !["when", "=", "<>"].iter().any(|word| before.ends_with(word)));
    results.map(|(_, text)| text.to_owned()).filter(|text| is_code(text)).collect()
}

#[test]
fn codes_are_found_where_a_failure_is_created_and_after_a_verdict() {
    let source = as_one_line(
        "const LOST: &str = \"lost\";\n\
         // Failure::new(\"in_a_comment\", why)\n\
         let one = Failure::new(\n  \"one\",\n  why);\n\
         let two = Failure::new(LOST, why);\n\
         match status { (403, \"not_ours\") => (refused(\"URL\"), \"ours\"), _ => (Verdict::Reject, LOST) }\n\
         EndedJob { code: Some(\"ended\".to_owned()) }\n\
         #[cfg(test)]\nmod tests { fn it() { Failure::new(\"of_a_test\", why) } }",
    );
    let constants = constants(&source).into_iter().collect();
    assert_eq!(in_failures("a.rs", &source, &constants), ["one", "lost"]);
    assert_eq!(after_verdicts(&source, &constants), ["ours", "lost"]);
    assert_eq!(in_fields(&source), ["ended"]);
}

#[test]
#[should_panic(expected = "has neither a string nor a constant as its code")]
fn a_code_that_cannot_be_read_is_reported() {
    in_failures("a.rs", "Failure::new(format!(\"{name}_failed\"), why)", &HashMap::new());
}

#[test]
fn codes_are_found_where_sql_ends_a_job() {
    let source = as_one_line(
        "select * from gone, email_job_ended(gone.job, 'failed', 'plain', 'A message, (with) all', now()) as ended,\n\
         -- email_job_ended(job, 'failed', 'in_a_comment', null, now())\n\
         email_job_ended(gone.job, case when late then 'expired' end,\n\
           case state when 'superseded' then 'newer' else coalesce((job).code, 'late') end, null, now())\n\
         update email_jobs set code = case when state = 'sent' then 'no_trace' else code end, message = 'text'",
    );
    assert_eq!(in_sql(&source), ["plain", "newer", "late", "no_trace"]);
    assert!(in_sql("create function email_job_ended(job jobs, state text, code text, message text)").is_empty());
}
