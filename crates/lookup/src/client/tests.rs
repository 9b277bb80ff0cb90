//! Tables of a database that is there, and what they say of wrong ones.

use rusqlite::Connection;

use crate::{OpenFlags, Settings, Table, open};

/// A directory with a database `db`, and files of settings for it.
struct Site(std::path::PathBuf);

impl Site {
    fn new(test: &str) -> Site {
        let folder = std::env::temp_dir().join(format!("lookup-sqlite-{test}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let site = Site(folder);
        site.run(
            "create table t(k text, v text, w text);
             insert into t values('a','va','w1'),('a','va2','w2'),('b@x.y','u@v.w','q'),('o''q','quoted',''),
             ('e','',''),('nul',NULL,''),('Up','up','')",
        );
        site
    }

    fn path(&self) -> String {
        self.0.join("db").display().to_string()
    }

    fn writer(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    fn run(&self, sql: &str) {
        self.writer().execute_batch(sql).unwrap();
    }

    /// The table with these settings besides its database.
    fn table(&self, settings: &str) -> Result<std::sync::Arc<dyn Table>, String> {
        std::fs::write(self.0.join("cf"), format!("dbpath = {}\n{settings}\n", self.path())).unwrap();
        let opened =
            open(&format!("sqlite:{}", self.0.join("cf").display()), &Settings::default(), OpenFlags::default());
        opened.map_err(|error| error.to_string().replace(&format!("{}/", self.0.display()), ""))
    }

    fn found(&self, settings: &str, key: &str) -> Result<Option<String>, String> {
        let found = self.table(settings)?.lookup(key.as_bytes()).map_err(|error| error.reason().to_owned())?;
        Ok(found.map(|value| String::from_utf8(value).unwrap()))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const QUERY: &str = "query = SELECT v, w FROM t WHERE k='%s'";

fn some(value: &str) -> Result<Option<String>, String> {
    Ok(Some(value.to_owned()))
}

#[test]
fn the_first_column_of_all_rows_is_the_value() {
    let site = Site::new("rows");
    for (key, expected) in [
        ("a", some("va,va2")),
        ("A", some("va,va2")),
        ("o'q", some("quoted")),
        ("e", Ok(None)),
        ("nul", Ok(None)),
        ("nope", Ok(None)),
        ("Up", Ok(None)),
        ("", Ok(None)),
        ("' OR 1=1 --", Ok(None)),
        ("a\0b", Ok(None)),
    ] {
        assert_eq!(site.found(QUERY, key), expected, "{key}");
    }
    let many = "query=SELECT 1.5 union all select 7 union all select 'a b' union all select x'4100ff' union all select 1e20 \
                union all select '' union all select NULL union all select -1.0";
    assert_eq!(site.found(many, "x"), some("1.5,7,a b,A,1.0e+20,-1.0"));
    assert_eq!(site.found("query=SELECT 'a'; garbage", "x"), some("a"));
    assert_eq!(site.found("query=SELECT v FROM t WHERE k=?", "x"), Ok(None));
    assert_eq!(site.found("query=PRAGMA user_version", "x"), some("0"));
}

#[test]
fn settings_of_old_make_a_query() {
    let site = Site::new("old");
    let old = "table=t\nselect_field=v\nwhere_field=k\nadditional_conditions=AND w='w2'";
    assert_eq!(site.found(old, "a"), some("va2"));
    let fields = ["table", "select_field", "where_field"];
    for (count, missing) in fields.iter().enumerate() {
        let set: Vec<String> = fields[..count].iter().map(|name| format!("{name}=t")).collect();
        assert_eq!(site.found(&set.join("\n"), "a"), Err(format!("cf: bad string length 0 < 1: {missing} = ")));
    }
}

#[test]
fn a_result_has_its_format_and_its_limit() {
    let site = Site::new("format");
    let with = |more: &str, key: &str| site.found(&format!("{QUERY}\n{more}"), key);
    assert_eq!(with("result_format=<%s|%u|%d|%S>", "b@x.y"), some("<u@v.w|u|v.w|b@x.y>"));
    assert_eq!(with("result_format=<%u|%d>", "a"), Ok(None));
    assert_eq!(with("result_format=fixed", "a"), some("fixed,fixed"));
    assert_eq!(with("expansion_limit=2", "a"), some("va,va2"));
    assert_eq!(with("expansion_limit=-1", "a"), some("va,va2"));
    assert_eq!(with("expansion_limit=1", "a"), Err("more than 1 values".to_owned()));
    assert_eq!(with("domain=x.y, !z.z, inline:{w.w=1}", "b@x.y"), some("u@v.w"));
    for key in ["a", "b@other", "b@z.z", "b@sub.x.y", "@x.y", "b@"] {
        assert_eq!(with("domain=x.y, !z.z\nquery=SELECT 1", key), Ok(None), "{key}");
    }
    assert_eq!(with("domain=fail:x", "a@b"), Err("Application error".to_owned()));
}

#[test]
fn what_makes_no_sense_is_told_when_the_table_is_opened() {
    let site = Site::new("wrong");
    for (settings, why) in [
        ("query=SELECT 1\nexpansion_limit=x", "cf: bad numerical configuration: expansion_limit = x"),
        (
            "query=SELECT 1\nexpansion_limit=99999999999",
            "cf: bad numerical configuration: expansion_limit = 99999999999",
        ),
        ("query=SELECT 1\nresult_format=", "cf: bad string length 0 < 1: result_format = "),
        ("query=SELECT 1\nresult_format=%x", "db_common_parse: cf: Invalid result template: %x"),
        ("query=SELECT '%q'", "db_common_parse: cf: Invalid query template: SELECT '%q'"),
        ("query=SELECT 1\ndomain=!", "cf: no pattern after '!'"),
        ("query=SELECT 1\nlonely", "cf, line 3: missing '=' after attribute name: \"lonely\""),
        ("query=SELECT 1\ndbpath=", "cf: bad string length 0 < 1: dbpath = "),
        (
            "query=SELECT 1\ndbpath=/proc/self/none",
            "sqlite:cf: open database /proc/self/none: unable to open database file: No such file or directory",
        ),
        ("query=SELECT 1\ndbpath=/", "sqlite:cf: open database /: disk I/O error: Is a directory"),
    ] {
        assert_eq!(site.table(settings).err().as_deref(), Some(why), "{settings}");
    }
    let opened = |name: &str| open(name, &Settings::default(), OpenFlags::default()).err().unwrap().to_string();
    assert_eq!(opened("sqlite:/nofile"), "open /nofile: No such file or directory");
    assert_eq!(opened("sqlite:/"), "read /: Is a directory");
    assert_eq!(opened("sqlite:nope"), "bad string length 0 < 1: nope_dbpath = ");
}

#[test]
fn a_table_within_itself_ends_somewhere() {
    let site = Site::new("itself");
    let cf = site.0.join("cf").display().to_string();
    let table = site.table(&format!("query=SELECT 1\ndomain=sqlite:{cf}")).unwrap();
    assert_eq!(table.lookup(b"a@b").unwrap(), None);
}

#[test]
fn main_cf_has_the_settings_of_a_table_without_a_file() {
    let site = Site::new("main");
    let main_cf = format!(
        "my_dbpath = {}\nmy_query = SELECT v FROM t WHERE k=$my_q\nmy_q = '%s'\nmy_expansion_limit=2\n\
         x_dbpath = /proc/self/none\nx_query = x\nn_expansion_limit = z\nn_dbpath = /x\nn_query = x\nu_dbpath = ${{\n",
        site.path()
    );
    let config = config::Config::parse(main_cf.as_bytes(), std::path::Path::new("/c"), &[]).unwrap();
    let settings = Settings::from(&config);
    let table = open("sqlite:my", &settings, OpenFlags::default()).unwrap();
    assert_eq!(table.lookup(b"a").unwrap(), Some(b"va,va2".to_vec()));
    assert_eq!(table.owner(), None);
    let opened = |name: &str| open(name, &settings, OpenFlags::default()).err().unwrap().to_string();
    let missing = "sqlite:x: open database /proc/self/none: unable to open database file: No such file or directory";
    assert_eq!(opened("sqlite:x"), missing);
    assert_eq!(opened("sqlite:n"), "bad numerical configuration: n_expansion_limit = z");
    assert!(!opened("sqlite:u").contains("bad string length"));
}

#[test]
fn every_look_up_sees_what_was_committed_before_it() {
    let site = Site::new("seen");
    let table = site.table(QUERY).unwrap();
    let found = |key: &str| table.lookup(key.as_bytes()).unwrap().map(|value| String::from_utf8(value).unwrap());
    for mode in ["delete", "truncate", "persist", "wal"] {
        let key = format!("new{mode}");
        assert_eq!(found(&key), None);
        let writer = site.writer();
        writer.query_row(&format!("PRAGMA journal_mode={mode}"), [], |_| Ok(())).unwrap();
        writer.execute("insert into t values(?1, 'one', '')", [&key]).unwrap();
        assert_eq!(found(&key).as_deref(), Some("one"), "{mode}");
        writer.execute_batch("begin").unwrap();
        writer.execute("insert into t values(?1, 'two', '')", [&key]).unwrap();
        assert_eq!(found(&key).as_deref(), Some("one"), "{mode}");
        writer.execute_batch("commit").unwrap();
        assert_eq!(found(&key).as_deref(), Some("one,two"), "{mode}");
        // In WAL mode the library leaves a file that only its own programs may read.
        drop(writer);
        assert_eq!(found(&key).as_deref(), Some("one,two"), "{mode}");
        site.run(&format!("update t set v='three' where k='{key}'"));
        assert_eq!(found(&key).as_deref(), Some("three,three"), "{mode}");
    }
    assert!(!table.changed());
    std::fs::copy(site.path(), site.0.join("other")).unwrap();
    std::fs::rename(site.0.join("other"), site.path()).unwrap();
    assert!(table.changed());
}

#[test]
fn a_database_in_wal_mode_that_no_program_has_open_is_read_and_no_file_is_made() {
    let site = Site::new("closed");
    site.writer().query_row("PRAGMA journal_mode=wal", [], |_| Ok(())).unwrap();
    let table = site.table(QUERY).unwrap();
    assert_eq!(table.lookup(b"b@x.y").unwrap().as_deref(), Some(&b"u@v.w"[..]));
    site.run("update t set v='new' where k='b@x.y'");
    assert_eq!(table.lookup(b"b@x.y").unwrap().as_deref(), Some(&b"new"[..]));
    let files = std::fs::read_dir(&site.0).unwrap().map(|entry| entry.unwrap().file_name());
    let mut files: Vec<_> = files.map(|name| name.into_string().unwrap()).collect();
    files.sort();
    assert_eq!(files, ["cf", "db"]);
}

#[test]
fn a_long_answer_comes_as_a_whole() {
    let site = Site::new("long");
    let big = "query=with recursive c(x) as (select 1 union all select x+1 from c limit 100000) select 'aaaaaaaaaaaaa' from c";
    assert_eq!(site.found(big, "a").unwrap().unwrap().len(), 1_399_999);
}

#[test]
fn a_writer_that_died_leaves_a_database_that_is_read() {
    let site = Site::new("died");
    let writer = site.writer();
    writer.query_row("PRAGMA journal_mode=wal", [], |_| Ok(())).unwrap();
    writer.execute_batch("insert into t values('late', 'yes', '')").unwrap();
    let copy = Site::new("died-copy");
    for end in ["", "-wal", "-shm"] {
        std::fs::copy(format!("{}{end}", site.path()), format!("{}{end}", copy.path())).unwrap();
    }
    assert_eq!(copy.found(QUERY, "late"), some("yes"));
}

#[test]
fn a_locked_database_is_waited_for_and_then_an_error() {
    let site = Site::new("locked");
    let table = site.table(QUERY).unwrap();
    let writer = site.writer();
    writer.execute_batch("begin exclusive").unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| table.lookup(b"a").unwrap());
        writer.execute_batch("update t set v='later' where k='a'; commit").unwrap();
        let found = waiting.join().unwrap();
        assert_eq!(found.as_deref(), Some(&b"later,later"[..]));
    });
    writer.execute_batch("begin exclusive").unwrap();
    assert!(table.lookup(b"a").is_err());
}

#[test]
fn what_cannot_be_asked_is_an_error_and_never_not_found() {
    let site = Site::new("cannot");
    let fails = |settings: &str| assert_eq!(site.found(settings, "a"), Err(String::new()), "{settings}");
    fails("query=SELECT v FROM nosuch");
    fails("query=SELEC");
    fails("query=-- %s");
    fails("query=INSERT INTO t VALUES('%s','','')");
    fails("query=SELECT load_extension('x')");
    fails("query=SELECT abs(-9223372036854775808)");
    fails("query=SELECT zeroblob(1000000000)");
    fails(
        "query=with recursive c(x) as (select 1 union all select x+1 from c) select 'aaaaaaaaaaaaaaaaaaaaaaaaa' from c",
    );
    fails(
        "query=with recursive c(x) as (select zeroblob(1000000)||x union all select x||1 from c) select x from c order by x",
    );
    for content in [&b""[..], &[b'x'; 5000]] {
        std::fs::write(site.path(), content).unwrap();
        fails(QUERY);
    }
}
