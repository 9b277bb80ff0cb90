//! The command line: what is counted, in which columns, and how it is shown.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use text::Options;

/// Most columns: with the last one, a message is older than the universe.
/// told: the caller, by an error.
const MAX_BUCKETS: usize = 64;

/// Ages by which messages are told apart.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Buckets {
    /// Columns, at least one.
    pub(crate) count: usize,
    /// Minutes of the first one.
    pub(crate) minutes: f64,
    /// All are of the same width.
    pub(crate) linear: bool,
}

impl Buckets {
    /// The age in minutes at which a column ends; the last one has no end.
    pub(crate) fn end(&self, column: usize) -> f64 {
        let times =
            if self.linear { column as f64 + 1.0 } else { 2f64.powi(i32::try_from(column).unwrap_or(i32::MAX)) };
        self.minutes * times
    }

    /// The column of an age in seconds.
    pub(crate) fn column(&self, age: i64) -> usize {
        let minutes = age as f64 / 60.0;
        let last = self.count - 1;
        (0..last).find(|column| minutes < self.end(*column)).unwrap_or(last)
    }

    /// What stands above the columns.
    pub(crate) fn titles(&self) -> Vec<String> {
        let last = self.count - 1;
        let start = if last == 0 { 0.0 } else { self.end(last - 1) };
        (0..last).map(|column| self.end(column).to_string()).chain([format!("{start}+")]).collect()
    }
}

/// The command line.
#[derive(Debug)]
pub(crate) struct Request {
    /// Of main.cf.
    pub(crate) directory: Option<Vec<u8>>,
    /// Senders are counted in place of recipients.
    pub(crate) senders: bool,
    /// Parent domains with so many names right below them have a row.
    pub(crate) parents: Option<usize>,
    pub(crate) buckets: Buckets,
    /// Columns of the screen.
    pub(crate) width: usize,
    /// Messages after which a terminal shows the counts so far.
    pub(crate) batch: usize,
    /// Domains that a terminal shows.
    pub(crate) top: usize,
    /// Names below the queue directory, or absolute.
    pub(crate) queues: Vec<PathBuf>,
}

impl Request {
    /// Reads it.
    ///
    /// # Errors
    /// The usage, or the number that is none.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        const USAGE: &str = "usage: qshape [-s] [-p] [-m min_subdomains] [-b bucket_count] [-t bucket_time] [-l] \
                             [-w terminal_width] [-N batch_msg_count] [-n batch_top_domains] [-c config_dir] \
                             [queue_name ...]";
        let mut options = Options::new("spm:b:t:lw:N:n:c:", arguments);
        let (mut with_parents, mut subdomains) = (false, 5);
        let mut request = Self {
            directory: None,
            senders: false,
            parents: None,
            buckets: Buckets { count: 10, minutes: 5.0, linear: false },
            width: 80,
            batch: 1000,
            top: 20,
            queues: Vec::new(),
        };
        while let Some((letter, value)) = options.next_or_usage("qshape", USAGE)? {
            match letter {
                b's' => request.senders = true,
                b'p' => with_parents = true,
                b'm' => subdomains = number(letter, &value, 1)?,
                b'b' => request.buckets.count = parsed(letter, &value, |count| (1..=MAX_BUCKETS).contains(count))?,
                b't' => request.buckets.minutes = minutes(&value)?,
                b'l' => request.buckets.linear = true,
                b'w' => request.width = number(letter, &value, 0)?.max(request.width),
                b'N' => request.batch = number(letter, &value, 1)?,
                b'n' => request.top = number(letter, &value, 1)?,
                _ => request.directory = Some(value),
            }
        }
        request.parents = with_parents.then_some(subdomains);
        request.queues = options.operands().into_iter().map(PathBuf::from).collect();
        if request.queues.is_empty() {
            request.queues = ["incoming", "active"].map(PathBuf::from).to_vec();
        }
        Ok(request)
    }
}

fn parsed<T: FromStr>(letter: u8, value: &[u8], is_good: impl Fn(&T) -> bool) -> Result<T, String> {
    let number = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok()).filter(is_good);
    number.ok_or_else(|| format!("option -{}: bad number: {}", char::from(letter), text::printable(value)))
}

fn number(letter: u8, value: &[u8], least: usize) -> Result<usize, String> {
    parsed(letter, value, |number| *number >= least)
}

fn minutes(value: &[u8]) -> Result<f64, String> {
    parsed(b't', value, |minutes: &f64| minutes.is_finite() && *minutes > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[&str]) -> Result<Request, String> {
        Request::parse(line.iter().map(OsString::from))
    }

    #[test]
    fn columns_are_twice_as_wide_each_or_as_wide() {
        let titles = |line: &[&str]| parse(line).unwrap().buckets.titles().join(" ");
        assert_eq!(titles(&[]), "5 10 20 40 80 160 320 640 1280 1280+");
        assert_eq!(titles(&["-b", "3", "-t1"]), "1 2 2+");
        assert_eq!(titles(&["-lb", "4"]), "5 10 15 15+");
        assert_eq!(titles(&["-b", "4", "-t", "1.5"]), "1.5 3 6 6+");
        assert_eq!(titles(&["-b", "1"]), "0+");
        let buckets = parse(&["-b", "3"]).unwrap().buckets;
        let ages = [-5, 0, 299, 300, 599, 600, 1_000_000].map(|age| buckets.column(age));
        assert_eq!(ages, [0, 0, 0, 1, 1, 2, 2]);
    }

    #[test]
    fn a_number_that_is_none_is_named() {
        for line in ["-bx", "-b0", "-b65", "-t0", "-tinf", "-m-1", "-n0", "-N1.5", "-w-1"] {
            let why = parse(&[line]).unwrap_err();
            assert_eq!(why, format!("option {}: bad number: {}", &line[..2], &line[2..]));
        }
        assert!(parse(&["-x"]).is_err_and(|why| why.contains("usage: qshape")));
    }

    #[test]
    fn parents_are_shown_where_they_are_asked_for() {
        assert_eq!(parse(&["-m", "2"]).unwrap().parents, None);
        assert_eq!(parse(&["-p"]).unwrap().parents, Some(5));
        let request = parse(&["-p", "-m", "2", "-w", "30", "hold", "/q/deferred"]).unwrap();
        assert_eq!((request.parents, request.width, request.queues.len()), (Some(2), 80, 2));
    }
}
