//! The minimum version of Postgres in the documentation is the oldest version that the tests run on.

use sandbox::OLDEST_POSTGRES;

#[test]
fn the_documented_minimum_version_of_postgres_is_tested() {
    let documents = [
        ("README.md", include_str!("../../../README.md")),
        ("docs/deploying.md", include_str!("../../../docs/deploying.md")),
    ];
    for (name, text) in documents {
        let stated: Vec<u32> =
            text.split("Postgres ").skip(1).filter_map(|rest| rest.split_once(" or newer")?.0.parse().ok()).collect();
        assert!(!stated.is_empty() && stated.iter().all(|version| *version == OLDEST_POSTGRES), "{name}: {stated:?}");
    }
}
