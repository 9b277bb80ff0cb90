//! How long a server may take for a content: smtp_data_xfer_timeout for each piece, or with smtp_per_request_deadline
//! for all of it, and a second more for each smtp_min_data_rate bytes.

use std::time::{Duration, Instant};

use crate::settings::Limits;

/// The time that is left.
pub struct Pace {
    limit: Duration,
    /// When all is to be over, and the bytes that earn another second.
    end: Option<(Instant, u32)>,
}

impl Pace {
    /// Before the first byte.
    pub fn new(limits: &Limits) -> Self {
        let limit = limits.data_transfer;
        Pace { limit, end: limits.whole.then(|| (Instant::now() + limit, limits.rate.max(1))) }
    }

    /// How long the next so many bytes may take.
    pub fn limit(&mut self, bytes: usize) -> Duration {
        let Some((end, rate)) = &mut self.end else { return self.limit };
        let left = end.saturating_duration_since(Instant::now());
        *end += Duration::from_secs_f64(bytes as f64 / f64::from(*rate));
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::fixture;

    #[test]
    fn bytes_earn_time_where_the_limit_is_for_the_whole() {
        let limits = Limits { data_transfer: Duration::from_secs(100), rate: 500, ..fixture::settings().limits };
        let mut each = Pace::new(&limits);
        assert_eq!([each.limit(50_000), each.limit(1)], [Duration::from_secs(100); 2]);
        let mut whole = Pace::new(&Limits { whole: true, ..limits });
        assert!(whole.limit(50_000) <= Duration::from_secs(100));
        let later = whole.limit(1);
        assert!(later > Duration::from_secs(150) && later <= Duration::from_secs(200), "{later:?}");
    }
}
