//! A header field that is gathered from the lines and pieces of lines that it comes in.

/// The field so far, lines joined by newlines; never longer than header_size_limit.
#[derive(Debug, Default)]
pub struct Gathered {
    text: Vec<u8>,
    is_open: bool,
    is_cut: bool,
}

impl Gathered {
    /// Begins a field with its first line, or a piece of it.
    pub fn begin(&mut self, data: &[u8], limit: usize) {
        self.text.clear();
        (self.is_open, self.is_cut) = (true, false);
        self.add(data, limit);
    }

    /// Adds a piece of the line before.
    pub fn add(&mut self, data: &[u8], limit: usize) {
        let room = limit.saturating_sub(self.text.len());
        // told: the log, by who takes the field; recipients are never read from here.
        self.text.extend_from_slice(&data[..data.len().min(room)]);
        self.is_cut |= data.len() > room;
    }

    /// Adds a continuation line, or a piece of it.
    pub fn add_line(&mut self, data: &[u8], limit: usize) {
        self.add(b"\n", limit);
        self.add(data, limit);
    }

    /// Its bytes so far.
    pub fn length(&self) -> usize {
        self.text.len()
    }

    /// Whether a field has begun.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether the field is longer than its limit.
    pub fn is_cut(&self) -> bool {
        self.is_open && self.is_cut
    }

    /// The whole field, if one has begun. Of a line that was cut in the last tenth of the limit nothing is left.
    pub fn end(&mut self, limit: usize) -> Option<Vec<u8>> {
        if !std::mem::take(&mut self.is_open) {
            return None;
        }
        if self.is_cut
            && let Some(end) = self.text.iter().rposition(|byte| *byte == b'\n').filter(|at| *at >= limit - limit / 10)
        {
            // told: as above.
            self.text.truncate(end);
        }
        Some(std::mem::take(&mut self.text))
    }

    /// Gives the memory of a field back.
    pub fn reuse(&mut self, field: Vec<u8>) {
        if !self.is_open {
            self.text = field;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn gathered(first: usize, others: &[usize], limit: usize) -> Vec<usize> {
        let mut field = Gathered::default();
        field.begin(&vec![b'y'; first], limit);
        others.iter().for_each(|length| field.add_line(&vec![b'z'; *length], limit));
        let text = field.end(limit).unwrap();
        text.split(|byte| *byte == b'\n').map(<[u8]>::len).collect()
    }

    /// Lengths of lines as Postfix 3.11 leaves them.
    #[test]
    fn a_field_is_cut_where_postfix_cuts_it() {
        assert_eq!(gathered(605, &[5], 500), [500]);
        assert_eq!(gathered(300, &[200], 500), [300, 199]);
        assert_eq!(gathered(300, &[150, 48], 500), [300, 150, 48]);
        assert_eq!(gathered(300, &[150, 49], 500), [300, 150]);
        assert_eq!(gathered(449, &[300], 500), [449, 50]);
        assert_eq!(gathered(450, &[300], 500), [450]);
        assert_eq!(gathered(1799, &[300, 3], 2000), [1799, 200]);
        assert_eq!(gathered(1800, &[300, 3], 2000), [1800]);
    }

    proptest! {
        #[test]
        fn no_input_makes_a_field_longer_than_the_limit(
            pieces in prop::collection::vec((any::<bool>(), 0usize..5000), 0..200), limit in 0usize..3000,
        ) {
            let mut field = Gathered::default();
            field.begin(b"X: y", limit);
            for (is_line, length) in pieces {
                let data = vec![b'z'; length];
                if is_line { field.add_line(&data, limit) } else { field.add(&data, limit) }
                prop_assert!(field.text.capacity() <= 2 * limit.max(8));
            }
            prop_assert!(field.end(limit).unwrap().len() <= limit);
            prop_assert_eq!(field.end(limit), None);
        }
    }
}
