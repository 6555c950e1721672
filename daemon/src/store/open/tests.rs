//! Owns: the tests of how connections are set up.

use rusqlite::config::DbConfig;

use super::{Options, SQLITE_MIN, connect, read_only};

/// Rules S3 and S7: what each connection must have, for what was acknowledged to stay, and for a file of somebody else's making to do no
/// harm.
#[test]
fn every_connection_is_set_up_for_a_hostile_world() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let writer = connect(&path, Options::default(), true).unwrap();
    let lax = connect(&path, Options { full_sync: false, ..Options::default() }, false).unwrap();
    let reader = read_only(&path).unwrap();
    let check = |conn: &rusqlite::Connection, pragma: &str, expected: &str| {
        let told = conn.pragma_query_value(None, pragma, |row| row.get::<_, rusqlite::types::Value>(0)).unwrap();
        let told = match told {
            rusqlite::types::Value::Integer(number) => number.to_string(),
            rusqlite::types::Value::Text(text) => text,
            other => format!("{other:?}"),
        };
        assert_eq!(told, expected, "{pragma}");
    };
    for (pragma, expected) in [
        ("foreign_keys", "1"),
        ("trusted_schema", "0"),
        ("cell_size_check", "1"),
        ("mmap_size", "0"),
        ("temp_store", "2"),
        ("busy_timeout", "5000"),
        ("journal_mode", "wal"),
    ] {
        check(&writer, pragma, expected);
        check(&reader, pragma, expected);
    }
    check(&writer, "synchronous", "2");
    check(&lax, "synchronous", "1");
    check(&reader, "query_only", "1");
    for conn in [&writer, &reader] {
        assert!(conn.db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE).unwrap());
        assert!(!conn.db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML).unwrap());
    }
    assert!(rusqlite::version_number() >= SQLITE_MIN);
}
