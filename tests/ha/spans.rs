//! Spans of time, in Unix seconds.

/// The time between `from` and `to`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) from: f64,
    pub(crate) to: f64,
}

impl Span {
    pub(crate) fn seconds(&self) -> f64 {
        self.to - self.from
    }

    /// Returns the length of the overlap in seconds, or 0 if the spans do not overlap.
    pub(crate) fn overlap(&self, other: &Span) -> f64 {
        (self.to.min(other.to) - self.from.max(other.from)).max(0.0)
    }
}

/// Returns the total length of all spans in seconds.
pub(crate) fn total(spans: &[Span]) -> f64 {
    spans.iter().map(Span::seconds).fold(0.0, |sum, seconds| sum + seconds)
}

/// Joins sorted times into spans. A new span starts after each gap of at least `gap` seconds.
pub(crate) fn joined(moments: impl IntoIterator<Item = f64>, gap: f64) -> Vec<Span> {
    let mut spans: Vec<Span> = vec![];
    for moment in moments {
        match spans.last_mut() {
            Some(last) if moment - last.to < gap => last.to = moment,
            _ => spans.push(Span { from: moment, to: moment }),
        }
    }
    spans
}

/// Returns the spans between consecutive times that are at least `gap` seconds apart. The times must be sorted.
pub(crate) fn gaps(moments: &[f64], gap: f64) -> Vec<Span> {
    let pairs = moments.windows(2).map(|pair| Span { from: pair[0], to: pair[1] });
    pairs.filter(|span| span.seconds() >= gap).collect()
}

/// Returns the spans in which a polled condition held. Each span lasts from the first to the last of the consecutive
/// polls that found the condition true.
pub(crate) fn streaks(polls: impl IntoIterator<Item = (Span, bool)>) -> Vec<Span> {
    let mut streaks: Vec<Span> = vec![];
    let mut continues = false;
    for (poll, held) in polls {
        match streaks.last_mut() {
            Some(last) if held && continues => last.to = last.to.max(poll.to),
            _ if held => streaks.push(poll),
            _ => {}
        }
        continues = held;
    }
    streaks
}
